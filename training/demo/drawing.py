"""A pool that is drawn by all cores until the time is up, while something else goes on here.

It is made of chunks of a few families, each with a seed of its own, so that any number of them is a pool. A process
draws a chunk straight into the files; what it says of the crops comes back.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, replace
from functools import cache
from itertools import takewhile
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from app.model.pictures import Size
from training.demo.pool import CLIP_SIZE, Pool, PoolSpec, both_sizes, crops, labels_of, pool_sites
from training.synthetic.site import Camera

CHUNK = 2  # families
CHUNK_SEEDS = 100_000  # apart from one pool to the next
NICE = 10  # of the processes that draw: what learns meanwhile goes first
SHOWN_EVERY = 5.0  # seconds between two lines of progress


@dataclass(frozen=True)
class DrawnPool:
    """A pool, and what it was drawn from: its families are as many as there was time for."""

    pool: Pool
    spec: PoolSpec


class PoolDrawing:
    """Begins at once to draw `spec`, at most spec.families of it, with `workers` processes.

    picture: what the demo Qwen2-VL sees, px; where that is CLIP's size too, one file serves both.
    """

    def __init__(self, folder: Path, spec: PoolSpec, workers: int, picture: Size = CLIP_SIZE) -> None:
        self.spec, self.picture, self.folder = spec, picture, folder
        self.chunks = max(1, spec.families // CHUNK)
        self.each = CHUNK * spec.members * spec.outfits * spec.views
        self._sizes = (
            {"large": CLIP_SIZE} if picture == CLIP_SIZE else {"pictures": picture, "large": CLIP_SIZE}
        )
        folder.mkdir(parents=True, exist_ok=True)
        for name, size in self._sizes.items():
            shape = (self.chunks * self.each, *size, 3)
            np.lib.format.open_memmap(self._file(name), mode="w+", dtype=np.uint8, shape=shape)
        self._executor = ProcessPoolExecutor(
            workers, mp_context=get_context("fork"), initializer=os.nice, initargs=(NICE,)
        )
        self._drawn: list[Future[dict[str, np.ndarray]]] = [
            self._executor.submit(_draw_chunk, spec, number, picture, folder, self.each)
            for number in range(self.chunks)
        ]

    def finish(self, ends: float, show: Callable[[int, int], None] | None = None) -> DrawnPool:
        """`wait`, and no more is drawn."""
        self.wait(ends, show)
        for one in self._drawn[1:]:
            one.cancel()
        self._executor.shutdown(wait=True)
        return self.so_far()

    def wait(self, ends: float, show: Callable[[int, int], None] | None = None) -> DrawnPool:
        """The pool of what is drawn when `ends` comes (time.monotonic), or all is; of one chunk at the least.

        show: called with (crops drawn, crops at most).
        """
        while not self._drawn[-1].done() and (left := ends - time.monotonic()) > 0:
            wait(self._drawn[-1:], timeout=min(left, SHOWN_EVERY))
            if show is not None:
                show(self.each * sum(one.done() for one in self._drawn), self.each * self.chunks)
        return self.so_far()

    def so_far(self) -> DrawnPool:
        """The pool of what is drawn by now, of one chunk at the least. What comes later is put behind it."""
        whole = [self._drawn[0].result()]
        whole += [one.result() for one in takewhile(_is_there, self._drawn[1:])]
        count = len(whole) * self.each
        labels = {name: np.concatenate([one[name] for one in whole]) for name in whole[0]}
        for name in ("person", "clothes"):  # each chunk counts from 0
            sizes = np.array([int(one[name].max()) + 1 for one in whole], np.int32)
            labels[name] += np.repeat(np.cumsum(sizes) - sizes, self.each).astype(np.int32)
        labels["family"] += np.repeat(np.arange(len(whole), dtype=np.int32) * CHUNK, self.each)
        arrays = {name: array[:count] for name, array in self.files().items()}
        pool = Pool(arrays.get("pictures", arrays["large"]), arrays["large"], **labels)
        return DrawnPool(pool, replace(self.spec, families=len(whole) * CHUNK))

    def files(self) -> dict[str, np.ndarray]:
        """All rows there may ever be, by name."""
        return {name: np.load(self._file(name), mmap_mode="r") for name in self._sizes}

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.npy"


def _is_there(drawn: Future[dict[str, np.ndarray]]) -> bool:
    return drawn.done() and not drawn.cancelled()


@cache
def _sites(spec: PoolSpec) -> list[tuple[Camera, ...]]:
    return pool_sites(spec)


@cache
def _files(folder: Path) -> dict[str, np.ndarray]:
    return {file.stem: np.load(file, mmap_mode="r+") for file in folder.glob("*.npy")}


def _draw_chunk(spec: PoolSpec, number: int, picture: Size, folder: Path, each: int) -> dict[str, np.ndarray]:
    """Draws a chunk into its rows of the files; -> its labels."""
    chunk = replace(spec, seed=spec.seed * CHUNK_SEEDS + number, families=CHUNK)
    files, drawn = _files(folder), list(crops(chunk, _sites(spec)))
    for row, crop in enumerate(drawn, number * each):
        small, large = both_sizes(crop, picture)
        files["large"][row] = large
        if "pictures" in files:
            files["pictures"][row] = small
    return labels_of(drawn, spec.world)
