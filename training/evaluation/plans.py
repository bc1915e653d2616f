"""What can be evaluated: a benchmark by its protocol, or the synthetic one; and what its result tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from training.evaluation.framing import HISTOGRAM, TRUTH
from training.evaluation.hits import ATTRIBUTE_SCORE, BEST_CHOICE, CLIP, FUSED, PAIRWISE, RANKERS
from training.evaluation.metrics import mean_of, paired_difference
from training.evaluation.protocols import Benchmark, trials_of
from training.evaluation.results import Figures, Result, figures_of
from training.evaluation.runner import K_RECIPROCAL, EvaluationPlan, Measured
from training.evaluation.synthetic import SETTINGS, by_world
from training.evaluation.synthetic_people import VIEWS
from training.evaluation.trials import Trial
from training.evaluation.work_folder import HarnessError
from training.evaluation.workers import Models, Workers
from training.synthetic.people import WORLD_VERSION

BENCHMARK_RANKERS = (*RANKERS, K_RECIPROCAL)
SYNTHETIC_RANKERS = (HISTOGRAM, *RANKERS, TRUTH)
FIVE = (
    "standard",
    "look-alikes",
    "clothes-changing",
    "visible-infrared",
    "text-to-image",
)  # the paper's tables
IDENTITIES = 100
BENCHMARK_BEST_CHOICE, SYNTHETIC_BEST_CHOICE = 100, 20  # queries of each setting


@dataclass(frozen=True)
class BenchmarkPlan(EvaluationPlan):
    """A benchmark and the rankers to compare."""

    benchmark: Benchmark
    rankers: tuple[str, ...] = RANKERS
    best_choice: int = BENCHMARK_BEST_CHOICE

    def __post_init__(self) -> None:
        _known(self.rankers, BENCHMARK_RANKERS, "ranker")

    def rankers_with(self, models: Models) -> tuple[str, ...]:
        """Without a model those that need none."""
        rankers = tuple(r for r in self.rankers if models.model or r in (CLIP, K_RECIPROCAL))
        if not rankers:
            raise HarnessError(f"without a model there are the rankers {CLIP} and {K_RECIPROCAL} only")
        return rankers

    def trials(self, workers: Workers) -> tuple[Trial, ...]:
        return trials_of(self.benchmark)

    def result(self, measured: Measured, workers: Workers, seconds: float) -> Result:
        """Means over the trials of each setting."""
        if not measured.ranks:
            raise HarnessError(
                f"{K_RECIPROCAL} needs queries by pictures alone, and {ATTRIBUTE_SCORE} a model whose calibration "
                "gives it a weight; name another ranker too"
            )
        settings: dict[str, dict[str, Figures]] = {}
        for (setting, ranker), trials in measured.ranks.items():
            more = {"prefilter_recall": float(np.mean(measured.recall[setting])), "trials": len(trials)}
            metrics = mean_of([ranks.metrics() for ranks in trials])
            settings.setdefault(setting, {})[ranker] = figures_of(metrics, **more)
        return Result(
            kind="benchmark",
            benchmark=self.benchmark.name,
            variant=self.benchmark.variant,
            settings=settings,
            model=workers.opened.described(),
            seconds={"total": seconds, **measured.seconds_per_query()},
            notes=tuple(self._notes(measured, workers.models)),
        )

    def _notes(self, measured: Measured, models: Models) -> Iterable[str]:
        trials = max(len(ranks) for ranks in measured.ranks.values())
        if trials > 1:
            yield f"Figures are means over {trials} trials."
        if self.benchmark.queries:
            yield f"At most {self.benchmark.queries} queries of each setting, evenly spread."
        if BEST_CHOICE in self.rankers and self.best_choice and models.model:
            yield f"best-choice is asked for at most {self.best_choice} queries of each setting, evenly spread."
        if measured.unreadable:
            yield f"{measured.unreadable} pictures of the gallery could not be read and were never found."


@dataclass(frozen=True)
class SyntheticPlan(EvaluationPlan):
    """Settings of drawn people (training.evaluation.synthetic), and the rankers to compare."""

    seed: int
    identities: int = IDENTITIES
    settings: tuple[str, ...] = tuple(SETTINGS)
    rankers: tuple[str, ...] = SYNTHETIC_RANKERS
    best_choice: int = SYNTHETIC_BEST_CHOICE
    drawn_world: int = WORLD_VERSION

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise HarnessError(f"a seed is 0 or more, not {self.seed}")
        if self.identities < 6:
            raise HarnessError(f"at least 6 identities are needed, not {self.identities}")
        _known(self.settings, tuple(SETTINGS), "setting")
        _known(self.rankers, SYNTHETIC_RANKERS, "ranker")

    def rankers_with(self, models: Models) -> tuple[str, ...]:
        return tuple(ranker for ranker in SYNTHETIC_RANKERS if ranker in self.rankers)

    def trials(self, workers: Workers) -> tuple[Trial, ...]:
        workers.opened  # noqa: B018 (models that cannot be had are refused before people are made up)
        return by_world(
            SETTINGS[name](self.seed, self.identities, self.drawn_world) for name in self.settings
        )

    def result(self, measured: Measured, workers: Workers, seconds: float) -> Result:
        """With paired differences between rankers, and the mean of the paper's five settings."""
        settings: dict[str, dict[str, Figures]] = {name: {} for name in self.settings}
        ap: dict[str, dict[str, np.ndarray]] = {name: {} for name in self.settings}
        for (setting, ranker), (ranks, *_) in measured.ranks.items():
            more = {"prefilter_recall": measured.recall[setting][0]} if ranker in RANKERS else {}
            settings[setting][ranker] = figures_of(ranks.metrics(), **more)
            ap[setting][ranker] = ranks.ap
        differences = {setting: self._differences(of) for setting, of in ap.items()}
        return Result(
            kind="synthetic",
            benchmark="synthetic",
            settings=settings,
            model=workers.opened.described(),
            world={
                "version": self.drawn_world,
                "seed": self.seed,
                "identities": self.identities,
                "views": VIEWS,
            },
            seconds={"total": seconds, **measured.seconds_per_query()},
            notes=tuple(self._notes()),
            extra={
                "differences": differences | self._overall(ap),
                "best_choice_sample": {
                    name: _on_sample(ap[name], measured.samples[name])
                    for name in self.settings
                    if name in measured.samples
                },
                "averages": averages(settings),
            },
        )

    def _differences(self, ap: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
        """Paired bootstrap of AP: `fused` against CLIP and against P(yes), and P(yes) - CLIP."""
        return {
            f"{first} - {second}": asdict(paired_difference(ap[first], ap[second], self.seed))
            for first, second in ((FUSED, CLIP), (FUSED, PAIRWISE), (PAIRWISE, CLIP))
            if first in ap and second in ap
        }

    def _overall(self, ap: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, dict[str, dict[str, float]]]:
        """The same over all queries of all settings."""
        rankers = [r for r in (CLIP, PAIRWISE, FUSED) if all(r in of for of in ap.values())]
        together: dict[str, np.ndarray] = {r: np.concatenate([of[r] for of in ap.values()]) for r in rankers}
        return {"all queries": self._differences(together)} if len(rankers) > 1 else {}

    def _notes(self) -> Iterable[str]:
        yield (
            f"Drawn people of world version {self.drawn_world}, the test split that no training or tuning draws from."
        )
        if BEST_CHOICE in self.rankers:
            yield (
                f"best-choice is asked for {self.best_choice} queries of each setting, evenly spread; the other "
                "rankers on the same queries stand under best_choice_sample."
            )
        if HISTOGRAM in self.rankers:
            yield "histogram cannot read: settings by words alone have none."


def averages(settings: Mapping[str, Mapping[str, Figures]]) -> dict[str, float]:
    """Mean mAP of the five settings with a table in the paper, by ranker, where all five are there."""
    if any(name not in settings for name in FIVE):
        return {}
    rankers = [r for r in SYNTHETIC_RANKERS if all(r in settings[name] for name in FIVE)]
    return {r: float(np.mean([settings[name][r]["mAP"] for name in FIVE])) for r in rankers}


def _on_sample(ap: Mapping[str, np.ndarray], sample: np.ndarray) -> dict[str, float]:
    """mAP of each ranker on the queries that best choice was asked for, int64 (q,)."""
    return {r: float(np.nanmean(of if r == BEST_CHOICE else of[sample])) for r, of in ap.items()}


def _known(given: Sequence[str], known: Sequence[str], thing: str) -> None:
    if unknown := [name for name in given if name not in known]:
        raise HarnessError(f"there is no {thing} {unknown[0]!r}; there are {', '.join(known)}")
