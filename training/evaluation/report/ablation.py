"""Runs of the synthetic benchmark side by side, in Table 4's form: stages, size, and mAP on each setting."""

from __future__ import annotations

from collections.abc import Sequence

from training.evaluation.report.figures import FRAMING
from training.evaluation.report.grids import DASH, FRAME, OURS, Grid, Line
from training.evaluation.report.runs import Run, model_label, size_label, stages_label

# The settings whose counterparts make up Table 4; their mean is the last column.
AVERAGED = ("standard", "look-alikes", "clothes-changing", "visible-infrared", "text-to-image")
NOTE = (
    "Ours alone: the paper has no drawn people. histogram and truth are bounds: colours in stripes, and the "
    "attributes that show, compared without error. Avg. is over " + ", ".join(AVERAGED) + "."
)


def ablation_grids(runs: Sequence[Run]) -> tuple[Grid, ...]:
    """A table for each world of drawn people: mAP by setting, a row for each run and ranker."""
    worlds: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run in runs:
        if run.result.kind == "synthetic":
            worlds.setdefault(tuple((k, str(v)) for k, v in run.result.world.items()), []).append(run)
    return tuple(_grid(number, dict(world), found) for number, (world, found) in enumerate(worlds.items()))


def _grid(number: int, world: dict[str, str], runs: Sequence[Run]) -> Grid:
    settings = list(dict.fromkeys(setting for run in runs for setting in run.result.settings))
    rows: list[tuple[str, str, str, list[float | None]]] = []
    bounds: dict[str, tuple[str, str, str, list[float | None]]] = {}
    for run in runs:
        for ranker in dict.fromkeys(r for of in run.result.settings.values() for r in of):
            values = [_map(run, setting, ranker) for setting in settings]
            five = [_map(run, setting, ranker) for setting in AVERAGED]
            known = [value for value in five if value is not None]
            values.append(sum(known) / len(known) if len(known) == len(five) else None)
            if ranker in FRAMING:
                bounds.setdefault(ranker, (ranker, "", FRAME, values))
            else:
                model = run.result.model
                parts = [ranker, model_label(run), size_label(model.parameters)]
                label = stages_label(model.stages) or "None of the stages"
                rows.append((label, ", ".join(part for part in parts if part), OURS, values))
    ordered = [
        *(bounds[b] for b in FRAMING[:1] if b in bounds),
        *rows,
        *(bounds[b] for b in FRAMING[1:] if b in bounds),
    ]
    tops = [
        max((row[3][place] or 0.0 for row in rows if row[3][place] is not None), default=None)
        for place in range(len(settings) + 1)
    ]
    lines = tuple(
        Line(
            label,
            detail,
            source,
            tuple(DASH if value is None else f"{value:.1f}" for value in values),
            frozenset(
                place
                for place, value in enumerate(values)
                if source == OURS and len(rows) > 1 and value is not None and value == tops[place]
            ),
        )
        for label, detail, source, values in ordered
    )
    told = ", ".join(f"{name} {value}" for name, value in world.items())
    title = f"Drawn people, mAP ({told})" if told else "Drawn people, mAP"
    return Grid(title, f"drawn-{number}", "Stages", (), (*settings, "Avg."), lines, (NOTE,))


def _map(run: Run, setting: str, ranker: str) -> float | None:
    value = run.result.settings.get(setting, {}).get(ranker, {}).get("mAP")
    return None if value is None else 100 * float(value)
