"""Folders on disk: every file below one, links followed once, and names found in another spelling."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class FoundFiles:
    """files: sorted folder by folder. rejected: (path, reason) of folders that cannot be read. notes: on links."""

    files: tuple[Path, ...]
    rejected: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def files_below(folder: Path, hear: Callable[[], None]) -> FoundFiles:
    """All files below `folder`; linked folders after the others, each folder once. hear: called for each folder.

    Where `folder` itself cannot be read, that is its only rejection.
    """
    files: list[Path] = []
    rejected: list[tuple[str, str]] = []
    seen: set[tuple[int, int]] = set()
    waiting, links = [folder], list[Path]()
    followed = cut = 0
    while waiting or links:
        is_link = not waiting
        here = links.pop(0) if is_link else waiting.pop()
        hear()
        name = here.relative_to(folder).as_posix()
        try:
            status = here.stat()
            if (status.st_dev, status.st_ino) in seen:
                cut += is_link
                continue
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as problem:
            rejected.append((name, f"the folder cannot be read ({problem.strerror})"))
            continue
        seen.add((status.st_dev, status.st_ino))
        followed += is_link
        folders = []
        for entry in entries:
            if not _is_folder(entry):
                files.append(Path(entry.path))
            elif entry.is_symlink():
                links.append(Path(entry.path))
            else:
                folders.append(Path(entry.path))
        waiting += reversed(folders)
    notes = [f"linked folders, followed: {followed:,}"] if followed else []
    notes += [f"links to folders that were read already, left out: {cut:,}"] if cut else []
    return FoundFiles(tuple(files), tuple(rejected), tuple(notes))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself: refused when it is read, if its name is a picture's
        return False


class Spellings:
    """Finds files by names that are spelled otherwise: backslashes, letters composed or taken apart, case."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, str]] = {}

    def find(self, folder: Path, path: str) -> Path:
        """The file `path` below `folder`; as it is written, where there is none."""
        written = folder / path
        try:
            if written.exists():
                return written
            found = folder / path.replace("\\", "/")
            if found.exists():
                return found
            for part in Path(path.replace("\\", "/")).parts:
                folder = folder / (part if part in ("/", "..") else self._spelled(folder, part))
        except (OSError, ValueError):
            return written
        return folder if folder.exists() else written

    def _spelled(self, folder: Path, part: str) -> str:
        if folder not in self._names:
            self._names[folder] = {_key(name): name for name in sorted(os.listdir(folder), reverse=True)}
        return self._names[folder].get(_key(part), part)


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
