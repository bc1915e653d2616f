"""Draws what a person carries: bags, a suitcase, an umbrella."""

from __future__ import annotations

from training.synthetic.brush import Brush
from training.synthetic.palette import Palette, shade
from training.synthetic.skeleton import Skeleton


def backpack(brush: Brush, s: Skeleton, palette: Palette, light: float) -> None:
    colour = shade(palette.bag, light)
    half = 0.1 * max(abs(s.front), 0.52)
    x = s.back.x * 1.35
    if s.front > 0.15:
        half *= 1.22
    brush.box(x - half, 0.185, x + half, 0.435, 0.035, colour)
    if s.front <= 0.15:
        brush.box(x - half * 0.72, 0.32, x + half * 0.72, 0.41, 0.02, shade(colour, 0.78))
        brush.line([(x - half * 0.8, 0.245), (x + half * 0.8, 0.245)], 0.007, shade(colour, 0.6))


def straps(brush: Brush, s: Skeleton, palette: Palette) -> None:
    for way in (-1, 1):
        x = s.neck.x + way * s.shoulder_half * 0.62
        brush.line(
            [(x, s.neck.y + 0.022), (x + way * 0.006, 0.27), (x + way * 0.024, 0.345)], 0.024, palette.bag
        )


def shoulder_bag(brush: Brush, s: Skeleton, palette: Palette) -> None:
    way = 1 if s.front >= 0 else -1
    x = way * (s.hip_half + 0.022)
    strap = [(s.neck.x - way * s.shoulder_half * 0.6, s.neck.y + 0.03), (x, s.hip_y - 0.045)]
    brush.line(strap, 0.016, shade(palette.bag, 0.85))
    brush.box(x - 0.05, s.hip_y - 0.06, x + 0.05, s.hip_y + 0.045, 0.014, palette.bag)
    brush.line([(x - 0.048, s.hip_y - 0.022), (x + 0.048, s.hip_y - 0.022)], 0.007, shade(palette.bag, 0.65))


def handbag(brush: Brush, s: Skeleton, palette: Palette, side: str) -> None:
    x, y = s.hands[side].xy
    y += 0.02
    for way in (-1, 1):
        brush.line([(x, y), (x + way * 0.03, y + 0.05)], 0.008, shade(palette.bag, 0.7))
    brush.polygon(
        [(x - 0.04, y + 0.045), (x + 0.04, y + 0.045), (x + 0.056, y + 0.125), (x - 0.056, y + 0.125)],
        palette.bag,
    )
    brush.line([(x - 0.044, y + 0.066), (x + 0.044, y + 0.066)], 0.007, shade(palette.bag, 0.65))


def suitcase(brush: Brush, s: Skeleton, palette: Palette, side: str) -> None:
    x, y = s.hands[side].xy
    x += (0.045 if x >= 0 else -0.045) - s.side * 0.05
    for way in (-1, 1):
        brush.line([(x + way * 0.022, y + 0.01), (x + way * 0.022, 0.74)], 0.007, (120, 122, 126))
    brush.box(x - 0.066, 0.73, x + 0.066, 0.955, 0.016, palette.bag)
    for y in (0.79, 0.845, 0.9):
        brush.line([(x - 0.06, y), (x + 0.06, y)], 0.006, shade(palette.bag, 0.74))
    for way in (-1, 1):
        brush.ellipse(x + way * 0.048, 0.968, 0.014, 0.014, (30, 30, 32))


def umbrella_pole(brush: Brush, s: Skeleton, near: str) -> None:
    brush.line([(s.head.x + 0.06, -0.05), (s.head.x + 0.06, 0.21)], 0.009, (90, 90, 94))


def umbrella(brush: Brush, s: Skeleton, palette: Palette) -> None:
    x, half = s.head.x + 0.03, 0.2
    (cx, cy), rx, ry = brush.px(x, -0.005), half * brush.height, 0.1 * brush.height
    brush.draw.pieslice((cx - rx, cy - ry, cx + rx, cy + ry), 180, 360, fill=palette.umbrella)
    for t in (-0.5, 0.0, 0.5):
        brush.line([(x, -0.103), (x + t * half * 1.3, -0.006)], 0.005, shade(palette.umbrella, 0.74))
