"""Pictures from anywhere, decoded with suspicion: torn files, bombs, text named .jpg, odd colour modes."""

from __future__ import annotations

import stat
from io import BytesIO
from pathlib import Path
from typing import Protocol

from PIL import ExifTags, Image, ImageFile, ImageOps, UnidentifiedImageError

from gallery_store.colours import has_transparency, is_deep_grey, to_srgb
from gallery_store.decoded_bytes import DECODED
from gallery_store.errors import first_line
from gallery_store.wholeness import missing_part

_JPEG_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".jpe", ".mpo")
_HEIF_SUFFIXES = (".heic", ".heif", ".hif", ".avif")
PICTURE_SUFFIXES = frozenset(
    {*_JPEG_SUFFIXES, *_HEIF_SUFFIXES, ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}
)

MAX_BYTES = 32 << 20
MAX_PIXELS = 50_000_000
MAX_SIDE = 32_768  # of a line one pixel wide, a resized copy would take gigabytes

# Decoders that were never asked for are closed to attackers too (Pillow knows PostScript, for one).
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
_ORIENTATION = ExifTags.Base.Orientation
_HEIF_FORMATS = ("AVIF", "HEIF")
_KINDS = "JPEG, PNG, WebP, BMP, TIFF, GIF, HEIC, AVIF"
# Pillow's JPEG decoder calls a JPEG with several pictures inside (as phones write) "MPO".
_SUFFIX_OF = {
    "JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "BMP": ".bmp", "TIFF": ".tif", "GIF": ".gif",
    "AVIF": ".avif", "HEIF": ".heic",
}  # fmt: skip


class Readable(Protocol):
    """An open file, or a picture in a storage."""

    def read(self, most: int, /) -> bytes: ...


class PictureError(ValueError):
    """A picture that cannot be used. `reason` is one clear clause without a path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def open_picture(
    source: str | Path | bytes | Readable,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    within: tuple[int, int] | None = None,
) -> Image.Image:
    """Decode one picture: mode "RGB", EXIF-rotated, fully loaded, detached from its file.

    Transparency is laid on white, of an animation the first frame counts; colours become sRGB, and deep values 8 bits
    (gallery_store.colours.to_srgb).
    within: (width, height) that a small copy fits in, its shape kept; None for the whole picture. Waits while
    other threads decode as much as may be in memory at once (gallery_store.decoded_bytes).
    Raises PictureError for anything that is not a whole picture within the bounds.
    """
    return decode(read_bounded(source, max_bytes=max_bytes), max_pixels=max_pixels, within=within)[0]


def read_bounded(source: str | Path | bytes | Readable, *, max_bytes: int = MAX_BYTES) -> bytes:
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
        image = _opened(data)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"it has more than {max_pixels:,} pixels") from None
    except UnidentifiedImageError:
        raise PictureError(
            "it is not a picture of a known kind (JPEG, PNG, WebP, BMP, TIFF, GIF, HEIC, AVIF)"
        ) from None
    except Exception as problem:  # decoders raise all sorts of errors on hostile bytes
        raise PictureError(f"it is damaged or cut off ({first_line(problem)})") from None
    with image:
        suffix = _SUFFIX_OF[image.format or ""]
        _require_within_bounds(image, max_pixels)
        if within is not None:
            # A JPEG is decoded at a half, a quarter or an eighth: at twice what is wanted, either way up.
            image.draft("RGB", (2 * max(within), 2 * max(within)))
        if fault := missing_part(data, image.format or ""):
            raise PictureError(f"it is damaged or cut off ({fault})")
        cost = _decoding_bytes(image)
        if cost > DECODED.most:
            raise PictureError(f"it takes {cost >> 20:,} MB to decode, more than {DECODED.most >> 20:,}")
        try:
            with DECODED.taken(cost):
                image.load()
                rgb = _upright(to_srgb(image, lambda: _opened(data)), image)
                if within is not None:
                    rgb.thumbnail(within, Image.Resampling.LANCZOS)
                DECODED.keep(rgb, 4 * rgb.width * rgb.height)
                return rgb, suffix
        except MemoryError:
            raise PictureError("it does not fit in memory") from None
        except Exception as problem:
            raise PictureError(f"it is damaged or cut off ({first_line(problem)})") from None


def taken_at(data: bytes) -> str:
    """When a picture was taken, by its EXIF, as ISO 8601, with a zone where it tells one; "" if it does not."""
    try:
        with _opened(data) as image:
            exif = image.getexif()
            details = exif.get_ifd(ExifTags.IFD.Exif)
    except Exception:  # what cannot be opened is refused when it is decoded
        return ""
    tag = ExifTags.Base
    moment = details.get(tag.DateTimeOriginal) or details.get(tag.DateTimeDigitized) or exif.get(tag.DateTime)
    day, _, clock = str(moment or "").strip(" \0").partition(" ")
    offset = str(details.get(tag.OffsetTimeOriginal) or "").strip(" \0")
    return f"{day.replace(':', '-')}T{clock}{offset}" if clock else ""


def format_of(data: bytes) -> str:
    """Pillow's name of the kind of picture, by its header alone. Raises PictureError where it is none."""
    try:
        with _opened(data) as image:
            return image.format or ""
    except Exception as problem:  # as in decode
        raise PictureError(f"it is damaged or cut off ({first_line(problem)})") from None


