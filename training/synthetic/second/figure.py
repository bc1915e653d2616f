"""Draws one person of world 2, far parts first, so that what is in front covers what is behind."""

from __future__ import annotations

from training.synthetic.second.body import Body
from training.synthetic.second.carried import (
    draw_backpack,
    draw_in_left_hand,
    draw_phone,
    draw_pushed,
    draw_scarf,
    draw_shoulder_bag,
    draw_straps,
    draw_umbrella,
    draw_umbrella_pole,
)
from training.synthetic.second.colours import Palette2
from training.synthetic.second.face import draw_back_hair, draw_head
from training.synthetic.second.garments import draw_arm, draw_upper
from training.synthetic.second.legs import draw_hips, draw_leg
from training.synthetic.second.pen import Pen
from training.synthetic.second.wardrobe import TWO_HANDS, Outfit2
from training.synthetic.wardrobe import Identity

FACING = 0.2  # from this cosine on the front is towards us
FAR = 0.8  # the light on what is behind


def draw_person2(pen: Pen, b: Body, identity: Identity, outfit: Outfit2, palette: Palette2) -> None:
    """The person with all that is worn and carried."""
    facing = b.cos > FACING
    before = [side for side in (b.far, b.near) if _arm_is_before(b, side)]
    behind = [side for side in (b.far, b.near) if side not in before]
    if outfit.pushing != "none" and not facing and b.cos < -0.6:
        draw_pushed(pen, b, outfit, palette)
    held_behind = b.hands["left"].depth < 0
    if outfit.umbrella != "none" and held_behind:
        draw_umbrella_pole(pen, b)
    if outfit.bag == "backpack" and facing:
        draw_backpack(pen, b, palette)
    if b.cos > -0.2:
        draw_back_hair(pen, b, identity, outfit, palette)
    for side in behind:
        _arm(pen, b, side, outfit, palette, FAR)
    far, near = sorted(("left", "right"), key=lambda side: b.knees[side].depth + b.ankles[side].depth)
    draw_leg(pen, b, far, outfit, palette, FAR)
    draw_leg(pen, b, near, outfit, palette, 1.0)
    draw_hips(pen, b, outfit, palette)
    _neck(pen, b, palette)
    draw_upper(pen, b, identity, outfit, palette)
    if outfit.bag == "backpack":
        if facing:
            draw_straps(pen, b, palette)
        else:
            draw_backpack(pen, b, palette)
    if outfit.bag == "shoulder bag":
        draw_shoulder_bag(pen, b, palette)
    scarf_first = outfit.hat == "headscarf"
    if outfit.scarf != "none" and scarf_first:
        draw_scarf(pen, b, palette)
    draw_head(pen, b, identity, outfit, palette)
    if outfit.scarf != "none" and not scarf_first:
        draw_scarf(pen, b, palette)
    if b.cos <= -0.2:
        draw_back_hair(pen, b, identity, outfit, palette)
    if outfit.pushing != "none" and (facing or b.cos >= -0.6):
        draw_pushed(pen, b, outfit, palette)
    for side in before:
        _arm(pen, b, side, outfit, palette, 1.0)
    if outfit.umbrella != "none":
        if not held_behind:
            draw_umbrella_pole(pen, b)
        draw_umbrella(pen, b, palette)


def _arm_is_before(b: Body, side: str) -> bool:
    return b.hands[side].depth + b.elbows[side].depth + b.shoulders[side].depth > -0.03


def _arm(pen: Pen, b: Body, side: str, outfit: Outfit2, palette: Palette2, lit: float) -> None:
    draw_arm(pen, b, side, outfit, palette, lit)
    if side == "left" and outfit.bag in TWO_HANDS:
        draw_in_left_hand(pen, b, outfit, palette)
    if side == "right" and outfit.phone != "none":
        draw_phone(pen, b, palette)


def _neck(pen: Pen, b: Body, palette: Palette2) -> None:
    half = b.half("neck")
    pen.limb(
        (b.neck.x, b.neck.y - 0.03),
        (b.middle("neck"), b.trunk["shoulder"].y),
        half * 0.92,
        half * 1.05,
        palette.skin,
        0.8,
    )
