"""Draws what is carried, held, pushed or worn over clothes: bags, a stroller, a phone, a scarf, an umbrella."""

from __future__ import annotations

from training.synthetic.brush import Rgb, mix, shade
from training.synthetic.second.body import PHONE_SIDE, Body
from training.synthetic.second.colours import METAL, Palette2, light_of
from training.synthetic.second.pen import Pen
from training.synthetic.second.wardrobe import Outfit2


def draw_backpack(pen: Pen, b: Body, palette: Palette2) -> None:
    """The pack itself: before the back where we see it, beside the trunk from the side, a rim from the front."""
    top, low = b.trunk["shoulder"].y - 0.006, b.trunk["waist"].y + 0.045
    deep = 0.05 + b.trunk["chest"].deep
    x = b.middle("chest") - b.sin * deep * 1.25
    half = (b.trunk["chest"].half * 0.82) * abs(b.cos) + 0.055 * abs(b.sin)
    if b.cos > 0.2:
        half *= 1.26
    colour = palette.bag
    pen.round_shape(
        [
            (x - half, top + 0.04),
            (x - half * 0.66, top),
            (x + half * 0.66, top),
            (x + half, top + 0.04),
            (x + half * 1.04, low - 0.03),
            (x + half * 0.8, low),
            (x - half * 0.8, low),
            (x - half * 1.04, low - 0.03),
        ],
        colour,
    )
    if b.cos <= 0.2:
        inner = half * 0.74
        pocket = (low + top) * 0.5 + 0.03
        pen.round_shape(
            [(x - inner, pocket), (x + inner, pocket), (x + inner, low - 0.015), (x - inner, low - 0.015)],
            shade(colour, 0.8),
            smooth=False,
        )
        pen.line([(x - half * 0.82, top + 0.055), (x + half * 0.82, top + 0.055)], 0.006, shade(colour, 0.55))
        pen.line([(x - 0.015, top + 0.002), (x + 0.015, top + 0.002)], 0.009, shade(colour, 0.55))


def draw_straps(pen: Pen, b: Body, palette: Palette2) -> None:
    """A backpack's straps on the chest."""
    tone = shade(palette.bag, 0.86)
    for way in (-1, 1):
        top = (b.middle("shoulder") + way * b.half("shoulder") * 0.56, b.trunk["shoulder"].y - 0.004)
        chest, waist = b.trunk["chest"].y, b.trunk["waist"].y
        mid = (b.front("chest", way * 0.66), chest - 0.012)
        low = (b.front("chest", way * 0.8), 0.45 * chest + 0.55 * waist)
        pen.line([top, mid, low], 0.021, tone)


def draw_shoulder_bag(pen: Pen, b: Body, palette: Palette2) -> None:
    """At the left hip, its strap across the trunk to the other shoulder."""
    way = 1.0 if b.cos >= 0 else -1.0
    x = b.middle("hip") + way * (b.half("hip") + 0.01)
    y = b.trunk["hip"].y + 0.006
    start = (b.middle("shoulder") - way * b.half("shoulder") * 0.56, b.trunk["shoulder"].y - 0.002)
    pen.line([start, (x, y - 0.05)], 0.014, shade(palette.bag, 0.8))
    w = 0.052
    pen.round_shape(
        [(x - w, y - 0.05), (x + w, y - 0.05), (x + w * 1.04, y + 0.05), (x - w * 1.04, y + 0.05)],
        palette.bag,
        smooth=False,
    )
    pen.round_shape(
        [(x - w * 1.05, y - 0.052), (x + w * 1.05, y - 0.052), (x + w * 0.9, y), (x - w * 0.9, y)],
        shade(palette.bag, 0.78),
        smooth=False,
    )
    pen.ellipse(x, y - 0.002, 0.006, 0.006, (222, 200, 120) if not palette.infrared else (210, 210, 210))


