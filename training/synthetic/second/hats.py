"""Where the head is, and what is on it: caps, hats, helmets, a hood, a headscarf."""

from __future__ import annotations

from dataclasses import dataclass

from training.synthetic.brush import Rgb, shade
from training.synthetic.second.body import Body
from training.synthetic.second.colours import Palette2
from training.synthetic.second.pen import Pen

COVERING = ("headscarf", "hood")


@dataclass(frozen=True)
class Head:
    """Where the head is: its middle, half its width and height, and the middle of its face."""

    x: float
    y: float
    rx: float
    ry: float
    face: float
    cos: float
    sin: float

    @property
    def away(self) -> bool:
        return self.cos < -0.2


def _dome(pen: Pen, h: Head, colour: Rgb, wide: float, tall: float, low: float) -> None:
    x, y, rx, ry = h.x - h.sin * h.rx * 0.04, h.y, h.rx * wide, h.ry
    pen.round_shape(
        [
            (x - rx, y - ry * low),
            (x - rx * 0.96, y - ry * (low + 0.35)),
            (x - rx * 0.6, y - ry * tall * 0.93),
            (x, y - ry * tall),
            (x + rx * 0.6, y - ry * tall * 0.93),
            (x + rx * 0.96, y - ry * (low + 0.35)),
            (x + rx, y - ry * low),
            (x, y - ry * (low - 0.06)),
        ],
        colour,
    )


def _cap(pen: Pen, b: Body, h: Head, palette: Palette2) -> None:
    _dome(pen, h, palette.hat, 1.08, 1.2, 0.36)
    pen.line([(h.x, h.y - h.ry * 1.18), (h.face, h.y - h.ry * 0.5)], 0.003, shade(palette.hat, 0.76))
    if not h.away:
        start, reach = h.face - h.sin * h.rx * 0.1, h.rx * (0.25 + 0.75 * max(0.0, h.cos))
        end = h.face + h.sin * h.rx * 0.95
        pen.round_shape(
            [
                (start - reach, h.y - h.ry * 0.44),
                (end, h.y - h.ry * 0.5),
                (start + reach, h.y - h.ry * 0.44),
                (end + reach * 0.7, h.y - h.ry * 0.24),
                (end - reach * 0.7, h.y - h.ry * 0.24),
            ],
            shade(palette.hat, 0.7),
        )
    else:
        pen.ellipse(h.x, h.y - h.ry * 0.42, h.rx * 0.3, h.ry * 0.1, shade(palette.hat, 0.55))


def _beanie(pen: Pen, b: Body, h: Head, palette: Palette2) -> None:
    _dome(pen, h, palette.hat, 1.12, 1.42, 0.3)
    x, rx = h.x, h.rx * 1.14
    pen.round_shape(
        [
            (x - rx, h.y - h.ry * 0.66),
            (x + rx, h.y - h.ry * 0.66),
            (x + rx, h.y - h.ry * 0.24),
            (x - rx, h.y - h.ry * 0.24),
        ],
        shade(palette.hat, 0.76),
        smooth=False,
    )
    pen.limb((x, h.y - h.ry * 1.46), (x, h.y - h.ry * 1.44), h.rx * 0.3, h.rx * 0.3, shade(palette.hat, 1.2))


def _brimmed(pen: Pen, b: Body, h: Head, palette: Palette2) -> None:
    x, rx = h.x, h.rx
    pen.limb(
        (x - rx * 1.75, h.y - h.ry * 0.42),
        (x + rx * 1.75, h.y - h.ry * 0.42),
        h.ry * 0.1,
        h.ry * 0.1,
        shade(palette.hat, 0.86),
    )
    pen.round_shape(
        [
            (x - rx * 1.02, h.y - h.ry * 0.42),
            (x - rx * 0.86, h.y - h.ry * 1.3),
            (x, h.y - h.ry * 1.24),
            (x + rx * 0.86, h.y - h.ry * 1.3),
            (x + rx * 1.02, h.y - h.ry * 0.42),
        ],
        palette.hat,
    )
    pen.line(
        [(x - rx * 0.98, h.y - h.ry * 0.58), (x + rx * 0.98, h.y - h.ry * 0.58)],
        h.ry * 0.2,
        shade(palette.hat, 0.5),
    )


