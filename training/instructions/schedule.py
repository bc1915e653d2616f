"""Which task each index gets: shares kept exactly, in any window, without counting from the start.

The shares are written as whole numbers of slots in a block of `length` slots (the shortest block that holds
them exactly, of up to MOST slots; otherwise MOST slots, rounded by largest remainders). Inside a block the
order is a random Pfair schedule (Baruah and others, 1996): the j-th turn of a name with share p falls into the
slots [floor(j / p), ceil((j + 1) / p)), so that after every slot each name has had its share to within less
than one turn. Each block begins even, so this holds from any block's start, and therefore, in any window
whatever of W slots, a name's count differs from p W by less than two; from the start of the stream, by less
than one. A window of whole blocks is exact.

Each slot's name is drawn by the shares among those that may have it. May have it: its window is open, and the
others can still keep theirs. Unit jobs with whole-numbered windows can be kept exactly if, for every d, the
turns that are due by d are no more than the slots before d (Hall's condition; later openings ask for less, as
a steady flow of the shares keeps all windows). Blocks take turns in many such orders, by a hash of their
number: no worker and no place in a batch meets the same task for ever. An index is answered in constant time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache
from math import lcm

import numpy as np

from training.instructions.rng import SampleRng, mixed

MOST = 240  # slots of a block
ORDERS, ORDERS_OF_LONG, LONG = 64, 16, 100  # orders that blocks take turns in; longer blocks have fewer


@dataclass(frozen=True)
class Slot:
    """name: whose turn an index is; turn: how many turns the name had before it, over the whole stream."""

    name: str
    turn: int


@dataclass(frozen=True)
class Schedule:
    """shares: name -> weight, in any unit; names without weight have no turns. seed: of the orders.

    Raises:
        ValueError: no positive weight, or a negative one.
    """

    shares: Mapping[str, float]
    seed: int = 0

    def __post_init__(self) -> None:
        wrong = [name for name, share in self.shares.items() if not 0 <= share < float("inf")]
        if wrong or not sum(self.shares.values()) > 0:
            raise ValueError(f"shares must be 0 or more, and some above 0, got {dict(self.shares)}")

    @cached_property
    def slots(self) -> dict[str, int]:
        """Turns of each name in a block; they add up to the block's length."""
        return _whole({name: share for name, share in self.shares.items() if share > 0})

    @cached_property
    def length(self) -> int:
        return sum(self.slots.values())

    @cached_property
    def _key(self) -> tuple[tuple[tuple[str, int], ...], int]:
        return tuple(self.slots.items()), ORDERS if self.length <= LONG else ORDERS_OF_LONG

    def at(self, index: int) -> Slot:
        """The slot of an index, 0 or more."""
        block, place = divmod(index, self.length)
        slots, orders = self._key
        name, turn = _order(slots, mixed(self.seed, block, 71) % orders)[place]
        return Slot(name, block * self.slots[name] + turn)


def _whole(shares: dict[str, float]) -> dict[str, int]:
    total = sum(shares.values())
    exact = {name: Fraction(share / total).limit_denominator(MOST) for name, share in shares.items()}
    length = lcm(*(share.denominator for share in exact.values()))
    if length <= MOST and sum(exact.values()) == 1 and all(exact.values()):
        return {name: int(share * length) for name, share in exact.items()}
    # Each name keeps a turn, however small its share; the rest by largest remainders.
    free = max(MOST - len(shares), 0)
    quota = {name: share / total * free for name, share in shares.items()}
    slots = {name: 1 + int(q) for name, q in quota.items()}
    by_remainder = sorted(quota, key=lambda name: (int(quota[name]) - quota[name], name))
    for name in by_remainder[: free - sum(int(q) for q in quota.values())]:
        slots[name] += 1
    return slots


@lru_cache(2048)
def _order(slots: tuple[tuple[str, int], ...], which: int) -> tuple[tuple[str, int], ...]:
    """One order of a block: (name, its turn in the block) for each place. The seed only says which blocks take it."""
    counts = np.array([count for _, count in slots])
    places = _places(counts, SampleRng(which, 73)) if len(slots) > 1 else [0] * slots[0][1]
    had = [0] * len(slots)
    order = []
    for name in places:
        order.append((slots[name][0], had[name]))
        had[name] += 1
    return tuple(order)


def _places(counts: np.ndarray, rng: SampleRng) -> list[int]:
    """Whose turn each place is, as a number of `counts`."""
    length = int(counts.sum())
    due = np.arange(1, length + 1)[:, None] * counts // length  # turns due by d = 1, 2, ...
    slack = np.arange(length)
    had, places = np.zeros(len(counts), np.int64), []
    for place in range(length):
        # floor(j / p) <= place: the next turn's window is open.
        ready = np.flatnonzero((had < counts) & (had * length // counts <= place)).tolist()
        # By share: the largest u^(1/w) first, and so on.
        ready.sort(key=lambda name: -(rng.random() ** (1 / int(counts[name]))))
        for name in ready:
            had[name] += 1
            if (np.maximum(due[place:] - had, 0).sum(1) <= slack[: length - place]).all():
                places.append(name)
                break
            had[name] -= 1
    return places
