"""What a protocol asks for: queries over a gallery, and the settings that are measured on the rankings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from training.datasets.record import DISTRACTOR, JUNK, Record
from training.evaluation.harness import EvalQuery, spread
from training.evaluation.metrics import Ranks, Relevance, ranks_of


@dataclass(frozen=True)
class Setting:
    """One setting of a benchmark, measured on some of a trial's queries.

    rows: int64 (q,), ascending, the queries that the setting asks; relevance: over those, in their order.
    by_identity: the CMC counts identities before the first match, not crops (SYSU-MM01's).
    """

    name: str
    rows: np.ndarray
    relevance: Relevance
    by_identity: bool = False


@dataclass(frozen=True)
class Trial:
    """Q queries over G crops, searched in one pass.

    name: of the trial, its folder's too. queries: as they are put to the engine. subjects: the record that each is
    about. gallery: the crops. settings: what is measured.
    """

    name: str
    queries: tuple[EvalQuery, ...]
    subjects: tuple[Record, ...]
    gallery: tuple[Record, ...]
    settings: tuple[Setting, ...]

    def __post_init__(self) -> None:
        if len(self.queries) != len(self.subjects):
            raise ValueError(f"{len(self.queries)} queries are about {len(self.subjects)} people")

    def head(self, most: int) -> Trial:
        """At most so many queries of each setting, evenly spread."""
        kept = sorted({int(row) for s in self.settings for row in s.rows[spread(len(s.rows), most)]})
        row_of = {row: number for number, row in enumerate(kept)}
        settings = []
        for setting in self.settings:
            few = np.flatnonzero(spread(len(setting.rows), most))
            rows = np.array([row_of[int(row)] for row in setting.rows[few]], np.int64)
            settings.append(replace(setting, rows=rows, relevance=setting.relevance.take(few)))
        queries = tuple(self.queries[row] for row in kept)
        subjects = tuple(self.subjects[row] for row in kept)
        return replace(self, queries=queries, subjects=subjects, settings=tuple(settings))


def ranks_in(
    trial: Trial, setting: Setting, orders: Iterable[np.ndarray], asked: np.ndarray | None = None
) -> Ranks:
    """How the queries of a setting fared.

    Args:
        orders: int (G,) for each query, the gallery's columns, best first.
        asked: int64, the queries of the trial that the orders are of; None for all. Queries of the setting
            that were not asked are left out, and not counted.

    Raises:
        ValueError: orders that do not fit.
    """
    asked = np.arange(len(trial.queries)) if asked is None else asked
    answered = np.isin(setting.rows, asked)
    relevance = setting.relevance if answered.all() else setting.relevance.take(np.flatnonzero(answered))
    orders = compress(orders, np.isin(asked, setting.rows))
    if not setting.by_identity:
        return ranks_of(orders, relevance)
    orders = list(orders)
    ranks = ranks_of(orders, relevance)
    persons = np.unique([record.person for record in trial.gallery], return_inverse=True)[1]
    first = np.zeros(len(orders), np.int64)
    for query in np.flatnonzero(ranks.valid).tolist():
        columns, junk = relevance.of(query)
        ranked = orders[query][~np.isin(orders[query], columns[junk])]
        first[query] = 1 + len(np.unique(persons[ranked[: ranks.first[query] - 1]]))
    return replace(ranks, first=first)


def people(records: Iterable[Record], *, distractors: bool = False) -> tuple[Record, ...]:
    """Without junk; without distractors too, unless they are asked for."""
    out = {JUNK} if distractors else {JUNK, DISTRACTOR}
    return tuple(record for record in records if record.person not in out)


def labels(records: Sequence[Record], what: str) -> np.ndarray:
    """str (n,): "person", "camera" or "clothes" of each."""
    return np.array([getattr(record, what) for record in records], dtype=str)


def all_rows(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64)
