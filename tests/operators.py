"""Several operators at once, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.model.line import Line


@contextmanager
def others_compute(line: Line) -> Iterator[threading.Event]:
    """Another search has its turn in this line until the block is left, or the event is set."""
    has_turn, go_on = threading.Event(), threading.Event()

    def compute() -> None:
        with line.place(), line.turn():
            has_turn.set()
            go_on.wait(60)

    thread = threading.Thread(target=compute)
    thread.start()
    assert has_turn.wait(60)
    try:
        yield go_on
    finally:
        go_on.set()
        thread.join()
