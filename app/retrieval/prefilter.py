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
    compared them; of CLIP and the re-ID encoder together joined by " + ". left_out: how many less similar ones pass the
    filters as well, which were not compared one by one.
    """

    ids: np.ndarray
    similarities: np.ndarray
    asked: int
    passed: bool
    encoder: str = ""
    left_out: int = 0


def prefilter(
    ids: np.ndarray, similarities: np.ndarray, *, tau: float, k: int, encoder: str = "", left_out: int = 0
) -> Prefiltered:
    """Order by similarity and take those above tau, at most k; the best few where none passes."""
    order = most_similar_first(ids, similarities)
    ids, similarities = ids[order], similarities[order]
    above = int((similarities > tau).sum())
    return Prefiltered(ids, similarities, min(above or FEW, k, len(ids)), bool(above), encoder, left_out)


def most_similar_first(ids: np.ndarray, similarities: np.ndarray) -> np.ndarray:
    """int64 (n,): places by falling similarity, float32 (n,), and equal ones by id.

    As np.lexsort((ids, -similarities)), which takes longer for a million than to compare them: here each place becomes
    one whole number, and these are sorted.
    """
    by_id = None if (ids[1:] > ids[:-1]).all() else np.argsort(ids, kind="stable")
    fall = np.float32(0) - np.asarray(similarities if by_id is None else similarities[by_id], np.float32)
    bits = fall.view(np.uint32)
    rising = np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))  # in the order of the floats
    keys = (rising.astype(np.uint64) << np.uint64(32)) | np.arange(len(ids), dtype=np.uint64)
    keys.sort()
    places = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
    return places if by_id is None else by_id[places]


class StopOnce:
    """Asks the caller's stop, and remembers a yes in `stopped`."""

    def __init__(self, ask: Stop) -> None:
        self._ask = ask
        self.stopped = False

    def __call__(self) -> bool:
        self.stopped = self.stopped or self._ask()
        return self.stopped
