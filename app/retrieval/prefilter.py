"""CLIP's part of section 4.1: the crops above tau, at most K of them, go to the ranker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FEW = 12  # looked at where nothing passes tau

Stop = Callable[[], bool]


@dataclass(frozen=True)
class Prefiltered:
    """The searched crops in the prefilter's order: CLIP's, or for queries with a picture a re-ID encoder's.

    ids int64 (n,) and similarities float32 (n,), most similar first, equal ones by id; the first `asked`
    of them are the ranker's candidates. passed: whether any is more similar than tau. encoder: "name@version" of what
    compared them; of CLIP and the re-ID encoder together joined by " + ".
    """

    ids: np.ndarray
    similarities: np.ndarray
    asked: int
    passed: bool
    encoder: str = ""


def prefilter(
    ids: np.ndarray, similarities: np.ndarray, *, tau: float, k: int, encoder: str = ""
) -> Prefiltered:
    """Order by similarity and take those above tau, at most k; the best few where none passes."""
    order = np.lexsort((ids, -similarities))
    ids, similarities = ids[order], similarities[order]
    above = int((similarities > tau).sum())
    return Prefiltered(ids, similarities, min(above or FEW, k, len(ids)), bool(above), encoder)


class StopOnce:
    """Asks the caller's stop, and remembers a yes in `stopped`."""

    def __init__(self, ask: Stop) -> None:
        self._ask = ask
        self.stopped = False

    def __call__(self) -> bool:
        self.stopped = self.stopped or self._ask()
        return self.stopped
