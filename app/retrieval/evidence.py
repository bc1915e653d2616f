"""What CLIP and the model say attribute by attribute, beside what CLIP says of a whole description or picture.

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
from app.retrieval.shares import (
    MOST_ALIKE,
    Readers,
    Shares,
    Usual,
    joint,
    likeliest,
    log_alike,
    log_stated,
    softmax,
    usual_shares,
)
from gallery_store.encoder import ClipEncoder

SHARPNESS = 30.0  # of the softmax over a kind's values, per unit of cosine
SHARE = 1 / 12  # of the summed log-shares, beside the description's cosine
MOST_COMPARED = 4096  # crops: a hundred values against each of a million would take seconds

Cosines = Callable[[np.ndarray], np.ndarray]  # unit rows (q, dim) -> (q, n)


@dataclass(frozen=True)
class SecondReader:
    """What the model read, beside CLIP.

    crops: float (n, all values), its shares of the crops compared; own: (r, all values), of the query's pictures.
    NaN rows where it did not read. readers: how the two are weighed.
    """

    crops: np.ndarray
    own: np.ndarray
    readers: Readers

    @property
    def of_crops(self) -> tuple[np.ndarray, Readers]:
        return self.crops, self.readers

    @property
    def of_own(self) -> tuple[np.ndarray, Readers]:
        return self.own, self.readers


class AttributeEvidence:
    """Remembers the text vectors of each kind's values for one encoder. Thread-safe."""

    def __init__(self, encoder: ClipEncoder) -> None:
        self._encoder = encoder
        self._rows: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def __call__(
        self,
        cosines: Cosines,
        wanted: Sequence[Attribute],
        unwanted: Sequence[Attribute],
        second: SecondReader | None = None,
    ) -> np.ndarray:
        """float32 (n,), 0 or less: what the attributes add to the description's cosine; a plain 0 without any."""
        shares = self.shares(cosines, *(second.of_crops if second else ()))
        return np.asarray(SHARE * log_stated(shares, wanted, unwanted), np.float32)

    def alike(
        self,
        cosines: Cosines,
        vectors: np.ndarray,
        kinds: Sequence[str] = tuple(KINDS),
        second: SecondReader | None = None,
        usual: Usual | None = None,
    ) -> np.ndarray:
        """float32 (n,), -1..1: how far crops show the same attributes as the pictures of one person.

        The mean over the kinds of the log-ratio to chance, in units of the greatest that counts; 0 where nothing
        speaks for or against. vectors: unit rows (r, dim) of the pictures; their shares are averaged. usual: of the
        gallery; None takes that of these crops.
        """
        if not kinds:
            return np.zeros(cosines(vectors[:1]).shape[1], np.float32)
        total = log_alike(
            self.shares(lambda rows: rows @ vectors.T, *(second.of_own if second else ())),
            self.shares(cosines, *(second.of_crops if second else ())),
            kinds,
            usual or self.usual(cosines),
        )
        return np.asarray(total / (len(kinds) * MOST_ALIKE), np.float32)

    def usual(self, cosines: Cosines) -> Usual:
        """How common each value is among crops, by CLIP."""
        return usual_shares(self.shares(cosines))

    def shares(
        self, cosines: Cosines, read: np.ndarray | None = None, readers: Readers | None = None
    ) -> Shares:
        """Each kind's shares of n crops, float64 (values, n): CLIP's, or with the model's rows `read` both readers'."""

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
        rows = None if read is None else read[None]
        shares = self.shares(lambda texts: texts @ vector[:, None], rows, readers)
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


def text_similarity(
    evidence: AttributeEvidence,
    cosines: Cosines,
    description: np.ndarray,
    wanted: Sequence[Attribute],
    unwanted: Sequence[Attribute],
    second: SecondReader | None = None,
) -> np.ndarray:
    """float32 (n,), -1..1: the description's cosine (its unit row is (dim,)) and the attributes' evidence."""
    whole = cosines(description[None])[0]
    return np.clip(whole + evidence(cosines, wanted, unwanted, second), -1, 1).astype(np.float32)


def picture_similarity(
    evidence: AttributeEvidence,
    cosines: Cosines,
    vectors: np.ndarray,
    share: float,
    *,
    kinds: Sequence[str] = tuple(KINDS),
    among: Callable[[np.ndarray], Cosines] | None = None,
    second: SecondReader | None = None,
    usual: Usual | None = None,
) -> np.ndarray:
    """float32 (n,), -1..1: the cosine to the mean of the pictures' unit rows (r, dim), and a share of the attributes.

    Args:
        share: 0..1, of the attributes; 0 asks for none. kinds: of attributes, to compare.
        among: the cosines to some crops alone, by their places. With it the attributes of no more than the
            MOST_COMPARED nearest crops are compared; the others count as unlike, and stay behind them.
        second: of all these crops, few enough to be compared. usual: of the gallery; None takes that of the crops
            compared.
    """
    mean = vectors.mean(axis=0)
    whole = cosines((mean / max(float(np.linalg.norm(mean)), 1e-12))[None])[0]
    if not share:
        return whole.astype(np.float32)
    if among is None or len(whole) <= MOST_COMPARED:
        alike = evidence.alike(cosines, vectors, kinds, second, usual)
    else:
        near = np.sort(np.argpartition(-whole, MOST_COMPARED)[:MOST_COMPARED])
        alike = np.full(len(whole), -1, np.float32)
        alike[near] = evidence.alike(among(near), vectors, kinds, usual=usual)
    return ((1 - share) * whole + share * alike).astype(np.float32)
