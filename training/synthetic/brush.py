"""A pen that draws in shares of a body's height."""

from __future__ import annotations

import math

from PIL import Image, ImageDraw

from training.synthetic.palette import Rgb


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
