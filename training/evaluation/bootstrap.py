"""Is one ranker better than another, or was it the queries? A paired bootstrap over queries."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RESAMPLES = 10_000


@dataclass(frozen=True)
class Difference:
    """mean of (first - second) over the queries, and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float
    queries: int


def paired_difference(
    first: np.ndarray, second: np.ndarray, seed: int = 0, resamples: int = RESAMPLES
) -> Difference:
    """Percentile bootstrap (Efron 1979) of the mean difference; queries are drawn with both figures together.

    Args:
        first, second: float (Q,), one figure (AP) per query; NaN in either leaves the query out.

    Raises:
        ValueError: shapes differ, or no query has both figures.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"figures of shapes {first.shape} and {second.shape} are not of the same queries")
    differences = np.asarray(first - second, np.float64)
    differences = differences[np.isfinite(differences)]
    if not len(differences):
        raise ValueError("no query has both figures")
    rng = np.random.default_rng((seed, 97))
    means = np.array(
        [
            differences[rng.integers(len(differences), size=(100, len(differences)))].mean(1)
            for _ in range(-(-resamples // 100))
        ]
    ).ravel()
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(float(differences.mean()), float(low), float(high), len(differences))
