"""Colours of cloth, hair and skin, in visible light and in infrared; and the pen that puts them on a canvas."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from training.synthetic.wardrobe import Identity, Outfit

Rgb = tuple[int, int, int]

CLOTH: dict[str, Rgb] = {
    "black": (40, 40, 46),
    "white": (240, 240, 236),
    "grey": (140, 143, 148),
    "red": (204, 42, 44),
    "orange": (240, 128, 34),
    "yellow": (243, 208, 62),
    "green": (50, 140, 74),
    "blue": (44, 88, 178),
    "purple": (122, 64, 156),
    "pink": (243, 146, 178),
    "brown": (116, 74, 46),
    "beige": (216, 194, 156),
}
JEANS: dict[str, Rgb] = {
    "blue": (62, 94, 142),
    "black": (48, 50, 58),
    "grey": (124, 130, 140),
    "white": (226, 228, 230),
}
HAIR: dict[str, tuple[Rgb, Rgb]] = {
    "black": ((24, 22, 24), (48, 42, 42)),
    "brown": ((84, 54, 34), (122, 82, 52)),
    "blond": ((204, 160, 62), (236, 202, 104)),
    "red": ((150, 66, 28), (190, 92, 42)),
    "grey": ((150, 150, 154), (208, 208, 210)),
}
SKIN: tuple[Rgb, Rgb] = ((246, 212, 184), (104, 68, 48))


def mix(first: Rgb, second: Rgb, share: float) -> Rgb:
    """share 0 gives the first colour, 1 the second."""
    r, g, b = (int(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return r, g, b


def shade(colour: Rgb, factor: float) -> Rgb:
    """Darker below 1, lighter above."""
    r, g, b = (max(0, min(255, int(v * factor))) for v in colour)
    return r, g, b


def _tinted(colour: Rgb, tints: tuple[float, ...]) -> Rgb:
    r, g, b = (max(0, min(255, int(v + 13 * t))) for v, t in zip(colour, tints, strict=True))
    return r, g, b


class Palette:
    """The colours of one person in one outfit. Under infrared, cloth reflects by its own measure."""

    def __init__(self, identity: Identity, outfit: Outfit, infrared: bool) -> None:
        t = outfit.tints
        self.infrared = infrared
        self.skin = mix(*SKIN, identity.skin)
        self.hair = mix(*HAIR[identity.hair_colour], identity.hair_shade)
        self.upper = _tinted(CLOTH[outfit.upper_colour], t[0:3])
        lower = (JEANS if outfit.lower == "jeans" else CLOTH).get(
            outfit.lower_colour or "blue", CLOTH["blue"]
        )
        self.lower = _tinted(lower, t[3:6])
        self.shoes = CLOTH[outfit.shoe_colour]
        self.hat = _tinted(CLOTH[outfit.hat_colour or "black"], t[6:9])
        self.bag = _tinted(CLOTH[outfit.bag_colour or "black"], t[6:9])
        self.umbrella = CLOTH[outfit.umbrella_colour]
        self.inner = (236, 234, 230) if outfit.upper_colour != "white" else (120, 126, 140)
        light = sum(self.upper) > 3 * 150
        self.pattern = shade(self.upper, 0.5) if light else mix(self.upper, (255, 255, 255), 0.72)
        if infrared:
            self._to_infrared(outfit)

    def _to_infrared(self, outfit: Outfit) -> None:
        def seen(colour: Rgb, own: float) -> Rgb:
            luma = (0.3 * colour[0] + 0.59 * colour[1] + 0.11 * colour[2]) / 255
            level = int(60 + 170 * (0.3 * luma + 0.7 * own))
            return level, level, level

        upper, lower, hat, bag = outfit.infrared
        self.upper, self.lower = seen(self.upper, upper), seen(self.lower, lower)
        self.hat, self.bag = seen(self.hat, hat), seen(self.bag, bag)
        self.umbrella = seen(self.umbrella, bag)
        self.pattern = shade(self.upper, 0.62) if self.upper[0] > 140 else shade(self.upper, 1.55)
        self.inner = seen(self.inner, 0.8)
        self.shoes = seen(self.shoes, 0.3)
        self.skin = seen(self.skin, 0.95)
        self.hair = seen(self.hair, 0.12 if outfit.hat == "none" else 0.2)


class Brush:
    """Draws in shares of the body's height on a canvas of pixels."""

    def __init__(self, canvas: Image.Image, centre: float, top: float, height: float) -> None:
        self.canvas = canvas
        self.draw = ImageDraw.Draw(canvas)
        self.centre, self.top, self.height = centre, top, height

    def px(self, x: float, y: float) -> tuple[float, float]:
        return self.centre + x * self.height, self.top + y * self.height

    def limb(
        self, a: tuple[float, float], b: tuple[float, float], wide: float, thin: float, colour: Rgb
    ) -> None:
        """A tapered capsule from a to b; widths are half-widths."""
        (ax, ay), (bx, by) = self.px(*a), self.px(*b)
        wa, wb = wide * self.height, thin * self.height
        length = math.hypot(bx - ax, by - ay) or 1.0
        nx, ny = -(by - ay) / length, (bx - ax) / length
        points = [
            (ax + nx * wa, ay + ny * wa),
            (bx + nx * wb, by + ny * wb),
            (bx - nx * wb, by - ny * wb),
            (ax - nx * wa, ay - ny * wa),
        ]
        self.draw.polygon(points, fill=colour)
        self.draw.ellipse((ax - wa, ay - wa, ax + wa, ay + wa), fill=colour)
        self.draw.ellipse((bx - wb, by - wb, bx + wb, by + wb), fill=colour)

    def polygon(self, points: list[tuple[float, float]], colour: Rgb) -> None:
        self.draw.polygon([self.px(x, y) for x, y in points], fill=colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Rgb) -> None:
        (cx, cy), rx, ry = self.px(x, y), rx * self.height, ry * self.height
        self.draw.ellipse((cx - rx, cy - ry, cx + rx, cy + ry), fill=colour)

    def line(self, points: list[tuple[float, float]], width: float, colour: Rgb) -> None:
        size = max(1, round(width * self.height))
        self.draw.line([self.px(x, y) for x, y in points], fill=colour, width=size, joint="curve")

    def box(self, x0: float, y0: float, x1: float, y1: float, radius: float, colour: Rgb) -> None:
        (ax, ay), (bx, by) = self.px(min(x0, x1), y0), self.px(max(x0, x1), y1)
        self.draw.rounded_rectangle((ax, ay, bx, by), radius * self.height, fill=colour)

    def patterned(self, points: list[tuple[float, float]], pattern: str, colour: Rgb) -> None:
        """Lays a pattern over a polygon that was filled before."""
        xy = [self.px(x, y) for x, y in points]
        left, right = int(min(x for x, _ in xy)), int(max(x for x, _ in xy)) + 1
        top, bottom = int(min(y for _, y in xy)), int(max(y for _, y in xy)) + 1
        mask = Image.new("L", (max(1, right - left), max(1, bottom - top)), 0)
        pen = ImageDraw.Draw(mask)
        step = 0.052 * self.height
        if pattern in ("striped", "checked"):
            y = 0.0
            while y < bottom - top:
                pen.rectangle((0, y, right - left, y + step * 0.42), fill=255)
                y += step
        if pattern == "checked":
            x = 0.0
            while x < right - left:
                pen.rectangle((x, 0, x + step * 0.36, bottom - top), fill=255)
                x += step
        if pattern == "dotted":
            r, row = step * 0.27, 0
            y = r
            while y < bottom - top:
                x = r if row % 2 == 0 else r + step * 0.55
                while x < right - left:
                    pen.ellipse((x - r, y - r, x + r, y + r), fill=255)
                    x += step * 1.1
                y += step * 0.72
                row += 1
        inside = Image.new("L", mask.size, 0)
        ImageDraw.Draw(inside).polygon([(x - left, y - top) for x, y in xy], fill=255)
        cut = Image.new("L", mask.size, 0)
        cut.paste(mask, (0, 0), inside)
        self.canvas.paste(colour, (left, top, left + mask.size[0], top + mask.size[1]), cut)
