"""Messages that were sent and are not answered yet: each waits its turn, and none is dropped. Undo, Redo and Start over
stand in the same line. The gallery keeps the messages (see sending).
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gallery_store.case_messages import MessageId


@dataclass(frozen=True)
class Sent:
    """A message as it was sent, or a click on a button. step: "say", "undo", "redo" or "start-over".

    kept: where the gallery keeps it until it is settled; several of one that was put together of them.
    """

    text: str = ""
    photos: tuple[Path, ...] = ()
    step: str = "say"
    kept: tuple[MessageId, ...] = field(default=(), compare=False)


class Waiting:
    """The messages of one conversation, in the order in which they were sent. Thread-safe."""

    def __init__(self) -> None:
        self._messages: deque[Sent] = deque()
        self._lock = threading.Lock()
        self.in_hand: Sent | None = None  # the one that is being answered
        self.is_held = False  # all of them, until the case has the reason that it needs

    @property
    def later(self) -> tuple[Sent, ...]:
        """Those whose turn has not come yet."""
        with self._lock:
            return tuple(self._messages)

    @property
    def unanswered(self) -> tuple[Sent, ...]:
        """All of them, the one in hand first."""
        with self._lock:
            return (*((self.in_hand,) if self.in_hand else ()), *self._messages)

    def add(self, message: Sent) -> None:
        with self._lock:
            self._messages.append(message)

    def begin(self) -> Sent | None:
        """Take the next message in hand; None where none waits."""
        with self._lock:
            self.in_hand = self._messages.popleft() if self._messages else None
            self.is_held = False
            return self.in_hand

    def hold(self) -> None:
        """The message in hand cannot be answered before the case has a reason: it stands first again."""
        with self._lock:
            if self.in_hand is not None:
                self._messages.appendleft(self.in_hand)
                self.in_hand, self.is_held = None, True

    def withdraw(self) -> tuple[Sent, ...]:
        """Those whose turn has not come, which nobody waits for any more."""
        with self._lock:
            gone = tuple(self._messages)
            self._messages.clear()
            self.is_held = False
            return gone

    def answered(self) -> None:
        """The message in hand has become a step of the conversation, or was given back."""
        with self._lock:
            self.in_hand = None
