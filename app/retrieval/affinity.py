"""Candidates that look like one person in the same clothes speak for one another.

A bag that is hidden in one crop is plain in the next, and a crop from behind shows no face. So each candidate is
judged by all candidates that look like it, each weighed by its affinity: the probability that the two show one person
in the same clothes. The thought is that of database-side augmentation (Arandjelovic and Zisserman, CVPR 2012) and of
k-reciprocal re-ranking (Zhong et al., CVPR 2017); probabilities, and not a number of neighbours, say how far it goes.
The paper has nothing like it; it is part of the `fused` ranker alone.
"""

from __future__ import annotations

import numpy as np

from app.model.checkpoint import AffinityWeights
from app.model.vocabulary import KINDS, Kinds
from app.retrieval.attribute_probs import (
    MOST_RATIO,
    LazyProbs,
    PictureAppearance,
    Priors,
    Probs,
    by_kinds,
    log_ratios,
    softmax,
)
from app.retrieval.calibration import sigmoid

LEAST_POOLED = 1e-9  # of a probability, before its logarithm
SUREST = 0.99  # nobody is put away for certain by looking like somebody rejected


def same_attributes(first: Probs, second: Probs, priors: Priors) -> np.ndarray:
    """float64 (m, n), -1..1: how far each two pictures show the same attributes, over all kinds."""
    return log_ratios(first, second, tuple(first), priors) / (len(first) * MOST_RATIO)


def same_outfit(
    weights: AffinityWeights, cosines: np.ndarray | float, same_attributes: np.ndarray
) -> np.ndarray:
    """float64 (m, n), 0..1: the probability that each two pictures show one person in the same clothes.

    cosines, same_attributes: (m, n), of their vectors and of their attributes.
    """
    cosines = np.asarray(cosines, np.float64)
    return sigmoid(weights.cosine * cosines + weights.attributes * same_attributes + weights.bias)


def affinity(crops: PictureAppearance, weights: AffinityWeights, priors: Priors) -> np.ndarray:
    """float64 (n, n), 0..1: of each two crops; 1 of each with itself."""
    return _with_itself(
        same_outfit(
            weights,
            crops.vectors @ crops.vectors.T,
            same_attributes(crops.probs, crops.probs, priors),
        )
    )


def pooled_crops(crops: PictureAppearance, affinity: np.ndarray) -> PictureAppearance:
    """The crops, each seen together with those of its outfit: means weighed by the affinity (n, n)."""
    pooled = _pooled_vectors(crops.vectors, affinity), _pooled_probs(crops.probs, affinity)
    return PictureAppearance(*pooled, crops.confusion)


def pooled_query(
    own: PictureAppearance, crops: PictureAppearance, weights: AffinityWeights, priors: Priors
) -> PictureAppearance:
    """The query's pictures, each seen together with the crops of its outfit: where other clothes are sought.

    Where the same clothes are sought this does not help to tell the person from look-alikes: then the crops of the
    outfit are the very ones to be compared.
    """
    same = same_outfit(
        weights, own.vectors @ crops.vectors.T, same_attributes(own.probs, crops.probs, priors)
    )
    shares = np.concatenate([np.eye(len(own.vectors)), same], 1)
    probs = LazyProbs(lambda kind: np.concatenate([own.probs[kind], crops.probs[kind]], 1), crops.probs)
    vectors = np.concatenate([own.vectors, crops.vectors])
    return PictureAppearance(_pooled_vectors(vectors, shares), _pooled_probs(probs, shares))


def pooled_model_probs(
    rows: np.ndarray, weights: AffinityWeights, priors: Priors, kinds: Kinds = KINDS
) -> np.ndarray:
    """float64 (n, all values): the attribute probabilities that a model read off crops, each pooled by its outfit.

    rows: NaN where it did not read: such crops stay so, and speak for nobody. kinds: that it reads.
    """
    pooled = np.array(rows, np.float64)
    known = np.isfinite(pooled).all(1)
    if known.any():
        probs = by_kinds(pooled[known], kinds)
        shares = _with_itself(same_outfit(weights, 0.0, same_attributes(probs, probs, priors)))
        of_kind = _pooled_probs(probs, shares)
        pooled[known] = np.concatenate([of_kind[kind] for kind in kinds]).T
    return pooled


def rejection_penalty(
    rejected: PictureAppearance, crops: PictureAppearance, weights: AffinityWeights, priors: Priors
) -> np.ndarray:
    """float64 (n,), 0 or less: the log-probability that each crop shows nobody who was rejected, in the same clothes.

    Crops of one person say the same, so the rejected crop that is most like a crop speaks alone.
    """
    same = same_outfit(
        weights, rejected.vectors @ crops.vectors.T, same_attributes(rejected.probs, crops.probs, priors)
    )
    return np.log1p(-np.minimum(same, SUREST)).min(0)


def _with_itself(probabilities: np.ndarray) -> np.ndarray:
    np.fill_diagonal(probabilities, 1)
    return probabilities


def _pooled_vectors(vectors: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Unit rows float32 (m, dim): the means of rows (n, dim) by shares (m, n)."""
    rows = shares @ vectors
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def _pooled_probs(probs: Probs, shares: np.ndarray) -> LazyProbs:
    """Means of the log-probabilities by shares (m, n), as probabilities again: (values, m) of each kind."""
    part = (shares / shares.sum(1, keepdims=True)).T
    return LazyProbs(lambda kind: softmax(np.log(np.clip(probs[kind], LEAST_POOLED, 1)) @ part), probs)
