"""The drawn people of the synthetic benchmark: from the "test" split, that no training and no tuning draws from.

Each world is one site of six cameras over a day; two of them see in infrared from seven in the evening on.
"Mixed" people are half strangers and half families of three look-alikes, so that most galleries hold both.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np

from app.model.checkpoint import CheckpointManifest
from training.datasets.record import Record
from training.synthetic.people import WORLD_VERSION, Person, people
from training.synthetic.site import cameras
from training.synthetic.world import DAY, DrawnCrop, crops_of, shoot

SPLIT = "test"
VIEWS = 4  # crops of each person, each by another camera
MEMBERS = 3  # of a family of look-alikes


def world_of(manifest: CheckpointManifest | None) -> int:
    """The version of the drawn world that a checkpoint is asked about: that of its vocabulary."""
    return manifest.vocabulary_version if manifest else WORLD_VERSION


@dataclass(frozen=True)
class SyntheticWorld:
    """queries: one crop of each person, in a fixed order; gallery: the others. Where all crops are searched
    (for words), queries is empty.
    """

    name: str
    queries: tuple[DrawnCrop, ...]
    gallery: tuple[DrawnCrop, ...]


def strangers(seed: int, count: int, world: int = WORLD_VERSION) -> SyntheticWorld:
    """People who have nothing to do with one another: one crop is the query, three the gallery."""
    return _first_crop_asks("strangers", _strangers(seed, 1, count, world), seed * 10 + 1)


def look_alikes(seed: int, count: int, world: int = WORLD_VERSION) -> SyntheticWorld:
    """Families of three who look alike: one crop is the query, three the gallery."""
    return _first_crop_asks("look-alikes", _families(seed, 2, count, world), seed * 10 + 2)


def two_outfits(seed: int, count: int, world: int = WORLD_VERSION) -> SyntheticWorld:
    """Mixed people in two outfits, two crops of each; the first crop in the first outfit is the query."""
    site_seed = seed * 10 + 3
    site = cameras(site_seed)
    queries, gallery = [], []
    for person in mixed(seed, 3, count, world):
        crops = list(crops_of(person, site, VIEWS // 2, site_seed, outfits=(0, 1)))
        queries.append(crops[0])
        gallery += crops[1:]
    return SyntheticWorld("two-outfits", tuple(queries), tuple(gallery))


def day_and_night(seed: int, count: int, world: int = WORLD_VERSION) -> SyntheticWorld:
    """Mixed people in one outfit: an infrared crop is the query, three visible ones the gallery."""
    site_seed = seed * 10 + 5
    site = cameras(site_seed)
    queries, gallery = [], []
    for number, person in enumerate(mixed(seed, 5, count, world)):
        rng = np.random.default_rng((site_seed, number, 61))
        chosen = [site[int(i)] for i in rng.permutation(len(site))[:VIEWS]]
        crops = [shoot(person, 0, camera, DAY, view == 0, rng) for view, camera in enumerate(chosen)]
        queries.append(crops[0])
        gallery += crops[1:]
    return SyntheticWorld("day-and-night", tuple(queries), tuple(gallery))


def one_outfit(seed: int, count: int, world: int = WORLD_VERSION, split: str = SPLIT) -> SyntheticWorld:
    """Mixed people over a whole day, infrared cameras at night among them: all four crops are the gallery."""
    site_seed = seed * 10 + 7
    site = cameras(site_seed)
    who = mixed(seed, 7, count, world, split)
    crops = [crop for person in who for crop in crops_of(person, site, VIEWS, site_seed)]
    return SyntheticWorld("one-outfit", (), tuple(crops))


def record_of(crop: DrawnCrop) -> Record:
    """A drawn crop as the data sets' crops are."""
    return Record(
        image=crop,
        person=crop.person_id,
        camera=crop.camera_id,
        infrared=crop.shot.infrared,
        clothes=f"{crop.person_id}-{crop.clothes}",
        attributes=crop.visible,
    )


def _first_crop_asks(name: str, who: Iterable[Person], site_seed: int) -> SyntheticWorld:
    site = cameras(site_seed)
    queries, gallery = [], []
    for person in who:
        first, *others = crops_of(person, site, VIEWS, site_seed)
        queries.append(first)
        gallery += others
    return SyntheticWorld(name, tuple(queries), tuple(gallery))


def _strangers(seed: int, part: int, count: int, world: int, split: str = SPLIT) -> list[Person]:
    return list(people(seed * 10 + part, split, count, members=1, look_alikes=False, world=world))


def _families(seed: int, part: int, count: int, world: int, split: str = SPLIT) -> list[Person]:
    families = -(-count // MEMBERS)
    return list(islice(people(seed * 10 + part, split, families, members=MEMBERS, world=world), count))


def mixed(seed: int, part: int, count: int, world: int = WORLD_VERSION, split: str = SPLIT) -> list[Person]:
    """Half families of three look-alikes, half strangers. part: another one gives other people."""
    alike = _families(seed, part, count // 2, world, split)
    return alike + _strangers(seed, part + 1, count - len(alike), world, split)