def draw_in_left_hand(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2) -> None:
    """A handbag, a shopping bag or a suitcase."""
    hand = b.hands["left"]
    x, y = hand.x, hand.y + 0.022
    if outfit.bag == "handbag":
        _handles(pen, x, y, 0.03, 0.05, shade(palette.bag, 0.7))
        top = y + 0.046
        pen.round_shape(
            [(x - 0.046, top), (x + 0.046, top), (x + 0.062, top + 0.085), (x - 0.062, top + 0.085)],
            palette.bag,
            smooth=False,
        )
        pen.line([(x - 0.05, top + 0.022), (x + 0.05, top + 0.022)], 0.007, shade(palette.bag, 0.6))
        pen.ellipse(
            x, top + 0.026, 0.008, 0.008, (228, 204, 120) if not palette.infrared else (220, 220, 220)
        )
    elif outfit.bag == "shopping bag":
        _handles(pen, x, y, 0.026, 0.038, mix(palette.bag, (240, 240, 240), 0.5))
        top, low = y + 0.036, min(0.935, y + 0.236)
        pen.round_shape(
            [(x - 0.07, top), (x + 0.07, top), (x + 0.066, low), (x - 0.066, low)], palette.bag, smooth=False
        )
        pen.shape(
            [(x - 0.07, top), (x + 0.07, top), (x + 0.069, top + 0.014), (x - 0.069, top + 0.014)],
            shade(palette.bag, 0.72),
            smooth=False,
        )
        paper: Rgb = (246, 244, 238) if light_of(palette.bag) < 170 else (60, 60, 70)
        pen.ellipse(x, (top + low) * 0.5 + 0.01, 0.034, 0.036, paper)
        pen.fold([(x - 0.044, top + 0.03), (x - 0.038, low)], 0.008, 0.82)
    elif outfit.bag == "suitcase":
        x += (0.05 if x >= b.middle("hip") else -0.05) - b.sin * 0.05
        top = 0.735
        for way in (-1, 1):
            pen.line([(x + way * 0.024, y - 0.01), (x + way * 0.024, top)], 0.007, METAL)
        pen.line([(x - 0.028, y - 0.01), (x + 0.028, y - 0.01)], 0.014, (44, 46, 52))
        pen.round_shape(
            [(x - 0.072, top), (x + 0.072, top), (x + 0.075, 0.962), (x - 0.075, 0.962)],
            palette.bag,
            smooth=False,
        )
        for t in (-0.5, 0.0, 0.5):
            pen.line([(x + t * 0.11, top + 0.02), (x + t * 0.11, 0.945)], 0.007, shade(palette.bag, 0.76))
        for way in (-1, 1):
            pen.ellipse(x + way * 0.054, 0.974, 0.014, 0.014, (30, 30, 32))


def _handles(pen: Pen, x: float, y: float, half: float, tall: float, colour: Rgb) -> None:
    for way in (-1, 1):
        pen.line([(x, y), (x + way * half, y + tall)], 0.008, colour)


def draw_phone(pen: Pen, b: Body, palette: Palette2) -> None:
    """A phone in the raised hand, its screen towards the face; its back where the person faces us."""
    x, y = b.hands[PHONE_SIDE].xy
    y -= 0.02
    wide = 0.021 + 0.007 * abs(b.cos)
    tilt = b.sin * 0.012
    pen.shape(
        [
            (x - wide + tilt, y - 0.045),
            (x + wide + tilt, y - 0.045),
            (x + wide, y + 0.028),
            (x - wide, y + 0.028),
        ],
        (18, 18, 24),
        0.95,
        smooth=False,
    )
    if b.cos < 0.5:
        pen.shape(
            [
                (x - wide * 0.72 + tilt, y - 0.039),
                (x + wide * 0.72 + tilt, y - 0.039),
                (x + wide * 0.72, y + 0.02),
                (x - wide * 0.72, y + 0.02),
            ],
            (176, 214, 244),
            1.3,
            smooth=False,
        )
    else:
        pen.ellipse(x - wide * 0.4 + tilt, y - 0.034, 0.006, 0.006, (120, 128, 140))
    for row in range(3):
        pen.line(
            [(x + wide * 0.7, y - 0.004 + row * 0.012), (x + wide * 1.25, y + row * 0.012)],
            0.007,
            palette.skin,
        )