def _helmet(pen: Pen, b: Body, h: Head, palette: Palette2) -> None:
    """A cyclist's: it stands off the head, with slots and a strap below the chin."""
    strap: Rgb = (30, 30, 34)
    for way in (-1, 1):
        if way * h.sin < 0.5 and not h.away:
            pen.line(
                [(h.x + way * h.rx * 0.94, h.y - h.ry * 0.3), (h.x + h.sin * h.rx * 0.3, h.y + h.ry * 1.02)],
                0.006,
                strap,
            )
    x, rx, ry = h.x, h.rx * 1.32, h.ry
    pen.round_shape(
        [
            (x - rx, h.y - ry * 0.36),
            (x - rx * 0.86, h.y - ry * 1.06),
            (x - rx * 0.35, h.y - ry * 1.44),
            (x + rx * 0.35, h.y - ry * 1.44),
            (x + rx * 0.86, h.y - ry * 1.06),
            (x + rx, h.y - ry * 0.36),
            (x, h.y - ry * 0.46),
        ],
        palette.hat,
    )
    for t in (-0.5, 0.0, 0.5):
        pen.line(
            [(x + t * rx * 0.7, h.y - ry * 1.28), (x + t * rx * 1.1, h.y - ry * 0.66)],
            h.rx * 0.2,
            shade(palette.hat, 0.34),
        )
    pen.line([(x - rx * 0.97, h.y - ry * 0.4), (x + rx * 0.97, h.y - ry * 0.4)], 0.008, (232, 232, 228))


def _headscarf(pen: Pen, b: Body, h: Head, palette: Palette2) -> None:
    """Cloth around the head and neck; the face looks out of it."""
    x, y, rx, ry, colour = h.x, h.y, h.rx, h.ry, palette.hat
    low = b.trunk["shoulder"].y + 0.022
    mid = b.middle("shoulder")
    half = b.half("shoulder") * 0.66
    ring = [
        (x - rx * 1.12, y - ry * 0.1),
        (x - rx * 0.8, y - ry * 0.95),
        (x, y - ry * 1.16),
        (x + rx * 0.8, y - ry * 0.95),
        (x + rx * 1.12, y - ry * 0.1),
        (x + rx * 0.96, y + ry * 0.7),
        (mid + half, low - 0.012),
        (mid, low + 0.022),
        (mid - half, low - 0.012),
        (x - rx * 0.96, y + ry * 0.7),
    ]
    _around_face(pen, h, ring, colour)
    pen.fold([(x - rx * 0.7, y + ry * 1.0), (mid + half * 0.5, low - 0.01)], 0.009, 0.78)
    pen.fold([(x + rx * 0.5, y + ry * 1.05), (mid - half * 0.2, low + 0.004)], 0.008, 0.84)


def _hood(pen: Pen, b: Body, h: Head, palette: Palette2) -> None:
    """The hood of a coat or hoodie, up: pointed, wide, dark inside."""
    x, y, rx, ry, colour = h.x - h.sin * h.rx * 0.12, h.y, h.rx, h.ry, palette.hat
    mid, low = b.middle("shoulder"), b.trunk["shoulder"].y + 0.008
    half = b.half("shoulder") * 0.56
    ring = [
        (x - rx * 1.32, y + ry * 0.1),
        (x - rx * 1.12, y - ry * 0.85),
        (x - h.sin * rx * 0.2, y - ry * 1.36),
        (x + rx * 1.12, y - ry * 0.85),
        (x + rx * 1.32, y + ry * 0.1),
        (x + rx * 1.12, y + ry * 0.85),
        (mid + half, low),
        (mid, low + 0.008),
        (mid - half, low),
        (x - rx * 1.12, y + ry * 0.85),
    ]
    _around_face(pen, h, ring, colour, rim=shade(colour, 0.55))
    if h.away:
        pen.fold([(x, y - ry * 1.1), (x, y + ry * 1.0)], 0.008, 0.74)


def _around_face(
    pen: Pen, h: Head, ring: list[tuple[float, float]], colour: Rgb, rim: Rgb | None = None
) -> None:
    """Fills a ring around the head but for the face, which is drawn before."""
    if h.away:
        pen.round_shape(ring, colour)
        return
    face, wide = h.face - h.sin * h.rx * 0.02, h.rx * (0.42 + 0.36 * max(0.0, h.cos))
    opening = [
        (face, h.y - h.ry * 0.62),
        (face - wide * 0.82, h.y - h.ry * 0.4),
        (face - wide, h.y + h.ry * 0.2),
        (face - wide * 0.7, h.y + h.ry * 0.74),
        (face, h.y + h.ry * 0.98),
        (face + wide * 0.7, h.y + h.ry * 0.74),
        (face + wide, h.y + h.ry * 0.2),
        (face + wide * 0.82, h.y - h.ry * 0.4),
    ]
    pen.round_with_hole(ring, opening, colour)
    if rim is not None:
        pen.outline(opening, h.rx * 0.2, rim)


HATS = {
    "cap": _cap,
    "beanie": _beanie,
    "hat": _brimmed,
    "helmet": _helmet,
    "headscarf": _headscarf,
    "hood": _hood,
}
