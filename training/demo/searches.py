"""Searches over a pool with their truth, as the engine makes them: what the demo models are calibrated on.

The parts of a similarity are kept apart, since calibration weighs them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from app.model.checkpoint import AffinityWeights, KindOfQuery, Reader
from app.model.description import query_description
from app.model.vocabulary import Attribute
from app.retrieval.affinity import affinity, pooled_crops, pooled_model_probs, pooled_query
from app.retrieval.attribute_probs import (
    ClipAttributes,
    FusionWeights,
    PictureAppearance,
    Priors,
    attribute_score,
    by_kinds,
    comparable_kinds,
)
from app.retrieval.fusion import picture_similarity, text_similarity
from gallery_store.encoder import ClipEncoder
from training.calibration.by_kind import average_precision
from training.demo.pool import Pool
from training.synthetic.captions import fragment
from training.synthetic.truth import TOLD_CHANGES, satisfies, value_indices

STATED_SHARE = 1 / 12  # as Calibration.stated_share
ROUNDS = 2  # of questions about each crop, where there are other words to ask it in
VIEWS = 2  # of an outfit in the gallery: a person who is there is often seen once or twice, not four times


def split_pool(pool: Pool, present: float) -> tuple[np.ndarray, np.ndarray]:
    """int64 rows of the pool: the gallery, and the crops of people who are not in it.

    Every second family of those who are there is there with one person only: half of a gallery's families have
    look-alikes in it. present: the share of the families that are there, 0..1.
    """
    families = np.unique(pool.family)
    inside = families[: int(len(families) * present)]
    first = {family: pool.person[pool.family == family].min() for family in inside[1::2]}
    alone = np.array(
        [person == first.get(family, person) for person, family in zip(pool.person, pool.family, strict=True)]
    )
    there = np.isin(pool.family, inside)
    view = np.arange(len(pool)) - np.searchsorted(pool.clothes, pool.clothes)  # crops come outfit by outfit
    return np.flatnonzero(there & alone & (view < VIEWS)), np.flatnonzero(~there)


@dataclass(frozen=True)
class PoolSearch:
    """One query: what CLIP and the model are asked, and the truth over the gallery's rows.

    wanted, reference: as far as there are; same, unsure: bool (gallery,). other_clothes: the query says that
    clothes may be others.
    """

    wanted: tuple[Attribute, ...]
    reference: int | None
    same: np.ndarray
    unsure: np.ndarray
    other_clothes: bool = False

    def ap(self, scores: np.ndarray) -> float:
        """Average precision over the gallery."""
        return float(average_precision(scores[None], self.same[None], self.unsure[None])[0])


Make = Callable[[Pool, int, np.ndarray, np.random.Generator], "PoolSearch | None"]


def searches(
    make: Make, pool: Pool, about: np.ndarray, gallery: np.ndarray, rng: np.random.Generator, count: int
) -> list[PoolSearch]:
    """At most `count` queries about rows of `about`; over the gallery itself each has a match, over others it has none.

    Each row is asked about once, and where words are asked in up to ROUNDS ways.
    """
    made: list[PoolSearch] = []
    known: set[tuple[int | None, frozenset[Attribute], bytes]] = set()
    wanted = about is gallery
    for _ in range(ROUNDS):
        for row in rng.permutation(about):
            search = make(pool, int(row), gallery, rng)
            if search is None or bool(search.same.any()) != wanted:
                continue
            asked = (search.reference, frozenset(search.wanted), search.same.tobytes())
            if asked not in known:
                known.add(asked)
                made.append(search)
            if len(made) == count:
                return made
    return made


def _by_text(pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator) -> PoolSearch:
    """As somebody tells who saw the person: the very crop that is told of is not what is looked for."""
    stated = fragment(pool.seen(row), rng, int(rng.integers(2, 7)))
    fits, unsure = satisfies(
        value_indices(stated, pool.kinds)[None], pool.attributes[gallery], pool.visible[gallery]
    )
    itself = gallery == row
    unsure = unsure[:, 0] | itself
    return PoolSearch(_attributes(stated), None, fits[:, 0] & ~unsure, unsure)


def _by_image(pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator) -> PoolSearch:
    """As the person is seen; in other clothes they are right too, and asked for by saying so."""
    itself, clothes = gallery == row, pool.clothes[gallery] == pool.clothes[row]
    person = pool.person[gallery] == pool.person[row]
    return PoolSearch((), row, clothes & ~itself, itself | (person & ~clothes))


def _by_picture_in_other_clothes(
    pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator
) -> PoolSearch:
    person, clothes = pool.person[gallery] == pool.person[row], pool.clothes[gallery] == pool.clothes[row]
    return PoolSearch((), row, person & ~clothes, (person & clothes) | (gallery == row), other_clothes=True)


def _by_both(pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator) -> PoolSearch | None:
    person = np.flatnonzero((pool.person == pool.person[row]) & (pool.clothes != pool.clothes[row]))
    before, after = pool.seen(row), pool.seen(int(rng.choice(person)))
    changed = [k for k in TOLD_CHANGES if k in after and after[k] != before.get(k)]
    if not changed:
        return None
    change = {k: after[k] for k in rng.permutation(changed)[: int(rng.integers(1, 4))]}
    fits, unsure = satisfies(
        value_indices(change, pool.kinds)[None], pool.attributes[gallery], pool.visible[gallery]
    )
    same = pool.person[gallery] == pool.person[row]
    right, unsure = same & fits[:, 0], (same & unsure[:, 0]) | (gallery == row)
    return PoolSearch(_attributes(change), row, right & ~unsure, unsure)


MAKES: dict[KindOfQuery, Make] = {
    "text": _by_text,
    "image": _by_image,
    "image-plus-text": _by_both,
    "image-other-clothes": _by_picture_in_other_clothes,
}


def _attributes(stated: dict[str, str]) -> tuple[Attribute, ...]:
    return tuple(Attribute(kind, value) for kind, value in stated.items())


@dataclass(frozen=True)
class PoolGallery:
    """rows of the pool that are searched, with every row's CLIP vector and the model's attribute probabilities."""

    encoder: ClipEncoder
    clip: ClipAttributes
    vectors: np.ndarray
    rows: np.ndarray
    priors: Priors
    model_probs: np.ndarray | None = None
    fusion_weights: FusionWeights | None = None
    affinity_weights: Mapping[Reader, AffinityWeights] = field(default_factory=dict)

    def appearance(self, rows: np.ndarray | list[int], both: bool) -> PictureAppearance:
        """Rows of the pool by CLIP, or by both readers."""
        if not both:
            return self.clip.appearance(self.vectors[rows])
        assert self.model_probs is not None
        return self.clip.appearance(self.vectors[rows], self.model_probs[rows], self.fusion_weights)

    def parts(self, search: PoolSearch, among: np.ndarray | None = None) -> SimilarityParts:
        """What the engine's similarity is made of; for some rows of the pool, int64 (n,), by both readers, and
        pooled with those of their outfit among these rows."""
        crops = self.appearance(self.rows if among is None else among, among is not None)
        reference = None
        if search.reference is not None:
            reference = self.appearance([search.reference], among is not None)
        if among is not None and "both" in self.affinity_weights:
            weights = self.affinity_weights["both"]
            if reference is not None and (search.wanted or search.other_clothes):
                reference = pooled_query(reference, crops, weights, self.priors)
            crops = pooled_crops(crops, affinity(crops, weights, self.priors))
        words = cosine = alike = None
        if search.wanted:
            vector = self.encoder.encode_texts([query_description(search.wanted)])[0]
            words = text_similarity(crops, vector, search.wanted, (), STATED_SHARE)
        if reference is not None:
            kinds = comparable_kinds(self.clip.kinds, search.wanted, search.other_clothes)
            cosine, alike = (
                picture_similarity(reference, crops, share, self.priors, kinds=kinds) for share in (0, 1)
            )
        return SimilarityParts(words, cosine, alike)

    def attribute_score(self, search: PoolSearch, among: np.ndarray) -> np.ndarray:
        """float64 (n,): how well rows of the pool fit by what the model alone reads off them and off their outfit."""
        assert self.model_probs is not None
        kinds, reference = self.clip.kinds, None
        if search.reference is not None:
            reference = by_kinds(self.model_probs[[search.reference]], kinds)
        probs = self.model_probs[among]
        if "model" in self.affinity_weights:
            probs = pooled_model_probs(probs, self.affinity_weights["model"], self.priors, kinds)
        stated = (search.wanted, (), search.other_clothes)
        return np.zeros(len(among)) + attribute_score(by_kinds(probs, kinds), reference, *stated, self.priors)

    def nearest(self, search: PoolSearch, similarities: np.ndarray) -> np.ndarray:
        """int64 (gallery,): places, most similar first, the query's own picture last."""
        own = -1 if search.reference is None else search.reference
        return np.argsort(-np.where(self.rows == own, -2, similarities), kind="stable")


@dataclass(frozen=True)
class SimilarityParts:
    """Float (gallery,) each, None where the search has no words or no picture."""

    words: np.ndarray | None
    cosine: np.ndarray | None
    alike: np.ndarray | None

    def similarity(self, text: float, attributes: float) -> np.ndarray:
        """As the engine's: by the words, by the picture, or a share of each."""
        if self.cosine is None or self.alike is None:
            assert self.words is not None
            return self.words
        picture = (1 - attributes) * self.cosine + attributes * self.alike
        return picture if self.words is None else text * self.words + (1 - text) * picture
