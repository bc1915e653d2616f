"""The drawn world as a data set: needs no files, and has every annotation."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from training.datasets.faults import DataSetError
from training.datasets.record import DataSet, Record
from training.synthetic.captions import caption, fragment
from training.synthetic.people import WORLD_VERSION, WORLDS, people
from training.synthetic.site import cameras
from training.synthetic.world import DrawnCrop, crops_of


@dataclass(frozen=True)
class DrawnWorld:
    """How much of the drawn world. families: of three look-alikes each, of the train split; held_out: of
    val's and of the test split's. views: crops per person and outfit. captions: per crop. world: its version.
    """

    seed: int = 0
    families: int = 100
    held_out: int = 12
    outfits: int = 2
    views: int = 4
    captions: int = 2
    infrared_share: float = 0.15
    world: int = WORLD_VERSION

    def __post_init__(self) -> None:
        if (
            self.seed < 0
            or min(self.families, self.held_out, self.outfits, self.views) < 1
            or self.captions < 0
        ):
            raise DataSetError("synthetic: a seed is not negative, and of the rest there is at least one")
        if self.world not in WORLDS:
            raise DataSetError(f"synthetic: there is no world {self.world}")
        if not 0 <= self.infrared_share <= 1:
            raise DataSetError("synthetic: infrared_share is between 0 and 1")


def drawn(world: DrawnWorld = DrawnWorld()) -> DataSet:
    """Splits train, val, query and gallery; who is in which is decided by the world (people.split_of).

    query: the first crop of each test person's outfit; gallery: the others. A pure function of `world`.
    """
    splits = {
        "train": _records(world, "train", world.families, ""),
        "val": _records(world, "validation", world.held_out, "val-"),
    }
    test = _records(world, "test", world.held_out, "test-")
    splits["query"] = test[:: world.views]
    splits["gallery"] = tuple(r for number, r in enumerate(test) if number % world.views)
    return DataSet("synthetic", "standard", splits)


def parse_world(text: str) -> DrawnWorld:
    """ "seed=3,families=20" -> a World. Raises DataSetError."""
    kinds = {field.name: float if field.name == "infrared_share" else int for field in fields(DrawnWorld)}
    chosen: dict[str, float] = {}
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        try:
            chosen[name] = kinds[name](value)
        except (KeyError, ValueError):
            raise DataSetError(
                f"synthetic: {part!r} is not understood; write for example synthetic:seed=3,families=20 "
                f"(there are {', '.join(kinds)})"
            ) from None
    return DrawnWorld(**chosen)  # type: ignore[arg-type]


def _records(world: DrawnWorld, split: str, families: int, people_of: str) -> tuple[Record, ...]:
    """people_of: put before the names, because the world numbers the families of each split from 0."""
    site = cameras(world.seed)
    crops = (
        crop
        for person in people(world.seed, split, families, outfits=world.outfits, world=world.world)
        for crop in crops_of(
            person,
            site,
            world.views,
            world.seed,
            outfits=range(world.outfits),
            infrared_share=world.infrared_share,
        )
    )
    return tuple(_record(world, crop, people_of + crop.person_id) for crop in crops)


def _record(world: DrawnWorld, crop: DrawnCrop, person: str) -> Record:
    rng = np.random.default_rng((world.seed, crop.shot.seed, 61))
    return Record(
        crop,
        person,
        crop.camera_id,
        crop.shot.infrared,
        str(crop.clothes + 1),
        tuple(
            caption(fragment(crop.visible, rng, int(rng.integers(4, 9))), rng, version=world.world)
            for _ in range(world.captions)
        ),
        crop.visible,
    )
