"""The report as one HTML file: nothing is fetched, nothing runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from training.evaluation.rankings import Rankings
from training.evaluation.report.drawings import cameras_chart, cmc_chart
from training.evaluation.report.galleries import rank_gallery
from training.evaluation.report.grids import (
    FRAME,
    OURS,
    PUBLISHED,
    Grid,
    Line,
    paper_grids,
    run_grid,
    setting_grids,
)
from training.evaluation.report.runs import Run, model_label
from training.evaluation.report.style import STYLE

TITLE = "ChatReID: evaluation report"
LEAD = (
    "Figures in per cent. Rows marked published are printed in the paper; rows marked ours were measured by this "
    "software, by the protocols in docs/evaluation.md. Bold is the best of a column. A dash: not given."
)
ABSENT = "No run of ours is on these benchmarks; the published rows stand alone."


def page(runs: Sequence[Run]) -> str:
    """The whole report. Raises ResultError for a damaged file of a run."""
    paper, figures = paper_grids(runs), setting_grids(runs)
    kept = [(run, setting, _rankings(run, setting)) for run in runs for setting in run.result.settings]
    sections = [
        ("runs", "What was evaluated", [_grid(run_grid(runs), titled=False)]),
        ("paper", "The paper's tables", [_grid(grid) for grid in paper]),
        ("figures", "All figures", [_grid(grid) for grid in figures]),
        ("cmc", "CMC curves", _charts(_curves(kept))),
        ("cameras", "Cameras", _charts(_cameras(kept), CAMERAS_LEGEND)),
        ("queries", "Best and worst queries", list(_galleries(kept))),
    ]
    shown = [(anchor, title, parts) for anchor, title, parts in sections if parts]
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in shown)
    body = "".join(
        f'<section id="{anchor}"><h2>{title}</h2>{"".join(parts)}</section>' for anchor, title, parts in shown
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE}</title><style>{STYLE}</style></head>\n"
        f'<body><main><h1>{TITLE}</h1><p class="lead">{LEAD}</p><nav>{links}</nav>{body}</main></body></html>\n'
    )


CAMERAS_LEGEND = (
    "First answers, by the camera of the query (rows) and of the crop that came first (columns): how many of them "
    "were right, of how many. The redder, the more were wrong."
)
GALLERY_LEGEND = (
    "The query on the left, the first ten crops in order. Solid green and ✓: the person sought; dashed red and ✗: "
    "another person. Junk is left out, as the protocol says."
)

_Kept = Sequence[tuple[Run, str, dict[str, Rankings]]]


def _rankings(run: Run, setting: str) -> dict[str, Rankings]:
    found = {ranker: Rankings.read(run.folder, setting, ranker) for ranker in run.result.settings[setting]}
    return {ranker: kept for ranker, kept in found.items() if kept is not None}


def _curves(kept: _Kept) -> Iterable[tuple[str, str]]:
    for run, setting, rankers in kept:
        if rankers:
            yield _named(run, setting), cmc_chart({ranker: found.cmc for ranker, found in rankers.items()})


def _cameras(kept: _Kept) -> Iterable[tuple[str, str]]:
    for run, setting, rankers in kept:
        ranker = run.shown(setting)
        if ranker in rankers and (drawn := cameras_chart(rankers[ranker])):
            yield f"{_named(run, setting)}, {ranker}", drawn


def _galleries(kept: _Kept) -> Iterable[str]:
    first = True
    for run, setting, rankers in kept:
        ranker = run.shown(setting)
        if ranker in rankers and (drawn := rank_gallery(run, setting, rankers[ranker])):
            legend = f'<p class="legend">{GALLERY_LEGEND}</p>' if first else ""
            first = False
            yield f"{legend}<h3>{escape(_named(run, setting))}, {escape(ranker)}</h3>{drawn}"


def _named(run: Run, setting: str) -> str:
    return f"{run.name}, {setting}, {model_label(run)}"


def _charts(drawn: Iterable[tuple[str, str]], legend: str = "") -> list[str]:
    figures = [
        f'<figure><figcaption>{escape(title)}</figcaption><div class="scroll">{svg}</div></figure>'
        for title, svg in drawn
    ]
    if not figures:
        return []
    said = f'<p class="legend">{legend}</p>' if legend else ""
    return [f'{said}<div class="charts">{"".join(figures)}</div>']


def _grid(grid: Grid, *, titled: bool = True) -> str:
    groups = "".join(
        f'<th colspan="{span}"{"" if title else " class=bare"}>{escape(title)}</th>'
        for title, span in grid.groups
    )
    above = f'<tr class="groups"><th></th>{groups}</tr>' if groups else ""
    heads = "".join(f"<th>{escape(head)}</th>" for head in grid.heads)
    mixed = len({line.source for line in grid.lines} - {FRAME}) > 1 or all(
        line.source == PUBLISHED for line in grid.lines
    )
    lines = "".join(_line(line, mixed) for line in grid.lines)
    notes = list(grid.notes)
    if all(line.source == PUBLISHED for line in grid.lines):
        notes = [ABSENT, *notes]
    told = f'<ul class="notes">{"".join(f"<li>{escape(note)}</li>" for note in notes)}</ul>' if notes else ""
    title = f'<h3 id="{grid.anchor}">{escape(grid.title)}</h3>' if titled else ""
    return (
        f'{title}<div class="scroll"><table><thead>{above}<tr><th>{escape(grid.first)}</th>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>{told}"
    )


def _line(line: Line, mixed: bool) -> str:
    kind = line.source if mixed or line.source == FRAME else "plain"
    tag = f'<span class="tag">{line.source}</span>' if mixed and line.source in (PUBLISHED, OURS) else ""
    detail = f'<span class="detail">{escape(line.detail)}</span>' if line.detail else ""
    first = " first" if line.label and not mixed else ""
    cells = "".join(
        f'<td class="best">{escape(cell)}</td>' if place in line.best else f"<td>{escape(cell)}</td>"
        for place, cell in enumerate(line.cells)
    )
    return (
        f'<tr class="{kind}{first}"><th scope="row"><b>{escape(line.label)}</b>{detail}{tag}</th>{cells}</tr>'
    )