def draw_scarf(pen: Pen, b: Body, palette: Palette2) -> None:
    """Wound around the neck, one end hanging down."""
    x, y = b.middle("neck"), b.trunk["neck"].y + 0.004
    colour = palette.accent
    if abs(light_of(colour) - light_of(palette.upper)) < 40:
        colour = shade(colour, 0.55) if light_of(colour) > 110 else mix(colour, (255, 255, 255), 0.5)
    half = b.half("neck") + 0.03
    end = b.front("chest", 0.35) if b.cos > -0.2 else b.middle("chest") + b.half("chest") * 0.3
    low = b.trunk["waist"].y - 0.02 if b.cos > -0.2 else b.trunk["chest"].y + 0.03
    pen.limb((x + 0.01 * b.cos, y + 0.02), (end, low), 0.02, 0.027, colour)
    for row in range(3):
        pen.line(
            [(end - 0.024 + row * 0.022, low + 0.018), (end - 0.024 + row * 0.022, low + 0.036)],
            0.006,
            shade(colour, 0.8),
        )
    pen.line([(end - 0.024, low - 0.008), (end + 0.024, low - 0.008)], 0.01, shade(colour, 0.66))
    pen.limb((x - half + 0.02, y + 0.012), (x + half - 0.02, y + 0.016), 0.03, 0.03, colour)
    pen.fold([(x - half * 0.8, y + 0.008), (x + half * 0.7, y + 0.022)], 0.007, 0.76)


def draw_umbrella_pole(pen: Pen, b: Body) -> None:
    """From the hand up to where the umbrella is."""
    hand = b.hands["left"]
    pen.line([(hand.x, hand.y + 0.02), (b.head.x + 0.03 * b.cos, -0.075)], 0.008, (70, 70, 76))


def draw_umbrella(pen: Pen, b: Body, palette: Palette2) -> None:
    """Open, above the head."""
    x, y, half = b.head.x + 0.03 * b.cos, 0.0, 0.215
    colour = palette.umbrella
    scallops = [
        (x + half * t, y + (0.0 if i % 2 else 0.014))
        for i, t in enumerate((1.0, 0.62, 0.34, 0.0, -0.34, -0.62, -1.0))
    ]
    dome = [
        (x - half * 0.86, y - 0.06),
        (x - half * 0.5, y - 0.105),
        (x, y - 0.122),
        (x + half * 0.5, y - 0.105),
        (x + half * 0.86, y - 0.06),
    ]
    pen.round_shape([*scallops, *dome], colour, smooth=False)
    for t in (-0.62, 0.0, 0.62):
        pen.line([(x, y - 0.12), (x + t * half, y)], 0.004, shade(colour, 0.72))
    pen.line([(x, y - 0.118), (x, y - 0.14)], 0.008, (70, 70, 76))


def draw_pushed(pen: Pen, b: Body, outfit: Outfit2, palette: Palette2) -> None:
    """A stroller or a shopping trolley, at arm's length before the person."""
    hands = [b.hands[side] for side in ("left", "right")]
    gx, gy = (hands[0].x + hands[1].x) / 2, (hands[0].y + hands[1].y) / 2
    reach, wide = b.sin * 0.2, 0.09 * abs(b.cos) + 0.03
    x = gx + reach
    pen.line([(hands[0].x, hands[0].y), (hands[1].x, hands[1].y)], 0.014, (40, 42, 48))
    (_stroller if outfit.pushing == "stroller" else _trolley)(pen, x, gx, gy, wide, b, palette)


