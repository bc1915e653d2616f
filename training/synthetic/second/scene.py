"""Where world 2's people are: cluttered, textured places at a scale of their own, and what stands in the way."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from training.synthetic.site import gradient, moved, shaded, tones

VIEW = (1280, 512)  # px of a place; its horizon is at HORIZON of its height
HORIZON = 0.5
Tone = tuple[int, int, int]


@lru_cache(maxsize=256)
def place(kind: str, seed: int) -> Image.Image:
    """A place, RGB, VIEW px: walls and things up to the horizon, ground below."""
    rng = np.random.default_rng((seed, 6))
    width, height = VIEW
    horizon = int(height * HORIZON)
    image = Image.new("RGB", VIEW)
    draw = ImageDraw.Draw(image)
    wall, floor = tones(kind, rng)
    dim = float(rng.uniform(0.68, 1.08))
    wall, floor = shaded(wall, dim), shaded(floor, dim * float(rng.uniform(0.8, 1.1)))
    gradient(draw, (0, 0, width, horizon), shaded(wall, 1.06), shaded(wall, 0.84))
    gradient(draw, (0, horizon, width, height), shaded(floor, 0.82), shaded(floor, 1.04))
    _walls(draw, kind, rng, horizon, wall)
    _ground(draw, kind, rng, horizon, floor)
    for _ in range(int(rng.integers(14, 34))):
        _clutter(draw, kind, rng, horizon)
    image = image.filter(ImageFilter.BoxBlur(float(rng.uniform(0.6, 2.2))))
    return _textured(image, rng)


def _walls(draw: ImageDraw.ImageDraw, kind: str, rng: np.random.Generator, horizon: int, wall: Tone) -> None:
    width = VIEW[0]
    x = 0
    while x < width:
        step = int(rng.integers(60, 190))
        tone = moved(wall, rng.integers(-38, 26) + rng.integers(-9, 10, 3))
        if kind in ("street", "station", "corridor"):
            top = int(rng.integers(0, horizon // 2)) if kind == "street" else 0
            draw.rectangle((x, top, x + step, horizon + 4), fill=tone)
            _panes(draw, rng, (x + 8, top + 16, x + step - 8, horizon - 40), tone, kind)
            if rng.random() < 0.5:
                draw.rectangle(
                    (x + step // 3, horizon - 104, x + step // 3 + 40, horizon + 2), fill=shaded(tone, 0.5)
                )
        elif kind == "park":
            for _ in range(4):
                cx, cy = x + int(rng.integers(0, step)), horizon - int(rng.integers(30, 200))
                r = int(rng.integers(26, 84))
                green = moved((84, 124, 72), rng.integers(-34, 30, 3))
                draw.ellipse((cx - r, cy - r, cx + r, cy + int(r * 0.8)), fill=green)
                draw.ellipse((cx - r // 2, cy - r, cx + r // 2, cy), fill=shaded(green, 1.16))
            draw.rectangle(
                (x + 20, horizon - 96, x + 34, horizon + 12),
                fill=moved((98, 78, 60), rng.integers(-14, 14, 3)),
            )
        elif kind == "shop":
            draw.rectangle((x, horizon - 210, x + step - 14, horizon + 10), fill=shaded(tone, 0.72))
            for sy in range(horizon - 200, horizon, 44):
                draw.rectangle((x, sy + 34, x + step - 14, sy + 39), fill=shaded(tone, 1.1))
                for sx in range(x + 4, x + step - 30, int(rng.integers(14, 28))):
                    tall = int(rng.integers(14, 32))
                    draw.rectangle((sx, sy + 34 - tall, sx + 11, sy + 34), fill=_any(rng, 50, 220))
        else:
            draw.rectangle((x, 0, x + 26, horizon + 60), fill=shaded(tone, 1.14))
            draw.rectangle((x, horizon - 60, x + 26, horizon - 10), fill=(196, 164, 52))
            _car(draw, rng, x + 40, horizon + 10, step)
        x += step


def _panes(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, box: tuple[int, int, int, int], tone: Tone, kind: str
) -> None:
    left, top, right, bottom = box
    wide, tall = int(rng.integers(16, 44)), int(rng.integers(24, 60))
    glass = moved(
        (96, 112, 128) if kind != "corridor" else (214, 216, 208),
        rng.integers(-36, 36) + rng.integers(-8, 9, 3),
    )
    for y in range(top, bottom - tall, tall + int(rng.integers(12, 24))):
        for x in range(left, right - wide, wide + int(rng.integers(9, 20))):
            draw.rectangle(
                (x, y, x + wide, y + tall),
                fill=shaded(glass, float(rng.uniform(0.7, 1.25))),
                outline=shaded(tone, 0.7),
            )


def _ground(
    draw: ImageDraw.ImageDraw, kind: str, rng: np.random.Generator, horizon: int, floor: Tone
) -> None:
    width, height = VIEW
    style = int(rng.integers(3)) if kind != "park" else 2
    if style == 0:  # tiles or slabs that run to the horizon
        for row in range(9):
            y = horizon + int((height - horizon) * (row / 9) ** 1.8)
            draw.line((0, y, width, y), fill=shaded(floor, 0.78), width=1 + row // 4)
        for x in range(-width, 2 * width, int(rng.integers(70, 150))):
            draw.line(
                (width // 2 + (x - width // 2) // 3, horizon, x, height), fill=shaded(floor, 0.8), width=2
            )
    elif style == 1:  # a kerb or a painted line
        y, slope = int(rng.integers(horizon + 20, height - 40)), int(rng.integers(-60, 60))
        paint = (214, 210, 196) if rng.random() < 0.6 else (206, 176, 60)
        draw.polygon([(0, y), (width, y + slope), (width, y + slope + 14), (0, y + 14)], fill=paint)
        draw.rectangle((0, height - 1, width, height), fill=floor)
    for _ in range(int(rng.integers(8, 22))):  # stains and patches of light
        x, y = int(rng.integers(0, width)), int(rng.integers(horizon, height))
        w, h = int(rng.integers(20, 170)), int(rng.integers(4, 26))
        draw.ellipse((x - w, y - h, x + w, y + h), fill=shaded(floor, float(rng.uniform(0.82, 1.1))))


def _clutter(draw: ImageDraw.ImageDraw, kind: str, rng: np.random.Generator, horizon: int) -> None:
    x, what = int(rng.integers(0, VIEW[0])), rng.random()
    if what < 0.22:  # a pole or a pillar
        w, tone = int(rng.integers(4, 16)), _any(rng, 60, 170)
        draw.rectangle((x, int(rng.integers(0, 120)), x + w, horizon + int(rng.integers(0, 70))), fill=tone)
    elif what < 0.4:  # a sign
        y, w, h = int(rng.integers(20, horizon - 60)), int(rng.integers(24, 90)), int(rng.integers(18, 54))
        tone = _any(rng, 30, 230)
        draw.rectangle((x, y, x + w, y + h), fill=tone)
        for line in range(2):
            draw.line((x + 5, y + 7 + line * 10, x + w - 8, y + 7 + line * 10), fill=(236, 236, 230), width=3)
    elif what < 0.58:  # somebody far away
        tall = int(rng.integers(70, 150))
        base = horizon + tall // 4 + 4
        coat, legs = _any(rng, 30, 200), _any(rng, 25, 120)
        draw.rectangle((x - tall // 14, base - tall // 2, x + tall // 14, base), fill=legs)
        draw.rounded_rectangle(
            (x - tall // 8, base - int(tall * 0.86), x + tall // 8, base - int(tall * 0.42)), 6, fill=coat
        )
        draw.ellipse(
            (x - tall // 16, base - tall, x + tall // 16, base - int(tall * 0.86)), fill=(178, 136, 112)
        )
    elif what < 0.74 and kind in ("street", "car park", "park"):
        _car(draw, rng, x, horizon + int(rng.integers(6, 60)), int(rng.integers(120, 240)))
    elif what < 0.88:  # a box, a bin, a bench
        w, h, y = int(rng.integers(24, 110)), int(rng.integers(26, 80)), horizon + int(rng.integers(10, 90))
        tone = _any(rng, 40, 180)
        draw.rectangle((x, y - h, x + w, y), fill=tone)
        draw.rectangle((x, y - h, x + w, y - h + 6), fill=shaded(tone, 1.25))
        draw.rectangle((x + w - 6, y - h, x + w, y), fill=shaded(tone, 0.72))
    else:  # railings
        tone = _any(rng, 60, 150)
        for post in range(x, x + 170, 16):
            draw.line((post, horizon - 50, post, horizon + 40), fill=tone, width=3)
        draw.line((x, horizon - 50, x + 170, horizon - 50), fill=tone, width=5)


def _car(draw: ImageDraw.ImageDraw, rng: np.random.Generator, x: int, ground: int, long: int) -> None:
    tone = _any(rng, 50, 210)
    draw.rounded_rectangle((x, ground - 44, x + long, ground), 14, fill=tone)
    draw.rounded_rectangle(
        (x + long // 6, ground - 78, x + long - long // 5, ground - 34), 14, fill=shaded(tone, 0.8)
    )
    draw.rectangle((x + long // 5, ground - 70, x + long - long // 4, ground - 46), fill=(58, 70, 82))
    for wheel in (x + long // 5, x + long * 4 // 5):
        draw.ellipse((wheel - 15, ground - 16, wheel + 15, ground + 14), fill=(30, 30, 32))


def _textured(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Fine and coarse grain of brick, plaster, leaves and asphalt."""
    width, height = image.size
    total = np.zeros((height, width), np.float32)
    for cell, strength in ((2, 5.0), (7, 6.0), (40, 12.0)):
        grain = rng.standard_normal((height // cell + 1, width // cell + 1), dtype=np.float32)
        grain *= np.float32(rng.uniform(0.3, 1.0) * strength)
        total += np.asarray(Image.fromarray(grain).resize((width, height), Image.Resampling.BILINEAR))
    lighter = Image.fromarray(np.clip(total, 0, 255).astype(np.uint8))
    darker = Image.fromarray(np.clip(-total, 0, 255).astype(np.uint8))
    bright = ImageChops.add(image, Image.merge("RGB", (lighter,) * 3))
    return ImageChops.subtract(bright, Image.merge("RGB", (darker,) * 3))


def _any(rng: np.random.Generator, low: int, high: int) -> Tone:
    base = rng.integers(low, high, 3)
    r, g, b = (int(v) for v in (base * 0.5 + base.mean() * 0.5))
    return r, g, b


def cut_place(
    kind: str, seed: int, size: tuple[int, int], tall: float, lean: float, rng: np.random.Generator
) -> Image.Image:
    """A background of size px for somebody `tall` metres high: the smaller the person, the larger the place.

    lean: how far the camera looks down, 0..1: the more ground is to be seen.
    """
    wide = place(kind, seed)
    share = float(rng.uniform(0.52, 0.8)) * tall / 1.75  # of the place's height
    high = min(VIEW[1] - 2, int(VIEW[1] * share))
    across = min(VIEW[0] - 2, high * size[0] // size[1])
    middle = VIEW[1] * (HORIZON + 0.02 + 0.2 * lean + float(rng.uniform(-0.05, 0.06)))
    top = int(min(max(0, middle - high * 0.5), VIEW[1] - high))
    left = int(rng.integers(0, VIEW[0] - across))
    box = (left, top, left + across, top + high)
    cut = wide.resize(size, Image.Resampling.BILINEAR, box=box)
    return cut.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if rng.random() < 0.5 else cut


def stand_in_the_way(
    canvas: Image.Image, shading: Image.Image, cover: str, share: float, rng: np.random.Generator
) -> None:
    """What is before the person: a hedge, a car, a box or a wall from below, a pole."""
    draw, tone = ImageDraw.Draw(canvas), ImageDraw.Draw(shading)
    width, height = canvas.size
    top = int(height * (1 - share))
    if cover == "pole":
        x, w = int(width * rng.uniform(0.15, 0.8)), int(width * rng.uniform(0.04, 0.1))
        grey = _any(rng, 70, 160)
        draw.rectangle((x, 0, x + w, height), fill=grey)
        draw.rectangle((x, 0, x + w // 3, height), fill=shaded(grey, 1.25))
        tone.rectangle((x, 0, x + w, height), fill=128)
        return
    tone.rectangle((0, top, width, height), fill=128)
    if cover == "hedge":
        draw.rectangle((0, top + 14, width, height), fill=(62, 96, 54))
        for _ in range(70):
            x, y, r = int(rng.integers(-8, width)), int(rng.integers(top, height)), int(rng.integers(8, 26))
            draw.ellipse(
                (x - r, y - r // 2, x + r, y + r), fill=moved((70, 108, 60), rng.integers(-24, 26, 3))
            )
    elif cover == "car":
        body = _any(rng, 40, 215)
        draw.rounded_rectangle((-60, top, width + 60, height + 60), 40, fill=body)
        draw.rectangle((0, top + 20, width, top + 28), fill=shaded(body, 1.25))
        draw.rectangle((0, top + 60, width, top + 64), fill=shaded(body, 0.7))
    else:
        body = _any(rng, 70, 200)
        draw.rectangle((0, top, width, height), fill=body)
        draw.rectangle((0, top, width, top + 9), fill=shaded(body, 1.2))
