"""Draws one person on a transparent canvas: limbs, clothes, the head (training.synthetic.head) and what is carried.

Everything is drawn from the far side to the near side, so that what is in front covers what is behind. Lengths are
shares of the body's height; `light` is a factor of brightness, below 1 on the far side.
"""

from __future__ import annotations

from training.synthetic.brush import Brush, Palette, shade
from training.synthetic.head import draw_head
from training.synthetic.skeleton import Skeleton
from training.synthetic.wardrobe import Identity, Outfit

Point = tuple[float, float]


def draw_person(brush: Brush, s: Skeleton, identity: Identity, outfit: Outfit, palette: Palette) -> None:
    """Paints the person, far parts first."""
    near, far = (
        ("left", "right") if s.shoulders["left"].depth >= s.shoulders["right"].depth else ("right", "left")
    )
    behind = s.front > 0.15  # a backpack is behind the body when the person faces us
    if outfit.umbrella == "umbrella":
        _umbrella_pole(brush, s)
    if outfit.bag == "backpack" and behind:
        _backpack(brush, s, palette, 0.92)
    if outfit.bag == "suitcase" and s.ankles[far].depth < -0.01:
        _suitcase(brush, s, palette, far)
    if identity.hair in ("long", "ponytail") and behind:
        _back_hair(brush, s, identity, palette)
    _arm(brush, s, far, outfit, palette, 0.84)
    _leg(brush, s, far, outfit, palette, 0.82)
    _leg(brush, s, near, outfit, palette, 1.0)
    _torso(brush, s, identity, outfit, palette)
    if outfit.bag == "backpack":
        if behind:
            _straps(brush, s, palette)
        else:
            _backpack(brush, s, palette, 1.0)
    if outfit.bag == "shoulder bag":
        _shoulder_bag(brush, s, palette)
    draw_head(brush, s, identity, outfit, palette)
    if identity.hair in ("long", "ponytail") and not behind:
        _back_hair(brush, s, identity, palette)
    _arm(brush, s, near, outfit, palette, 1.0)
    if outfit.bag == "handbag":
        _handbag(brush, s, palette, near)
    if outfit.bag == "suitcase" and s.ankles[far].depth >= -0.01:
        _suitcase(brush, s, palette, far)
    if outfit.umbrella == "umbrella":
        _umbrella(brush, s, palette)


def _leg(brush: Brush, s: Skeleton, side: str, outfit: Outfit, palette: Palette, light: float) -> None:
    hip, knee, ankle = s.hips[side].xy, s.knees[side].xy, s.ankles[side].xy
    g = 0.72 + 0.28 * s.girth
    skin, cloth = shade(palette.skin, light), shade(palette.lower, light)
    bare = outfit.lower in ("shorts", "skirt", None)
    wide, mid, thin = 0.05 * g, 0.037 * g, 0.024 * g
    if bare:
        brush.limb(hip, knee, wide * 0.86, mid * 0.82, skin)
        brush.limb(knee, ankle, mid * 0.82, thin * 0.72, skin)
        if outfit.lower == "shorts":
            end = (hip[0] + (knee[0] - hip[0]) * 0.84, hip[1] + (knee[1] - hip[1]) * 0.84)
            brush.limb(hip, end, wide * 1.06, mid * 1.22, cloth)
    else:
        loose = 1.0 if outfit.lower == "trousers" else 0.88
        brush.limb(hip, knee, wide, mid * loose, cloth)
        brush.limb(knee, ankle, mid * loose, thin * (1.35 if outfit.lower == "trousers" else 0.98), cloth)
        if outfit.lower == "jeans":
            seam = shade(cloth, 0.68) if not palette.infrared else shade(cloth, 0.8)
            brush.line([hip, knee, ankle], 0.006, seam)
            hem = (ankle[0], ankle[1] - 0.012)
            brush.line([(hem[0] - 0.026, hem[1]), (hem[0] + 0.026, hem[1])], 0.014, shade(cloth, 1.35))
        elif outfit.lower == "trousers":
            brush.line([(hip[0], hip[1] + 0.05), knee, ankle], 0.004, shade(cloth, 0.86))
    _shoe(brush, s, ankle, outfit, palette, light)


