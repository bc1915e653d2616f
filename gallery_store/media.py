"""Picture files named by their content, beside the gallery: ab/abcdef….jpg."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from gallery_store.errors import GalleryError

_TEMP = ".writing"
_TEMP_AGE = 86400.0  # seconds after which a temporary file is nobody's


class MediaFolder:
    """Files written whole or not at all; safe to use from several threads and processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        return self.folder / name

    def put(self, name: str, data: bytes) -> None:
        """Write `data` as `name` unless it is there; on disk, name and all, when this returns.

        Raises GalleryError where the disk is full or not writable.
        """
        target = self.folder / name
        if target.exists():
            return
        try:
            self._write(target, data)
        except OSError as problem:
            raise GalleryError(f"{target} cannot be written: {problem.strerror or problem}") from problem

    def _write(self, target: Path, data: bytes) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        temp = self.folder / _TEMP / f"{os.getpid()}-{secrets.token_hex(8)}"
        temp.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temp.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temp.replace(target)
        except BaseException:
            temp.unlink(missing_ok=True)
            raise
        sync_folder(target.parent)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)

    def names(self) -> Iterator[str]:
        """Names of the files that stand here, temporary ones left out."""
        if not self.folder.is_dir():
            return
        for part in sorted(self.folder.iterdir()):
            if part.is_dir() and part.name != _TEMP:
                yield from sorted(
                    f"{part.name}/{entry.name}" for entry in os.scandir(part) if entry.is_file()
                )

    def strays(self, used: Collection[str]) -> list[str]:
        return [name for name in self.names() if name not in used]

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


def media_name(sha256: str, suffix: str) -> str:
    return f"{sha256[:2]}/{sha256}{suffix}"


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` survive a power cut (a no-op where folders cannot be opened)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _is_running(temp_name: str) -> bool:
    pid = temp_name.partition("-")[0]
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
