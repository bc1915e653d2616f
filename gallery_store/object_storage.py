"""One prefix of an object storage, by fsspec: S3 and what speaks like it. Credentials are fsspec's own business: the
environment, or the files of the provider's tools; here none is read, kept or shown.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from gallery_store.errors import GalleryError, first_line

AT_ONCE = 16  # requests on their way: each is mostly waiting
_S3 = ("s3", "s3a")
_WAITS: dict[str, Any] = {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 1}}  # seconds
_TRIES = 2  # of s3fs, each of which is two of its own library's
_AWAY = 5.0  # seconds for which a storage that was not reached is not asked again for pictures
_WRITING = ".writing-"
_UNREACHED = ("Connect", "Timeout", "Endpoint", "HTTPClient", "Proxy", "SSL")  # in the names of errors

T = TypeVar("T")
R = TypeVar("R")


def checked_url(url: str) -> str:
    """A storage's URL as it is kept: without a slash at its end. Raises GalleryError for what cannot be one."""
    kind, sign, rest = url.strip().partition("://")
    if not (kind and sign and rest.strip("/")):
        raise GalleryError(f"{url!r} names no storage of pictures: give a URL such as s3://bucket/folder")
    if set("@?#") & set(rest):
        raise GalleryError(
            "the URL of the storage of pictures has more than a bucket and a folder: keys belong in the environment "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY), and an address in AWS_ENDPOINT_URL"
        )
    return f"{kind.lower()}://{rest.rstrip('/')}"


class ObjectStorage:
    """Bytes under names, each whole or not there. Thread-safe; `each` does many at a time.

    Methods raise GalleryError, one sentence, where the storage cannot be reached or refuses; FileNotFoundError where it
    lacks this one name.
    """

    def __init__(self, url: str) -> None:
        """url: as checked_url gives it, with the gallery's own folder at its end. Nothing is asked of it yet."""
        self.url = url
        self._kind = url.partition("://")[0]
        self._system, self._root = self._opened(url)
        self._away_until = 0.0

    def _opened(self, url: str) -> tuple[Any, str]:
        options: dict[str, Any] = {"use_listings_cache": False}
        if self._kind in _S3:
            options["config_kwargs"] = _WAITS
        if self._kind in ("file", "local"):
            options["auto_mkdir"] = True
        try:
            from fsspec.core import url_to_fs  # here: a gallery with its pictures in a folder does without

            system, root = url_to_fs(url, **options)
        except ImportError as problem:
            raise GalleryError(
                f"pictures in {url} need a package that is not installed ({first_line(problem)}): "
                "`pip install -r requirements-scale.txt`"
            ) from None
        except ValueError as problem:
            raise GalleryError(f"pictures cannot be kept in {url}: {first_line(problem)}") from None
        if self._kind in _S3:
            system.retries = _TRIES
        return system, str(root).rstrip("/")

    def refuse_if_away(self) -> None:
        """Raise GalleryError for some seconds after it was not reached: a search has many pictures to ask for, and
        each would wait.
        """
        if time.monotonic() < self._away_until:
            raise self._unreached("it was not a moment ago")

    def read(self, name: str) -> bytes:
        with self._clear_errors():
            return self._system.cat_file(self._path(name))

    def write(self, name: str, data: bytes) -> None:
        """In place of what is there."""
        with self._clear_errors():
            if self._kind not in ("file", "local"):
                self._system.pipe_file(self._path(name), data)
                return
            staged = self._path(f"{_WRITING}{secrets.token_hex(8)}")  # files would show a half
            self._system.pipe_file(staged, data)
            self._system.makedirs(self._path(name).rpartition("/")[0], exist_ok=True)
            self._system.mv(staged, self._path(name))

    def size(self, name: str) -> int | None:
        """In bytes; None where it is not there."""
        try:
            with self._clear_errors():
                return int(self._system.info(self._path(name))["size"])
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> None:
        """Also where it is not there."""
        try:
            with self._clear_errors():
                self._system.rm_file(self._path(name))
        except (FileNotFoundError, KeyError):
            return

    def names(self) -> list[str]:
        """Of all that is here, ascending."""
        try:
            with self._clear_errors():
                found = self._system.find(self._root)
        except FileNotFoundError:
            return []
        start = len(self._root) + 1
        return sorted(path[start:] for path in found if not path[start:].startswith(_WRITING))

    def copy_from(self, other: ObjectStorage, name: str) -> None:
        """Within the storage: the bytes do not come here."""
        with self._clear_errors():
            self._system.cp_file(other._path(name), self._path(name))

    def each(self, do: Callable[[T], R], items: Collection[T]) -> list[R]:
        """What `do` gives for each, in their order, several at a time; its first exception is raised."""
        if len(items) < 2:
            return [do(item) for item in items]
        with ThreadPoolExecutor(min(AT_ONCE, len(items)), thread_name_prefix="storage") as pool:
            return list(pool.map(do, items))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
            self._away_until = 0.0
        except FileNotFoundError as problem:
            if "bucket" not in str(problem).lower():
                raise
            raise GalleryError(
                f"there is no bucket for the pictures in {self.url} ({first_line(problem)}): make it, or name another "
                "storage"
            ) from None
        except (KeyError, GalleryError):
            raise
        except Exception as problem:  # each library has errors of its own
            raise self._named(problem) from problem

    def _named(self, problem: Exception) -> GalleryError:
        kind, text = type(problem).__name__, first_line(problem, 200)
        if isinstance(problem, PermissionError) or "Credential" in kind or "Forbidden" in text:
            return GalleryError(
                f"the pictures in {self.url} are closed to this program ({text}): check its keys "
                "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or a profile), and its rights to read, write, list, delete"
            )
        if isinstance(problem, ConnectionError | TimeoutError) or any(part in kind for part in _UNREACHED):
            self._away_until = time.monotonic() + _AWAY
            return self._unreached(text)
        return GalleryError(f"the pictures in {self.url} cannot be used: {text}")

    def _unreached(self, why: str) -> GalleryError:
        return GalleryError(
            f"the pictures in {self.url} cannot be reached ({why}): see whether the storage runs, and check "
            "AWS_ENDPOINT_URL"
        )
