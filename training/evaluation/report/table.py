"""One table as HTML."""

from __future__ import annotations

from html import escape

from training.evaluation.report.grids import FRAME, OURS, PUBLISHED, Grid, Line
from training.evaluation.report.wording import ABSENT

SOURCES = {PUBLISHED: "Published", OURS: "Ours"}
WIDE = 11  # columns, words twice, from which a table is set closer


def table(grid: Grid, *, titled: bool = True) -> str:
    """The table under its title, with its notes below. Rows from the paper stand under a heading of their own."""
    groups = "".join(
        f'<th colspan="{span}"{"" if title else " class=bare"}>{escape(title)}</th>'
        for title, span in grid.groups
    )
    above = f'<tr class="groups"><th></th>{groups}</tr>' if groups else ""
    heads = "".join(f"<th{_side(grid, place)}>{escape(head)}</th>" for place, head in enumerate(grid.heads))
    notes = list(grid.notes)
    if all(line.source == PUBLISHED for line in grid.lines):
        notes = [ABSENT, *notes]
    told = f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>' if notes else ""
    title = f'<h3 id="{grid.anchor}">{escape(grid.title)}</h3>' if titled else ""
    kind = ' class="wide"' if len(grid.heads) + grid.words >= WIDE else ""
    return (
        f'{title}<div class="scroll"><table{kind}><thead>{above}<tr><th>{escape(grid.first)}</th>{heads}</tr></thead>'
        f"<tbody>{_body(grid)}</tbody></table></div>{told}"
    )


def _body(grid: Grid) -> str:
    mixed = any(line.source == PUBLISHED for line in grid.lines)
    parts, last = [], ""
    for line in grid.lines:
        if mixed and line.source != last:
            last = line.source
            span = len(grid.heads)
            parts.append(
                f'<tr class="source {last}"><th scope="rowgroup">{SOURCES[last]}</th><td colspan="{span}"></td></tr>'
            )
        parts.append(_line(grid, line, mixed))
    return "".join(parts)


def _line(grid: Grid, line: Line, mixed: bool) -> str:
    kind = line.source if mixed or line.source == FRAME else "plain"
    first = " first" if line.label and not mixed else ""
    detail = f'<span class="detail">{escape(line.detail)}</span>' if line.detail else ""
    cells = "".join(
        f"<td{_side(grid, place, best=place in line.best)}>{_figure(cell)}</td>"
        for place, cell in enumerate(line.cells)
    )
    label = f"<b>{escape(line.label)}</b>" if line.source != PUBLISHED else escape(line.label)
    return f'<tr class="{kind}{first}"><th scope="row">{label}{detail}</th>{cells}</tr>'


def _side(grid: Grid, place: int, *, best: bool = False) -> str:
    kinds = [name for name, is_so in (("word", place < grid.words), ("best", best)) if is_so]
    return f' class="{" ".join(kinds)}"' if kinds else ""


def _figure(cell: str) -> str:
    """A mark hangs beside its figure, so that figures stay in line."""
    return f"{escape(cell[:-1])}<sup>†</sup>" if cell.endswith("†") else escape(cell)
