"""Draws what is worn on the trunk and the arms: outlines, sleeves, openings, collars, hems, prints."""

from __future__ import annotations

from training.synthetic.brush import Rgb, mix, shade
from training.synthetic.second.body import Body
from training.synthetic.second.colours import REFLECTING, Palette2
from training.synthetic.second.details import DETAILS, draw_print, no_detail
from training.synthetic.second.pen import Cloth, Pen, Point
from training.synthetic.second.wardrobe import Outfit2
from training.synthetic.wardrobe import Identity

EASE = {
    "coat": 0.017,
    "jacket": 0.014,
    "hoodie": 0.014,
    "suit": 0.011,
    "sweater": 0.009,
    "vest": 0.013,
    "high-vis": 0.015,
}
FLARE = {"coat": 1.14, "dress": 1.3, "hoodie": 1.02, "suit": 1.05}
REACHES = {
    "t-shirt": 0.02,
    "shirt": 0.03,
    "sweater": 0.02,
    "hoodie": 0.02,
    "jacket": 0.03,
    "suit": 0.085,
    "vest": 0.025,
    "high-vis": 0.05,
}
FLUORESCENT: dict[str, Rgb] = {"yellow": (222, 242, 48), "orange": (255, 112, 30)}


def upper_cloth(outfit: Outfit2, palette: Palette2) -> Cloth:
    """The cloth of the upper garment's body, with its pattern."""
    colour, second = palette.upper, palette.second
    if outfit.upper == "high-vis" and not palette.infrared:
        colour = FLUORESCENT.get(outfit.upper_colour, colour)
    layers: tuple[tuple[str, Rgb], ...] = ()
    if outfit.upper_pattern in ("striped", "checked", "dotted"):
        layers = ((outfit.upper_pattern, second),)
    elif outfit.upper_pattern == "floral":
        heart = (250, 226, 120) if not palette.infrared else shade(second, 0.7)
        leaf = mix(colour, (60, 120, 70) if not palette.infrared else (90, 90, 90), 0.55)
        layers = (("leaves", leaf), ("petals", second), ("hearts", heart))
    elif outfit.upper_pattern == "camouflage":
        dark = shade(colour, 0.42)
        earth = mix(colour, (112, 84, 54) if not palette.infrared else (80, 80, 80), 0.6)
        pale = mix(colour, (206, 200, 164) if not palette.infrared else (210, 210, 210), 0.55)
        layers = (("patches1", pale), ("patches2", earth), ("patches3", dark))
    return Cloth(colour, layers)


def blocked(outfit: Outfit2) -> str:
    """Where the second colour of a plain garment is: "sleeves", "yoke", "below", or "" where it has none."""
    if outfit.upper_second_colour == "none" or outfit.upper_pattern != "plain":
        return ""
    if outfit.upper in ("suit", "vest", "high-vis"):
        return ""
    ways = ("yoke", "below") if outfit.sleeves == "sleeveless" else ("sleeves", "yoke", "below")
    return ways[int((outfit.tints[0] + 1) * 0.4999 * len(ways))]


def sleeve_cloth(outfit: Outfit2, palette: Palette2) -> Cloth:
    """The cloth of the sleeves: the body's, or what is worn below a vest."""
    if outfit.upper in ("vest", "high-vis") or blocked(outfit) in ("sleeves", "yoke"):
        return Cloth(palette.second)
    return upper_cloth(outfit, palette)


def hem_of(b: Body, outfit: Outfit2) -> float:
    """y of the garment's lower edge."""
    crotch, knee = b.trunk["crotch"].y, b.trunk["crotch"].y + (0.957 - b.trunk["crotch"].y) * 0.5
    if outfit.upper == "dress":
        return 0.9 if outfit.upper_length == "long" else crotch + (knee - crotch) * 0.55
    if outfit.upper == "coat":
        return knee + 0.11 if outfit.upper_length == "long" else crotch + (knee - crotch) * 0.3
    return b.trunk["hip"].y + REACHES[outfit.upper]


