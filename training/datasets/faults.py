"""Faults of one data set, collected while it is read and told together."""

from __future__ import annotations

from training.datasets.errors import SHOWN, DataSetError

MISSING_FOLDER = "missing folder"
MISSING_FILE = "missing split file"
BAD_FILE = "split file that cannot be read"
BAD_LINE = "malformed line"
BAD_NAME = "malformed file name"
MISSING_PICTURE = "missing picture"
EMPTY_PICTURE = "empty picture"
BAD_PICTURE = "unreadable picture"
ORPHAN_CAPTION = "caption without a picture"
TWICE = "picture listed twice"
NOBODY = "junk or distractor where only people belong"
SHARED = "identity in train and in another split"
EMPTY_SPLIT = "split without pictures"
NO_PICTURES = "identity without pictures"


class Faults:
    """kind -> what is at fault, each in the order found."""

    def __init__(self) -> None:
        self.by_kind: dict[str, list[str]] = {}

    def add(self, kind: str, item: object) -> None:
        # Names and captions may hold what is no Unicode: what is told must be printable everywhere.
        self.by_kind.setdefault(kind, []).append(
            str(item).encode("utf-8", "backslashreplace").decode("utf-8")
        )

    def __len__(self) -> int:
        return sum(len(items) for items in self.by_kind.values())

    def lines(self) -> list[str]:
        """One line per kind: its count, the first of them by name, and how many more there are."""
        told = []
        for kind, items in self.by_kind.items():
            more = f", and {len(items) - SHOWN:,} more" if len(items) > SHOWN else ""
            told.append(f"{kind} ({len(items):,}): {'; '.join(items[:SHOWN])}{more}")
        return told

    def raise_if_any(self, what: str, mend: str) -> None:
        """Raises one DataSetError with all faults, if there are some."""
        if self.by_kind:
            noun = "fault" if len(self) == 1 else "faults"
            text = "\n  ".join([f"{what} has {len(self):,} {noun}:", *self.lines(), mend])
            raise DataSetError(text, [f"{kind}: {i}" for kind, items in self.by_kind.items() for i in items])
