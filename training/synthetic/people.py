"""Who is drawn: identities, their outfits, and families of look-alikes.

Everything follows from a seed. An identity's split is a hash of its own parameters, so that no person of
the test split can ever be drawn for training, whatever the seeds were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np

from training.synthetic.wardrobe import (
    Identity,
    Outfit,
    draw_identity,
    draw_look_alike,
    draw_outfit,
    draw_similar,
    jitter,
)

WORLD_VERSION = 1  # of what ships
WORLDS = (1, 2)
SPLITS = {"train": (0, 80), "validation": (80, 88), "demo": (88, 94), "test": (94, 100)}


@dataclass(frozen=True)
class Person:
    """One identity with its outfits; members of one family look alike."""

    person_id: str
    family: int
    identity: Identity
    outfits: tuple[Outfit, ...]


def split_of(identity: Identity) -> str:
    """The split an identity belongs to, by a hash of its parameters."""
    text = repr((WORLD_VERSION, sorted(asdict(identity).items())))
    bucket = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") % 100
    return next(name for name, (low, high) in SPLITS.items() if low <= bucket < high)


def people(
    seed: int, split: str, families: int, members: int = 3, outfits: int = 2, look_alikes: bool = True
) -> Iterator[Person]:
    """Yields families x members people of a split. With look_alikes=False, each family is of strangers."""
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are {', '.join(SPLITS)}")
    for family in range(families):
        rng = np.random.default_rng((WORLD_VERSION, seed, family, 11))
        base = draw_identity(rng)
        base_outfits = [draw_outfit(rng, base) for _ in range(outfits)]
        member = 0
        while member < members:
            if member == 0 or not look_alikes:
                identity = draw_identity(rng)
                worn = tuple(draw_outfit(rng, identity) for _ in range(outfits))
                if member == 0 and look_alikes:
                    identity, worn = jitter(base, rng), tuple(base_outfits)
            else:
                identity = draw_look_alike(base, rng)
                worn = tuple(draw_similar(outfit, identity, rng) for outfit in base_outfits)
            if split_of(identity) != split:
                continue
            yield Person(f"s{seed}-f{family:05d}-m{member}", family, identity, worn)
            member += 1
