"""Draws the head: face, hair, beard, glasses and hat."""

from __future__ import annotations

from training.synthetic.brush import Brush, Palette, shade
from training.synthetic.skeleton import Skeleton
from training.synthetic.wardrobe import Identity, Outfit


def draw_head(brush: Brush, s: Skeleton, identity: Identity, outfit: Outfit, palette: Palette) -> None:
    """The head seen from the skeleton's side; nothing of the face shows from behind."""
    x, y, size = s.head.x, s.head.y, s.head_size
    rx, ry = 0.047 * size, 0.06 * size
    facing = s.front > -0.25
    face = x + s.side * rx * 0.55  # where the middle of the face is
    hair = palette.hair
    if identity.hair == "curly":
        for dx, dy in (
            (-0.9, -0.3),
            (-0.55, -0.85),
            (0, -1.0),
            (0.55, -0.85),
            (0.9, -0.3),
            (-0.95, 0.25),
            (0.95, 0.25),
        ):
            brush.ellipse(x + dx * rx * 1.08, y + dy * ry, 0.027 * size, 0.027 * size, shade(hair, 0.94))
    if identity.hair == "bun" and outfit.hat in ("none", "cap"):
        lift = 1.25 if outfit.hat == "none" else 0.4
        brush.ellipse(x - s.side * rx * 0.95, y - ry * lift, 0.026 * size, 0.026 * size, shade(hair, 0.9))
    brush.ellipse(x, y, rx, ry, palette.skin)
    if identity.hair != "bald":
        _hair(brush, s, identity, x, y, rx, ry, palette)
    if facing:
        _face(brush, s, identity, outfit, palette, face, y, rx, ry)
    if outfit.hat != "none":
        _hat(brush, s, outfit, palette, x, y, rx, ry)


def _hair(
    brush: Brush, s: Skeleton, identity: Identity, x: float, y: float, rx: float, ry: float, palette: Palette
) -> None:
    hair = palette.hair
    if s.front < -0.25:
        short = identity.hair == "short"
        brush.ellipse(x, y - ry * (0.24 if short else 0.06), rx * 1.08, ry * (0.88 if short else 1.06), hair)
        brush.line([(x - rx * 0.1, y - ry * 0.9), (x + rx * 0.2, y - ry * 0.1)], 0.008, shade(hair, 0.8))
        return
    back = x - s.side * rx * 0.6
    (cx, cy), wide, tall = brush.px(x, y), rx * 1.1 * brush.height, ry * 1.12 * brush.height
    brush.draw.pieslice((cx - wide, cy - tall, cx + wide, cy + tall * 0.7), 180, 360, fill=hair)
    if abs(s.side) > 0.35:
        brush.ellipse(back, y - ry * 0.18, rx * (0.44 + 0.34 * abs(s.side)), ry * 0.86, hair)
        face = x + s.side * rx * 0.62
        brush.ellipse(face, y + ry * 0.2, rx * 0.46, ry * 0.62, palette.skin)
    if identity.hair in ("long", "curly"):
        for way in (-1, 1):
            if abs(s.side) <= 0.5 or way * s.side < 0:
                brush.limb(
                    (x + way * rx * 0.96, y - ry * 0.3),
                    (x + way * rx * 1.02, y + ry * 0.85),
                    0.013,
                    0.012,
                    hair,
                )
    if identity.hair == "long" and s.front > 0.15:
        for way in (-1, 1):
            if abs(s.side) <= 0.6 or way * s.side < 0:
                brush.limb(
                    (x + way * rx * 1.02, y + ry * 0.6), (x + way * rx * 1.1, 0.225), 0.015, 0.012, hair
                )


