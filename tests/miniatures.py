"""A miniature of each benchmark, drawn in the layout in which it is published, with that layout's traps.

Split sizes are tiny, names are real: junk, distractors, Thumbs.db, people counted from 0 twice, and so on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from training.synthetic.captions import caption, fragment
from training.synthetic.people import people
from training.synthetic.site import cameras
from training.synthetic.world import DrawnCrop, crops_of

SIZE = (24, 48)  # px; enough for a reader of files


@dataclass(frozen=True)
class Cast:
    """The people of a miniature: train and test, numbered through, and how their pictures are drawn."""

    people: int
    seed: int

    @property
    def train(self) -> range:
        return range(self.people)

    @property
    def test(self) -> range:
        return range(self.people, 2 * self.people)

    def picture(self, number: int, outfit: int = 0, view: int = 0, infrared: bool = False) -> Image.Image:
        return _drawn(self.people, self.seed, number, outfit, view, infrared)[0]

    def captions(self, number: int, view: int, count: int) -> list[str]:
        crop = _drawn(self.people, self.seed, number, 0, view, False)[1]
        rng = np.random.default_rng((self.seed, number, view, 3))
        return [caption(fragment(crop.visible, rng, 6), rng) for _ in range(count)]


def write_miniature(name: str, root: Path, *, people: int = 4, seed: int = 0) -> Path:
    """Draws the miniature of a benchmark below `root`, `people` identities in train and as many in test.

    name: as in training.datasets.specs, with "msmt17:v1" for MSMT17's older layout. Returns its folder.
    """
    if people < 2:
        raise ValueError("a miniature has at least two people in each half: one of train's may be val's")
    folder_name, write = _WRITERS[name]
    folder = root / folder_name
    write(folder, Cast(people, seed))
    return folder


def save(image: Image.Image, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, quality=85) if file.suffix == ".jpg" else image.save(file)


@cache
def _cast(count: int, seed: int):
    return [*people(seed, "train", count, members=1), *people(seed, "test", count, members=1)]


@cache
def _shots(count: int, seed: int, number: int, outfit: int, infrared: bool) -> list[DrawnCrop]:
    person = _cast(count, seed)[number]
    share = 1.0 if infrared else 0.0
    return list(
        crops_of(person, cameras(seed), 6, seed, outfits=(outfit,), infrared_share=share, hours=(7, 18))
    )


@cache
def _drawn(
    count: int, seed: int, number: int, outfit: int, view: int, infrared: bool
) -> tuple[Image.Image, DrawnCrop]:
    crop = _shots(count, seed, number, outfit, infrared)[view % 6]
    return crop.picture(SIZE), crop


def _market_like(folder: Path, cast: Cast, name: Callable[[int, int, int], str]) -> None:
    """name(identity from 1, camera from 1, frame). Two cameras in train; in test a query by each and two more."""
    for number in cast.train:
        for view in range(4):
            place = folder / "bounding_box_train" / name(number + 1, view % 2 + 1, view)
            save(cast.picture(number, view=view), place)
    for number in cast.test:
        for view in range(2):
            save(cast.picture(number, view=view), folder / "query" / name(number + 1, view + 1, view))
        for view in range(2, 4):
            place = folder / "bounding_box_test" / name(number + 1, view % 2 + 1, view)
            save(cast.picture(number, view=view), place)


def _market1501(folder: Path, cast: Cast) -> None:
    _market_like(folder, cast, lambda person, camera, frame: f"{person:04d}_c{camera}s1_{frame:06d}_00.jpg")
    test = folder / "bounding_box_test"
    for frame in range(2):
        save(Image.new("RGB", SIZE, (90, 90, 90)), test / f"-1_c{frame + 1}s1_{frame:06d}_03.jpg")
        save(Image.new("RGB", SIZE, (60, 99, 60)), test / f"0000_c{frame + 1}s1_{frame:06d}_04.jpg")
    for place in ("bounding_box_train", "bounding_box_test", "query"):
        (folder / place / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "readme.txt").write_text("read me\n")
    (folder / "gt_bbox").mkdir()


def _cuhk03(folder: Path, cast: Cast) -> None:
    for boxes in ("labeled", "detected"):
        _market_like(
            folder / boxes, cast, lambda person, camera, frame: f"{person:04d}_c{camera}_{frame}.png"
        )


def _msmt17(train: str, test: str) -> Callable[[Path, Cast], None]:
    def write(folder: Path, cast: Cast) -> None:
        lists: dict[str, list[str]] = {"train": [], "val": [], "query": [], "gallery": []}
        for half, numbers in ((train, cast.train), (test, cast.test)):
            for label, number in enumerate(numbers):  # both halves count from 0
                for view in range(5):
                    hour = ("morning", "noon", "afternoon")[view % 3]
                    name = (
                        f"{label:04d}/{label:04d}_{view:03d}_{view % 3 + 1:02d}_0303{hour}_{view:04d}_0.jpg"
                    )
                    save(cast.picture(number, view=view), folder / half / name)
                    split = ("val" if view == 4 else "train") if half == train else _probe(view)
                    lists[split].append(f"{name} {label}")
        for split, lines in lists.items():
            (folder / f"list_{split}.txt").write_text("\n".join(lines) + "\n")

    return write


def _probe(view: int) -> str:
    return "query" if view < 2 else "gallery"


def _ltcc(folder: Path, cast: Cast) -> None:
    for number in (*cast.train, *cast.test):
        for outfit in range(2):
            for view in range(3):
                half = "train" if number in cast.train else ("query" if view == 0 else "test")
                name = f"{number:03d}_{outfit + 1}_c{3 * outfit + view + 4}_{number * 10 + view:06d}.png"
                save(cast.picture(number, outfit, view), folder / half / name)
    (folder / "info").mkdir()
    (folder / "info" / "cloth-change_id_train.txt").write_text("".join(f"{n}\n" for n in cast.train))


def _prcc(folder: Path, cast: Cast) -> None:
    rgb, outfit_of = folder / "rgb", {"A": 0, "B": 0, "C": 1}
    for camera, outfit in outfit_of.items():
        for number in cast.train:
            for view in range(3):
                half = "val" if view == 2 else "train"
                place = rgb / half / f"{number + 1:03d}" / f"{camera}_cropped_rgb{view + 1:03d}.jpg"
                save(cast.picture(number, outfit, view + 3 * (camera == "B")), place)
        for number in cast.test:
            for view in range(2):
                place = rgb / "test" / camera / f"{number + 1:03d}" / f"cropped_rgb{view + 1:03d}.jpg"
                save(cast.picture(number, outfit, view + 3 * (camera == "B")), place)
    (folder / "sketch").mkdir()


def _sysu(folder: Path, cast: Cast) -> None:
    everybody = [*cast.train, *cast.test]
    for number in everybody:
        for camera in range(1, 7):
            if camera == 5 and number % 2:  # not everybody passes every camera
                continue
            for view in range(2):
                infrared = camera in (3, 6)
                image = cast.picture(number, view=camera - 1 + view, infrared=infrared)
                place = folder / f"cam{camera}" / f"{number + 1:04d}" / f"{view + 1:04d}.jpg"
                save(image.convert("L") if infrared else image, place)
    # Somebody whom no list names: seen by one camera only.
    save(cast.picture(0), folder / "cam1" / f"{len(everybody) + 1:04d}" / "0001.jpg")
    kept = max(1, cast.people // 4)
    parts = {"train": list(cast.train)[:-kept], "val": list(cast.train)[-kept:], "test": list(cast.test)}
    (folder / "exp").mkdir()
    for part, numbers in parts.items():
        line = ",".join(str(number + 1) for number in numbers)
        (folder / "exp" / f"{part}_id.txt").write_text(line + "\n")


def _regdb(folder: Path, cast: Cast) -> None:
    everybody = [*cast.train, *cast.test]
    names: dict[tuple[str, int], list[str]] = {}
    for number in everybody:
        for modality, letter in (("Visible", "v"), ("Thermal", "t")):
            for view in range(3):
                place = f"{modality}/{number + 1}/person_front_{letter}_{number:05d}_{view}.bmp"
                image = cast.picture(number, view=view, infrared=letter == "t")
                save(image.convert("L") if letter == "t" else image, folder / place)
                names.setdefault((modality.lower(), number), []).append(place)
    (folder / "idx").mkdir()
    for trial in range(1, 11):
        order = np.random.default_rng((cast.seed, trial)).permutation(len(everybody))
        for half, numbers in (("train", order[: cast.people]), ("test", order[cast.people :])):
            for modality in ("visible", "thermal"):
                lines = [  # labels count from 0 in both halves
                    f"{place} {label}"
                    for label, number in enumerate(sorted(numbers))
                    for place in names[modality, int(number)]
                ]
                file = folder / "idx" / f"{half}_{modality}_{trial}.txt"
                file.write_text("\n".join(lines) + "\n")


def _pedes(
    file: str,
    key: str,
    count: int,
    splits: tuple[str, ...],
    name: Callable[[int, int, str], str],
    apart: bool,
) -> Callable[[Path, Cast], None]:
    """name(identity, view, split). apart: each split's identities count from 0; else they count through from 1."""

    def write(folder: Path, cast: Cast) -> None:
        entries = []
        for split, number, label in _captioned(cast, splits, apart):
            for view in range(3):
                place = name(label, view, split)
                save(cast.picture(number, view=view), folder / "imgs" / place)
                entry = {"split": split, "captions": cast.captions(number, view, count), "id": label}
                entries.append({**entry, key: place, "processed_tokens": []})
        (folder / file).write_text(json.dumps(entries))

    return write


