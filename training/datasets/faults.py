"""What can be wrong with a data set: collected while it is read and checked, then told together in one DataSetError."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from gallery_store.console import Progress
from gallery_store.decoding import PictureError, open_picture

SHOWN = 10  # of each kind
PICTURES_AT_ONCE = 256  # that a process checks before it answers


class DataSetError(ValueError):
    """One clear text that names each fault and its mend; `faults` has all of them, not only those shown."""

    def __init__(self, text: str, faults: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.faults = tuple(faults)


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
        lines = []
        for kind, items in self.by_kind.items():
            more = f", and {len(items) - SHOWN:,} more" if len(items) > SHOWN else ""
            lines.append(f"{kind} ({len(items):,}): {'; '.join(items[:SHOWN])}{more}")
        return lines

    def raise_if_any(self, what: str, mend: str) -> None:
        """Raises one DataSetError with all faults, if there are some."""
        if self.by_kind:
            noun = "fault" if len(self) == 1 else "faults"
            text = "\n  ".join([f"{what} has {len(self):,} {noun}:", *self.lines(), mend])
            raise DataSetError(text, [f"{kind}: {i}" for kind, items in self.by_kind.items() for i in items])


def check_files(images: Iterable[str], faults: Faults) -> None:
    """Each file is there and not empty."""
    for image in images:
        try:
            size = os.stat(image).st_size
        except (OSError, ValueError):
            faults.add(MISSING_PICTURE, image)
            continue
        if size == 0:
            faults.add(EMPTY_PICTURE, image)


def check_pictures(
    images: Sequence[Path], faults: Faults, *, workers: int | None = None, progress: Progress | None = None
) -> None:
    """Adds a fault for each picture that cannot be decoded whole.

    workers: processes; None takes every core. progress: told how many are done, of how many.
    """
    batches = [
        list(images[start : start + PICTURES_AT_ONCE]) for start in range(0, len(images), PICTURES_AT_ONCE)
    ]
    workers = min(workers or os.cpu_count() or 1, len(batches))
    if workers <= 1:
        _collect(map(_unreadable, batches), len(images), faults, progress)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        _collect(pool.map(_unreadable, batches), len(images), faults, progress)


def _collect(
    answers: Iterable[list[tuple[Path, str]]], total: int, faults: Faults, progress: Progress | None
) -> None:
    for number, problems in enumerate(answers, 1):
        for image, reason in problems:
            faults.add(BAD_PICTURE, f"{image}: {reason}")
        if progress is not None:
            progress(min(number * PICTURES_AT_ONCE, total), total)


def _unreadable(images: list[Path]) -> list[tuple[Path, str]]:
    unreadable = []
    for image in images:
        try:
            open_picture(image)
        except PictureError as problem:
            unreadable.append((image, problem.reason))
    return unreadable
