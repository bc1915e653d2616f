"""Draws legs, trousers, shorts, skirts and what is on the feet."""

from __future__ import annotations

from training.synthetic.brush import Rgb, mix, shade
from training.synthetic.second.body import Body
from training.synthetic.second.colours import Palette2, light_of
from training.synthetic.second.pen import Pen, Point
from training.synthetic.second.wardrobe import Outfit2

SKIRT_ENDS = {"short": 0.36, "knee-length": 0.98, "long": 1.72}  # shares of the thigh below the crotch
SHORTS_ENDS = {"short": 0.46, "knee-length": 1.02}
BARE = ("shorts", "skirt", None)


def covered(outfit: Outfit2) -> bool:
    """Whether a long coat hides what is worn below it."""
    return outfit.upper_length == "long" and outfit.lower in BARE and outfit.lower_length != "long"


def draw_leg(pen: Pen, b: Body, side: str, outfit: Outfit2, palette: Palette2, lit: float) -> None:
    """A leg with what is on it, and its foot."""
    hip, knee, ankle = b.hips[side].xy, b.knees[side].xy, b.ankles[side].xy
    g, cloth = b.limb, palette.lower
    wide, mid, calf, thin = 0.053 * g, 0.034 * g, 0.033 * g, 0.018 * g
    boots = outfit.shoes == "boots"
    if outfit.lower in BARE:
        _foot(pen, b, side, outfit, palette, lit)
        skin = palette.skin
        bulge = _between(knee, ankle, 0.34)
        pen.limb(bulge, ankle, calf, thin, skin, lit)
        pen.limb(knee, bulge, mid * 0.86, calf, skin, lit)
        pen.limb(hip, knee, wide * 0.9, mid * 0.92, skin, lit)
        pen.fold([(knee[0] - mid * 0.4, knee[1]), (knee[0] + mid * 0.4, knee[1])], 0.008, 0.9 * lit)
        if boots:
            _shaft(pen, b, side, palette, lit)
        if outfit.lower == "shorts" and not covered(outfit):
            end = _along(hip, knee, ankle, SHORTS_ENDS[outfit.lower_length or "short"])
            pen.limb(hip, end, wide * 1.04, mid * 1.42, cloth, lit)
            low = mid * 1.42
            pen.line(
                [(end[0] - low, end[1] + low * 0.6), (end[0] + low, end[1] + low * 0.6)],
                0.008,
                shade(cloth, 0.8),
                lit,
            )
        return
    if boots:
        _foot(pen, b, side, outfit, palette, lit)
    jeans = outfit.lower == "jeans"
    at_ankle = thin * (1.35 if jeans else 1.75)
    end = _between(knee, ankle, {"boots": 0.72, "heels": 0.92}.get(outfit.shoes, 0.99))
    if not boots:
        _foot(pen, b, side, outfit, palette, lit)
    pen.limb(knee, end, mid * 1.06, at_ankle * (1.1 if boots else 1.0), cloth, lit)
    pen.limb(hip, knee, wide, mid * 1.06, cloth, lit)
    pen.fold(
        [(knee[0] - mid * 0.7, knee[1] + 0.012), (knee[0] + mid * 0.3, knee[1] - 0.004)], 0.008, 0.76 * lit
    )
    pen.fold(
        [(end[0] - at_ankle * 0.8, end[1] - 0.02), (end[0] + at_ankle * 0.6, end[1] - 0.012)],
        0.008,
        0.8 * lit,
    )
    if jeans:
        pale = mix(cloth, (236, 238, 240), 0.13)
        pen.limb(
            _between(hip, knee, 0.35), _between(hip, knee, 0.85), wide * 0.3, mid * 0.3, pale, lit * 1.06
        )
        pen.line(
            [(end[0] - at_ankle, end[1] - 0.004), (end[0] + at_ankle, end[1] - 0.004)],
            0.014,
            mix(cloth, (240, 240, 240), 0.4),
            lit,
        )
        seam = (206, 150, 84) if not palette.infrared else (170, 170, 170)
        edge = wide * 0.86 * (1 if side == "left" else -1) * (b.cos if abs(b.cos) > 0.3 else 0.0)
        pen.line(
            [(hip[0] + edge, hip[1] + 0.03), (knee[0] + edge * 0.6, knee[1])],
            0.003,
            mix(cloth, seam, 0.7),
            lit,
        )
    else:
        pen.fold([(hip[0], hip[1] + 0.06), (knee[0], knee[1]), (end[0], end[1] - 0.02)], 0.006, 1.22 * lit)


def draw_hips(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2) -> None:
    """What the trousers or the skirt cover of the trunk."""
    t, colour = b.trunk, palette.lower
    if outfit.lower is None or covered(outfit):
        return
    top, hip, low = t["waist"].y + 0.01, t["hip"].y, t["crotch"].y + 0.025
    xw, xh = b.middle("waist"), b.middle("hip")
    ww, wh = b.half("waist") * 1.0, b.half("hip") * 1.02
    if outfit.lower == "skirt":
        leg = (0.957 - t["crotch"].y) * 0.5
        length = outfit.lower_length or "short"
        hem = t["crotch"].y + leg * SKIRT_ENDS[length]
        knees = [joint.x for joint in (*b.knees.values(), *(b.ankles.values() if length == "long" else ()))]
        flare = wh * {"short": 1.2, "knee-length": 1.3, "long": 1.42}[length]
        left, right = min(-flare + xh * 0.4, min(knees) - 0.03), max(flare + xh * 0.4, max(knees) + 0.03)
        pen.round_shape(
            [
                (xw - ww, top),
                (xw + ww, top),
                (xh + wh, hip),
                (right, hem),
                (right, hem),
                (left, hem),
                (left, hem),
                (xh - wh, hip),
            ],
            colour,
        )
        for share in (0.18, 0.42, 0.66, 0.86):
            x = left + (right - left) * share
            pen.fold(
                [(xh - wh + 2 * wh * share, hip + 0.01), (x, hem - 0.004)],
                0.012,
                0.76 if share in (0.18, 0.66) else 1.2,
            )
        return
    pen.round_shape(
        [
            (xw - ww, top),
            (xw + ww, top),
            (xh + wh, hip),
            (xh + wh * 0.98, low),
            (xh, low + 0.012),
            (xh - wh * 0.98, low),
            (xh - wh, hip),
        ],
        colour,
    )
    pen.fold([(xh, hip), (xh, low + 0.01)], 0.006, 0.78)


