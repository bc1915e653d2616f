"""Where and how people are seen: cameras, their places, their light and their faults."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

PLACES = ("street", "station", "park", "shop", "car park", "corridor")
PANORAMA = (1200, 256)  # px: crops take their background from somewhere along it


@dataclass(frozen=True)
class Camera:
    """gains: RGB factors of the colour cast; exposure and contrast: factors; blur: px at 256 px of height;
    noise: grey levels (sigma); detail: the share of the pixels that the sensor really has;
    yaw: degrees that people mostly face (0 to the camera, 90 to its right, 180 away); lean: how much the
    camera looks down, 0..1.
    """

    camera_id: str
    place: str
    seed: int
    gains: tuple[float, float, float]
    exposure: float
    contrast: float
    blur: float
    noise: float
    detail: float
    yaw: float
    lean: float
    infrared_after: int  # hour of the day from which it sees in infrared; 24 for never


def cameras(seed: int, count: int = 6) -> tuple[Camera, ...]:
    """The cameras of a site: each its own place, cast and faults. Every third sees in infrared at night."""
    made = []
    for number in range(count):
        rng = np.random.default_rng((seed, number, 23))
        gains = 1 + rng.uniform(-0.14, 0.14, 3)
        made.append(
            Camera(
                camera_id=str(number + 1),
                place=PLACES[number % len(PLACES)],
                seed=int(rng.integers(1 << 30)),
                gains=(float(gains[0]), float(gains[1]), float(gains[2])),
                exposure=float(rng.uniform(0.72, 1.18)),
                contrast=float(rng.uniform(0.78, 1.12)),
                blur=float(rng.uniform(0.0, 1.3)),
                noise=float(rng.uniform(2, 9)),
                detail=float(rng.uniform(0.5, 1.0)),
                yaw=float((number * 67 + rng.integers(0, 45)) % 360),
                lean=float(rng.uniform(0, 1)),
                infrared_after=19 if number % 3 == 2 else 24,
            )
        )
    return tuple(made)


@lru_cache(maxsize=256)
def panorama(place: str, seed: int) -> Image.Image:
    """The place behind the people, softly out of focus, PANORAMA px, RGB."""
    rng = np.random.default_rng((seed, 5))
    width, height = PANORAMA
    image = Image.new("RGB", PANORAMA, (200, 205, 210))
    draw = ImageDraw.Draw(image)
    horizon = int(height * rng.uniform(0.42, 0.6))
    wall, floor = tones(place, rng)
    gradient(draw, (0, 0, width, horizon), wall, shaded(wall, 0.86))
    gradient(draw, (0, horizon, width, height), shaded(floor, 0.92), floor)
    _furnish(draw, place, rng, horizon, wall, floor)
    return image.filter(ImageFilter.GaussianBlur(1.6))


def tones(place: str, rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """The colours of the wall and of the floor of a place."""
    pairs = {
        "street": ((196, 178, 160), (150, 150, 154)),
        "station": ((208, 214, 218), (172, 176, 180)),
        "park": ((176, 208, 226), (142, 176, 112)),
        "shop": ((232, 222, 206), (198, 184, 164)),
        "car park": ((128, 132, 140), (96, 98, 104)),
        "corridor": ((220, 226, 222), (160, 172, 178)),
    }
    wall, floor = pairs[place]
    shift = rng.integers(-16, 17, 3)
    return moved(wall, shift), moved(floor, shift)


def _furnish(draw, place, rng, horizon, wall, floor) -> None:
    width, height = PANORAMA
    x = 0
    while x < width:
        step = int(rng.integers(40, 130))
        tone = moved(wall, rng.integers(-34, 20, 3))
        if place == "street":
            top = int(rng.integers(0, horizon // 2))
            draw.rectangle((x, top, x + step, horizon), fill=tone)
            for wy in range(top + 10, horizon - 24, 30):
                for wx in range(x + 8, x + step - 14, 26):
                    draw.rectangle((wx, wy, wx + 13, wy + 17), fill=shaded(tone, 0.62))
        elif place == "park":
            crown = int(rng.integers(26, 60))
            green = moved((88, 140, 78), rng.integers(-24, 24, 3))
            draw.rectangle((x + 18, horizon - 46, x + 25, horizon + 6), fill=(112, 86, 62))
            draw.ellipse((x - crown + 20, horizon - 60 - crown, x + crown + 20, horizon - 22), fill=green)
        elif place == "shop":
            draw.rectangle((x, horizon - 110, x + step - 10, horizon + 4), fill=shaded(tone, 0.8))
            for sy in range(horizon - 104, horizon, 26):
                for sx in range(x + 3, x + step - 22, 15):
                    goods = tuple(int(v) for v in rng.integers(80, 220, 3))
                    draw.rectangle((sx, sy, sx + 10, sy + 17), fill=goods)
        elif place == "car park":
            draw.rectangle((x, 0, x + 15, horizon + 34), fill=shaded(tone, 1.16))
            car = tuple(int(v) for v in rng.integers(60, 190, 3))
            draw.rounded_rectangle((x + 24, horizon - 22, x + 24 + step, horizon + 22), 12, fill=car)
            draw.rounded_rectangle(
                (x + 38, horizon - 42, x + 8 + step, horizon - 14), 10, fill=shaded(car, 0.7)
            )
        elif place == "station":
            draw.rectangle((x, 26, x + step, horizon - 26), fill=tone)
            draw.rectangle((x + 6, 40, x + step - 8, 62), fill=moved((60, 96, 150), rng.integers(-30, 60, 3)))
            draw.line((x, horizon, x - 60, height), fill=shaded(floor, 0.84), width=2)
        else:
            draw.rectangle((x + 12, horizon - 150, x + step - 14, horizon), fill=shaded(tone, 0.9))
            draw.rectangle((x + step - 8, 10, x + step - 4, horizon), fill=shaded(wall, 0.8))
        x += step
    for _ in range(10):
        y = int(rng.integers(horizon, height))
        draw.line(
            (0, y, width, y + int(rng.integers(-8, 9))), fill=shaded(floor, float(rng.uniform(0.88, 1.06)))
        )


def gradient(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], top, bottom) -> None:
    """Fills a box (left, top, right, bottom; px) with a colour that turns into another downwards."""
    left, y0, right, y1 = box
    for y in range(y0, y1):
        t = (y - y0) / max(1, y1 - y0)
        colour = tuple(int(a + (b - a) * t) for a, b in zip(top, bottom, strict=True))
        draw.line((left, y, right, y), fill=colour)


def shaded(colour, factor: float) -> tuple[int, int, int]:
    """A colour made darker (below 1) or lighter."""
    r, g, b = (int(max(0, min(255, v * factor))) for v in colour)
    return r, g, b


def moved(colour, shift) -> tuple[int, int, int]:
    """A colour with an offset added to its channels, within 0..255."""
    r, g, b = (int(max(0, min(255, v + s))) for v, s in zip(colour, shift, strict=True))
    return r, g, b
