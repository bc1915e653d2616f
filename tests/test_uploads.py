"""Uploaded files: whose they are, what they hold, and what of them is shown."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.refused import Refused
from app.ui.cropper import sides_of
from app.uploads import Uploads
from gallery_store.photographs import is_marked_drawn
from tests.bad_pictures import make_bad_pictures
from training.synthetic.render import encode


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", max_bytes=1 << 20, max_pixels=4_000_000)


def put(uploads: Uploads, name: str = "photo.jpg", size: tuple[int, int] = (300, 200), **save: Any) -> Path:
    path = uploads.folder / name
    Image.new("RGB", size, "red").save(path, **save)
    return path


def test_a_message_gives_its_text_and_files(uploads: Uploads) -> None:
    photo = put(uploads)
    assert uploads.files_of({"text": "hello", "files": [{"path": str(photo)}, str(photo)]}) == (
        "hello", [photo, photo],
    )  # fmt: skip
    assert uploads.files_of("hello") == ("hello", [])
    assert uploads.files_of({"files": None}) == ("", [])


@pytest.mark.parametrize(
    "message", [None, 3, [], {"text": 1}, {"files": "x"}, {"files": [None]}, {"files": [{}]}]
)
def test_a_malformed_message_is_refused(uploads: Uploads, message: object) -> None:
    with pytest.raises(Refused):
        uploads.files_of(message)


def test_only_files_of_the_upload_folder_count(uploads: Uploads, tmp_path: Path) -> None:
    secret = tmp_path / "secret.jpg"
    Image.new("RGB", (9, 9)).save(secret)
    link = uploads.folder / "link.jpg"
    link.symlink_to(secret)
    for path in (
        secret,
        uploads.folder / ".." / "secret.jpg",
        link,
        uploads.folder,
        "a\0b",
        uploads.folder / "gone.jpg",
    ):
        with pytest.raises(Refused):
            uploads.files_of({"files": [{"path": str(path)}]})


@pytest.mark.parametrize("name", ["letter.jpg", "torn.jpg", "bomb.png", "empty.png", "notes.txt", "page.svg"])
def test_what_is_no_picture_is_refused_by_name(uploads: Uploads, name: str) -> None:
    file = make_bad_pictures(uploads.folder)[name]
    for use in (uploads.open, uploads.preview, lambda path: uploads.crop(path, (0, 0, 1, 1))):
        with pytest.raises(Refused, match=name) as caught:
            use(file)
        assert str(file.parent) not in str(caught.value)
    assert uploads.preview_if_any(file) is None


def test_a_file_over_the_bound_is_refused(uploads: Uploads) -> None:
    file = uploads.folder / "big.bmp"
    Image.new("RGB", (1000, 1000)).save(file)
    with pytest.raises(Refused, match="1 MB"):
        uploads.open(file)


def test_a_preview_is_small_upright_and_without_metadata(uploads: Uploads) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker of the camera"
    photo = put(uploads, size=(2000, 1000), exif=exif)
    with Image.open(uploads.preview(photo)) as preview:
        assert preview.size == (360, 720)
        assert not preview.getexif()
    assert uploads.data_uri(photo).startswith("data:image/jpeg;base64,")


def test_cropping_cuts_the_part_in_the_box(uploads: Uploads) -> None:
    path = uploads.folder / "two.png"
    frame = Image.new("RGB", (200, 100), "blue")
    frame.paste((255, 0, 0), (100, 0, 200, 100))
    frame.save(path)
    with Image.open(uploads.crop(path, (0.5, 0.0, 1.0, 1.0))) as part:
        assert part.size == (100, 100)
        assert np.asarray(part.convert("RGB"))[50, 5, 0] > 200
    with Image.open(uploads.crop(path, (-4, -4, 9, 9))) as whole:
        assert whole.size == (200, 100)
    assert uploads.crop(path, (0.5, 0, 1, 1)) != uploads.crop(path, (0, 0, 1, 1))


def test_a_part_of_a_drawing_says_that_it_is_one_and_a_part_of_a_photo_does_not(uploads: Uploads) -> None:
    drawn, photo = uploads.folder / "drawn.jpg", uploads.folder / "photo.jpg"
    drawn.write_bytes(encode(Image.new("RGB", (100, 200), "red")))
    Image.new("RGB", (100, 200), "red").save(photo, comment=b"from a camera")
    assert is_marked_drawn(uploads.crop(drawn, (0, 0, 1, 0.5)).read_bytes())
    part = uploads.crop(photo, (0, 0, 1, 0.5)).read_bytes()
    assert not is_marked_drawn(part) and b"camera" not in part


@pytest.mark.parametrize("box", [(0.5, 0.5, 0.5, 0.5), (0.9, 0.1, 0.1, 0.9), (0.0, 0.0, 0.01, 1.0)])
def test_a_box_without_content_is_refused(uploads: Uploads, box: tuple[float, float, float, float]) -> None:
    with pytest.raises(Refused, match="8 pixels"):
        uploads.crop(put(uploads), box)


@pytest.mark.parametrize(
    "box", [None, "abcd", [1, 2, 3], [0, 0, 1, math.nan], [0, 0, 1, math.inf], [{}, 0, 1, 1]]
)
def test_a_box_that_is_no_box_is_refused(box: object) -> None:
    with pytest.raises(Refused):
        sides_of(box)


def test_photos_that_no_case_keeps_are_forgotten_once_their_step_must_be_written(uploads: Uploads) -> None:
    erased, kept, new = (uploads.put(Path(name, "photo.jpg"), name.encode()) for name in ("a", "b", "c"))
    for photo in (erased, kept):
        os.utime(photo, (0, 0))
    assert uploads.forget({"b/photo.jpg"}) == 1
    assert not erased.exists() and kept.exists() and new.exists()
    assert uploads.forget({"b/photo.jpg"}) == 0
