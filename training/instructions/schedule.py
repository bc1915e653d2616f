"""Which task each index gets: shares kept exactly, in any window, without counting from the start.

The shares are written as whole numbers of slots in a block of `length` slots (the shortest block that holds
them exactly, of up to MOST slots; otherwise MOST slots, rounded by largest remainders). Inside a block the
order is a Pfair schedule (Baruah and others, 1996): the j-th turn of a name with share p falls into the slots
[floor(j / p), ceil((j + 1) / p)), earliest deadline first, so that after every slot each name has had its
share to within less than one turn. Each block begins even, so this holds from any block's start, and
therefore, in any window whatever of W slots, a name's count differs from p W by less than two; from the start
of the stream, by less than one. A window of whole blocks is exact.

Blocks differ: each takes one of ORDERS orders, in which ties are broken at random, by a hash of its number.
So no worker and no batch position meets the same task for ever, and an index is answered in constant time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from math import lcm

from training.instructions.chance import Chance, mixed

MOST = 1000  # slots of a block
ORDERS = 16


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
    _orders: dict[int, list[tuple[str, int]]] = field(default_factory=dict, repr=False, compare=False)

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

    def at(self, index: int) -> Slot:
        """The slot of an index, 0 or more."""
        block, place = divmod(index, self.length)
        which = mixed(self.seed, block, 71) % ORDERS
        order = self._orders.get(which)
        if order is None:
            order = self._orders[which] = _order(self.slots, Chance(self.seed, which, 73))
        name, turn = order[place]
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


def _order(slots: dict[str, int], chance: Chance) -> list[tuple[str, int]]:
    """(name, its turn in the block) for each place of a block."""
    length = sum(slots.values())
    had = dict.fromkeys(slots, 0)
    order = []
    for place in range(length):
        # Integer arithmetic: floor(j / p) = j * length // share, ceil((j + 1) / p) = -(-(j + 1) * length // share).
        ready = [n for n, own in slots.items() if had[n] < own and had[n] * length // own <= place]
        name = min(ready, key=lambda n: (-(-(had[n] + 1) * length // slots[n]), chance.random()))
        order.append((name, had[name]))
        had[name] += 1
    return order
