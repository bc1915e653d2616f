"""Decoded pixels of any mode as sRGB: deep greys, transparency, colour profiles, gamma."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms, ImageFile

_STRIP = 1 << 20  # pixels of a deep picture that are converted at once
_SAMPLE = 1 << 20  # pixels by which the range of a deep picture is judged
_OUTLIERS = 0.001  # of the pixels at either end: one hot pixel must not decide how bright the rest is
_FULL_RANGES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)  # of sensors with 8, 10, 12, 14 and 16 bits
_NARROW = 0.25  # of the full range: what uses less (a thermal camera) is stretched
_FLAT = 16.0  # values: what uses fewer shows nothing but noise
_SRGB_GAMMA = 1 / 2.2
_SWAPPED = {"16B": "16L", "16L": "16B", "16N": "16B"}  # Pillow takes the upper byte: swapped, the lower one

_FLAGS = ImageCms.Flags.NOOPTIMIZE  # the tables that it would build cost more than a crop
# Six levels of each channel.
_PROBE = Image.fromarray(np.indices((6, 6, 6), np.uint8).reshape(3, -1, 6).transpose(1, 2, 0) * 51)

Reopen = Callable[[], ImageFile.ImageFile]


def to_srgb(image: Image.Image, reopen: Reopen) -> Image.Image:
    """A loaded picture -> a new one, mode "RGB", in sRGB, without transparency (laid on white).

    Values of more than 8 bits are scaled by the bits in use (10, 12, 14, 16), or, where a picture uses less than a
    quarter of those, stretched to the range it uses. reopen: the same file once more, not yet loaded.
    """
    if is_deep_grey(image):
        return _deep_to_rgb(image)
    deep = _lower_bytes(image, reopen)
    if deep is not None:
        image = deep
    rgb = _on_white(image) if has_transparency(image) else image.convert("RGB")
    rgb = _by_gamma(_by_profile(rgb, image), image)
    return image.copy() if rgb is image else rgb


def has_transparency(image: Image.Image) -> bool:
    """Whether some of its pixels may let the ground through."""
    return image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info


def is_deep_grey(image: Image.Image) -> bool:
    """16 or more bits in one channel."""
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _on_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    ground = Image.new("RGBA", layer.size, (255, 255, 255, 255))
    return Image.alpha_composite(ground, layer).convert("RGB")


def _by_profile(rgb: Image.Image, image: Image.Image) -> Image.Image:
    """By the profile that the file brings; one that is broken, or of other colours, is passed over."""
    data = image.info.get("icc_profile")
    if not data:
        return rgb
    try:
        profile = ImageCms.getOpenProfile(BytesIO(data))
        mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(profile.profile.xcolor_space.strip())
        if mode is None or (mode == "CMYK") != (image.mode == "CMYK"):
            return rgb
        intent, srgb = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(profile, srgb, mode, "RGB", intent, _FLAGS)
        if mode != "CMYK" and _changes_little(transform, mode):
            return rgb
        source = image if mode == "CMYK" else rgb.convert(mode)
        return ImageCms.applyTransform(source, transform) or rgb
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return rgb


def _changes_little(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether it is a transform from sRGB, by what it does: names of profiles are not to be trusted."""
    probe = _PROBE.convert(mode)
    changed = np.asarray(ImageCms.applyTransform(probe, transform), np.int16)
    return int(np.abs(changed - np.asarray(probe.convert("RGB"), np.int16)).max()) <= 2


def _by_gamma(rgb: Image.Image, image: Image.Image) -> Image.Image:
    """A PNG may tell a gamma where it has no profile."""
    gamma = image.info.get("gamma")
    if not gamma or image.info.get("icc_profile") or "srgb" in image.info:
        return rgb
    power = _SRGB_GAMMA / gamma
    if not 0.2 < power < 5 or abs(power - 1) < 0.05:
        return rgb
    table = [round(255 * (value / 255) ** power) for value in range(256)]
    return rgb.point(table * 3)


def _deep_to_rgb(image: Image.Image) -> Image.Image:
    low, high = _range(image)
    grey = np.empty((image.height, image.width), np.uint8)
    for start, values in _strips(image):
        grey[start : start + len(values)] = _scaled(np.nan_to_num(values, nan=low), low, high)
    return Image.fromarray(grey).convert("RGB")


