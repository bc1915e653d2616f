"""The report's tables as plain cells, the same for Markdown and HTML.

The paper's Tables 1 to 6 with ours below; what was evaluated; every figure of every evaluation; evaluations on
drawn people side by side.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from training.evaluation.report.evaluations import (
    Evaluation,
    MeasuredRow,
    measured_rows,
    model_label,
    size_label,
    stages_label,
)
from training.evaluation.report.published import (
    MAP,
    PARTIAL,
    PUBLISHED_AVERAGES,
    SHOWN_AS,
    TABLES,
    PublishedTable,
)
from training.evaluation.results import Result

DASH = "–"
PUBLISHED, OURS, FRAME = "published", "ours", "frame"
SHORT = {"SYSU-MM01": "MM01", "CUHK-PEDES": "CUHK", "ICFG-PEDES": "ICFG"}  # as the paper's Table 4
TABLE4_GROUPS = (("Standard", 3), ("Clothes", 2), ("Infrared", 2), ("Text", 3), ("", 1))

FRAMING = ("histogram", "truth")  # floor and ceiling of the synthetic benchmark
PERCENT, PLAIN, COUNT = "percent", "plain", "count"
# Key of a figure -> (head of its column, how it is printed, whether more is better and may be set in bold).
KNOWN: Mapping[str, tuple[str, str, bool]] = {
    "mAP": ("mAP", PERCENT, True),
    "rank1": ("R-1", PERCENT, True),
    "rank5": ("R-5", PERCENT, True),
    "rank10": ("R-10", PERCENT, True),
    "mINP": ("mINP", PERCENT, True),
    "prefilter_recall": ("Recall@K", PERCENT, False),
    "auroc": ("AUROC", PLAIN, True),
    "far_at_90": ("False alarms at 90 %", PERCENT, False),
    "detected": ("Detected", PERCENT, False),
    "false_alarms": ("False alarms", PERCENT, False),
    "ece": ("ECE", PLAIN, False),
    "queries": ("Queries", COUNT, False),
    "searches": ("Searches", COUNT, False),
    "queries_without_match": ("No match", COUNT, False),
}

# The settings of drawn people whose counterparts make up Table 4; their mean is the last column.
AVERAGED = ("standard", "look-alikes", "clothes-changing", "visible-infrared", "text-to-image")
DRAWN_PEOPLE = (
    "Ours alone: the paper has no drawn people. histogram and truth are bounds: colours in stripes, and the "
    "attributes that show, compared without error. Avg. is over " + ", ".join(AVERAGED) + "."
)


@dataclass(frozen=True)
class ReportRow:
    """source: PUBLISHED, OURS, or FRAME (a bound, not a competitor). best: columns to set in bold.

    label: "" where the row goes on under the label of the one above.
    """

    label: str
    detail: str
    source: str
    cells: tuple[str, ...]
    best: frozenset[int] = frozenset()


@dataclass(frozen=True)
class ReportTable:
    """first: head of the labels. groups: (title, how many columns) above heads. anchor: its id in the page."""

    title: str
    anchor: str
    first: str
    groups: tuple[tuple[str, int], ...]
    heads: tuple[str, ...]
    rows: tuple[ReportRow, ...]
    notes: tuple[str, ...] = ()
    words: int = 0  # leading columns that hold words, not figures

    @property
    def sources(self) -> frozenset[str]:
        return frozenset(row.source for row in self.rows)

    def blocks(self) -> list[list[ReportRow]]:
        """Rows that stand under one label."""
        blocks: list[list[ReportRow]] = []
        for row in self.rows:
            if row.label or not blocks:
                blocks.append([])
            blocks[-1].append(row)
        return blocks


@dataclass
class _FigureRow:
    """A row on its way into a table; figures in per cent, None where there is none."""

    label: str
    detail: str
    source: str
    figures: list[float | None]
    partial: set[int] = field(default_factory=set)  # columns that are not comparable
    rival: bool = True  # whether it may have the best figure of a column

    def competes(self, column: int) -> bool:
        return self.rival and column not in self.partial and self.figures[column] is not None


def _printed(rows: Sequence[_FigureRow]) -> tuple[ReportRow, ...]:
    """The rows as cells; the best figure of each column is set in bold."""
    best = [
        max((row.figures[column] or 0.0 for row in rows if row.competes(column)), default=None)
        for column in range(len(rows[0].figures))
    ]
    return tuple(
        ReportRow(
            row.label,
            row.detail,
            row.source,
            tuple(
                DASH if figure is None else f"{figure:.1f}" + ("†" if column in row.partial else "")
                for column, figure in enumerate(row.figures)
            ),
            frozenset(c for c, figure in enumerate(row.figures) if row.competes(c) and figure == best[c]),
        )
        for row in rows
    )


def _whole_mean(figures: Sequence[float | None]) -> float | None:
    """None where a figure is missing."""
    known = [figure for figure in figures if figure is not None]
    return sum(known) / len(known) if len(known) == len(figures) else None


def paper_tables(evaluations: Sequence[Evaluation]) -> tuple[ReportTable, ...]:
    """Tables 1 to 6: what the paper prints, and ours below it."""
    return tuple(_paper_table(table, evaluations) for table in TABLES)


def _paper_table(table: PublishedTable, evaluations: Sequence[Evaluation]) -> ReportTable:
    columns = table.columns
    rows = [_FigureRow(label, "", PUBLISHED, list(figures)) for label, figures in table.rows]
    for measured in measured_rows(evaluations, columns, rankers=table.number not in (4, 6)):
        figures = [measured.figures.get(column) for column in range(len(columns))]
        rows.append(_FigureRow(*_named(measured, table.number), OURS, figures, measured.partial))
    groups = tuple((column.title, 2) for column in columns if column.metric == MAP)
    heads = tuple(SHOWN_AS[column.metric] for column in columns)
    if table.number == 4:
        for row in rows:
            ours = row.source == OURS
            row.figures.append(_whole_mean(row.figures) if ours else PUBLISHED_AVERAGES[row.label])
            row.partial |= {len(columns)} if row.partial else set()
        groups = TABLE4_GROUPS
        heads = (*(SHORT.get(column.title, column.title) for column in columns), "Avg.")
    elif table.number == 6:
        groups, heads = (), tuple(column.title for column in columns)
    return ReportTable(
        f"Table {table.number}. {table.caption}",
        f"table-{table.number}",
        "Parameters" if table.number == 6 else "Method",
        groups,
        heads,
        _printed(rows),
        (*table.notes, PARTIAL) if any(row.partial for row in rows) else table.notes,
    )


def _named(row: MeasuredRow, table: int) -> tuple[str, str]:
    """(label, detail) of a row of ours: as in the paper, Table 4 goes by stages, Table 6 by size."""
    names = {4: row.stages or "none of the stages", 6: row.size or "size unknown"}
    if table not in names:
        return row.label, ", ".join(row.detail)
    name = names[table]
    return name, ", ".join([row.label, *(part for part in row.detail if part != name)])


def evaluations_table(evaluations: Sequence[Evaluation]) -> ReportTable:
    """What was evaluated, a row for each."""
    rows = []
    for one in evaluations:
        result, model = one.result, one.result.model
        counts = [
            int(figures.get("queries", 0))
            for rankers in result.settings.values()
            for figures in rankers.values()
        ]
        cells = (
            model_label(one),
            size_label(model.parameters) or DASH,
            stages_label(model.stages) or DASH,
            model.encoder or DASH,
            str(model.k) if model.k else DASH,
            "by kind" if model.tau is None else f"{model.tau:g}",
            str(max(counts, default=0) or DASH),
            _per_query(result.seconds),
            _duration(result.seconds.get("total", 0.0)),
        )
        rows.append(ReportRow(one.name, _unusual_kind(one), OURS, cells))
    heads = ("Model", "Size", "Stages", "Encoder", "K", "τ", "Queries", "Per query", "In all")
    return ReportTable("What was evaluated", "runs", "Run", (), heads, tuple(rows), words=4)


def _unusual_kind(one: Evaluation) -> str:
    return one.result.kind if one.result.kind not in ("benchmark", "synthetic") else ""


def _per_query(seconds: Mapping[str, float]) -> str:
    """Of a search, without the best choice, which few queries are asked."""
    parts = [spent for part, spent in seconds.items() if part.endswith("per query") and "choice" not in part]
    return f"{sum(parts):.2f} s" if parts else DASH


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def figure_tables(evaluations: Sequence[Evaluation]) -> tuple[ReportTable, ...]:
    """A table for each evaluation, with the columns that its figures have, and what has to be known of it.

    A row per setting and ranker; evaluations without figures are left out.
    """
    tables = []
    for number, one in enumerate(evaluations):
        settings = one.result.settings
        given = {key for rankers in settings.values() for figures in rankers.values() for key in figures}
        keys = [key for key in KNOWN if key in given]
        rows = [
            ReportRow(
                setting if place == 0 else "",
                "",
                FRAME if ranker in FRAMING else OURS,
                (ranker, *(_cell(figures, key) for key in keys)),
                frozenset(_best_columns(rankers, ranker, keys)),
            )
            for setting, rankers in settings.items()
            for place, (ranker, figures) in enumerate(rankers.items())
        ]
        heads = ("Ranker", *(KNOWN[key][0] for key in keys))
        title = ", ".join(part for part in (one.title(evaluations), _unusual_kind(one)) if part)
        if rows:
            notes = tuple(_notes(one.result))
            tables.append(
                ReportTable(title, f"run-{number}", "Setting", (), heads, tuple(rows), notes, words=1)
            )
    return tuple(tables)


def _best_columns(
    rankers: Mapping[str, Mapping[str, float]], ranker: str, keys: Sequence[str]
) -> Iterable[int]:
    """The columns (0 is the ranker's name) in which a ranker is the best of its setting, bounds aside."""
    rivals = [figures for name, figures in rankers.items() if name not in FRAMING]
    if ranker in FRAMING or len(rivals) < 2:
        return
    for column, key in enumerate(keys, 1):
        value = rankers[ranker].get(key)
        if KNOWN[key][2] and value is not None and value == max(f.get(key, -1.0) for f in rivals):
            yield column


def _cell(figures: Mapping[str, float], key: str) -> str:
    if key not in figures:
        return DASH
    form = KNOWN[key][1]
    if form == COUNT:
        return str(int(figures[key]))
    return f"{100 * figures[key]:.1f}" if form == PERCENT else f"{figures[key]:.3f}"


def _notes(result: Result) -> Iterable[str]:
    """The world, the result's own notes, seconds per query, paired bootstraps of AP, and the dialogue's sums."""
    if result.world:
        yield "Drawn people: " + ", ".join(f"{name} {value}" for name, value in result.world.items()) + "."
    yield from result.notes
    spent = {
        part.removesuffix(" per query"): seconds
        for part, seconds in result.seconds.items()
        if part.endswith("per query")
    }
    if spent:
        yield "Seconds per query: " + ", ".join(f"{part} {s:.3f}" for part, s in spent.items() if s) + "."
    differences = result.extra.get("differences")
    for setting, pairs in differences.items() if isinstance(differences, dict) else ():
        parts = [
            f"{pair.replace(' - ', ' − ')} {_signed(d['mean'])} [{_signed(d['low'])}, {_signed(d['high'])}]"
            for pair, d in pairs.items()
        ]
        if parts:
            yield f"{setting}, mAP in points with its 95 % interval: {'; '.join(parts)}."
    if result.kind == "dialogue":
        if isinstance(hits := result.extra.get("hits"), dict):
            last = [f"{top} {100 * by_round[-1]:.1f}" for top, by_round in hits.items() if by_round]
            yield f"Found by the last round at least once: {', '.join(last)}."
        if isinstance(bri := result.extra.get("bri"), float):
            yield f"BRI {bri:.3f}."


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def drawn_people_tables(evaluations: Sequence[Evaluation]) -> tuple[ReportTable, ...]:
    """In Table 4's form: a table for each world of drawn people, mAP by setting, a row per evaluation and ranker."""
    worlds: dict[tuple[tuple[str, str], ...], list[Evaluation]] = {}
    for one in evaluations:
        if one.result.kind == "synthetic":
            world = tuple((name, str(value)) for name, value in one.result.world.items())
            worlds.setdefault(world, []).append(one)
    return tuple(_world_table(number, *world) for number, world in enumerate(worlds.items()))


def _world_table(
    number: int, world: tuple[tuple[str, str], ...], evaluations: Sequence[Evaluation]
) -> ReportTable:
    settings = list(dict.fromkeys(setting for one in evaluations for setting in one.result.settings))
    ours: list[_FigureRow] = []
    bounds: dict[str, _FigureRow] = {}
    for one in evaluations:
        model = one.result.model
        for ranker in dict.fromkeys(r for rankers in one.result.settings.values() for r in rankers):
            figures = [_mean_ap(one, setting, ranker) for setting in settings]
            figures.append(_whole_mean([_mean_ap(one, setting, ranker) for setting in AVERAGED]))
            if ranker in FRAMING:
                bounds.setdefault(ranker, _FigureRow(ranker, "", FRAME, figures, rival=False))
            else:
                parts = (ranker, model_label(one), size_label(model.parameters))
                detail = ", ".join(part for part in parts if part)
                label = stages_label(model.stages) or "None of the stages"
                ours.append(_FigureRow(label, detail, OURS, figures))
    floor, ceiling = ([bounds[name]] if name in bounds else [] for name in FRAMING)
    for row in ours:
        row.rival = len(ours) > 1
    rows = _printed([*floor, *ours, *ceiling])
    given = ", ".join(f"{name} {value}" for name, value in world)
    title = f"Drawn people, mAP ({given})" if given else "Drawn people, mAP"
    return ReportTable(title, f"drawn-{number}", "Stages", (), (*settings, "Avg."), rows, (DRAWN_PEOPLE,))


def _mean_ap(one: Evaluation, setting: str, ranker: str) -> float | None:
    value = one.result.settings.get(setting, {}).get(ranker, {}).get("mAP")
    return None if value is None else 100 * float(value)
