"""Which crops stand together in a training batch: families of look-alikes, so that negatives are hard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from app.model.description import query_description
from app.model.vocabulary import Attribute
from training.demo.pool import Pool, value_indices
from training.synthetic.captions import caption, fragment, refusal


@dataclass(frozen=True)
class BatchRule:
    """families x members people with `views` crops each.

    changed_clothes: the share of people seen in two outfits. infrared: the share of the others seen by day
    and in infrared, where they have been.
    """

    families: int = 16
    members: int = 3
    views: int = 2
    changed_clothes: float = 0.25
    infrared: float = 0.0


class Batches:
    """Batches of crop indices; each is a pure function of (seed, index)."""

    def __init__(self, pool: Pool, rule: BatchRule, seed: int) -> None:
        self.pool, self.rule, self.seed = pool, rule, seed
        self._by_person: dict[int, np.ndarray] = {}
        order = np.argsort(pool.person, kind="stable")
        persons, starts = np.unique(pool.person[order], return_index=True)
        for person, rows in zip(persons, np.split(order, starts[1:]), strict=True):
            self._by_person[int(person)] = rows
        self._by_family: dict[int, list[int]] = {}
        for person, rows in self._by_person.items():
            self._by_family.setdefault(int(pool.family[rows[0]]), []).append(person)
        self._families = sorted(self._by_family)

    def batch(self, index: int) -> np.ndarray:
        """int64 (families * members * views,): crop indices, person by person, views of one together."""
        rng = np.random.default_rng((self.seed, index, 3))
        rule, chosen = self.rule, []
        for family in rng.choice(self._families, rule.families, replace=False):
            members = self._by_family[int(family)]
            for person in rng.permutation(members)[: rule.members]:
                chosen.append(self._views(int(person), rng))
        return np.concatenate(chosen)

    def _views(self, person: int, rng: np.random.Generator) -> np.ndarray:
        rows, views = self._by_person[person], self.rule.views
        clothes = np.unique(self.pool.clothes[rows])
        if len(clothes) > 1 and rng.random() < self.rule.changed_clothes:
            first, second = rng.permutation(clothes)[:2]
            worn = self.pool.clothes[rows]
            return _halves(rows[worn == first], rows[worn == second], views, rng)
        own = rows[self.pool.clothes[rows] == rng.choice(clothes)]
        if self.rule.infrared and rng.random() < self.rule.infrared:
            dark = self.pool.infrared[own]
            if dark.any() and not dark.all():
                return _halves(own[~dark], own[dark], views, rng)
        return rng.choice(own, views, replace=len(own) < views)


def _halves(first: np.ndarray, second: np.ndarray, views: int, rng: np.random.Generator) -> np.ndarray:
    """Half of the views from each, the odd one from the first."""
    half = views // 2
    parts = ((first, views - half), (second, half))
    return np.concatenate([rng.choice(rows, count, replace=len(rows) < count) for rows, count in parts])


def satisfies(
    fragments: np.ndarray, attributes: np.ndarray, visible: np.ndarray, refused: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Which crops fit which descriptions.

    Args:
        fragments: int8 (T, kinds), -1 where a description says nothing.
        attributes, visible: int8 (B, kinds) as in Pool.
        refused: int8 (T, kinds): what must not be true, -1 where nothing is ruled out.

    Returns:
        fits bool (B, T): everything said is true of the crop; unsure bool (B, T): it is true, but part of it
        does not show in the crop, so it is neither a right nor a wrong answer.
    """
    said = fragments[None] >= 0
    fits = (~said | (attributes[:, None] == fragments[None])).all(2)
    shown = (~said | (visible[:, None] == fragments[None])).all(2)
    if refused is not None:
        fits &= ((refused[None] < 0) | (attributes[:, None] != refused[None])).all(2)
    return fits, fits & ~shown


@dataclass(frozen=True)
class Descriptions:
    """Texts about crops, with what they say and rule out: int8 (T, kinds) each, -1 for nothing."""

    texts: list[str]
    fragments: np.ndarray
    refused: np.ndarray


def descriptions(
    pool: Pool,
    rows: np.ndarray,
    rng: np.random.Generator,
    told: tuple[int, int],
    canonical: float,
    plain: float = 0.0,
) -> Descriptions:
    """One description of told[0] to told[1] visible attributes per row; one in seven also rules something out.

    canonical: the share of the vocabulary's own words in them; plain: the share of descriptions that are
    worded as the app words a query.
    """
    texts, fragments, refused = [], [], []
    for row in rows:
        seen = pool.seen(int(row))
        said = fragment(seen, rng, int(rng.integers(told[0], told[1] + 1)))
        no = refusal(seen, pool.seen(int(rng.choice(rows))), rng) if rng.random() < 0.15 else None
        if no is None and not (plain and rng.random() < plain):
            texts.append(caption(said, rng, canonical))
        else:
            refusals = [no] if no else []
            texts.append(query_description([Attribute(k, v) for k, v in said.items()], refusals))
        fragments.append(value_indices(said))
        refused.append(value_indices({no.kind: no.value} if no else {}))
    return Descriptions(texts, np.stack(fragments), np.stack(refused))


def augmented(pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mirrors, light, cast and a hidden patch, drawn anew: uint8 (n, h, w, 3) -> the same shape and dtype."""
    out = pictures.astype(np.float32)
    n, height, width, _ = out.shape
    mirror = rng.random(n) < 0.5
    out[mirror] = out[mirror, :, ::-1]
    gains = 1 + rng.uniform(-0.12, 0.12, (n, 1, 1, 3)).astype(np.float32)
    out = out * gains + rng.uniform(-12, 12, (n, 1, 1, 1)).astype(np.float32)
    for i in np.flatnonzero(rng.random(n) < 0.2):
        h, w = int(rng.integers(10, height // 3)), int(rng.integers(8, width // 2))
        y, x = int(rng.integers(0, height - h)), int(rng.integers(0, width - w))
        out[i, y : y + h, x : x + w] = out[i].mean((0, 1))
    return np.clip(out, 0, 255).astype(np.uint8)
