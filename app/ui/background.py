"""Long work in a thread of its own, so that a handler can show how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from app.talk import STAGE
from gallery_store.console import StepProgress


class BackgroundWork:
    """Runs `work(report)` in a thread. `ticks()` yields while it runs; its exception is raised at the end."""

    def __init__(self, work: Callable[[StepProgress], object]) -> None:
        self.stage, self.done, self.total = "", 0, 0
        self._problem: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self._work(self.report)
        except BaseException as problem:
            self._problem = problem

    def report(self, stage: str, done: int, total: int) -> None:
        self.stage, self.done, self.total = stage, done, total

    def ticks(self, seconds: float = 0.3, talking: float = 0.1) -> Iterator[BackgroundWork]:
        """Itself, every so many seconds, until the work is done. Quick work yields nothing.

        talking: seconds while the model writes: its words are shown as they come.
        """
        self._thread.start()
        while True:
            self._thread.join(talking if self.stage == STAGE else seconds)
            if not self._thread.is_alive():
                break
            yield self
        if self._problem:
            raise self._problem
