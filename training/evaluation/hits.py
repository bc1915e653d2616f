"""What the searches of an evaluation came to: a block of queries a file, and each ranker's order of the gallery.

What the model said of the candidates is kept, and the app's own rankers (app.retrieval.rankers) order by it; behind the
candidates stands the rest in CLIP's order.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from app.model.checkpoint import KINDS_OF_QUERY, Calibration
from app.retrieval.fusion import Fused
from app.retrieval.prefilter import Prefiltered
from app.retrieval.rankers import RANKERS as APP_RANKERS
from app.retrieval.rankers import Ranker, best_first
from app.settings import BEST_CHOICE, CLIP, FUSED, PAIRWISE
from gallery_store.files import write_file
from training.evaluation.metrics import Relevance, slices

ATTRIBUTE_SCORE = "attribute-score"
# The app's, and beside them the attributes that the model reads alone, where the calibration gives them a weight.
RANKERS = (CLIP, PAIRWISE, ATTRIBUTE_SCORE, BEST_CHOICE, FUSED)
BY_NAME: Mapping[str, Ranker] = {
    **APP_RANKERS,
    ATTRIBUTE_SCORE: lambda _, candidates: candidates.attribute_score,
}
PARTS = ("encode", "prefilter", "words", "best-choice")  # of the seconds of a search


@dataclass(frozen=True)
class QueryHits:
    """One query's search of a gallery of U crops, ids ascending.

    ids: int64 (U,). similarities: float32 (U,), NaN for crops that were not searched (the query's own picture).
    asked: how many of the nearest are candidates; yes_logits, attribute_score, choice_scores: float64 (asked,), nearest
    first, as app.retrieval.rankers.Candidates has them, NaN where nobody asked or nothing was answered;
    fused_similarity: float32 (asked,), that of Candidates.fused. rarity: of what the query tells in words. passed:
    whether any crop is more similar than tau. chosen: whether best choice was asked. kind: of the query. seconds:
    float64 (4,), of PARTS.
    """

    ids: np.ndarray
    similarities: np.ndarray
    asked: int
    yes_logits: np.ndarray
    attribute_score: np.ndarray
    fused_similarity: np.ndarray
    choice_scores: np.ndarray
    rarity: float
    passed: bool
    chosen: bool
    kind: str
    seconds: np.ndarray

    def prefiltered(self) -> tuple[Prefiltered, np.ndarray]:
        """The engine's candidates again, and their columns int64 (n,) in `ids`."""
        columns = np.flatnonzero(~np.isnan(self.similarities))
        similarities = self.similarities[columns]
        columns = columns[np.lexsort((columns, -similarities))]
        candidates = Prefiltered(self.ids[columns], self.similarities[columns], self.asked, self.passed)
        return candidates, columns

    def scores(self, ranker: str, calibration: Calibration | None) -> np.ndarray:
        """float64 (asked,): of the candidates, nearest first; NaN for one that the ranker cannot judge.

        Raises:
            ValueError: no such ranker, best choice where it was not asked, or the attribute score where the
            calibration gives it no weight.
        """
        if ranker not in BY_NAME:
            raise ValueError(f"no ranker {ranker!r}; there are {', '.join(RANKERS)}")
        if ranker == BEST_CHOICE and not self.chosen:
            raise ValueError("best choice was not asked in this search")
        if ranker == ATTRIBUTE_SCORE and (calibration is None or not calibration.attribute_score):
            raise ValueError("the calibration gives the attribute score no weight")
        candidates = KeptCandidates(
            self.prefiltered()[0].similarities[: self.asked],
            self.yes_logits,
            self.attribute_score,
            self.choice_scores,
            Fused(self.fused_similarity),
        )
        return BY_NAME[ranker](KeptQuery(calibration, self.rarity), candidates)

    def order(self, ranker: str, calibration: Calibration | None) -> np.ndarray:
        """int64 (n,): columns of the searched crops, best first. Raises as `scores`."""
        head = best_first(self.scores(ranker, calibration))
        _, columns = self.prefiltered()
        rest = np.ones(len(columns), bool)
        rest[head] = False
        return np.concatenate([columns[head], columns[rest]])


@dataclass(frozen=True)
class KeptQuery:
    """What a ranker needs of a query (app.retrieval.rankers.WeighedQuery)."""

    calibration: Calibration | None
    rarity: float


@dataclass(frozen=True)
class KeptCandidates:
    """What was said of the candidates (app.retrieval.rankers.Candidates)."""

    similarities: np.ndarray
    yes_logits: np.ndarray
    attribute_score: np.ndarray
    choice_scores: np.ndarray
    fused: Fused


@dataclass(frozen=True)
class Hits:
    """Q queries over G gallery records, on disk.

    ids: int64 (G,), each record's crop, -1 where its picture could not be read. unique: int64 (U,), the
    crops, ascending. files: the blocks. calibrations: by kind of query; None without a manifest. rankers: that were
    asked.
    """

    queries: int
    ids: np.ndarray
    unique: np.ndarray
    files: tuple[Path, ...]
    calibrations: Mapping[str, Calibration | None]
    rankers: Collection[str] = RANKERS

    def by_query(self) -> Iterator[QueryHits]:
        """Every query's hits, in the order of the queries, a block in memory at a time."""
        for file in self.files:
            yield from read_block(file, self.unique)

    def orders(self, ranker: str) -> Iterator[np.ndarray]:
        """int64 (G,) for each query: the gallery's records, best first.

        Exactly the engine's order: the candidates that the model read, then the rest in CLIP's order, last the
        query's own picture and unreadable crops. Records that are one crop follow each other in gallery order.
        Queries that the ranker was not asked for are left out (see `answered`).

        Raises:
            ValueError: no such ranker.
        """
        for hits in self.by_query():
            if self._answers(ranker, hits):
                yield self._records(hits.order(ranker, self.calibrations[hits.kind]))

    def answered(self, ranker: str) -> np.ndarray:
        """int64: the queries that the ranker has an order for. Best choice: those for which it was asked; the attribute
        score: those whose calibration gives it a weight; any other that was asked: all.
        """
        asked = [number for number, hits in enumerate(self.by_query()) if self._answers(ranker, hits)]
        return np.array(asked, np.int64)

    def _answers(self, ranker: str, hits: QueryHits) -> bool:
        if ranker in RANKERS and ranker not in self.rankers:
            return False
        if ranker == BEST_CHOICE:
            return hits.chosen
        calibration = self.calibrations[hits.kind]
        return ranker != ATTRIBUTE_SCORE or bool(calibration and calibration.attribute_score)

    def recall(self, relevance: Relevance) -> float:
        """Prefilter recall: the share of a query's true matches that the model read, mean over the queries that
        have any; no re-ranker can do more for them.
        """
        shares = []
        for number, hits in enumerate(self.by_query()):
            columns, junk = relevance.of(number)
            matches = columns[~junk]
            if len(matches):
                _, nearest = hits.prefiltered()
                read = self.unique[nearest[: hits.asked]]
                shares.append(float(np.isin(self.ids[matches], read).mean()))
        return float(np.mean(shares)) if shares else 0.0

    def seconds(self) -> dict[str, float]:
        """Mean seconds a query, by part; best choice over the queries that were asked it."""
        spent = np.array([hits.seconds for hits in self.by_query()])
        means = dict(zip(PARTS, spent.mean(0).tolist(), strict=True))
        chosen = self.answered(BEST_CHOICE)
        means["best-choice"] = float(spent[chosen, 3].mean()) if len(chosen) else 0.0
        return means

    @property
    def unreadable(self) -> int:
        """Records whose picture could not be read."""
        return int((self.ids < 0).sum())

    @cached_property
    def _by_crop(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The readable records crop by crop, int64 (R,), and of each crop in `unique` where they begin and how many."""
        readable = np.flatnonzero(self.ids >= 0)
        records = readable[np.argsort(self.ids[readable], kind="stable")]
        starts = np.searchsorted(self.ids[records], self.unique)
        return records, starts, np.diff(starts, append=len(records))

    def _records(self, crops: np.ndarray) -> np.ndarray:
        """int64 (n,), columns of `unique` -> int64 (G,), records, those of other crops behind."""
        records, starts, counts = self._by_crop
        first = records[slices(starts[crops], counts[crops])]
        rest = np.ones(len(self.ids), bool)
        rest[first] = False
        readable = self.ids >= 0
        return np.concatenate([first, np.flatnonzero(rest & readable), np.flatnonzero(rest & ~readable)])


def write_block(file: Path, hits: Sequence[QueryHits]) -> None:
    """Whole or not at all."""
    widest = max(one.asked for one in hits)
    yes_logits, attribute_score, choice_scores = np.full((3, len(hits), widest), np.nan)
    fused_similarity = np.full((len(hits), widest), np.nan, np.float32)
    for row, one in enumerate(hits):
        yes_logits[row, : one.asked] = one.yes_logits
        attribute_score[row, : one.asked] = one.attribute_score
        choice_scores[row, : one.asked] = one.choice_scores
        fused_similarity[row, : one.asked] = one.fused_similarity
    data = io.BytesIO()
    np.savez(
        data,
        similarities=np.stack([one.similarities for one in hits]),
        asked=np.array([one.asked for one in hits]),
        yes_logits=yes_logits,
        attribute_score=attribute_score,
        fused_similarity=fused_similarity,
        choice_scores=choice_scores,
        rarity=np.array([one.rarity for one in hits]),
        passed=np.array([one.passed for one in hits]),
        chosen=np.array([one.chosen for one in hits]),
        kind=np.array([KINDS_OF_QUERY.index(one.kind) for one in hits]),
        seconds=np.stack([one.seconds for one in hits]),
    )
    write_file(file, data.getvalue())


def pairs_in(file: Path) -> int:
    """How many pairs of a query and a candidate the model read in a block."""
    with np.load(file, allow_pickle=False) as held:
        return int(held["asked"].sum())


def read_block(file: Path, unique: np.ndarray) -> list[QueryHits]:
    """The queries of a block over the crops `unique`, int64 (U,)."""
    with np.load(file, allow_pickle=False) as held:
        block = {name: held[name] for name in held.files}
    return [
        QueryHits(
            unique,
            block["similarities"][row],
            asked := int(block["asked"][row]),
            block["yes_logits"][row, :asked],
            block["attribute_score"][row, :asked],
            block["fused_similarity"][row, :asked],
            block["choice_scores"][row, :asked],
            float(block["rarity"][row]),
            bool(block["passed"][row]),
            bool(block["chosen"][row]),
            KINDS_OF_QUERY[int(block["kind"][row])],
            block["seconds"][row],
        )
        for row in range(len(block["asked"]))
    ]
