"""Runs the synthetic benchmark: every setting by every ranker, through the app's engine, into one Result."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from training.evaluation.bootstrap import paired_difference
from training.evaluation.harness import HarnessError, Progress, search_all, spread
from training.evaluation.metrics import Ranks, rank
from training.evaluation.rankers import BEST_CHOICE, CLIP, COMBINED, PAIRWISE, RANKERS
from training.evaluation.rankings import Side, rankings, write_thumbnails
from training.evaluation.relevance import Relevance
from training.evaluation.results import Result, figures_of
from training.evaluation.searched import Searched
from training.evaluation.searchers import Searchers
from training.evaluation.synthetic import SETTINGS, Setting
from training.evaluation.synthetic_frame import HISTOGRAM, TRUTH, histogram_scores, truth_scores
from training.evaluation.synthetic_people import VIEWS, record_of
from training.synthetic.people import WORLD_VERSION
from training.synthetic.world import Crop

ALL_RANKERS = (HISTOGRAM, *RANKERS, TRUTH)
FIVE = ("standard", "look-alikes", "clothes-changing", "visible-infrared", "text-to-image")
IDENTITIES, BEST_CHOICE_QUERIES = 100, 20


@dataclass(frozen=True)
class Plan:
    """What is evaluated. best_choice: queries of each setting that the slow best choice is asked for."""

    seed: int
    identities: int = IDENTITIES
    settings: tuple[str, ...] = tuple(SETTINGS)
    rankers: tuple[str, ...] = ALL_RANKERS
    best_choice: int = BEST_CHOICE_QUERIES

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise HarnessError(f"a seed is 0 or more, not {self.seed}")
        if self.identities < 6:
            raise HarnessError(f"at least 6 identities are needed, not {self.identities}")
        for given, known, thing in (
            (self.settings, tuple(SETTINGS), "setting"),
            (self.rankers, ALL_RANKERS, "ranker"),
        ):
            if unknown := [name for name in given if name not in known]:
                raise HarnessError(f"there is no {thing} {unknown[0]!r}; there are {', '.join(known)}")


@dataclass
class _Tally:
    """What is gathered while settings are done."""

    settings: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)
    differences: dict[str, dict[str, Any]] = field(default_factory=dict)
    on_sample: dict[str, dict[str, float]] = field(default_factory=dict)
    ap: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    seconds: list[dict[str, float]] = field(default_factory=list)


def run_synthetic(
    plan: Plan,
    searchers: Searchers,
    *,
    work: Path,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """Every setting of the plan; resumes in `work`, one folder for each world of people.

    Args:
        out: also write result.json, rankings and thumbnails there, for `python -m training report`.

    Raises:
        HarnessError: `work` holds another evaluation. EncoderError, ModelError: models that cannot be had.
    """
    began = time.perf_counter()
    searchers.opened  # noqa: B018 (models that cannot be had are refused before anything is drawn)
    tally = _Tally()
    asked_model = [r for r in plan.rankers if r in RANKERS]
    made = [SETTINGS[name](plan.seed, plan.identities) for name in plan.settings]
    worlds: dict[str, list[Setting]] = {}
    for setting in made:
        worlds.setdefault(setting.world.name, []).append(setting)
    for name, settings in worlds.items():
        found, start = None, 0
        if asked_model:
            sample = plan.best_choice if BEST_CHOICE in plan.rankers else 0
            found = search_all(
                [ask for setting in settings for ask in setting.asks],
                [record_of(crop) for crop in settings[0].world.gallery],
                searchers,
                work=work / name,
                best_choice=np.concatenate([spread(len(s.asks), sample) for s in settings]),
                progress=progress,
            )
            tally.seconds.append(found.seconds())
        for setting in settings:
            rows = slice(start, start + len(setting.asks))
            start = rows.stop
            _one_setting(plan, setting, found, rows, tally, out)
    result = Result(
        kind="synthetic",
        benchmark="synthetic",
        settings={name: tally.settings[name] for name in plan.settings},
        model=searchers.opened.described(),
        world={"version": WORLD_VERSION, "seed": plan.seed, "identities": plan.identities, "views": VIEWS},
        seconds={"total": time.perf_counter() - began, **_per_query(tally)},
        notes=_notes(plan),
        extra={
            "differences": {**_in_order(plan, tally.differences), **_overall(plan, tally)},
            "best_choice_sample": _in_order(plan, tally.on_sample),
            "averages": averages(tally.settings),
        },
    )
    if out is not None:
        result.write(out)
    return result


def _in_order(plan: Plan, by_setting: dict[str, Any]) -> dict[str, Any]:
    return {name: by_setting[name] for name in plan.settings if name in by_setting}


def _per_query(tally: _Tally) -> dict[str, float]:
    parts = tally.seconds[0] if tally.seconds else {}
    return {f"{part} per query": float(np.mean([of[part] for of in tally.seconds])) for part in parts}


def averages(settings: dict[str, dict[str, dict[str, float]]]) -> dict[str, float]:
    """Mean mAP of the five settings with a table in the paper, by ranker, where all five are there."""
    if any(name not in settings for name in FIVE):
        return {}
    rankers = [r for r in ALL_RANKERS if all(r in settings[name] for name in FIVE)]
    return {r: float(np.mean([settings[name][r]["mAP"] for name in FIVE])) for r in rankers}


def _one_setting(
    plan: Plan, setting: Setting, found: Searched | None, rows: slice, tally: _Tally, out: Path | None
) -> None:
    figures: dict[str, dict[str, float]] = {}
    ranked: dict[str, Ranks] = {}
    chosen = np.zeros(0, np.int64)
    for ranker in ALL_RANKERS:
        if ranker not in plan.rankers:
            continue
        relevance = setting.relevance
        scores = None
        if ranker == HISTOGRAM:
            scores = histogram_scores(setting)
        elif ranker == TRUTH:
            scores = truth_scores(setting)
        elif found is not None and ranker == BEST_CHOICE:
            everywhere = found.chosen()
            mine = (everywhere >= rows.start) & (everywhere < rows.stop)
            chosen = everywhere[mine] - rows.start
            if len(chosen):
                scores, relevance = found.scores(ranker)[mine], _some(relevance, chosen)
        elif found is not None:
            scores = found.scores(ranker)[rows]
        if scores is None:
            continue
        ranked[ranker] = rank(scores, relevance)
        figures[ranker] = figures_of(ranked[ranker].metrics())
        if found is not None and ranker in RANKERS:
            figures[ranker]["prefilter_recall"] = found.recall(setting.relevance, rows.start)
        if out is not None and ranker in RANKERS and ranker != BEST_CHOICE:
            _keep(out, setting, ranker, scores, relevance, ranked[ranker])
    tally.settings[setting.name] = figures
    tally.ap[setting.name] = {name: ranks.ap for name, ranks in ranked.items()}
    tally.differences[setting.name] = _differences(tally.ap[setting.name], plan.seed)
    if len(chosen) and len(chosen) < len(setting.asks):
        tally.on_sample[setting.name] = {
            name: float(np.nanmean(ranks.ap if name == BEST_CHOICE else ranks.ap[chosen]))
            for name, ranks in ranked.items()
        }


def _differences(ap: dict[str, np.ndarray], seed: int) -> dict[str, Any]:
    """Paired bootstrap of AP: the shipped combination against CLIP and against the word, and word - CLIP."""
    pairs = ((COMBINED, CLIP), (COMBINED, PAIRWISE), (PAIRWISE, CLIP))
    return {
        f"{first} - {second}": asdict(paired_difference(ap[first], ap[second], seed))
        for first, second in pairs
        if first in ap and second in ap
    }


def _overall(plan: Plan, tally: _Tally) -> dict[str, Any]:
    """The same over all queries of all settings."""
    rankers = [r for r in (CLIP, PAIRWISE, COMBINED) if all(r in tally.ap[n] for n in plan.settings)]
    together = {r: np.concatenate([tally.ap[name][r] for name in plan.settings]) for r in rankers}
    return {"all queries": _differences(together, plan.seed)} if len(rankers) > 1 else {}


def _some(relevance: Relevance, queries: np.ndarray) -> Relevance:
    matches, junk = relevance.masks()
    return Relevance.by_masks(matches[queries], junk[queries])


def _keep(
    out: Path, setting: Setting, ranker: str, scores: np.ndarray, relevance: Relevance, ranks: Ranks
) -> None:
    """The first places and their pictures, for the report."""
    words = [ask.text or ", ".join(f"{a.kind} {a.value}" for a in ask.wanted) for ask in setting.asks]
    gallery = setting.world.gallery
    sides = _side(setting.asked, words), _side(gallery, [""] * len(gallery))
    kept = rankings(scores, relevance, ranks, *sides)
    kept.write(out, setting.name, ranker)
    shown = np.unique(np.concatenate([kept.best(4), kept.worst(4)])).tolist()
    asked = [row for row in shown if setting.asks[row].image is not None]
    write_thumbnails(out, setting.name, "q", ((row, setting.asked[row].picture()) for row in asked))
    places = sorted({int(row) for row in kept.top[shown].ravel() if row >= 0})
    write_thumbnails(out, setting.name, "g", ((row, gallery[row].picture()) for row in places))


def _side(crops: Sequence[Crop], texts: list[str]) -> Side:
    names = [f"{crop.person_id}-{crop.clothes}-{crop.camera_id}" for crop in crops]
    return Side.of(names, [c.person_id for c in crops], [c.camera_id for c in crops], texts)


def _notes(plan: Plan) -> tuple[str, ...]:
    notes = [
        f"Drawn people of world version {WORLD_VERSION}, the test split that no training or tuning draws from.",
    ]
    if BEST_CHOICE in plan.rankers:
        notes.append(
            f"best-choice is asked for {plan.best_choice} queries of each setting, evenly spread; the other "
            "rankers on the same queries stand under best_choice_sample."
        )
    if HISTOGRAM in plan.rankers:
        notes.append("histogram cannot read: settings by words alone have none.")
    return tuple(notes)
