"""What is right for a query, where it stands in a ranking, and the figures of that: rank-k, CMC, mAP, mINP.

Relevance says which gallery crops are matches or junk. A ranking is an order of the gallery's columns, best first;
scores are made one by one sort a row, ties by gallery order. Ranks hold how each query fared, Metrics the means.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

RESAMPLES = 10_000  # of the bootstrap
TOGETHER = 100  # resamples that stand in memory at a time


@dataclass(frozen=True)
class Relevance:
    """For each of Q queries over G crops: the columns that are matches or junk. All others are wrong.

    offsets: int64 (Q + 1,). columns: int64 (n,), ascending within a query's slice. junk: bool (n,), True where
    the crop is taken out of the query's ranking, neither right nor wrong.
    """

    gallery: int
    offsets: np.ndarray
    columns: np.ndarray
    junk: np.ndarray

    @property
    def queries(self) -> int:
        return len(self.offsets) - 1

    def of(self, query: int) -> tuple[np.ndarray, np.ndarray]:
        """(columns, junk) of one query."""
        part = slice(self.offsets[query], self.offsets[query + 1])
        return self.columns[part], self.junk[part]

    @classmethod
    def by_identity(
        cls,
        query_ids: np.ndarray | Sequence[object],
        gallery_ids: np.ndarray | Sequence[object],
        query_cameras: np.ndarray | Sequence[object] | None = None,
        gallery_cameras: np.ndarray | Sequence[object] | None = None,
    ) -> Relevance:
        """Same identity is a match; with cameras, same identity by the query's own camera is junk.

        Raises:
            ValueError: cameras of one side only, or of another number than the identities.
        """
        alike = cls._alike(query_ids, gallery_ids)
        if query_cameras is None and gallery_cameras is None:
            return alike
        if query_cameras is None or gallery_cameras is None:
            raise ValueError("cameras are needed for queries and gallery, or for neither")
        return alike.with_junk_where_equal(query_cameras, gallery_cameras)

    @classmethod
    def _alike(
        cls, query_ids: np.ndarray | Sequence[object], gallery_ids: np.ndarray | Sequence[object]
    ) -> Relevance:
        query_codes, gallery_codes = codes(query_ids, gallery_ids)
        order = np.argsort(gallery_codes, kind="stable")  # within an identity, gallery order
        ordered = gallery_codes[order]
        start = np.searchsorted(ordered, query_codes, side="left")
        count = np.searchsorted(ordered, query_codes, side="right") - start
        offsets = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        columns = order[slices(start, count)].astype(np.int64)
        return cls(len(gallery_codes), offsets, columns, np.zeros(len(columns), bool))

    def with_junk_where_equal(
        self, query_values: np.ndarray | Sequence[object], gallery_values: np.ndarray | Sequence[object]
    ) -> Relevance:
        """Matches whose value (camera, clothes) is the query's own become junk. Raises ValueError."""
        if len(query_values) != self.queries or len(gallery_values) != self.gallery:
            raise ValueError(
                f"{len(query_values)} and {len(gallery_values)} cameras do not fit "
                f"{self.queries} queries and {self.gallery} crops"
            )
        of_query, of_gallery = codes(query_values, gallery_values)
        mine = np.repeat(of_query, np.diff(self.offsets))
        return Relevance(
            self.gallery, self.offsets, self.columns, self.junk | (mine == of_gallery[self.columns])
        )

    def take(self, queries: np.ndarray) -> Relevance:
        """Of these queries only, int64 (q,), in this order."""
        counts = np.diff(self.offsets)[queries]
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        picked = slices(self.offsets[queries], counts)
        return Relevance(self.gallery, offsets, self.columns[picked], self.junk[picked])

    def among(self, rows: np.ndarray, queries: int) -> Relevance:
        """These queries as the rows, int64, ascending, of `queries` many; the others have nothing right."""
        counts = np.zeros(queries, np.int64)
        counts[rows] = np.diff(self.offsets)
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return Relevance(self.gallery, offsets, self.columns, self.junk)

    @classmethod
    def by_masks(cls, matches: np.ndarray, junk: np.ndarray | None = None) -> Relevance:
        """From bool masks (Q, G); junk wins where both say so. Raises ValueError for other shapes."""
        junk = np.zeros_like(matches) if junk is None else junk
        if matches.ndim != 2 or matches.shape != junk.shape or matches.dtype != bool or junk.dtype != bool:
            raise ValueError(f"masks of shapes {matches.shape} and {junk.shape} are not both bool (Q, G)")
        rows, columns = np.nonzero(matches | junk)
        offsets = np.searchsorted(rows, np.arange(len(matches) + 1)).astype(np.int64)
        return cls(matches.shape[1], offsets, columns.astype(np.int64), junk[rows, columns])

    @property
    def can_measure(self) -> bool:
        """Whether any query has a true match."""
        return not self.junk.all()

    def masks(self) -> tuple[np.ndarray, np.ndarray]:
        """(matches, junk), bool (Q, G): for small sets and tests."""
        rows = np.repeat(np.arange(self.queries), np.diff(self.offsets))
        masks = np.zeros((2, self.queries, self.gallery), bool)
        masks[self.junk.astype(int), rows, self.columns] = True
        return masks[0], masks[1]


