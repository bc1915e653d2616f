"""What CLIP reads off every crop of a gallery, computed once for each crop: a search by words then adds columns up.

A crop's attribute probabilities do not depend on the query, but on the encoder and on how sharply it tells values
apart. They are kept in memory, two bytes for each of the vocabulary's values, and follow the gallery's own index. Where
the vectors stay in the database, a search reads few of them, and reads these crops' attributes off them each time.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.retrieval.attribute_probs import ClipAttributes, Confusion, LazyProbs, Probs
from gallery_store.index import Index
from gallery_store.store import GalleryStore
from gallery_store.vectors import SomeVectors

AT_ONCE = 1024  # crops whose probabilities are computed together: their vectors are float32 meanwhile


class AttributeColumns:
    """The attribute probabilities of a gallery's crops, by CLIP; a kind is computed when it is first asked for.

    Thread-safe. Crops that were added are computed when they are next asked for; after a deletion all are.
    """

    def __init__(self, store: GalleryStore, clip: ClipAttributes) -> None:
        self._store, self._clip = store, clip
        self.confusion = clip.confusion
        self._known: dict[str, tuple[np.ndarray, np.ndarray]] = {}  # kind -> ids, float16 (values, ids)
        self._lock = threading.Lock()

    def probs(self, ids: np.ndarray, compared: SomeVectors | None = None) -> Probs:
        """kind -> float16 (values, n) of the crops with these ids, int64 (n,); read-only.

        compared: their vectors, where they are at hand. KeyError names an id that is not in the gallery.
        """
        some = _Rows(self._store.index, ids, compared)
        if not some.index.keeps_vectors:
            own = self._store.compared(ids) if compared is None else compared
            return LazyProbs(
                lambda kind: self._clip.of_values(own.cosines(self._clip.vectors(kind))).astype(np.float16),
                self._clip.kinds,
            )

        def of_kind(kind: str) -> np.ndarray:
            columns = self._columns((kind,), some.index)[0]
            return columns if some.all else columns.take(some.rows, axis=1)

        return LazyProbs(of_kind, self._clip.kinds)

    def prepare(self) -> None:
        """Compute all kinds now, so that the first search need not; nothing where the vectors are not in memory."""
        index = self._store.index
        if not index.keeps_vectors:
            return
        self._columns(tuple(self._clip.kinds), index)

    def _columns(self, kinds: tuple[str, ...], index: Index) -> list[np.ndarray]:
        """float16 (values, n) of all crops of the index, of each of these kinds."""
        with self._lock:
            missing = [kind for kind in kinds if self._ids_of(kind) is not index.ids]
            for have in {self._known_of(kind, index) for kind in missing}:
                self._compute([kind for kind in missing if self._known_of(kind, index) == have], have, index)
            return [self._known[kind][1] for kind in kinds]

    def _ids_of(self, kind: str) -> np.ndarray | None:
        return self._known[kind][0] if kind in self._known else None

    def _known_of(self, kind: str, index: Index) -> int:
        """Of how many crops, the first of the index, it is known."""
        ids = self._ids_of(kind)
        return len(ids) if ids is not None and np.array_equal(index.ids[: len(ids)], ids) else 0

    def _compute(self, kinds: list[str], have: int, index: Index) -> None:
        """All these kinds in one pass over the vectors, for to make these float32 takes longer than to compare them."""
        words, count = [self._clip.vectors(kind) for kind in kinds], len(index.ids)
        found = [np.empty((len(of_kind), count), np.float16) for of_kind in words]
        for kind, columns in zip(kinds, found, strict=True):
            if have:
                columns[:, :have] = self._known[kind][1][:, :have]
        rows, ends = np.concatenate(words), np.cumsum([len(of_kind) for of_kind in words])[:-1]
        for start in range(have, count, AT_ONCE):
            stop = min(start + AT_ONCE, count)
            cosines = index.vectors.cosines(rows, np.arange(start, stop))
            for columns, of_kind in zip(found, np.split(cosines, ends), strict=True):
                columns[:, start:stop] = self._clip.of_values(of_kind)
        for kind, columns in zip(kinds, found, strict=True):
            columns.setflags(write=False)
            self._known[kind] = index.ids, columns


@dataclass(frozen=True)
class GalleryAppearance:
    """Crops of a gallery, compared by its index. ids: int64 (n,). columns: of that gallery. given: their vectors, where
    they are at hand."""

    store: GalleryStore
    ids: np.ndarray
    columns: AttributeColumns
    given: SomeVectors | None = None

    @cached_property
    def compared(self) -> SomeVectors:
        return self.store.compared(self.ids) if self.given is None else self.given

    def cosines(self, rows: np.ndarray) -> np.ndarray:
        return self.compared.cosines(rows)

    @cached_property
    def probs(self) -> Probs:
        return self.columns.probs(self.ids, self.compared)

    @property
    def confusion(self) -> Confusion:
        return self.columns.confusion

    def some(self, places: np.ndarray) -> GalleryAppearance:
        return GalleryAppearance(self.store, self.ids[places], self.columns, self.compared.some(places))

    def joined(self, ids: np.ndarray) -> GalleryAppearance:
        """These, and those with other ids among `ids`, int64 (m,), behind them, whose vectors are read now."""
        more = np.setdiff1d(ids, self.ids)
        compared = self.store.compared(more)
        if len(self.ids):
            compared = self.compared.joined(compared)
        return GalleryAppearance(self.store, np.concatenate([self.ids, more]), self.columns, compared)


class _Rows:
    """Where crops stand in the index. all: they are the whole of it, in its order. compared: their vectors, which know
    it where they are of the same index."""

    def __init__(self, index: Index, ids: np.ndarray, compared: SomeVectors | None) -> None:
        self.index, self._ids, self._compared = index, ids, compared
        self.all = ids is index.ids

    @cached_property
    def rows(self) -> np.ndarray:
        known = self._compared
        if known is None or known.places is None or known.vectors is not self.index.vectors:
            return self.index.rows_of(self._ids)
        return known.places