def _scaled(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return ((values.clip(low, high) - low) * (255.0 / (high - low))).round().astype(np.uint8)


def _range(image: Image.Image) -> tuple[float, float]:
    """The values that become black and white."""
    step = max(1, image.width * image.height // _SAMPLE)
    top, sample = 0.0, []
    for _, values in _strips(image):
        finite = values[np.isfinite(values)]
        top = max(top, float(finite.max(initial=0.0)))
        sample.append(finite[::step])
    return _shown_range(np.concatenate(sample), top, unit=image.mode == "F")


def _shown_range(sample: np.ndarray, top: float, *, unit: bool = False) -> tuple[float, float]:
    """sample: (n,) finite values; top: the greatest of all. unit: 1 may be white."""
    full = next((full for full in ((1.0,) if unit else ()) + _FULL_RANGES if top <= full), top)
    if not len(sample):
        return 0.0, full
    low = float(np.quantile(sample, _OUTLIERS, method="lower"))
    high = float(np.quantile(sample, 1 - _OUTLIERS, method="higher"))
    is_8_bit = full == 255.0 and not unit  # dark, if it is dark
    is_flat = high - low < _FLAT and not unit
    if high > low and not is_flat and (low < 0 or (high - low < _NARROW * full and not is_8_bit)):
        return low, high
    return 0.0, full


def _strips(image: Image.Image) -> Iterator[tuple[int, np.ndarray]]:
    """(first row, its values and those of the rows below: float64 (rows, width), not finite ones as NaN)."""
    rows = max(1, _STRIP // image.width)
    for start in range(0, image.height, rows):
        strip = image.crop((0, start, image.width, min(start + rows, image.height)))
        values = np.asarray(strip).astype(np.float64)
        values[~np.isfinite(values)] = np.nan
        yield start, values


def _lower_bytes(image: Image.Image, reopen: Reopen) -> Image.Image | None:
    """A colour picture of 16 bits a channel that uses few of them, scaled; None for others.

    Pillow keeps the upper bytes alone; with the order of bytes swapped it reads the lower ones.
    """
    if image.mode not in ("RGB", "RGBA") or image.format not in ("PNG", "TIFF"):
        return None
    if max(int(np.max(band.getextrema())) for band in image.split()[:3]) >= 64:  # 14 bits and fewer
        return None
    with reopen() as again:
        swapped = [new for tile in again.tile if (new := _with_swapped_bytes(tile)) is not None]
        if not swapped or len(swapped) < len(again.tile):
            return None
        again.tile = swapped
        again.load()
        if again.size != image.size or again.mode != image.mode:
            return None
        return _combined(image, again)


def _with_swapped_bytes(tile: ImageFile._Tile) -> ImageFile._Tile | None:
    first, *rest = tile.args if isinstance(tile.args, tuple) else (tile.args,)
    mode, _, order = str(first).partition(";")
    if order not in _SWAPPED:
        return None
    raw = f"{mode};{_SWAPPED[order]}"
    return tile._replace(args=(raw, *rest) if isinstance(tile.args, tuple) else raw)


def _combined(upper: Image.Image, lower: Image.Image) -> Image.Image:
    def strips() -> Iterator[tuple[int, np.ndarray]]:
        rows = max(1, _STRIP // upper.width)
        for start in range(0, upper.height, rows):
            box = (0, start, upper.width, min(start + rows, upper.height))
            values = np.asarray(upper.crop(box)).astype(np.uint16) << 8
            yield start, values | np.asarray(lower.crop(box))

    step = max(1, upper.width * upper.height // _SAMPLE)
    colours = [values[..., :3] for _, values in strips()]
    top = max(float(values.max()) for values in colours)
    low, high = _shown_range(np.concatenate([v.reshape(-1, 3)[::step].ravel() for v in colours]), top)
    shown = np.empty((upper.height, upper.width, len(upper.getbands())), np.uint8)
    for start, values in strips():
        part = shown[start : start + len(values)]
        part[..., :3] = _scaled(values[..., :3].astype(np.float64), low, high)
        part[..., 3:] = values[..., 3:] >> 8
    scaled = Image.fromarray(shown)
    scaled.info = upper.info
    return scaled
