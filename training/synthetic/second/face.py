"""Draws the head: face, hair, beard, glasses, face mask and what is on it."""

from __future__ import annotations

from training.synthetic.brush import Rgb, mix, shade
from training.synthetic.second.body import Body
from training.synthetic.second.colours import Palette2
from training.synthetic.second.hats import COVERING, HATS, Head
from training.synthetic.second.pen import Pen
from training.synthetic.second.wardrobe import Outfit2
from training.synthetic.wardrobe import Identity


def head_of(b: Body, identity: Identity) -> Head:
    """The head of a body."""
    ry = b.head_high * 0.5
    rx = ry * (0.74 + 0.08 * identity.head)
    rx *= 1 + 0.12 * abs(b.sin)
    return Head(b.head.x, b.head.y, rx, ry, b.head.x + b.sin * rx * 0.56, b.cos, b.sin)


def draw_back_hair(pen: Pen, b: Body, identity: Identity, outfit: Outfit2, palette: Palette2) -> None:
    """Hair that falls behind the neck, or over the back where that is what we see."""
    if outfit.hat in COVERING or identity.hair not in ("long", "ponytail"):
        return
    h = head_of(b, identity)
    x, back = h.x - b.sin * h.rx * 0.5, shade(palette.hair, 0.88)
    low = b.trunk["chest"].y - 0.02
    if identity.hair == "long":
        half = h.rx * (1.02 - 0.25 * abs(b.sin))
        pen.round_shape(
            [
                (x - half, h.y - h.ry * 0.3),
                (x + half, h.y - h.ry * 0.3),
                (x + half * 1.12, low - 0.03),
                (x + half * 0.5, low),
                (x - half * 0.5, low),
                (x - half * 1.12, low - 0.03),
            ],
            back,
        )
        for t in (-0.5, 0.05, 0.55):
            pen.fold([(x + half * t, h.y), (x + half * t * 1.1, low - 0.012)], 0.007, 0.8 if t < 0.5 else 1.2)
        return
    # From the front it shows beside the head, on the side that the face is turned from.
    aside = 0.0 if h.cos <= 0.2 else (-1.0 if b.sin > 0 else 1.0) * (1 - abs(b.sin))
    tail = h.x - b.sin * h.rx * 1.1 + aside * h.rx * 0.75
    end = (tail - b.sin * 0.028 + aside * 0.02, h.y + h.ry * 1.55)
    pen.limb((tail, h.y - h.ry * 0.15), end, h.rx * 0.36, h.rx * 0.14, back)
    pen.ellipse(
        tail,
        h.y - h.ry * 0.2,
        h.rx * 0.2,
        h.rx * 0.18,
        (176, 60, 84) if not palette.infrared else (120, 120, 120),
    )