def _shoe(brush: Brush, s: Skeleton, ankle: Point, outfit: Outfit, palette: Palette, light: float) -> None:
    colour = shade(palette.shoes, light)
    ahead = s.side * 0.05
    x, y = ankle
    half = 0.027 + 0.012 * abs(s.side)
    if outfit.shoes == "boots":
        brush.limb((x, y - 0.075), (x, y + 0.01), 0.031, 0.029, colour)
        brush.line([(x - 0.03, y - 0.085), (x + 0.03, y - 0.085)], 0.01, shade(colour, 0.7))
    brush.limb((x - ahead * 0.15, y + 0.018), (x + ahead, y + 0.024), half * 0.9, half * 0.72, colour)
    if outfit.shoes == "sneakers":
        sole = (246, 246, 246) if sum(colour) < 600 else (90, 96, 110)
        brush.line([(x - half - ahead * 0.2, y + 0.043), (x + half + ahead * 0.8, y + 0.043)], 0.014, sole)
    elif outfit.shoes == "shoes":
        brush.line([(x - half, y + 0.046), (x + half + ahead * 0.8, y + 0.046)], 0.007, (22, 20, 20))


def _arm(brush: Brush, s: Skeleton, side: str, outfit: Outfit, palette: Palette, light: float) -> None:
    shoulder, elbow, hand = s.shoulders[side].xy, s.elbows[side].xy, s.hands[side].xy
    if outfit.umbrella == "umbrella" and s.shoulders[side].depth >= 0 and side == "left":
        hand = (s.head.x + 0.06, 0.2)
    g = 0.72 + 0.28 * s.girth
    thick = {"coat": 1.22, "jacket": 1.16, "hoodie": 1.16, "sweater": 1.06}.get(outfit.upper, 0.96)
    cloth, skin = shade(palette.upper, light * 0.93), shade(palette.skin, light)
    top, mid, end = 0.034 * g * thick, 0.028 * g * thick, 0.022 * g * thick
    short = outfit.upper in ("t-shirt", "dress")
    if short:
        brush.limb(shoulder, elbow, 0.028 * g, 0.023 * g, skin)
        brush.limb(elbow, hand, 0.023 * g, 0.016 * g, skin)
        cut = (shoulder[0] + (elbow[0] - shoulder[0]) * 0.62, shoulder[1] + (elbow[1] - shoulder[1]) * 0.62)
        brush.limb(shoulder, cut, top, mid * 1.1, cloth)
    else:
        brush.limb(shoulder, elbow, top, mid, cloth)
        brush.limb(elbow, hand, mid, end, cloth)
        if outfit.upper in ("sweater", "hoodie"):
            brush.limb((hand[0], hand[1] - 0.016), hand, end, end, shade(cloth, 0.76))
        if outfit.upper == "shirt":
            brush.limb((hand[0], hand[1] - 0.008), hand, end * 1.05, end, shade(cloth, 1.12))
    if outfit.upper_pattern == "striped" and not short:
        for t in (0.3, 0.6, 0.9):
            x, y = shoulder[0] + (elbow[0] - shoulder[0]) * t, shoulder[1] + (elbow[1] - shoulder[1]) * t
            brush.line([(x - top * 0.9, y), (x + top * 0.9, y)], 0.013, shade(palette.pattern, light))
    brush.ellipse(hand[0], hand[1] + 0.016, 0.019, 0.022, skin)


def _torso(brush: Brush, s: Skeleton, identity: Identity, outfit: Outfit, palette: Palette) -> None:
    sh, hip = s.shoulder_half, s.hip_half
    nx, ny = s.neck.x, s.neck.y
    hem = {"coat": 0.715, "jacket": s.hip_y + 0.035, "dress": 0.70, "t-shirt": s.hip_y + 0.012}.get(
        outfit.upper, s.hip_y + 0.022
    )
    flare = {"coat": 1.28, "dress": 1.62, "jacket": 1.18, "hoodie": 1.14, "sweater": 1.08}.get(
        outfit.upper, 1.04
    )
    waist = (
        hip
        * (0.9 if identity.gender == "woman" else 1.0)
        * (1.12 if outfit.upper in ("coat", "jacket") else 1.0)
    )
    if identity.build == "heavy":
        waist *= 1.13
    brush.limb((s.neck.x, ny - 0.03), (nx, ny + 0.03), 0.026, 0.03, shade(palette.skin, 0.88))
    if outfit.lower in ("skirt",):
        flared = hip * 1.62
        skirt = [(-hip * 1.02, s.hip_y - 0.03), (hip * 1.02, s.hip_y - 0.03), (flared, 0.70), (-flared, 0.70)]
        brush.polygon(skirt, palette.lower)
        for t in (-0.5, 0.0, 0.5):
            brush.line([(t * hip, s.hip_y), (t * flared * 1.3, 0.698)], 0.005, shade(palette.lower, 0.82))
    elif outfit.lower:
        brush.polygon(
            [
                (-hip, s.hip_y - 0.04),
                (hip, s.hip_y - 0.04),
                (hip * 1.0, s.hip_y + 0.05),
                (-hip, s.hip_y + 0.05),
            ],
            palette.lower,
        )
    lean = s.neck.x * 0.9
    outline = [
        (lean - sh * 0.5, ny + 0.006),
        (lean - sh * 1.05, ny + 0.045),
        (lean * 0.5 - waist * 1.04, 0.37),
        (-hip * flare, hem),
        (hip * flare, hem),
        (lean * 0.5 + waist * 1.04, 0.37),
        (lean + sh * 1.05, ny + 0.045),
        (lean + sh * 0.5, ny + 0.006),
    ]
    brush.polygon(outline, palette.upper)
    if outfit.upper_pattern != "plain":
        brush.patterned(outline, outfit.upper_pattern, palette.pattern)
    _details(brush, s, outfit, palette, outline, hem, lean)


