"""Draws the demo gallery: a day of a site with six cameras, people whom no model was taught on."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from gallery_store.files import replacing_folder
from training.synthetic.people import WORLD_VERSION, Person, people, split_of
from training.synthetic.render import encode
from training.synthetic.second.shot import Companion, Shot2
from training.synthetic.second.wardrobe import Outfit2
from training.synthetic.site import Camera, cameras
from training.synthetic.wardrobe import Identity, Outfit
from training.synthetic.world import DAY, DrawnCrop, crops_of, shoot

SEED = 2026
FAMILIES = 35
COLUMNS = ("path", "camera", "time", "person", "clothes", "tags", "attributes", "visible")


def demo_crops(world: int = WORLD_VERSION) -> list[DrawnCrop]:
    """The demo gallery's crops, in the order of time."""
    site = cameras(SEED)
    crops = list(_scripted(site, world))
    for number, person in enumerate(people(SEED, "demo", FAMILIES, members=3, outfits=2, world=world)):
        crops += crops_of(person, site, 5, SEED, outfits=(0,), hours=(7, 21))
        if number % 3 == 0:
            crops += crops_of(person, site, 3, SEED, outfits=(1,), hours=(13, 21))
    return sorted(map(_fairly, crops), key=lambda crop: (crop.time, crop.camera_id, crop.person_id))


def _fairly(crop: DrawnCrop) -> DrawnCrop:
    """The crop without the worst faults of world 2's lenses: a gallery to be looked at with pleasure."""
    if not isinstance(crop.shot, Shot2):
        return crop
    lens = crop.shot.lens
    lens = replace(
        lens, detail=max(0.6, lens.detail), noise=min(5.0, lens.noise), blur=min(0.8, lens.blur), smear=0
    )
    lens = replace(lens, filters=(5, 4), jpeg=tuple(max(70, quality) for quality in lens.jpeg))
    whole = sum(lens.gains) / 3
    red, green, blue = (1 + 0.4 * (gain / whole - 1) for gain in lens.gains)  # a cast, but no green faces
    lens = replace(
        lens,
        gains=(red, green, blue),
        exposure=float(np.clip(lens.exposure * whole, 0.85, 1.2)),
        gamma=float(np.clip(lens.gamma, 0.85, 1.15)),
        contrast=float(np.clip(lens.contrast, 0.85, 1.15)),
    )
    return replace(crop, shot=replace(crop.shot, lens=lens))


def write_gallery(folder: Path, world: int = WORLD_VERSION) -> int:
    """Draws the pictures and manifest.csv into a folder, in place of what was there; returns the number of crops."""
    numbers: dict[str, int] = {}
    rows = []
    with replacing_folder(folder) as partial:
        for frame, crop in enumerate(demo_crops(world)):
            person = f"{numbers.setdefault(crop.person_id, len(numbers) + 1):04d}"
            name = f"{person}_c{crop.camera_id}s1_{frame:06d}_00.jpg"
            (partial / name).write_bytes(encode(crop.picture()))
            tags = "infrared" if crop.shot.infrared else ""
            clothes = f"{person}-{crop.clothes + 1}"
            attributes = [json.dumps(group) for group in (crop.attributes, crop.visible)]
            rows.append((name, crop.camera_id, crop.time.isoformat(), person, clothes, tags, *attributes))
        with (partial / "manifest.csv").open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            writer.writerow(COLUMNS)
            writer.writerows(rows)
    return len(rows)


