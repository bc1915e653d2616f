"""What a protocol asks for: queries over a gallery, and the settings that are read off the rankings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from training.datasets.record import DISTRACTOR, JUNK, Record
from training.evaluation.harness import Ask
from training.evaluation.metrics import Metrics, Ranks, rank_blocks
from training.evaluation.relevance import Relevance


@dataclass(frozen=True)
class Reading:
    """One setting, read off some of a search's queries.

    rows: int64 (q,), ascending, the queries that the setting asks; relevance: over those, in their order.
    by_identity: the CMC counts identities before the first match, not crops (SYSU-MM01's).
    """

    setting: str
    rows: np.ndarray
    relevance: Relevance
    by_identity: bool = False


@dataclass(frozen=True)
class Search:
    """Q queries over G crops.

    name: of the search, its folder's too. asks: as they are put to the engine. queries: whom each is about.
    gallery: the crops. readings: what is measured.
    """

    name: str
    asks: tuple[Ask, ...]
    queries: tuple[Record, ...]
    gallery: tuple[Record, ...]
    readings: tuple[Reading, ...]

    def __post_init__(self) -> None:
        if len(self.asks) != len(self.queries):
            raise ValueError(f"{len(self.asks)} queries are about {len(self.queries)} people")

    def head(self, most: int) -> Search:
        """At most so many queries of each setting, evenly spread."""
        kept = sorted({int(row) for r in self.readings for row in r.rows[_spread(len(r.rows), most)]})
        place = {row: number for number, row in enumerate(kept)}
        readings = []
        for reading in self.readings:
            mine = _spread(len(reading.rows), most)
            rows = np.array([place[int(row)] for row in reading.rows[mine]], np.int64)
            readings.append(Reading(reading.setting, rows, reading.relevance.take(mine), reading.by_identity))
        asks, queries = tuple(self.asks[row] for row in kept), tuple(self.queries[row] for row in kept)
        return Search(self.name, asks, queries, self.gallery, tuple(readings))


def read(
    search: Search, reading: Reading, blocks: Iterable[np.ndarray], asked: np.ndarray | None = None
) -> Ranks:
    """How the queries of a setting fared.

    Args:
        blocks: scores (q, G) of consecutive queries of the search, higher is better.
        asked: int64, the queries of the search that the blocks are of; None for all. Queries of the setting
            that were not asked are left out, and not counted.

    Raises:
        ValueError: blocks that do not fit, or scores that are not finite numbers.
    """
    asked = np.arange(len(search.asks)) if asked is None else asked
    mine = np.isin(reading.rows, asked)
    relevance = reading.relevance if mine.all() else reading.relevance.take(np.flatnonzero(mine))
    wanted = np.isin(asked, reading.rows)
    if not reading.by_identity:
        return rank_blocks(picked(blocks, wanted), relevance)
    kept = list(picked(blocks, wanted))
    ranks = rank_blocks(kept, relevance)
    persons = np.unique([record.person for record in search.gallery], return_inverse=True)[1]
    first = _identities_before(np.concatenate(kept), relevance, ranks, persons)
    return Ranks(ranks.ap, ranks.inp, first, ranks.matches)


def _identities_before(
    scores: np.ndarray, relevance: Relevance, ranks: Ranks, persons: np.ndarray
) -> np.ndarray:
    """int64 (q,): the first match's rank among identities, each counted at its best crop; 0 without a match."""
    first = np.zeros(len(scores), np.int64)
    for query in np.flatnonzero(ranks.valid).tolist():
        columns, junk = relevance.of(query)
        row = scores[query]
        best = min(columns[~junk].tolist(), key=lambda g: (-row[g], g))
        before = row > row[best]
        before[:best] |= row[:best] == row[best]
        before[columns[junk]] = False
        first[query] = 1 + len(np.unique(persons[before]))
    return first


def mean_of(trials: Sequence[Metrics]) -> Metrics:
    """Trials of one setting as one row: the mean of their figures; queries as one trial has them."""
    if not trials:
        raise ValueError("no trial to take the mean of")
    means = {
        name: float(np.mean([getattr(t, name) for t in trials]))
        for name in ("mAP", "rank1", "rank5", "rank10", "mINP")
    }
    return Metrics(**means, queries=trials[0].queries, queries_without_match=trials[0].queries_without_match)


def people(records: Iterable[Record], *, distractors: bool = False) -> tuple[Record, ...]:
    """Without junk; without distractors too, unless they are asked for."""
    out = {JUNK} if distractors else {JUNK, DISTRACTOR}
    return tuple(record for record in records if record.person not in out)


def labels(records: Sequence[Record], what: str) -> np.ndarray:
    """str (n,): "person", "camera" or "clothes" of each."""
    return np.array([getattr(record, what) for record in records], dtype=str)


def all_rows(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64)


def picked(blocks: Iterable[np.ndarray], wanted: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of consecutive blocks that are wanted, bool. Raises ValueError where there are not as many."""
    done = 0
    for block in blocks:
        mine = wanted[done : done + len(block)]
        done += len(block)
        if mine.all():
            yield block
        elif mine.any():
            yield block[mine]
    if done != len(wanted):
        raise ValueError(f"scores came for {done} of {len(wanted)} queries")


def _spread(count: int, most: int) -> np.ndarray:
    most = min(count, most)
    return (np.arange(most) * count) // max(1, most)
