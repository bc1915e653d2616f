"""Picture files named by their content, beside the gallery: ab/abcdef….jpg."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gallery_store.errors import GalleryError
from gallery_store.files import flush, flush_names

_TEMP = ".writing"
_TEMP_AGE = 86400.0  # seconds after which a temporary file is nobody's


class MediaFolder:
    """Files that appear whole or not at all; safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        """Where the file of this name lies, or would."""
        return self.folder / name

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

    def names(self) -> Iterator[str]:
        """Names of the files here, folder by folder ascending; temporary ones are left out."""
        if not self.folder.is_dir():
            return
        for part in sorted(self.folder.iterdir()):
            if part.is_dir() and part.name != _TEMP:
                yield from sorted(
                    f"{part.name}/{entry.name}" for entry in os.scandir(part) if entry.is_file()
                )

    def clean_temporary(self) -> int:
        """Remove what killed writers left; -> how many."""
        removed = 0
        for file in (self.folder / _TEMP).glob("*-*"):
            try:
                if not _is_running(file.name) or time.time() - file.stat().st_mtime > _TEMP_AGE:
                    file.unlink()
                    removed += 1
            except FileNotFoundError:  # its writer was quicker
                continue
        return removed


class MediaWriter:
    """Writes many files: `stage` each, in any thread, then `publish` a batch. Leaving it drops the rest."""

    def __init__(self, folder: Path, durable: bool) -> None:
        self._folder = folder
        self._durable = durable
        self._session = f"{os.getpid()}-{secrets.token_hex(8)}"

    def stage(self, name: str, data: bytes) -> Path | None:
        """Write `data` under a temporary name and return that; None if `name` is there, and as long.

        Raises GalleryError where the disk is full or not writable, as `publish` does.
        """
        try:
            if (self._folder / name).stat().st_size == len(data):
                return None
        except OSError:
            pass
        temp = self._folder / _TEMP / f"{self._session}-{secrets.token_hex(8)}"
        with self._clear_errors():
            temp.parent.mkdir(parents=True, exist_ok=True)
            temp.write_bytes(data)
        return temp

    def publish(self, staged: Iterable[tuple[Path | None, str]]) -> None:
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
        for temp in (self._folder / _TEMP).glob(f"{self._session}-*"):
            temp.unlink(missing_ok=True)


def media_name(sha256: str, suffix: str) -> str:
    """The name of a picture with these bytes: "ab/abcdef….jpg"."""
    return f"{sha256[:2]}/{sha256}{suffix}"


def _is_running(temp_name: str) -> bool:
    pid = temp_name.partition("-")[0]
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
