"""Draws what tells one garment from another: openings, collars, buttons, ties, bands, prints."""

from __future__ import annotations

from training.synthetic.brush import Rgb, mix, shade
from training.synthetic.second.body import Body
from training.synthetic.second.colours import REFLECTING, Palette2, contrast_to, light_of
from training.synthetic.second.pen import Pen, Point
from training.synthetic.second.wardrobe import Outfit2


def span(outline: list[Point], y: float) -> tuple[Point, Point]:
    """Where an outline is at a height: its leftmost and rightmost points."""
    xs = [
        ax + (bx - ax) * (y - ay) / (by - ay)
        for (ax, ay), (bx, by) in zip(outline, outline[1:] + outline[:1], strict=True)
        if (ay - y) * (by - y) <= 0 and ay != by
    ] or [0.0]
    return (min(xs), y), (max(xs), y)


def draw_print(pen: Pen, b: Body, outfit: Outfit2, under: Rgb) -> None:
    """A logo or two lines of writing on the chest, or the back."""
    ink = (
        contrast_to(under)
        if abs(outfit.tints[1]) < 0.6
        else ((236, 196, 40) if light_of(under) < 120 else (176, 30, 48))
    )
    way = 1.0 if b.cos > 0 else -1.0
    x = b.front("chest") if way > 0 else 2 * b.middle("chest") - b.front("chest")
    x, y, wide = x * 0.9, b.trunk["chest"].y + 0.018, abs(b.cos)
    half = b.trunk["chest"].half
    if outfit.upper_print == "logo":
        r = half * 0.46
        pen.ellipse(x, y, r * wide, r, ink)
        pen.shape(
            [(x, y - r * 0.68), (x + r * 0.62 * wide, y + r * 0.45), (x - r * 0.62 * wide, y + r * 0.45)],
            under,
            smooth=False,
        )
        return
    letters = (0.9, 0.55, 0.75, 0.45, 0.9, 0.6, 0.8)
    for row in range(2):
        count = 7 - 2 * row
        for letter in range(count):
            lx = x + (letter - (count - 1) / 2) * half * 0.235 * wide
            ly = y - 0.024 + row * 0.04
            tall = 0.026
            pen.line([(lx - half * 0.05 * wide, ly), (lx - half * 0.05 * wide, ly + tall)], 0.0075, ink)
            arm = ly + tall * letters[(letter + row * 3) % 7] - tall * 0.25
            pen.line([(lx - half * 0.05 * wide, arm), (lx + half * 0.06 * wide, arm)], 0.006, ink)


def _collar(pen: Pen, b: Body, colour: Rgb, spread: float, low: float) -> None:
    """Two collar points, from the neck outwards."""
    y = b.trunk["neck"].y + 0.004
    if b.cos < -0.2:
        x, half = b.middle("neck"), b.half("neck") * 1.1
        pen.shape(
            [(x - half, y - 0.004), (x + half, y - 0.004), (x + half, y + 0.02), (x - half, y + 0.02)],
            colour,
            0.95,
            smooth=False,
        )
        return
    x, wide = b.front("neck"), max(0.35, b.cos)
    for way in (-1, 1):
        pen.shape(
            [
                (x, y + 0.016),
                (x + way * 0.034 * wide, y - 0.012),
                (x + way * spread * wide, y + low),
                (x + way * 0.012 * wide, y + low * 0.9),
            ],
            colour,
            1.04,
            smooth=False,
        )


def _opening(pen: Pen, b: Body, hem: float, gap: float, low: float, inner: Rgb) -> None:
    """An open front, from the neck down to `low`."""
    top, wide = b.trunk["neck"].y + 0.006, max(0.3, b.cos)
    x0, x1 = b.front("neck"), b.front("waist") if low < b.trunk["hip"].y else b.front("hip")
    pen.shape(
        [
            (x0 - gap * 1.5 * wide, top),
            (x0 + gap * 1.5 * wide, top),
            (x1 + gap * wide, low),
            (x1 - gap * wide, low),
        ],
        inner,
        0.93,
        smooth=False,
    )


