"""What CLIP and the model see of crops, attribute by attribute.

One vector for a whole description blurs five attributes into one another; each attribute against the other
values of its kind ("a red top" against "a blue top", ...) tells them apart. In the same way two pictures
are compared kind by kind. Measured on the demo gallery by `python -m tests.benchmarks.find_people`.

Of the crops that the model reads too, each kind's shares are those of both readers together, each weighed by
how far it is to be trusted in that kind: one sees the colour of a bag better, the other the build.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from app.model.annotation import AttributeReading
from app.model.vocabulary import COLOUR_OF, KINDS, Attribute, describe
from app.retrieval.shares import Readers, Shares, Usual, joint, likeliest, softmax, usual_shares
from gallery_store.encoder import ClipEncoder

SHARPNESS = 30.0  # of the softmax over a kind's values, per unit of cosine

Cosines = Callable[[np.ndarray], np.ndarray]  # unit rows (q, dim) -> (q, n)


@dataclass(frozen=True)
class Seen:
    """n crops as they are compared: the cosines of unit rows to them, and their shares of each kind's values."""

    cosines: Cosines
    shares: Shares


@dataclass(frozen=True)
class Looks:
    """A few pictures as they are compared: unit rows float32 (n, dim), and their shares of each kind's values."""

    vectors: np.ndarray
    shares: Shares

    @property
    def seen(self) -> Seen:
        return Seen(lambda rows: rows @ self.vectors.T, self.shares)


class AttributeEvidence:
    """Remembers the text vectors of each kind's values for one encoder. Thread-safe."""

    def __init__(self, encoder: ClipEncoder) -> None:
        self._encoder = encoder
        self._rows: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def seen(self, cosines: Cosines) -> Seen:
        """Crops by CLIP alone."""
        return Seen(cosines, self.shares(cosines))

    def looks(
        self, vectors: np.ndarray, read: np.ndarray | None = None, readers: Readers | None = None
    ) -> Looks:
        """Pictures of unit rows (n, dim) by CLIP, or with the model's rows `read` by both readers."""
        return Looks(vectors, self.shares(lambda rows: rows @ vectors.T, read, readers))

    def usual(self, cosines: Cosines) -> Usual:
        """How common each value is among crops, by CLIP."""
        return usual_shares(self.shares(cosines))

    def shares(
        self, cosines: Cosines, read: np.ndarray | None = None, readers: Readers | None = None
    ) -> Shares:
        """Each kind's shares of n crops, float64 (values, n): CLIP's, or both readers'.

        read: float (n, all values), the model's shares, NaN rows where it did not read.
        """
        if read is None or readers is None:
            return lambda kind: softmax(self.cosines(cosines, kind).astype(np.float64) * SHARPNESS)
        return joint(lambda kind: self.cosines(cosines, kind), read, readers)

    def cosines(self, cosines: Cosines, kind: str) -> np.ndarray:
        """float32 (values, n): of crops to the words for each of a kind's values."""
        return cosines(self._vectors(kind))

    def read(
        self, vector: np.ndarray, read: np.ndarray | None = None, readers: Readers | None = None
    ) -> tuple[AttributeReading, ...]:
        """The likeliest value of each kind, with its share, for a crop's unit vector (dim,): by CLIP, or with the
        model's shares (all values,) by both readers."""
        shares = self.looks(vector[None], None if read is None else read[None], readers).shares
        return readings(np.concatenate([shares(kind)[:, 0] for kind in KINDS]))

    def _vectors(self, kind: str) -> np.ndarray:
        with self._lock:
            if kind not in self._rows:
                texts = [describe((Attribute(kind, value),)) for value in KINDS[kind]]
                self._rows[kind] = self._encoder.encode_texts(texts)
            return self._rows[kind]


def readings(shares: np.ndarray) -> tuple[AttributeReading, ...]:
    """The likeliest value of each kind by one crop's shares, float (all values,)."""
    return tuple(AttributeReading(attribute, share) for attribute, share in likeliest(shares))


def sensible(read: Sequence[AttributeReading]) -> tuple[AttributeReading, ...]:
    """Without the colours of a thing that is not there, or of hair that is not."""
    said = {one.attribute.kind: one.attribute.value for one in read}
    gone = {colour for thing, colour in COLOUR_OF.items() if said.get(thing) in ("none", "bald")}
    return tuple(one for one in read if one.attribute.kind not in gone)
