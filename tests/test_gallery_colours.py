"""Pictures from thermal, 12-bit and wide-gamut cameras have the right values; what is half zeros is refused."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from gallery_store.decoding import PictureError, open_picture
from tests.gallery_tools import picture
from tests.test_gallery_decoding import encoded

WILD = Path(__file__).parent / "data" / "wild"


def pixels(source) -> np.ndarray:
    return np.asarray(open_picture(source))


def png_of_16_bits(values: np.ndarray) -> bytes:
    """values: (h, w, 3 or 4) uint16."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width, bands = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, 2 if bands == 3 else 6, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_grey16_twelve_bits_and_sixteen_show_the_same():
    full = pixels(WILD / "grey16" / "grey16_full.png")
    twelve = pixels(WILD / "grey16" / "grey12in16.png")
    assert full.max() == 170 and np.abs(full.astype(int) - twelve).max() <= 1


def test_grey16_thermal_is_stretched_to_the_range_it_uses():
    thermal = pixels(WILD / "grey16" / "grey16_thermal.png")
    assert (thermal.min(), thermal.max()) == (0, 255) and len(np.unique(thermal)) >= 4


def test_one_hot_pixel_does_not_make_a_thermal_picture_black():
    values = np.tile(np.linspace(7000, 8000, 64).astype(np.uint16), (64, 1))
    values[0, 0] = 65535
    shown = pixels(encoded(Image.fromarray(values), "PNG"))[..., 0]
    assert shown[1, 0] == 0 and shown[1, -1] == 255 and 120 < shown[1, 32] < 135 and shown[0, 0] == 255


def test_noise_of_a_few_levels_is_not_stretched():
    values = 30000 + np.random.default_rng(0).integers(0, 3, (64, 64)).astype(np.uint16)
    shown = pixels(encoded(Image.fromarray(values), "PNG"))
    assert (shown.min(), shown.max()) == (117, 117)


def test_degrees_below_zero_in_a_float_tiff():
    values = np.tile(np.linspace(-20, 40, 61).astype(np.float32), (4, 1))
    values[2, 2] = np.nan
    shown = pixels(encoded(Image.fromarray(values), "TIFF"))[..., 0]
    assert (shown[0, 0], shown[0, 30], shown[0, 60], shown[2, 2]) == (0, 128, 255, 0)


@pytest.mark.parametrize(("values", "shown"), [([0, 9, 40], [0, 9, 40]), ([700, 700, 700], [174] * 3)])
def test_a_dark_picture_of_8_bits_and_a_flat_one_are_not_stretched(values, shown):
    image = Image.fromarray(np.array([values], np.uint16))
    assert pixels(encoded(image, "PNG"))[0, :, 0].tolist() == shown


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_grey_picture_of_16_bits_of_either_byte_order(kind):
    values = np.array([[0, 1000, 4095]], np.uint16)
    data = encoded(Image.fromarray(values), kind)
    assert pixels(data)[0, :, 0].tolist() == [0, 62, 255]
    if kind == "TIFF":
        big = Image.fromarray(values.astype(">u2").view(np.uint16)).tobytes()
        image = Image.frombytes("I;16B", (3, 1), big)
        assert pixels(encoded(image, kind))[0, :, 0].tolist() == [0, 62, 255]


def test_colours_of_12_bits_in_16_are_not_black():
    values = np.array([[[0, 1000, 4095], [4095, 2048, 5]]], np.uint16)
    assert pixels(png_of_16_bits(values)).tolist() == [[[0, 62, 255], [255, 128, 0]]]
    clear = np.concatenate([values, np.array([[[65535], [0]]], np.uint16)], axis=2)
    assert pixels(png_of_16_bits(clear)).tolist() == [[[0, 62, 255], [255, 255, 255]]]
    whole = pixels(png_of_16_bits(values * 16))
    assert np.abs(whole.astype(int) - [[[0, 62, 255], [255, 128, 0]]]).max() <= 1


@pytest.mark.parametrize(
    ("name", "true"),
    [
        ("red", (200, 20, 20)),
        ("green", (20, 150, 40)),
        ("blue", (15, 30, 200)),
        ("orange", (240, 130, 20)),
        ("purple", (120, 20, 150)),
    ],
)
def test_icc_wide_gamut_becomes_srgb_whatever_the_profile_is_called(name, true):
    shown = open_picture(WILD / "icc" / f"{name}_wide.png").getpixel((32, 64))
    assert np.abs(np.subtract(shown, true)).max() <= 2