def draw_head(pen: Pen, b: Body, identity: Identity, outfit: Outfit2, palette: Palette2) -> None:
    """The head from where we stand; nothing of the face shows from behind."""
    h = head_of(b, identity)
    x, y, rx, ry = h.x, h.y, h.rx, h.ry
    hair, skin = palette.hair, palette.skin
    covered = outfit.hat in COVERING
    if identity.hair == "curly" and not covered:
        for dx, dy in (
            (-0.95, 0.1),
            (-1.0, -0.3),
            (-0.72, -0.78),
            (-0.25, -1.0),
            (0.25, -1.0),
            (0.72, -0.78),
            (1.0, -0.3),
            (0.95, 0.1),
        ):
            pen.ellipse(
                x + dx * rx * 1.05 - b.sin * rx * 0.25, y + dy * ry, rx * 0.5, rx * 0.5, shade(hair, 0.92)
            )
    if identity.hair == "bun" and outfit.hat in ("none", "cap"):
        lift = 1.12 if outfit.hat == "none" else 0.25
        pen.limb(
            (x - b.sin * rx * 0.95, y - ry * lift),
            (x - b.sin * rx * 0.9, y - ry * lift + 0.003),
            rx * 0.48,
            rx * 0.48,
            shade(hair, 0.9),
        )
    jaw = 0.64 if identity.gender == "woman" or identity.age == "child" else 0.74
    chin = x + b.sin * rx * 0.32
    pen.round_shape(
        [
            (x - rx * 0.9, y - ry * 0.62),
            (x, y - ry),
            (x + rx * 0.9, y - ry * 0.62),
            (x + rx * 0.98, y),
            (chin + rx * jaw, y + ry * 0.62),
            (chin, y + ry),
            (chin - rx * jaw, y + ry * 0.62),
            (x - rx * 0.98, y),
        ],
        skin,
        1.02,
    )
    if not covered and abs(b.sin) < 0.95:
        for way in (-1, 1):
            if b.sin * way < 0.35:
                pen.ellipse(x + way * rx * 0.98, y + ry * 0.08, rx * 0.16, ry * 0.18, shade(skin, 0.9))
    if identity.hair != "bald" and not covered:
        _hair(pen, h, identity, palette)
    elif identity.hair == "bald" and not covered:
        pen.fold(
            [
                (x - rx * 0.3 + pen.light * rx * 0.4, y - ry * 0.75),
                (x + rx * 0.2 + pen.light * rx * 0.4, y - ry * 0.78),
            ],
            rx * 0.3,
            1.3,
        )
    if not h.away:
        _face(pen, h, identity, outfit, palette)
    if outfit.hat != "none":
        HATS[outfit.hat](pen, b, h, palette)


def _hair(pen: Pen, h: Head, identity: Identity, palette: Palette2) -> None:
    x, y, rx, ry, hair = h.x, h.y, h.rx, h.ry, palette.hair
    short = identity.hair == "short"
    if h.away:
        low = 0.5 if short else 0.85
        pen.round_shape(
            [
                (x - rx * 1.03, y - ry * 0.3),
                (x - rx * 0.62, y - ry * 0.95),
                (x, y - ry * 1.1),
                (x + rx * 0.62, y - ry * 0.95),
                (x + rx * 1.03, y - ry * 0.3),
                (x + rx * 0.92, y + ry * low * 0.6),
                (x + rx * 0.4, y + ry * low),
                (x - rx * 0.4, y + ry * low),
                (x - rx * 0.92, y + ry * low * 0.6),
            ],
            hair,
        )
        pen.fold([(x - rx * 0.2, y - ry * 0.8), (x + rx * 0.1, y + ry * 0.2)], 0.007, 0.9)
        return
    s, fringe = h.sin, -0.46 + 0.16 * identity.face
    low = 0.12 if short else 0.35
    back, front = x - s * rx * 0.12, x + s * rx * 0.72
    left, right = (rx * 1.06 if s >= 0 else rx * 0.92), (rx * 1.06 if s <= 0 else rx * 0.92)
    part = (identity.face - 0.5) * rx
    points = [
        (back - left, y + ry * (low if s > -0.3 else -0.35)),
        (back - left * 1.02, y - ry * 0.4),
        (back - rx * 0.62, y - ry * 0.98),
        (x, y - ry * 1.12),
        (back + rx * 0.62, y - ry * 0.98),
        (back + right * 1.02, y - ry * 0.4),
        (back + right, y + ry * (low if s < 0.3 else -0.35)),
    ]
    inner = [
        (front + rx * 0.72 * max(0.25, h.cos), y - ry * 0.12),
        (front + rx * 0.3 + part * 0.3, y + ry * fringe),
        (front - rx * 0.3 + part * 0.3, y + ry * (fringe - 0.06)),
        (front - rx * 0.72 * max(0.25, h.cos), y - ry * 0.12),
    ]
    if abs(s) > 0.45:  # from the side: hair covers the back of the head, the face stays free
        way = 1 if s > 0 else -1
        edge = x + way * rx * (0.18 - 1.2 * (1 - abs(s)))
        points = [
            (x - way * rx * 0.98, y + ry * (0.42 if short else 0.7)),
            (x - way * rx * 1.08, y - ry * 0.25),
            (x - way * rx * 0.62, y - ry * 0.98),
            (x + way * rx * 0.05, y - ry * 1.1),
            (x + way * rx * 0.7, y - ry * 0.86),
            (x + way * rx * 0.86, y - ry * 0.5),
        ]
        inner = [
            (edge + way * rx * 0.3, y - ry * 0.42),
            (edge, y - ry * 0.1),
            (edge - way * rx * 0.12, y + ry * 0.14),
            (edge - way * rx * 0.3, y + ry * (0.3 if short else 0.85)),
        ]
    pen.round_shape(points + inner, hair)
    pen.fold([(x - rx * 0.5, y - ry * 0.7), (x + rx * 0.1, y - ry * 0.86)], 0.008, 1.28)
    if identity.hair == "long":
        for way in (-1, 1):
            if way * s < 0.35:
                sx = x + way * rx * 0.98
                pen.limb((sx, y - ry * 0.3), (sx + way * rx * 0.1, y + ry * 1.75), rx * 0.2, rx * 0.16, hair)


