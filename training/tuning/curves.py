"""Loss curves per task as a PNG, with those of people held out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

from gallery_store.files import write_file
from training.charts import COLOURS, INK, house_style, new_chart, png_of

ALL = "all"
POINTS = 400  # of a curve; more rows are averaged
DASHES = ("-", (0, (5, 2)), (0, (1.5, 1.5)))  # of the first, second and third dozen of tasks


def series(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """(step, loss) of every task that log rows name, sorted by name, and of the whole under "all", first.

    Values that are no numbers are left out; long runs are averaged to POINTS points.
    """
    curves: dict[str, list[tuple[float, float]]] = {ALL: []}
    for task in sorted({task for row in rows for task in row.get("losses", {})}):
        curves[task] = []
    for row in rows:
        if "loss" not in row:
            continue
        for task, loss in {ALL: row["loss"], **row.get("losses", {})}.items():
            if loss is not None and math.isfinite(loss):
                curves[task].append((float(row["step"]), float(loss)))
    return {task: _thinned(points) for task, points in curves.items() if points}


def held_out(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """(step, value) of "loss", "mAP" and "rank1" of people held out; those that no row has are left out."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        for name in ("loss", "mAP", "rank1"):
            value = row.get("validation", {}).get(name)
            if value is not None and math.isfinite(value):
                found.setdefault(name, []).append((float(row["step"]), float(value)))
    return found


@house_style()
def draw_curves(rows: Sequence[Mapping[str, Any]], file: Path, title: str) -> None:
    """Draw log rows (training.tuning.progress) into a PNG. The legend gives the last value of each curve; mAP and
    rank-1 of people held out have a scale of their own, at the right."""
    figure, axes = new_chart(960, 570)
    for number, (task, points) in enumerate(series(rows).items()):
        turn, place = divmod(number - 1, len(COLOURS))
        whole = task == ALL
        axes.plot(
            *zip(*points, strict=True),
            color=INK if whole else COLOURS[place],
            linestyle="-" if whole else DASHES[turn % len(DASHES)],
            linewidth=2.4 if whole else 1.2,
            marker="o" if len(points) == 1 else None,
            zorder=3 if whole else 2,  # the whole lies above its tasks
            label=f"{task}  {points[-1][1]:.3f}",
        )
    apart = held_out(rows)
    if "loss" in apart:
        _mark(axes, apart["loss"], f"{ALL}, held out", INK, "o")
    axes.margins(x=0.01)
    axes.set_title(f"{title}: loss per task", pad=12)
    axes.set(xlabel="Step", ylabel="Loss (nats)", xlim=(0, None), ylim=(0, None))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y")
    if "mAP" in apart:
        right = axes.twinx()
        _mark(right, apart["mAP"], "mAP, held out", COLOURS[0], "s")
        _mark(right, apart["rank1"], "rank-1, held out", COLOURS[1], "^")
        right.set(ylabel="mAP, rank-1", ylim=(0, 1))
        right.spines["right"].set_visible(True)
    figure.legend(loc="outside right upper")
    write_file(file, png_of(figure, scale=4 / 3))


def _mark(axes: Axes, points: list[tuple[float, float]], name: str, colour: str, marker: str) -> None:
    axes.plot(
        *zip(*points, strict=True),
        color=colour,
        linestyle=":",
        linewidth=1.6,
        marker=marker,
        markersize=5,
        zorder=4,
        label=f"{name}  {points[-1][1]:.3f}",
    )


def _thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    if len(points) <= POINTS:
        return points
    size = math.ceil(len(points) / POINTS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [
        (sum(step for step, _ in group) / len(group), sum(loss for _, loss in group) / len(group))
        for group in groups
    ]
