"""Attribute probabilities: how likely a picture shows each value of each kind, by CLIP, by the model, or by both.

One vector for a whole description blurs five attributes into one another; each attribute against the other
values of its kind ("a red top" against "a blue top", ...) tells them apart. In the same way two pictures
are compared kind by kind. Measured on the demo gallery by `python -m tests.benchmarks.find_people`.

Of the crops that the model reads too, each kind's probabilities are those of both readers together, each weighed by
how far it is to be trusted in that kind: one sees the colour of a bag better, the other the build.

Throughout, `probs[kind]` is float64 (values, n), or float16 where it is kept for a whole gallery: of n pictures, over
the kind's values in the vocabulary's order, each column adding up to 1; `priors[kind]` is float64 (values,): how common
each value is in the gallery.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from app.model.answers import AttributeReading
from app.model.vocabulary import ALL_KINDS, COLOUR_OF, KINDS, LASTING, Attribute, Kinds, describe
from gallery_store.encoder import WordEncoder

LEAST = 1e-4  # a probability below this counts as this: one attribute never decides alone
LEAST_MODEL = 1e-6  # of the model's, before it is weighed against CLIP's
MOST_RATIO = 6.0  # of a kind's log-ratio either way: one rare value never decides alone
# Kinds whose values people take for one another: clothes, bags and their colours. What is misread of the person in a
# small picture (an age, long hair) is seldom misremembered, and would leave the word without a meaning.
CONFUSED = tuple(
    kind for kind in ALL_KINDS if kind not in (*LASTING, "upper_pattern", "shoe_colour", "umbrella")
)
LEAST_CONFUSED, FEWEST_SEEN = 0.01, 20
SURE_SEEN = 50  # pictures of a value, with which what is measured of it counts as much as what is usual

Probs = Mapping[str, np.ndarray]
Priors = Mapping[str, np.ndarray]
FusionWeights = Mapping[
    str, tuple[float, float]
]  # kind -> weights of CLIP's cosine and the model's log-probability
# kind -> value said -> another value that is seen -> how far it counts as the one said, 0..1
Confusion = Mapping[str, Mapping[str, Mapping[str, float]]]


class LazyProbs(Mapping[str, np.ndarray]):
    """Computes a kind's array when it is first asked for: most searches ask for a few kinds.

    kinds: in the vocabulary's order, all that whoever reads here knows.
    """

    def __init__(self, of_kind: Callable[[str], np.ndarray], kinds: Iterable[str]) -> None:
        self._of_kind, self._kinds = of_kind, tuple(kinds)
        self._known: dict[str, np.ndarray] = {}

    def __getitem__(self, kind: str) -> np.ndarray:
        if kind not in self._known:
            self._known[kind] = self._of_kind(kind)
        return self._known[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)


class Appearance(Protocol):
    """n pictures as they are compared. confusion: of the values that words name; empty where none was measured."""

    @property
    def probs(self) -> Probs: ...

    @property
    def confusion(self) -> Confusion: ...

    def cosines(self, rows: np.ndarray) -> np.ndarray:
        """Of unit rows float32 (q, dim) to the pictures' vectors, float32 (q, n)."""


@dataclass(frozen=True)
class PictureAppearance:
    """A few pictures whose vectors are at hand: unit rows float32 (n, dim)."""

    vectors: np.ndarray
    probs: Probs
    confusion: Confusion = field(default_factory=dict)

    def cosines(self, rows: np.ndarray) -> np.ndarray:
        return rows @ self.vectors.T