def _stroller(pen: Pen, x: float, gx: float, gy: float, wide: float, b: Body, palette: Palette2) -> None:
    colour, side = palette.accent, abs(b.sin)
    half = wide + 0.085 * side
    top, floor = gy + 0.035, 0.955
    way = 1.0 if b.sin >= 0 else -1.0
    for edge in (-1, 1):
        pen.line(
            [
                (gx + edge * wide * (1 - side), gy),
                (x + (way * half * 0.7 if side > 0.4 else edge * half * 0.8), floor - 0.02),
            ],
            0.009,
            METAL,
        )
    if side > 0.4:
        pen.line([(x + way * half * 0.5, top + 0.16), (x - way * half * 0.8, floor - 0.02)], 0.009, METAL)
    seat = [
        (x - half, top + 0.09),
        (x + half, top + 0.09),
        (x + half * 0.86, top + 0.25),
        (x - half * 0.86, top + 0.25),
    ]
    pen.round_shape(seat, shade(colour, 0.74))
    if b.cos > -0.3:  # the child in it looks where the stroller goes
        pen.ellipse(x + way * half * 0.12, top + 0.085, 0.034, 0.038, mix(palette.skin, (250, 216, 190), 0.4))
        pen.ellipse(x + way * half * 0.06, top + 0.062, 0.034, 0.02, palette.hair)
        pen.round_shape(
            [
                (x - half * 0.6, top + 0.125),
                (x + half * 0.8, top + 0.125),
                (x + half * 0.86, top + 0.235),
                (x - half * 0.7, top + 0.235),
            ],
            mix(colour, (250, 240, 220), 0.55),
        )
    lean = -way * half * 0.3 * side
    pen.round_shape(
        [
            (x + lean - half * 1.02, top + 0.085),
            (x + lean - half * 0.9, top + 0.01),
            (x + lean, top - 0.045),
            (x + lean + half * 0.8, top),
            (x + lean + half * 0.62, top + 0.04),
            (x + lean, top + 0.05),
        ]
        if side > 0.4
        else [
            (x - half * 1.05, top + 0.08),
            (x - half * 0.85, top - 0.02),
            (x, top - 0.05),
            (x + half * 0.85, top - 0.02),
            (x + half * 1.05, top + 0.08),
            (x, top + 0.03 if b.cos > 0 else top + 0.11),
        ],
        colour,
    )
    for wheel in (-0.8, 0.8):
        _wheel(pen, x + wheel * half, floor, 0.034)


def _trolley(pen: Pen, x: float, gx: float, gy: float, wide: float, b: Body, palette: Palette2) -> None:
    """A supermarket's: a basket of wire on wheels, with goods in it."""
    side = abs(b.sin)
    half, floor = wide * 1.2 + 0.1 * side, 0.955
    top, low = gy + 0.015, gy + 0.2
    goods: tuple[Rgb, ...] = ((208, 64, 50), (236, 196, 70), (70, 140, 84), (96, 132, 200))
    if palette.infrared:
        goods = ((150, 150, 150), (210, 210, 210), (110, 110, 110), (180, 180, 180))
    for i, place in enumerate((-0.62, -0.22, 0.2, 0.6)):
        pen.limb(
            (x + place * half, top + 0.02 + 0.02 * (i % 2)),
            (x + place * half, low - 0.03),
            0.024,
            0.024,
            goods[i],
        )
    steel: Rgb = (198, 204, 210)
    for row in range(4):
        y = top + (low - top) * row / 3
        inset = 0.1 * row / 3
        pen.line(
            [(x - half * (1 - inset), y), (x + half * (1 - inset), y)],
            0.011 if row == 0 else 0.006,
            steel,
            1.05,
        )
    for column in range(7):
        t = -1 + column / 3
        pen.line([(x + t * half, top), (x + t * half * 0.9, low)], 0.005, steel, 1.05)
    for edge in (-0.82, 0.82):
        pen.line([(x + edge * half, low), (x + edge * half, floor - 0.01)], 0.01, METAL)
        _wheel(pen, x + edge * half, floor + 0.004, 0.022)
    pen.line([(x - half * 0.82, floor - 0.05), (x + half * 0.82, floor - 0.05)], 0.009, METAL)
    pen.line(
        [(gx - wide, gy), (gx + wide, gy)], 0.018, (200, 50, 46) if not palette.infrared else (90, 90, 90)
    )


def _wheel(pen: Pen, x: float, y: float, r: float) -> None:
    pen.ellipse(x, y, r, r, (34, 34, 38))
    pen.ellipse(x, y, r * 0.45, r * 0.45, (150, 152, 156))