def trunk_outline(b: Body, ease: float, hem: float, flare: float, sleeveless: bool = False) -> list[Point]:
    """The outline of a garment on the trunk, down its right edge in the picture and up its left."""
    t = b.trunk
    tip = 0.84 if sleeveless else 0.98
    hip, mid = b.half("hip") + ease, b.middle("hip")
    rows = [
        (t["neck"].y + 0.012, b.half("neck") * 1.05, b.middle("neck")),
        (t["shoulder"].y - 0.008, b.half("shoulder") * 0.58 + ease * 0.4, b.middle("shoulder")),
        (t["shoulder"].y + 0.02, b.half("shoulder") * tip + ease * 0.6, b.middle("shoulder")),
        (t["chest"].y - 0.012, b.half("chest") + ease * 0.8, b.middle("chest")),
        (t["waist"].y, b.half("waist") + ease * 1.1, b.middle("waist")),
    ]
    if hem > t["hip"].y + 0.06:
        rows.append((t["hip"].y, hip, mid))
        rows.append(((t["hip"].y + hem) / 2, hip * (0.5 + 0.5 * flare), mid * 0.7))
    else:
        rows.append((t["hip"].y - 0.02, hip, mid))
    rows.append((hem, hip * flare, mid * 0.5))
    right = [(x + half, y) for y, half, x in rows]
    left = [(x - half, y) for y, half, x in reversed(rows)]
    return [*right, right[-1], left[0], *left]  # a point twice makes a corner


def draw_upper(pen: Pen, b: Body, identity: Identity, outfit: Outfit2, palette: Palette2) -> None:
    """The garment's body with everything on it."""
    cloth, hem = upper_cloth(outfit, palette), hem_of(b, outfit)
    ease = EASE.get(outfit.upper, 0.005)
    flare = FLARE.get(outfit.upper, 1.0) * (
        1.06 if outfit.upper == "dress" and outfit.upper_length == "long" else 1.0
    )
    bare = outfit.sleeves == "sleeveless" and outfit.upper not in ("vest", "high-vis")
    if outfit.upper in ("vest", "high-vis") and outfit.sleeves != "sleeveless":
        pen.shape(trunk_outline(b, 0.004, hem - 0.03, 1.0), Cloth(palette.second), 0.9)
    outline = trunk_outline(b, ease, hem, flare, bare or outfit.upper in ("vest", "high-vis"))
    pen.round_shape(outline, cloth)
    block = blocked(outfit)
    if block == "yoke":
        pen.round_shape(_part(outline, -1.0, b.trunk["chest"].y + 0.012), Cloth(palette.second), smooth=False)
    elif block == "below":
        low = b.trunk["waist"].y - 0.02 if hem < 0.6 else b.trunk["hip"].y
        pen.round_shape(_part(outline, low, 2.0), Cloth(palette.second), smooth=False)
    _folds(pen, b, hem, outfit)
    _neckline(pen, b, identity, outfit, palette, cloth)
    DETAILS.get(outfit.upper, no_detail)(pen, b, outfit, palette, outline)
    if outfit.upper_print != "none" and (b.cos > 0.2 or (outfit.print_behind and b.cos < -0.2)):
        draw_print(pen, b, outfit, cloth.colour)


def draw_arm(pen: Pen, b: Body, side: str, outfit: Outfit2, palette: Palette2, lit: float) -> None:
    """An arm with its sleeve and hand."""
    shoulder, elbow, hand = b.shoulders[side].xy, b.elbows[side].xy, b.hands[side].xy
    thick = {"coat": 1.26, "jacket": 1.22, "hoodie": 1.2, "suit": 1.14, "sweater": 1.12}.get(
        outfit.upper, 1.02
    )
    cloth = sleeve_cloth(outfit, palette)
    top, mid, wrist = 0.031 * b.limb, 0.027 * b.limb, 0.019 * b.limb
    if outfit.sleeves != "long":
        pen.limb(shoulder, elbow, top * 0.92, mid * 0.92, palette.skin, lit)
        pen.limb(elbow, hand, mid * 0.92, wrist * 0.82, palette.skin, lit)
    _hand(pen, elbow, hand, palette, lit, b.limb)
    if outfit.sleeves == "short":
        pen.limb(shoulder, _between(shoulder, elbow, 0.6), top * 1.1, mid * 1.32, cloth, lit)
    elif outfit.sleeves == "long":
        pen.limb(elbow, _between(elbow, hand, 0.95), mid * thick, wrist * (thick + 0.12), cloth, lit)
        pen.limb(shoulder, elbow, top * thick, mid * thick, cloth, lit)
        cuff = {"sweater": 0.78, "hoodie": 0.78, "shirt": 1.12, "suit": None}.get(outfit.upper, 0)
        if cuff is None:
            pen.limb(
                _between(elbow, hand, 0.95), _between(elbow, hand, 1.0), wrist, wrist, palette.inner, lit
            )
        elif cuff:
            pen.limb(
                _between(elbow, hand, 0.86),
                _between(elbow, hand, 0.95),
                wrist * 1.2,
                wrist * 1.15,
                shade(cloth.colour, cuff),
                lit,
            )
        if outfit.upper == "high-vis":
            _band(pen, _between(elbow, hand, 0.3), elbow, hand, mid * 1.12, lit)
        pen.fold([_between(shoulder, elbow, 0.85), _between(elbow, hand, 0.1)], 0.008, 0.78 * lit)