def _details(
    brush: Brush,
    s: Skeleton,
    outfit: Outfit,
    palette: Palette,
    outline: list[Point],
    hem: float,
    lean: float,
) -> None:
    """What tells a hoodie from a jacket: openings, collars, hems, pockets."""
    dark, light = shade(palette.upper, 0.66), shade(palette.upper, 1.2)
    ny, hip = s.neck.y, s.hip_half
    ahead = lean + s.side * s.shoulder_half * 0.62
    facing = s.front > -0.35
    width = max(0.25, abs(s.front))
    if outfit.upper in ("jacket", "coat") and facing:
        gap = 0.026 * width
        low = hem if outfit.upper == "jacket" else s.hip_y - 0.02
        opening = [
            (ahead - gap * 1.5, ny + 0.012),
            (ahead + gap * 1.5, ny + 0.012),
            (ahead + gap, low),
            (ahead - gap, low),
        ]
        brush.polygon(opening, palette.inner)
        for way in (-1, 1):
            x = ahead + way * gap * 1.4
            brush.line([(x, ny + 0.01), (x - way * 0.006, ny + 0.1), (ahead + way * gap, low)], 0.011, dark)
    if outfit.upper == "coat":
        if facing:
            brush.line([(ahead, s.hip_y - 0.02), (ahead * 0.6, hem)], 0.007, dark)
        belt = s.hip_y - 0.09
        brush.line([(-hip * 1.12 + lean * 0.4, belt), (hip * 1.12 + lean * 0.4, belt)], 0.017, dark)
    if outfit.upper == "jacket":
        brush.line([(outline[3][0], hem), (outline[4][0], hem)], 0.02, dark)
    if outfit.upper == "hoodie":
        brush.limb(
            (s.neck.x - 0.046, ny + 0.012),
            (s.neck.x + 0.046, ny + 0.012),
            0.026,
            0.026,
            shade(palette.upper, 0.82),
        )
        if facing and width > 0.4:
            brush.box(
                ahead - 0.058 * width, 0.40, ahead + 0.058 * width, 0.465, 0.014, shade(palette.upper, 0.84)
            )
            for way in (-1, 1):
                brush.line([(ahead + way * 0.017, ny + 0.035), (ahead + way * 0.019, ny + 0.1)], 0.006, light)
        brush.line([(outline[3][0], hem), (outline[4][0], hem)], 0.018, dark)
    if outfit.upper == "sweater":
        brush.line(
            [(outline[3][0], hem - 0.004), (outline[4][0], hem - 0.004)], 0.024, shade(palette.upper, 0.8)
        )
        brush.line([(lean - 0.036, ny + 0.01), (lean + 0.036, ny + 0.01)], 0.018, shade(palette.upper, 0.8))
    if outfit.upper == "shirt":
        for way in (-1, 1):
            brush.polygon(
                [(lean, ny + 0.004), (lean + way * 0.05, ny), (lean + way * 0.034, ny + 0.046)], light
            )
        if facing:
            brush.line([(ahead, ny + 0.03), (ahead * 0.8, hem)], 0.006, dark)
            for y in (0.24, 0.29, 0.34, 0.39, 0.44):
                brush.ellipse(ahead, y, 0.0065, 0.0065, light if sum(palette.upper) < 380 else dark)
    if outfit.upper == "t-shirt" and facing:
        brush.ellipse(ahead * 0.9, ny + 0.012, 0.034 * width + 0.01, 0.02, shade(palette.skin, 0.94))
    if outfit.upper == "dress":
        if facing:
            brush.ellipse(ahead * 0.9, ny + 0.012, 0.04 * width + 0.01, 0.03, shade(palette.skin, 0.94))
        brush.line([(-hip * 1.0, s.hip_y - 0.075), (hip * 1.0, s.hip_y - 0.075)], 0.016, dark)


