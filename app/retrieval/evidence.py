"""What CLIP says attribute by attribute, beside what it says of a whole description or picture.

One vector for a whole description blurs five attributes into one another; each attribute against the other
values of its kind ("a red top" against "a blue top", ...) tells them apart. In the same way two pictures
are compared kind by kind. Measured on the demo gallery by `python -m tests.benchmarks.find_people`.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence

import numpy as np

from app.model.annotation import AttributeReading
from app.model.vocabulary import COLOUR_OF, KINDS, Attribute, describe
from app.retrieval.shares import LEAST_ALIKE, likeliest, log_alike, log_stated
from gallery_store.encoder import ClipEncoder

SHARPNESS = 30.0  # of the softmax over a kind's values, per unit of cosine
SHARE = 1 / 12  # of the summed log-shares, beside the description's cosine
MOST_COMPARED = 4096  # crops: a hundred values against each of a million would take seconds

Cosines = Callable[[np.ndarray], np.ndarray]  # unit rows (q, dim) -> (q, n)


class AttributeEvidence:
    """Remembers the text vectors of each kind's values for one encoder. Thread-safe."""

    def __init__(self, encoder: ClipEncoder) -> None:
        self._encoder = encoder
        self._rows: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def __call__(
        self, cosines: Cosines, wanted: Sequence[Attribute], unwanted: Sequence[Attribute]
    ) -> np.ndarray:
        """float32 (n,), 0 or less: what the attributes add to the description's cosine; a plain 0 without any."""
        total = log_stated(lambda kind: self._shares(cosines, kind), wanted, unwanted)
        return np.asarray(SHARE * total, np.float32)

    def alike(self, cosines: Cosines, vectors: np.ndarray, kinds: Sequence[str] = tuple(KINDS)) -> np.ndarray:
        """float32 (n,), -1..1: how far crops show the same attributes as the pictures of one person.

        1 where every kind certainly shows one value in both, -1 where none does: the mean over the kinds of the
        logarithm of that chance. vectors: unit rows (r, dim) of the pictures; their shares are averaged.
        """
        if not kinds:
            return np.zeros(cosines(vectors[:1]).shape[1], np.float32)
        total = log_alike(
            lambda kind: self._shares(lambda rows: rows @ vectors.T, kind),
            lambda kind: self._shares(cosines, kind),
            kinds,
        )
        return np.asarray(1 - 2 * total / (len(kinds) * math.log(LEAST_ALIKE)), np.float32)

    def read(self, vector: np.ndarray) -> tuple[AttributeReading, ...]:
        """The likeliest value of each kind for a crop's unit vector (dim,), with its share among the values."""
        shares = [self._shares(lambda rows: rows @ vector[:, None], kind)[:, 0] for kind in KINDS]
        return readings(np.concatenate(shares))

    def _shares(self, cosines: Cosines, kind: str) -> np.ndarray:
        """float64 (values, n): the softmax over a kind's values, crop by crop."""
        logits = cosines(self._vectors(kind)).astype(np.float64) * SHARPNESS
        logits = np.exp(logits - logits.max(0, keepdims=True))
        return logits / logits.sum(0, keepdims=True)

    def _vectors(self, kind: str) -> np.ndarray:
        with self._lock:
            if kind not in self._rows:
                texts = [describe((Attribute(kind, value),)) for value in KINDS[kind]]
                self._rows[kind] = self._encoder.encode_texts(texts)
            return self._rows[kind]


def readings(shares: np.ndarray) -> tuple[AttributeReading, ...]:
    """The likeliest value of each kind by one crop's shares, float (all values,)."""
    return tuple(AttributeReading(attribute, share) for attribute, share in likeliest(shares))


def surer(
    first: Sequence[AttributeReading], second: Sequence[AttributeReading]
) -> tuple[AttributeReading, ...]:
    """Of two readings of one picture, kind by kind the more confident; in the vocabulary's order.

    Colours of a thing that is not there, or of hair that is not, are left out.
    """
    best: dict[str, AttributeReading] = {}
    for reading in [*first, *second]:
        kind = reading.attribute.kind
        if kind not in best or reading.confidence > best[kind].confidence:
            best[kind] = reading
    for thing, colour in COLOUR_OF.items():
        if thing in best and best[thing].attribute.value in ("none", "bald"):
            best.pop(colour, None)
    return tuple(best[kind] for kind in KINDS if kind in best)


def text_similarity(
    evidence: AttributeEvidence,
    cosines: Cosines,
    description: np.ndarray,
    wanted: Sequence[Attribute],
    unwanted: Sequence[Attribute],
) -> np.ndarray:
    """float32 (n,), -1..1: the description's cosine (its unit row is (dim,)) and the attributes' evidence."""
    whole = cosines(description[None])[0]
    return np.clip(whole + evidence(cosines, wanted, unwanted), -1, 1).astype(np.float32)


def picture_similarity(
    evidence: AttributeEvidence,
    cosines: Cosines,
    vectors: np.ndarray,
    share: float,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    among: Callable[[np.ndarray], Cosines] | None = None,
) -> np.ndarray:
    """float32 (n,), -1..1: the cosine to the mean of the pictures' unit rows (r, dim), and a share of the attributes.

    Args:
        share: 0..1, of the attributes; 0 asks for none. kinds: of attributes, to compare.
        among: the cosines to some crops alone, by their places. With it the attributes of no more than the
            MOST_COMPARED nearest crops are compared; the others count as unlike, and stay behind them.
    """
    mean = vectors.mean(axis=0)
    whole = cosines((mean / max(float(np.linalg.norm(mean)), 1e-12))[None])[0]
    if not share:
        return whole.astype(np.float32)
    if among is None or len(whole) <= MOST_COMPARED:
        alike = evidence.alike(cosines, vectors, kinds)
    else:
        near = np.sort(np.argpartition(-whole, MOST_COMPARED)[:MOST_COMPARED])
        alike = np.full(len(whole), -1, np.float32)
        alike[near] = evidence.alike(among(near), vectors, kinds)
    return ((1 - share) * whole + share * alike).astype(np.float32)
