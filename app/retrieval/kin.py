"""Crops of one person in the same clothes speak for one another.

A bag that is hidden in one crop is plain in the next, and a crop from behind shows no face. So each candidate is
judged by all candidates that look like it, each weighed by the chance that the two show one person in the same
clothes. The thought is that of database-side augmentation (Arandjelovic and Zisserman, CVPR 2012) and of
k-reciprocal re-ranking (Zhong et al., CVPR 2017); the chances, and not a number of neighbours, say how far it goes.
"""

from __future__ import annotations

import numpy as np

from app.model.manifest import Kin
from app.model.vocabulary import KINDS
from app.retrieval.calibration import sigmoid
from app.retrieval.evidence import Looks
from app.retrieval.shares import MOST_ALIKE, Shares, Usual, log_ratios, softmax
from app.retrieval.shares import split as split_shares

LEAST_SHARE = 1e-9  # before its logarithm
SUREST = 0.99  # nobody is put away for certain by looking like another


def chances(kin: Kin, cosines: np.ndarray | float, likeness: np.ndarray) -> np.ndarray:
    """float64 (m, n): of two pictures each showing one person in the same clothes.

    cosines, likeness: (m, n), of their vectors and of their attributes (`likeness`).
    """
    return sigmoid(kin.cosine * np.asarray(cosines, np.float64) + kin.alike * likeness + kin.bias)


def likeness(first: Shares, second: Shares, usual: Usual) -> np.ndarray:
    """float64 (m, n), -1..1: how far each two pictures show the same attributes, over all kinds."""
    return log_ratios(first, second, tuple(KINDS), usual) / (len(KINDS) * MOST_ALIKE)


def kinship(crops: Looks, kin: Kin, usual: Usual) -> np.ndarray:
    """float64 (n, n): the chances that the crops show one person in the same clothes; 1 of each with itself."""
    found = chances(kin, crops.vectors @ crops.vectors.T, likeness(crops.shares, crops.shares, usual))
    np.fill_diagonal(found, 1)
    return found


def together(crops: Looks, kinship: np.ndarray) -> Looks:
    """The crops, each seen together with its kin: means by their kinship (n, n)."""
    return Looks(_means(crops.vectors, kinship), _pooled(crops.shares, kinship))


def own_together(own: Looks, crops: Looks, kin: Kin, usual: Usual) -> Looks:
    """The query's pictures, each seen together with its kin among the crops: where other clothes are sought.

    Where the same clothes are, it would be told from look-alikes no better: those kin are what it is compared with.
    """
    theirs = chances(kin, own.vectors @ crops.vectors.T, likeness(own.shares, crops.shares, usual))
    weights = np.concatenate([np.eye(len(own.vectors)), theirs], 1)
    vectors = np.concatenate([own.vectors, crops.vectors])

    def shares(kind: str) -> np.ndarray:
        return np.concatenate([own.shares(kind), crops.shares(kind)], 1)

    return Looks(_means(vectors, weights), _pooled(shares, weights))


def log_apart(rejected: Looks, crops: Looks, kin: Kin, usual: Usual) -> np.ndarray:
    """float64 (n,), 0 or less: the log-chances that crops show nobody who was rejected, in the same clothes.

    Crops of one person say the same, so the rejected crop that is most like a crop speaks alone.
    """
    found = chances(kin, rejected.vectors @ crops.vectors.T, likeness(rejected.shares, crops.shares, usual))
    return np.log1p(-np.minimum(found, SUREST)).min(0)


def together_read(rows: np.ndarray, kin: Kin, usual: Usual) -> np.ndarray:
    """float64 (n, all values): the shares that a model read off crops, each together with its kin's.

    rows: NaN where it did not read: such crops stay so, and speak for nobody.
    """
    found = np.array(rows, np.float64)
    known = np.isfinite(found).all(1)
    if known.any():
        shares = split_shares(found[known])
        weights = chances(kin, 0.0, likeness(shares, shares, usual))
        np.fill_diagonal(weights, 1)
        pooled = _pooled(shares, weights)
        found[known] = np.concatenate([pooled(kind) for kind in KINDS]).T
    return found


def _means(vectors: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Unit rows (m, dim): the means of rows (n, dim) by weights (m, n)."""
    rows = weights @ vectors
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _pooled(shares: Shares, weights: np.ndarray) -> Shares:
    """Means of the log-shares, by weights (m, n), as shares again: (values, m) for each kind."""
    part = (weights / weights.sum(1, keepdims=True)).T
    known: dict[str, np.ndarray] = {}

    def pooled(kind: str) -> np.ndarray:
        if kind not in known:
            known[kind] = softmax(np.log(np.clip(shares(kind), LEAST_SHARE, 1)) @ part)
        return known[kind]

    return pooled