def _captioned(cast: Cast, splits: tuple[str, ...], apart: bool) -> Iterator[tuple[str, int, int]]:
    """(split, number, label) of everybody; the last of the train half are val's where there is a val."""
    kept = max(1, cast.people // 4) if "val" in splits else 0
    halves = {
        "train": list(cast.train)[: cast.people - kept],
        "val": list(cast.train)[cast.people - kept :],
        "test": list(cast.test),
    }
    for split in splits:
        for label, number in enumerate(halves[split]):
            yield split, number, label if apart else number + 1


_WRITERS: dict[str, tuple[str, Callable[[Path, Cast], None]]] = {
    "market1501": ("Market-1501-v15.09.15", _market1501),
    "msmt17": ("MSMT17_V2", _msmt17("mask_train_v2", "mask_test_v2")),
    "msmt17:v1": ("MSMT17_V1", _msmt17("train", "test")),
    "cuhk03": ("CUHK03-NP", _cuhk03),
    "ltcc": ("LTCC_ReID", _ltcc),
    "prcc": ("prcc", _prcc),
    "sysu-mm01": ("SYSU-MM01", _sysu),
    "regdb": ("RegDB", _regdb),
    "cuhk-pedes": (
        "CUHK-PEDES",
        _pedes(
            "reid_raw.json",
            "file_path",
            2,
            ("train", "val", "test"),
            lambda label, view, split: f"CUHK01/{label:04d}{view:03d}.png",
            False,
        ),
    ),
    "icfg-pedes": (
        "ICFG-PEDES",
        _pedes(
            "ICFG-PEDES.json",
            "file_path",
            1,
            ("train", "test"),
            lambda label, view, split: (
                f"{split}/{label:04d}/{label:04d}_{view:03d}_{view + 1:02d}_0303morning_{view:04d}_0.jpg"
            ),
            True,
        ),
    ),
    "rstpreid": (
        "RSTPReid",
        _pedes(
            "data_captions.json",
            "img_path",
            2,
            ("train", "val", "test"),
            lambda label, view, split: f"{label:04d}_c{view + 1}_{view:04d}.jpg",
            False,
        ),
    ),
}
NAMES = tuple(name for name in _WRITERS if ":" not in name)
