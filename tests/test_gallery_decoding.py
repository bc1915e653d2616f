"""Bad pictures get one clear reason; odd but whole ones become RGB."""

from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pillow_heif import register_heif_opener

from gallery_store.decoding import PICTURE_SUFFIXES, PictureError, decode, open_picture
from tests.gallery_tools import picture

register_heif_opener()


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of the size named that holds hardly any data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF"])
def test_every_kind_opens_from_bytes_path_and_stream(kind, tmp_path):
    data = encoded(picture(1), kind)
    file = tmp_path / "x"
    file.write_bytes(data)
    for source in (data, file, str(file), BytesIO(data)):
        image = open_picture(source)
        assert image.mode == "RGB" and image.size == (32, 64)
    with file.open("rb") as stream:
        assert np.array_equal(np.asarray(open_picture(stream)), np.asarray(image))
    assert decode(data)[1] in PICTURE_SUFFIXES


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "BMP", "WEBP"])
def test_torn_pictures_are_refused(kind):
    data = encoded(picture(1, 300, 300), kind)
    for keep in (0.3, 0.6, 0.9):
        with pytest.raises(PictureError) as caught:
            open_picture(data[: int(len(data) * keep)])
        assert caught.value.reason and "\n" not in caught.value.reason


@pytest.mark.parametrize("size", [(20_000, 20_000), (8000, 7000), (65_000, 65_000)])
def test_a_bomb_is_refused_by_its_header(size):
    with pytest.raises(PictureError, match="pixels"):
        open_picture(png_header(*size))


def test_the_bounds_can_be_moved():
    data = encoded(picture(1), "PNG")
    with pytest.raises(PictureError, match="32 x 64 pixels, more than 2,047"):
        open_picture(data, max_pixels=2047)
    assert open_picture(data, max_pixels=2048)
    with pytest.raises(PictureError, match="larger than"):
        open_picture(data, max_bytes=len(data) - 1)
    assert open_picture(BytesIO(data), max_bytes=len(data))


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.jpg").write_text("not a picture at all")
    (tmp_path / "empty.jpg").touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    for source, reason in [
        (tmp_path / "text.jpg", "not a picture of a known kind"),
        (tmp_path / "empty.jpg", "empty"),
        (tmp_path / "pipe.jpg", "not a regular file"),
        (tmp_path / "gone.jpg", "does not exist"),
        (tmp_path, "folder"),
        ("nul\0.jpg", "name"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not a picture of a known kind"),
    ]:
        with pytest.raises(PictureError, match=reason) as caught:
            open_picture(source)
        assert str(tmp_path) not in caught.value.reason


def test_exif_rotation_is_applied_and_broken_exif_is_not_fatal():
    image = picture(1, 40, 20)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    turned = open_picture(encoded(image, "PNG", exif=exif))
    assert turned.size == (20, 40)
    assert np.array_equal(np.asarray(turned), np.rot90(np.asarray(image), -1))
    data = encoded(image, "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff broken")
    assert open_picture(data).size == (40, 20)


def test_transparency_is_laid_on_white():
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    opened = open_picture(encoded(image, "PNG"))
    assert [opened.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]
    palette = Image.new("P", (2, 1), 0)
    palette.putpalette([255, 0, 0, 0, 0, 0] + [0] * 762)
    palette.putpixel((1, 0), 1)
    opened = open_picture(encoded(palette, "PNG", transparency=1))
    assert [opened.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]
    grey = open_picture(encoded(Image.new("LA", (1, 1), (7, 0)), "PNG"))
    assert grey.getpixel((0, 0)) == (255, 255, 255)


def test_cmyk_grey_bitmap_and_16_bit():
    red = np.asarray(open_picture(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG")))[4, 4]
    assert red[0] > 200 and max(red[1:]) < 60
    assert open_picture(encoded(Image.new("1", (3, 3), 1), "PNG")).getpixel((0, 0)) == (255, 255, 255)
    assert open_picture(encoded(Image.new("L", (3, 3), 9), "PNG")).getpixel((0, 0)) == (9, 9, 9)
    deep = np.array([[0, 257 * 100, 65535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        opened = open_picture(encoded(Image.fromarray(deep), kind))
        assert np.asarray(opened)[0, :, 0].tolist() == [0, 100, 255]
    floats = Image.fromarray(np.array([[0.0, 0.5, 1.0, np.nan]], np.float32))
    opened = open_picture(encoded(floats, "TIFF"))
    assert np.asarray(opened)[0, :, 0].tolist() == [0, 128, 255, 0]


@pytest.mark.parametrize("kind", ["WEBP", "PNG", "GIF"])
def test_of_an_animation_the_first_frame_counts(kind):
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], lossless=True)
    assert open_picture(data).getpixel((0, 0)) == (255, 0, 0)


def test_a_jpeg_with_several_pictures_inside_is_a_jpeg():
    data = encoded(picture(1), "MPO", save_all=True, append_images=[picture(2)])
    image, suffix = decode(data)
    assert image.size == (32, 64) and suffix == ".jpg"


@settings(max_examples=150)
@given(st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "AVIF", "HEIF"]), st.data())
def test_damaged_bytes_give_a_picture_or_a_reason(kind, data):
    body = bytearray(encoded(picture(3), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert open_picture(bytes(body), max_pixels=1_000_000).mode == "RGB"
    except PictureError as problem:
        assert problem.reason
