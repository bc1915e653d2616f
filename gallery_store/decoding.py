"""Pictures from anywhere, decoded with suspicion: torn files, bombs, text named .jpg, odd colour modes."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gallery_store.decoded_bytes import DECODED
from gallery_store.errors import first_line

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"})

MAX_BYTES = 32 << 20
MAX_PIXELS = 50_000_000
MAX_SIDE = 32_768  # of a line one pixel wide, a resized copy would take gigabytes

_STRIP = 1 << 20  # pixels of a deep picture that are converted at once

# Decoders that were never asked for are closed to attackers too (Pillow knows PostScript, for one).
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF")
# Pillow's JPEG decoder calls a JPEG with several pictures inside (as phones write) "MPO".
_SUFFIX_OF = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif"}


class PictureError(ValueError):
    """A picture that cannot be used. `reason` is one clear clause without a path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def open_picture(
    source: str | Path | bytes | BinaryIO,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    within: tuple[int, int] | None = None,
) -> Image.Image:
    """Decode one picture: mode "RGB", EXIF-rotated, fully loaded, detached from its file.

    Transparency is laid on white, 16-bit values are scaled to 8, of an animation the first frame counts.
    within: (width, height) that a small copy fits in, its shape kept; None for the whole picture. Waits while
    other threads decode as much as may be in memory at once (gallery_store.decoded_bytes).
    Raises PictureError for anything that is not a whole picture within the bounds.
    """
    return decode(read_bounded(source, max_bytes=max_bytes), max_pixels=max_pixels, within=within)[0]


def read_bounded(source: str | Path | bytes | BinaryIO, *, max_bytes: int = MAX_BYTES) -> bytes:
    """The bytes of a picture file, at most `max_bytes`. Raises PictureError."""
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    elif isinstance(source, str | Path):
        data = _read_file(Path(source), max_bytes)
    else:
        try:
            data = source.read(max_bytes + 1)
        except OSError as problem:
            raise PictureError(f"it cannot be read ({problem.strerror or problem})") from None
    if len(data) > max_bytes:
        raise PictureError(f"the file is larger than {_megabytes(max_bytes)} MB")
    if not data:
        raise PictureError("the file is empty")
    return data


def _read_file(path: Path, max_bytes: int) -> bytes:
    try:
        status = path.stat()  # first: reading a pipe or a device would block, or never end
        if stat.S_ISDIR(status.st_mode):
            raise PictureError("it is a folder, not a picture")
        if not stat.S_ISREG(status.st_mode):
            raise PictureError("it is not a regular file")
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except FileNotFoundError:
        raise PictureError("the file does not exist") from None
    except OSError as problem:
        raise PictureError(f"the file cannot be read ({problem.strerror})") from None
    except PictureError:
        raise
    except ValueError:  # a NUL byte in the path
        raise PictureError("the file's name is not a possible one") from None


def decode(
    data: bytes, *, max_pixels: int = MAX_PIXELS, within: tuple[int, int] | None = None
) -> tuple[Image.Image, str]:
    """-> (RGB picture, suffix of its true format, such as ".jpg"). Raises PictureError. See open_picture."""
    try:
        image = Image.open(BytesIO(data), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"it has more than {max_pixels:,} pixels") from None
    except UnidentifiedImageError:
        raise PictureError("it is not a picture of a known kind (JPEG, PNG, WebP, BMP or TIFF)") from None
    except Exception as problem:  # decoders raise all sorts of errors on hostile bytes
        raise PictureError(f"it is damaged or cut off ({first_line(problem)})") from None
    with image:
        suffix = _SUFFIX_OF[image.format or ""]
        width, height = image.size
        if width * height > max_pixels:
            raise PictureError(f"it has {width} x {height} pixels, more than {max_pixels:,}")
        if max(width, height) > MAX_SIDE:
            raise PictureError(f"it has {width} x {height} pixels, a side of more than {MAX_SIDE:,}")
        if within is not None:
            # A JPEG is decoded at a half, a quarter or an eighth: at twice what is wanted, either way up.
            image.draft("RGB", (2 * max(within), 2 * max(within)))
        cost = _decoding_bytes(image)
        if cost > DECODED.most:
            raise PictureError(f"it takes {cost >> 20:,} MB to decode, more than {DECODED.most >> 20:,}")
        try:
            with DECODED.taken(cost):
                image.load()
                rgb = _to_rgb(_upright(image))
                if within is not None:
                    rgb.thumbnail(within, Image.Resampling.LANCZOS)
                DECODED.keep(rgb, 4 * rgb.width * rgb.height)
                return rgb, suffix
        except MemoryError:
            raise PictureError("it does not fit in memory") from None
        except Exception as problem:
            raise PictureError(f"it is damaged or cut off ({first_line(problem)})") from None


def _decoding_bytes(image: Image.Image) -> int:
    """The most that decoding takes: the picture as it lies, upright, and what it is converted by."""
    copies = 6 if _has_transparency(image) else 4
    return 4 * copies * image.width * image.height  # Pillow keeps four bytes a pixel


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF beside whole pixels: show them as they lie
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _deep_to_rgb(image)
    if _has_transparency(image):
        layer = image.convert("RGBA")
        ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, layer).convert("RGB")
    rgb = image.convert("RGB")
    return rgb if rgb is not image else image.copy()


def _has_transparency(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def _deep_to_rgb(image: Image.Image) -> Image.Image:
    """16 or more bits in one channel: Pillow's own conversion would clip at 255. Strip by strip."""
    top = max((float(values.max()) for _, values in _deep_strips(image)), default=0.0)
    full = 255.0 if top <= 255 else 65535.0 if top <= 65535 else top
    if image.mode == "F" and top <= 1:
        full = 1.0
    grey = np.empty((image.height, image.width), np.uint8)
    for start, values in _deep_strips(image):
        grey[start : start + len(values)] = (values * (255.0 / full)).round()
    return Image.fromarray(grey).convert("RGB")


def _deep_strips(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, its values and those of the rows below: float64 (rows, width), 0 or more)."""
    rows = max(1, _STRIP // image.width)
    for start in range(0, image.height, rows):
        strip = image.crop((0, start, image.width, min(start + rows, image.height)))
        values = np.nan_to_num(np.asarray(strip).astype(np.float64), posinf=0.0, neginf=0.0)
        yield start, values.clip(min=0)


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):g}"
