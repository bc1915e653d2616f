"""A stage's samples as one endless, random-access stream: sample number i is a pure function of (seed, i).

Nothing is stored: the mixture says whose turn an index is (training.instructions.schedule), a random generator
seeded by (seed, index) draws the rest. So a run resumes anywhere, on any number of workers, and meets the same samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from PIL import Image

from training.datasets.record import Record
from training.datasets.training_records import TrainingRecords
from training.instructions.columns import Columns
from training.instructions.crop_index import CropIndex
from training.instructions.mixtures import StageMixture
from training.instructions.rng import SampleRng
from training.instructions.sample import InstructionSample, SampleContext
from training.instructions.schedule import Schedule
from training.instructions.tasks import TASKS
from training.instructions.texts import CaptionSampler

TRIES = 24  # draws of one task from one data set before another has the turn
PICTURES_KEPT = 64


class CannotBeMade(ValueError):
    """No task of a stage can be made from the data; the text says why for each."""


@dataclass(frozen=True)
class StagePlan:
    """What a stage draws from which data sets.

    shares: task -> weight, of the tasks that can be made. sets: task -> {data set: weight}. lacking: task ->
    {data set: why it gives none}; a task that lacks in every data set is not in `shares`: its share has gone
    to the others in proportion to theirs. A data set that lacks leaves its part to the other sets of the task.
    without_look_alikes: data sets of whose people nothing is known by which look-alikes could be found.
    """

    shares: Mapping[str, float]
    sets: Mapping[str, Mapping[str, float]]
    lacking: Mapping[str, Mapping[str, str]]
    without_look_alikes: tuple[str, ...] = ()

    def report(self) -> list[str]:
        """One line for each task that some or all data sets cannot give, and one for those without look-alikes."""
        lines = []
        for task, reasons in self.lacking.items():
            where = "; ".join(f"{name}: {why}" for name, why in reasons.items())
            if task not in self.shares:
                lines.append(f"{task} cannot be made, its share goes to the other tasks ({where})")
            elif reasons:
                lines.append(f"{task} comes from {', '.join(self.sets[task])} alone ({where})")
        if self.without_look_alikes:
            lines.append(
                f"{', '.join(self.without_look_alikes)}: neither attributes nor CLIP vectors, so other people are "
                "drawn at random instead of among look-alikes (python -m training vectors)"
            )
        return lines


class SampleMaker:
    """Makes samples of columns alone; `Samples` adds the pictures.

    Raises CannotBeMade where the data give no task of the mixture, ValueError for an unknown task or data set.
    """

    def __init__(
        self, mixture: StageMixture, columns: Columns, seed: int, vectors: np.ndarray | None = None
    ) -> None:
        self.mixture, self.columns, self.seed = mixture, columns, seed
        self.source = CropIndex(columns, vectors)
        self.tell = CaptionSampler(self.source, mixture.canonical, mixture.vocabulary)
        self.plan = _plan(self)
        self._tasks = Schedule(self.plan.shares, seed)
        self._sets = {
            task: Schedule(sets, seed * 7919 + number)
            for number, (task, sets) in enumerate(self.plan.sets.items())
        }
        rules = {"yes": mixture.positive, "no": 1 - mixture.positive}
        self._answers = Schedule(rules, seed + 1)
        number_of = {name: number for number, name in enumerate(columns.names)}
        self._where = {
            (task, name): (number_of[name], tuple(number_of[other] for other in sets if other != name))
            for task, sets in self.plan.sets.items()
            for name in sets
        }

    def sample(self, index: int) -> InstructionSample:
        """The sample of an index, 0 or more. A turn that yields nothing goes to the task's other data sets."""
        turn = self._tasks.at(index)
        for task in (turn.name, *(name for name in self.plan.shares if name != turn.name)):
            slot = self._sets[task].at(turn.turn)
            rng = SampleRng(self.seed, index, 17)
            for name in (slot.name, *(name for name in self.plan.sets[task] if name != slot.name)):
                for _ in range(TRIES):
                    sample = self._draw(task, name, slot.turn, rng)
                    if sample is not None:
                        return sample
        raise CannotBeMade(
            f"sample {index} of stage {self.mixture.stage} could not be made from these data sets"
        )

    def _draw(self, task: str, name: str, turn: int, rng: SampleRng) -> InstructionSample | None:
        number, elsewhere = self._where[task, name]
        positive = self._answers.at(turn).name == "yes"
        context = SampleContext(self.source, self.tell, self.mixture, number, elsewhere, positive, rng)
        return TASKS[task](context)


