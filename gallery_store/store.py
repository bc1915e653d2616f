"""The gallery: one object to ask for crops, vectors, similarities, thumbnails, and to write the audit."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from gallery_store import audit, rows
from gallery_store.audit import SearchRecord
from gallery_store.cases import Cases
from gallery_store.crops import Crop
from gallery_store.database import Database
from gallery_store.decoding import MAX_PIXELS
from gallery_store.errors import EncoderMismatch, GalleryError, GalleryLocked, GalleryTooNew
from gallery_store.followed_index import FollowedIndex, IndexPlace, are_left
from gallery_store.media import MediaFolder, media_name
from gallery_store.object_pictures import StoredPicture
from gallery_store.object_storage import checked_url
from gallery_store.opening import open_database
from gallery_store.owners import Owner, owner_of
from gallery_store.ownership import PictureFolders, is_marked, own_folders
from gallery_store.schema import crops
from gallery_store.shown import THUMBNAIL, small_copy

__all__ = [
    "EncoderMismatch",
    "GalleryError",
    "GalleryLocked",
    "GalleryStore",
    "GalleryTooNew",
    "SearchRecord",
]


@dataclass(frozen=True)
class PictureCount:
    """Of how many crops the pictures were looked for, and of how many they are not there."""

    checked: int
    missing: int


class GalleryStore(FollowedIndex):
    """A gallery in a SQLite file or a PostgreSQL database, with its pictures and thumbnails in folders of its own, or
    its pictures in an object storage (see ownership).

    Thread-safe. What is asked of the columns and vectors is answered from memory; crops that this process
    adds or removes are seen at once, those of other processes after `refresh()`.

    zone: the gallery's time zone. location: the file, absolute, or the URL without its password. media, thumbs, cache:
    the folders of the pictures, of the thumbnails, and of what was read lately from a storage; the latter two of a
    gallery that cannot be written are made anew each time, elsewhere. storage: the URL of the storage, "" for a folder.
    max_pixels: of the largest picture that is decoded, when it is imported and later.
    """

    max_pixels: int = MAX_PIXELS

    def __init__(
        self,
        database: Database,
        zone: ZoneInfo,
        folders: PictureFolders,
        owner: Owner,
        *,
        leaves_vectors: bool = False,
    ) -> None:
        """leaves_vectors: in the database, which finds the nearest itself."""
        self.media, self.storage = folders.media, folders.url
        self._owner = owner
        self._own_thumbs = (
            tempfile.TemporaryDirectory(prefix="chatreid-thumbs-") if database.read_only else None
        )
        elsewhere = Path(self._own_thumbs.name) if self._own_thumbs else None
        self.thumbs = elsewhere / "thumbs" if elsewhere else folders.thumbs
        self.cache = elsewhere / "cache" if elsewhere else folders.cache
        self.cases = Cases(database)
        self.pictures = folders.opened(self.cache)
        self.thumbnails = MediaFolder(self.thumbs)
        self._shared = folders.older
        self._audit = database
        super().__init__(database, zone, leaves_vectors)

    @classmethod
    def open(
        cls,
        location: str | Path,
        *,
        zone: str | None = None,
        busy_seconds: float = 10.0,
        must_exist: bool = False,
        as_copy: bool = False,
        index: IndexPlace = "memory",
        pictures: str = "",
    ) -> GalleryStore:
        """Open the gallery at a file path or a URL of SQLite or PostgreSQL; make it, unless it must exist, or bring its
        tables up to date, as needed.

        zone: IANA name, kept from creation on (UTC if not given then). busy_seconds: how long to wait for
        another program's lock. as_copy: to copy another gallery into it. index: where vectors are searched; "auto" in a
        PostgreSQL beyond AUTO_DATABASE crops. pictures: the URL of a storage, such as s3://bucket/folder, in which a
        new gallery keeps its pictures from then on. Where nothing can be written the gallery opens for looking
        (`read_only`). Raises GalleryError, also where the file was emptied, or a copy is not finished;
        NoGallery; GalleryTooNew; GalleryLocked.
        """
        storage = checked_url(pictures) if pictures.strip() else ""
        database = open_database(location, busy_seconds, must_exist=must_exist)
        try:
            if not as_copy:
                rows.refuse_unfinished_copy(database)
            zone_of_times, owner = rows.agree_on_zone(database, zone), owner_of(database)
            leaves = are_left(database, index)
            folders = own_folders(database, owner, storage)
            return cls(database, zone_of_times, folders, owner, leaves_vectors=leaves)
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
            return rows.crop_count(connection)

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
        missing = sum(row.linked and not Path(row.file).is_file() for row in found)
        own = [row.file for row in found if not row.linked]
        lacking = self.pictures.lacking(own)
        return PictureCount(len(found), missing + sum(name in lacking for name in own))

    def absent(self, some: Sequence[Crop]) -> frozenset[int]:
        """Ids of those whose picture is not there. The pictures of the others are on this machine then: from a storage
        they are brought many at a time, which is to be done before several are opened one by one.
        """
        stored = {crop.id: crop.file for crop in some if isinstance(crop.file, StoredPicture)}
        lacking = self.pictures.fetch([file.at for file in stored.values()]) if stored else {}
        gone = {crop.id for crop in some if isinstance(crop.file, Path) and not crop.file.is_file()}
        return frozenset(gone | {crop_id for crop_id, file in stored.items() if file.at in lacking})

    def ids_of_pictures(self, shas: Collection[str]) -> list[int]:
        """Ids, ascending, of the crops that are the very files with these SHA-256."""
        with self.database.reading() as connection:
            return rows.ids_of_pictures(connection, shas)

    def ids_by_path(self, paths: Iterable[str]) -> dict[str, list[int]]:
        """Imported path -> ids, ascending. Paths that are not in the gallery are left out."""
        with self.database.reading() as connection:
            return rows.ids_by_path(connection, list(paths))

    def thumbnail(self, crop_id: int) -> Path:
        """A JPEG of at most 384 px height, made on first need.

        Raises KeyError for an unknown crop, GalleryError as `small_copy`.
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
            unused = set(names) - used_names
            if self.storage and unused:
                removed += self._remove_from_storage(unused)
            for folder in (self.media, *self._shared) if unused and not self.storage else ():
                if folder.is_dir() and (folder == self.media or not is_marked(folder)):
                    removed += self._remove_unneeded(folder, unused)
            for sha in sorted(set(shas) - used_shas):
                removed += self.thumbnails.remove(media_name(sha, ".jpg"))
        return removed

    def _remove_from_storage(self, names: set[str]) -> int:
        needed = self._owner.names_needed_elsewhere(f"{self.storage}/{self.media.name}")
        return self.pictures.remove_all(names - needed) if needed is not None else 0

    def _remove_unneeded(self, folder: Path, names: set[str]) -> int:
        needed = self._owner.names_needed_elsewhere(folder)
        unneeded = names - needed if needed is not None else set()
        return MediaFolder(folder).remove_all(unneeded)

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
