"""CMC curves and the cameras' table as inline SVG: no script, no font, no file beside the page."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

import numpy as np

from training.evaluation.rankings import Rankings

# Okabe and Ito's colours, told apart by dashes too. clip, pairwise, best-choice, combined, others in turn.
STROKES = (
    ("#0072b2", ""),
    ("#d55e00", "7 4"),
    ("#009e73", "2 4"),
    ("#1b2430", ""),
    ("#cc79a7", "10 3 2 3"),
    ("#56b4e9", "4 2"),
)
ORDER = ("clip", "pairwise", "best-choice", "combined", "k-reciprocal")
RANKS = 20
UNDER = 'stroke-width="5" stroke-opacity=".45"'  # the others often run exactly along CLIP's line
OVER = 'stroke-width="2"'


def stroke_of(ranker: str) -> tuple[str, str]:
    """(colour, dashes): one ranker looks the same in every chart."""
    return STROKES[ORDER.index(ranker) if ranker in ORDER else len(STROKES) - 1]


def cmc_chart(curves: Mapping[str, np.ndarray]) -> str:
    """ranker -> fractions (R,) at ranks 1.. -> an SVG of the first RANKS of them."""
    width, height, left, right, top, bottom = 420, 262, 40, 92, 12, 34
    lowest = min((float(curve[0]) for curve in curves.values()), default=0.0)
    floor = 0.8 if lowest > 0.85 else 0.6 if lowest > 0.65 else 0.4 if lowest > 0.45 else 0.0
    ranks = min(RANKS, max((len(curve) for curve in curves.values()), default=1))

    def x(rank: float) -> float:
        return left + (rank - 1) * (width - left - right) / max(1, ranks - 1)

    def y(share: float) -> float:
        return top + (1 - share) * (height - top - bottom) / (1 - floor)

    parts = [_open(width, height, "CMC curves: " + ", ".join(curves))]
    step = (1 - floor) / (4 if floor in (0.8, 0.6) else 5 if floor == 0 else 3)
    for share in np.arange(1, floor - 1e-9, -step):
        parts.append(
            f'<line x1="{left}" x2="{width - right}" y1="{y(share):.1f}" y2="{y(share):.1f}" class="grid"/>'
            f'<text x="{left - 7}" y="{y(share) + 4:.1f}" class="tick end">{100 * share:.0f}</text>'
        )
    for rank in sorted({1, *(r for r in (5, 10, 15, 20) if r <= ranks)}):
        parts.append(f'<text x="{x(rank):.1f}" y="{height - bottom + 18}" class="tick mid">{rank}</text>')
    parts.append(f'<text x="{(left + width - right) / 2:.0f}" y="{height - 1}" class="tick mid">rank</text>')
    ends = _apart({name: y(float(curve[min(ranks, len(curve)) - 1])) for name, curve in curves.items()}, 15)
    for name, curve in curves.items():
        colour, dashes = stroke_of(name)
        points = " ".join(f"{x(r):.1f},{y(float(s)):.1f}" for r, s in enumerate(curve[:ranks], 1))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-dasharray="{dashes}"'
            f' stroke-linejoin="round" {UNDER if name == "clip" else OVER}/>'
            f'<text x="{width - right + 7}" y="{ends[name] + 4:.1f}" fill="{colour}" class="name">'
            f"{escape(name)}</text>"
        )
    return "".join([*parts, "</svg>"])


def cameras_chart(kept: Rankings) -> str:
    """First answers by camera: rows are the query's, columns the answer's; "" where no cameras are noted.

    A cell says how many first answers there were and how many of them were right, and is the redder the
    larger the share of wrong ones.
    """
    asked, answers = _in_order(kept.queries.cameras), _in_order(kept.gallery.cameras)
    if not asked or not answers or len(asked) > 20 or len(answers) > 20:
        return ""
    counts = np.zeros((2, len(asked), len(answers)), np.int64)
    for query in np.flatnonzero((kept.top[:, 0] >= 0) & np.isfinite(kept.ap)).tolist():
        row = asked.index(str(kept.queries.cameras[query])) if kept.queries.cameras[query] else -1
        camera = str(kept.gallery.cameras[kept.top[query, 0]])
        if row >= 0 and camera:
            counts[int(kept.hits[query, 0]), row, answers.index(camera)] += 1
    size, left, top = 46, 58, 44
    width, height = left + size * len(answers) + 4, top + size * len(asked) + 4
    parts = [_open(max(width, 250), height, "First answers by camera of query and answer")]
    parts.append(f'<text x="{left}" y="14" class="tick">crop that came first, by camera</text>')
    for column, camera in enumerate(answers):
        parts.append(
            f'<text x="{left + size * (column + 0.5):.0f}" y="36" class="tick mid">{escape(camera)}</text>'
        )
    for row, camera in enumerate(asked):
        middle = top + size * (row + 0.5) + 4
        parts.append(f'<text x="{left - 8}" y="{middle:.0f}" class="tick end">{escape(camera)}</text>')
        for column in range(len(answers)):
            wrong, right = (int(n) for n in counts[:, row, column])
            parts.append(_cell(left + size * column, top + size * row, size, wrong, right))
    return "".join([*parts, "</svg>"])


def reliability_chart(svg: object) -> str:
    """A plot that an open-set run keeps, as a picture, so that nothing in it could run; "" where there is none."""
    if not isinstance(svg, str) or not svg.startswith("<svg"):
        return ""
    data = base64.b64encode(svg.encode()).decode()
    return f'<img class="plot" src="data:image/svg+xml;base64,{data}" alt="Reliability of the confidences">'


def _cell(x: int, y: int, size: int, wrong: int, right: int) -> str:
    total = wrong + right
    if not total:
        return f'<rect x="{x + 1}" y="{y + 1}" width="{size - 2}" height="{size - 2}" rx="4" class="none"/>'
    share = wrong / total
    fill = f"rgb({_mix(229, 240, share)},{_mix(242, 146, share)},{_mix(234, 122, share)})"
    return (
        f'<rect x="{x + 1}" y="{y + 1}" width="{size - 2}" height="{size - 2}" rx="4" fill="{fill}"/>'
        f'<text x="{x + size / 2:.0f}" y="{y + size / 2 + 4:.0f}" class="cell">'
        f"{right}/{total}</text>"
    )


def _mix(light: int, deep: int, share: float) -> int:
    return round(light + (deep - light) * share)


def _in_order(cameras: np.ndarray) -> list[str]:
    return sorted((str(c) for c in np.unique(cameras) if c), key=lambda name: (len(name), name))


def _apart(places: Mapping[str, float], gap: float) -> dict[str, float]:
    """Labels pushed down until none covers another."""
    found: dict[str, float] = {}
    last = -gap
    for name, place in sorted(places.items(), key=lambda item: item[1]):
        last = max(place, last + gap)
        found[name] = last
    return found


def _open(width: int, height: int, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{escape(title)}</title>"
    )
