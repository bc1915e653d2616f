"""Decodes every picture of a data set, in parallel processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from gallery_store.decoding import PictureError, open_picture
from training.datasets.faults import BAD_PICTURE, Faults

BATCH = 256


def check_pictures(images: Sequence[Path], faults: Faults, *, workers: int | None = None) -> None:
    """Adds a fault for each picture that cannot be decoded whole. workers: processes; None takes every core."""
    batches = [list(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
    workers = min(workers or os.cpu_count() or 1, len(batches))
    if workers <= 1:
        found = map(_unreadable, batches)
        for problems in found:
            _tell(problems, faults)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for problems in pool.map(_unreadable, batches):
            _tell(problems, faults)


def _tell(problems: list[tuple[Path, str]], faults: Faults) -> None:
    for image, reason in problems:
        faults.add(BAD_PICTURE, f"{image}: {reason}")


def _unreadable(images: list[Path]) -> list[tuple[Path, str]]:
    found = []
    for image in images:
        try:
            open_picture(image)
        except PictureError as problem:
            found.append((image, problem.reason))
    return found