def _foot(pen: Pen, b: Body, side: str, outfit: Outfit2, palette: Palette2, lit: float) -> None:
    x, y = b.ankles[side].xy
    size = 1.0 if outfit.shoes != "heels" else 0.9
    ahead, toward = b.sin, b.cos
    ground = y + 0.034
    heel = (x - ahead * 0.02, ground - 0.012)
    toe = (x + ahead * 0.074 * size, ground - 0.009 + 0.014 * toward)
    half = (0.0175 + 0.006 * abs(toward)) * size
    colour, skin = palette.shoes, palette.skin
    dark, sole = shade(colour, 0.66), (40, 36, 34)
    if outfit.shoes == "sandals":
        pen.limb((x, y), heel, 0.016, half * 0.8, skin, lit)
        pen.limb(heel, toe, half * 0.8, half * 0.8, skin, lit * 1.05)
        pen.line(
            [(heel[0] - half * 0.9, ground + 0.004), (toe[0] + half * 0.9, ground + 0.004 + 0.012 * toward)],
            0.011,
            colour,
            lit,
        )
        for t in (0.42, 0.86):
            at = _between(heel, toe, t)
            pen.line(
                [(at[0] - half * 0.95, at[1] - 0.012), (at[0] + half * 0.95, at[1] - 0.006)],
                0.0125,
                colour,
                lit,
            )
        pen.line([(x - 0.019, y), (x + 0.019, y)], 0.011, colour, lit)
        return
    if outfit.shoes == "heels":
        raised = (x - ahead * 0.022, ground - 0.034)
        pen.limb((x, y - 0.006), raised, 0.0155, 0.0155, skin, lit)
        pen.limb(raised, toe, half * 0.62, half * 0.5, skin, lit)
        pen.limb(
            _between(raised, toe, 0.5),
            (toe[0] + ahead * 0.008, toe[1] + 0.002),
            half * 0.72,
            half * 0.5,
            colour,
            lit,
        )
        pen.limb(
            (raised[0] - ahead * 0.006, raised[1] - 0.004),
            (raised[0], raised[1] + 0.006),
            half * 0.8,
            half * 0.7,
            colour,
            lit,
        )
        back = raised[0] - ahead * 0.01
        if toward < 0.5:
            pen.line([(back, raised[1]), (back - ahead * 0.004, ground + 0.006)], 0.009, colour, lit)
        else:
            pen.line([(x + half * 0.5, raised[1] + 0.01), (x + half * 0.6, ground + 0.002)], 0.007, dark, lit)
        return
    pen.limb(heel, toe, half, half * 0.86, colour, lit * 1.05)
    pen.limb((x, y - 0.004), (heel[0] * 0.5 + x * 0.5, heel[1]), 0.0185, half, colour, lit)
    if outfit.shoes == "sneakers":
        white: Rgb = (246, 246, 244) if light_of(colour) < 190 else (108, 116, 132)
        pen.line(
            [
                (heel[0] - half * (0.9 if ahead >= 0 else 0.6), ground + 0.004),
                (toe[0] + half * (0.9 if ahead >= -0.3 else 0.6), ground + 0.006 + 0.01 * toward),
            ],
            0.013,
            white,
            lit,
        )
        mid = _between(heel, toe, 0.62)
        pen.line(
            [(mid[0] - half * 0.5, mid[1] - 0.012), (mid[0] + half * 0.5, mid[1] - 0.004)], 0.007, white, lit
        )
    elif outfit.shoes == "shoes":
        pen.line(
            [(heel[0] - half * 0.8, ground + 0.006), (toe[0] + half * 0.8, ground + 0.007 + 0.01 * toward)],
            0.006,
            sole,
            lit,
        )
        pen.fold([_between(heel, toe, 0.6), toe], 0.008, 1.4)
    else:
        pen.line(
            [(heel[0] - half, ground + 0.005), (toe[0] + half, ground + 0.006 + 0.01 * toward)],
            0.011,
            sole,
            lit,
        )
        _shaft(pen, b, side, palette, lit)


def _shaft(pen: Pen, b: Body, side: str, palette: Palette2, lit: float) -> None:
    """A boot's shaft, up to the calf."""
    knee, ankle = b.knees[side].xy, b.ankles[side].xy
    top = _between(ankle, knee, 0.42)
    pen.limb(top, (ankle[0], ankle[1] + 0.012), 0.034 * b.limb, 0.0225, palette.shoes, lit)
    pen.line(
        [(top[0] - 0.034 * b.limb, top[1] - 0.012), (top[0] + 0.034 * b.limb, top[1] - 0.012)],
        0.012,
        shade(palette.shoes, 0.62),
        lit,
    )


def _between(a: Point, b: Point, t: float) -> Point:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


def _along(hip: Point, knee: Point, ankle: Point, share: float) -> Point:
    """A point of the leg; share: 1 at the knee, 2 at the ankle."""
    return _between(hip, knee, share) if share <= 1 else _between(knee, ankle, share - 1)
