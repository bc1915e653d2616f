"""Which photos are scenes, and that none is sent before it was decided."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from app.cropping import Cropping
from app.uploads import Uploads

A, B, PERSON, PART = Path("a.jpg"), Path("b.jpg"), Path("person.jpg"), Path("part.jpg")


def is_scene(file: Path) -> bool:
    return file in (A, B)


def test_each_scene_of_a_message_is_decided_in_turn() -> None:
    cropping = Cropping()
    assert not cropping.look_at([PERSON], is_scene) and cropping.photo is None
    files = [PERSON, A, B]
    assert cropping.look_at(files, is_scene) and cropping.photo == A
    assert cropping.look_at(files, is_scene) and cropping.photo == A  # asked again, still undecided
    cropping.decide(PART)
    assert cropping.look_at(files, is_scene) and cropping.photo == B
    cropping.decide(B)  # the whole of it
    assert not cropping.look_at(files, is_scene)
    assert cropping.sent(files) == (PERSON, PART, B)
    assert cropping.look_at([A], is_scene)  # the same photo in another message is another decision


def test_a_photo_that_was_taken_out_leaves_the_cropper() -> None:
    cropping = Cropping()
    cropping.look_at([A], is_scene)
    cropping.look_at([], is_scene)
    assert cropping.photo is None
    cropping.take(PERSON)  # by itself: no message has it
    cropping.look_at([], is_scene)
    assert cropping.photo == PERSON and not cropping.is_attached


@pytest.mark.parametrize(
    "size, expected",
    [
        ((64, 128), False),  # crops, as cameras make them
        ((400, 900), False),
        ((190, 190), False),
        ((640, 480), True),  # frames, and photos of a phone either way up
        ((1920, 1080), True),
        ((750, 1000), True),
        ((1080, 1920), True),
    ],
)
def test_what_is_wide_or_large_may_be_a_scene(tmp_path: Path, size: tuple[int, int], expected: bool) -> None:
    uploads = Uploads(tmp_path / "uploads", max_bytes=1 << 20, max_pixels=9_000_000)
    photo = uploads.folder / "photo.jpg"
    Image.new("RGB", size, "red").save(photo)
    assert uploads.shows_scene(photo) is expected
    assert uploads.size_of(photo) == size


def test_what_is_no_picture_is_no_scene(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads", max_bytes=1 << 20, max_pixels=9_000_000)
    letter = uploads.folder / "letter.jpg"
    letter.write_text("no picture")
    assert not uploads.shows_scene(letter) and not uploads.shows_scene(uploads.folder / "gone.jpg")
