"""One crop of world 2: a person, perhaps in company, before a place, through a lens, in a box that fits or not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from training.synthetic.people import split_of
from training.synthetic.second.body import body
from training.synthetic.second.colours import Palette2
from training.synthetic.second.figure import draw_person2
from training.synthetic.second.legs import covered
from training.synthetic.second.lens import Lens, draw_lens, light_field, take
from training.synthetic.second.pen import LIT, Pen
from training.synthetic.second.scene import cut_place, stand_in_the_way
from training.synthetic.second.wardrobe import Outfit2, draw_identity2, draw_outfit2
from training.synthetic.site import Camera
from training.synthetic.skeleton import Pose
from training.synthetic.wardrobe import Identity

SIZE = (128, 256)  # px, width and height
OVER = 2  # drawn larger and reduced, so that edges are smooth
COVERS = ("hedge", "car", "box", "pole")
FRONT = {"beard", "glasses", "mask", "tie"}  # not to be seen from behind
COARSE = 0.34  # of the pixels: with fewer, what is small is not told from what is not there
SMALL = {"beard", "glasses", "mask", "tie", "phone", "shoes", "upper_print"}
COLOUR_KINDS2 = {
    "hair_colour",
    "upper_colour",
    "upper_shade",
    "upper_second_colour",
    "lower_colour",
    "lower_shade",
    "shoe_colour",
    "hat_colour",
    "bag_colour",
}


@dataclass(frozen=True)
class Companion:
    """Somebody who walks with the person and is partly in the crop. beside: how far, in body heights, to the right."""

    identity: Identity
    outfit: Outfit2
    pose: Pose
    beside: float
    before: bool


@dataclass(frozen=True)
class Shot2:
    """How one crop was taken. offset and zoom place the person in the box (shares of its size); squeeze: the width of
    what is seen against what the picture's shape makes of it; cover and cover_share: what hides the body from below.
    """

    identity: Identity
    outfit: Outfit2
    camera: Camera
    pose: Pose
    infrared: bool
    offset: tuple[float, float]
    zoom: float
    squeeze: float
    lean: float
    light: float
    cover: str
    cover_share: float
    companion: Companion | None
    lens: Lens
    seed: int

    def picture(self, size: tuple[int, int] = SIZE) -> Image.Image:
        """RGB picture of size (width, height) px, the same for the same shot each time."""
        rng = np.random.default_rng((self.seed, 32))
        large = (size[0] * OVER, size[1] * OVER)
        tall = stature(self.identity)
        canvas = cut_place(self.camera.place, self.camera.seed, size, tall / self.zoom, self.lean, rng)
        canvas = canvas.resize(large, Image.Resampling.NEAREST)
        shading = Image.new("L", large, LIT)
        height = large[1] * 0.92 * self.zoom
        top = large[1] * (0.5 + self.offset[1]) - height * 0.5
        centre = large[0] * (0.5 + self.offset[0])
        pen = Pen(canvas, shading, centre, top, height, self.lean, self.squeeze, self.light)
        other = self.companion
        if other is not None and not other.before:
            self._draw_companion(canvas, shading, other, centre, top, height)
        b = body(self.identity, self.outfit, self.pose)
        _shadow(pen)
        draw_person2(pen, b, self.identity, self.outfit, Palette2(self.identity, self.outfit, self.infrared))
        if other is not None and other.before:
            self._draw_companion(canvas, shading, other, centre, top, height)
        if self.cover:
            stand_in_the_way(canvas, shading, self.cover, self.cover_share, rng)
        lit = shading.reduce(OVER).filter(ImageFilter.BoxBlur(size[1] / 230))
        light = np.asarray(lit, np.float32) * light_field(self.lens, size) / LIT
        values = np.asarray(canvas.reduce(OVER)) * light[..., None]
        drawn = Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
        return take(drawn, self.lens, self.infrared, rng)

    def _draw_companion(
        self,
        canvas: Image.Image,
        shading: Image.Image,
        other: Companion,
        centre: float,
        top: float,
        height: float,
    ) -> None:
        own = height * stature(other.identity) / stature(self.identity) * (1.04 if other.before else 0.96)
        feet = top + height * (1.015 if other.before else 0.985)
        at = centre + other.beside * height * self.squeeze
        pen = Pen(canvas, shading, at, feet - own, own, self.lean, self.squeeze, self.light)
        _shadow(pen)
        palette = Palette2(other.identity, other.outfit, self.infrared)
        draw_person2(
            pen, body(other.identity, other.outfit, other.pose), other.identity, other.outfit, palette
        )


def stature(identity: Identity) -> float:
    """Metres."""
    if identity.age == "child":
        return 0.98 + 0.36 * identity.stature
    return (1.55 if identity.gender == "woman" else 1.66) + 0.22 * identity.stature


def _shadow(pen: Pen) -> None:
    x, y = pen.px(-0.03 * pen.light, 0.985)
    for share, tone in ((1.0, 104), (0.6, 82)):
        rx, ry = pen.size(0.16, 1.0) * share, pen.size(0.026, 1.0) * share
        pen.tone.ellipse((x - rx, y - ry, x + rx, y + ry), fill=tone)


def shoot2(
    identity: Identity, outfit: Outfit2, camera: Camera, infrared: bool, rng: np.random.Generator
) -> Shot2:
    """One shot of somebody by a camera; all else is drawn from rng."""
    yaw = (camera.yaw + rng.normal(0, 38) + (180 if rng.random() < 0.25 else 0)) % 360
    pose = Pose(float(yaw), float(rng.uniform(0, 2 * math.pi)), bool(rng.random() < 0.75))
    loose = rng.random()
    zoom = float(rng.uniform(0.92, 1.06))
    if loose < 0.16:
        zoom = float(rng.uniform(0.7, 0.9))
    elif loose < 0.3:
        zoom = float(rng.uniform(1.08, 1.28))
    offset = [float(rng.normal(0, 0.045)), float(rng.normal(0, 0.014))]
    if zoom > 1.07:  # a box that cuts the feet off, seldom the head
        offset[1] += (
            (zoom - 1) * 0.5 * float(rng.uniform(0.2, 1.0) if rng.random() < 0.85 else rng.uniform(-0.3, 0.2))
        )
    side = math.sin(math.radians(yaw))
    if outfit.pushing != "none":
        zoom = min(zoom, 0.98 - 0.2 * abs(side))
        offset = [-0.2 * side, offset[1] * 0.3]
    if outfit.umbrella != "none":
        zoom, offset[1] = min(zoom, 0.9), offset[1] + 0.055
    cover, share = "", 0.0
    if rng.random() < 0.16:
        cover = COVERS[int(rng.integers(len(COVERS)))]
        share = 0.0 if cover == "pole" else float(rng.uniform(0.12, 0.4))
    companion = _companion(identity, pose, rng) if rng.random() < 0.14 and outfit.pushing == "none" else None
    return Shot2(
        identity=identity,
        outfit=outfit,
        camera=camera,
        pose=pose,
        infrared=infrared,
        offset=(offset[0], offset[1]),
        zoom=zoom,
        squeeze=float(np.exp(rng.normal(0, 0.1))),
        lean=float(np.clip(0.55 * camera.lean + rng.normal(0, 0.08), 0, 0.7)),
        light=float(rng.uniform(-1, 1)),
        cover=cover,
        cover_share=share,
        companion=companion,
        lens=draw_lens(camera, rng),
        seed=int(rng.integers(1 << 40)),
    )


def _companion(person: Identity, pose: Pose, rng: np.random.Generator) -> Companion:
    """Somebody of the person's own split, so that nobody is seen in two."""
    identity = draw_identity2(rng)
    while split_of(identity) != split_of(person):
        identity = draw_identity2(rng)
    outfit = draw_outfit2(rng, identity)
    turned = Pose(float(pose.yaw + rng.normal(0, 14)), float(rng.uniform(0, 2 * math.pi)), pose.moving)
    way = 1.0 if rng.random() < 0.5 else -1.0
    before = bool(rng.random() < 0.25)
    return Companion(identity, outfit, turned, way * float(rng.uniform(0.25, 0.34) + 0.03 * before), before)


