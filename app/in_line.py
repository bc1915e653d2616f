"""A step's place in the line of all that is asked of the model, and what its operator is told of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.model.line import LeftLine, Stop
from app.refused import Refused

if TYPE_CHECKING:
    from app.retrieval.engine import Engine
    from gallery_store.console import StepProgress

STAGE = "line"  # as progress names it: how many searches are before this one
STOPPED_WAITING = "Stopped before its turn came: another search is under way."
BUSY = "The model is busy with another search; ask again when it is done."
MOST_WAITING = 60.0  # seconds, of a question to the model


@contextmanager
def in_line(
    engine: Engine, stop: Stop, patience: float = math.inf, progress: StepProgress | None = None
) -> Iterator[None]:
    """What is asked of the engine in this block has one place in the line; inside another such block it is that one's.

    Refused where `stop` says so before its turn comes, or after `patience` seconds. progress: called with (STAGE,
    searches before this one, 0) while it waits.
    """

    def told(ahead: int) -> None:
        if progress is not None:
            progress(STAGE, ahead, 0)

    try:
        with engine.line.place(stop, patience=patience, told=told):
            yield
    except LeftLine as left:
        raise Refused(BUSY if left.is_late else STOPPED_WAITING) from None
