"""One crop: a person, before a place, through a camera."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from gallery_store.photographs import DRAWN_MARK
from training.synthetic.brush import Brush, Palette
from training.synthetic.figure import draw_person
from training.synthetic.site import PANORAMA, Camera, panorama
from training.synthetic.skeleton import Pose, skeleton
from training.synthetic.wardrobe import Identity, Outfit

SIZE = (128, 256)  # px, width and height
_OVER = 2  # the person is drawn larger and reduced, so that edges are smooth


@dataclass(frozen=True)
class Shot:
    """How one crop was taken. offset and zoom place the person in the crop (shares of its size);
    cover is what stands before the person, with the share of the body that it hides from below."""

    identity: Identity
    outfit: Outfit
    camera: Camera
    pose: Pose
    infrared: bool
    offset: tuple[float, float]
    zoom: float
    cover: str  # "", "hedge", "car", "pole", "passer-by"
    cover_share: float
    seed: int

    def picture(self, size: tuple[int, int] = SIZE) -> Image.Image:
        """RGB picture of size (width, height) px, the same for the same shot on any machine."""
        return render(self, size)


def render(shot: Shot, size: tuple[int, int] = SIZE) -> Image.Image:
    """Draws a shot: RGB picture of size (width, height) px, the same for the same shot on any machine."""
    rng = np.random.default_rng((shot.seed, 31))
    width, height = size
    picture = _place(shot, rng, size)
    canvas = Image.new("RGBA", (width * _OVER, height * _OVER), (0, 0, 0, 0))
    s = skeleton(shot.identity, shot.pose)
    tall = canvas.height * 0.9 * shot.zoom * (0.93 + 0.07 * shot.identity.stature)
    top = canvas.height * (0.5 + shot.offset[1]) - tall * 0.5
    if shot.outfit.umbrella == "umbrella":
        top, tall = top + tall * 0.06, tall * 0.92
    brush = Brush(canvas, canvas.width * (0.5 + shot.offset[0]), top, tall)
    _shadow(brush)
    draw_person(brush, s, shot.identity, shot.outfit, Palette(shot.identity, shot.outfit, shot.infrared))
    person = canvas.reduce(_OVER)
    picture.paste(person, (0, 0), person)
    _cover(picture, shot, rng)
    return _through(picture, shot, rng)


def encode(picture: Image.Image, quality: int = 88) -> bytes:
    """The picture as JPEG, marked as drawn."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, comment=DRAWN_MARK)
    return buffer.getvalue()


def _place(shot: Shot, rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    wide = panorama(shot.camera.place, shot.camera.seed)
    left = int(rng.integers(0, PANORAMA[0] - 140))
    cut = wide.crop((left, 0, left + PANORAMA[1] * size[0] // size[1], PANORAMA[1]))
    return cut.resize(size, Image.Resampling.BILINEAR) if cut.size != size else cut


def _shadow(brush: Brush) -> None:
    (cx, cy) = brush.px(0.02, 0.985)
    rx, ry = 0.14 * brush.height, 0.02 * brush.height
    brush.draw.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=(20, 22, 30, 92))


def _cover(picture: Image.Image, shot: Shot, rng: np.random.Generator) -> None:
    if not shot.cover:
        return
    draw = ImageDraw.Draw(picture)
    width, height = picture.size
    top = int(height * (1 - shot.cover_share))
    if shot.cover == "hedge":
        for _ in range(46):
            x, y = int(rng.integers(-8, width)), int(rng.integers(top, height))
            r, tone = int(rng.integers(8, 18)), int(rng.integers(-22, 22))
            draw.ellipse((x - r, y - r // 2, x + r, y + r), fill=(70 + tone, 112 + tone, 62 + tone))
    elif shot.cover == "car":
        r, g, b = (int(v) for v in rng.integers(50, 200, 3))
        draw.rounded_rectangle((-30, top, width + 30, height + 30), 20, fill=(r, g, b))
        draw.rectangle((0, top + 12, width, top + 17), fill=(r * 3 // 4, g * 3 // 4, b * 3 // 4))
    elif shot.cover == "pole":
        x = int(width * rng.uniform(0.22, 0.74))
        draw.rectangle((x, 0, x + 9, height), fill=(96, 100, 106))
        draw.rectangle((x, 0, x + 3, height), fill=(124, 128, 134))
    else:
        r, g, b = (int(v) for v in rng.integers(40, 220, 3))
        x = -10 if rng.random() < 0.5 else width - 26
        draw.rounded_rectangle((x, 56, x + 38, height + 10), 16, fill=(r, g, b))
        draw.ellipse((x + 6, 22, x + 32, 62), fill=(186, 150, 128))


def _through(picture: Image.Image, shot: Shot, rng: np.random.Generator) -> Image.Image:
    """Light and lens: one-sided light, cast, exposure, contrast, blur, lost detail, noise."""
    camera, (width, height) = shot.camera, picture.size
    if camera.blur > 0.3:
        picture = picture.filter(ImageFilter.GaussianBlur(camera.blur * height / 256))
    if camera.detail < 0.95:
        small = (max(8, int(width * camera.detail)), max(16, int(height * camera.detail)))
        picture = picture.resize(small, Image.Resampling.BOX).resize(
            size=(width, height), resample=Image.Resampling.BILINEAR
        )
    values: np.ndarray = np.asarray(picture, np.float32)
    light = float(rng.uniform(-0.16, 0.16))
    slope = 1 + light * np.linspace(-1, 1, width, dtype=np.float32)[None, :, None]
    exposure = camera.exposure * float(rng.uniform(0.88, 1.12))
    values = values * slope * exposure
    values = (values - 118) * camera.contrast + 118
    if shot.infrared:
        grey = values @ np.array([0.3, 0.5, 0.2], np.float32)
        values = np.repeat(grey[..., None] * 0.92 + 12, 3, axis=2)
    else:
        values = values * np.array(camera.gains, np.float32)
    grain = rng.standard_normal((height, width, 1), dtype=np.float32)
    values = values + grain * camera.noise * (1.5 if shot.infrared else 1.0)
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))
