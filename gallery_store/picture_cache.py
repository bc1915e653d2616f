"""Pictures of an object storage that were read lately, in a folder of this machine. Any of them may go at any time."""

from __future__ import annotations

import hashlib
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 2 << 30
_KEPT_OF_FULL = 0.8  # what stays when it was full
_PARTIAL = ".part-"


class PictureCache:
    """Bytes by the name that their content gives them, so that nothing is ever out of date. Thread-safe, and several
    processes may share a folder: then each keeps about `most_bytes` of it.
    """

    def __init__(self, folder: Path, most_bytes: int = MOST_BYTES) -> None:
        self.folder, self._most = folder, most_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None  # in the folder; None before it was counted

    def has(self, name: str) -> bool:
        return (self.folder / name).is_file()

    def get(self, name: str) -> bytes | None:
        """None where it is not here, or not what its name says, as a power cut may leave it."""
        file = self.folder / name
        try:
            data = file.read_bytes()
            os.utime(file)
        except OSError:
            return None
        if hashlib.sha256(data).hexdigest() == file.stem:
            return data
        self.remove(name)
        return None

    def put(self, name: str, data: bytes) -> None:
        """Where the disk is full or closed, nothing happens: it is a copy."""
        file = self.folder / name
        partial = file.with_name(f"{_PARTIAL}{secrets.token_hex(8)}")
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(data)
            partial.replace(file)
        except OSError:
            with suppress(OSError):
                partial.unlink(missing_ok=True)
            return
        with self._lock:
            self._bytes = self._count() if self._bytes is None else self._bytes + len(data)
            if self._bytes > self._most:
                self._bytes = self._thin_out()

    def remove(self, name: str) -> None:
        """Also where it is not here."""
        with suppress(OSError):
            (self.folder / name).unlink()

    def names(self) -> Iterator[str]:
        """Of all that is here."""
        for _, _, path in self._files():
            file = Path(path)
            if not file.name.startswith(_PARTIAL):
                yield file.relative_to(self.folder).as_posix()

    def _count(self) -> int:
        return sum(size for _, size, _ in self._files())

    def _thin_out(self) -> int:
        """Remove what was not read for longest; -> bytes that stay."""
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for _, size, file in files:
            if total <= _KEPT_OF_FULL * self._most:
                break
            with suppress(OSError):
                Path(file).unlink()
            total -= size
        return total

    def _files(self) -> list[tuple[int, int, str]]:
        """(when it was read last, bytes, path) of each."""
        found = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                with suppress(OSError):  # another process was quicker
                    status = os.stat(os.path.join(folder, name))
                    found.append((status.st_mtime_ns, status.st_size, os.path.join(folder, name)))
        return found