def _back_hair(brush: Brush, s: Skeleton, identity: Identity, palette: Palette) -> None:
    """Hair that falls behind the head: over the back when we see it, behind the neck when not."""
    x, y, size = s.head.x - s.side * 0.03, s.head.y, s.head_size
    if identity.hair == "long":
        half = 0.052 * size * (0.78 + 0.22 * abs(s.front))
        points = [
            (x - half, y - 0.01),
            (x + half, y - 0.01),
            (x + half * 1.16, 0.245),
            (x - half * 1.16, 0.245),
        ]
        brush.polygon(points, shade(palette.hair, 0.9))
        brush.ellipse(x, 0.243, half * 1.15, 0.018, shade(palette.hair, 0.9))
    else:
        tail = s.head.x - s.side * 0.07
        end = tail - s.side * 0.022
        if s.front > 0.15:
            tail, end = tail + 0.05, end + 0.075
        brush.limb((tail, y + 0.005), (end, y + 0.125), 0.021 * size, 0.01, shade(palette.hair, 0.92))


def _backpack(brush: Brush, s: Skeleton, palette: Palette, light: float) -> None:
    colour = shade(palette.bag, light)
    half = 0.1 * max(abs(s.front), 0.52)
    x = s.back.x * 1.35
    if s.front > 0.15:
        half *= 1.22
    brush.box(x - half, 0.185, x + half, 0.435, 0.035, colour)
    if s.front <= 0.15:
        brush.box(x - half * 0.72, 0.32, x + half * 0.72, 0.41, 0.02, shade(colour, 0.78))
        brush.line([(x - half * 0.8, 0.245), (x + half * 0.8, 0.245)], 0.007, shade(colour, 0.6))


def _straps(brush: Brush, s: Skeleton, palette: Palette) -> None:
    for way in (-1, 1):
        x = s.neck.x + way * s.shoulder_half * 0.62
        brush.line(
            [(x, s.neck.y + 0.022), (x + way * 0.006, 0.27), (x + way * 0.024, 0.345)], 0.024, palette.bag
        )


def _shoulder_bag(brush: Brush, s: Skeleton, palette: Palette) -> None:
    way = 1 if s.front >= 0 else -1
    x = way * (s.hip_half + 0.022)
    strap = [(s.neck.x - way * s.shoulder_half * 0.6, s.neck.y + 0.03), (x, s.hip_y - 0.045)]
    brush.line(strap, 0.016, shade(palette.bag, 0.85))
    brush.box(x - 0.05, s.hip_y - 0.06, x + 0.05, s.hip_y + 0.045, 0.014, palette.bag)
    brush.line([(x - 0.048, s.hip_y - 0.022), (x + 0.048, s.hip_y - 0.022)], 0.007, shade(palette.bag, 0.65))


def _handbag(brush: Brush, s: Skeleton, palette: Palette, side: str) -> None:
    x, y = s.hands[side].xy
    y += 0.02
    for way in (-1, 1):
        brush.line([(x, y), (x + way * 0.03, y + 0.05)], 0.008, shade(palette.bag, 0.7))
    brush.polygon(
        [(x - 0.04, y + 0.045), (x + 0.04, y + 0.045), (x + 0.056, y + 0.125), (x - 0.056, y + 0.125)],
        palette.bag,
    )
    brush.line([(x - 0.044, y + 0.066), (x + 0.044, y + 0.066)], 0.007, shade(palette.bag, 0.65))


def _suitcase(brush: Brush, s: Skeleton, palette: Palette, side: str) -> None:
    x, y = s.hands[side].xy
    x += (0.045 if x >= 0 else -0.045) - s.side * 0.05
    for way in (-1, 1):
        brush.line([(x + way * 0.022, y + 0.01), (x + way * 0.022, 0.74)], 0.007, (120, 122, 126))
    brush.box(x - 0.066, 0.73, x + 0.066, 0.955, 0.016, palette.bag)
    for y in (0.79, 0.845, 0.9):
        brush.line([(x - 0.06, y), (x + 0.06, y)], 0.006, shade(palette.bag, 0.74))
    for way in (-1, 1):
        brush.ellipse(x + way * 0.048, 0.968, 0.014, 0.014, (30, 30, 32))


def _umbrella_pole(brush: Brush, s: Skeleton) -> None:
    brush.line([(s.head.x + 0.06, -0.05), (s.head.x + 0.06, 0.21)], 0.009, (90, 90, 94))


def _umbrella(brush: Brush, s: Skeleton, palette: Palette) -> None:
    x, half = s.head.x + 0.03, 0.2
    (cx, cy), rx, ry = brush.px(x, -0.005), half * brush.height, 0.1 * brush.height
    brush.draw.pieslice((cx - rx, cy - ry, cx + rx, cy + ry), 180, 360, fill=palette.umbrella)
    for t in (-0.5, 0.0, 0.5):
        brush.line([(x, -0.103), (x + t * half * 1.3, -0.006)], 0.005, shade(palette.umbrella, 0.74))
