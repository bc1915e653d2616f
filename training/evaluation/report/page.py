"""The report as one HTML file: nothing is fetched, nothing runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from training.evaluation.rankings import Rankings
from training.evaluation.report.ablation import ablation_grids
from training.evaluation.report.drawings import cameras_chart, cmc_chart, reliability_chart
from training.evaluation.report.figures import setting_grids
from training.evaluation.report.galleries import rank_gallery
from training.evaluation.report.grids import paper_grids, run_grid
from training.evaluation.report.runs import Run
from training.evaluation.report.style import STYLE
from training.evaluation.report.table import table
from training.evaluation.report.wording import CAMERAS, CURVES, GALLERY, LEAD, RELIABILITY, TITLE


def page(runs: Sequence[Run]) -> str:
    """The whole report. Raises ResultError for a damaged file of a run."""
    kept = [
        _Kept(run, setting, f"{run.titled(runs)}, {setting}", _rankings(run, setting))
        for run in runs
        for setting in run.result.settings
    ]
    sections = [
        ("runs", "What was evaluated", [table(run_grid(runs), titled=False)]),
        ("paper", "The paper's tables", [table(grid) for grid in paper_grids(runs)]),
        ("drawn", "Drawn people", [table(grid) for grid in ablation_grids(runs)]),
        ("figures", "All figures", [table(grid) for grid in setting_grids(runs)]),
        ("cmc", "CMC curves", _charts(_curves(kept), CURVES)),
        ("cameras", "Cameras", _charts(_cameras(kept), CAMERAS, "small")),
        ("confidence", "Confidence", _charts(_reliability(runs), RELIABILITY, "whole")),
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


@dataclass(frozen=True)
class _Kept:
    """What a run kept of a setting: its rankings by ranker."""

    run: Run
    setting: str
    title: str
    rankings: dict[str, Rankings]

    def shown(self) -> tuple[str, Rankings] | None:
        """The ranker that stands for the setting, and its rankings."""
        ranker = self.run.shown(self.setting)
        return (ranker, self.rankings[ranker]) if ranker in self.rankings else None


def _rankings(run: Run, setting: str) -> dict[str, Rankings]:
    found = {ranker: Rankings.read(run.folder, setting, ranker) for ranker in run.result.settings[setting]}
    return {ranker: kept for ranker, kept in found.items() if kept is not None}


def _curves(kept: Sequence[_Kept]) -> Iterable[tuple[str, str]]:
    for one in kept:
        if one.rankings:
            yield one.title, cmc_chart({ranker: found.cmc for ranker, found in one.rankings.items()})


def _cameras(kept: Sequence[_Kept]) -> Iterable[tuple[str, str]]:
    for one in kept:
        if (shown := one.shown()) and (drawn := cameras_chart(shown[1])):
            yield f"{one.title}, {shown[0]}", drawn


def _reliability(runs: Sequence[Run]) -> Iterable[tuple[str, str]]:
    for run in runs:
        if drawn := reliability_chart(run.result.extra.get("reliability_svg")):
            yield run.titled(runs), drawn


def _galleries(kept: Sequence[_Kept]) -> Iterable[str]:
    legend = f'<p class="legend">{GALLERY}</p>'
    for one in kept:
        if (shown := one.shown()) and (drawn := rank_gallery(one.run, one.setting, shown[1])):
            yield f"{legend}<h3>{escape(one.title)}, {escape(shown[0])}</h3>{drawn}"
            legend = ""


def _charts(drawn: Iterable[tuple[str, str]], legend: str, width: str = "") -> list[str]:
    figures = [
        f'<figure><figcaption>{escape(title)}</figcaption><div class="scroll">{svg}</div></figure>'
        for title, svg in drawn
    ]
    kind = f"charts {width}".strip()
    return [f'<p class="legend">{legend}</p><div class="{kind}">{"".join(figures)}</div>'] if figures else []
