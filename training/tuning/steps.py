"""One step's input: which samples, laid out, cut into passes, with their pictures; a pure function of the step."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from PIL import Image
from torch.utils.data import Dataset

from training.stages import Average
from training.tuning.batches import cut, is_list_step, step_indices
from training.tuning.collator import Batch, Collator, Laid, SampleStream


@dataclass(frozen=True)
class Seen:
    """What a step holds, over all devices. samples: by task; tokens: real ones, without padding; answer_tokens:
    those with a loss; pictures; unreadable: samples left out since a picture of theirs cannot be opened;
    pairs: of packed lists."""

    samples: Mapping[str, int] = field(default_factory=dict)
    tokens: int = 0
    answer_tokens: int = 0
    pictures: int = 0
    unreadable: int = 0
    pairs: int = 0

    def __add__(self, other: Seen) -> Seen:
        return Seen(
            dict(Counter(self.samples) + Counter(other.samples)),
            self.tokens + other.tokens,
            self.answer_tokens + other.answer_tokens,
            self.pictures + other.pictures,
            self.unreadable + other.unreadable,
            self.pairs + other.pairs,
        )


@dataclass(frozen=True)
class StepInput:
    """batches: this device's passes; packed: a packed list in their place (training.tuning.packed_lists)."""

    step: int
    batches: tuple[Batch, ...]
    seen: Seen
    packed: Any = None


class Steps(Dataset[StepInput]):
    """Steps by number, for one device of `parts`. average: see training.stages.Stage."""

    def __init__(
        self,
        stream: SampleStream,
        collator: Collator,
        *,
        samples_per_step: int,
        tokens_per_batch: int,
        part: int = 0,
        parts: int = 1,
        average: Average = "samples",
        lists: Any = None,
        packed_share: float = 0.0,
    ) -> None:
        self.stream, self.collator = stream, collator
        self.samples_per_step, self.tokens_per_batch = samples_per_step, tokens_per_batch
        self.part, self.parts, self.average = part, parts, average
        self.lists, self.packed_share = lists, packed_share
        self._told: set[str] = set()

    def __len__(self) -> int:
        return -(-len(self.stream) // self.samples_per_step)

    def __getitem__(self, step: int) -> StepInput:
        if self.lists is not None and is_list_step(step, self.packed_share):
            packed = self.lists.draw(step)
            return StepInput(step, (), packed.seen, packed)
        laid, taken, unreadable = self._laid(step)
        passes = cut([len(one) for one in laid], self.tokens_per_batch, self.parts)
        weights = _weights(laid, self.average)
        batches = []
        for places in passes[self.part :: self.parts]:
            # A device without samples of its own goes through the motions with one that weighs nothing.
            used, own = (places, weights) if places else ([len(laid) - 1], [0.0] * len(laid))
            batches.append(
                self.collator.batch(
                    [laid[i] for i in used],
                    [self._pictures(laid[i], taken) for i in used],
                    [own[i] for i in used],
                )
            )
        seen = Seen(
            dict(Counter(one.sample.task for one in laid)),
            sum(len(one) for one in laid),
            sum(one.answer_tokens for one in laid),
            sum(len(one.sizes) for one in laid),
            unreadable,
        )
        return StepInput(step, tuple(batches), seen)

    def _laid(self, step: int) -> tuple[list[Laid], dict[int, Image.Image], int]:
        """The step's samples as tokens; the pictures that were opened for it; how many samples were left out."""
        laid: list[Laid] = []
        taken: dict[int, Image.Image] = {}
        unreadable = 0
        for index in step_indices(step, self.samples_per_step, len(self.stream)):
            sample = self.stream.sample(index)
            try:
                sizes = [self._size(row, taken) for row in sample.pictures]
            except (OSError, ValueError) as error:
                unreadable += 1
                self._tell(str(error))
                continue
            laid.append(self.collator.lay(sample, sizes))
        if not laid:
            raise OSError(
                f"none of the samples of step {step} can be used: their pictures cannot be opened;"
                " `python -m training datasets --check-pictures` names them"
            )
        return laid, taken, unreadable

    def _size(self, row: int, taken: dict[int, Image.Image]) -> tuple[int, int]:
        if row not in taken:
            taken[row] = self.stream.picture(row)
        return taken[row].height, taken[row].width

    def _pictures(self, one: Laid, taken: Mapping[int, Image.Image]) -> list[Image.Image]:
        return [taken[row] for row in one.sample.pictures]

    def _tell(self, sentence: str) -> None:
        if sentence not in self._told and self.part == 0:
            self._told.add(sentence)
            print(f"left out: {sentence}", file=sys.stderr, flush=True)


def _weights(laid: Sequence[Laid], average: Average) -> list[float]:
    """What an answer token of each sample weighs; over the step they add up to 1."""
    if average == "tokens":
        return [1 / sum(one.answer_tokens for one in laid)] * len(laid)
    return [1 / (len(laid) * one.answer_tokens) for one in laid]
