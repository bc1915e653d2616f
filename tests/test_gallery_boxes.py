"""People cut out of whole pictures by files of boxes: COCO's and FiftyOne's published layouts, and what goes wrong."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gallery_store import __main__ as command
from gallery_store import cuts
from gallery_store.boxes import Box, Picture, read_boxes
from gallery_store.decoding import PictureError, open_picture
from gallery_store.importer import ImportReport, import_crops
from gallery_store.items import SourceError
from gallery_store.sources import read_source
from gallery_store.store import GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, all_crops, write_manifest

WIDE, HIGH = 160, 120


@pytest.fixture
def store(tmp_path):
    with GalleryStore.open(tmp_path / "g.db", zone="Europe/Paris") as store:
        yield store


def draw(file: Path, seed: int = 0) -> Image.Image:
    """A picture in which no two pixels are alike nearby, as a file; -> as it was drawn."""
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (HIGH, WIDE, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.save(file)
    return image


def coco(
    *boxes: dict[str, Any], pictures: tuple[str, ...] = ("a.png", "b.png"), **more: Any
) -> dict[str, Any]:
    """boxes: annotations, by default of the first picture and of a person."""
    return {
        "info": {"description": "drawn"},
        "images": [
            {"id": number, "file_name": name, "width": WIDE, "height": HIGH}
            for number, name in enumerate(pictures, 1)
        ],
        "annotations": [
            {"id": number, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [[1, 2, 3, 4]]}
            | box
            for number, box in enumerate(boxes, 17)
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
    } | more


def write_json(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content), "utf-8")
    return file


def pixels_of(store: GalleryStore) -> dict[str, np.ndarray]:
    return {crop.path: np.asarray(open_picture(crop.file)) for crop in all_crops(store)}


def refusals(report: ImportReport) -> list[tuple[str, str]]:
    return [(refused.path, refused.reason) for refused in report.rejected]


FIRST = {"bbox": [10, 20, 30, 60]}
SECOND = {"bbox": [100.4, 5.6, 20.2, 40], "image_id": 2}
LAYOUTS = {  # the file of boxes, and the folder of the pictures
    "COCO": ("annotations/instances_val2017.json", "val2017"),
    "COCO, pictures below images": ("annotations/instances_val2017.json", "images/val2017"),
    "CVAT": ("annotations/instances_default.json", "images"),
    "Roboflow": ("train/_annotations.coco.json", "train"),
    "FiftyOne's COCO": ("labels.json", "data"),
    "beside": ("any name.json", ""),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_people_are_cut_out_by_coco_in_each_published_layout(store, tmp_path, layout):
    listing, folder = LAYOUTS[layout]
    root = tmp_path / "in"
    a, b = (draw(root / folder / name, seed) for seed, name in enumerate(("a.png", "b.png")))
    file = write_json(root / listing, coco(FIRST, SECOND))
    report = import_crops(store, PixelEncoder(), root)
    assert (report.added, refusals(report)) == (2, [])
    under = f"{folder}/" if folder else ""
    cut = pixels_of(store)
    assert np.array_equal(cut[f"{under}a.png#17"], np.asarray(a)[20:80, 10:40])
    assert np.array_equal(cut[f"{under}b.png#18"], np.asarray(b)[6:46, 100:121])
    # By the file itself, and as a zip, they are the same people.
    assert import_crops(store, PixelEncoder(), file).unchanged == 2
    zipped = Path(shutil.make_archive(str(tmp_path / "in"), "zip", root))
    again = import_crops(store, PixelEncoder(), zipped)
    assert (again.added, again.unchanged, again.rejected) == (0, 2, ())
    assert verify(store).ok


def test_importing_again_adds_nothing_and_takes_what_is_new(store, tmp_path):
    draw(tmp_path / "in" / "a.png")
    file = write_json(tmp_path / "in" / "boxes.json", coco(FIRST, pictures=("a.png",)))
    first = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert (first.added, import_crops(store, PixelEncoder(), tmp_path / "in").unchanged) == (1, 1)
    added = {"bbox": [60, 60, 20, 30]}
    write_json(
        file, coco(FIRST | {"track_id": 5, "attributes": {"camera": "hall"}}, added, pictures=("a.png",))
    )
    later = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert (later.added, later.completed, dict(later.changes)) == (1, 1, {"camera": 1, "person": 1})
    crop = all_crops(store)[0]
    assert (crop.path, crop.person, crop.camera) == ("a.png#17", "5", "hall")
