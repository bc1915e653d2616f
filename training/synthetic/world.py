"""The drawn world: crops of people over cameras and a day, with everything that is true of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from PIL import Image

from training.synthetic.people import Person
from training.synthetic.render import SIZE, Shot
from training.synthetic.second.shot import Shot2, shoot2, visible2
from training.synthetic.second.wardrobe import Outfit2, attributes2_of
from training.synthetic.site import Camera
from training.synthetic.skeleton import Pose
from training.synthetic.wardrobe import attributes_of

DAY = datetime(2026, 5, 12)
COLOUR_KINDS = ("hair_colour", "upper_colour", "lower_colour", "shoe_colour", "hat_colour", "bag_colour")


@dataclass(frozen=True)
class DrawnCrop:
    """A drawn crop and what is true of it. attributes: all that is true; visible: those of them that show."""

    shot: Shot | Shot2
    person_id: str
    family: int
    clothes: int  # index of the outfit
    camera_id: str
    time: datetime  # local
    attributes: dict[str, str]
    visible: dict[str, str]

    @property
    def modality(self) -> str:
        return "infrared" if self.shot.infrared else "visible"

    def picture(self, size: tuple[int, int] = SIZE) -> Image.Image:
        return self.shot.picture(size)


def crops_of(
    person: Person,
    cameras: Sequence[Camera],
    views: int,
    seed: int,
    *,
    outfits: Sequence[int] = (0,),
    infrared_share: float = 0.0,
    hours: tuple[int, int] = (7, 22),
) -> Iterator[DrawnCrop]:
    """Yields `views` crops of a person per outfit, from different cameras as far as there are enough.

    A camera with an infrared hour turns to infrared from it on; beyond that, infrared_share of the crops do.
    """
    for clothes in outfits:
        rng = np.random.default_rng((seed, person.family, _member(person), clothes, 41))
        order = rng.permutation(len(cameras))
        start = rng.uniform(hours[0], hours[1] - 1)
        for view in range(views):
            camera = cameras[int(order[view % len(cameras)])]
            hour = min(hours[1] - 0.01, start + view * rng.uniform(0.03, 0.4))
            time = DAY + timedelta(seconds=int(hour * 3600))
            infrared = time.hour >= camera.infrared_after or bool(rng.random() < infrared_share)
            yield shoot(person, clothes, camera, time, infrared, rng)


def shoot(
    person: Person, clothes: int, camera: Camera, time: datetime, infrared: bool, rng: np.random.Generator
) -> DrawnCrop:
    """One crop of a person in one outfit by one camera; all else is drawn from rng."""
    outfit = person.outfits[clothes]
    if isinstance(outfit, Outfit2):
        shot2 = shoot2(person.identity, outfit, camera, infrared, rng)
        true = attributes2_of(person.identity, outfit)
        return _crop(person, clothes, camera, time, shot2, true, visible2(shot2, true))
    yaw = (camera.yaw + rng.normal(0, 38) + (180 if rng.random() < 0.25 else 0)) % 360
    pose = Pose(float(yaw), float(rng.uniform(0, 2 * math.pi)), bool(rng.random() < 0.78))
    cover, share = "", 0.0
    if rng.random() < 0.16:
        cover = ("hedge", "car", "pole", "passer-by")[int(rng.integers(4))]
        share = float(rng.uniform(0.14, 0.4)) if cover in ("hedge", "car") else 0.0
    shot = Shot(
        identity=person.identity,
        outfit=outfit,
        camera=camera,
        pose=pose,
        infrared=infrared,
        offset=(float(rng.normal(0, 0.035)), float(rng.normal(0, 0.012))),
        zoom=float(rng.uniform(0.93, 1.07)),
        cover=cover,
        cover_share=share,
        seed=int(rng.integers(1 << 40)),
    )
    attributes = attributes_of(person.identity, outfit)
    return _crop(person, clothes, camera, time, shot, attributes, visible(shot, attributes))


def _crop(
    person: Person,
    clothes: int,
    camera: Camera,
    time: datetime,
    shot: Shot | Shot2,
    true: dict[str, str],
    shown: dict[str, str],
) -> DrawnCrop:
    return DrawnCrop(shot, person.person_id, person.family, clothes, camera.camera_id, time, true, shown)


def visible(shot: Shot, attributes: dict[str, str]) -> dict[str, str]:
    """The attributes that the picture shows: no colours in infrared, no face from behind, no feet behind a hedge."""
    hidden: set[str] = set(COLOUR_KINDS) if shot.infrared else set()
    away = math.cos(math.radians(shot.pose.yaw)) < -0.2
    if away:
        hidden |= {"beard", "glasses", "age"}
    if attributes["hat"] != "none" and attributes["hair"] in ("short", "bald"):
        hidden |= {"hair"} | ({"hair_colour"} if attributes["hat"] != "cap" else set())
    if shot.cover_share > 0.12:
        hidden |= {"shoes", "shoe_colour"}
    if shot.cover_share > 0.33:
        hidden |= {"lower"}
    return {kind: value for kind, value in attributes.items() if kind not in hidden}


def _member(person: Person) -> int:
    return int(person.person_id.rsplit("m", 1)[1])
