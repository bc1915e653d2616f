"""k-reciprocal re-ranking of embeddings (Zhong et al., CVPR 2017), without a matrix of all pairs.

Two pictures that are among each other's k nearest are likely one person. Each picture is encoded by its
reciprocal neighbours, and the Jaccard distance between codes, mixed with the distance itself, ranks again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csc_array, csr_array

BLOCK = 256  # pictures whose distances stand at a time


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
    nearest, farthest = _nearest(rows, max(k1 + 1, k2))
    codes = _codes(rows, nearest, farthest, k1)
    # Each code becomes the mean of those of its k2 nearest, itself among them.
    codes = _neighbours(nearest[:, :k2]) @ codes / nearest[:, :k2].shape[1]
    columns = codes.tocsc()
    for start in range(0, queries, BLOCK):
        part = np.arange(start, min(start + BLOCK, queries))
        shared = np.stack([_shared(codes[[row]], columns) for row in part.tolist()])
        jaccard = 1 - shared / (2 - shared)
        mixed = jaccard * (1 - weight) + _distances(rows[part], rows, farthest[part]) * weight
        yield -mixed[:, queries:].astype(np.float32)


def _distances(part: np.ndarray, rows: np.ndarray, farthest: np.ndarray | None = None) -> np.ndarray:
    """float32 (p, N): squared Euclidean distances, each row divided by its largest where that is known."""
    distances = np.maximum(2 - 2 * (part @ rows.T), 0)
    return distances if farthest is None else distances / np.maximum(farthest[:, None], 1e-12)


def _nearest(rows: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each picture its nearest, itself first, int64 (N, count), and its farthest distance, float32 (N,).

    Ties go by row number; a picture comes before all that are as near to it as itself.
    """
    count = min(count, len(rows))
    ids = np.empty((len(rows), count), np.int64)
    farthest = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), BLOCK):
        distances = _distances(rows[start : start + BLOCK], rows)
        farthest[start : start + BLOCK] = distances.max(1)
        block = np.arange(len(distances))
        distances[block, start + block] = -1
        floor = np.partition(distances, count - 1, axis=1)[:, count - 1]
        for row, line in enumerate(distances):
            near = np.flatnonzero(line <= floor[row])
            ids[start + row] = near[np.argsort(line[near], kind="stable")][:count]
    return ids, farthest


def _neighbours(nearest: np.ndarray) -> csr_array:
    """float32 (N, N), sparse: 1 where a column is among a row's nearest, int64 (N, k)."""
    from scipy.sparse import csr_array

    count, k = nearest.shape
    ones = np.ones(nearest.size, np.float32)
    return csr_array((ones, nearest.ravel(), np.arange(0, nearest.size + 1, k)), shape=(count, count))


def _codes(rows: np.ndarray, nearest: np.ndarray, farthest: np.ndarray, k1: int) -> csr_array:
    """float32 (N, N), sparse: of each picture the weights of its reciprocal neighbours, which add up to 1.

    Its members are the k1-reciprocal neighbours, and those of a member at half of k1 of which more than two thirds
    are its own as well.
    """

    def reciprocal(k: int) -> csr_array:
        forward = _neighbours(nearest[:, : k + 1])
        return forward.multiply(forward.T).tocsr()

    mutual, halves = reciprocal(k1), reciprocal(int(np.around(k1 / 2)))
    overlap = (mutual @ halves.T).multiply(mutual).tocsr()  # [i, j]: how many of j's half are i's as well
    taken = overlap.copy()
    taken.data = (overlap.data > 2 / 3 * halves.sum(axis=1)[overlap.indices]).astype(np.float32)
    members = (mutual + taken @ halves).tocoo()
    members.eliminate_zeros()
    row, column = members.coords
    weights = np.empty(len(row), np.float32)
    for start in range(0, len(row), 64 * BLOCK):
        part = slice(start, start + 64 * BLOCK)
        distances = np.maximum(2 - 2 * np.einsum("nd,nd->n", rows[row[part]], rows[column[part]]), 0)
        weights[part] = np.exp(-distances / np.maximum(farthest[row[part]], 1e-12))
    members.data = weights
    codes = members.tocsr()
    sums = codes.sum(axis=1)
    codes.data /= np.repeat(sums, np.diff(codes.indptr))
    return codes


def _shared(code: csr_array, columns: csc_array) -> np.ndarray:
    """float64 (N,): what a code, (1, N), has in common with each, the sum of the smaller weights.

    columns: the codes of all by column, so that only pictures that share a member are looked at.
    """
    mine = columns[:, code.indices]
    smaller = np.minimum(mine.data, np.repeat(code.data, np.diff(mine.indptr)))
    return np.bincount(mine.indices, smaller, minlength=columns.shape[0])
