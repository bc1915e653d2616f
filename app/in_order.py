"""A lock for what is done in one conversation: in the order in which it was asked for."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable


class InOrder:
    """As threading.RLock, but whoever asked first has it first, which an RLock does not promise; and it may be had by
    other owners than threads, to be released by any of them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: Hashable = None  # a thread's number by default
        self._depth = 0
        self._line: deque[tuple[Hashable, threading.Event]] = deque()

    def acquire(self, blocking: bool = True, owner: Hashable = None) -> bool:
        """Whether the owner, this thread by default, has it now; without `blocking` only where nobody else has it."""
        me = threading.get_ident() if owner is None else owner
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
        """For the owner that has it; the first in line has it then."""
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