def codes(
    query_values: np.ndarray | Sequence[object], gallery_values: np.ndarray | Sequence[object]
) -> tuple[np.ndarray, np.ndarray]:
    """Two lists of labels as integers that are equal where the labels are."""
    query_array, gallery_array = np.asarray(query_values), np.asarray(gallery_values)
    joined = np.concatenate([query_array, gallery_array])
    _, inverse = np.unique(joined, return_inverse=True)
    return inverse[: len(query_array)], inverse[len(query_array) :]


def slices(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """int64 (sum of counts,): the indices start, start + 1, ... of each slice, one slice after the other."""
    ends = np.cumsum(counts)
    return np.repeat(starts - (ends - counts), counts) + np.arange(counts.sum())


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
        """The means. Zeros where no query has a match: ask Relevance.can_measure before."""
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
    return rank_blocks([scores], relevance)


def rank_blocks(blocks: Iterable[np.ndarray], relevance: Relevance) -> Ranks:
    """As `rank`, over scores (q, G) in blocks of consecutive queries, so that (Q, G) never stands whole.

    Raises:
        ValueError: blocks that do not fit the relevance, or scores that are not finite numbers.
    """
    return ranks_of((order_of(row) for block in blocks for row in np.atleast_2d(block)), relevance)


def order_of(scores: np.ndarray) -> np.ndarray:
    """int64 (G,): the columns of one row of scores (G,), best first; ties go by gallery order.

    Raises:
        ValueError: scores that are not numbers, NaN or infinity.
    """
    if scores.dtype.kind not in "iufb":
        raise ValueError(f"scores are {scores.dtype}, not numbers")
    narrow = scores.dtype in (np.float16, np.float32)
    row: np.ndarray = scores.astype(np.float32 if narrow else np.float64)
    # NaN and infinity survive into the extremes: two reductions, and no array of flags.
    if row.size and not (math.isfinite(row.max()) and math.isfinite(row.min())):
        raise ValueError("scores hold NaN or infinity")
    if not narrow:
        return np.argsort(-row, kind="stable")
    # One integer a crop, its column below its score, sorts faster than indices do. The bits of a float, all but
    # the sign turned where it is negative, are an integer of the same order.
    bits = (row + np.float32(0)).view(np.int32)  # + 0: minus zero is zero
    bits ^= (bits >> 31) & 0x7FFFFFFF
    keys = (~bits).astype(np.int64) << 32 | np.arange(len(row))
    keys.sort()
    return keys & 0xFFFFFFFF


def ranks_of(orders: Iterable[np.ndarray], relevance: Relevance) -> Ranks:
    """How all queries fared.

    Args:
        orders: int (G,) for each of the Q queries: the gallery's columns, best first.

    Raises:
        ValueError: orders that do not fit the relevance.
    """
    places = np.empty(len(relevance.columns), np.int64)  # from 0, of each match and junk crop
    place, columns, done = np.empty(relevance.gallery, np.int64), np.arange(relevance.gallery), 0
    for order in orders:
        if done == relevance.queries or order.shape != columns.shape:
            raise ValueError(
                f"scores of shape {order.shape} do not fit query {done + 1} of {relevance.queries} over "
                f"{relevance.gallery} crops"
            )
        place[order] = columns
        part = slice(relevance.offsets[done], relevance.offsets[done + 1])
        places[part] = place[relevance.columns[part]]
        done += 1
    if done != relevance.queries:
        raise ValueError(f"scores came for {done} of {relevance.queries} queries")
    return _ranks(relevance, places)


def _ranks(relevance: Relevance, places: np.ndarray) -> Ranks:
    """places: int64 (n,), from 0, of the relevance's columns in their query's order."""
    owner = np.repeat(np.arange(relevance.queries), np.diff(relevance.offsets))
    order = np.lexsort((places, owner))
    junk = relevance.junk[order]
    # Junk is taken out of the ranking: what is before a match of the same query does not count.
    out = np.cumsum(np.concatenate([[0], junk]))
    rank = (places[order] + 1 - out[1:] + out[relevance.offsets[owner]])[~junk]
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


def mean_of(trials: Sequence[Metrics]) -> Metrics:
    """Trials of one setting as one row: the mean of their figures; queries as one trial has them."""
    if not trials:
        raise ValueError("no trial to take the mean of")
    means = {
        name: float(np.mean([getattr(t, name) for t in trials]))
        for name in ("mAP", "rank1", "rank5", "rank10", "mINP")
    }
    return Metrics(**means, queries=trials[0].queries, queries_without_match=trials[0].queries_without_match)


@dataclass(frozen=True)
class Difference:
    """mean of (first - second) over the queries, and the bounds of its 95 % interval."""

    mean: float
    low: float
    high: float
    queries: int


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    seed: int = 0,
    resamples: int = RESAMPLES,
    *,
    queries: Sequence[Hashable] | None = None,
) -> Difference:
    """Is one ranker better than another, or was it the queries? Percentile bootstrap (Efron 1979) of the mean
    difference; queries are drawn with both figures together.

    Args:
        first, second: float (Q,), one figure (AP) per query; NaN in either leaves the query out.
        queries: Q, which query each figure is of, where some are asked in several trials: those are drawn together.

    Raises:
        ValueError: shapes differ, or no query has both figures.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"figures of shapes {first.shape} and {second.shape} are not of the same queries")
    differences = np.asarray(first - second, np.float64)
    known = np.isfinite(differences)
    differences = differences[known]
    if not len(differences):
        raise ValueError("no query has both figures")
    mean = float(differences.mean())
    counts = np.ones(len(differences))
    if queries is not None:
        number = {query: place for place, query in enumerate(dict.fromkeys(compress(queries, known)))}
        rows = [number[query] for query in compress(queries, known)]
        counts = np.bincount(rows).astype(np.float64)
        differences = np.asarray(np.bincount(rows, weights=differences), np.float64)
    if len(differences) == 1:  # which scipy does not resample
        return Difference(mean, mean, mean, 1)
    from scipy.stats import bootstrap

    bounds = bootstrap(
        (differences, counts),
        lambda sums, of, axis: sums.sum(axis) / of.sum(axis),
        paired=True,
        n_resamples=resamples,
        batch=TOGETHER,
        method="percentile",
        rng=np.random.default_rng((seed, 97)),
    ).confidence_interval
    return Difference(mean, float(bounds.low), float(bounds.high), len(differences))
