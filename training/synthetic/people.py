"""Who is drawn: identities, their outfits, and families of look-alikes.

Everything follows from a seed. An identity's split is a hash of its own parameters, so that no person of
the test split can ever be drawn for training, whatever the seeds were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from training.synthetic.second.wardrobe import (
    Outfit2,
    draw_identity2,
    draw_look_alike2,
    draw_outfit2,
    draw_similar2,
)
from training.synthetic.wardrobe import (
    Identity,
    Outfit,
    draw_identity,
    draw_look_alike,
    draw_outfit,
    draw_similar,
    jitter,
)

WORLD_VERSION = 1  # of what ships; world 2 is drawn where it is asked for by its number
SPLITS = {"train": (0, 80), "validation": (80, 88), "demo": (88, 94), "test": (94, 100)}


@dataclass(frozen=True)
class Person:
    """One identity with its outfits, all of one world; members of one family look alike."""

    person_id: str
    family: int
    identity: Identity
    outfits: tuple[Outfit, ...] | tuple[Outfit2, ...]


@dataclass(frozen=True)
class _Draws:
    """How a world draws somebody new, their clothes, somebody like them, and clothes like theirs."""

    identity: Callable[[np.random.Generator], Identity]
    outfit: Callable[[np.random.Generator, Identity], Any]
    look_alike: Callable[[Identity, np.random.Generator], Identity]
    similar: Callable[[Any, Identity, np.random.Generator], Any]


WORLDS = {
    1: _Draws(draw_identity, draw_outfit, draw_look_alike, draw_similar),
    2: _Draws(draw_identity2, draw_outfit2, draw_look_alike2, draw_similar2),
}


def split_of(identity: Identity) -> str:
    """The split an identity belongs to, by a hash of its parameters: the same one in every world."""
    text = repr((1, sorted(asdict(identity).items())))
    bucket = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 100
    return next(name for name, (low, high) in SPLITS.items() if low <= bucket < high)


def people(
    seed: int,
    split: str,
    families: int,
    members: int = 3,
    outfits: int = 2,
    look_alikes: bool = True,
    world: int = WORLD_VERSION,
) -> Iterator[Person]:
    """Yields families x members people of a split. With look_alikes=False, each family is of strangers."""
    draws = WORLDS.get(world)
    if draws is None:
        raise ValueError(f"no world {world}; there are {', '.join(map(str, WORLDS))}")
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    for family in range(families):
        rng = np.random.default_rng((world, seed, family, 11))
        base = draws.identity(rng)
        base_outfits = [draws.outfit(rng, base) for _ in range(outfits)]
        member = 0
        while member < members:
            if member == 0 or not look_alikes:
                identity = draws.identity(rng)
                worn = tuple(draws.outfit(rng, identity) for _ in range(outfits))
                if member == 0 and look_alikes:
                    identity, worn = jitter(base, rng), tuple(base_outfits)
            else:
                identity = draws.look_alike(base, rng)
                worn = tuple(draws.similar(outfit, identity, rng) for outfit in base_outfits)
            if split_of(identity) != split:
                continue
            yield Person(f"s{seed}-f{family:05d}-m{member}", family, identity, worn)
            member += 1