def _shirt(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2, outline: list[Point]) -> None:
    hem = outline[len(outline) // 2][1]
    tone = shade(palette.upper, 1.14) if light_of(palette.upper) < 200 else shade(palette.upper, 0.9)
    if b.cos > -0.2:
        top = b.trunk["neck"].y + 0.03
        xs = [
            (b.front("neck"), top),
            (b.front("chest"), b.trunk["chest"].y),
            (b.front("waist"), b.trunk["waist"].y),
            (b.front("hip"), hem),
        ]
        pen.line(xs, 0.013, shade(palette.upper, 0.93), 0.94)
        dot = contrast_to(palette.upper)
        for t in (0.2, 0.4, 0.6, 0.8):
            i = min(2, int(t * 3))
            part = t * 3 - i
            pen.ellipse(
                xs[i][0] + (xs[i + 1][0] - xs[i][0]) * part,
                xs[i][1] + (xs[i + 1][1] - xs[i][1]) * part,
                0.0045,
                0.0045,
                mix(palette.upper, dot, 0.6),
            )
        _tie(pen, b, outfit, palette)
    _collar(pen, b, tone, 0.052, 0.038)


def _tie(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2) -> None:
    if outfit.tie == "none" or b.cos < -0.2:
        return
    wide = max(0.4, b.cos)
    colour = palette.accent
    under = palette.upper if outfit.upper == "shirt" else palette.inner
    if abs(light_of(colour) - light_of(under)) < 60:
        colour = (150, 26, 40) if light_of(under) > 110 else (238, 220, 150)
    y, end = b.trunk["neck"].y + 0.02, b.trunk["waist"].y + 0.015
    x0, x1 = b.front("neck"), b.front("waist")
    xc = b.front("chest")
    pen.shape(
        [
            (x0 - 0.011 * wide, y + 0.012),
            (x0 + 0.011 * wide, y + 0.012),
            (xc + 0.02 * wide, b.trunk["chest"].y),
            (x1 + 0.024 * wide, end - 0.02),
            (x1, end),
            (x1 - 0.024 * wide, end - 0.02),
            (xc - 0.02 * wide, b.trunk["chest"].y),
        ],
        colour,
        smooth=False,
    )
    pen.shape(
        [
            (x0 - 0.017 * wide, y - 0.008),
            (x0 + 0.017 * wide, y - 0.008),
            (x0 + 0.01 * wide, y + 0.014),
            (x0 - 0.01 * wide, y + 0.014),
        ],
        shade(colour, 0.85),
        smooth=False,
    )


def _suit(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2, outline: list[Point]) -> None:
    hem = outline[len(outline) // 2][1]
    dark = (
        shade(palette.upper, 0.7)
        if light_of(palette.upper) > 70
        else mix(palette.upper, (255, 255, 255), 0.14)
    )
    if b.cos < -0.2:
        _collar(pen, b, dark, 0.05, 0.03)
        pen.fold([(b.middle("waist"), b.trunk["waist"].y + 0.03), (b.middle("hip"), hem)], 0.008, 0.7)
        return
    wide, top, low = max(0.35, b.cos), b.trunk["neck"].y, b.trunk["waist"].y - 0.02
    x0, x1 = b.front("neck"), b.front("waist")
    pen.shape(
        [(x0 - 0.04 * wide, top), (x0 + 0.04 * wide, top), (x1, low)], palette.inner, 0.98, smooth=False
    )
    _tie(pen, b, outfit, palette)
    for way in (-1, 1):
        edge = (x0 + way * 0.04 * wide, top - 0.004)
        pen.shape(
            [
                edge,
                (x0 + way * 0.082 * wide, top + 0.075),
                (x0 + way * 0.058 * wide, top + 0.085),
                (x1, low + 0.006),
                (x0 + way * 0.026 * wide, top + 0.05),
            ],
            dark,
            1.0,
            smooth=False,
        )
    pen.line([(x1, low), (b.front("hip"), hem)], 0.005, dark, 0.8)
    for t in (0.25, 0.6):
        pen.ellipse(x1 + 0.006, low + 0.012 + t * 0.06, 0.006, 0.006, dark)


def _jacket(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2, outline: list[Point]) -> None:
    hem = outline[len(outline) // 2][1]
    dark = (
        shade(palette.upper, 0.68)
        if light_of(palette.upper) > 60
        else mix(palette.upper, (255, 255, 255), 0.16)
    )
    if b.cos > -0.2:
        _opening(pen, b, hem, 0.019, hem, palette.inner)
        wide = max(0.3, b.cos)
        for way in (-1, 1):
            pen.line(
                [
                    (b.front("neck") + way * 0.03 * wide, b.trunk["neck"].y),
                    (b.front("waist") + way * 0.02 * wide, b.trunk["waist"].y),
                    (b.front("hip") + way * 0.02 * wide, hem),
                ],
                0.009,
                dark,
                0.95,
            )
        for way in (-1, 1):
            x = b.front("waist", way * 0.55)
            pen.line(
                [(x, b.trunk["waist"].y + 0.02), (x + way * 0.012, b.trunk["waist"].y + 0.06)],
                0.006,
                dark,
                0.85,
            )
    _collar(pen, b, dark, 0.056, 0.034)
    pen.line(list(span(outline, hem - 0.008)), 0.018, dark, 0.95)


def _coat(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2, outline: list[Point]) -> None:
    hem = outline[len(outline) // 2][1]
    dark = (
        shade(palette.upper, 0.68)
        if light_of(palette.upper) > 60
        else mix(palette.upper, (255, 255, 255), 0.16)
    )
    waist = b.trunk["waist"].y + 0.01
    if b.cos > -0.2:
        wide, top = max(0.35, b.cos), b.trunk["neck"].y
        x0, x1 = b.front("neck"), b.front("chest")
        pen.shape(
            [(x0 - 0.03 * wide, top), (x0 + 0.03 * wide, top), (x1, top + 0.085)],
            palette.inner,
            0.92,
            smooth=False,
        )
        for way in (-1, 1):
            pen.shape(
                [
                    (x0 + way * 0.026 * wide, top - 0.014),
                    (x0 + way * 0.086 * wide, top + 0.066),
                    (x0 + way * 0.052 * wide, top + 0.074),
                    (x1, top + 0.1),
                ],
                dark,
                1.0,
                smooth=False,
            )
        pen.line(
            [(x1, top + 0.095), (b.front("waist"), waist), (b.front("hip") * 0.8, hem)], 0.006, dark, 0.78
        )
        for row in range(3):
            y = top + 0.125 + row * 0.055
            for way in (-1, 1):
                pen.ellipse(x1 * 0.9 + way * 0.026 * wide, y, 0.006, 0.006, dark)
    else:
        _collar(pen, b, dark, 0.06, 0.03)
        pen.fold([(b.middle("hip"), b.trunk["hip"].y), (b.middle("hip") * 0.5, hem)], 0.009, 0.7)
    pen.line(list(span(outline, waist)), 0.017, dark)


def _hoodie(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2, outline: list[Point]) -> None:
    hem = outline[len(outline) // 2][1]
    dark = shade(palette.upper, 0.76)
    if outfit.hat != "hood":
        x, y = b.middle("neck") - b.sin * 0.03, b.trunk["neck"].y + 0.012
        if b.cos < -0.2:
            pen.round_shape(
                [
                    (x - 0.055, y - 0.018),
                    (x + 0.055, y - 0.018),
                    (x + 0.04, y + 0.06),
                    (x, y + 0.078),
                    (x - 0.04, y + 0.06),
                ],
                dark,
            )
        else:
            pen.limb((x - 0.04, y + 0.004), (x + 0.04, y + 0.004), 0.022, 0.022, dark)
    if b.cos > -0.2:
        wide, x = max(0.35, b.cos), b.front("waist") * 0.85
        y = b.trunk["waist"].y
        pen.shape(
            [
                (x - 0.04 * wide, y - 0.014),
                (x + 0.04 * wide, y - 0.014),
                (x + 0.068 * wide, y + 0.05),
                (x - 0.068 * wide, y + 0.05),
            ],
            shade(palette.upper, 0.86),
            0.92,
            smooth=False,
        )
        string = mix(palette.upper, contrast_to(palette.upper), 0.55)
        for way in (-1, 1):
            sx = b.front("neck") + way * 0.016 * wide
            pen.line(
                [(sx, b.trunk["neck"].y + 0.03), (sx + way * 0.002, b.trunk["chest"].y + 0.004)],
                0.006,
                string,
            )
    _hem_band(pen, outline, hem, dark)


def _hem_band(pen: Pen, outline: list[Point], hem: float, colour: Rgb) -> None:
    pen.line(list(span(outline, hem - 0.008)), 0.017, colour, 0.95)


def _sweater(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2, outline: list[Point]) -> None:
    hem = outline[len(outline) // 2][1]
    _hem_band(pen, outline, hem, shade(palette.upper, 0.8))


def _vest(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2, outline: list[Point]) -> None:
    """A quilted body warmer: bulges from one seam to the next."""
    hem = outline[len(outline) // 2][1]
    dark = (
        shade(palette.upper, 0.62)
        if light_of(palette.upper) > 60
        else mix(palette.upper, (255, 255, 255), 0.18)
    )
    top = b.trunk["chest"].y - 0.03
    for row in range(5):
        left, right = span(outline, top + (hem - top) * row / 4.6)
        pen.line([left, right], 0.007, dark, 0.8)
        pen.fold([(left[0], left[1] + 0.02), (right[0], right[1] + 0.02)], 0.016, 1.12)
    if b.cos > -0.2:
        pen.line(
            [
                (b.front("neck"), b.trunk["neck"].y + 0.05),
                (b.front("waist"), b.trunk["waist"].y),
                (b.front("hip"), hem),
            ],
            0.01,
            dark,
        )


def _high_vis(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2, outline: list[Point]) -> None:
    hem = outline[len(outline) // 2][1]
    band = REFLECTING if not palette.infrared else (252, 252, 252)
    for level, width in (("chest", 0.03), ("waist", 0.03)):
        y = b.trunk[level].y + (0.02 if level == "chest" else 0.03)
        pen.line(list(span(outline, y - 0.017)), 0.007, (120, 126, 120), 1.0)
        pen.line(list(span(outline, y)), width, band, 1.1)
    for way in (-1, 1):
        x = b.middle("shoulder") + way * b.half("shoulder") * 0.5
        pen.line(
            [
                (x, b.trunk["shoulder"].y - 0.006),
                (b.middle("chest") + way * b.half("chest") * 0.52, b.trunk["chest"].y + 0.01),
            ],
            0.024,
            band,
            1.1,
        )
    if b.cos > -0.2:
        pen.line(
            [
                (b.front("neck"), b.trunk["neck"].y + 0.045),
                (b.front("waist"), b.trunk["waist"].y),
                (b.front("hip"), hem),
            ],
            0.006,
            (90, 96, 80),
        )


def _dress(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2, outline: list[Point]) -> None:
    pen.line(list(span(outline, b.trunk["waist"].y)), 0.014, shade(palette.upper, 0.72))


def no_detail(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2, outline: list[Point]) -> None:
    """A t-shirt has nothing more on it."""


DETAILS = {
    "shirt": _shirt,
    "suit": _suit,
    "jacket": _jacket,
    "coat": _coat,
    "hoodie": _hoodie,
    "sweater": _sweater,
    "vest": _vest,
    "high-vis": _high_vis,
    "dress": _dress,
}