def visible2(shot: Shot2, attributes: dict[str, str]) -> dict[str, str]:
    """The attributes that the picture shows: no colours in infrared, no face from behind, no feet out of the box."""
    hidden: set[str] = set(COLOUR_KINDS2) if shot.infrared else set()
    o, cos = shot.outfit, math.cos(math.radians(shot.pose.yaw))
    if cos < -0.1:
        hidden |= FRONT | ({"age"} if attributes["age"] != "child" else set())
    if abs(cos) < 0.35:
        hidden |= {"upper_print", "tie"}
    if cos <= 0.2 and o.upper_print != "none" and not (o.print_behind and cos < -0.2):
        hidden |= {"upper_print"}
    if cos < 0.35 and o.upper_print == "none" and o.upper_pattern == "plain":
        hidden |= {"upper_print"}  # it might be on the other side
    if o.bag == "backpack" and cos < -0.2:
        hidden |= {"upper_print"}
    if cos < -0.3:
        hidden |= {"phone"}
    if o.scarf != "none" or o.mask != "none":
        hidden |= {"tie"} if o.scarf != "none" else {"beard"}
    if o.hat in ("headscarf", "hood") or (o.hat != "none" and shot.identity.hair in ("short", "bald")):
        hidden |= {"hair"} | ({"hair_colour"} if o.hat != "cap" else set())
    if covered(o):
        hidden |= {"lower", "lower_colour", "lower_shade", "lower_length"}
    if shot.lens.detail < COARSE:
        hidden |= SMALL
    hidden |= _outside(shot)
    return {kind: value for kind, value in attributes.items() if kind not in hidden}


def _outside(shot: Shot2) -> set[str]:
    """What a box that cuts the feet or the head off, or something in the way, does not show."""
    hidden: set[str] = set()
    low = 0.5 + shot.offset[1] + 0.46 * shot.zoom  # of the soles, shares of the picture's height
    high = 0.5 + shot.offset[1] - 0.46 * shot.zoom
    limit = 1 - shot.cover_share
    if low - 0.03 * shot.zoom > limit:
        hidden |= {"shoes", "shoe_colour"}
    if low - 0.22 * shot.zoom > limit:
        hidden |= {"lower", "lower_length"}
    if low - 0.3 * shot.zoom > limit:
        hidden |= {"lower_colour", "lower_shade"} | ({"upper_length"} if shot.outfit.upper_length else set())
    if high < -0.03:
        hidden |= {"hat", "hat_colour"}
    if high < -0.08:
        hidden |= {"hair", "glasses", "mask"}
    return hidden
