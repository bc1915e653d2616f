"""Random draws for one sample: quick to seed, cheap to draw from, and the same on every machine.

Everything is made of `random.Random(seed).random()`, the one sequence that Python promises to keep from
version to version. Seeding it and drawing a dozen numbers costs a few microseconds; a NumPy generator costs
ten times that, which a sample made in 200 microseconds cannot spare.
"""

from __future__ import annotations

import random
from collections.abc import MutableSequence, Sequence
from typing import Any, TypeVar

Element = TypeVar("Element")
_MASK = (1 << 64) - 1


def mixed(*numbers: int) -> int:
    """64 well-mixed bits that depend on every number and on their order (the finaliser of splitmix64)."""
    state = 0x9E3779B97F4A7C15
    for number in numbers:
        state = (state ^ (number & _MASK)) * 0xBF58476D1CE4E5B9 & _MASK
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & _MASK
        state ^= state >> 31
    return state


class SampleRng:
    """A stream of draws that depends on the given whole numbers alone.

    It has the three methods of a NumPy generator that `training.synthetic.captions.caption` calls (random,
    integers, shuffle), so that one composer serves both.
    """

    __slots__ = ("random",)

    def __init__(self, *key: int) -> None:
        self.random = random.Random(mixed(*key)).random

    def below(self, count: int) -> int:
        """A whole number in 0..count-1; count must be positive."""
        return int(self.random() * count)

    def integers(self, low: int, high: int | None = None) -> int:
        """As NumPy's: in 0..low-1, or in low..high-1."""
        return self.below(low) if high is None else low + self.below(high - low)

    def between(self, low: int, high: int) -> int:
        """Uniform over low..high, both included."""
        return low + self.below(high - low + 1)

    def happens(self, share: float) -> bool:
        """True in a share (0..1) of the draws."""
        return self.random() < share

    def one(self, items: Sequence[Element]) -> Element:
        return items[self.below(len(items))]

    def shuffle(self, items: MutableSequence[Any]) -> None:
        """In place."""
        for last in range(len(items) - 1, 0, -1):
            position = self.below(last + 1)
            items[last], items[position] = items[position], items[last]

    def some(self, items: Sequence[Element], count: int) -> list[Element]:
        """Up to `count` of the items at different positions, in random order."""
        left = list(items)
        count = min(count, len(left))
        for position in range(count):
            other = position + self.below(len(left) - position)
            left[position], left[other] = left[other], left[position]
        return left[:count]