class ClipAttributes:
    """Reads attributes by CLIP, from the cosines to the words for each value. Thread-safe; remembers those vectors.

    sharpness: of the softmax over a kind's values, per unit of cosine; None takes the encoder's own.
    confusion: of values that words name, for all pictures that are read here. kinds: of attributes, and their values,
    that are read.
    """

    def __init__(
        self,
        encoder: WordEncoder,
        sharpness: float | None = None,
        confusion: Confusion | None = None,
        kinds: Kinds = KINDS,
    ) -> None:
        self._encoder = encoder
        self.kinds = kinds
        self.confusion: Confusion = confusion or {}
        self._sharpness = encoder.logit_scale if sharpness is None else sharpness
        self._vectors: dict[str, np.ndarray] = {}
        self._lock = threading.Lock()

    def vectors(self, kind: str) -> np.ndarray:
        """float32 (values, dim), unit rows: the words for each of a kind's values."""
        with self._lock:
            if kind not in self._vectors:
                texts = [describe((Attribute(kind, value),)) for value in self.kinds[kind]]
                self._vectors[kind] = self._encoder.encode_texts(texts)
            return self._vectors[kind]

    def probs(self, cosines: Callable[[np.ndarray], np.ndarray]) -> LazyProbs:
        """By CLIP alone. cosines: unit rows (q, dim) -> float32 (q, n)."""
        return LazyProbs(lambda kind: self.of_values(cosines(self.vectors(kind))), self.kinds)

    def of_values(self, cosines: np.ndarray) -> np.ndarray:
        """float64 (values, n): probabilities of one kind, by the cosines (values, n) to the words for its values."""
        return softmax(cosines.astype(np.float64) * self._sharpness)

    def slope(self, kind: str, counts: np.ndarray, at: np.ndarray) -> np.ndarray:
        """float64 (dim,): how log(counts @ probs) of one kind grows with a picture's vector, where probs is `at`.

        counts, at: (values,).
        """
        part = counts * at
        return self._sharpness * ((part / max(float(part.sum()), LEAST) - at) @ self.vectors(kind))

    def appearance(
        self,
        vectors: np.ndarray,
        model_probs: np.ndarray | None = None,
        weights: FusionWeights | None = None,
    ) -> PictureAppearance:
        """Pictures of unit rows float32 (n, dim): by CLIP, or with both of the others by both readers.

        model_probs: float32 (n, all values), the model's; NaN rows where it did not read: there CLIP speaks alone.
        """
        if model_probs is None or weights is None:
            return PictureAppearance(vectors, self.probs(lambda rows: rows @ vectors.T), self.confusion)
        by_kind = by_kinds(model_probs, self.kinds)

        def joint(kind: str) -> np.ndarray:
            return joint_probs(self.vectors(kind) @ vectors.T, by_kind[kind], weights[kind])

        return PictureAppearance(vectors, LazyProbs(joint, self.kinds), self.confusion)

    def readings(
        self,
        vector: np.ndarray,
        model_probs: np.ndarray | None = None,
        weights: FusionWeights | None = None,
    ) -> tuple[AttributeReading, ...]:
        """The likeliest value of each kind for a picture's unit vector (dim,): by CLIP, or with the model's
        probabilities (all values,) by both readers."""
        rows = None if model_probs is None else model_probs[None]
        (readings,) = likeliest(self.appearance(vector[None], rows, weights).probs, 1)
        return readings


def softmax(logits: np.ndarray) -> np.ndarray:
    """float64 (values, n), each column adding up to 1."""
    powers = np.exp(logits - logits.max(0, keepdims=True))
    return powers / powers.sum(0, keepdims=True)


def by_kinds(rows: np.ndarray, kinds: Kinds = KINDS) -> dict[str, np.ndarray]:
    """Rows as the model gives them, (n, all values) of its kinds in their order, as kind -> (values, n)."""
    ends = np.cumsum([len(values) for values in kinds.values()])
    return dict(zip(kinds, np.split(rows.T, ends[:-1]), strict=True))


def joint_probs(cosines: np.ndarray, model_probs: np.ndarray, weights: tuple[float, float]) -> np.ndarray:
    """float64 (values, n) of one kind by both readers: softmax of weights[0] * cosine + weights[1] * log-probability.

    Args:
        cosines: (values, n), CLIP's, to each value's words. model_probs: (values, n); NaN where the model did not
            read: there CLIP speaks alone.
    """
    clip, model = weights
    log_probs = np.nan_to_num(np.log(np.clip(model_probs.astype(np.float64), LEAST_MODEL, 1)))
    return softmax(clip * cosines.astype(np.float64) + model * log_probs)


def gallery_priors(probs: Probs) -> LazyProbs:
    """How common each value is among n crops; one crop more counts, that shows all values alike."""

    def prior(kind: str) -> np.ndarray:
        of_kind = probs[kind]
        return (of_kind.sum(1, dtype=np.float64) + 1 / len(of_kind)) / (of_kind.shape[1] + 1)

    return LazyProbs(prior, probs)


def log_stated(
    probs: Probs,
    wanted: Sequence[Attribute],
    unwanted: Sequence[Attribute],
    confusion: Confusion | None = None,
) -> np.ndarray | float:
    """float64 (n,), 0 or less: the summed log-probabilities that pictures show this and not that; 0 of nothing.

    Another value than the one wanted counts as far as people confuse the two.
    """
    total: np.ndarray | float = 0.0
    for attribute, sign in [*((a, 1) for a in wanted), *((a, -1) for a in dict.fromkeys(unwanted))]:
        values = ALL_KINDS[attribute.kind]  # an older version's stand in the same places
        of_kind = probs[attribute.kind]
        prob = of_kind[values.index(attribute.value)]
        if prob.dtype == np.float16:  # kept for a whole gallery
            prob = prob.astype(np.float32)
        if sign > 0 and confusion:
            near = confusion.get(attribute.kind, {}).get(attribute.value, {})
            prob = prob + sum(share * of_kind[values.index(value)] for value, share in near.items())
        total = total + np.log(np.clip(prob if sign > 0 else 1 - prob, LEAST, 1))
    return total


