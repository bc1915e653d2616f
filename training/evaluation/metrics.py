"""Rank-k, CMC, mAP and mINP, fast: nothing is sorted to find where the true matches stand.

A match's rank is one more than the crops that beat it (training.evaluation.beaten), without the junk among them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from training.evaluation.beaten import Room, better_than
from training.evaluation.relevance import Relevance

BLOCK = 128  # queries whose scores come together
PART = 32  # of them, that a thread takes at a time


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
    done, rooms = 0, list[Room]()
    with ThreadPoolExecutor(threads) as pool:  # comparisons of whole rows leave Python's lock
        for block in blocks:
            if block.ndim != 2 or block.shape[1] != gallery or done + len(block) > queries:
                raise ValueError(f"scores of shape {block.shape} do not fit {queries - done} x {gallery}")
            if block.dtype.kind not in "iufb":
                raise ValueError(f"scores are {block.dtype}, not numbers")
            dtype = np.float32 if block.dtype in (np.float16, np.float32) else np.float64
            if not rooms or rooms[0].row.dtype != dtype:
                rooms = [Room.of(gallery, dtype) for _ in range(threads)]
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
    room: Room,
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
        better[mine][right] = better_than(room, rows, owner[right], columns[right], found[right])


def _blocks(scores: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(scores), BLOCK):
        yield scores[start : start + BLOCK]
