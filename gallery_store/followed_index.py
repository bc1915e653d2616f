"""A gallery's index, followed as the database changes: filters from memory, vectors from there or from the database."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo

import numpy as np

from gallery_store import clock, rows
from gallery_store.console import remark
from gallery_store.crops import Filters
from gallery_store.database import Database
from gallery_store.errors import GalleryError
from gallery_store.filter_counts import FilterCounts, count_for_filters
from gallery_store.index import Index
from gallery_store.near import DatabaseVectors
from gallery_store.pictures import Pictures
from gallery_store.postgres import PostgresDatabase
from gallery_store.schema import Role
from gallery_store.vectors import SomeVectors

IndexPlace = Literal["memory", "database", "auto"]
AUTO_DATABASE = 300_000  # crops
MOST_READ = 8192  # vectors: a search reads so many from the database without being slow
NEEDS_POSTGRES = (
    "the gallery {} is a file, and a search inside the database needs PostgreSQL: leave --index out, or copy the "
    "gallery there (docs/postgresql.md)"
)
_MOST_NAMED = 10  # crops that are set aside, in one remark


class FollowedIndex:
    """What is asked of the columns and vectors of one gallery. Thread-safe. Filters are answered from memory, and so
    are vectors, unless `leaves_vectors`: in the database, which then finds the nearest itself.
    """

    pictures: Pictures

    def __init__(self, database: Database, zone: ZoneInfo, leaves_vectors: bool) -> None:
        self.database, self.zone, self.location = database, zone, database.name
        self.leaves_vectors = leaves_vectors
        self._lock = threading.RLock()
        self._index: Index | None = None
        self._stale = False
        self._required: dict[Role, rows.EncoderId] = {}
        self._said_aside: set[int] = set()
        with database.reading() as connection:
            self._reported = rows.state(connection)
        self._indexed = self._reported

    # What there is

    def cameras(self) -> list[str]:
        """Names of the cameras, each as first imported, in natural order of their keys."""
        named = self._current().camera_names
        return [named[key][1] for key in sorted(named, key=lambda key: (not key.isdigit(), len(key), key))]

    def days(self) -> list[date]:
        """Local days with at least one crop, ascending."""
        return [clock.day_of(int(day)) for day in np.unique(self._current().days) if day != clock.NO_DAY]

    def hours(self) -> list[int]:
        """Local hours of the day, 0..23, with at least one crop on any day, ascending."""
        clocks = self._current().clocks
        return np.flatnonzero(np.bincount(clocks[clocks >= 0] // 3_600_000_000)).tolist()

    def filter_counts(self, filters: Filters) -> FilterCounts:
        """How many crops each camera and each hour of the day has, of those that pass the other filters."""
        return count_for_filters(self._current(), filters)

    def time_span(self) -> tuple[datetime, datetime] | None:
        """First and last time, UTC; None when no crop has a time."""
        times = self._current().times
        known = times[~np.isnat(times)]
        if not len(known):
            return None
        return clock.aware(known.min()), clock.aware(known.max())

    def encoder(self, role: Role = "clip") -> rows.EncoderId | None:
        """(name, version) of CLIP, or of the re-ID encoder; None while nothing is indexed by it."""
        with self.database.reading() as connection:
            return rows.encoder(connection, role)

    def require_encoder(self, name: str, version: str, role: Role = "clip") -> None:
        """Raise EncoderMismatch unless the vectors, if any, come from this encoder.

        From then on this object answers for these vectors only: should somebody re-index the gallery,
        `similarities` and `vectors` raise EncoderMismatch as well. Re-ID vectors are read into memory once they were
        required, and answered for from then on.
        """
        with self.database.reading() as connection:
            clip, has = rows.encoder(connection), rows.encoder(connection, role)
        self._check(clip, has, (name, version), role)
        if role == "reid" and role not in self._required:
            with self._lock:
                self._required[role], self._index = (name, version), None
        self._required[role] = (name, version)

    def _check(
        self, clip: rows.EncoderId | None, has: rows.EncoderId | None, wants: rows.EncoderId, role: Role
    ) -> None:
        """clip: the gallery's; None where there are no crops. has: its encoder for this role."""
        if role == "clip":
            rows.check_encoder(has, wants, self.location)
        elif clip is not None:
            rows.check_reid(has, wants, self.location)

    # The index

    def refresh(self) -> bool:
        """Take in what changed in the database. Cheap when nothing did.

        True if crops were added or removed, by anybody, since the last call (or since opening).
        """
        with self._lock:
            self._update()
            changed = self._indexed != self._reported
            self._reported = self._indexed
            return changed

    def note_change(self) -> None:
        """To be called by whoever wrote crops through `database`: the next question sees them."""
        self._stale = True

    def _current(self) -> Index:
        index = self._index
        if index is not None and not self._stale:
            return index
        with self._lock:
            if self._index is None or self._stale:
                self._update()
            assert self._index is not None
            return self._index

    def _answering(self, role: Role) -> Index:
        index = self._current()
        if role in self._required:
            has = index.encoder if role == "clip" else index.reid_encoder
            self._check(index.encoder, has, self._required[role], role)
        return index

    def _update(self) -> None:
        self._stale = False  # first: a change noted while we read must not be lost
        with self.database.reading() as connection:
            state = rows.state(connection)
            if self._index is not None and state == self._indexed:
                return
            encoder = rows.encoder(connection)
            before = self._indexed
            only_more = state.rewrites == before.rewrites and state.last_id >= before.last_id
            index = self._index if only_more else None
            index = index or Index.empty()
            reid = rows.encoder(connection, "reid") if "reid" in self._required else None
            if encoder:
                keep = not self.leaves_vectors
                index = index.extended(connection, encoder, self.zone, reid, keep_vectors=keep)
            self._index = index
            self._indexed = state
        self._say_set_aside(self._index.set_aside)

    def set_aside(self) -> tuple[int, ...]:
        """Ids of the crops that no search finds, for their vectors are damaged or missing; ascending."""
        return self._current().set_aside

    def _say_set_aside(self, ids: Sequence[int]) -> None:
        new = [crop_id for crop_id in ids if crop_id not in self._said_aside]
        if not new:
            return
        self._said_aside |= set(new)
        with self.database.reading() as connection:
            named = rows.crops_by_id(connection, new[:_MOST_NAMED], self.pictures).values()
        names = ", ".join(f"{crop.id} ({crop.path})" for crop in named)
        more = f" and {len(new) - _MOST_NAMED} more" if len(new) > _MOST_NAMED else ""
        remark(
            f"Set aside, for their vectors are damaged or missing: crops {names}{more}; "
            f"`python -m gallery_store reindex --gallery {self.location}` makes the vectors anew"
        )

    @property
    def index(self) -> Index:
        """The vectors and filter columns as they are now; it never changes, a changed gallery has another."""
        return self._answering("clip")

    def matching(self, filters: Filters, exclude: Collection[int] = ()) -> np.ndarray:
        """int64 ids of the crops that pass the filters and are not in `exclude`, ascending."""
        return self._current().matching(filters, exclude)

    def times(self, ids: np.ndarray) -> np.ndarray:
        """datetime64[us] (n,): UTC, of `ids` in their order; NaT for none. KeyError names an id that is not there."""
        index = self._current()
        return index.times[index.rows_of(ids)]

    def compared(self, ids: np.ndarray | None = None, role: Role = "clip") -> SomeVectors:
        """The vectors of `ids`, int64 (n,), in their order, or of all: read now where they stay in the database.

        KeyError names an id that is not in the gallery. role: whose vectors; the re-ID encoder's must have been
        required.
        """
        index = self._answering(role)
        if index.keeps_vectors:
            return index.compared(ids, role)
        wanted = index.ids if ids is None else ids
        index.rows_of(wanted)  # for damaged vectors are in the database as well
        return SomeVectors(self._in_database(index, role).read(wanted))

    def similarities(
        self, vectors: np.ndarray, ids: np.ndarray | None = None, role: Role = "clip"
    ) -> np.ndarray:
        """float32 (q, dim) unit rows -> float32 (q, n) cosines, in the order of `ids` or of all ids. Exact.

        Raises as `compared`; ValueError for vectors of another shape.
        """
        return self.compared(ids, role).cosines(vectors)

    def vectors(self, ids: Sequence[int] | np.ndarray, role: Role = "clip") -> np.ndarray:
        """float32 (n, dim) unit rows in the order asked. Raises as `compared`."""
        return self.compared(np.asarray(ids, np.int64).reshape(-1), role).rows()

    def compares_all(self, ids: np.ndarray) -> bool:
        """Whether so many vectors can be asked for: `compared` would else read more than a search may wait for."""
        return self._current().keeps_vectors or len(ids) <= MOST_READ

    def nearest(
        self, row: np.ndarray, ids: np.ndarray, most: int, role: Role = "clip", *, exact: bool = False
    ) -> np.ndarray:
        """int64 (at most `most`,), ascending: those of `ids` whose vectors have the greatest products with `row`,
        float32 (dim,). Where the database finds them by an index, nearly all of these, unless `exact`.
        """
        index = self._answering(role)
        if len(ids) <= most:
            return ids
        if index.keeps_vectors:
            cosines = index.compared(ids, role).cosines(row[None])[0]
            return np.sort(ids[np.argpartition(-cosines, most)[:most]])
        return np.sort(self._in_database(index, role).nearest(row, ids, len(index.ids), most, exact=exact))

    def _in_database(self, index: Index, role: Role) -> DatabaseVectors:
        encoder = index.encoder if role == "clip" else index.reid_encoder
        assert encoder is not None and isinstance(self.database, PostgresDatabase)
        return DatabaseVectors(self.database, encoder, index.vectors_of(role).dim)

    def vectors_in_database(self) -> list[DatabaseVectors]:
        """Of each of the gallery's encoders. Raises GalleryError where the gallery is a file."""
        if not isinstance(self.database, PostgresDatabase):
            raise GalleryError(NEEDS_POSTGRES.format(self.location))
        with self.database.reading() as connection:
            used = [rows.encoder(connection, role) for role in get_args(Role)]
            return [DatabaseVectors.of(self.database, connection, one) for one in used if one is not None]


def are_left(database: Database, place: IndexPlace) -> bool:
    """Whether they stay in the database. Raises GalleryError where the database cannot find them."""
    if not isinstance(database, PostgresDatabase):
        if place == "database":
            raise GalleryError(NEEDS_POSTGRES.format(database.name))
        return False
    if place != "auto":
        return place == "database"
    with database.reading() as connection:
        return rows.state(connection).last_id > AUTO_DATABASE and rows.crop_count(connection) > AUTO_DATABASE
