"""Whose conversations are open: found again by their tab, and forgotten when they were idle for too long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.session import ChatSession

MOST_SESSIONS = 2000  # conversations; one of two turns takes about 180 KB
MOST_OF_ONE = 200  # of them, of one user


class OpenSessions:
    """Sessions by user and by Gradio's name of the page that they stand in. Thread-safe.

    Args:
        make: a new session of a user. idle_seconds: after which one is forgotten. clock: seconds.
    """

    def __init__(
        self, make: Callable[[str], ChatSession], idle_seconds: float, clock: Callable[[], float]
    ) -> None:
        self._make = make
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._open: dict[str, dict[str, ChatSession]] = {}  # by user; the last used stands last
        self._opening = threading.Lock()

    def __len__(self) -> int:
        return sum(map(len, self._open.values()))

    def find(self, user: str, session_hash: str) -> tuple[ChatSession, bool]:
        """The session of this page, and whether it is new."""
        now = self._clock()
        with self._opening:
            found = self._open.get(user, {}).pop(session_hash, None)
            is_new = found is None or self._is_idle(found, now)
            session = self._make(user) if found is None or is_new else found
            self._forget(user, now)
            session.used = now
            self._open.setdefault(user, {})[session_hash] = session
            return session, is_new

    def has(self, user: str, session_hash: str) -> bool:
        """Whether this page has a session that `find` would give back."""
        with self._opening:
            found = self._open.get(user, {}).get(session_hash)
            return found is not None and not self._is_idle(found, self._clock())

    def of(self, user: str) -> list[ChatSession]:
        """All of a user's."""
        with self._opening:
            return list(self._open.get(user, {}).values())

    def move(self, user: str, session_hash: str, tab: str) -> ChatSession | None:
        """The session of this tab, which stands in another page from now on; None where it is forgotten."""
        with self._opening:
            theirs = self._open.get(user, {})
            before = next((name for name, session in theirs.items() if session.tab == tab), None)
            if before is None:
                return None
            session = theirs.pop(before)
            session.used = self._clock()
            theirs[session_hash] = session
            return session

    def _forget(self, user: str, now: float) -> None:
        """Make room for one more of this user: the idle go, then the oldest of whoever has the most."""
        for name, theirs in list(self._open.items()):
            while theirs and self._is_idle(next(iter(theirs.values())), now):
                self._close_oldest(theirs)
            if not theirs:
                del self._open[name]
        own = self._open.get(user, {})
        while len(own) >= MOST_OF_ONE:
            self._close_oldest(own)
        while len(self) >= MOST_SESSIONS:
            self._close_oldest(max(self._open.values(), key=len))

    def _is_idle(self, session: ChatSession, now: float) -> bool:
        return now - session.used > self._idle_seconds

    @staticmethod
    def _close_oldest(theirs: dict[str, ChatSession]) -> None:
        theirs.pop(next(iter(theirs))).stop.set()
