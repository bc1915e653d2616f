"""One step's input: which samples, tokenized, cut into passes, with their pictures; a pure function of the step.

A step is a fixed run of consecutive samples, so that a run resumes anywhere. Within a step, samples of like
length share a forward pass, within a budget of padded tokens; the weights move once, after all passes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from torch.utils.data import Dataset

from gallery_store.console import remark
from gallery_store.decoding import MAX_PIXELS, read_bounded, size_of
from training.instructions.sample import InstructionSample
from training.stages import Average
from training.tuning.collator import Batch, Collator, SampleStream, TokenizedSample
from training.tuning.failures import TuningError


@dataclass(frozen=True)
class StepStats:
    """What a step holds, over all devices. samples: by task; tokens: real ones, without padding; answer_tokens:
    those with a loss; pictures; unreadable: samples left out since a picture of theirs cannot be opened;
    pairs: of packed lists."""

    samples: Mapping[str, int] = field(default_factory=dict)
    tokens: int = 0
    answer_tokens: int = 0
    pictures: int = 0
    unreadable: int = 0
    pairs: int = 0

    def __add__(self, other: StepStats) -> StepStats:
        return StepStats(
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
    stats: StepStats
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
        self._remarked: set[str] = set()

    def __len__(self) -> int:
        return -(-len(self.stream) // self.samples_per_step)

    def __getitem__(self, step: int) -> StepInput:
        if self.lists is not None and is_list_step(step, self.packed_share):
            packed = self.lists.draw(step)
            return StepInput(step, (), packed.stats, packed)
        tokenized, opened, unreadable = self._tokenized(step)
        passes = cut([len(one) for one in tokenized], self.tokens_per_batch, self.parts)
        weights = answer_weights([one.answer_tokens for one in tokenized], self.average)
        batches = []
        for places in passes[self.part :: self.parts]:
            # All devices make equally many passes: one without samples of its own repeats one, with weight 0.
            used, weighed = (places, weights) if places else ([len(tokenized) - 1], [0.0] * len(tokenized))
            batches.append(self._batch([tokenized[i] for i in used], [weighed[i] for i in used], opened))
        stats = StepStats(
            dict(Counter(one.sample.task for one in tokenized)),
            sum(len(one) for one in tokenized),
            sum(one.answer_tokens for one in tokenized),
            sum(len(one.sizes) for one in tokenized),
            unreadable,
        )
        return StepInput(step, tuple(batches), stats)

    def _tokenized(self, step: int) -> tuple[list[TokenizedSample], dict[int, Image.Image], int]:
        """The step's samples as tokens; the pictures that were opened for it; how many samples were left out."""
        tokenized: list[TokenizedSample] = []
        opened: dict[int, Image.Image] = {}
        unreadable = 0
        for index in step_indices(step, self.samples_per_step, len(self.stream)):
            sample = self.stream.sample(index)
            try:
                sizes = [self._size(row, opened) for row in sample.pictures]
            except (OSError, ValueError) as error:
                unreadable += 1
                self._remark(sample, error)
                continue
            tokenized.append(self.collator.tokenize(sample, sizes))
        if not tokenized:
            raise TuningError(
                f"no sample of step {step + 1} can be used: their pictures cannot be opened;"
                " `python -m training datasets --check-pictures` names them"
            )
        return tokenized, opened, unreadable

    def _size(self, row: int, opened: dict[int, Image.Image]) -> tuple[int, int]:
        """(height, width). One of several devices reads what is not its own only as far as that."""
        file = self._file(row)
        if self.parts > 1 and file is not None:
            return header_size(file)
        if row not in opened:
            opened[row] = self.stream.picture(row)
        return opened[row].height, opened[row].width

    def _batch(
        self, tokenized: list[TokenizedSample], weights: list[float], opened: dict[int, Image.Image]
    ) -> Batch:
        pictures = []
        for number, one in enumerate(tokenized):
            try:
                taken = [opened.get(row) or self.stream.picture(row) for row in one.sample.pictures]
            except (OSError, ValueError) as error:  # its header was whole
                self._remark(one.sample, error)
                taken = [Image.new("RGB", (width, height)) for height, width in one.sizes]
                weights[number] = 0.0
            pictures.append(taken)
        return self.collator.batch(tokenized, pictures, weights)

    def _file(self, row: int) -> Path | None:
        record = getattr(self.stream, "record", None)
        image = record(row).image if record is not None else None
        return image if isinstance(image, Path) else None

    def _remark(self, sample: InstructionSample, error: Exception) -> None:
        files = [str(file) for row in sample.pictures if (file := self._file(row)) is not None]
        sentence = f"a sample is left out, since a picture of it cannot be used: {error}"
        if files:
            sentence += f" (one of {', '.join(files)})" if len(files) > 1 else f" ({files[0]})"
        if sentence not in self._remarked:
            self._remarked.add(sentence)
            remark(sentence)


def answer_weights(answer_tokens: Sequence[int], average: Average = "samples") -> list[float]:
    """What an answer token of each sample weighs, by how many tokens its answer has; over the step they add up to 1."""
    if average == "tokens":
        return [1 / sum(answer_tokens)] * len(answer_tokens)
    return [1 / (len(answer_tokens) * own) for own in answer_tokens]


def step_indices(step: int, samples_per_step: int, samples: int) -> range:
    """The samples of a step, counted from 0. The last step may have fewer."""
    return range(step * samples_per_step, min((step + 1) * samples_per_step, samples))


def is_list_step(step: int, share: float) -> bool:
    """Whether a step is a packed list; such steps are spread evenly and make up `share` of any stretch."""
    return int((step + 1) * share + 1e-9) > int(step * share + 1e-9)


def cut(lengths: Sequence[int], budget: int, parts: int = 1) -> list[list[int]]:
    """Places of `lengths` in passes of at most `budget` padded tokens (the longest times the count).

    Longest first: what does not fit into memory fails in the first step, not after a night. A sample longer
    than the budget has a pass of its own. The number of passes is a multiple of `parts` (devices that must all
    make equally many); where samples are too few for that, some passes are empty.
    """
    order = sorted(range(len(lengths)), key=lambda number: (-lengths[number], number))
    passes: list[list[int]] = []
    for number in order:
        if passes and lengths[passes[-1][0]] * (len(passes[-1]) + 1) <= budget:
            passes[-1].append(number)
        else:
            passes.append([number])
    while len(passes) % parts:
        largest = max(range(len(passes)), key=lambda i: (len(passes[i]), -i))
        whole = passes[largest]
        if len(whole) < 2:
            passes.append([])
            continue
        half = (len(whole) + 1) // 2
        passes[largest : largest + 1] = [whole[:half], whole[half:]]
    return passes


def header_size(file: Path) -> tuple[int, int]:
    """(height, width) in pixels of a picture as it will be shown upright, without decoding it.

    Raises PictureError for what is no picture, or one beyond the bounds within which pictures are learnt from.
    """
    width, height = size_of(read_bounded(file), max_pixels=MAX_PIXELS)
    return height, width
