"""Loss curves per task as a PNG, drawn with Pillow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

SIZE = (1280, 760)
PLOT = (70, 56, 940, 700)  # left, top, right, bottom in pixels
INK, PALE, PAPER = (34, 34, 40), (222, 222, 228), (255, 255, 255)
ALL = "all"
# Told apart also by those who see few colours (Okabe and Ito), then darker mixtures of them.
COLOURS = (
    (0, 114, 178),
    (213, 94, 0),
    (0, 158, 115),
    (204, 121, 167),
    (230, 159, 0),
    (86, 180, 233),
    (120, 94, 240),
    (110, 110, 40),
    (160, 40, 60),
    (0, 80, 80),
)
POINTS = 400  # of a curve; more rows are averaged


def series(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """(step, loss) of every task that log rows name, sorted by name, and of the whole under "all", first.

    Values that are no numbers are left out; long runs are averaged to POINTS points.
    """
    found: dict[str, list[tuple[float, float]]] = {ALL: []}
    for task in sorted({task for row in rows for task in row.get("losses", {})}):
        found[task] = []
    for row in rows:
        for task, loss in {ALL: row["loss"], **row.get("losses", {})}.items():
            if loss is not None and math.isfinite(loss):
                found[task].append((float(row["step"]), float(loss)))
    return {task: _thinned(points) for task, points in found.items() if points}


def draw_curves(rows: Sequence[Mapping[str, Any]], file: Path, title: str) -> None:
    """Draw log rows (training.tuning.progress) into a PNG, through a partial file."""
    curves = series(rows)
    image = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(image)
    font, small = ImageFont.load_default(22), ImageFont.load_default(15)
    draw.text((PLOT[0], 16), f"{title}: loss per task", INK, font)
    points = [point for curve in curves.values() for point in curve]
    last = max([step for step, _ in points], default=1.0)
    top = _round_up(max([loss for _, loss in points], default=1.0))

    def place(step: float, loss: float) -> tuple[float, float]:
        left, upper, right, lower = PLOT
        return left + (right - left) * step / last, lower - (lower - upper) * min(loss, top) / top

    for part in range(6):
        y = place(0, top * part / 5)[1]
        draw.line([(PLOT[0], y), (PLOT[2], y)], PALE)
        draw.text((PLOT[0] - 8, y), f"{top * part / 5:.3g}", INK, small, anchor="rm")
    for step in sorted({round(last * part / 5) for part in range(6)}):
        draw.text((place(step, 0)[0], PLOT[3] + 8), f"{step:,}", INK, small, anchor="ma")
    draw.text(((PLOT[0] + PLOT[2]) / 2, PLOT[3] + 32), "step", INK, small, anchor="ma")
    # The whole is drawn last, above the tasks; the legend names it first.
    for number, (task, curve) in reversed(list(enumerate(curves.items()))):
        colour = INK if task == ALL else COLOURS[(number - 1) % len(COLOURS)]
        line = [place(*point) for point in curve]
        if len(line) > 1:
            draw.line(line, colour, 4 if task == ALL else 2, joint="curve")
        else:
            draw.ellipse([line[0][0] - 4, line[0][1] - 4, line[0][0] + 4, line[0][1] + 4], colour)
        y = PLOT[1] + 14 + 28 * number
        draw.line([(PLOT[2] + 24, y), (PLOT[2] + 54, y)], colour, 4 if task == ALL else 2)
        draw.text((PLOT[2] + 64, y), f"{task}  {curve[-1][1]:.3f}", INK, small, anchor="lm")
    partial = file.with_name(f".{file.name}.part")
    image.save(partial, "PNG")
    partial.replace(file)


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= POINTS:
        return points
    size = math.ceil(len(points) / POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (sum(step for step, _ in group) / len(group), sum(loss for _, loss in group) / len(group))
        for group in groups
    ]


def _round_up(value: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if value <= step * power * (1 + 1e-9))
