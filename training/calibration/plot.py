"""The reliability plot: what share of the candidates was right at each confidence, before and after."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from training.charts import COLOURS, LINE, SOFT, house_style, png_of
from training.evaluation.calibration_error import Reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANEL = 330  # px, a side
LARGEST_DOT = 260  # square points: of the bin with most candidates


@house_style()
def reliability_plot(kinds: Mapping[str, tuple[Reliability, Reliability]]) -> bytes:
    """PNG: a panel for each kind of query; before and after calibration. A dot's size is how many candidates it has."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(PANEL * len(kinds) / 72, (PANEL + 90) / 72), layout="constrained")
    panels = figure.subplots(1, len(kinds), squeeze=False)[0]
    for axes, (kind, (before, after)) in zip(panels, kinds.items(), strict=True):
        axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, linestyle=(0, (4, 3)))
        _draw(axes, before, COLOURS[1], f"P(yes) as it is: ECE {before.ece:.3f}")
        _draw(axes, after, COLOURS[0], f"calibrated: ECE {after.ece:.3f}")
        axes.set_title(kind)
        axes.set(
            xlabel="Confidence", ylabel="Share right", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal"
        )
        axes.grid(color=LINE)
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=10, markerscale=0.5)
    return png_of(figure, scale=4 / 3)


def _draw(axes: Axes, curve: Reliability, colour: str, label: str) -> None:
    filled = curve.count > 0
    sizes = LARGEST_DOT * curve.count[filled] / np.max(curve.count)
    axes.plot(curve.confidence[filled], curve.right[filled], color=colour, linewidth=1.4)
    axes.scatter(
        curve.confidence[filled],
        curve.right[filled],
        s=np.maximum(sizes, 12),
        color=colour,
        alpha=0.75,
        label=label,
    )
