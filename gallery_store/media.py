"""Picture files named by their content, beside the gallery: ab/abcdef….jpg."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gallery_store.decoding import read_bounded
from gallery_store.errors import GalleryError
from gallery_store.files import flush, flush_names

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_TEMP = ".writing"
_LOCK = ".lock"
_TEMP_AGE = 86400.0  # seconds after which a temporary file is nobody's, where no lock tells


class MediaFolder:
    """Files that appear whole or not at all; safe to use from several threads, processes and containers.

    older: folders where a file may lie that is not here. at_once: how many threads may wait for it.
    """

    at_once = 4

    def __init__(self, folder: Path, older: Sequence[Path] = ()) -> None:
        self.folder = folder
        self._older = older

    def path(self, name: str) -> Path:
        """Where the file of this name lies, or would."""
        own = self.folder / name
        if self._older and not own.exists():
            return next((file for folder in self._older if (file := folder / name).exists()), own)
        return own

    file = path

    def read(self, name: str) -> bytes:
        """Raises PictureError where it is not there, or no possible picture."""
        return read_bounded(self.path(name))

    def fetch(self, names: Collection[str]) -> dict[str, str]:
        """Nothing is to be brought; -> of those that are not there, that they are not."""
        return dict.fromkeys(self.lacking(names), "the file does not exist")

    def lacking(self, names: Collection[str]) -> set[str]:
        """Those that are not there."""
        return {name for name in names if not self.path(name).is_file()}

    def presence(self) -> Callable[[str], bool]:
        """Whether a name is there."""
        return lambda name: self.path(name).is_file()

    def put(self, name: str, data: bytes, *, durable: bool = True) -> None:
        """Write one file, unless it is there. Raises GalleryError where the disk is full or not writable."""
        with self.writer(durable=durable) as writer:
            writer.publish([(writer.stage(name, data), name)])

    def writer(self, *, durable: bool = True) -> MediaWriter:
        """durable: bring the files to the disk, for what cannot be made again."""
        return MediaWriter(self.folder, durable)

    def has(self, name: str) -> bool:
        """Whether the file is there; an empty one, as a power cut can leave, is not."""
        try:
            return (self.folder / name).stat().st_size > 0
        except OSError:
            return False

    def remove(self, name: str) -> int:
        """-> 1 if it was there, else 0."""
        try:
            (self.folder / name).unlink()
        except FileNotFoundError:
            return 0
        return 1

    def remove_all(self, names: Collection[str]) -> int:
        """-> how many were there."""
        return sum(self.remove(name) for name in sorted(names))

    def names(self) -> Iterator[str]:
        """Names of the files here, folder by folder ascending; temporary ones are left out."""
        if not self.folder.is_dir():
            return
        for part in sorted(self.folder.iterdir()):
            if part.is_dir() and part.name != _TEMP:
                yield from sorted(
                    f"{part.name}/{entry.name}" for entry in os.scandir(part) if entry.is_file()
                )

    def copies(self) -> Iterator[str]:
        """Names of what else is kept of pictures here: nothing."""
        return iter(())

    def clean_temporary(self) -> int:
        """Remove what killed writers left; -> how many files.

        A writer holds a lock, which ends with it wherever it ran: a process number says nothing in another container.
        Where there is no lock to ask, a file is old enough after a day.
        """
        removed = 0
        sessions: dict[str, list[Path]] = {}
        for file in sorted((self.folder / _TEMP).glob("*")):
            sessions.setdefault(file.name.partition("-")[0].removesuffix(_LOCK), []).append(file)
        for session, files in sessions.items():
            with _ended(self.folder / _TEMP / f"{session}{_LOCK}") as has_ended:
                for file in files:
                    try:
                        if has_ended or (
                            has_ended is None and time.time() - file.stat().st_mtime > _TEMP_AGE
                        ):
                            file.unlink()
                            removed += not file.name.endswith(_LOCK)
                    except FileNotFoundError:  # its writer was quicker
                        continue
        return removed


@contextmanager
def _ended(lock: Path) -> Iterator[bool | None]:
    """Whether the writer that held this lock is gone; None where that cannot be told. The lock is held meanwhile."""
    try:
        handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        yield _locked(handle)
    finally:
        os.close(handle)


def _locked(handle: int) -> bool | None:
    """Take the lock of an open file; False where somebody has it, None where the file system has no locks."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


class MediaWriter:
    """Writes many files: `stage` each, in any thread, then `publish` a batch. Leaving it drops the rest."""

    def __init__(self, folder: Path, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._session = secrets.token_hex(8)
        self._lock: int | None = None  # the open file that is locked
        self._starting = threading.Lock()

    def stage(self, name: str, data: bytes, *, is_new: bool = False) -> Path | None:
        """Write `data` under a temporary name and return that; None if `name` is there, and as long. is_new: see
        ObjectWriter; here to ask costs nothing.

        Raises GalleryError where the disk is full or not writable, as `publish` does.
        """
        try:
            if (self._folder / name).stat().st_size == len(data):
                return None
        except OSError:
            pass
        temp = self._folder / _TEMP / f"{self._session}-{secrets.token_hex(8)}"
        with self._clear_errors():
            self._start(temp.parent)
            temp.write_bytes(data)
        return temp

    def _start(self, folder: Path) -> None:
        """Make the folder, and in it the lock that says that this writer lives."""
        with self._starting:
            if self._lock is not None:
                return
            folder.mkdir(parents=True, exist_ok=True)
            lock = folder / f"{self._session}{_LOCK}"
            while True:
                handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
                if _locked(handle) is not False and lock.exists():
                    self._lock = handle
                    return
                os.close(handle)  # a cleaner had it before it was locked

    def publish(self, staged: Iterable[tuple[Any, str]]) -> None:
        """Give staged files their names. When this returns, bytes and names are on disk, if `durable`."""
        new = [(temp, self._folder / name) for temp, name in staged if temp is not None]
        if not new:
            return
        with self._clear_errors():
            if self._durable:  # before the renames: a name must never stand for half a file
                flush([temp for temp, _ in new])
            for temp, target in new:
                target.parent.mkdir(parents=True, exist_ok=True)
                temp.replace(target)
            if self._durable:
                flush_names(target for _, target in new)

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise GalleryError(
                f"{self._folder} cannot be written: {problem.strerror or problem}"
            ) from problem

    def __enter__(self) -> MediaWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is None:
            return
        os.close(self._lock)
        self._lock = None
        for temp in (self._folder / _TEMP).glob(f"{self._session}[-.]*"):
            temp.unlink(missing_ok=True)


def media_name(sha256: str, suffix: str) -> str:
    """The name of a picture with these bytes: "ab/abcdef….jpg"."""
    return f"{sha256[:2]}/{sha256}{suffix}"