def measured_confusion(probs: Probs, visible: np.ndarray) -> Confusion:
    """How far other values count as one that is said, by how often pictures of them are read as it.

    Of the kinds CONFUSED. A value counts as another by the mean probability of that other in pictures that show it,
    as a share of what pictures of the other itself get; drawn towards what is usual of all pictures that show another
    value, as if SURE_SEEN of those had been seen too, for few pictures say little. What comes to less than
    LEAST_CONFUSED, or was seen in fewer than FEWEST_SEEN pictures, is left out.

    Args:
        visible: int (n, kinds), the value that each picture shows; -1 for none. Its kinds are those of `probs`.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for column, kind in enumerate(probs):
        if kind not in CONFUSED:
            continue
        values = ALL_KINDS[kind][: len(probs[kind])]
        shows = [visible[:, column] == number for number in range(len(values))]
        count = {value: int(shown.sum()) for value, shown in zip(values, shows, strict=True)}
        mean = {
            value: probs[kind][:, shown].mean(1)
            for value, shown in zip(values, shows, strict=True)
            if count[value] >= FEWEST_SEEN
        }
        known = visible[:, column] >= 0
        for said in mean if len(mean) > 1 else ():
            number = values.index(said)
            usual = float(probs[kind][number, known & ~shows[number]].mean())
            near = {
                seen: round(
                    min(
                        1.0,
                        (count[seen] * float(mean[seen][number]) + SURE_SEEN * usual)
                        / ((count[seen] + SURE_SEEN) * float(mean[said][number])),
                    ),
                    3,
                )
                for seen in mean
                if seen != said
            }
            if near := {seen: share for seen, share in near.items() if share >= LEAST_CONFUSED}:
                found.setdefault(kind, {})[said] = near
    return found


def rarity(priors: Priors, wanted: Sequence[Attribute], unwanted: Sequence[Attribute]) -> float:
    """Nats, 0 or more: how rare in the gallery is what is said, the logarithm of one crop in so many."""
    common = log_stated(LazyProbs(lambda kind: priors[kind][:, None], priors), wanted, unwanted)
    return -float(np.sum(common))


def log_ratios(first: Probs, second: Probs, kinds: Sequence[str], priors: Priors) -> np.ndarray:
    """float64 (m, n): summed log-ratios of n pictures showing what each of m does, to showing it by chance.

    A kind's ratio is the sum over its values of p(first) * p(second) / prior: a value that both show says the more
    the rarer it is, and a kind that does not show (read as the priors) says nothing.

    Args:
        kinds: one at least.
    """
    ratios = (((first[kind].T / priors[kind]) @ second[kind]) for kind in kinds)
    most = math.exp(MOST_RATIO)
    return np.sum([np.log(np.clip(ratio, 1 / most, most)) for ratio in ratios], axis=0)


def log_same(own: Probs, probs: Probs, kinds: Sequence[str], priors: Priors) -> np.ndarray | float:
    """float64 (n,): `log_ratios` against pictures of one person, whose probabilities are averaged; 0 of no kinds."""
    if not kinds:
        return 0.0
    mean = LazyProbs(lambda kind: own[kind].mean(1, keepdims=True), own)
    return log_ratios(mean, probs, kinds, priors)[0]


def comparable_kinds(
    kinds: Iterable[str], stated: Sequence[Attribute], other_clothes: bool = False
) -> tuple[str, ...]:
    """The kinds, among those that are read, in which a picture is compared beside such words.

    Words beside a picture mostly tell of other clothes: then only what outlasts them, and is not said anew.
    """
    said = {attribute.kind for attribute in stated}
    return tuple(kind for kind in LASTING if kind not in said) if stated or other_clothes else tuple(kinds)


def attribute_score(
    probs: Probs,
    own: Probs | None,
    wanted: Sequence[Attribute],
    unwanted: Sequence[Attribute],
    other_clothes: bool,
    priors: Priors,
) -> np.ndarray | float:
    """float64 (n,): how well crops fit a query by their attributes, as a log-ratio.

    Args:
        probs: of the crops. own: of the query's pictures; None without any. wanted, unwanted, other_clothes: what
            the query says.
    """
    total = log_stated(probs, wanted, unwanted)
    return (
        total
        if own is None
        else total + log_same(own, probs, comparable_kinds(probs, wanted, other_clothes), priors)
    )


def likeliest(probs: Probs, count: int) -> list[tuple[AttributeReading, ...]]:
    """For each of `count` pictures the likeliest value of each kind, with its probability."""
    best = {kind: of_kind.argmax(0) for kind, of_kind in probs.items()}
    return [
        tuple(
            AttributeReading(
                Attribute(kind, ALL_KINDS[kind][places[number]]), float(probs[kind][places[number], number])
            )
            for kind, places in best.items()
        )
        for number in range(count)
    ]


def sensible(readings: Sequence[AttributeReading]) -> tuple[AttributeReading, ...]:
    """Without the colours of a thing that is not there, or of hair that is not."""
    values = {reading.attribute.kind: reading.attribute.value for reading in readings}
    gone = {colour for thing, colour in COLOUR_OF.items() if values.get(thing) in ("none", "bald")}
    return tuple(reading for reading in readings if reading.attribute.kind not in gone)
