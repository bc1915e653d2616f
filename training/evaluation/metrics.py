"""Rank-k, CMC, mAP and mINP, fast: nothing is sorted to find where the true matches stand.

A match's rank is one more than the crops that beat it: those before it in the gallery with a score as high
or higher, those after it with a higher one (ties go by gallery order). One comparison of the row for each match
finds them; a query with very many matches sorts its row once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from training.evaluation.relevance import Relevance

BLOCK = 128  # queries whose scores come together
MANY = 48  # matches of a query, from which one sort of the row is cheaper than comparing for each
CELL = 6144  # a row is compared in cells of at least so many crops; below 4,096 NumPy copies as it goes
FOLD = 8
MOST_CELLS = 255 // FOLD  # what a byte can count, so a longer row has longer cells


@dataclass(frozen=True)
class Metrics:
    """Fractions 0..1, means over the queries that have a true match.

    queries counts all of them; queries_without_match those that were left out of the means.
    """

    mAP: float
    rank1: float
    rank5: float
    rank10: float
    mINP: float
    queries: int
    queries_without_match: int

    @property
    def without_match(self) -> int:
        return self.queries_without_match

    def __str__(self) -> str:
        return (
            f"mAP {self.mAP:.3f}  rank-1 {self.rank1:.3f}  rank-5 {self.rank5:.3f}  rank-10 {self.rank10:.3f}"
        )


@dataclass(frozen=True)
class Ranks:
    """How each query fared. All (Q,): where a query has no true match, NaN, NaN, 0, 0.

    ap: float64, average precision, the mean of precision at each match (Zheng et al., Market-1501, ICCV 2015).
    inp: float64, inverse negative penalty, matches / rank of the last one (Ye et al., AGW, TPAMI 2021).
    first: int64, rank of the first match, from 1. matches: int64, how many there are.
    """

    ap: np.ndarray
    inp: np.ndarray
    first: np.ndarray
    matches: np.ndarray

    @property
    def valid(self) -> np.ndarray:
        """bool (Q,): has a true match."""
        return self.matches > 0

    def cmc(self, max_rank: int) -> np.ndarray:
        """float64 (max_rank,): share of the queries found within rank 1, 2, ...; a gallery may be smaller."""
        first = self.first[self.valid]
        if not len(first):
            return np.zeros(max_rank)
        found = np.bincount(np.minimum(first, max_rank + 1), minlength=max_rank + 2)
        return np.cumsum(found)[1 : max_rank + 1] / len(first)

    def metrics(self) -> Metrics:
        """The means. Zeros where no query has a match."""
        valid = self.valid
        without = int((~valid).sum())
        if not valid.any():
            return Metrics(0.0, 0.0, 0.0, 0.0, 0.0, len(valid), without)
        first = self.first[valid]
        rank1, rank5, rank10 = (float(np.mean(first <= k)) for k in (1, 5, 10))
        return Metrics(
            mAP=float(np.mean(self.ap[valid])),
            rank1=rank1,
            rank5=rank5,
            rank10=rank10,
            mINP=float(np.mean(self.inp[valid])),
            queries=len(valid),
            queries_without_match=without,
        )


def evaluate(
    scores: np.ndarray,
    query_ids: np.ndarray,
    gallery_ids: np.ndarray,
    query_cameras: np.ndarray | None = None,
    gallery_cameras: np.ndarray | None = None,
) -> Metrics:
    """Ranks the gallery for each query and averages.

    Args:
        scores: (Q, G), higher is better; ties go by gallery order.
        query_ids, gallery_ids: identities, (Q,) and (G,).
        query_cameras, gallery_cameras: with both, crops of the query's person by the query's own camera
            are junk: taken out of the ranking, neither right nor wrong (Zheng et al., Market-1501, ICCV 2015).

    Raises:
        ValueError: shapes that do not fit, an empty set, or scores that are not finite.
    """
    relevance = Relevance.by_identity(query_ids, gallery_ids, query_cameras, gallery_cameras)
    return rank(scores, relevance).metrics()


def rank(scores: np.ndarray, relevance: Relevance) -> Ranks:
    """Where the true matches stand. scores: (Q, G), higher is better. Raises ValueError as `evaluate` does."""
    shape = (relevance.queries, relevance.gallery)
    if scores.ndim != 2 or scores.shape != shape or 0 in scores.shape:
        raise ValueError(f"scores of shape {scores.shape} do not fit {shape[0]} queries x {shape[1]} crops")
    return rank_blocks(_blocks(scores), relevance)


def rank_blocks(blocks: Iterable[np.ndarray], relevance: Relevance, *, threads: int | None = None) -> Ranks:
    """As `rank`, over scores that come in blocks of consecutive queries, so that (Q, G) never stands whole.

    Args:
        threads: share the queries of a block; None takes as many as there are cores, at most 8.

    Raises:
        ValueError: blocks that do not fit the relevance, or scores that are not finite numbers.
    """
    queries, gallery = relevance.queries, relevance.gallery
    scores, better = np.empty(len(relevance.columns)), np.zeros(len(relevance.columns), np.int64)
    threads = threads or min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    done = 0
    with ThreadPoolExecutor(threads) as pool:  # comparisons of whole rows leave Python's lock
        for block in blocks:
            if block.ndim != 2 or block.shape[1] != gallery or done + len(block) > queries:
                raise ValueError(f"scores of shape {block.shape} do not fit {queries - done} x {gallery}")
            if block.dtype.kind not in "iufb":
                raise ValueError(f"scores are {block.dtype}, not numbers")
            parts = [range(part, len(block), threads) for part in range(threads)]
            list(pool.map(partial(_look, block, done, relevance, scores, better), parts))
            done += len(block)
    if done != queries:
        raise ValueError(f"scores came for {done} of {queries} queries")
    return _ranks(relevance, scores, better)


def _ranks(relevance: Relevance, scores: np.ndarray, better: np.ndarray) -> Ranks:
    """How all queries fared.

    Args:
        scores: float64 (n,), of the relevance's columns. better: int64 (n,), where a column is a match, how many
            crops beat it.
    """
    owner = np.repeat(np.arange(relevance.queries), np.diff(relevance.offsets))
    order = np.lexsort((-scores, owner))  # stable, and columns ascend: ties by gallery order
    junk = relevance.junk[order]
    # Junk is taken out of the ranking; what is before a match of the same query no longer beats it.
    out = np.cumsum(np.concatenate([[0], junk]))
    rank = (better[order] + 1 - out[1:] + out[relevance.offsets[owner]])[~junk]
    owner = owner[~junk]
    matches = np.bincount(owner, minlength=relevance.queries)
    ends = np.cumsum(matches)
    number = np.arange(1, len(rank) + 1) - (ends - matches)[owner]
    ap, inp = np.full((2, len(matches)), np.nan)
    first, valid = np.zeros(len(matches), np.int64), matches > 0
    ap[valid] = np.bincount(owner, number / rank, minlength=len(matches))[valid] / matches[valid]
    inp[valid] = matches[valid] / rank[ends[valid] - 1]
    first[valid] = rank[(ends - matches)[valid]]
    return Ranks(ap, inp, first, matches)


def _look(
    block: np.ndarray, done: int, relevance: Relevance, scores: np.ndarray, better: np.ndarray, rows: range
) -> None:
    """Fill in what `_ranks` reads, for some rows of a block whose first query is number `done`."""
    room = _Room.of(block)
    for number in rows:
        columns, junk = relevance.of(done + number)
        mine = slice(relevance.offsets[done + number], relevance.offsets[done + number + 1])
        room.take(block[number])
        scores[mine] = room.row[columns]
        if len(places := columns[~junk]):
            count = _better_by_comparing if len(places) <= MANY else _better_by_sorting
            better[mine][~junk] = count(room, places)


@dataclass(frozen=True)
class _Room:
    """Where a thread keeps a row and compares it: new memory for each row would cost as much as the comparing.

    row: float32 or float64 (G,), the start of cells. cells: (c, w), filled up with -infinity, which beats nothing.
    beats: bool (MANY, c, w).
    """

    row: np.ndarray
    cells: np.ndarray
    beats: np.ndarray

    @classmethod
    def of(cls, block: np.ndarray) -> _Room:
        """For the rows of a block, (b, G), numbers of any kind."""
        gallery = block.shape[1]
        count = max(1, min(gallery // CELL, MOST_CELLS))
        width = -(-gallery // (count * FOLD * 8)) * FOLD * 8
        dtype = np.float32 if block.dtype in (np.float16, np.float32) else np.float64
        cells = np.full((count, width), -np.inf, dtype)
        return cls(cells.reshape(-1)[:gallery], cells, np.empty((MANY, count, width), bool))

    def take(self, row: np.ndarray) -> None:
        """Hold this row, (G,). Raises ValueError unless all of it is finite."""
        self.row[:] = row
        # NaN and infinity survive into the extremes: two reductions, and no array of flags.
        if not (math.isfinite(self.row.max()) and math.isfinite(self.row.min())):
            raise ValueError("scores hold NaN or infinity")


def _better_by_comparing(room: _Room, places: np.ndarray) -> np.ndarray:
    """int64 (n,), n <= MANY: how many crops beat each of `places`; one comparison of the row for each.

    In few, long calls, for Python's lock is free meanwhile: all cells against all places at once.
    """
    scores, beats = room.row[places, None], room.beats[: len(places)]
    half, within = np.divmod(places, room.cells.shape[1] // 2)
    late = half % 2 == 1
    # A tie goes to the earlier crop: cells before a place's own win it, those after do not. The own cell wins where
    # the place is in its second half, so that one half is right; the half that the place is in is put right below.
    wins_ties = np.arange(len(room.cells)) < ((half + 1) // 2)[:, None]
    with np.errstate(over="ignore"):  # nothing is above a type's highest number but infinity
        least = np.where(wins_ties, scores, np.nextafter(scores, np.inf))
    np.greater_equal(room.cells, least[:, :, None], out=beats)
    # Bytes of 0 and 1 are added as words of eight; no byte can overflow into the next.
    words = np.add.reduce(beats.view(np.uint64), axis=1)
    words = np.add.reduce(words.reshape(len(places), FOLD, -1), axis=1)
    better = words.view(np.uint8).sum(axis=1, dtype=np.int64) - late
    level = room.cells.reshape(2 * len(room.cells), -1)[half] == scores
    if np.count_nonzero(level) > len(places):  # more than each place itself
        column, within = np.arange(level.shape[1]), within[:, None]
        better += (level & (column < within) & ~late[:, None]).sum(axis=1)
        better -= (level & (column > within) & late[:, None]).sum(axis=1)
    return better


def _better_by_sorting(room: _Room, places: np.ndarray) -> np.ndarray:
    """int64 (n,): how many crops beat each of `places`; one sort of values, never of indices."""
    row = room.row
    ascending = np.sort(row)
    scores = row[places]
    higher = len(row) - np.searchsorted(ascending, scores, side="right")
    level = len(row) - np.searchsorted(ascending, scores, side="left") - higher
    better = higher.astype(np.int64)
    for value in np.unique(scores[level > 1]):
        tied = np.flatnonzero(row == value)
        mine = scores == value
        better[mine] += np.searchsorted(tied, places[mine])
    return better


def _blocks(scores: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(scores), BLOCK):
        yield scores[start : start + BLOCK]
