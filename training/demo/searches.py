"""The searches that the demo models are calibrated on: for people who are in a gallery, and for people who are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.model.vocabulary import Attribute
from training.demo.lists import TOLD_CHANGES
from training.demo.pool import Pool, value_indices
from training.demo.sampling import satisfies
from training.synthetic.captions import fragment

VIEWS = 2  # of an outfit in the gallery: a person who is there is often seen once or twice, not four times


def split(pool: Pool, present: float) -> tuple[np.ndarray, np.ndarray]:
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
class Search:
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
        return average_precision(scores, self.same, self.unsure)


Make = Callable[[Pool, int, np.ndarray, np.random.Generator], "Search | None"]


def searches(
    make: Make, pool: Pool, about: np.ndarray, gallery: np.ndarray, rng: np.random.Generator, count: int
) -> list[Search]:
    """Queries about rows of `about`; over the gallery itself each has a match, over others it has none."""
    found: list[Search] = []
    wanted = about is gallery
    for row in rng.permutation(about):
        search = make(pool, int(row), gallery, rng)
        if search is not None and bool(search.same.any()) == wanted:
            found.append(search)
        if len(found) == count:
            break
    return found


def _by_text(pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator) -> Search:
    """As somebody tells who saw the person: the very crop that is told of is not what is looked for."""
    said = fragment(pool.seen(row), rng, int(rng.integers(2, 7)))
    fits, unsure = satisfies(value_indices(said)[None], pool.attributes[gallery], pool.visible[gallery])
    own = gallery == row
    unsure = unsure[:, 0] | own
    return Search(_attributes(said), None, fits[:, 0] & ~unsure, unsure)


def _by_image(pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator) -> Search:
    """As the person is seen; in other clothes they are right too, and asked for by saying so."""
    own, clothes = gallery == row, pool.clothes[gallery] == pool.clothes[row]
    person = pool.person[gallery] == pool.person[row]
    return Search((), row, clothes & ~own, own | (person & ~clothes))


def _by_picture_in_other_clothes(
    pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator
) -> Search:
    person, clothes = pool.person[gallery] == pool.person[row], pool.clothes[gallery] == pool.clothes[row]
    return Search((), row, person & ~clothes, (person & clothes) | (gallery == row), other_clothes=True)


def _by_both(pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator) -> Search | None:
    person = np.flatnonzero((pool.person == pool.person[row]) & (pool.clothes != pool.clothes[row]))
    before, after = pool.seen(row), pool.seen(int(rng.choice(person)))
    changed = [k for k in TOLD_CHANGES if k in after and after[k] != before.get(k)]
    if not changed:
        return None
    said = {k: after[k] for k in rng.permutation(changed)[: int(rng.integers(1, 4))]}
    fits, unsure = satisfies(value_indices(said)[None], pool.attributes[gallery], pool.visible[gallery])
    same = pool.person[gallery] == pool.person[row]
    right, unsure = same & fits[:, 0], (same & unsure[:, 0]) | (gallery == row)
    return Search(_attributes(said), row, right & ~unsure, unsure)


MAKES: dict[str, Make] = {
    "text": _by_text,
    "image": _by_image,
    "image-plus-text": _by_both,
    "image-other-clothes": _by_picture_in_other_clothes,
}


def _attributes(said: dict[str, str]) -> tuple[Attribute, ...]:
    return tuple(Attribute(kind, value) for kind, value in said.items())


def average_precision(scores: np.ndarray, same: np.ndarray, unsure: np.ndarray) -> float:
    """Average precision without the unsure; NaN where nothing matches."""
    hits = same[~unsure][np.argsort(-scores[~unsure], kind="stable")]
    ranks = np.flatnonzero(hits) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else float("nan")
