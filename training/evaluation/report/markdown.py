"""The report's tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from training.evaluation.report.ablation import ablation_grids
from training.evaluation.report.figures import setting_grids
from training.evaluation.report.grids import OURS, PUBLISHED, Grid, Line, paper_grids, run_grid
from training.evaluation.report.runs import Run
from training.evaluation.report.wording import ABSENT, LEAD, TITLE


def markdown(runs: Sequence[Run]) -> str:
    """Runs, the paper's tables with ours beside them, and all figures; pictures are in the HTML only."""
    parts = [f"# {TITLE}", LEAD, "## What was evaluated", _table(run_grid(runs)), "## The paper's tables"]
    for grid in paper_grids(runs):
        parts += [f"### {grid.title}", _table(grid), *_notes(grid)]
    if drawn := ablation_grids(runs):
        parts.append("## Drawn people")
        for grid in drawn:
            parts += [f"### {grid.title}", _table(grid), *_notes(grid)]
    parts.append("## All figures")
    for grid in setting_grids(runs):
        parts += [f"### {grid.title}", _table(grid), *_notes(grid)]
    return "\n\n".join(parts) + "\n"


def _table(grid: Grid) -> str:
    groups = [title for title, span in grid.groups for _ in range(span)] or [""] * len(grid.heads)
    heads = [
        f"{group} {head}".strip() if head != group else head
        for group, head in zip(groups, grid.heads, strict=True)
    ]
    if len(grid.groups) == 5:  # Table 4's heads are names already
        heads = list(grid.heads)
    mixed = any(line.source == PUBLISHED for line in grid.lines)
    rows = [[grid.first, *heads], ["---", *(["---"] * grid.words), *(["---:"] * (len(heads) - grid.words))]]
    rows += [[_first(line, mixed), *_cells(line)] for line in grid.lines]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def _first(line: Line, mixed: bool) -> str:
    label = " ".join(part for part in (line.label, f"({line.detail})" if line.detail else "") if part)
    return f"{label}, {line.source}" if mixed and line.source in (PUBLISHED, OURS) else label


def _cells(line: Line) -> list[str]:
    return [f"**{cell}**" if place in line.best else cell for place, cell in enumerate(line.cells)]


def _notes(grid: Grid) -> list[str]:
    notes = [ABSENT] if all(line.source == PUBLISHED for line in grid.lines) else []
    return ["\n".join(f"- {note}" for note in [*notes, *grid.notes])] if notes or grid.notes else []
