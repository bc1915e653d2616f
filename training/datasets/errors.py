"""What can be wrong with data sets: all of it collected first, then told at once."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 10  # of each kind


class DataSetError(ValueError):
    """One clear text that names each fault and its mend; `faults` has all of them, not only those shown."""

    def __init__(self, text: str, faults: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.faults = tuple(faults)
