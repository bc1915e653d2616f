"""World 2's pen: flat colours on one canvas and, beside it, how much light falls on each spot.

Each shape leaves its colour on `canvas` (RGB) and its light on `shading` (L, LIT for as it is). The shading is
blurred before both are multiplied, so that roundness and folds are soft however few shapes they are made of.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from training.synthetic.brush import Rgb
from training.synthetic.second.patterns import tile

Point = tuple[float, float]
LIT = 128
_ARC = [(math.cos(math.pi * t / 6), math.sin(math.pi * t / 6)) for t in range(7)]
_STEPS = 5  # pieces of a curve between two of its points


@dataclass(frozen=True)
class Cloth:
    """What a shape is made of. layers: (pattern's layer, its colour), laid over the colour in this order."""

    colour: Rgb
    layers: tuple[tuple[str, Rgb], ...] = ()


class Pen:
    """Draws in shares of the body's height. lean: how far the camera looks down, 0 (level) to 1; squeeze: the
    picture's width against what it should be; light: where the light comes from, -1 (left) to 1 (right).
    """

    def __init__(
        self,
        canvas: Image.Image,
        shading: Image.Image,
        centre: float,
        top: float,
        height: float,
        lean: float = 0.0,
        squeeze: float = 1.0,
        light: float = -0.5,
    ) -> None:
        self.canvas, self.shading = canvas, shading
        self.draw, self.tone = ImageDraw.Draw(canvas), ImageDraw.Draw(shading)
        self.centre, self.top, self.height = centre, top, height
        self.lean, self.squeeze, self.light = lean, squeeze, light

    def px(self, x: float, y: float) -> Point:
        """A point in pixels: from above, what is high is near, and the legs are short."""
        near = 1 + self.lean * (0.2 - 0.4 * y)
        down = y + self.lean * 0.2 * y * (1 - y)
        return self.centre + x * self.height * near * self.squeeze, self.top + down * self.height

    def size(self, length: float, y: float) -> float:
        """A length at a height of the body, in pixels."""
        return length * self.height * (1 + self.lean * (0.2 - 0.4 * y)) * (0.5 + 0.5 * self.squeeze)

    def curve(self, points: list[Point]) -> list[Point]:
        """A closed smooth line through points, in pixels (Catmull-Rom). A point that stands twice is a corner."""
        p = np.array([self.px(x, y) for x, y in points])
        around = p[_neighbours(len(points))]
        line = _BLEND @ around
        corner = (p == around[:, 2]).all(1)
        if corner.any():
            line[corner] = p[corner, None]
        return [(x, y) for x, y in line.reshape(-1, 2).tolist()]

    def shape(self, points: list[Point], cloth: Cloth | Rgb, lit: float = 1.0, smooth: bool = True) -> None:
        """A filled shape, evenly lit."""
        line = self.curve(points) if smooth else [self.px(x, y) for x, y in points]
        self._fill(line, cloth, lit)

    def round_shape(
        self, points: list[Point], cloth: Cloth | Rgb, lit: float = 1.0, smooth: bool = True
    ) -> None:
        """A filled shape, lit as a column is: bright towards the light, dark at the edges."""
        line = self.curve(points) if smooth else [self.px(x, y) for x, y in points]
        self._fill(line, cloth, lit)
        cut = self._cut(line)
        if cut is not None:
            box, mask = cut
            column = _column(
                round(self.light, 1), round(lit, 2), *(-(-length // 12) * 12 for length in mask.size)
            )
            self.shading.paste(column.crop((0, 0, *mask.size)), box[:2], mask)

    def limb(
        self, a: Point, b: Point, wide: float, thin: float, cloth: Cloth | Rgb, lit: float = 1.0
    ) -> None:
        """A tapered, rounded limb from a to b; widths are half-widths at both ends."""
        outline, along = self._capsule(a, b, wide, thin)
        self._fill(outline, cloth, lit * 0.84)
        ax, ay, bx, by, wa, wb = along
        if max(wa, wb) < 2:
            return
        shift = self.light * 0.3
        for share, tone in ((0.72, 1.02), (0.36, 1.14)):
            near = shift * (1 if share < 0.5 else 0.5)
            line = _capsule_px(ax + wa * near, ay, bx + wb * near, by, wa * share, wb * share)
            self.tone.polygon(line, fill=_level(lit * tone))

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Rgb, lit: float = 1.0) -> None:
        """A flat ellipse."""
        (cx, cy), rx, ry = self.px(x, y), self.size(rx, y) * self._narrow, self.size(ry, y)
        self.draw.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=colour)
        self.tone.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=_level(lit))

    def line(self, points: list[Point], width: float, colour: Rgb, lit: float = 1.0) -> None:
        """A line with round joints, at least a pixel wide."""
        wide = max(1, round(self.size(width, points[0][1])))
        xy = [self.px(x, y) for x, y in points]
        self.draw.line(xy, fill=colour, width=wide, joint="curve")
        self.tone.line(xy, fill=_level(lit), width=wide)

    def fold(self, points: list[Point], width: float, lit: float) -> None:
        """A line of shadow or light alone, on what is there."""
        self.tone.line(
            [self.px(x, y) for x, y in points], fill=_level(lit), width=max(1, round(self.size(width, 0.5)))
        )

    def round_with_hole(self, points: list[Point], hole: list[Point], colour: Rgb) -> None:
        """A smooth ring around a smooth hole, lit as a column is."""
        line, inner = self.curve(points), self.curve(hole)
        xs, ys = [x for x, _ in line], [y for _, y in line]
        left, top = int(min(xs)), int(min(ys))
        mask = Image.new("L", (int(max(xs)) + 1 - left, int(max(ys)) + 1 - top), 0)
        pen = ImageDraw.Draw(mask)
        pen.polygon([(x - left, y - top) for x, y in line], fill=255)
        pen.polygon([(x - left, y - top) for x, y in inner], fill=0)
        column = _column(round(self.light, 1), 1.0, *(-(-length // 12) * 12 for length in mask.size))
        self.canvas.paste(colour, (left, top, left + mask.size[0], top + mask.size[1]), mask)
        self.shading.paste(column.crop((0, 0, *mask.size)), (left, top), mask)

    def outline(self, points: list[Point], width: float, colour: Rgb) -> None:
        """A smooth closed line."""
        line = self.curve(points)
        self.draw.line([*line, line[0]], fill=colour, width=max(1, round(width * self.height)), joint="curve")

    @property
    def _narrow(self) -> float:
        return self.squeeze / (0.5 + 0.5 * self.squeeze)

    def _capsule(
        self, a: Point, b: Point, wide: float, thin: float
    ) -> tuple[list[Point], tuple[float, float, float, float, float, float]]:
        (ax, ay), (bx, by) = self.px(*a), self.px(*b)
        wa, wb = self.size(wide, a[1]), self.size(thin, b[1])
        return _capsule_px(ax, ay, bx, by, wa, wb), (ax, ay, bx, by, wa, wb)

    def _fill(self, line: list[Point], cloth: Cloth | Rgb, lit: float) -> None:
        """Fills an outline in pixels."""
        self.tone.polygon(line, fill=_level(lit))
        if not isinstance(cloth, Cloth):
            self.draw.polygon(line, fill=cloth)
            return
        self.draw.polygon(line, fill=cloth.colour)
        cut = self._cut(line) if cloth.layers else None
        if cut is not None:
            box, mask = cut
            for name, tint in cloth.layers:
                part = tile(name, max(4, round(self.height * 0.045))).crop((0, 0, *mask.size))
                self.canvas.paste(tint, box, ImageChops.multiply(mask, part))

    def _cut(self, line: list[Point]) -> tuple[tuple[int, int, int, int], Image.Image] | None:
        """The box of an outline in pixels and its mask there, or None where it is out of the canvas."""
        xs, ys = [x for x, _ in line], [y for _, y in line]
        width, height = self.canvas.size
        left, top = max(0, int(min(xs))), max(0, int(min(ys)))
        right, bottom = min(width, int(max(xs)) + 1), min(height, int(max(ys)) + 1)
        if right <= left or bottom <= top:
            return None
        mask = Image.new("L", (right - left, bottom - top), 0)
        ImageDraw.Draw(mask).polygon([(x - left, y - top) for x, y in line], fill=255)
        return (left, top, right, bottom), mask


def _level(lit: float) -> int:
    return max(0, min(255, int(LIT * lit)))


def _capsule_px(ax: float, ay: float, bx: float, by: float, wa: float, wb: float) -> list[Point]:
    length = math.hypot(bx - ax, by - ay) or 1.0
    dx, dy = (bx - ax) / length, (by - ay) / length
    first = [(ax + wa * (-dy * c - dx * s), ay + wa * (dx * c - dy * s)) for c, s in reversed(_ARC)]
    return first + [(bx + wb * (-dy * c + dx * s), by + wb * (dx * c + dy * s)) for c, s in _ARC]


def _blend() -> np.ndarray:
    t = np.arange(_STEPS) / _STEPS
    return 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1
    )


_BLEND = _blend()


@lru_cache(maxsize=64)
def _neighbours(count: int) -> np.ndarray:
    """int64 (count, 4): of each point of a closed line, the one before, itself, and the two behind."""
    return (np.arange(count)[:, None] + np.arange(-1, 3)) % count


@lru_cache(maxsize=1024)
def _column(light: float, lit: float, width: int, height: int) -> Image.Image:
    """L, (width, height) px: the light on an upright column."""
    across = np.linspace(-1, 1, width, dtype=np.float32)[None, :]
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    tone = 1.12 - 0.3 * (across - light * 0.35) ** 2 - 0.22 * np.abs(across) ** 6
    return Image.fromarray(np.clip(LIT * lit * tone * (1.03 - 0.07 * down), 0, 255).astype(np.uint8))
