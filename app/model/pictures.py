"""Pictures as the model takes them, and what it remembers of them."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from PIL import Image

Value = TypeVar("Value")


@dataclass(frozen=True)
class Picture:
    """One picture: a key that stands for its content (e.g. its SHA-256), and how to open it (RGB)."""

    key: Hashable
    load: Callable[[], Image.Image]


class BoundedCache(Generic[Value]):
    """The most recently used values, within a budget of bytes. Thread-safe.

    A value larger than the whole budget is not kept.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self._lock = threading.Lock()
        self._rows: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                return None
            self._rows.move_to_end(key)
            return row[0]

    def put(self, key: Hashable, value: Value, size: int) -> None:
        with self._lock:
            if key in self._rows:
                self.used -= self._rows.pop(key)[1]
            if size > self.budget:
                return
            self._rows[key] = (value, size)
            self.used += size
            while self.used > self.budget:
                _, (_, dropped) = self._rows.popitem(last=False)
                self.used -= dropped

    def __len__(self) -> int:
        return len(self._rows)
