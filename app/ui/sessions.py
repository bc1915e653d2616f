"""Conversations that are open now: one per tab or client, never shared, forgotten when idle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from app.chat.conversation import Conversation
from app.retrieval.comparison import Comparison
from app.retrieval.ranking import Ranking
from app.ui.cards import Card

MOST_SESSIONS = 2000  # a conversation takes some kilobytes
PAGE_OF_CARDS = 12


@dataclass
class Session:
    """What one tab shows. Changed by app.ui.desk while `lock` is held; `stop` may be set at any time."""

    user: str
    conversation: Conversation = field(default_factory=Conversation)
    ranking: Ranking | None = None
    cards: tuple[Card, ...] = ()  # those that are shown, best first
    limit: int = PAGE_OF_CARDS
    selected: Card | None = None
    compared: Comparison = field(default_factory=Comparison)
    waiting: tuple[str, tuple[Path, ...]] | None = None  # a message that was sent and is not yet answered
    notice: str = ""  # a sentence about a step that was refused; shown once, no part of the conversation
    photo: Path | None = None  # being cropped
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)
    used: float = 0.0


class Sessions:
    """Sessions by user and Gradio's session hash: neither another tab nor another login finds one."""

    def __init__(self, hours: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = hours * 3600
        self._clock = clock
        self._open: dict[tuple[str, str], Session] = {}
        self._lock = threading.Lock()

    def get(self, user: str, session_hash: str) -> Session:
        """The session of this tab, a new one if there is none yet or it was idle for too long."""
        now = self._clock()
        with self._lock:
            session = self._open.pop((user, session_hash), None)
            if session is None or now - session.used > self._seconds:
                session = Session(user)
            self._forget(now)
            session.used = now
            self._open[user, session_hash] = session  # the last used stands last
            return session

    def __len__(self) -> int:
        return len(self._open)

    def _forget(self, now: float) -> None:
        while self._open:
            key, oldest = next(iter(self._open.items()))
            if len(self._open) < MOST_SESSIONS and now - oldest.used <= self._seconds:
                return
            oldest.stop.set()
            del self._open[key]