def _hand(pen: Pen, elbow: Point, hand: Point, palette: Palette2, lit: float, limb: float) -> None:
    tip = _between(elbow, hand, 1.2)
    pen.limb(_between(elbow, hand, 0.97), tip, 0.0155 * limb, 0.014 * limb, palette.skin, lit * 1.06)
    knuckle = _between(elbow, hand, 1.1)
    pen.limb(knuckle, (knuckle[0] + 0.012, knuckle[1] + 0.012), 0.006, 0.005, shade(palette.skin, 0.93), lit)
    pen.line([_between(elbow, hand, 1.13), tip], 0.004, shade(palette.skin, 0.8), lit)


def _band(pen: Pen, at: Point, a: Point, b: Point, wide: float, lit: float) -> None:
    """A reflecting band around a limb."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = (dx * dx + dy * dy) ** 0.5 or 1.0
    nx, ny = -dy / length * wide, dx / length * wide
    pen.line([(at[0] - nx, at[1] - ny), (at[0] + nx, at[1] + ny)], 0.018, REFLECTING, lit)


def _part(outline: list[Point], top: float, bottom: float) -> list[Point]:
    """The part of an outline between two heights, its edges cut straight."""
    cut: list[Point] = []
    for (ax, ay), (bx, by) in zip(outline, outline[1:] + outline[:1], strict=True):
        if top <= ay <= bottom:
            cut.append((ax, ay))
        for edge in sorted((top, bottom), reverse=ay > by):
            if (ay - edge) * (by - edge) < 0:
                cut.append((ax + (bx - ax) * (edge - ay) / (by - ay), edge))
    return cut


def _folds(pen: Pen, b: Body, hem: float, outfit: Outfit2) -> None:
    """Soft folds: at the armpits, the waist, and down a skirt or coat."""
    waist, hip, chest = b.trunk["waist"], b.trunk["hip"], b.trunk["chest"]
    x, half = b.middle("waist"), b.half("waist")
    for way in (-1, 1):
        pen.fold(
            [(x + way * b.half("chest") * 0.9, chest.y - 0.01), (x + way * half * 0.45, chest.y + 0.045)],
            0.01,
            0.82,
        )
        pen.fold(
            [(x + way * half * 0.95, waist.y + 0.012), (x + way * half * 0.2, waist.y + 0.04)], 0.009, 0.84
        )
    pen.fold([(x - half * 0.3, waist.y - 0.03), (x + half * 0.5, waist.y - 0.012)], 0.008, 1.16)
    if hem > hip.y + 0.09:
        for t in (-0.62, -0.2, 0.3, 0.7):
            end = b.half("hip") * FLARE.get(outfit.upper, 1.0)
            pen.fold(
                [(b.middle("hip") + t * b.half("hip") * 0.8, hip.y + 0.02), (t * end * 1.15, hem - 0.006)],
                0.012,
                0.82,
            )


def _neckline(
    pen: Pen, b: Body, identity: Identity, outfit: Outfit2, palette: Palette2, cloth: Cloth
) -> None:
    """The opening at the neck, where it shows skin."""
    x, y = b.front("neck"), b.trunk["neck"].y
    depth = {"t-shirt": 0.032, "dress": 0.052, "sweater": 0.024, "high-vis": 0.04, "vest": 0.06}.get(
        outfit.upper, 0.0
    )
    if not depth or b.cos < -0.2:
        return
    half = 0.036 * max(0.45, b.cos) + 0.004
    lower = x * 0.75 + b.front("shoulder") * 0.25
    low = b.trunk["shoulder"].y - 0.03 + depth
    inside = (
        palette.second
        if outfit.upper in ("vest", "high-vis") and outfit.sleeves != "sleeveless"
        else palette.skin
    )
    wide = half * (1.3 if outfit.upper == "dress" else 1.08)
    if outfit.upper == "sweater" or outfit.upper == "t-shirt":
        pen.shape(
            [(x - wide * 1.2, y + 0.004), (x + wide * 1.2, y + 0.004), (lower, low + 0.014)],
            shade(cloth.colour, 0.8),
            0.95,
        )
    pen.shape([(x - wide, y - 0.004), (x + wide, y - 0.004), (lower, low)], inside, 0.92)


def _between(a: Point, b: Point, t: float) -> Point:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t
