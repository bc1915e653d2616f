"""Do confidences mean what they say? Expected calibration error, and the reliability plot behind it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15


@dataclass(frozen=True)
class Reliability:
    """Equal-width bins over 0..1. edges: (bins + 1,). count: candidates in each; confidence, right: their mean
    confidence and the share that was right, NaN in an empty bin. ece: Guo et al., ICML 2017. brier: mean
    squared error of the confidences.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    right: np.ndarray
    ece: float
    brier: float

    def to_json(self) -> dict[str, object]:
        """Without NaN: empty bins have None."""
        none = [None if np.isnan(v) else float(v) for v in self.confidence]
        right = [None if np.isnan(v) else float(v) for v in self.right]
        return {
            "edges": self.edges.tolist(),
            "count": self.count.tolist(),
            "confidence": none,
            "right": right,
            "ece": self.ece,
            "brier": self.brier,
        }


def reliability(confidences: np.ndarray, right: np.ndarray, bins: int = BINS) -> Reliability:
    """ECE = sum over bins of (candidates in it / all) * |share right - mean confidence|.

    Args:
        confidences: float (n,), 0..1; 1 falls into the last bin. right: bool (n,).

    Raises:
        ValueError: nothing to measure, lengths that differ, or confidences outside 0..1.
    """
    confidences, right = np.asarray(confidences, np.float64), np.asarray(right, bool)
    if confidences.shape != right.shape or confidences.ndim != 1 or not len(right):
        raise ValueError(f"{confidences.shape} confidences and {right.shape} truths cannot be compared")
    if not ((confidences >= 0) & (confidences <= 1)).all():
        raise ValueError("confidences lie between 0 and 1")
    which = np.minimum((confidences * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(which, confidences, minlength=bins) / count
        share = np.bincount(which, right, minlength=bins) / count
    filled = count > 0
    ece = float((count[filled] * np.abs(share[filled] - mean[filled])).sum() / len(right))
    brier = float(np.mean((confidences - right) ** 2))
    return Reliability(np.linspace(0, 1, bins + 1), count, mean, share, ece, brier)


def reliability_svg(curves: dict[str, Reliability], size: int = 320) -> str:
    """Share right over confidence, a panel per curve, the diagonal as what it should be; a whole SVG."""
    pad = 44
    panels = []
    for number, (name, curve) in enumerate(curves.items()):
        x0, y0 = number * (size + 2 * pad) + pad, pad
        bars = []
        for low, high, count, right, mean in zip(
            curve.edges[:-1], curve.edges[1:], curve.count, curve.right, curve.confidence, strict=True
        ):
            if not count:
                continue
            left, width, height = x0 + low * size, (high - low) * size, right * size
            bars.append(
                f'<rect x="{left:.1f}" y="{y0 + size - height:.1f}" width="{width - 1:.1f}" '
                f'height="{height:.1f}" fill="#4477aa" fill-opacity="{0.35 + 0.65 * min(1, count / 50):.2f}">'
                f"<title>{count} candidates, confidence {mean:.2f}, right {right:.2f}</title></rect>"
            )
            bars.append(
                f'<circle cx="{x0 + mean * size:.1f}" cy="{y0 + size - height:.1f}" r="3" fill="#222222"/>'
            )
        panels.append(
            f'<rect x="{x0}" y="{y0}" width="{size}" height="{size}" fill="none" stroke="#999999"/>'
            f'<line x1="{x0}" y1="{y0 + size}" x2="{x0 + size}" y2="{y0}" stroke="#cc6677" '
            f'stroke-dasharray="4 3"/>{"".join(bars)}'
            f'<text x="{x0}" y="{y0 - 10}">{name}: ECE {curve.ece:.3f}</text>'
            f'<text x="{x0 + size / 2}" y="{y0 + size + 28}" text-anchor="middle">confidence shown</text>'
            f'<text x="{x0 - 28}" y="{y0 + size / 2}" text-anchor="middle" '
            f'transform="rotate(-90 {x0 - 28} {y0 + size / 2})">share right</text>'
            f'<text x="{x0}" y="{y0 + size + 14}" font-size="10">0</text>'
            f'<text x="{x0 + size - 4}" y="{y0 + size + 14}" font-size="10">1</text>'
        )
    width, height = len(curves) * (size + 2 * pad), size + 2 * pad
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" '
        f'fill="white"/>{"".join(panels)}</svg>'
    )
