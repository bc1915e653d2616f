"""Many unit vectors in memory, as they are stored: float16, made float32 a block at a time while they are compared.

So they take half the memory, and a scan moves half the bytes; what it computes is float32 of unit rows all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

# Numbers that PyTorch, and NumPy, work through in one thread. On a busy machine threads that wait for each other at
# every block take many times as long.
_BLOCK = 32_768
_BLOCKS = 4  # so many are float32 at a time: with those they are made of they stay in a second-level cache
_MEASURED = 256  # vectors whose lengths are taken together
_SPARE = 0.25  # of the rows, kept free for more; memory that is not written costs nothing


class Vectors:
    """n vectors that are compared as unit rows. Immutable: `extended` makes a new one, that shares its memory."""

    def __init__(self, halves: np.ndarray) -> None:
        """halves: float16 (n, dim) of length about 1; float16 leaves lengths off by up to 1e-3."""
        own = np.array(halves, np.float16, order="C")  # PyTorch wants memory that may be written
        self._kept = _Kept(own, lengths_of(own), len(own))
        self._count = len(halves)

    @classmethod
    def absent(cls, dim: int) -> Vectors:
        """No vectors, of so many numbers."""
        return cls(np.zeros((0, dim), np.float16))

    def __len__(self) -> int:
        return self._count

    @property
    def dim(self) -> int:
        return self._kept.halves.shape[1]

    @property
    def halves(self) -> np.ndarray:
        """float16 (n, dim), as they are stored."""
        return self._kept.halves[: self._count]

    def extended(self, halves: np.ndarray, room: int = 0, lengths: np.ndarray | None = None) -> Vectors:
        """These, and float16 (m, dim) behind them. room: how many there are to be in all, if that is known. lengths:
        as lengths_of(halves), where they are at hand. Not to be called by two threads at once.
        """
        if not self._count:
            kept = _Kept(*_empty(max(room, len(halves)), halves.shape[1]), 0)
        else:
            kept = self._kept
        count = self._count + len(halves)
        if kept.used != self._count or count > len(kept.halves):  # others follow these already, or it is full
            larger = _Kept(*_empty(max(room, count), self.dim), self._count)
            larger.halves[: self._count] = kept.halves[: self._count]
            larger.lengths[: self._count] = kept.lengths[: self._count]
            kept = larger
        kept.halves[self._count : count] = halves
        kept.lengths[self._count : count] = lengths_of(halves) if lengths is None else lengths
        kept.used = count
        more = Vectors.__new__(Vectors)
        more._kept, more._count = kept, count
        return more

    def rows(self, places: np.ndarray | slice) -> np.ndarray:
        """float32 (k, dim): unit rows."""
        some = self.halves[places].astype(np.float32)
        some /= self._kept.lengths[: self._count][places][:, None]
        return some

    def cosines(self, rows: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
        """Unit rows float32 (q, dim) -> float32 (q, k) cosines to those at `places`, int64 (k,), or to all."""
        import torch  # here: what only looks at rows and tags does without

        count = self._count if places is None else len(places)
        found = np.empty((len(rows), count), np.float32)
        asked = np.ascontiguousarray(rows, np.float32)
        rows_of_block = self._rows_of_block
        at_once = min(_BLOCKS * rows_of_block, -(-count // rows_of_block) * rows_of_block)
        # By NumPy: PyTorch would share zeros out among threads.
        single = np.zeros((at_once, self.dim), np.float32)
        gathered = np.zeros((at_once, self.dim), np.float16)
        into, own = (list(torch.from_numpy(one).split(rows_of_block)) for one in (single, gathered))
        # Each block by each row is one small product: larger ones would be shared out among threads.
        stacked = single.reshape(-1, rows_of_block, self.dim)
        for start in range(0, count, max(1, at_once)):
            stop = min(start + at_once, count)
            used, first = -(-(stop - start) // rows_of_block), start // rows_of_block
            if places is not None:
                np.take(self.halves, places[start:stop], 0, out=gathered[: stop - start], mode="clip")
                blocks = own[:used]
            elif stop - start < at_once:  # the last block is not full
                gathered[: stop - start] = self.halves[start:stop]
                blocks = own[:used]
            else:
                blocks = self._blocks[first : first + used]
            # By vector instructions, which NumPy lacks here, and all blocks in one call.
            torch._foreach_copy_(into[:used], blocks)
            for row, out in zip(asked, found, strict=True):
                out[start:stop] = (stacked[:used] @ row).reshape(-1)[: stop - start]
        lengths = self._kept.lengths[: self._count]
        found /= lengths if places is None else lengths[places]
        return found

    @property
    def _rows_of_block(self) -> int:
        return max(1, _BLOCK // max(1, self.dim))

    @property
    def _blocks(self) -> list[Any]:
        """All rows that there is room for, as tensors of a block each: to cut them takes long beside a scan."""
        if self._kept.blocks is None:
            import torch

            self._kept.blocks = list(torch.from_numpy(self._kept.halves).split(self._rows_of_block))
        return self._kept.blocks


@dataclass
class _Kept:
    """halves: float16 (room, dim). lengths: float32 (room,). used: how many of them are some Vectors' own. blocks:
    `halves` cut up, once that was asked for."""

    halves: np.ndarray
    lengths: np.ndarray
    used: int
    blocks: list[Any] | None = None


@dataclass(frozen=True)
class SomeVectors:
    """The vectors of some crops, to be compared again and again. places: int64 (k,) in `vectors`; None for all."""

    vectors: Vectors
    places: np.ndarray | None = None

    def cosines(self, rows: np.ndarray) -> np.ndarray:
        """Unit rows float32 (q, dim) -> float32 (q, k), in the order of the crops.

        Raises ValueError for rows of another shape.
        """
        rows = np.asarray(rows, np.float32)
        if rows.ndim != 2:
            raise ValueError(f"query vectors must be (q, dim), not {rows.shape}")
        count = len(self.vectors) if self.places is None else len(self.places)
        if count and rows.shape[1] != self.vectors.dim:
            raise ValueError(f"query vectors have {rows.shape[1]} numbers, the gallery {self.vectors.dim}")
        if not count:
            return np.zeros((len(rows), 0), np.float32)
        return self.vectors.cosines(rows, self.places)

    def rows(self) -> np.ndarray:
        """float32 (k, dim): unit rows."""
        return self.vectors.rows(slice(None) if self.places is None else self.places)

    def joined(self, others: SomeVectors) -> SomeVectors:
        """All of these, and all of `others` behind them."""
        return SomeVectors(self.vectors.extended(others.vectors.halves))

    def some(self, places: np.ndarray) -> SomeVectors:
        """Those at `places`, int64 (m,), among these."""
        return SomeVectors(self.vectors, places if self.places is None else self.places[places])


def _empty(count: int, dim: int) -> tuple[np.ndarray, np.ndarray]:
    """Room for so many, and some more: float16 (room, dim), float32 (room,)."""
    room = count + round(_SPARE * count)
    return np.empty((room, dim), np.float16), np.empty(room, np.float32)


def lengths_of(halves: np.ndarray) -> np.ndarray:
    """float32 (n,): of vectors, float16 (n, dim); infinite or NaN where one is damaged."""
    found = np.empty(len(halves), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(halves), _MEASURED):
            some = halves[start : start + _MEASURED].astype(np.float32)
            found[start : start + _MEASURED] = np.linalg.norm(some, axis=1)
    return found
