"""A lock for the steps of one conversation: they are done in the order in which they were asked for."""

from __future__ import annotations

import threading
from collections import deque


class InOrder:
    """As threading.RLock, but whoever asked first has it first, which an RLock does not promise."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None  # a thread
        self._depth = 0
        self._line: deque[tuple[int, threading.Event]] = deque()

    def acquire(self, blocking: bool = True) -> bool:
        """Whether this thread has it now; without `blocking` only where nobody else has it."""
        me = threading.get_ident()
        with self._lock:
            if self._owner in (None, me):
                self._owner, self._depth = me, self._depth + 1
                return True
            if not blocking:
                return False
            mine = threading.Event()
            self._line.append((me, mine))
        mine.wait()
        return True

    def release(self) -> None:
        """By the thread that has it; the first in line has it then."""
        with self._lock:
            self._depth -= 1
            if self._depth:
                return
            self._owner = None
            if self._line:
                self._owner, first = self._line.popleft()
                self._depth = 1
                first.set()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
