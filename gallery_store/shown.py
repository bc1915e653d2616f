"""A crop's picture as a browser shows it: as it was imported, or as a small copy."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from gallery_store.crops import Crop
from gallery_store.decoding import MAX_PIXELS, PictureError, format_of, open_picture, read_bounded
from gallery_store.errors import GalleryError

THUMBNAIL = (768, 384)  # pixels that it fits in, width and height
LARGE_THUMBNAIL = (1536, 768)  # for screens of more than one dot a pixel
_KNOWN_TO_BROWSERS = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "AVIF": "image/avif",
}


def picture_bytes(crop: Crop) -> bytes:
    """The file, as it was imported. Raises PictureError, also where a file that was only linked was changed since the
    import: it may show anybody.
    """
    data = read_bounded(crop.file)
    if crop.linked:
        _refuse_changed(data, crop)
    return data


def original(crop: Crop, *, max_pixels: int = MAX_PIXELS) -> tuple[bytes, str]:
    """-> (the picture, its media type): byte for byte what was imported, or all its pixels as a PNG where browsers
    do not know its kind (TIFF, HEIC).

    Raises GalleryError where it is gone, damaged, or was changed since the import.
    """
    with _as_gallery_error(crop):
        data = read_bounded(crop.file)
        _refuse_changed(data, crop)
        media_type = _KNOWN_TO_BROWSERS.get(format_of(data))
        if media_type is not None:
            return data, media_type
        buffer = BytesIO()
        open_picture(data, max_pixels=max_pixels).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue(), "image/png"


def small_copy(crop: Crop, within: tuple[int, int], *, max_pixels: int = MAX_PIXELS) -> bytes:
    """A JPEG that fits in (width, height) pixels, never larger than the picture.

    Raises GalleryError where the picture is gone or damaged, or was linked and changed since the import.
    """
    with _as_gallery_error(crop):
        buffer = BytesIO()
        small = open_picture(picture_bytes(crop), max_pixels=max_pixels, within=within)
        small.save(buffer, "JPEG", quality=88)
        return buffer.getvalue()


def width_within(crop: Crop, within: tuple[int, int]) -> int:
    """How wide the small copy is, in pixels."""
    scale = min(1.0, within[0] / crop.width, within[1] / crop.height)
    return max(1, round(crop.width * scale))


def _refuse_changed(data: bytes, crop: Crop) -> None:
    if hashlib.sha256(data).hexdigest() != crop.sha256:
        raise PictureError("it was changed since the import")


@contextmanager
def _as_gallery_error(crop: Crop) -> Iterator[None]:
    try:
        yield
    except PictureError as problem:
        raise GalleryError(
            f"the picture of crop {crop.id} ({crop.path}) cannot be shown: {problem.reason}; "
            "`python -m gallery_store verify` lists all such"
        ) from None
