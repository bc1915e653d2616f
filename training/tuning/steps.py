"""One step's input: which samples, laid out, cut into passes, with their pictures; a pure function of the step."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image
from torch.utils.data import Dataset

from training.instructions.sample import InstructionSample
from training.stages import Average
from training.tuning.batches import cut, is_list_step, step_indices
from training.tuning.collator import Batch, Collator, Laid, SampleStream
from training.tuning.errors import TuningError


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
            batches.append(self._batch([laid[i] for i in used], [own[i] for i in used], taken))
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
                self._tell(sample, error)
                continue
            laid.append(self.collator.lay(sample, sizes))
        if not laid:
            raise TuningError(
                f"no sample of step {step + 1} can be used: their pictures cannot be opened;"
                " `python -m training datasets --check-pictures` names them"
            )
        return laid, taken, unreadable

    def _size(self, row: int, taken: dict[int, Image.Image]) -> tuple[int, int]:
        """(height, width). One of several devices reads what is not its own only as far as that."""
        file = self._file(row)
        if self.parts > 1 and file is not None:
            return header_size(file)
        if row not in taken:
            taken[row] = self.stream.picture(row)
        return taken[row].height, taken[row].width

    def _batch(self, laid: list[Laid], weights: list[float], taken: dict[int, Image.Image]) -> Batch:
        pictures = []
        for place, one in enumerate(laid):
            try:
                own = [taken.get(row) or self.stream.picture(row) for row in one.sample.pictures]
            except (OSError, ValueError) as error:  # its header was whole
                self._tell(one.sample, error)
                own = [Image.new("RGB", (width, height)) for height, width in one.sizes]
                weights[place] = 0.0
            pictures.append(own)
        return self.collator.batch(laid, pictures, weights)

    def _file(self, row: int) -> Path | None:
        record = getattr(self.stream, "record", None)
        image = record(row).image if record is not None else None
        return image if isinstance(image, Path) else None

    def _tell(self, sample: InstructionSample, error: Exception) -> None:
        files = [str(file) for row in sample.pictures if (file := self._file(row)) is not None]
        sentence = f"a sample is left out, since a picture of it cannot be used: {error}"
        if files:
            sentence += f" (one of {', '.join(files)})" if len(files) > 1 else f" ({files[0]})"
        if sentence not in self._told:
            self._told.add(sentence)
            print(sentence, file=sys.stderr, flush=True)


def header_size(file: Path) -> tuple[int, int]:
    """(height, width) in pixels of a picture as it will be shown upright, without decoding it.

    Raises OSError, or ValueError for what is no picture.
    """
    with Image.open(file, formats=("JPEG", "PNG", "WEBP", "BMP", "TIFF")) as image:
        width, height = image.size
        turned = image.getexif().get(ExifTags.Base.Orientation) in (5, 6, 7, 8)
    return (width, height) if turned else (height, width)


def _weights(laid: Sequence[Laid], average: Average) -> list[float]:
    """What an answer token of each sample weighs; over the step they add up to 1."""
    if average == "tokens":
        return [1 / sum(one.answer_tokens for one in laid)] * len(laid)
    return [1 / (len(laid) * one.answer_tokens) for one in laid]
