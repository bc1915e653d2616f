"""The report's tables as plain cells, the same for Markdown and HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from training.evaluation.report.published import MAP, PARTIAL, PUBLISHED_AVERAGES, SHOWN_AS, TABLES, Table
from training.evaluation.report.runs import Row, Run, model_label, rows_of, size_label, stages_label

DASH = "–"
PUBLISHED, OURS, FRAME = "published", "ours", "frame"
SHORT = {"SYSU-MM01": "MM01", "CUHK-PEDES": "CUHK", "ICFG-PEDES": "ICFG"}  # as the paper's Table 4


@dataclass(frozen=True)
class Line:
    """One row. source: PUBLISHED, OURS, or FRAME (a bound, not a competitor). best: columns to set in bold."""

    label: str
    detail: str
    source: str
    cells: tuple[str, ...]
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Grid:
    """A table. groups: (title, how many columns); heads: below them. anchor: its id in the page."""

    title: str
    anchor: str
    first: str
    groups: tuple[tuple[str, int], ...]
    heads: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    words: int = 0  # leading columns that hold words, not figures


def paper_grids(runs: Sequence[Run]) -> tuple[Grid, ...]:
    """Tables 1 to 6: what the paper prints, and ours below it."""
    return tuple(_paper_grid(table, runs) for table in TABLES)


def _paper_grid(table: Table, runs: Sequence[Run]) -> Grid:
    compared = table.number not in (4, 6)
    ours = rows_of(runs, table.columns, rankers=compared)
    if table.number == 4:  # as in the paper, a row is named by its stages, or by its size
        ours = tuple(_named(row, row.stages or "none of the stages") for row in ours)
    if table.number == 6:
        ours = tuple(_named(row, row.size or "size unknown") for row in ours)
    rows = [_Drawn(label, "", PUBLISHED, list(figures)) for label, figures in table.rows]
    rows += [_Drawn(row.label, row.detail, OURS, list(row.figures), row.partial) for row in ours]
    if table.number == 4:
        for row in rows:
            known = [figure for figure in row.figures if figure is not None]
            whole = sum(known) / len(known) if len(known) == len(table.columns) else None
            row.figures.append(PUBLISHED_AVERAGES[row.label] if row.source == PUBLISHED else whole)
            row.partial |= {len(table.columns)} if row.partial else set()
    lines = _lines(rows)
    if table.number == 4:
        groups: tuple[tuple[str, int], ...] = (
            ("Standard", 3),
            ("Clothes", 2),
            ("Infrared", 2),
            ("Text", 3),
            ("", 1),
        )
        heads = (*(SHORT.get(column.title, column.title) for column in table.columns), "Avg.")
    elif table.number == 6:
        groups, heads = (), tuple(column.title for column in table.columns)
    else:
        groups = tuple((column.title, 2) for column in table.columns if column.metric == MAP)
        heads = tuple(SHOWN_AS[column.metric] for column in table.columns)
    first = "Parameters" if table.number == 6 else "Method"
    title = f"Table {table.number}. {table.caption}"
    notes = (*table.notes, PARTIAL) if any(row.partial for row in rows) else table.notes
    return Grid(title, f"table-{table.number}", first, groups, heads, lines, notes)


@dataclass
class _Drawn:
    """A row on its way into the table; figures in per cent."""

    label: str
    detail: str
    source: str
    figures: list[float | None]
    partial: frozenset[int] = frozenset()

    def counts(self, place: int) -> bool:
        """Whether a column's figure may be compared."""
        return place not in self.partial and self.figures[place] is not None


def _named(row: Row, name: str) -> Row:
    """The row under another name; its own goes to the detail."""
    rest = [part for part in row.detail.split(", ") if part != name]
    return replace(row, label=name, detail=", ".join([row.label, *rest]))


def _lines(rows: Sequence[_Drawn]) -> tuple[Line, ...]:
    tops = [
        max((row.figures[place] or 0.0 for row in rows if row.counts(place)), default=None)
        for place in range(len(rows[0].figures))
    ]
    return tuple(
        Line(
            row.label,
            row.detail,
            row.source,
            tuple(
                DASH if figure is None else f"{figure:.1f}" + ("†" if place in row.partial else "")
                for place, figure in enumerate(row.figures)
            ),
            frozenset(n for n, f in enumerate(row.figures) if row.counts(n) and f == tops[n]),
        )
        for row in rows
    )


def run_grid(runs: Sequence[Run]) -> Grid:
    """What was evaluated, a line per run."""
    lines = []
    for run in runs:
        result, model = run.result, run.result.model
        queries = max(
            (int(f.get("queries", 0)) for r in result.settings.values() for f in r.values()), default=0
        )
        lines.append(
            Line(
                f"{run.name}",
                result.kind if result.kind not in ("benchmark", "synthetic") else "",
                OURS,
                (
                    model_label(run),
                    size_label(model.parameters) or DASH,
                    stages_label(model.stages) or DASH,
                    model.encoder or DASH,
                    str(model.k) if model.k else DASH,
                    "by kind" if model.tau is None else f"{model.tau:g}",
                    str(queries) if queries else DASH,
                    _per_query(result.seconds),
                    _duration(result.seconds.get("total", 0.0)),
                ),
            )
        )
    heads = ("Model", "Size", "Stages", "Encoder", "K", "τ", "Queries", "Per query", "In all")
    return Grid("What was evaluated", "runs", "Run", (), heads, tuple(lines), words=4)


def _per_query(seconds: Mapping[str, float]) -> str:
    """Of a search, without the best choice, which few queries are asked."""
    parts = [spent for part, spent in seconds.items() if part.endswith("per query") and "choice" not in part]
    return f"{sum(parts):.2f} s" if parts else DASH


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
