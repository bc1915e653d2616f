"""The line in which all operators' searches stand for the model: each computes in units of a batch, in fair turns.

A search keeps its place until it has computed for a slice of time; then it goes to the end of the line. So short
searches are answered in the order in which they came, and a long one never keeps the others waiting for all of it.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

SLICE = 1.0  # seconds
_STOP_ASKED = 0.25  # seconds, while others compute

Stop = Callable[[], bool]
Item = TypeVar("Item")
Result = TypeVar("Result")


def never() -> bool:
    """No stop."""
    return False


class LeftLine(Exception):
    """A search left the line before its turn came. is_late: for want of patience, and not because it was stopped."""

    def __init__(self, *, is_late: bool = False) -> None:
        super().__init__("it left the line before its turn came")
        self.is_late = is_late


@dataclass(eq=False)
class _Place:
    """ticket: the lower, the sooner its turn. until: by the line's clock, when it leaves if it has not computed yet.
    computed, of_slice: seconds.
    """

    ticket: int
    stop: Stop
    until: float
    told: Callable[[int], None]
    computed: float = 0.0
    of_slice: float = 0.0


@dataclass(eq=False)
class _Unit:
    """What one thread wants computed. key: of the units that can be computed together; None stands alone.

    results: where another thread has computed it.
    """

    place: _Place
    stop: Stop
    key: Hashable = None
    items: Sequence[Any] = ()
    results: list[Any] | None = None
    ready: threading.Event = field(default_factory=threading.Event)

    @property
    def is_stopped(self) -> bool:
        return self.stop() or self.place.stop()  # its own first: it may remember that it was asked


class Line:
    """Thread-safe; one unit is computed at a time.

    Args:
        slice_seconds: of computing, after which a search goes to the end. clock: seconds.
    """

    def __init__(self, slice_seconds: float = SLICE, clock: Callable[[], float] = time.perf_counter) -> None:
        self._slice, self._clock = slice_seconds, clock
        self._lock = threading.Lock()
        self._tickets = itertools.count()
        self._places: set[_Place] = set()
        self._waiting: list[_Unit] = []
        self._is_busy = False
        self._began = 0.0  # the turn that is computed
        self._here = threading.local()  # this thread's place, and its unit while it has its turn

    def __len__(self) -> int:
        """How many searches stand in it, the one whose turn it is among them."""
        with self._lock:
            return len(self._places)

    @contextmanager
    def place(
        self,
        stop: Stop = never,
        *,
        patience: float = math.inf,
        told: Callable[[int], None] = lambda ahead: None,
    ) -> Iterator[None]:
        """This thread's search stands in line until the block is left. Inside another such block it keeps that place.

        Args:
            stop: asked while it waits; what is stopped frees its place at once. patience: seconds until its first turn.
            told: called with how many searches are before this one, while it waits and when that changes.
        """
        if getattr(self._here, "place", None) is not None:
            yield
            return
        with self._lock:
            place = _Place(next(self._tickets), stop, self._clock() + patience, told)
            self._places.add(place)
        self._here.place = place
        try:
            yield
        finally:
            self._here.place = None
            with self._lock:
                self._places.discard(place)

    @contextmanager
    def turn(self, stop: Stop = never) -> Iterator[None]:
        """One unit, computed alone; it should take about half a second. In a turn of this thread's: at once.

        Raises LeftLine where `stop`, or the place's, came first.
        """
        if getattr(self._here, "unit", None) is not None:
            yield
            return
        with self.place():
            self._wait(_Unit(self._here.place, stop))
            try:
                yield
            finally:
                self._release()

    def joined(
        self,
        key: Hashable,
        items: Sequence[Item],
        compute: Callable[[list[Item]], Sequence[Result]],
        *,
        most: int,
        stop: Stop = never,
    ) -> list[Result]:
        """One unit that is computed together with those of one key that wait as well: the results for these items.

        Args:
            compute: items -> a result for each; whose turn comes first computes for all. most: items at once, unless
                one unit alone has more.

        Raises LeftLine as `turn`.
        """
        if getattr(self._here, "unit", None) is not None:
            return list(compute(list(items)))
        with self.place():
            unit = _Unit(self._here.place, stop, key, items)
            self._wait(unit)
            if unit.results is not None:
                return unit.results
            others: list[_Unit] = []
            try:
                others = self._take(key, most - len(items))
                every = [unit, *others]
                results = iter(compute([item for one in every for item in one.items]))
                mine, *theirs = [list(itertools.islice(results, len(one.items))) for one in every]
                for other, own in zip(others, theirs, strict=True):
                    other.results = own
                    other.ready.set()
                return mine
            finally:
                self._release([other for other in others if other.results is None])

    def give_way(self, stop: Stop = never) -> bool:
        """Between two steps of a long unit: let others compute first, if this one's slice is used up. False where
        `stop` came before its next turn, which it then does not have.
        """
        unit = getattr(self._here, "unit", None)
        if unit is None:
            return False
        with self._lock:
            used = unit.place.of_slice + self._clock() - self._began
            goes_on = used < self._slice or not self._waiting
        if goes_on:
            return True
        self._release()
        try:
            self._wait(_Unit(unit.place, stop))
        except LeftLine:
            return False
        return True

    def computed(self) -> float:
        """Seconds that this thread's search has computed: a clock that stands still while it waits for its turn."""
        place = getattr(self._here, "place", None)
        if place is None:
            return self._clock()
        has_turn = getattr(self._here, "unit", None) is not None
        return place.computed + (self._clock() - self._began if has_turn else 0.0)

    def _wait(self, unit: _Unit) -> None:
        """Until it is its turn, or another has computed it. Raises LeftLine."""
        place, told = unit.place, None
        has_left = is_late = False
        with self._lock:
            if self._is_busy:
                self._waiting.append(unit)
            else:  # whoever waits still was stopped
                self._begin(unit)
        try:
            while not (has_left or unit.ready.wait(_STOP_ASKED)):
                if (ahead := self._ahead(place)) != told:
                    told = ahead
                    place.told(ahead)
                is_stopped = unit.is_stopped
                is_late = not (is_stopped or place.computed) and self._clock() > place.until
                has_left = (is_late or is_stopped) and self._withdraw(unit)
        except BaseException:
            if not self._withdraw(unit):  # its turn has come, or comes while another computes it
                unit.ready.wait()
                self._here.unit = unit if unit.results is None else None
                self._release()
            raise
        if has_left:
            raise LeftLine(is_late=is_late)
        if unit.results is None:
            self._here.unit = unit

    def _withdraw(self, unit: _Unit) -> bool:
        """Whether it waited still; it does not any more."""
        with self._lock:
            waits = unit in self._waiting
            if waits:
                self._waiting.remove(unit)
            return waits

    def _ahead(self, place: _Place) -> int:
        with self._lock:
            self._grant()  # a stop may have been taken back
            return sum(one.ticket < place.ticket and not one.stop() for one in self._places)

    def _take(self, key: Hashable, room: int) -> list[_Unit]:
        """Others' units of this key, as far as there is room; in their order."""
        taken: list[_Unit] = []
        with self._lock:
            for unit in sorted(self._waiting, key=lambda one: one.place.ticket):
                if key is not None and unit.key == key and len(unit.items) <= room and not unit.is_stopped:
                    taken.append(unit)
                    room -= len(unit.items)
            self._waiting = [unit for unit in self._waiting if unit not in taken]
        return taken

    def _release(self, again: Sequence[_Unit] = ()) -> None:
        """This thread's turn is over. again: units that it took along and did not compute."""
        unit, self._here.unit = getattr(self._here, "unit", None), None
        if unit is None:  # it left the line while it gave way
            return
        with self._lock:
            place, seconds = unit.place, self._clock() - self._began
            place.computed += seconds
            place.of_slice += seconds
            if place.of_slice >= self._slice:
                place.ticket, place.of_slice = next(self._tickets), 0.0
            self._is_busy = False
            self._waiting += again
            self._grant()

    def _grant(self) -> None:
        """The turn to the first in line that waits; those that were stopped are about to leave. Holds the lock."""
        waiting = [unit for unit in self._waiting if not unit.is_stopped]
        if self._is_busy or not waiting:
            return
        unit = min(waiting, key=lambda one: one.place.ticket)
        self._waiting.remove(unit)
        self._begin(unit)

    def _begin(self, unit: _Unit) -> None:
        self._is_busy, self._began = True, self._clock()
        unit.ready.set()