def size_of(data: bytes, *, max_pixels: int | None = None) -> tuple[int, int]:
    """(width, height) of a picture as it stands upright, by its header alone.

    Raises PictureError where it is none, or has more pixels than `max_pixels` or a longer side than decode takes; None
    bounds nothing.
    """
    try:
        with _opened(data) as image:
            if max_pixels is not None:
                _require_within_bounds(image, max_pixels)
            width, height = image.size
            is_on_its_side = image.getexif().get(_ORIENTATION, 1) in (5, 6, 7, 8)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise PictureError(f"it has more than {max_pixels or MAX_PIXELS:,} pixels") from None
    except Exception as problem:  # as in decode
        raise PictureError(f"it is damaged or cut off ({first_line(problem)})") from None
    return (height, width) if is_on_its_side else (width, height)


def _require_within_bounds(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise PictureError(f"it has {width} x {height} pixels, more than {max_pixels:,}")
    if max(width, height) > MAX_SIDE:
        raise PictureError(f"it has {width} x {height} pixels, a side of more than {MAX_SIDE:,}")


def _opened(data: bytes) -> ImageFile.ImageFile:
    """Raises what Pillow raises."""
    if data[4:8] != b"ftyp":
        return Image.open(BytesIO(data), formats=_FORMATS)
    import pillow_heif  # here: the library is loaded by those who have such pictures

    pillow_heif.register_heif_opener()
    return Image.open(BytesIO(data), formats=_HEIF_FORMATS)


def _decoding_bytes(image: Image.Image) -> int:
    """The most that decoding takes: the picture as it lies, upright, and what it is converted by."""
    copies = 4 + 2 * has_transparency(image) + 2 * bool(image.info.get("icc_profile"))
    if image.format in ("PNG", "TIFF") and not is_deep_grey(image):
        copies += 3 * _has_16_bits(image)
    return 4 * copies * image.width * image.height  # Pillow keeps four bytes a pixel


def _has_16_bits(image: Image.Image) -> bool:
    return any(";16" in str(tile.args) for tile in getattr(image, "tile", ()))


def _upright(rgb: Image.Image, image: Image.Image) -> Image.Image:
    """rgb turned as the EXIF of `image`, from which it was made, says."""
    try:
        turn = image.getexif().get(_ORIENTATION, 1)
        if turn == 1:
            return rgb
        rgb.getexif()[_ORIENTATION] = turn
        return ImageOps.exif_transpose(rgb)
    except Exception:  # broken EXIF beside whole pixels: show them as they lie
        return rgb


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):g}"
