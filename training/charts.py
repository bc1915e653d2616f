"""Charts by matplotlib in one style, the same bytes each time; no window and no state of pyplot.

matplotlib is imported when the first chart is drawn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zlib import crc32

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, LINE = "#1b2430", "#566272", "#d9dfe6"  # lines and words, lesser words, grids
# Okabe and Ito's colours, told apart also by those who see few, then darker mixtures of them.
COLOURS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#785ef0",
    "#6e6e28",
    "#a0283c",
    "#005050",
)
# In a page the inks and the darkest colour are the page's own, so that a chart goes dark with it.
_PAGE_COLOURS = {INK: "var(--ink)", SOFT: "var(--soft)", LINE: "var(--line)", COLOURS[0]: "var(--blue)"}
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "chatreid",
    "svg.fonttype": "none",  # words stay words
    "text.parse_math": False,  # a name may hold a $
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 11,
    "text.color": INK,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": SOFT,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "figure.constrained_layout.h_pad": 5 / 72,
    "figure.constrained_layout.w_pad": 5 / 72,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "grid.color": LINE,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
}


@contextmanager
def house_style() -> Iterator[None]:
    """Around, or as a decorator of, all that draws and saves a chart."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        yield


def new_chart(width: int, height: int) -> tuple[Figure, Axes]:
    """An empty chart of so many px, at 72 to the inch: sizes of fonts and lines are px too."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / 72, height / 72), layout="constrained")
    return figure, figure.add_subplot()


def svg_of(figure: Figure, title: str, description: str) -> str:
    """The chart as <svg> to stand in a page, in the page's colours; named and described for those who do not see it."""
    data = BytesIO()
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(data, format="svg", transparent=True, metadata=metadata)
    svg = data.getvalue().decode()
    for colour, variable in _PAGE_COLOURS.items():
        svg = svg.replace(colour, variable)
    width, height = (round(72 * inches) for inches in figure.get_size_inches())
    body = svg[svg.index(">", svg.index("<svg")) + 1 :].strip()
    prefix = f"c{crc32((title + body).encode()):08x}"  # ids are unique in a page of several charts
    body = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{prefix}-", body)
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{body}"
    )


def png_of(figure: Figure, scale: float) -> bytes:
    """The chart as PNG, `scale` pixels for each px."""
    data = BytesIO()
    figure.savefig(data, format="png", dpi=72 * scale, metadata={"Software": None})
    return data.getvalue()
