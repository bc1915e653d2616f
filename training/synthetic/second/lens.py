"""What light, lens, sensor, codec and box do to world 2's pictures."""

from __future__ import annotations

import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageFilter

from training.synthetic.site import Camera

FILTERS = (
    Image.Resampling.NEAREST,
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.HAMMING,
    Image.Resampling.BICUBIC,
    Image.Resampling.LANCZOS,
)
LUMA = (0.3, 0.5, 0.2)


@dataclass(frozen=True)
class Lens:
    """Faults of one picture; as it stands here, none.

    gains: RGB factors. exposure, contrast, gamma, colour (saturation): 1 is as it is. slope: brighter to the right;
    fall: darker downwards; vignette: darker corners, shares. noise: grey levels (sigma); speckle: above 0.3 it is
    coloured. blur: px; smear: px of movement to the side. detail: the share of the pixels the sensor
    has, reduced and enlarged by two of FILTERS. sharpen: percent. jpeg: qualities of the codecs passed, first the
    sensor's own.
    """

    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    exposure: float = 1.0
    contrast: float = 1.0
    gamma: float = 1.0
    colour: float = 1.0
    slope: float = 0.0
    fall: float = 0.0
    vignette: float = 0.0
    noise: float = 0.0
    speckle: float = 0.0
    blur: float = 0.0
    smear: int = 0
    detail: float = 1.0
    filters: tuple[int, int] = (2, 2)
    sharpen: int = 0
    jpeg: tuple[int, ...] = ()


def draw_lens(camera: Camera, rng: np.random.Generator) -> Lens:
    """The faults of one picture by a camera: the camera's own and the moment's."""
    strong = float(rng.random()) ** 2  # most pictures are fair, some are dreadful
    detail = min(1.0, camera.detail * float(rng.uniform(0.75, 1.5)))
    if rng.random() < 0.22:
        detail = float(rng.uniform(0.2, 0.45))
    qualities = [int(rng.integers(18, 60)) if rng.random() < 0.35 else int(rng.integers(60, 96))]
    if rng.random() < 0.35:
        qualities.append(int(rng.integers(45, 96)))
    r, g, b = (float(v) for v in np.array(camera.gains) * (1 + rng.normal(0, 0.06, 3)))
    return Lens(
        gains=(r, g, b),
        exposure=1.12 * camera.exposure**0.8 * float(np.exp(rng.normal(0, 0.18))),
        contrast=camera.contrast * float(rng.uniform(0.82, 1.16)),
        gamma=float(np.exp(rng.normal(0, 0.22))),
        colour=float(np.clip(rng.normal(0.88, 0.24), 0.25, 1.4)),
        slope=float(rng.normal(0, 0.15)),
        fall=float(rng.normal(0, 0.12)),
        vignette=float(rng.uniform(0, 0.25)),
        noise=camera.noise * float(rng.uniform(0.1, 0.8)) + 9 * strong**2,
        speckle=float(rng.uniform(0, 0.8)),
        blur=camera.blur * float(rng.uniform(0.2, 1.0)) + 0.8 * strong,
        smear=int(rng.integers(2, 6)) if rng.random() < 0.1 else 0,
        detail=detail,
        filters=(
            int(rng.integers(1, len(FILTERS))),
            int(rng.integers(0 if rng.random() < 0.2 else 2, len(FILTERS))),
        ),
        sharpen=int(rng.integers(40, 180)) if rng.random() < 0.25 else 0,
        jpeg=tuple(qualities) if rng.random() < 0.85 else (),
    )


def light_field(lens: Lens, size: tuple[int, int]) -> np.ndarray:
    """float32 (height, width): how much light falls on each spot, 1 for as it is."""
    across = np.linspace(-1, 1, size[0], dtype=np.float32)[None, :]
    down = np.linspace(-1, 1, size[1], dtype=np.float32)[:, None]
    return (1 + lens.slope * across - lens.fall * down) * (1 - lens.vignette * (across**2 + down**2) * 0.5)


def take(picture: Image.Image, lens: Lens, infrared: bool, rng: np.random.Generator) -> Image.Image:
    """The picture as it comes out, of the same size."""
    size, (width, height) = picture.size, picture.size
    down, up = (FILTERS[number] for number in lens.filters)
    if lens.smear > 1:
        picture = picture.filter(ImageFilter.BoxBlur((lens.smear / 2 * height / 256, 0)))
    if lens.blur > 0.3:
        picture = picture.filter(ImageFilter.BoxBlur(lens.blur * height / 256))
    if lens.detail < 0.97:
        small = (max(12, int(width * lens.detail)), max(24, int(height * lens.detail)))
        picture = picture.resize(small, down)
    picture = picture.convert("RGB", _matrix(lens, infrared)).point(_curve(lens) * 3)
    if lens.noise > 0.5:
        picture = _noisy(picture, lens, infrared, rng)
    for number, quality in enumerate(lens.jpeg):
        picture = _coded(picture, quality)
        if number == 0:
            picture = _enlarged(picture, size, up, lens)
    return (
        _enlarged(picture, size, up, lens).convert("L").convert("RGB")
        if infrared
        else _enlarged(picture, size, up, lens)
    )


def _enlarged(picture: Image.Image, size: tuple[int, int], up: Image.Resampling, lens: Lens) -> Image.Image:
    if picture.size != size:
        picture = picture.resize(size, up)
        if lens.sharpen:
            picture = picture.filter(ImageFilter.UnsharpMask(1.2, lens.sharpen, 2))
    return picture


def _coded(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _matrix(lens: Lens, infrared: bool) -> tuple[float, ...]:
    """The colour matrix of saturation, cast and exposure, as Image.convert takes it."""
    colour = 0.0 if infrared else lens.colour
    rows: list[float] = []
    for channel, gain in enumerate((1.0, 1.0, 1.0) if infrared else lens.gains):
        row = [luma * (1 - colour) + (colour if channel == other else 0.0) for other, luma in enumerate(LUMA)]
        rows += [*(value * gain * lens.exposure for value in row), 0.0]
    return tuple(rows)


def _curve(lens: Lens) -> list[int]:
    """What contrast and gamma make of each level, 0..255."""
    levels = np.arange(256) / 255
    return (
        np.rint(np.clip((levels**lens.gamma - 0.46) * lens.contrast + 0.46, 0, 1) * 255).astype(int).tolist()
    )


@lru_cache(maxsize=1)
def _grain() -> np.ndarray:
    """float32 (640, 400, 3): normal noise, of which every picture takes a piece."""
    return np.random.default_rng(3).standard_normal((640, 400, 3), dtype=np.float32)


def _noisy(picture: Image.Image, lens: Lens, infrared: bool, rng: np.random.Generator) -> Image.Image:
    width, height = picture.size
    grain = _grain()
    rows, columns = (
        int(v) for v in rng.integers(0, (max(1, grain.shape[0] - height), max(1, grain.shape[1] - width)))
    )
    piece = grain[rows : rows + height, columns : columns + width]
    if piece.shape[:2] != (height, width):
        piece = rng.standard_normal((height, width, 3), dtype=np.float32)
    coloured = lens.speckle > 0.3 and not infrared
    values = np.asarray(picture) + (piece if coloured else piece[..., :1]) * np.float32(lens.noise)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
