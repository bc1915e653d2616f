"""Which gallery crops are right for a query, and which are junk: what a protocol says, in one sparse form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


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
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], count)
        columns = order[np.repeat(start, count) + within].astype(np.int64)
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
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        picked = np.repeat(self.offsets[queries], counts) + within
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

    def masks(self) -> tuple[np.ndarray, np.ndarray]:
        """(matches, junk), bool (Q, G): for small sets and tests."""
        rows = np.repeat(np.arange(self.queries), np.diff(self.offsets))
        found = np.zeros((2, self.queries, self.gallery), bool)
        found[self.junk.astype(int), rows, self.columns] = True
        return found[0], found[1]


def codes(
    query_values: np.ndarray | Sequence[object], gallery_values: np.ndarray | Sequence[object]
) -> tuple[np.ndarray, np.ndarray]:
    """Two lists of labels as integers that are equal where the labels are."""
    query_array, gallery_array = np.asarray(query_values), np.asarray(gallery_values)
    joined = np.concatenate([query_array, gallery_array])
    _, inverse = np.unique(joined, return_inverse=True)
    return inverse[: len(query_array)], inverse[len(query_array) :]
