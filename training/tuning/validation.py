"""What a stage is worth to people it has not met: the loss of each task, and P(yes) on lists, while it is trained.

People are held out by identity before any sample is drawn. Samples and lists of them are the same each time, so
that figures of two steps, and of a run that was killed, can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from training.datasets.faults import DataSetError
from training.datasets.training_records import TrainingRecords, people_by_set, split_by_identity
from training.evaluation.metrics import Relevance, rank
from training.stages import Stage
from training.tuning.failures import TuningError
from training.tuning.packed_lists import PackedStep, RecordLists
from training.tuning.steps import Steps

Keep = Literal["best", "last"]

SHARE = 0.02  # of a data set's people, where nothing is asked for
FEWEST, MOST = 8, 100  # people that this share may come to
ENOUGH = 10 * FEWEST  # people of whom FEWEST can be spared
SAMPLES = 256
PER_LIST = 16  # samples to a list: 256 go with 16 lists
LIST_TOKENS = 8192  # of the candidates of a list, whatever a pass of training has
EVALUATIONS = 10  # of a stage


@dataclass(frozen=True)
class Validation:
    """How a run is watched. people: held out, 0 for none. samples: of the stage's tasks, and a sixteenth as many
    lists. every: steps between two evaluations, each of which writes a checkpoint; the last step has one too.
    keep: whether the stage ends with the best checkpoint or the last."""

    people: int = 0
    samples: int = SAMPLES
    every: int = 0
    keep: Keep = "best"

    def __post_init__(self) -> None:
        if self.people < 0 or self.samples < 1 or self.every < 0:
            raise TuningError("--validation-samples and --eval-steps are 1 or more")

    def told(self, held: HeldOut | None) -> str:
        """One line on how a run is watched, as it begins."""
        if held is None:
            return "held out: nobody; the last checkpoint is kept"
        lists = f" and {held.count} lists" if held.count else ""
        kept = "the last checkpoint is kept"
        if self.keep == "best":
            kept = f"the checkpoint of the {'highest mAP' if held.count else 'lowest loss'} is kept"
        return (
            f"held out: {self.people} people, {self.samples} samples{lists} every {self.every} steps; {kept}"
        )


@dataclass(frozen=True)
class Outcome:
    """One evaluation. loss: mean over the samples, by task too; mAP, rank1: over the lists' questions, fractions, by
    kind of question too; None, and empty, where no list can be asked about."""

    loss: float
    losses: Mapping[str, float]
    mAP: float | None = None
    rank1: float | None = None
    kinds: Mapping[str, tuple[float, float]] | None = None

    def metrics(self) -> dict[str, float]:
        """As transformers names them."""
        named = {"eval_loss": self.loss} | {f"eval_loss/{task}": loss for task, loss in self.losses.items()}
        if self.mAP is not None and self.rank1 is not None:
            named |= {"eval_mAP": self.mAP, "eval_rank1": self.rank1}
            named |= {f"eval_mAP/{kind}": mAP for kind, (mAP, _) in (self.kinds or {}).items()}
        return named

    def __str__(self) -> str:
        lists = "" if self.mAP is None else f"  mAP {self.mAP:.3f}  rank-1 {self.rank1:.3f}"
        return f"loss {self.loss:.3f}{lists}"

    def to_json(self) -> dict[str, Any]:
        """A row's `validation` in log.jsonl."""
        row: dict[str, Any] = {"loss": self.loss, "losses": dict(self.losses)}
        if self.mAP is not None:
            kinds = {kind: {"mAP": mAP, "rank1": rank1} for kind, (mAP, rank1) in (self.kinds or {}).items()}
            row |= {"mAP": self.mAP, "rank1": self.rank1, "kinds": kinds}
        return row


@dataclass(frozen=True)
class Question:
    """A question of a list: its kind, its average precision, and whether the candidate ranked first is right."""

    kind: str
    precision: float
    first: bool


