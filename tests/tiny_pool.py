"""A handful of drawn crops as a training pool, for tests."""

from functools import cache

import numpy as np

from training.demo.pool import Pool, PoolSpec, both_sizes, crops
from training.synthetic.people import WORLD_VERSION
from training.synthetic.truth import kinds_of_world, value_indices


@cache
def tiny_pool(split: str = "train", families: int = 12, world: int = WORLD_VERSION) -> Pool:
    """families x 3 people x 2 outfits x 2 views, kept in memory."""
    spec = PoolSpec(9, split, families=families, views=2, infrared_share=0.2, world=world)
    kinds = kinds_of_world(world)
    drawn = list(crops(spec))
    people: dict[str, int] = {}
    sets: dict[tuple[str, int], int] = {}
    sizes = [both_sizes(c) for c in drawn]
    return Pool(
        np.stack([small for small, _ in sizes]),
        np.stack([large for _, large in sizes]),
        np.array([people.setdefault(c.person_id, len(people)) for c in drawn]),
        np.array([c.family for c in drawn]),
        np.array([sets.setdefault((c.person_id, c.clothes), len(sets)) for c in drawn]),
        np.array([int(c.camera_id) for c in drawn]),
        np.array([c.shot.infrared for c in drawn]),
        np.stack([value_indices(c.attributes, kinds) for c in drawn]),
        np.stack([value_indices(c.visible, kinds) for c in drawn]),
    )