def _face(pen: Pen, h: Head, identity: Identity, outfit: Outfit2, palette: Palette2) -> None:
    x, y, rx, ry = h.face, h.y, h.rx, h.ry
    wide, skin, dark = max(0.3, h.cos), palette.skin, (44, 32, 30) if not palette.infrared else (46, 46, 46)
    apart = rx * (0.4 + 0.06 * identity.face) * wide
    eyes = [w for w in (-1, 1) if h.cos > 0.3 or w * h.sin > 0]
    level = y + ry * (0.12 if identity.age == "child" else 0.03)
    brow = mix(palette.hair, dark, 0.35) if identity.hair != "bald" else shade(skin, 0.55)
    for way in eyes:
        ex = x + way * apart
        pen.ellipse(ex, level, rx * 0.17 * max(0.6, wide), ry * 0.085, (246, 244, 240))
        pen.ellipse(ex + h.sin * rx * 0.05, level, rx * 0.1, ry * 0.085, dark)
        pen.line(
            [(ex - rx * 0.19 * wide, level - ry * 0.19), (ex + rx * 0.19 * wide, level - ry * 0.2)],
            ry * 0.075,
            brow,
        )
    nose = x + h.sin * rx * (0.42 if abs(h.sin) > 0.55 else 0.2)
    pen.shape(
        [
            (x + h.sin * rx * 0.1, level + ry * 0.02),
            (nose + rx * 0.1, level + ry * 0.3),
            (nose - rx * 0.1, level + ry * 0.3),
        ],
        shade(skin, 0.93),
        1.08 if abs(h.sin) < 0.5 else 1.0,
    )
    pen.line(
        [(nose - rx * 0.1 * wide, level + ry * 0.32), (nose + rx * 0.1 * wide, level + ry * 0.32)],
        ry * 0.04,
        shade(skin, 0.76),
    )
    if identity.age == "elderly":
        for way in eyes:
            pen.line(
                [(x + way * apart * 0.8, y + ry * 0.42), (x + way * apart * 1.1, y + ry * 0.62)],
                0.0035,
                shade(skin, 0.74),
            )
            pen.line(
                [(x + way * apart * 0.7, level + ry * 0.17), (x + way * apart * 1.3, level + ry * 0.15)],
                0.0035,
                shade(skin, 0.82),
            )
        pen.line([(x - apart * 0.8, y - ry * 0.4), (x + apart * 0.8, y - ry * 0.4)], 0.003, shade(skin, 0.84))
    elif identity.age == "middle-aged":
        for way in eyes:
            pen.line(
                [(x + way * apart * 0.72, y + ry * 0.36), (x + way * apart * 0.95, y + ry * 0.56)],
                0.003,
                shade(skin, 0.86),
            )
    mouth = y + ry * 0.6
    if identity.beard == "beard":
        beard = shade(palette.hair, 0.96)
        bx = x * 0.5 + h.x * 0.5 + h.sin * rx * 0.05
        pen.shape(
            [
                (bx - rx * 0.86, y + ry * 0.2),
                (bx - rx * 0.5, y + ry * 0.42),
                (bx, y + ry * 0.4),
                (bx + rx * 0.5, y + ry * 0.42),
                (bx + rx * 0.86, y + ry * 0.2),
                (bx + rx * 0.68, y + ry * 0.84),
                (bx, y + ry * 1.14),
                (bx - rx * 0.68, y + ry * 0.84),
            ],
            beard,
            0.94,
        )
        pen.line([(x - apart * 0.5, mouth), (x + apart * 0.5, mouth)], ry * 0.06, shade(skin, 0.66))
    else:
        lips = mix(
            skin, (186, 52, 66), 0.62 if identity.gender == "woman" and identity.age != "child" else 0.3
        )
        if palette.infrared:
            lips = shade(skin, 0.74)
        pen.line([(x - apart * 0.55, mouth), (x + apart * 0.55, mouth)], ry * 0.1, lips)
        pen.line([(x - apart * 0.6, mouth), (x + apart * 0.6, mouth)], ry * 0.03, shade(lips, 0.66))
    if outfit.mask != "none":
        _mask(pen, h, palette, x, wide)
    if outfit.glasses != "none":
        _glasses(pen, h, outfit, palette, apart, level, eyes)


