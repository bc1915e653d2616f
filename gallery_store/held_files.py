"""The files of open databases, which nothing but SQLite may open and close.

When a process closes any descriptor of a file, its POSIX locks on that file end, whoever took them
(https://www.sqlite.org/howtocorrupt.html, section 2.2). Another program that closes the database then takes itself for
its last user, and removes the log that this one goes on writing to: what was acknowledged is lost. So the header is
read through one descriptor, which is kept for as long as anybody here has the database open.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path

DATABASE_PARTS = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database, with locks on it
_HEADER = 100  # bytes


@dataclass
class _Held:
    descriptor: int
    users: int


_files: dict[tuple[int, int], _Held] = {}  # by device and inode
_lock = threading.Lock()


class HeldFile:
    """The file of a database that is open: which it is, and its header. Close it after the last connection."""

    def __init__(self, file: Path) -> None:
        """Raises OSError where there is no file, or it cannot be read."""
        with _lock:
            status = file.stat()
            self.key = (status.st_dev, status.st_ino)
            if self.key not in _files:
                descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
                status = os.fstat(descriptor)
                self.key = (status.st_dev, status.st_ino)
                # One that took its place meanwhile and is held already stays open twice: it must not be closed.
                _files.setdefault(self.key, _Held(descriptor, 0))
            self._held = _files[self.key]
            self._held.users += 1

    def header(self) -> bytes:
        """The first 100 bytes, or fewer."""
        return os.pread(self._held.descriptor, _HEADER, 0)

    def close(self) -> None:
        """Give it back; the last one closes the file."""
        with _lock:
            self._held.users -= 1
            if not self._held.users:
                os.close(self._held.descriptor)
                del _files[self.key]


def is_held(file: Path) -> bool:
    """Whether this is a database that is open here, or what SQLite keeps beside one: not to be opened."""
    parts = [part for part in DATABASE_PARTS if file.name.endswith(part)]
    for name in (file, *(file.with_name(file.name.removesuffix(part)) for part in parts)):
        try:
            status = name.stat()
        except (OSError, ValueError):
            continue
        if (status.st_dev, status.st_ino) in _files:
            return True
    return False
