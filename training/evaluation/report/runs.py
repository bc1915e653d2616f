"""Runs read for a report, and the rows that they make in the paper's tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.evaluation.report.published import QUERIES, Column
from training.evaluation.results import Result, ResultError

# Which ranker stands for a run where one has to: what the app ships, else the next best thing.
PREFERRED = ("combined", "pairwise", "best-choice", "clip")


@dataclass(frozen=True)
class Run:
    """One evaluation and the folder that it lies in."""

    folder: Path
    result: Result

    @property
    def name(self) -> str:
        result = self.result
        return f"{result.benchmark}:{result.variant}" if result.variant else result.benchmark

    def titled(self, among: Sequence[Run]) -> str:
        """Its name, with the model's where others of the report had another one."""
        known = {(m.name, m.stages, m.encoder) for m in (run.result.model for run in among)}
        return self.name if len(known) == 1 else f"{self.name}, {model_label(self)}"

    def shown(self, setting: str) -> str:
        """The ranker that stands for a setting; "" where it has none."""
        rankers = self.result.settings.get(setting, {})
        return next((ranker for ranker in (*PREFERRED, *rankers) if ranker in rankers), "")


@dataclass(frozen=True)
class Row:
    """Ours in a table: who, by what, and a figure per column in per cent, or None.

    size, stages: as they are printed, "" where unknown. partial: columns measured on another number of
    queries than the benchmark has.
    """

    label: str
    detail: str
    figures: tuple[float | None, ...]
    partial: frozenset[int] = frozenset()
    size: str = ""
    stages: str = ""


def read_runs(folders: Iterable[Path | str]) -> tuple[Run, ...]:
    """Raises ResultError for the first folder that holds no evaluation."""
    runs = tuple(Run(Path(folder), Result.read(folder)) for folder in folders)
    if not runs:
        raise ResultError("name at least one folder that `python -m training evaluate --out` wrote")
    return runs


def model_label(run: Run) -> str:
    """Short name of who answered: the checkpoint's folder, or CLIP's where it was alone."""
    model = run.result.model
    return Path(model.name).name if model.name else model.encoder.partition("@")[0] or "CLIP"


def stages_label(stages: Sequence[str]) -> str:
    """Of the manifest's stages those that the paper numbers: "Stage 2 + Stage 3", "Stages 1 to 3"; "" for none."""
    found = sorted(
        {int(n) for stage in stages if (m := re.fullmatch(r"stage[-_ ]?([123])", stage)) for n in m.groups()}
    )
    if found == [1, 2, 3]:
        return "Stages 1 to 3"
    return " + ".join(f"Stage {number}" for number in found)


def size_label(parameters: int) -> str:
    """Parameters as Table 6 prints them: "2.2 B", "3.8 M"; "" where unknown."""
    for unit, many in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if parameters >= many:
            return f"{parameters / many:.1f} {unit}"
    return ""


def rows_of(runs: Sequence[Run], columns: Sequence[Column], *, rankers: bool = True) -> tuple[Row, ...]:
    """Ours, a row for each model (and ranker) that has a figure in one of the columns.

    Runs of one model on several benchmarks share a row. rankers: False keeps, of each, the one that ships.
    """
    rows: dict[tuple[object, ...], dict[int, float]] = {}
    labels: dict[tuple[object, ...], tuple[str, str]] = {}
    partial: dict[tuple[object, ...], set[int]] = {}
    known: dict[tuple[object, ...], tuple[str, str]] = {}
    for run in runs:
        model = run.result.model
        for place, column in enumerate(columns):
            if run.result.kind != "benchmark" or run.result.benchmark != column.benchmark:
                continue
            found = run.result.settings.get(column.setting, {})
            for ranker, figures in found.items() if rankers else _shipped(found):
                if column.metric not in figures:
                    continue
                key: tuple[object, ...] = (model, run.result.variant, ranker if rankers else "")
                rows.setdefault(key, {})[place] = 100 * float(figures[column.metric])
                whole = int(figures.get("queries", 0)) == QUERIES[column.benchmark]
                partial.setdefault(key, set()).update(() if whole else {place})
                known[key] = (size_label(model.parameters), stages_label(model.stages))
                labels[key] = (model_label(run), _detail(run, ranker))
    return tuple(
        Row(
            *labels[key],
            tuple(found.get(place) for place in range(len(columns))),
            frozenset(partial[key]),
            *known[key],
        )
        for key, found in rows.items()
    )


def _shipped(rankers: Mapping[str, Mapping[str, float]]) -> list[tuple[str, Mapping[str, float]]]:
    return [(ranker, rankers[ranker]) for ranker in PREFERRED if ranker in rankers][:1]


def _detail(run: Run, ranker: str) -> str:
    model = run.result.model
    parts = [ranker, size_label(model.parameters), stages_label(model.stages), run.result.variant]
    return ", ".join(part for part in parts if part)
