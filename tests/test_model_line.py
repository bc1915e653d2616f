"""The line for the model: turns in order, a slice each, joined where they can be, and left at once by the stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model import line as module
from app.model.line import LeftLine, Line
from tests.operators import others_compute


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def _asks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_STOP_ASKED", 0.005)


def wait_for(what: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.001)


def behind(line: Line, *searches: Callable[[], object]) -> list[threading.Thread]:
    """Each in a thread of its own, standing in this order behind what computes now."""
    threads = []
    for search in searches:
        had = len(line._waiting)
        threads.append(threading.Thread(target=search, daemon=True))
        threads[-1].start()
        wait_for(lambda had=had: len(line._waiting) > had)
    return threads


def test_short_searches_are_done_in_the_order_in_which_they_came() -> None:
    line, done = Line(), []

    def search(name: str) -> None:
        with line.place():
            for unit in range(3):
                with line.turn():
                    done.append((name, unit))

    with others_compute(line) as go_on:
        threads = behind(line, *(lambda name=name: search(name) for name in "abc"))
        assert len(line) == 4
        go_on.set()
        for thread in threads:
            thread.join()
    # Between two turns of one search another may slip in; but nobody's first comes before an earlier one's.
    assert [name for name, unit in done if unit == 0] == ["a", "b", "c"]
    assert len(done) == 9 and len(line) == 0


def test_a_long_search_lets_the_others_have_their_turn_after_a_slice() -> None:
    clock, done = Clock(), []
    line = Line(slice_seconds=1.0, clock=clock)

    def search(name: str, units: int) -> None:
        with line.place(), line.turn():
            for _ in range(units):
                clock.now += 0.4
                done.append(name)
                assert line.give_way()

    with others_compute(line) as go_on:
        threads = behind(line, lambda: search("l", 9), lambda: search("s", 2))
        go_on.set()
        for thread in threads:
            thread.join()
    assert "".join(done) == "lll" + "ss" + "llllll"


def test_whoever_waits_is_told_how_many_are_before() -> None:
    line, told = Line(), []

    def search() -> None:
        with line.place(told=told.append), line.turn():
            pass

    stop = threading.Event()

    def stopped() -> None:
        with pytest.raises(LeftLine), line.place(stop.is_set), line.turn():
            raise AssertionError("it had a turn")

    with others_compute(line) as go_on:
        threads = behind(line, stopped, search)
        wait_for(lambda: told == [2])
        stop.set()
        wait_for(lambda: told == [2, 1])
        threads[0].join()
        assert len(line) == 2
        go_on.set()
        threads[1].join()
    assert told == [2, 1]


def test_patience_is_for_the_first_turn() -> None:
    clock = Clock()
    line = Line(clock=clock)
    with line.place(patience=1.0):
        with line.turn():
            clock.now = 0.5
        clock.now = 5.0
        with line.turn():
            pass
    with others_compute(line), pytest.raises(LeftLine) as left, line.place(patience=-1.0), line.turn():
        pass
    assert left.value.is_late and len(line) == 0


def test_what_has_one_key_is_computed_together_and_each_gets_its_own() -> None:
    line, calls, found = Line(), [], {}

    def double(items: list[int]) -> list[int]:
        calls.append(items)
        return [2 * item for item in items]

    def search(name: str, key: Any, items: list[int]) -> None:
        found[name] = line.joined(key, items, double, most=5)

    with others_compute(line) as go_on:
        asked = {
            "a": ("x", [1, 2]),
            "b": ("y", [3]),
            "c": ("x", [4]),
            "d": ("x", [5, 6, 7]),
            "e": (None, [8]),
        }
        threads = behind(line, *(lambda name=name: search(name, *asked[name]) for name in asked))
        go_on.set()
        for thread in threads:
            thread.join()
    assert found == {name: [2 * item for item in items] for name, (_, items) in asked.items()}
    assert calls == [[1, 2, 4], [3], [5, 6, 7], [8]]  # five at once, and what has no key alone


def test_a_failure_is_the_failure_of_whom_it_belongs_to() -> None:
    line, found = Line(), {}

    def invert(items: list[float]) -> list[float]:
        return [1 / item for item in items]

    def search(name: str, item: float) -> None:
        try:
            found[name] = line.joined("key", [item], invert, most=9)
        except ZeroDivisionError:
            found[name] = "failed"

    with others_compute(line) as go_on:
        threads = behind(
            line, lambda: search("zero", 0.0), lambda: search("two", 2.0), lambda: search("four", 4.0)
        )
        go_on.set()
        for thread in threads:
            thread.join()
    assert found == {"zero": "failed", "two": [0.5], "four": [0.25]} and len(line) == 0


def test_a_writer_gives_way_when_its_slice_is_used_up() -> None:
    clock, done = Clock(), []
    line = Line(slice_seconds=1.0, clock=clock)

    def search() -> None:
        with line.turn():
            done.append("search")

    with line.place(), line.turn():
        (thread,) = behind(line, search)
        for _ in range(3):
            clock.now += 0.4
            done.append("word")
            assert line.give_way()
        thread.join()
        done.append("word")
    assert done == ["word", "word", "word", "search", "word"]


def test_a_writer_that_is_stopped_while_it_gives_way_has_no_turn_any_more() -> None:
    line, stop = Line(slice_seconds=0.0), threading.Event()
    go_on = threading.Event()

    def search() -> None:
        with line.turn():
            stop.set()
            go_on.wait(60)

    with line.place(), line.turn():
        (thread,) = behind(line, search)
        assert not line.give_way(stop.is_set) and not line.give_way(stop.is_set)
    go_on.set()
    thread.join()
    with line.turn():
        pass


def test_whoever_fails_while_it_waits_leaves_no_turn_behind() -> None:
    line = Line()

    def fails(_: int) -> None:
        raise RuntimeError("the page is gone")

    gone = pytest.raises(RuntimeError, match="the page is gone")
    with others_compute(line), gone, line.place(told=fails), line.turn():
        pass
    with line.turn():
        assert len(line) == 1


@settings(max_examples=15)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["", "x", "y"]), st.integers(1, 4), st.booleans()), max_size=5),
        min_size=2,
        max_size=8,
    )
)
def test_many_at_once_each_get_what_they_get_alone(searches: list[list[tuple[str, int, bool]]]) -> None:
    """Units never overlap, whatever is joined, stopped or fails; nothing is left behind."""
    line, inside, problems = Line(slice_seconds=1e-4), [], []

    def compute(items: list[int]) -> list[int]:
        inside.append(1)
        if len(inside) > 1:
            problems.append("two at once")
        time.sleep(0)
        inside.pop()
        return [item * item for item in items]

    def search(number: int, units: list[tuple[str, int, bool]]) -> None:
        stop = threading.Event()
        with line.place(stop.is_set):
            for unit, (key, count, is_stopped) in enumerate(units):
                items = [1000 * number + 10 * unit + one for one in range(count)]
                if is_stopped:
                    stop.set()
                try:
                    if line.joined(key or None, items, compute, most=6) != [item * item for item in items]:
                        problems.append(f"{number}: another's results")
                except LeftLine:
                    if not stop.is_set():
                        problems.append(f"{number}: left unasked")
                    return

    threads = [threading.Thread(target=search, args=one) for one in enumerate(searches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not problems and len(line) == 0 and not line._waiting and not line._is_busy