@dataclass(frozen=True)
class Samples:
    """A stage's samples over training records, with their pictures.

    count: how many the stage has; the mixture's own number by default. vectors: float (records, d), e.g. of
    CLIP, by which look-alikes are found; by attributes otherwise. The same arguments give the same samples.
    """

    mixture: StageMixture
    records: TrainingRecords
    seed: int = 0
    count: int | None = None
    vectors: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.count < 0:
            raise ValueError(f"the number of samples must be 0 or more, got {self.count}")
        if self.vectors is not None and len(self.vectors) != len(self.records):
            raise ValueError(f"{len(self.records)} records need as many vectors, got {len(self.vectors)}")
        _ = self.stream  # so that data that give nothing are told now

    @cached_property
    def stream(self) -> SampleMaker:
        return SampleMaker(self.mixture, Columns.of(self.records), self.seed, self.vectors)

    @property
    def plan(self) -> StagePlan:
        """What is drawn from which data sets, and what cannot be made, with the reasons."""
        return self.stream.plan

    def __len__(self) -> int:
        return self.mixture.samples if self.count is None else self.count

    def sample(self, index: int) -> InstructionSample:
        """Sample `index` of 0..len-1. Raises IndexError beyond, so that a Samples can be looped over."""
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} samples, no sample {index}")
        return self.stream.sample(index)

    __getitem__ = sample

    def record(self, row: int) -> Record:
        return self.records.records[row]

    def picture(self, row: int) -> Image.Image:
        """The RGB picture of a row, drawn or decoded; the last few are remembered: do not change it.

        Raises gallery_store.decoding.PictureError for a file that cannot be read.
        """
        return self._picture(row)

    @cached_property
    def _picture(self):  # type: ignore[no-untyped-def]
        return lru_cache(PICTURES_KEPT)(lambda row: self.record(row).picture())

    def __getstate__(self) -> dict[str, object]:
        """Pickles without the picture cache, so that spawned workers can have it."""
        return {name: value for name, value in self.__dict__.items() if name != "_picture"}


def _plan(maker: SampleMaker) -> StagePlan:
    mixture, columns = maker.mixture, maker.columns
    if unknown := sorted(set(mixture.shares) - set(TASKS)):
        raise ValueError(
            f"stage {mixture.stage} has no task {', '.join(unknown)}; there are {', '.join(TASKS)}"
        )
    if unknown := sorted(set(mixture.data_sets) - set(columns.names)):
        raise ValueError(
            f"stage {mixture.stage} weighs {', '.join(unknown)}, but the data sets are {', '.join(columns.names)}"
        )
    weights = {name: _weight(maker, data_set) for data_set, name in enumerate(columns.names)}
    sets: dict[str, dict[str, float]] = {}
    lacking: dict[str, dict[str, str]] = {}
    for task in (name for name, share in mixture.shares.items() if share > 0):
        for data_set, (name, weight) in enumerate(weights.items()):
            reason = "it has no weight" if weight == 0 else _reason(maker, task, data_set)
            if reason:
                lacking.setdefault(task, {})[name] = reason
            else:
                sets.setdefault(task, {})[name] = weight
    if not sets:
        why = "; ".join(f"{task} from {name}: {r}" for task, rs in lacking.items() for name, r in rs.items())
        raise CannotBeMade(f"no task of stage {mixture.stage} can be made ({why})")
    without_look_alikes = tuple(
        name
        for data_set, name in enumerate(columns.names)
        if mixture.hard and mixture.stage > 1 and weights[name] and not maker.source.has_look_alikes(data_set)
    )
    return StagePlan({task: mixture.shares[task] for task in sets}, sets, lacking, without_look_alikes)


def _weight(maker: SampleMaker, data_set: int) -> float:
    rows = maker.columns.data_set == data_set
    factor = maker.mixture.infrared if maker.columns.infrared[rows].any() else 1.0
    return float(rows.sum()) * factor * maker.mixture.data_sets.get(maker.columns.names[data_set], 1.0)


# What a task needs: (what a data set must have for one of several modes, in words).
_NEEDS: dict[str, tuple[str, ...]] = {
    "caption": ("text",),
    "image-one-to-one": ("any", "people"),
    "image-many-to-many": ("any", "people"),
    "text-one-to-one": ("text", "people"),
    "text-many-to-one": ("text", "people"),
    "text-one-to-many": ("text", "people"),
    "compare-attributes": ("attributes", "people"),
    "annotate-attributes": ("attributes",),
    "standard": ("alike", "people"),
    "clothes-changing": ("changed", "people"),
    "visible-infrared": ("light", "people"),
    "text-to-image": ("text", "people"),
    "attributes": ("attributes", "people"),
    "image-plus-text": ("any", "text", "people"),
    "text-plus-match": ("alike", "text", "people"),
    "best-choice": ("any", "people"),
    "pair-question": ("people",),
}
_WHY = {
    "text": "no captions and no attributes",
    "attributes": "no attributes",
    "people": "no two people",
    "any": "no person with two pictures",
    "alike": "no person with two pictures in the same clothes and light",
    "changed": "no person in two sets of clothes",
    "light": "no person in visible and infrared light",
}


def _reason(maker: SampleMaker, task: str, data_set: int) -> str:
    """Why a data set cannot give a task; "" where it can."""
    source, rng = maker.source, SampleRng(data_set, 5)
    for need in _NEEDS[task]:
        if need == "text":
            given = source.told(data_set, rng) is not None
        elif need == "attributes":
            given = source.shown(data_set, rng) is not None
        elif need == "people":
            people = maker.columns.person[maker.columns.data_set == data_set]
            given = bool((people != people[0]).any())
        else:
            given = source.most(need, data_set) > 0
        if not given:
            return _WHY[need]
    for positive in (True, False):
        context = SampleContext(source, maker.tell, maker.mixture, data_set, (), positive, rng)
        if not any(TASKS[task](context) for _ in range(2 * TRIES)):
            return f"no example found in {2 * TRIES} tries"
    return ""
