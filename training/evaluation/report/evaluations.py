"""The evaluations that a report is made of, and the rows that they add to the paper's tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.evaluation.report.published import QUERIES, PublishedColumn
from training.evaluation.results import Result, ResultError

# Which ranker stands for an evaluation where one has to: what the app ships, else the next best thing.
PREFERRED = ("fused", "pairwise", "best-choice", "clip")


@dataclass(frozen=True)
class Evaluation:
    """What `python -m training evaluate --out` left, and the folder that it lies in."""

    folder: Path
    result: Result

    @property
    def name(self) -> str:
        result = self.result
        return f"{result.benchmark}:{result.variant}" if result.variant else result.benchmark

    def title(self, among: Sequence[Evaluation]) -> str:
        """Its name, with the model's where others of the report had another one."""
        models = {(m.name, m.stages, m.encoder) for m in (one.result.model for one in among)}
        return self.name if len(models) == 1 else f"{self.name}, {model_label(self)}"

    def main_ranker(self, setting: str) -> str:
        """The ranker that stands for a setting; "" where it has none."""
        rankers = self.result.settings.get(setting, {})
        return next((ranker for ranker in (*PREFERRED, *rankers) if ranker in rankers), "")


@dataclass
class MeasuredRow:
    """A model's row in a table of the paper.

    figures: column -> per cent. partial: columns measured on another number of queries than the benchmark
    has. detail: ranker, size, stages and variant, as far as they are known. size, stages: as they are printed,
    "" where unknown.
    """

    label: str
    detail: tuple[str, ...]
    size: str
    stages: str
    figures: dict[int, float] = field(default_factory=dict)
    partial: set[int] = field(default_factory=set)


def read_evaluations(folders: Iterable[Path | str]) -> tuple[Evaluation, ...]:
    """Raises ResultError for the first folder that holds no evaluation."""
    evaluations = tuple(Evaluation(Path(folder), Result.read(folder)) for folder in folders)
    if not evaluations:
        raise ResultError("name at least one folder that `python -m training evaluate --out` wrote")
    return evaluations


def measured_rows(
    evaluations: Sequence[Evaluation], columns: Sequence[PublishedColumn], *, rankers: bool = True
) -> tuple[MeasuredRow, ...]:
    """Ours, a row for each model (and ranker) that has a figure in one of the columns.

    Evaluations of one model on several benchmarks share a row. rankers: False keeps of each the one that ships.
    """
    rows: dict[tuple[object, ...], MeasuredRow] = {}
    for one in evaluations:
        result = one.result
        for place, column in enumerate(columns):
            if result.kind != "benchmark" or result.benchmark != column.benchmark:
                continue
            measured = result.settings.get(column.setting, {})
            shipped = [ranker for ranker in PREFERRED if ranker in measured][:1]
            for ranker in measured if rankers else shipped:
                figures = measured[ranker]
                if column.metric not in figures:
                    continue
                key = (result.model, result.variant, ranker if rankers else "")
                newest = _row(one, ranker)
                row = rows.setdefault(key, newest)
                row.detail = newest.detail
                row.figures[place] = 100 * float(figures[column.metric])
                if int(figures.get("queries", 0)) != QUERIES[column.benchmark]:
                    row.partial.add(place)
    return tuple(rows.values())


def _row(one: Evaluation, ranker: str) -> MeasuredRow:
    model = one.result.model
    size, stages = size_label(model.parameters), stages_label(model.stages)
    detail = tuple(part for part in (ranker, size, stages, one.result.variant) if part)
    return MeasuredRow(model_label(one), detail, size, stages)


def model_label(one: Evaluation) -> str:
    """Short name of who answered: the checkpoint's folder, or CLIP's where it was alone."""
    model = one.result.model
    return Path(model.name).name if model.name else model.encoder.partition("@")[0] or "CLIP"


def stages_label(stages: Sequence[str]) -> str:
    """Of the manifest's stages those that the paper numbers: "Stage 2 + Stage 3", "Stages 1 to 3"; "" for none."""
    matches = (re.fullmatch(r"stage[-_ ]?([123])", stage) for stage in stages)
    numbers = sorted({int(match[1]) for match in matches if match})
    if numbers == [1, 2, 3]:
        return "Stages 1 to 3"
    return " + ".join(f"Stage {number}" for number in numbers)


def size_label(parameters: int) -> str:
    """Parameters as Table 6 prints them: "2.2 B", "3.8 M"; "" where unknown."""
    for unit, many in (("B", 10**9), ("M", 10**6), ("k", 10**3)):
        if parameters >= many:
            return f"{parameters / many:.1f} {unit}"
    return ""
