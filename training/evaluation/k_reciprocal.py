"""k-reciprocal re-ranking of embeddings (Zhong et al., CVPR 2017), without a matrix of all pairs.

Two pictures that are among each other's k nearest are likely one person. Each picture is encoded by its
reciprocal neighbours, and the Jaccard distance between codes, mixed with the distance itself, ranks again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK = 256  # pictures whose distances stand at a time


@dataclass(frozen=True)
class _Near:
    """Of each of N pictures its nearest, itself first: int64 (N, k), and its farthest distance float32 (N,)."""

    ids: np.ndarray
    farthest: np.ndarray


@dataclass(frozen=True)
class _Codes:
    """N sparse codes: of picture i the members[offsets[i]:offsets[i + 1]], int64, ascending, and weights."""

    offsets: np.ndarray
    members: np.ndarray
    weights: np.ndarray

    def of(self, row: int) -> tuple[np.ndarray, np.ndarray]:
        part = slice(self.offsets[row], self.offsets[row + 1])
        return self.members[part], self.weights[part]

    @classmethod
    def joined(cls, codes: list[tuple[np.ndarray, np.ndarray]]) -> _Codes:
        offsets = np.concatenate([[0], np.cumsum([len(members) for members, _ in codes])]).astype(np.int64)
        return cls(offsets, np.concatenate([m for m, _ in codes]), np.concatenate([w for _, w in codes]))

    def turned(self) -> _Codes:
        """Of each member the pictures in whose code it is."""
        count = len(self.offsets) - 1
        order = np.argsort(self.members, kind="stable")
        rows = np.repeat(np.arange(count), np.diff(self.offsets))
        offsets = np.searchsorted(self.members[order], np.arange(count + 1))
        return _Codes(offsets, rows[order], self.weights[order])


def k_reciprocal(
    queries: np.ndarray, gallery: np.ndarray, *, k1: int = 20, k2: int = 6, weight: float = 0.3
) -> Iterator[np.ndarray]:
    """Scores of the re-ranked gallery, float32 (q, G) by blocks of consecutive queries, higher is better.

    Args:
        queries, gallery: float (Q, d) and (G, d), unit rows. k1: neighbours that must be reciprocal. k2: codes
            are averaged over so many nearest. weight: lambda of the paper, the distance's own share, 0..1.

    Raises:
        ValueError: k1 < 1, k2 < 1, a weight outside 0..1, or sets of other dimensions.
    """
    if k1 < 1 or k2 < 1 or not 0 <= weight <= 1:
        raise ValueError(f"k1 {k1} and k2 {k2} are 1 or more, and the weight {weight} lies in 0..1")
    if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1] or not len(gallery):
        raise ValueError(f"queries {queries.shape} and gallery {gallery.shape} are no rows of one dimension")
    return _scores(np.concatenate([queries, gallery]).astype(np.float32), len(queries), k1, k2, weight)


def _scores(rows: np.ndarray, queries: int, k1: int, k2: int, weight: float) -> Iterator[np.ndarray]:
    near = _nearest(rows, max(k1 + 1, k2))
    codes = _averaged(_codes(rows, near, k1), near, k2)
    turned = codes.turned()
    for start in range(0, queries, BLOCK):
        part = np.arange(start, min(start + BLOCK, queries))
        jaccard = np.stack([_jaccard(codes.of(query), turned, len(rows)) for query in part.tolist()])
        mixed = jaccard * (1 - weight) + _distances(rows[part], rows, near.farthest[part]) * weight
        yield -mixed[:, queries:].astype(np.float32)


def _distances(part: np.ndarray, rows: np.ndarray, farthest: np.ndarray | None = None) -> np.ndarray:
    """float32 (p, N): squared Euclidean distances, each row divided by its largest where that is known."""
    distances = np.maximum(2 - 2 * (part @ rows.T), 0)
    return distances if farthest is None else distances / np.maximum(farthest[:, None], 1e-12)


def _nearest(rows: np.ndarray, count: int) -> _Near:
    """Ties by row number; a picture comes before all that are as near to it as itself."""
    count = min(count, len(rows))
    ids = np.empty((len(rows), count), np.int64)
    farthest = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        distances = _distances(rows[start : start + BLOCK], rows)
        farthest[start : start + BLOCK] = distances.max(1)
        own = np.arange(len(distances))
        distances[own, start + own] = -1
        floor = np.partition(distances, count - 1, axis=1)[:, count - 1]
        for row, line in enumerate(distances):
            places = np.flatnonzero(line <= floor[row])
            ids[start + row] = places[np.argsort(line[places], kind="stable")][:count]
    return _Near(ids, farthest)


def _reciprocal(near: _Near, row: int, k: int) -> np.ndarray:
    """int64: those of the k nearest (and itself) that have `row` among their own."""
    forward = near.ids[row, : k + 1]
    return forward[(near.ids[forward, : k + 1] == row).any(1)]


def _codes(rows: np.ndarray, near: _Near, k1: int) -> _Codes:
    half = int(np.around(k1 / 2))
    halves = [_reciprocal(near, row, half) for row in range(len(rows))]
    codes = []
    for row in range(len(rows)):
        mutual = _reciprocal(near, row, k1)
        close = [halves[other] for other in mutual.tolist()]
        taken = [c for c in close if np.isin(c, mutual).sum() > 2 / 3 * len(c)]
        members = np.unique(np.concatenate([mutual, *taken]))
        weights = np.exp(-_distances(rows[row : row + 1], rows[members], near.farthest[row : row + 1])[0])
        codes.append((members, weights / weights.sum()))
    return _Codes.joined(codes)


def _averaged(codes: _Codes, near: _Near, k2: int) -> _Codes:
    """Each code as the mean of those of its k2 nearest, itself among them."""
    found = []
    for row in range(len(near.ids)):
        parts = [codes.of(other) for other in near.ids[row, :k2].tolist()]
        members, place = np.unique(np.concatenate([m for m, _ in parts]), return_inverse=True)
        weights = np.bincount(place, np.concatenate([w for _, w in parts])) / len(parts)
        found.append((members, weights.astype(np.float32)))
    return _Codes.joined(found)


def _jaccard(code: tuple[np.ndarray, np.ndarray], turned: _Codes, count: int) -> np.ndarray:
    """float64 (count,): Jaccard distance of one code to all."""
    shared = np.zeros(count)
    for member, weight in zip(*(part.tolist() for part in code), strict=True):
        others, theirs = turned.of(member)
        shared[others] += np.minimum(weight, theirs)
    return 1 - shared / (2 - shared)
