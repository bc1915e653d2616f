"""The layers that patterned cloth is made of, as tiles to be laid over a colour."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

TILE = (320, 560)  # px: larger than any shape of a picture


@lru_cache(maxsize=64)
def tile(layer: str, step: int) -> Image.Image:
    """L, TILE px: where a layer of a pattern covers the cloth. step: px from one figure of the pattern to the next."""
    image = Image.new("L", TILE, 0)
    draw = ImageDraw.Draw(image)
    width, height = TILE
    rows, columns = math.ceil(height / step) + 1, math.ceil(width / step) + 1
    if layer in ("striped", "checked"):
        for row in range(rows):
            draw.rectangle((0, row * step, width, row * step + step * 0.42), fill=255)
    if layer == "checked":
        for column in range(columns):
            draw.rectangle((column * step, 0, column * step + step * 0.36, height), fill=255)
    if layer == "dotted":
        for row in range(rows * 2):
            for column in range(columns):
                _disc(draw, (column + 0.5 * (row % 2)) * step * 1.05, row * step * 0.62, step * 0.24)
    if layer in ("petals", "hearts", "leaves"):
        _flowers(draw, layer, step)
    if layer.startswith("patches"):
        image = _patches(int(layer[-1]), step)
    return image


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, r: float) -> None:
    draw.ellipse((x - r, y - r, x + r, y + r), fill=255)


def _flowers(draw: ImageDraw.ImageDraw, layer: str, step: int) -> None:
    rng = np.random.default_rng(7)  # the same places for each layer
    pace = step * 1.35
    for row in range(int(TILE[1] / pace) + 2):
        for column in range(int(TILE[0] / pace) + 2):
            x = (column + 0.5 * (row % 2) + rng.uniform(-0.14, 0.14)) * pace
            y = (row + rng.uniform(-0.14, 0.14)) * pace * 0.85
            turn, r = rng.uniform(0, 6.28), step * rng.uniform(0.3, 0.44)
            if layer == "hearts":
                _disc(draw, x, y, r * 0.4)
            elif layer == "petals":
                for petal in range(5):
                    angle = turn + petal * 2 * math.pi / 5
                    _disc(draw, x + r * 0.72 * math.cos(angle), y + r * 0.72 * math.sin(angle), r * 0.5)
            else:
                for leaf in (turn, turn + 2.4):
                    ends = (x, y, x + r * 1.9 * math.cos(leaf), y + r * 1.9 * math.sin(leaf))
                    draw.line(ends, fill=255, width=max(1, round(r * 0.5)))


def _patches(number: int, step: int) -> Image.Image:
    """Blots as of camouflage; three layers lie on different places."""
    rng = np.random.default_rng((number, 19))
    small = (max(4, TILE[0] * 2 // (step * 2)), max(4, TILE[1] * 2 // (step * 2) * 3 // 2))
    noise = Image.fromarray(rng.integers(0, 256, (small[1], small[0])).astype(np.uint8))
    blots = noise.resize(TILE, Image.Resampling.BICUBIC).filter(ImageFilter.GaussianBlur(step * 0.08))
    return blots.point([255 if level > 158 else 0 for level in range(256)])