def _face(
    brush: Brush,
    s: Skeleton,
    identity: Identity,
    outfit: Outfit,
    palette: Palette,
    face: float,
    y: float,
    rx: float,
    ry: float,
) -> None:
    """face: x of the face's middle; y: of the head's; rx, ry: half its width and height."""
    width = max(0.32, s.front)
    eye = 0.4 * rx * width * (0.9 + 0.2 * identity.face)
    dark = (40, 30, 28) if not palette.infrared else (50, 50, 50)
    eyes = (-1, 1) if s.front > 0.3 else ((1,) if s.side > 0 else (-1,))
    for way in eyes:
        brush.ellipse(face + way * eye, y + ry * 0.05, 0.006, 0.007, dark)
    if identity.age == "elderly":
        for way in (-1, 1):
            brush.line(
                [(face + way * eye * 1.1, y + ry * 0.3), (face + way * eye * 1.3, y + ry * 0.52)],
                0.004,
                shade(palette.skin, 0.76),
            )
    if identity.beard == "beard":
        colour = shade(palette.hair, 0.95)
        brush.ellipse(face * 0.6 + s.head.x * 0.4, y + ry * 0.64, rx * 0.74, ry * 0.42, colour)
        brush.line(
            [(face - eye * 0.5, y + ry * 0.48), (face + eye * 0.5, y + ry * 0.48)],
            0.006,
            shade(palette.skin, 0.7),
        )
    else:
        lips = (178, 60, 66) if identity.gender == "woman" else shade(palette.skin, 0.74)
        if palette.infrared:
            lips = shade(palette.skin, 0.74)
        brush.line([(face - eye * 0.5, y + ry * 0.52), (face + eye * 0.5, y + ry * 0.52)], 0.007, lips)
    if outfit.glasses != "none":
        lens = 0.021 if outfit.glasses == "sunglasses" else 0.018
        for way in eyes:
            cx = face + way * eye * 1.12
            if outfit.glasses == "sunglasses":
                brush.ellipse(cx, y + ry * 0.07, lens, 0.017, (16, 16, 20))
            else:
                brush.ellipse(cx, y + ry * 0.07, lens, 0.016, (30, 32, 40))
                brush.ellipse(cx, y + ry * 0.07, lens - 0.006, 0.0085, (214, 228, 236))
        ear = s.head.x - s.side * rx * 0.6
        brush.line([(ear, y + ry * 0.02), (face, y + ry * 0.04)], 0.005, (30, 30, 36))


def _hat(
    brush: Brush, s: Skeleton, outfit: Outfit, palette: Palette, x: float, y: float, rx: float, ry: float
) -> None:
    colour, dark = palette.hat, shade(palette.hat, 0.72)
    (cx, cy), wide = brush.px(x, y - ry * 0.28), rx * 1.16 * brush.height
    if outfit.hat == "hat":
        tall = ry * 1.12 * brush.height
        brush.draw.pieslice((cx - wide, cy - tall, cx + wide, cy + tall), 180, 360, fill=colour)
        brush.ellipse(x, y - ry * 0.32, rx * 2.05, ry * 0.2, colour)
        brush.line([(x - rx * 1.1, y - ry * 0.5), (x + rx * 1.1, y - ry * 0.5)], 0.016, dark)
        return
    tall = ry * (1.0 if outfit.hat == "cap" else 1.16) * brush.height
    brush.draw.pieslice((cx - wide, cy - tall, cx + wide, cy + tall), 180, 360, fill=colour)
    if outfit.hat == "cap":
        if s.front > -0.25:
            end = x + s.side * rx * 2.0
            brush.limb(
                (x + s.side * rx * 0.5 - rx * 0.7 * max(0.0, s.front), y - ry * 0.3),
                (end + rx * 0.7 * max(0.0, s.front), y - ry * 0.26),
                0.012,
                0.01,
                dark,
            )
    else:
        brush.box(x - rx * 1.18, y - ry * 0.52, x + rx * 1.18, y - ry * 0.18, 0.01, dark)
        brush.ellipse(x, y - ry * 1.44, 0.02, 0.02, shade(colour, 1.2))
