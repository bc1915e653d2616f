"""Rankers: from what one pass found out about each query to scores of every gallery crop.

The order is the engine's own: the candidates that the model read, by `app.retrieval.ranking.order_head`, and
behind them the rest in CLIP's order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.model.checkpoint import Calibration
from app.retrieval.rankers import Prefiltered
from app.retrieval.ranking import order_head

CLIP, PAIRWISE, BEST_CHOICE, COMBINED = RANKERS = ("clip", "pairwise", "best-choice", "combined")
RANKERS_IN_WORDS = {
    CLIP: "CLIP's similarity alone",
    PAIRWISE: "the model's word alone, within the prefilter's candidates",
    BEST_CHOICE: "multi-turn best choice (section 3.3), within the prefilter's candidates",
    COMBINED: "word and similarity, with what both models read, calibrated: what the app ships",
}


@dataclass(frozen=True)
class Found:
    """One query's pass over a gallery of U crops, ids ascending.

    ids: int64 (U,). similarities: float32 (U,), NaN for crops that were not searched (the query's own
    picture). asked: how many of the nearest went to the model; words: float64 (asked,), nearest first, NaN
    where it gave none; near: float32 (asked,), their similarity with what the model reads too. rarity: of what the
    query's words tell. passed: whether any crop is more similar than tau. chosen: int64 (asked,), places among the
    nearest in the order of best choice, or None where that was not asked. kind: of the query.
    seconds: float64 (4,): encoding, prefilter, words, best choice.
    """

    ids: np.ndarray
    similarities: np.ndarray
    asked: int
    words: np.ndarray
    near: np.ndarray
    rarity: float
    passed: bool
    chosen: np.ndarray | None
    kind: str
    seconds: np.ndarray

    def prefiltered(self) -> tuple[Prefiltered, np.ndarray]:
        """The engine's candidates again, and their columns int64 (n,) in `ids`."""
        columns = np.flatnonzero(~np.isnan(self.similarities))
        near = self.similarities[columns]
        columns = columns[np.lexsort((columns, -near))]
        found = Prefiltered(self.ids[columns], self.similarities[columns], self.asked, self.passed)
        return found, columns

    def order(self, ranker: str, calibration: Calibration | None) -> np.ndarray:
        """int64 (n,): columns of the searched crops, best first.

        Raises:
            ValueError: no such ranker, or best choice where it was not asked.
        """
        found, columns = self.prefiltered()
        if ranker == CLIP:
            return columns
        if ranker == BEST_CHOICE:
            if self.chosen is None:
                raise ValueError("best choice was not asked in this search")
            head = self.chosen
        elif ranker in (PAIRWISE, COMBINED):
            head, _ = order_head(found, self.words, calibration if ranker == COMBINED else None, self.near)
        else:
            raise ValueError(f"no ranker {ranker!r}; there are {', '.join(RANKERS)}")
        rest = np.ones(len(columns), bool)
        rest[head] = False
        return np.concatenate([columns[head], columns[rest]])

    def scores(self, ranker: str, calibration: Calibration | None) -> np.ndarray:
        """float32 (U,), higher is better: minus the place in the ranking, so that the order is exact.

        Crops that were not searched share the last place.
        """
        order = self.order(ranker, calibration)
        scores = np.full(len(self.ids), -len(self.ids), np.float32)
        scores[order] = -np.arange(len(order), dtype=np.float32)
        return scores
