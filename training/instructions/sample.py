"""One instruction sample: a question with pictures, and its answer; and what a task makes it of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.model.prompts import Message, image_name
from training.instructions.crop_index import CropIndex
from training.instructions.mixtures import StageMixture, match_count
from training.instructions.rng import SampleRng
from training.instructions.texts import CaptionSampler, Text


@dataclass(frozen=True)
class InstructionSample:
    """messages: the question; pictures: rows of the records, in the order of their slots; answer: what to say."""

    task: str
    messages: list[Message]
    pictures: tuple[int, ...]
    answer: str


@dataclass(frozen=True)
class SampleContext:
    """What one sample is drawn from.

    source: the crops; tell: texts about them; rules: the stage's mixture. data_set: the number of the data set
    whose turn it is; elsewhere: of those that could stand in for it.
    positive: whether a pair asked about is to match. rng: all other draws.
    """

    source: CropIndex
    tell: CaptionSampler
    rules: StageMixture
    data_set: int
    elsewhere: Sequence[int]
    positive: bool
    rng: SampleRng

    def size(self) -> int:
        """N, uniform."""
        return self.rng.between(*self.rules.gallery)

    def matches(self, mode: str, size: int) -> tuple[int, list[int]] | None:
        """A query and its n matches in a gallery of `size`: n first, then an identity that has as many.

        Where the data set has none, another has its turn; where none has, n is the most that there is.
        """
        count = match_count(size, self.rng, single=self.rules.single, law=self.rules.law)
        query = self.source.query(mode, self.data_set, count, self.rng)
        for other in self.elsewhere if query is None else ():
            query = self.source.query(mode, other, count, self.rng)
            if query is not None:
                break
        if query is None:
            count = min(count, self.source.most(mode, self.data_set))
            query = self.source.query(mode, self.data_set, count, self.rng) if count else None
        return None if query is None else (query, self.source.matches(mode, query, count, self.rng))

    def others(
        self, row: int, count: int, *, infrared: int | None = None, text: Text | None = None
    ) -> list[int]:
        """Crops of other people; with a text, only those of which it is not true."""
        fits = None if text is None else lambda other: self.tell.about(text, other)
        return self.source.others(row, count, self.rng, self.rules.hard, infrared=infrared, fits=fits)

    def gallery(
        self, matches: Sequence[int], others: Sequence[int], first: int
    ) -> tuple[list[int], list[str]]:
        """A gallery in random order, and the matches' names in it; pictures are numbered from `first`."""
        marked = [(row, True) for row in matches] + [(row, False) for row in others]
        self.rng.shuffle(marked)
        names = [image_name(first + place) for place, (_, match) in enumerate(marked) if match]
        return [row for row, _ in marked], names


TaskFunction = Callable[[SampleContext], InstructionSample | None]
