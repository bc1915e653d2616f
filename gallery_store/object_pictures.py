"""A gallery's pictures in an object storage, named by their content as those in a folder are: ab/abcdef….jpg."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gallery_store.decoding import MAX_BYTES, PictureError
from gallery_store.errors import GalleryError
from gallery_store.object_storage import AT_ONCE, ObjectStorage
from gallery_store.picture_cache import PictureCache

_MARK = "gallery.json"  # of whose gallery the prefix is; see owners


class ObjectPictures:
    """As MediaFolder, in one prefix of a storage. A picture appears whole or not at all, by one upload; those that were
    read are kept in `cache`. Thread-safe. Methods raise GalleryError where the storage fails.
    """

    at_once = AT_ONCE

    def __init__(self, storage: ObjectStorage, cache: PictureCache) -> None:
        self._storage, self._cache = storage, cache
        self.url = storage.url

    def file(self, name: str) -> StoredPicture:
        """Where the picture of this name lies, or would."""
        return StoredPicture(self, name)

    def read(self, name: str) -> bytes:
        """From the storage itself. Raises PictureError where it is not there, or is no possible picture."""
        try:
            data = self._storage.read(name)
        except FileNotFoundError:
            raise PictureError("the file does not exist") from None
        if len(data) > MAX_BYTES:
            raise PictureError(f"the file is larger than {MAX_BYTES >> 20} MB")
        return data

    def read_cached(self, name: str) -> bytes:
        """As `read`, from this machine where it is here."""
        data = self._cache.get(name)
        if data is None:
            self._storage.refuse_if_away()
            data = self.read(name)
            self._cache.put(name, data)
        return data

    def fetch(self, names: Collection[str]) -> dict[str, str]:
        """Bring pictures to this machine, many at a time; -> of those that cannot be had, why."""

        def why_not(name: str) -> str:
            if self._cache.has(name):
                return ""
            try:
                self.read_cached(name)
            except PictureError as problem:
                return problem.reason
            except GalleryError as problem:
                return str(problem)
            return ""

        chosen = list(dict.fromkeys(names))
        found = zip(chosen, self._storage.each(why_not, chosen), strict=True)
        return {name: reason for name, reason in found if reason}

    def cached_at(self, name: str) -> Path:
        """Where on this machine it lies, if it was read lately."""
        return self._cache.folder / name

    def has(self, name: str) -> bool:
        """Whether it is there, and not empty."""
        return bool(self._storage.size(name))

    def lacking(self, names: Collection[str]) -> set[str]:
        """Those that are not there."""
        chosen = list(dict.fromkeys(names))
        there = self._storage.each(self.has, chosen)
        return {name for name, is_there in zip(chosen, there, strict=True) if not is_there}

    def presence(self) -> Callable[[str], bool]:
        """Whether a name is there, by one listing of all."""
        return frozenset(self.names()).__contains__

    def names(self) -> Iterator[str]:
        """Names of the pictures here, ascending."""
        yield from (name for name in self._storage.names() if name != _MARK)

    def copies(self) -> Iterator[str]:
        """Names of those that this machine has a copy of, though another one may have deleted them since."""
        yield from (name for name in self._cache.names() if name != _MARK)

    def put(self, name: str, data: bytes) -> None:
        """Write one picture, in place of what is there."""
        self._storage.write(name, data)

    def writer(self) -> ObjectWriter:
        return ObjectWriter(self._storage)

    def remove(self, name: str) -> int:
        """-> 1."""
        return self.remove_all([name])

    def remove_all(self, names: Collection[str]) -> int:
        """-> how many were named: what was there is not told."""
        for name in names:
            self._cache.remove(name)
        self._storage.each(self._storage.remove, names)
        return len(names)

    def clean_temporary(self) -> int:
        """-> 0: uploads leave nothing behind."""
        return 0

    def mark_unless_marked(self, own: dict[str, Any]) -> Any:
        """Say whose these are, unless it is said; -> what is said then. None for what cannot be understood."""
        try:
            self._storage.read(_MARK)
        except FileNotFoundError:
            self.mark(own)
        try:
            return json.loads(self._storage.read(_MARK))
        except ValueError:
            return None

    def mark(self, own: dict[str, Any]) -> None:
        """Say whose these are from now on."""
        self._storage.write(_MARK, json.dumps(own).encode())

    def bring(self, older: Collection[ObjectPictures], wanted: Collection[str]) -> int:
        """Copy from other prefixes of the storage those that are not here; -> how many are nowhere."""
        missing = self.lacking(wanted)
        for other in older:
            there = missing - other.lacking(missing)
            self._storage.each(lambda name, of=other: self._storage.copy_from(of._storage, name), there)  # type: ignore[misc]
            missing -= there
        return len(missing)


@dataclass(frozen=True)
class StoredPicture:
    """Where a crop's picture lies in a storage. To be read as an open file is, and asked for its name as a path is."""

    pictures: ObjectPictures
    at: str

    @property
    def name(self) -> str:
        return PurePosixPath(self.at).name

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.at).suffix

    def read(self, most: int = MAX_BYTES) -> bytes:
        """Raises PictureError, also where the storage cannot be reached."""
        try:
            return self.pictures.read_cached(self.at)
        except GalleryError as problem:
            raise PictureError(str(problem)) from None

    def local(self) -> Path:
        """The file on this machine, brought now if need be; not there where the picture cannot be had."""
        self.pictures.fetch([self.at])
        return self.pictures.cached_at(self.at)

    def __str__(self) -> str:
        return f"{self.pictures.url}/{self.at}"


class ObjectWriter:
    """As MediaWriter: `stage` sends a picture off, and `publish` waits until those of a batch are there."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload")

    def stage(self, name: str, data: bytes, *, is_new: bool = False) -> Future[None] | None:
        """None if `name` is there, and as long. is_new: no row names it, so it is sent without asking."""
        if not is_new and self._storage.size(name) == len(data):
            return None
        return self._pool.submit(self._storage.write, name, data)

    def publish(self, staged: Iterable[tuple[Any, str]]) -> None:
        """When this returns, all of them are in the storage. Raises GalleryError."""
        for sent, _ in staged:
            if sent is not None:
                sent.result()

    def __enter__(self) -> ObjectWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)
