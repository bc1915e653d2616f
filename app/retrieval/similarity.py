"""How similar crops are to a query: to its words, to its pictures, or a share of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from app.model.manifest import Calibration
from app.model.vocabulary import KINDS, Attribute
from app.retrieval.evidence import Looks, Seen
from app.retrieval.shares import MOST_ALIKE, Shares, Usual, comparable, log_alike, log_stated
from app.retrieval.values import Query

TEXT_WEIGHT = 0.5  # without a calibration
SHARE = 1 / 12  # of the summed log-shares, beside the description's cosine
MOST_COMPARED = 4096  # crops: a hundred values against each of a million would take seconds


def query_similarity(
    query: Query,
    described: np.ndarray | None,
    own: Looks | None,
    crops: Seen,
    calibration: Calibration | None,
    usual: Usual,
    among: Callable[[np.ndarray], Seen] | None = None,
) -> np.ndarray:
    """float32 (n,), -1..1: by the words, by the pictures, or a share of each.

    Args:
        described: unit row (dim,) of the description; own: the query's pictures; one of both at least.
        calibration: of this kind of query, for the shares. usual, among: as of `picture_similarity`.
    """
    parts = []
    if described is not None:
        parts.append(text_similarity(crops, described, query.wanted, query.unwanted))
    if own is not None:
        share = calibration.attributes if calibration else 0.0
        kinds = comparable(query.wanted, query.other_clothes)
        parts.append(picture_similarity(own, crops, share, usual, kinds=kinds, among=among))
    if len(parts) == 1:
        return parts[0].astype(np.float32)
    weight = calibration.text_weight if calibration else TEXT_WEIGHT
    return (weight * parts[0] + (1 - weight) * parts[1]).astype(np.float32)


def text_similarity(
    crops: Seen, description: np.ndarray, wanted: Sequence[Attribute], unwanted: Sequence[Attribute]
) -> np.ndarray:
    """float32 (n,), -1..1: the description's cosine (its unit row is (dim,)) and the attributes' evidence."""
    whole = crops.cosines(description[None])[0]
    stated = SHARE * log_stated(crops.shares, wanted, unwanted)
    return np.clip(whole + stated, -1, 1).astype(np.float32)


def picture_similarity(
    own: Looks,
    crops: Seen,
    share: float,
    usual: Usual,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    among: Callable[[np.ndarray], Seen] | None = None,
) -> np.ndarray:
    """float32 (n,), -1..1: the cosine to the mean of the pictures' rows, and a share of how alike they are.

    Args:
        own: the pictures, of one person. share: 0..1, of the attributes; 0 asks for none. usual: of the gallery.
        kinds: of attributes, to compare.
        among: some of the crops, by their places. With it the attributes of no more than the MOST_COMPARED nearest
            crops are compared; the others count as unlike, and stay behind them.
    """
    mean = own.vectors.mean(axis=0)
    whole = crops.cosines((mean / max(float(np.linalg.norm(mean)), 1e-12))[None])[0]
    if not share:
        return whole.astype(np.float32)
    if among is None or len(whole) <= MOST_COMPARED:
        how = alike(own.shares, crops.shares, kinds, usual, len(whole))
    else:
        near = np.sort(np.argpartition(-whole, MOST_COMPARED)[:MOST_COMPARED])
        how = np.full(len(whole), -1.0)
        how[near] = alike(own.shares, among(near).shares, kinds, usual, len(near))
    return ((1 - share) * whole + share * how).astype(np.float32)


def alike(own: Shares, shares: Shares, kinds: Sequence[str], usual: Usual, count: int) -> np.ndarray:
    """float64 (count,), -1..1: how far crops show the same attributes as the pictures of one person.

    The mean over the kinds of the log-ratio to chance, in units of the greatest that counts; 0 where nothing
    speaks for or against.
    """
    if not kinds:
        return np.zeros(count)
    return np.asarray(log_alike(own, shares, kinds, usual)) / (len(kinds) * MOST_ALIKE)
