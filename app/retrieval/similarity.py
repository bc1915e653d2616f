"""How similar crops are to a query: to its words, to its pictures, or a share of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from app.model.vocabulary import KINDS, Attribute
from app.retrieval.evidence import Looks, Seen
from app.retrieval.shares import MOST_ALIKE, Shares, Usual, log_alike, log_stated

SHARE = 1 / 12  # of the summed log-shares, beside the description's cosine
MOST_COMPARED = 4096  # crops: a hundred values against each of a million would take seconds


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
