"""How much decoded pixels may take at once: one bound for all threads of the process.

A few bytes of a file can stand for gigabytes of pixels, and importer, uploads, thumbnails and the model decode at the
same time.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

_SMALL = 4 << 20  # bytes; pictures below are not counted when they are decoded: crops are


class DecodedBytes:
    """At most `most` bytes of pictures being decoded and of large decoded ones that somebody still holds.

    One picture is always let in: whoever holds many cannot stop the others for good.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.peak = 0  # bytes, the most that were counted at once
        self._decoding = 0
        self._held = 0
        # Re-entrant: a collection may drop a held picture while this thread has it.
        self._changed = threading.Condition(threading.RLock())

    @contextmanager
    def taken(self, size: int) -> Iterator[None]:
        """While `size` bytes are being decoded; waits until they fit."""
        with self._changed:
            self._changed.wait_for(lambda: not self._decoding or self._sum() + size <= self.most)
            self._count(size, 0)
        try:
            yield
        finally:
            with self._changed:
                self._count(-size, 0)

    def keep(self, image: Image.Image, size: int) -> None:
        """Count a decoded picture for as long as somebody holds it."""
        if size < _SMALL:
            return
        with self._changed:
            self._count(0, size)
        weakref.finalize(image, self._drop, size).atexit = False

    def _drop(self, size: int) -> None:
        with self._changed:
            self._count(0, -size)

    def _sum(self) -> int:
        return self._decoding + self._held

    def _count(self, decoding: int, held: int) -> None:
        self._decoding += decoding
        self._held += held
        self.peak = max(self.peak, self._sum())
        self._changed.notify_all()


DECODED = DecodedBytes(2 << 30)
