"""The report's charts: CMC curves, first answers by camera, and confidence against the share that was right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.charts import COLOURS, INK, SOFT, house_style, new_chart, svg_of
from training.evaluation.results import Rankings

# One ranker looks the same in every chart: colour, dashes, width and opacity. The others often run exactly along
# CLIP's line, which is broad and pale below them. The last is for rankers that are not known here.
_STROKES = {
    "clip": (COLOURS[0], "-", 5.0, 0.45),
    "pairwise": (COLOURS[1], (0, (4, 2)), 1.8, 1.0),
    "attribute-score": (COLOURS[4], (0, (3, 1, 1, 1)), 1.8, 1.0),
    "best-choice": (COLOURS[2], (0, (1, 1.5)), 1.8, 1.0),
    "fused": (INK, "-", 1.8, 1.0),
    "k-reciprocal": (COLOURS[3], (0, (5, 1.5, 1.5, 1.5)), 1.8, 1.0),
    "": (COLOURS[5], (0, (2, 1)), 1.8, 1.0),
}
RANKS = 20  # of a CMC curve
MOST_CAMERAS = 20  # of a table


@house_style()
def cmc_chart(title: str, curves: Mapping[str, np.ndarray]) -> str:
    """ranker -> fractions (R,) at ranks 1.. -> an SVG of the first RANKS of them."""
    lowest = min((float(curve[0]) for curve in curves.values()), default=0.0)
    floor, step = next(
        (pair for pair in ((80, 5), (60, 10), (40, 20)) if 100 * lowest > pair[0] + 5), (0, 20)
    )
    ranks = min(RANKS, max((len(curve) for curve in curves.values()), default=1))
    figure, axes = new_chart(320, 236)
    for ranker, curve in curves.items():
        colour, dashes, width, opacity = _STROKES.get(ranker, _STROKES[""])
        points = 100 * curve[:ranks]
        axes.plot(
            range(1, len(points) + 1),
            points,
            color=colour,
            linestyle=dashes,
            linewidth=width,
            alpha=opacity,
            label=ranker,
            clip_on=False,
            marker="o" if len(points) == 1 else None,
        )
    axes.set(ylim=(floor, 100), xlim=(1, max(2, ranks)), xlabel="Rank", ylabel="Queries found (%)")
    axes.set_yticks(range(floor, 101, step))
    axes.set_xticks([rank for rank in (1, 5, 10, 15, 20) if rank <= max(2, ranks)])
    axes.grid(axis="y")
    figure.legend(loc="outside lower center", ncols=3)
    return svg_of(figure, f"CMC curves: {title}", "; ".join(_at_ranks(*item) for item in curves.items()))


def _at_ranks(ranker: str, curve: np.ndarray) -> str:
    shown = [f"{100 * curve[rank - 1]:.1f} % at rank {rank}" for rank in (1, 5, 10, 20) if rank <= len(curve)]
    return f"{ranker}: {', '.join(shown)}"


@dataclass(frozen=True)
class CamerasTable:
    """First answers by camera. cells: a row per camera of the queries, a column per camera of the answers, as
    (right, all) or None where there was none."""

    queries: tuple[str, ...]
    answers: tuple[str, ...]
    cells: tuple[tuple[tuple[int, int] | None, ...], ...]


def cameras_table(kept: Rankings) -> CamerasTable | None:
    """None where no cameras are noted, or more than MOST_CAMERAS."""
    queries, answers = _in_order(kept.queries.cameras), _in_order(kept.gallery.cameras)
    if not 0 < len(queries) <= MOST_CAMERAS or not 0 < len(answers) <= MOST_CAMERAS:
        return None
    right = np.zeros((len(queries), len(answers)), np.int64)
    total = np.zeros_like(right)
    for query in np.flatnonzero((kept.top[:, 0] >= 0) & np.isfinite(kept.ap)).tolist():
        asked, answered = str(kept.queries.cameras[query]), str(kept.gallery.cameras[kept.top[query, 0]])
        if asked and answered:
            cell = queries.index(asked), answers.index(answered)
            right[cell] += kept.hits[query, 0]
            total[cell] += 1
    cells = tuple(
        tuple((r, n) if n else None for r, n in zip(*row, strict=True))
        for row in zip(right.tolist(), total.tolist(), strict=True)
    )
    return CamerasTable(queries, answers, cells)


def _in_order(cameras: np.ndarray) -> tuple[str, ...]:
    """The names that occur, 2 before 10."""
    return tuple(sorted((str(c) for c in np.unique(cameras) if c), key=lambda name: (len(name), name)))


@house_style()
def reliability_chart(title: str, bins: Mapping[str, Any]) -> str:
    """training.evaluation.calibration_error.Reliability.to_json -> an SVG: share right in each bin of confidence."""
    edges, counts = np.array(bins["edges"], float), np.array(bins["count"], int)
    confidence, right = (100 * np.array(bins[name], float) for name in ("confidence", "right"))  # None: NaN
    filled = counts > 0
    figure, axes = new_chart(240, 262)
    heights = axes.bar(
        100 * edges[:-1][filled], right[filled], 100 * np.diff(edges)[filled], align="edge", color=COLOURS[0]
    )
    for bar, count in zip(heights, counts[filled], strict=True):
        bar.set_alpha(0.35 + 0.65 * min(1, count / 50))  # a bin of few candidates is pale
    axes.plot(confidence[filled], right[filled], "o", color=INK, markersize=4, clip_on=False, label="a bin")
    axes.plot([0, 100], [0, 100], color=SOFT, linestyle=(0, (4, 3)), label="calibrated")
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="Confidence shown (%)", ylabel="Share right (%)")
    axes.set_aspect("equal")
    figure.legend(loc="outside lower center", ncols=2)
    told = [
        f"{count} candidates at {mean:.0f} %: {share:.0f} % right"
        for count, mean, share in zip(counts[filled], confidence[filled], right[filled], strict=True)
    ]
    return svg_of(figure, f"Reliability of the confidences: {title}", "; ".join(told))
