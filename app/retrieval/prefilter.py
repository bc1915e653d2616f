"""Which candidates are worth asking the model about."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FEW = 12  # looked at where nothing passes tau


@dataclass(frozen=True)
class Prefiltered:
    """ids int64 (n,) and similarities float32 (n,), most similar first, equal ones by id; the first `asked`
    of them go to the model. passed: whether any is more similar than tau."""

    ids: np.ndarray
    similarities: np.ndarray
    asked: int
    passed: bool


def prefilter(ids: np.ndarray, similarities: np.ndarray, *, tau: float, k: int) -> Prefiltered:
    """Order by similarity and take those above tau, at most k; the best few where none passes."""
    order = np.lexsort((ids, -similarities))
    ids, similarities = ids[order], similarities[order]
    above = int((similarities > tau).sum())
    return Prefiltered(ids, similarities, min(above or FEW, k, len(ids)), bool(above))