@dataclass(frozen=True)
class HeldOut:
    """steps: samples of people held out, in passes; lists of them, and how many, or None where P(yes) is not asked:
    in stage 1, which only tells what it sees, and where weights are shared out over devices."""

    steps: Steps
    lists: RecordLists | None
    count: int

    @property
    def metric(self) -> str:
        """What the best checkpoint is the best in, as transformers names it."""
        return "eval_loss" if self.lists is None else "eval_mAP"


def people_held_out(wanted: float | None, records: TrainingRecords) -> dict[str, int]:
    """How many people of each data set to hold out; what one set gives hangs on no other. wanted: a share below 1, a
    number of 1 or more, or None for 2 % of them, 8 at least and 100 at most, and nobody of a set of fewer than 80.
    Raises TuningError."""
    sizes = {name: len(own) for name, own in people_by_set(records).items()}
    if wanted is None:
        return {
            name: 0 if size < ENOUGH else min(MOST, max(FEWEST, round(SHARE * size)))
            for name, size in sizes.items()
        }
    if not 0 <= wanted < math.inf or (wanted >= 1 and wanted != int(wanted)):  # and NaN
        raise TuningError(
            f"--validation-share is a share of the people below 1, or a number of people, not {wanted:g}"
        )
    if wanted >= 1 and (few := [name for name, size in sizes.items() if wanted > size - 2]):
        raise TuningError(
            f"--validation-share {wanted:g} holds so many people of each data set out, and {few[0]} has"
            f" {sizes[few[0]]}; two or more of each are left"
        )
    held = {name: int(wanted) if wanted >= 1 else round(wanted * size) for name, size in sizes.items()}
    people, total = sum(held.values()), sum(sizes.values())
    if wanted and not 2 <= people <= total - 2:
        raise TuningError(
            f"--validation-share {wanted:g} holds {people} of {total} people out; two or more are held out, and two or"
            " more are left"
        )
    return held


def split(
    records: TrainingRecords, people: Mapping[str, int]
) -> tuple[TrainingRecords, TrainingRecords | None]:
    """(to learn from, held out or None). people: of each data set."""
    if not any(people.values()):
        return records, None
    try:
        return split_by_identity(records, people)
    except DataSetError as problem:
        raise TuningError(str(problem)) from None


def evaluation_steps(stage: Stage, asked: int | None) -> int:
    """Steps between two evaluations: as asked for, or a tenth of the stage."""
    return asked or max(1, stage.steps // EVALUATIONS)


def evaluation_samples(stage: Stage, asked: int | None) -> int:
    """Samples of an evaluation: as asked for, or 256, but no more than a tenth of the stage's."""
    return asked or max(1, min(SAMPLES, stage.samples // EVALUATIONS))


def list_count(stage: Stage, samples: int) -> int:
    """How many lists go with so many samples; none in stage 1."""
    return 0 if stage.number == 1 else max(2, samples // PER_LIST)


def questions_of(packed: PackedStep, odds: np.ndarray) -> list[Question]:
    """How the questions of one list fared. odds: float (Q, M), of `Yes`."""
    ranks = rank(odds, Relevance.by_masks(packed.right.numpy(), packed.ignored.numpy()))
    return [
        Question(packed.kind, float(ap), bool(first == 1))
        for ap, first, valid in zip(ranks.ap, ranks.first, ranks.valid, strict=True)
        if valid
    ]


def outcome_of(loss: float, losses: Mapping[str, float], questions: Sequence[Question]) -> Outcome:
    """Of the questions of all processes."""
    if not questions:
        return Outcome(loss, losses)
    names = sorted({question.kind for question in questions})
    kinds = {name: _means([question for question in questions if question.kind == name]) for name in names}
    return Outcome(loss, losses, *_means(questions), kinds)


def _means(questions: Sequence[Question]) -> tuple[float, float]:
    return (
        float(np.mean([question.precision for question in questions])),
        float(np.mean([question.first for question in questions])),
    )
