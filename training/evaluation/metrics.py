"""Rank-k, CMC, mAP and mINP, fast: nothing is sorted to find where the true matches stand.

A match's rank is one more than the crops that beat it: those before it in the gallery with a score as high
or higher, those after it with a higher one (ties go by gallery order). One comparison of the row for each match
finds them. Where the model is good, the better matches are looked for among the few crops that reach the worst of
them; a query with very many matches sorts its row once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np

from training.evaluation.relevance import Relevance

BLOCK = 128  # queries whose scores come together
PART = 32  # of them, that a thread takes at a time
MANY = 48  # matches of a query, from which one sort of the row is cheaper than comparing for each
BAD = 4  # one match in so many is bad, and what beats the others is perhaps a small part of the row,
NEAR = 16  # one crop in so many or fewer: then they are ranked within it
CELL = 4096  # a row is compared in cells of at least so many crops
BUFFER = 2048  # below NumPy's own 8,192, for it would copy cells into buffers
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
    done, rooms = 0, list[_Room]()
    with ThreadPoolExecutor(threads) as pool:  # comparisons of whole rows leave Python's lock
        for block in blocks:
            if block.ndim != 2 or block.shape[1] != gallery or done + len(block) > queries:
                raise ValueError(f"scores of shape {block.shape} do not fit {queries - done} x {gallery}")
            if block.dtype.kind not in "iufb":
                raise ValueError(f"scores are {block.dtype}, not numbers")
            dtype = np.float32 if block.dtype in (np.float16, np.float32) else np.float64
            if not rooms or rooms[0].row.dtype != dtype:
                rooms = [_Room.of(gallery, dtype) for _ in range(threads)]
            starts = iter(range(0, len(block), PART))  # whoever is free takes the next
            list(pool.map(partial(_look, block, done, relevance, scores, better, starts), rooms))
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
    block: np.ndarray,
    done: int,
    relevance: Relevance,
    scores: np.ndarray,
    better: np.ndarray,
    starts: Iterator[int],
    room: _Room,
) -> None:
    """Fill in what `_ranks` reads, for parts of a block whose first query is number `done`.

    What can be done for all rows of a part in one call is: Python's lock passes between threads at each call, and
    a row by itself would take twenty of them.
    """
    for start in starts:
        rows = np.ascontiguousarray(block[start : start + PART], room.row.dtype)
        offsets = relevance.offsets[done + start : done + start + len(rows) + 1]
        mine = slice(offsets[0], offsets[-1])
        columns, junk = relevance.columns[mine], relevance.junk[mine]
        owner = np.repeat(np.arange(len(rows)), np.diff(offsets))
        scores[mine] = found = rows[owner, columns]
        right = np.flatnonzero(~junk)
        right = right[np.lexsort((-found[right], owner[right]))]
        better[mine][right] = _better(room, rows, owner[right], columns[right], found[right])


def _better(
    room: _Room, rows: np.ndarray, owner: np.ndarray, places: np.ndarray, scores: np.ndarray
) -> np.ndarray:
    """int64 (n,): how many crops beat each place.

    Args:
        rows: float32 or float64 (b, G). owner: int64 (n,), ascending, the row of each place. places: int64 (n,),
            its column, a row's best first. scores: (n,), its score.
    """
    words = np.zeros((len(places), room.folds.shape[1] // FOLD), np.uint64)
    half, within = np.divmod(places, room.cells.shape[1] // 2)
    late = half % 2 == 1
    # A tie goes to the earlier crop: cells before a place's own win it, those after do not. The own cell wins where
    # the place is in its second half, so that one half is right; the half that the place is in is put right below.
    wins_ties = np.arange(len(room.cells)) < ((half + 1) // 2)[:, None]
    found, tied, cuts = [], [], True
    ends = np.searchsorted(owner, np.arange(len(rows) + 1))
    with np.errstate(over="ignore"):  # nothing is above a type's highest number but infinity
        np.setbufsize(BUFFER)  # until here ends
        least = np.where(wins_ties, scores[:, None], np.nextafter(scores, np.inf)[:, None])[:, :, None]
        for number, (first, last) in enumerate(pairwise(ends.tolist())):
            room.take(rows[number])
            if last - first > MANY:
                found.append((slice(first, last), _better_by_sorting(rows[number], places[first:last])))
                continue
            good = slice(first, last - (last - first) // BAD)
            if cuts and last - first >= BAD:
                near = room.near(scores[good.stop - 1])
                cuts = near is not None  # one model's rows are alike
                if near is not None:
                    inside = np.searchsorted(near, places[good])
                    found.append((good, _better_by_sorting(rows[number][near], inside)))
                    first = good.stop
            mine = slice(first, last)
            if last > first and room.compare(least[mine], half[mine], scores[mine, None], words[mine]):
                tied.append((number, mine))
    better = words.view(np.uint8).sum(axis=1, dtype=np.int64) - late
    for number, mine in tied:
        better[mine] += _ties(rows[number], places[mine], within[mine], late[mine], room.cells.shape[1] // 2)
    for mine, counts in found:
        better[mine] = counts
    return better


@dataclass(frozen=True)
class _Room:
    """Where a row is compared: new memory for each would cost as much as the comparing.

    row: float32 or float64 (G,), the start of cells. cells: (c, w), filled up with -infinity, which beats nothing.
    beats: bool (MANY, c, w). own: (MANY, w / 2), halves of cells. level: bool, as own.
    folds: uint64 (MANY, w / 8).
    """

    row: np.ndarray
    cells: np.ndarray
    beats: np.ndarray
    own: np.ndarray
    level: np.ndarray
    folds: np.ndarray

    @classmethod
    def of(cls, gallery: int, dtype: type[np.floating]) -> _Room:
        """For rows of so many crops, float32 or float64."""
        count = max(1, min(gallery // CELL, MOST_CELLS))
        width = -(-gallery // (count * FOLD * 8)) * FOLD * 8
        cells = np.full((count, width), -np.inf, dtype)
        return cls(
            cells.reshape(-1)[:gallery],
            cells,
            np.empty((MANY, count, width), bool),
            np.empty((MANY, width // 2), dtype),
            np.empty((MANY, width // 2), bool),
            np.empty((MANY, width // 8), np.uint64),
        )

    def take(self, row: np.ndarray) -> None:
        """Hold this row, (G,). Raises ValueError unless all of it is finite."""
        self.row[:] = row
        # NaN and infinity survive into the extremes: two reductions, and no array of flags.
        if not (math.isfinite(self.row.max()) and math.isfinite(self.row.min())):
            raise ValueError("scores hold NaN or infinity")

    def near(self, score: np.floating) -> np.ndarray | None:
        """int64, ascending: the columns that reach this score; None where they are too many to be of use."""
        reach = self.beats.reshape(-1)[: len(self.row)]
        np.greater_equal(self.row, score, out=reach)
        few = np.count_nonzero(reach) * NEAR < len(reach)
        return np.flatnonzero(reach) if few else None

    def compare(self, least: np.ndarray, half: np.ndarray, scores: np.ndarray, words: np.ndarray) -> bool:
        """Whether half a cell, int64 (n,), one for each place, n <= MANY, holds its score, (n, 1), more than once.

        Counts into words, uint64 (n, w / 8 / FOLD), whose bytes add up to it, the crops that reach `least`,
        (n, c, 1). In few, long calls into memory that is there: Python's lock is free meanwhile.
        """
        count = len(half)
        beats, folds, own, level = (room[:count] for room in (self.beats, self.folds, self.own, self.level))
        np.greater_equal(self.cells, least, out=beats)
        # Bytes of 0 and 1 are added as words of eight; no byte can overflow into the next.
        np.add.reduce(beats.view(np.uint64), axis=1, out=folds)
        np.add.reduce(folds.reshape(count, FOLD, -1), axis=1, out=words)
        np.take(self.cells.reshape(2 * len(self.cells), -1), half, axis=0, out=own, mode="clip")
        np.equal(own, scores, out=level)
        return bool(np.count_nonzero(level) > count)


def _ties(
    row: np.ndarray, places: np.ndarray, within: np.ndarray, late: np.ndarray, width: int
) -> np.ndarray:
    """int64 (n,): what to add to what was counted in the half of a cell that each place is in, where scores tie.

    Args:
        row: (G,). places: int64 (n,). within: int64 (n,), where in its half, `width` crops wide, a place is.
        late: bool (n,), the half was counted with ties, else without.
    """
    change = np.empty(len(places), np.int64)
    for number, (place, inside) in enumerate(zip(places.tolist(), within.tolist(), strict=True)):
        own = row[place - inside : place - inside + width] == row[place]
        earlier, later = np.count_nonzero(own[:inside]), np.count_nonzero(own[inside + 1 :])
        change[number] = -later if late[number] else earlier
    return change


def _better_by_sorting(row: np.ndarray, places: np.ndarray) -> np.ndarray:
    """int64 (n,): how many crops beat each of `places`; one sort of values, never of indices."""
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
