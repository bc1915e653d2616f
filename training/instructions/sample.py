"""One thing to learn: a question with pictures, and its answer; and what a task has at hand to make one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.model.prompts import Message, image_name
from training.instructions.chance import Chance
from training.instructions.mixtures import StageMixture
from training.instructions.sizes import match_count
from training.instructions.source import Source
from training.instructions.texts import Teller, Text


@dataclass(frozen=True)
class InstructionSample:
    """messages: the question; pictures: rows of the records, in the order of their slots; answer: what to say."""

    task: str
    messages: list[Message]
    pictures: tuple[int, ...]
    answer: str


@dataclass(frozen=True)
class Draw:
    """What one sample is drawn from.

    data_set: the place of the data set whose turn it is; elsewhere: those that could stand in for it.
    positive: whether a pair asked about is to match. chance: all other draws.
    """

    source: Source
    tell: Teller
    rules: StageMixture
    data_set: int
    elsewhere: Sequence[int]
    positive: bool
    chance: Chance

    def size(self) -> int:
        """N, uniform."""
        return self.chance.between(*self.rules.gallery)

    def matches(self, mode: str, size: int) -> tuple[int, list[int]] | None:
        """A query and its n matches in a gallery of `size`: n first, then an identity that has as many.

        Where the data set has none, another has its turn; where none has, n is the most that there is.
        """
        count = match_count(size, self.chance, single=self.rules.single, law=self.rules.law)
        found = self.source.query(mode, self.data_set, count, self.chance)
        for other in self.elsewhere if found is None else ():
            found = self.source.query(mode, other, count, self.chance)
            if found is not None:
                break
        if found is None:
            count = min(count, self.source.most(mode, self.data_set))
            found = self.source.query(mode, self.data_set, count, self.chance) if count else None
        return None if found is None else (found, self.source.matches(mode, found, count, self.chance))

    def others(
        self, row: int, count: int, *, infrared: int | None = None, text: Text | None = None
    ) -> list[int]:
        """Crops of other people; with a text, only those of which it is not true."""
        fits = None if text is None else lambda other: self.tell.about(text, other)
        return self.source.others(row, count, self.chance, self.rules.hard, infrared=infrared, fits=fits)

    def gallery(
        self, matches: Sequence[int], others: Sequence[int], first: int
    ) -> tuple[list[int], list[str]]:
        """A gallery in random order, and the matches' names in it; pictures are numbered from `first`."""
        marked = [(row, True) for row in matches] + [(row, False) for row in others]
        self.chance.shuffle(marked)
        names = [image_name(first + place) for place, (_, match) in enumerate(marked) if match]
        return [row for row, _ in marked], names


Task = Callable[[Draw], InstructionSample | None]


def listed(names: Sequence[str]) -> str:
    """ "Image 2", "Image 2 and Image 4", "Image 2, Image 4 and Image 5"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
