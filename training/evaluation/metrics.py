"""Rank-k, CMC, mAP and mINP, fast: nothing is sorted to find where the true matches stand.

A match's rank is one more than the crops that beat it: those before it in the gallery with a score as high
or higher, those after it with a higher one (ties go by gallery order). Counting them is one comparison of
the row, a fraction of what the row's similarities cost; a query with very many matches sorts its row once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from training.evaluation.relevance import Relevance

BLOCK = 128  # queries looked at together
MANY = 32  # matches of a query, from which one sort of the row is cheaper than comparing for each
CUT = (2, 12)  # in looks at a crop: what cutting a row down costs for each crop, and for each that is kept


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
    ranks = Ranks(
        np.full(queries, np.nan),
        np.full(queries, np.nan),
        np.zeros(queries, np.int64),
        np.zeros(queries, np.int64),
    )
    threads = threads or min(8, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    done = 0
    with ThreadPoolExecutor(threads) as pool:  # comparisons of whole rows leave Python's lock
        for block in blocks:
            if block.ndim != 2 or block.shape[1] != gallery or done + len(block) > queries:
                raise ValueError(f"scores of shape {block.shape} do not fit {queries - done} x {gallery}")
            parts = [range(part, len(block), threads) for part in range(threads)]
            list(
                pool.map(
                    _rank_rows,
                    [block] * threads,
                    parts,
                    [done] * threads,
                    [relevance] * threads,
                    [ranks] * threads,
                )
            )
            done += len(block)
    if done != queries:
        raise ValueError(f"scores came for {done} of {queries} queries")
    return ranks


def _rank_rows(block: np.ndarray, rows: range, done: int, relevance: Relevance, ranks: Ranks) -> None:
    """Fill in what becomes of some rows of a block whose first query is number `done`."""
    beats = np.empty(block.shape[1], bool)
    for number in rows:
        query = done + number
        columns, junk = relevance.of(query)
        found = _ranks(_comparable(block[number]), columns, junk, beats)
        if len(found):
            ranks.ap[query] = np.mean(np.arange(1, len(found) + 1) / found)
            ranks.inp[query] = len(found) / found[-1]
            ranks.first[query], ranks.matches[query] = found[0], len(found)


def _ranks(row: np.ndarray, columns: np.ndarray, junk: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """int64, ascending: the ranks of the columns that are matches, with the junk taken out.

    Args:
        row: (G,) scores. columns: int64 (n,), ascending, matches and junk. junk: bool (n,).
        beats: bool (G,), room to compare in.
    """
    if junk.all():
        return np.empty(0, np.int64)
    order = np.argsort(-row[columns], kind="stable")  # ascending columns: ties by gallery order
    columns, junk = columns[order], junk[order]
    places = columns[~junk]
    count = _better_by_comparing if len(places) <= MANY else _better_by_sorting
    # The junk among those that beat a match is the junk before it in the order just made.
    return count(row, places, beats) + 1 - np.cumsum(junk)[~junk]


def _better_by_comparing(row: np.ndarray, places: np.ndarray, beats: np.ndarray) -> np.ndarray:
    """int64 (n,): how many crops beat each of `places` (best first); one comparison of the row for each."""
    better = np.empty(len(places), np.int64)
    for number in range(len(places) - 1, -1, -1):
        column = int(places[number])
        score = row[column]
        np.greater_equal(row[:column], score, out=beats[:column])
        np.greater(row[column:], score, out=beats[column:])
        better[number] = np.count_nonzero(beats)
        if number * (len(row) - better[number]) > CUT[0] * len(row) + CUT[1] * better[number]:
            # Whatever beats a better match beats this one too: the others need not be looked at again.
            near = np.flatnonzero(beats)
            row, beats = row[near], beats[: len(near)]
            places = np.searchsorted(near, places[:number])
    return better


def _better_by_sorting(row: np.ndarray, places: np.ndarray, _: object = None) -> np.ndarray:
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


def _comparable(row: np.ndarray) -> np.ndarray:
    """The row as float32 or float64, contiguous, all finite."""
    if row.dtype not in (np.float32, np.float64):
        if row.dtype.kind not in "iufb":
            raise ValueError(f"scores are {row.dtype}, not numbers")
        row = row.astype(np.float32 if row.dtype == np.float16 else np.float64)
    row = np.ascontiguousarray(row)
    # NaN and infinity survive into the extremes: two reductions, and no array of flags.
    if not (math.isfinite(row.max()) and math.isfinite(row.min())):
        raise ValueError("scores hold NaN or infinity")
    return row
