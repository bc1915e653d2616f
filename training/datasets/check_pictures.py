"""Decodes every picture of a data set, in parallel processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from gallery_store.decoding import PictureError, open_picture
from training.datasets.faults import BAD_PICTURE, Faults

BATCH = 256
Progress = Callable[[int, int], None]


def check_pictures(
    images: Sequence[Path], faults: Faults, *, workers: int | None = None, progress: Progress | None = None
) -> None:
    """Adds a fault for each picture that cannot be decoded whole.

    workers: processes; None takes every core. progress: told how many are done, of how many.
    """
    batches = [list(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
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
            progress(min(number * BATCH, total), total)


def _unreadable(images: list[Path]) -> list[tuple[Path, str]]:
    found = []
    for image in images:
        try:
            open_picture(image)
        except PictureError as problem:
            found.append((image, problem.reason))
    return found
