"""A pool of drawn crops at the models' sizes, drawn once and read by every step of training.

Files in the pool's folder: pictures.npy and large.npy (n, h, w, 3) uint8, labels.npz, and done.json, written
last: a folder without it is drawn again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.model.pictures import DEMO, ImageRule, Picture, Size, apply_rule
from app.model.vocabulary import KINDS_OF_VERSION, Kinds
from gallery_store.console import progress_bar
from gallery_store.files import write_file
from training.instructions.columns import Columns
from training.synthetic.people import WORLD_VERSION, people
from training.synthetic.site import Camera, cameras
from training.synthetic.truth import kinds_of_world, value_indices
from training.synthetic.world import DrawnCrop, crops_of

CLIP_SIZE = (224, 112)  # px, height and width
SIZES: dict[str, Size] = {"pictures": DEMO.fixed or (168, 84), "large": CLIP_SIZE}
SITES = 40  # sets of six cameras, so that no camera is learnt by heart


@dataclass(frozen=True)
class PoolSpec:
    """What is drawn: families x members x outfits x views crops of a split, of one world."""

    seed: int
    split: str
    families: int
    members: int = 3
    outfits: int = 2
    views: int = 3
    infrared_share: float = 0.08
    look_alikes: bool = True
    world: int = WORLD_VERSION


@dataclass(frozen=True)
class Pool:
    """pictures uint8 (n, h, w, 3) as the demo Qwen2-VL sees them, large the same for CLIP; labels have n rows.

    person, family, clothes, camera: int32 (clothes counts over all people); infrared: bool.
    attributes, visible: int8 (n, kinds), the index of the value in `kinds`, those of the world's vocabulary; -1 where
    there is none, or in `visible` where it does not show.
    """

    pictures: np.ndarray
    large: np.ndarray
    person: np.ndarray
    family: np.ndarray
    clothes: np.ndarray
    camera: np.ndarray
    infrared: np.ndarray
    attributes: np.ndarray
    visible: np.ndarray

    def __len__(self) -> int:
        return len(self.person)

    @property
    def vocabulary(self) -> int:
        """The version of the vocabulary of the world that was drawn."""
        width = self.visible.shape[1]
        return next(version for version, kinds in KINDS_OF_VERSION.items() if len(kinds) == width)

    @property
    def kinds(self) -> Kinds:
        """The kinds of that vocabulary."""
        return KINDS_OF_VERSION[self.vocabulary]

    def head(self, count: int) -> Pool:
        """The first families, of `count` crops together at most; two families at the least, as far as there are."""
        ends = np.flatnonzero(np.diff(self.family, append=-1)) + 1
        last = min(max(1, int(np.searchsorted(ends, count, side="right")) - 1), len(ends) - 1)
        return Pool(**{name.name: getattr(self, name.name)[: ends[last]] for name in fields(self)})

    def seen(self, index: int) -> dict[str, str]:
        """The visible attributes of a crop, by kind."""
        return {
            kind: values[value]
            for (kind, values), value in zip(self.kinds.items(), self.visible[index], strict=True)
            if value >= 0
        }

    def true(self, index: int) -> dict[str, str]:
        """All attributes of a crop, by kind."""
        return {
            kind: values[value]
            for (kind, values), value in zip(self.kinds.items(), self.attributes[index], strict=True)
            if value >= 0
        }

    def for_model(self) -> list[Picture]:
        """Every crop as ReidModel takes pictures."""
        return [
            Picture(("pool", row), partial(Image.fromarray, picture))
            for row, picture in enumerate(self.pictures)
        ]

    def columns(self) -> Columns:
        """The crops as instruction samples are drawn from them: what shows, by person, clothes and camera."""
        return Columns(
            names=("drawn people",),
            person=self.person,
            outfit=self.clothes,
            camera=self.camera,
            data_set=np.zeros(len(self), np.int32),
            infrared=self.infrared,
            attributes=self.visible,
            captions=((),) * len(self),
            changes=np.ones(1, bool),
        )


def load_pool(folder: Path, spec: PoolSpec, workers: int = 2, picture: Size = SIZES["pictures"]) -> Pool:
    """The pool of this description, drawn first where it is not there. picture: what the demo Qwen2-VL sees, px."""
    stamp, sizes = folder / "done.json", {**SIZES, "pictures": picture}
    if not stamp.is_file() or json.loads(stamp.read_text()) != _described(spec, sizes):
        _draw(folder, spec, workers, sizes)
    with np.load(folder / "labels.npz") as labels:
        pictures, large = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("pictures", "large"))
        return Pool(pictures, large, **{name: labels[name] for name in labels.files})


def crops(spec: PoolSpec, sites: Sequence[tuple[Camera, ...]] | None = None) -> Iterator[DrawnCrop]:
    """The crops of a description, person by person. sites: of another pool, in place of its own."""
    sites = sites or pool_sites(spec)
    drawn = people(
        spec.seed, spec.split, spec.families, spec.members, spec.outfits, spec.look_alikes, spec.world
    )
    for person in drawn:
        site = sites[person.family % SITES]
        yield from crops_of(
            person,
            site,
            spec.views,
            spec.seed,
            outfits=range(spec.outfits),
            infrared_share=spec.infrared_share,
        )


def pool_sites(spec: PoolSpec) -> list[tuple[Camera, ...]]:
    """The sets of cameras of a pool."""
    return [cameras(spec.seed * 1000 + site) for site in range(SITES)]


def both_sizes(crop: DrawnCrop, picture: Size = SIZES["pictures"]) -> tuple[np.ndarray, np.ndarray]:
    """The crop as the demo Qwen2-VL and as the demo CLIP see it: uint8 (h, w, 3) each."""
    drawn = crop.picture()
    large = np.asarray(drawn.resize((CLIP_SIZE[1], CLIP_SIZE[0]), Image.Resampling.BICUBIC))
    return (large if picture == CLIP_SIZE else np.asarray(apply_rule(demo_rule(picture), drawn))), large


def demo_rule(picture: Size) -> ImageRule:
    """The rule of a demo model that sees pictures of this size, px."""
    return replace(DEMO, fixed=picture)


def labels_of(crops: Sequence[DrawnCrop], world: int) -> dict[str, np.ndarray]:
    """What Pool says of crops of a world; people, families and outfits are numbered from 0."""
    kinds = kinds_of_world(world)
    names: dict[str, int] = {}
    sets: dict[tuple[str, int], int] = {}
    return {
        "person": np.array([names.setdefault(c.person_id, len(names)) for c in crops], np.int32),
        "family": np.array([c.family for c in crops], np.int32),
        "clothes": np.array([sets.setdefault((c.person_id, c.clothes), len(sets)) for c in crops], np.int32),
        "camera": np.array([(c.family % SITES) * 100 + int(c.camera_id) for c in crops], np.int32),
        "infrared": np.array([c.shot.infrared for c in crops], bool),
        "attributes": np.stack([value_indices(c.attributes, kinds) for c in crops]),
        "visible": np.stack([value_indices(c.visible, kinds) for c in crops]),
    }


def _described(spec: PoolSpec, sizes: Mapping[str, Size]) -> dict[str, Any]:
    return {**asdict(spec), "sizes": {name: list(size) for name, size in sizes.items()}}


def _draw(folder: Path, spec: PoolSpec, workers: int, sizes: Mapping[str, Size]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "done.json").unlink(missing_ok=True)
    all_crops = list(crops(spec))
    pictures, large = (
        np.lib.format.open_memmap(
            folder / f"{name}.npy", mode="w+", dtype=np.uint8, shape=(len(all_crops), *size, 3)
        )
        for name, size in sizes.items()
    )
    show, draw = progress_bar(f"draw {spec.split}", "crops"), partial(both_sizes, picture=sizes["pictures"])
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as executor:
        for index, drawn in enumerate(executor.map(draw, all_crops, chunksize=128)):
            pictures[index], large[index] = drawn
            show(index + 1, len(all_crops))
    pictures.flush()
    large.flush()
    np.savez(folder / "labels.npz", **labels_of(all_crops, spec.world))  # type: ignore[arg-type]
    write_file(folder / "done.json", json.dumps(_described(spec, sizes)))