def _mask(pen: Pen, h: Head, palette: Palette2, x: float, wide: float) -> None:
    colour: Rgb = (150, 200, 220) if palette.accent[0] < 150 else (244, 246, 246)
    if palette.infrared:
        colour = (222, 222, 222)
    y, rx, ry, half = h.y, h.rx, h.ry, h.rx * max(0.5, wide) * 0.88
    ear = h.x - h.sin * h.rx * 0.3
    pen.line([(ear, y + ry * 0.1), (x, y + ry * 0.4)], 0.005, shade(colour, 0.85))
    pen.round_shape(
        [
            (x - half, y + ry * 0.26),
            (x + h.sin * rx * 0.3, y + ry * 0.14),
            (x + half, y + ry * 0.26),
            (x + half * 0.82, y + ry * 0.82),
            (x, y + ry * 1.04),
            (x - half * 0.82, y + ry * 0.82),
        ],
        colour,
    )
    for t in (0.45, 0.65):
        pen.line([(x - half * 0.85, y + ry * t), (x + half * 0.85, y + ry * t)], 0.003, shade(colour, 0.82))


def _glasses(
    pen: Pen, h: Head, outfit: Outfit2, palette: Palette2, apart: float, level: float, eyes: list[int]
) -> None:
    ear = h.x - h.sin * h.rx * 0.45
    dark = (22, 22, 28)
    pen.line([(ear, level - h.ry * 0.04), (h.face + h.sin * apart, level)], h.ry * 0.09, dark)
    for way in eyes:
        cx, wide = h.face + way * apart * 1.04, h.rx * 0.36 * max(0.55, h.cos)
        pen.ellipse(cx, level + h.ry * 0.05, wide, h.ry * 0.25, dark)
        if outfit.glasses == "glasses":
            pen.ellipse(
                cx, level + h.ry * 0.05, wide * 0.68, h.ry * 0.155, mix(palette.skin, (232, 240, 244), 0.5)
            )
            pen.ellipse(cx, level + h.ry * 0.05, wide * 0.24, h.ry * 0.1, (60, 52, 50))
        else:
            pen.ellipse(cx - wide * 0.3, level - h.ry * 0.02, wide * 0.22, h.ry * 0.05, (96, 104, 116))
