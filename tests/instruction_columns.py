"""Crops as columns, made up without drawing anything: for tests and benchmarks of instruction samples."""

from __future__ import annotations

import numpy as np

from app.model.vocabulary import KINDS, Kinds
from training.instructions.columns import Columns


def made_up(
    people: int,
    pictures: tuple[int, int] = (2, 20),
    *,
    seed: int = 0,
    sets: int = 1,
    outfits: int = 2,
    infrared: float = 0.2,
    unknown: float = 0.1,
    captions: float = 0.0,
    kinds: Kinds = KINDS,
) -> Columns:
    """`people` with pictures[0]..pictures[1] crops each; shares of infrared crops, unknown values, captions.

    kinds: of attributes that are known, of a version of the vocabulary.
    """
    rng = np.random.default_rng(seed)
    counts = rng.integers(pictures[0], pictures[1] + 1, people)
    person = np.repeat(np.arange(people), counts)
    clothes = rng.integers(0, outfits, len(person))
    outfit = np.unique(person * outfits + clothes, return_inverse=True)[1]
    worn = np.stack([rng.integers(0, len(v), outfit.max() + 1) for v in kinds.values()], 1)
    attributes = worn[outfit].astype(np.int8)
    attributes[rng.random(attributes.shape) < unknown] = -1
    told = rng.random(len(person)) < captions
    return Columns(
        tuple(f"set{number}" for number in range(sets)),
        person.astype(np.int32),
        outfit.astype(np.int32),
        rng.integers(0, 6, len(person)).astype(np.int32),
        (person * sets // people).astype(np.int32),
        rng.random(len(person)) < infrared,
        attributes,
        tuple((f"somebody, number {row}",) if has else () for row, has in enumerate(told)),
        np.full(sets, outfits > 1),
    )
