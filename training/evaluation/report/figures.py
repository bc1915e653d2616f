"""Every figure of every run as tables: a line per setting and ranker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from training.evaluation.report.grids import DASH, FRAME, OURS, Grid, Line
from training.evaluation.report.runs import Run

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


def setting_grids(runs: Sequence[Run]) -> tuple[Grid, ...]:
    """A table per run, with the columns that its figures have, and what has to be known of it."""
    grids = []
    for number, run in enumerate(runs):
        settings = run.result.settings
        had = {key for rankers in settings.values() for figures in rankers.values() for key in figures}
        keys = [key for key in KNOWN if key in had]
        lines = [
            Line(
                setting if place == 0 else "",
                "",
                FRAME if ranker in FRAMING else OURS,
                (ranker, *(_cell(figures, key) for key in keys)),
                frozenset(place + 1 for place in _best(rankers, ranker, keys)),
            )
            for setting, rankers in settings.items()
            for place, (ranker, figures) in enumerate(rankers.items())
        ]
        heads = ("Ranker", *(KNOWN[key][0] for key in keys))
        notes = (*_world(run), *run.result.notes, *_parts(run), *_differences(run), *_dialogue(run))
        title = run.titled(runs) + (
            "" if run.result.kind in ("benchmark", "synthetic") else f", {run.result.kind}"
        )
        grids.append(Grid(title, f"run-{number}", "Setting", (), heads, tuple(lines), notes, words=1))
    return tuple(grid for grid in grids if grid.lines)


def _best(rankers: Mapping[str, Mapping[str, float]], ranker: str, keys: Sequence[str]) -> Iterable[int]:
    """The columns in which a ranker is the best of its setting, bounds aside."""
    rivals = [figures for name, figures in rankers.items() if name not in FRAMING]
    if ranker in FRAMING or len(rivals) < 2:
        return
    for place, key in enumerate(keys):
        value = rankers[ranker].get(key)
        if KNOWN[key][2] and value is not None and value == max(f.get(key, -1.0) for f in rivals):
            yield place


def _cell(figures: Mapping[str, float], key: str) -> str:
    if key not in figures:
        return DASH
    form = KNOWN[key][1]
    if form == COUNT:
        return str(int(figures[key]))
    return f"{100 * figures[key]:.1f}" if form == PERCENT else f"{figures[key]:.3f}"


def _world(run: Run) -> Iterable[str]:
    if world := run.result.world:
        yield "Drawn people: " + ", ".join(f"{name} {value}" for name, value in world.items()) + "."


def _parts(run: Run) -> Iterable[str]:
    spent = {
        part.removesuffix(" per query"): s
        for part, s in run.result.seconds.items()
        if part.endswith("per query")
    }
    if spent:
        yield "Seconds per query: " + ", ".join(f"{part} {s:.3f}" for part, s in spent.items() if s) + "."


def _differences(run: Run) -> Iterable[str]:
    """Paired bootstrap of AP, as the synthetic benchmark leaves it."""
    told = run.result.extra.get("differences")
    for setting, pairs in told.items() if isinstance(told, dict) else ():
        parts = [
            f"{pair.replace(' - ', ' − ')} {_signed(d['mean'])} [{_signed(d['low'])}, {_signed(d['high'])}]"
            for pair, d in pairs.items()
        ]
        if parts:
            yield f"{setting}, mAP in points with its 95 % interval: {'; '.join(parts)}."


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "−")


def _dialogue(run: Run) -> Iterable[str]:
    extra = run.result.extra
    if run.result.kind != "dialogue":
        return
    if isinstance(hits := extra.get("hits"), dict):
        found = [f"{top} {100 * by_round[-1]:.1f}" for top, by_round in hits.items() if by_round]
        yield f"Found by the last round at least once: {', '.join(found)}."
    if isinstance(bri := extra.get("bri"), float):
        yield f"BRI {bri:.3f}."
