"""How many at once: as many as take about half a second, so that Stop is heard soon however slow a model is."""

from __future__ import annotations


class Pace:
    """The size of the next batch, by how long the ones before took.

    size: 1..most; at first `first`. It falls at once and at most doubles from batch to batch.
    """

    def __init__(self, most: int, *, first: int, seconds: float = 0.5) -> None:
        self._most = most
        self._seconds = seconds
        self.size = min(first, most)

    def took(self, count: int, seconds: float) -> None:
        """A batch of `count` took so many seconds."""
        fits = int(self._seconds * count / max(seconds, 1e-6))
        self.size = max(1, min(fits, 2 * self.size, self._most))