def _scripted(site: tuple[Camera, ...], world: int) -> Iterator[DrawnCrop]:
    """The people of the README's conversation, so that a first visitor finds whom it speaks of."""
    base = next(
        person
        for person in people(SEED + 1, "demo", 400, members=1, outfits=2, world=world)
        if person.identity.gender == "woman"
        and person.identity.age == "young"
        and person.identity.hair == "long"
    )
    worn: Any = replace(
        _simply(base.outfits[0]),
        upper="jacket",
        upper_pattern="plain",
        lower="jeans",
        lower_colour="blue",
        hat="none",
        hat_colour=None,
        bag="backpack",
        bag_colour="black",
        glasses="none",
        umbrella="none",
    )
    day = ((0, 9.2), (1, 9.6), (3, 10.1), (4, 11.4), (5, 12.2))
    late = ((0, 13.2), (2, 14.6), (2, 16.3), (4, 17.1))
    green = replace(worn, upper="coat", upper_colour="green", bag="handbag", bag_colour="brown")
    if isinstance(green, Outfit2):
        green = replace(green, upper_length="long")
    yield from _seen(base.identity, (replace(worn, upper_colour="orange"), green), 900, site, (day, late))
    red = replace(worn, upper_colour="red")
    ponytail = replace(base.identity, hair="ponytail", hair_colour="brown")
    yield from _seen(ponytail, (replace(red, shoe_colour="white"),), 901, site, (day[:4],))
    with_hat = replace(red, hat="beanie", hat_colour="grey", lower_colour="black")
    yield from _seen(replace(base.identity, hair_colour="blond"), (with_hat,), 902, site, (day[1:],))
    man = replace(base.identity, gender="man", hair="short")
    yield from _seen(man, (red,), 903, site, (day[:3],))
    if isinstance(worn, Outfit2):
        yield from _passers_by(site)


def _simply(outfit: Outfit | Outfit2) -> Outfit | Outfit2:
    """World 2's clothes without what world 1 does not know."""
    if isinstance(outfit, Outfit):
        return outfit
    return replace(
        outfit,
        upper_shade="medium",
        upper_second_colour="none",
        upper_print="none",
        upper_length=None,
        sleeves="long",
        lower_shade="medium",
        lower_length="long",
        pushing="none",
        scarf="none",
        tie="none",
        mask="none",
        phone="none",
    )


def _passers_by(site: tuple[Camera, ...]) -> Iterator[DrawnCrop]:
    """What world 2 adds to a day: somebody in high-vis, a stroller, a trolley, a child."""
    wanted = {
        ("upper", "high-vis"): ((0, 7.4), (1, 9.1), (4, 13.4), (5, 15.9)),
        ("pushing", "stroller"): ((0, 10.2), (2, 10.7), (1, 11.5)),
        ("pushing", "trolley"): ((3, 12.1), (3, 12.4), (4, 12.9)),
        ("age", "child"): ((0, 13.1), (2, 13.6), (1, 14.2), (3, 15.0)),
    }
    strangers = list(people(SEED + 2, "demo", 120, members=1, outfits=1, look_alikes=False, world=2))
    for number, ((kind, value), times) in enumerate(wanted.items()):
        person = next(
            p for p in strangers if getattr(p.identity, kind, getattr(p.outfits[0], kind, "")) == value
        )
        yield from _seen(person.identity, (person.outfits[0],), 910 + number, site, (times,))
    yield from _walking_together(strangers, site)


def _walking_together(strangers: list[Person], site: tuple[Camera, ...]) -> Iterator[DrawnCrop]:
    """A grown-up and a child, each in the crops of the other."""
    plain = [person for person in strangers if getattr(person.outfits[0], "pushing", "") == "none"]
    child = [person for person in plain if person.identity.age == "child"][1]
    grown = [person for person in plain if person.identity.age == "young"][1]
    times = ((0, 15.1), (2, 15.4), (3, 16.2), (5, 17.0))
    for number, (person, other, beside) in enumerate(((grown, child, 0.27), (child, grown, -0.3))):
        for crop in _seen(person.identity, (person.outfits[0],), 920 + number, site, (times,)):
            shot, clothes = crop.shot, other.outfits[0]
            assert isinstance(shot, Shot2) and isinstance(clothes, Outfit2)
            turned = replace(shot.pose, phase=shot.pose.phase + 2.0)
            companion = Companion(other.identity, clothes, turned, beside, before=False)
            yield replace(crop, shot=replace(shot, companion=companion, cover="", cover_share=0.0))


def _seen(
    identity: Identity,
    outfits: tuple[Any, ...],
    family: int,
    site: tuple[Camera, ...],
    times: tuple[tuple[tuple[int, float], ...], ...],
) -> Iterator[DrawnCrop]:
    rng = np.random.default_rng((SEED, family))
    while split_of(identity) != "demo":
        identity = replace(identity, face=float(rng.random()))
    person = Person(f"s{SEED}-f{family:05d}-m0", family, identity, outfits)
    for clothes, moments in enumerate(times):
        for camera, hour in moments:
            time = DAY + timedelta(seconds=round(hour * 3600) + int(rng.integers(60)))
            yield shoot(person, clothes, site[camera], time, False, rng)