def test_a_profile_beside_transparency_rotation_and_a_small_copy():
    wide = Image.open(WILD / "icc" / "red_wide.png")
    clear = wide.convert("RGBA")
    clear.putpixel((0, 0), (0, 0, 0, 0))
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(clear, "PNG", icc_profile=wide.info["icc_profile"], exif=exif)
    opened = open_picture(data)
    assert opened.size == (128, 64) and opened.getpixel((127, 0)) == (255, 255, 255)
    assert np.abs(np.subtract(opened.getpixel((64, 32)), (200, 20, 20))).max() <= 2
    small = open_picture(data, within=(32, 32))
    assert np.abs(np.subtract(small.getpixel((16, 8)), (200, 20, 20))).max() <= 6


def test_srgb_and_broken_profiles_change_nothing():
    image = picture(1)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for profile in (srgb, b"no profile at all", srgb[:100], srgb[:200] + b"\xff" * 100):
        assert np.array_equal(pixels(encoded(image, "PNG", icc_profile=profile)), np.asarray(image))
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    plain = pixels(encoded(cmyk, "JPEG"))
    assert np.array_equal(
        pixels(encoded(cmyk, "JPEG", icc_profile=srgb)), plain
    )  # of other colours: passed over
    grey = Image.new("L", (4, 4), 100)
    assert pixels(encoded(grey, "PNG", icc_profile=srgb))[0, 0].tolist() == [100] * 3


def test_a_png_with_a_gamma_alone():
    def with_gamma(gamma: float) -> bytes:
        data = encoded(Image.new("L", (2, 2), 56), "PNG")
        body = struct.pack(">I", round(gamma * 100_000))
        chunk = struct.pack(">I", 4) + b"gAMA" + body + struct.pack(">I", zlib.crc32(b"gAMA" + body))
        return data[:33] + chunk + data[33:]

    assert pixels(with_gamma(0.45455))[0, 0, 0] == 56
    assert abs(int(pixels(with_gamma(1.0))[0, 0, 0]) - 128) <= 2  # 22 % of the light
    assert pixels(with_gamma(0.0))[0, 0, 0] == pixels(with_gamma(9999.0))[0, 0, 0] == 56


def test_png_zero_filled_is_refused():
    with pytest.raises(PictureError, match="damaged or cut off"):
        open_picture(WILD / "png-zero-filled" / "half.png")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "MPO", "WEBP", "AVIF", "HEIF"])
@pytest.mark.parametrize("keep", [0.4, 0.7, 0.9])
def test_what_ends_in_zeros_instead_of_pixels_is_refused(kind, keep):
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (300, 200, 3), dtype=np.uint8))
    data = encoded(noise, kind)
    kept = int(len(data) * keep)
    with pytest.raises(PictureError, match="damaged or cut off"):
        open_picture(data[:kept] + bytes(len(data) - kept))
    # Whole pictures with zeros behind them, as some cameras and cards leave.
    if kind not in ("AVIF", "HEIF"):
        assert np.array_equal(pixels(data + bytes(500)), pixels(data))


def test_jfif_and_its_like_are_jpegs():
    shown = [pixels(WILD / "jfif" / name) for name in ("a.jfif", "a.jpe", "phone.mpo")]
    assert all(np.array_equal(one, shown[0]) for one in shown)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_colour_tiff_of_12_bits_in_16_of_either_byte_order(order):
    values = np.array([[[0, 1000, 4095], [4095, 2048, 5]]], np.uint16)
    body = values.astype(f"{order}u2").tobytes()
    entries = [(256, 3, 1, 2), (257, 3, 1, 1), (258, 3, 3, 8 + len(body)), (259, 3, 1, 1), (262, 3, 1, 2)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 3), (278, 3, 1, 1), (279, 4, 1, len(body))]
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(body) + 6)
    folder = struct.pack(f"{order}H", len(entries))
    for tag, kind, count, value in entries:
        packed = (
            struct.pack(f"{order}H2x", value) if kind == 3 and count == 1 else struct.pack(f"{order}I", value)
        )
        folder += struct.pack(f"{order}HHI", tag, kind, count) + packed
    data = head + body + struct.pack(f"{order}3H", 16, 16, 16) + folder + bytes(4)
    assert pixels(data).tolist() == [[[0, 62, 255], [255, 128, 0]]]
