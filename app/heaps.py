"""The memory that the C library keeps: glibc alone, and nothing anywhere else.

glibc gives up to eight heaps a core to threads, and each keeps what its largest batch took: memory would grow with the
threads that ever computed, and with what they came to hold at once.
"""

from __future__ import annotations

import ctypes
import threading
from contextlib import suppress

MOST_HEAPS = 2  # that all threads share
EVERY = 60.0  # seconds
_ARENA_MAX = -8  # mallopt's


def share_heaps() -> None:
    """Let all threads share few heaps. Before they begin."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, MOST_HEAPS)


def give_back() -> None:
    """Give the system back what no one holds; it takes milliseconds."""
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_giving_back(every: float = EVERY) -> threading.Event:
    """`give_back` every so many seconds, until the event is set that this returns, or the process ends."""
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(every):
            give_back()

    threading.Thread(target=work, name="heaps", daemon=True).start()
    return ended
