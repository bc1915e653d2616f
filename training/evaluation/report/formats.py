"""The report in its two forms: one HTML file that fetches nothing, and its tables as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from training.evaluation.report.evaluations import Evaluation
from training.evaluation.report.report_charts import CamerasTable, cameras_table, cmc_chart, reliability_chart
from training.evaluation.report.report_tables import (
    OURS,
    PUBLISHED,
    ReportTable,
    drawn_people_tables,
    evaluations_table,
    figure_tables,
    paper_tables,
)
from training.evaluation.results import SHOWN, Rankings, picture_file
from training.pages import filled, jpeg_url

TITLE = "ChatReID: evaluation report"
LEAD = (
    "Figures in per cent unless a column says otherwise. Published rows are printed in the paper; ours were "
    "measured by this software, by the protocols in docs/evaluation.md. Bold is the best of a column, a dash "
    "means not given."
)
ABSENT = "No run of ours is on these benchmarks; the published rows stand alone."
PLACES = 10  # crops shown of a ranking


def markdown_report(evaluations: Sequence[Evaluation]) -> str:
    """What was evaluated, the paper's tables with ours beside them, and all figures; no pictures."""
    sections = (
        ("The paper's tables", paper_tables(evaluations)),
        ("Drawn people", drawn_people_tables(evaluations)),
        ("All figures", figure_tables(evaluations)),
    )
    parts = [f"# {TITLE}", LEAD, "## What was evaluated", _markdown_table(evaluations_table(evaluations))]
    for title, tables in sections:
        if tables or title != "Drawn people":
            parts.append(f"## {title}")
        for table in tables:
            parts += [f"### {table.title}", _markdown_table(table)]
            if notes := notes_of(table):
                parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts) + "\n"


def notes_of(table: ReportTable) -> tuple[str, ...]:
    """The table's notes, and before them that it has no row of ours where that is so."""
    return (ABSENT, *table.notes) if table.sources <= {PUBLISHED} else table.notes


def _markdown_table(table: ReportTable) -> str:
    heads = list(table.heads)
    if table.groups and len(table.groups) != 5:  # Table 4's heads are names already
        groups = [title for title, span in table.groups for _ in range(span)]
        heads = [f"{group} {head}".strip() for group, head in zip(groups, heads, strict=True)]
    rules = ["---"] * (1 + table.words) + ["---:"] * (len(heads) - table.words)
    rows = [[table.first, *heads], rules]
    for row in table.rows:
        label = " ".join(part for part in (row.label, f"({row.detail})" if row.detail else "") if part)
        if PUBLISHED in table.sources and row.source in (PUBLISHED, OURS):
            label = f"{label}, {row.source}"
        rows.append([label, *(f"**{c}**" if n in row.best else c for n, c in enumerate(row.cells))])
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)


def html_report(evaluations: Sequence[Evaluation]) -> str:
    """The whole report. Raises ResultError for a damaged file of an evaluation."""
    settings = [
        _setting(one, setting, f"{one.title(evaluations)}, {setting}")
        for one in evaluations
        for setting in one.result.settings
    ]
    return filled(
        "evaluation_report.html",
        title=TITLE,
        lead=LEAD,
        notes_of=notes_of,
        evaluated=evaluations_table(evaluations),
        paper=paper_tables(evaluations),
        drawn=drawn_people_tables(evaluations),
        figures=figure_tables(evaluations),
        settings=settings,
        reliability=_reliability(evaluations),
    )


@dataclass(frozen=True)
class RankedCrop:
    """A place of a ranking, counted from 1. picture: a data: URL, "" where none was kept."""

    place: int
    right: bool
    name: str
    camera: str
    picture: str


@dataclass(frozen=True)
class RankedQuery:
    """A query with its first places. first: the place of the first right crop. average_precision: 0..1."""

    name: str
    text: str
    camera: str
    picture: str
    average_precision: float
    first: int
    crops: tuple[RankedCrop, ...]


@dataclass(frozen=True)
class EvaluatedSetting:
    """What the page draws of a setting. galleries: (heading, queries) of the ranker that stands for it."""

    title: str
    ranker: str
    cmc_svg: str = ""
    cameras: CamerasTable | None = None
    galleries: tuple[tuple[str, tuple[RankedQuery, ...]], ...] = field(default=())


def _setting(one: Evaluation, setting: str, title: str) -> EvaluatedSetting:
    read = {ranker: Rankings.read(one.folder, setting, ranker) for ranker in one.result.settings[setting]}
    rankings = {ranker: kept for ranker, kept in read.items() if kept is not None}
    cmc = cmc_chart(title, {ranker: kept.cmc for ranker, kept in rankings.items()}) if rankings else ""
    ranker = one.main_ranker(setting)
    if ranker not in rankings:
        return EvaluatedSetting(title, ranker, cmc)
    kept = rankings[ranker]
    best, worst = kept.best(SHOWN), kept.worst(SHOWN)
    galleries = tuple(
        (heading, tuple(_ranked_query(one, setting, kept, int(query)) for query in queries))
        for heading, queries in (("Best queries", best), ("Worst queries", worst[~np.isin(worst, best)]))
        if len(queries)
    )
    return EvaluatedSetting(title, ranker, cmc, cameras_table(kept), galleries)


def _ranked_query(one: Evaluation, setting: str, kept: Rankings, query: int) -> RankedQuery:
    def picture(side: str, row: int) -> str:
        try:
            return jpeg_url(picture_file(one.folder, setting, side, row).read_bytes())
        except OSError:  # not kept
            return ""

    crops = []
    for place in range(PLACES):
        if (row := int(kept.top[query, place])) >= 0:
            name, camera = str(kept.gallery.names[row]), str(kept.gallery.cameras[row])
            crops.append(
                RankedCrop(place + 1, bool(kept.hits[query, place]), name, camera, picture("g", row))
            )
    return RankedQuery(
        str(kept.queries.names[query]),
        str(kept.queries.texts[query]),
        str(kept.queries.cameras[query]),
        picture("q", query),
        float(kept.ap[query]),
        int(kept.first[query]),
        tuple(crops),
    )


def _reliability(evaluations: Sequence[Evaluation]) -> list[tuple[str, float, str]]:
    """(title, ECE, svg) of each kind of query of the open-set evaluations."""
    charts = []
    for one in evaluations:
        kinds: Any = one.result.extra.get("reliability")
        for kind, bins in kinds.items() if isinstance(kinds, dict) else ():
            title = f"{one.title(evaluations)}, {kind}"
            charts.append((title, float(bins["ece"]), reliability_chart(title, bins)))
    return charts
