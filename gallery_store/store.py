"""The gallery: one object to ask for crops, vectors, similarities, thumbnails, and to write the audit."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import sqlalchemy as sa

from gallery_store import audit, clock, rows
from gallery_store.audit import SearchRecord
from gallery_store.cases import Cases
from gallery_store.console import remark
from gallery_store.crops import Crop, Filters
from gallery_store.database import Database
from gallery_store.decoding import MAX_PIXELS
from gallery_store.errors import EncoderMismatch, GalleryError, GalleryLocked, GalleryTooNew
from gallery_store.filter_counts import FilterCounts, count_for_filters
from gallery_store.index import Index
from gallery_store.media import MediaFolder, media_name
from gallery_store.opening import open_database
from gallery_store.owners import Owner, owner_of
from gallery_store.ownership import PictureFolders, is_marked, own_folders
from gallery_store.schema import Role, crops
from gallery_store.shown import THUMBNAIL, small_copy

__all__ = [
    "EncoderMismatch",
    "GalleryError",
    "GalleryLocked",
    "GalleryStore",
    "GalleryTooNew",
    "SearchRecord",
]

_MOST_NAMED = 10  # damaged crops, in one remark


@dataclass(frozen=True)
class PictureCount:
    """Of how many crops the pictures were looked for, and of how many they are not there."""

    checked: int
    missing: int


class GalleryStore:
    """A gallery in a SQLite file or a PostgreSQL database, with its pictures and thumbnails in folders of its own (see
    ownership).

    Thread-safe. What is asked of the columns and vectors is answered from memory; crops that this process
    adds or removes are seen at once, those of other processes after `refresh()`.

    zone: the gallery's time zone. location: the file, absolute, or the URL without its password. media, thumbs: the
    folders of the pictures and of the thumbnails; those of a gallery that cannot be written are made anew each time,
    elsewhere. max_pixels: of the largest picture that is decoded, when it is imported and later.
    """

    max_pixels: int = MAX_PIXELS

    def __init__(self, database: Database, zone: ZoneInfo, folders: PictureFolders, owner: Owner) -> None:
        self.zone = zone
        self.location = database.name
        self.media = folders.media
        self._owner = owner
        self._own_thumbs = (
            tempfile.TemporaryDirectory(prefix="chatreid-thumbs-") if database.read_only else None
        )
        self.thumbs = Path(self._own_thumbs.name) if self._own_thumbs else folders.thumbs
        self.cases = Cases(database)
        self.database = database  # for the importer and its like; others use the methods below
        self.pictures = MediaFolder(self.media, folders.older)
        self.thumbnails = MediaFolder(self.thumbs)
        self._shared = folders.older
        self._audit = database
        self._lock = threading.RLock()
        self._index: Index | None = None
        self._stale = False
        self._required: dict[Role, rows.EncoderId] = {}
        self._said_aside: set[int] = set()
        with database.reading() as connection:
            self._reported = rows.state(connection)
        self._indexed = self._reported

    @classmethod
    def open(
        cls,
        location: str | Path,
        *,
        zone: str | None = None,
        busy_seconds: float = 10.0,
        must_exist: bool = False,
        as_copy: bool = False,
    ) -> GalleryStore:
        """Open the gallery at a file path or a URL of SQLite or PostgreSQL; make it, unless it must exist, or bring its
        tables up to date, as needed.

        zone: IANA name, kept from creation on (UTC if not given then). busy_seconds: how long to wait for
        another program's lock. as_copy: to copy another gallery into it. Where nothing can be written the gallery opens
        for looking (`read_only`). Raises GalleryError, also where the file was emptied, or a copy is not finished;
        NoGallery; GalleryTooNew; GalleryLocked.
        """
        database = open_database(location, busy_seconds, must_exist=must_exist)
        try:
            if not as_copy:
                rows.refuse_unfinished_copy(database)
            zone_of_times, owner = rows.agree_on_zone(database, zone), owner_of(database)
            return cls(database, zone_of_times, own_folders(database, owner), owner)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Close the database; what is in memory answers on."""
        self.database.close()
        self._audit.close()
        if self._own_thumbs is not None:
            self._own_thumbs.cleanup()

    def __enter__(self) -> GalleryStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def read_only(self) -> bool:
        """Whether the gallery can be looked at and not changed."""
        return self.database.read_only

    # What there is

    def count(self) -> int:
        """How many crops the database has."""
        with self.database.reading() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(crops)).scalar_one()

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

    # The index in memory

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
            self._index = index.extended(connection, encoder, self.zone, reid) if encoder else index
            self._indexed = state
        self._say_set_aside(self._index.set_aside)

    def set_aside(self) -> tuple[int, ...]:
        """Ids of the crops that no search finds, for their vectors are damaged; ascending."""
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
            f"Set aside, for their vectors are damaged: crops {names}{more}; "
            f"`python -m gallery_store reindex --gallery {self.location}` makes the vectors anew"
        )

    @property
    def index(self) -> Index:
        """The vectors and filter columns as they are now; it never changes, a changed gallery has another."""
        return self._answering("clip")

    def matching(self, filters: Filters, exclude: Collection[int] = ()) -> np.ndarray:
        """int64 ids of the crops that pass the filters and are not in `exclude`, ascending."""
        return self._current().matching(filters, exclude)

    def similarities(
        self, vectors: np.ndarray, ids: np.ndarray | None = None, role: Role = "clip"
    ) -> np.ndarray:
        """float32 (q, dim) unit rows -> float32 (q, n) cosines, in the order of `ids` or of all ids.

        Exact. KeyError names an id that is not in the gallery. role: whose vectors; the re-ID encoder's must have
        been required.
        """
        return self._answering(role).similarities(vectors, ids, role)

    def vectors(self, ids: Sequence[int] | np.ndarray, role: Role = "clip") -> np.ndarray:
        """float32 (n, dim) unit rows in the order asked; KeyError names a missing id. role: as `similarities`."""
        index = self._answering(role)
        return index.vectors_of(role)[index.rows_of(np.asarray(ids, np.int64))]

    # Crops

    def crops(self, ids: Sequence[int]) -> list[Crop]:
        """In the order asked; KeyError names a missing id."""
        with self.database.reading() as connection:
            by_id = rows.crops_by_id(connection, ids, self.pictures)
        for crop_id in ids:
            if int(crop_id) not in by_id:
                raise KeyError(f"crop {crop_id} is not in the gallery")
        return [by_id[int(crop_id)] for crop_id in ids]

    def count_pictures(self, most: int) -> PictureCount:
        """Whether the pictures of about `most` crops, evenly spread, are there."""
        spread = crops.c.id % max(1, self.count() // most) == 0
        with self.database.reading() as connection:
            found = connection.execute(sa.select(crops.c.file, crops.c.linked).where(spread)).all()
        files = [Path(row.file) if row.linked else self.pictures.path(row.file) for row in found]
        return PictureCount(len(files), sum(not file.is_file() for file in files))

    def ids_by_path(self, paths: Iterable[str]) -> dict[str, list[int]]:
        """Imported path -> ids, ascending. Paths that are not in the gallery are left out."""
        with self.database.reading() as connection:
            return rows.ids_by_path(connection, list(paths))

    def thumbnail(self, crop_id: int) -> Path:
        """A JPEG of at most 384 px height, made on first need.

        Raises KeyError for an unknown crop, GalleryError where the picture is gone or damaged.
        """
        crop = self.crops([crop_id])[0]
        name = media_name(crop.sha256, ".jpg")
        if not self.thumbnails.has(name):
            copy = small_copy(crop, THUMBNAIL, max_pixels=self.max_pixels)
            self.thumbnails.put(name, copy, durable=False)
        return self.thumbnails.path(name)

    def delete(self, ids: Iterable[int]) -> int:
        """Remove crops, vectors, tags, thumbnails and pictures (not linked ones); -> how many there were."""
        with self.database.writing() as connection:
            removed = rows.delete_crops(connection, [int(crop_id) for crop_id in ids])
        self.note_change()
        self.collect({sha for sha, _ in removed}, {name for _, name in removed if name})
        return len(removed)

    def collect(self, shas: Collection[str], names: Collection[str]) -> int:
        """Remove those thumbnails and media files that no crop uses any more; -> how many files.

        A file that another gallery beside this one refers to stays, as a copy of the database does until it is
        opened. Under the writer's lock, in a transaction of its own: an import checks its files under the same lock,
        and a kill in between leaves files without rows, never rows without files.
        """
        removed = 0
        with self.database.writing() as connection:
            used_shas, used_names = rows.in_use(connection, shas)
            for folder in (self.media, *self._shared) if set(names) - used_names else ():
                if folder.is_dir() and (folder == self.media or not is_marked(folder)):
                    removed += self._remove_unneeded(folder, set(names) - used_names)
            for sha in sorted(set(shas) - used_shas):
                removed += self.thumbnails.remove(media_name(sha, ".jpg"))
        return removed

    def _remove_unneeded(self, folder: Path, names: set[str]) -> int:
        needed = self._owner.names_needed_elsewhere(folder)
        unneeded = names - needed if needed is not None else set()
        return sum(MediaFolder(folder).remove(name) for name in sorted(unneeded))

    # The audit

    def keep_audit_in(self, file: Path) -> None:
        """From now on the audit is written to another file, as that of a gallery that cannot be written must be."""
        self._audit = open_database(file)

    def record_search(
        self,
        *,
        user: str,
        reason: str,
        query: dict[str, Any],
        shown: Sequence[int],
        seconds: float,
        case: str | None = None,
    ) -> int:
        """Write one row of the audit and return its id; on disk when this returns."""
        if self._audit is not self.database:
            query = {**query, "gallery": self.location}
        with self._audit.writing() as connection:
            return audit.record(connection, user, reason, query, shown, seconds, case)

    def searches(self, limit: int = 100) -> list[SearchRecord]:
        """The latest searches, newest first."""
        with self._audit.reading() as connection:
            return audit.latest(connection, limit)

    def searches_of(self, case: str) -> list[SearchRecord]:
        """All searches of a case, the first one first."""
        with self._audit.reading() as connection:
            return audit.of_case(connection, case)
