"""Finding folders and pictures: sorted, fast, and tolerant of how archives were unpacked."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gallery_store.decoding import PICTURE_SUFFIXES

DEPTH = 2  # how far below a folder of the right name its contents may lie: archives nest


def find_folder(root: Path, names: Sequence[str], marks: Sequence[str]) -> Path | None:
    """The folder of a data set: a child of root, or root itself, that bears one of its names.

    Case, spaces, dashes, dots and underscores do not matter. Among several the one that has one of `marks`
    in it wins, then the order of `names`. A folder that merely wraps the right one is looked into.
    """
    wanted = [_plain(name) for name in names]
    near = [root, *_folders(root)]
    named = [f for name in wanted for f in near if _plain(f.resolve().name if f is root else f.name) == name]
    for folder in named:
        if (inner := _with_mark(folder, marks, DEPTH)) is not None:
            return inner
    return named[0] if named else None


def inside(folder: Path, place: str) -> Path | None:
    """What lies at a relative place such as "rgb/train", exactly so, or in another case. None if nothing does."""
    exact = folder / place
    if exact.exists():
        return exact
    path = folder
    for part in place.split("/"):
        fitting = [name for name in _entries(path) if name.casefold() == part.casefold()]
        if not fitting:
            return None
        path = path / fitting[0]
    return path


def first_inside(folder: Path, places: Iterable[str]) -> Path | None:
    """The first of several places that exists."""
    return next((path for place in places if (path := inside(folder, place)) is not None), None)


def pictures_below(folder: Path) -> Iterator[str]:
    """Relative paths of the picture files below a folder, "/" between parts, sorted by part.

    Hidden files (also the "._x.jpg" that macOS leaves) and other files (Thumbs.db) are passed over.
    """
    stack = [(str(folder), "")]
    while stack:
        place, prefix = stack.pop()
        with os.scandir(place) as entries:
            known = sorted(entries, key=lambda entry: entry.name)
        folders = []
        for entry in known:
            name = entry.name
            if name.startswith("."):
                continue
            if entry.is_dir():
                folders.append((entry.path, f"{prefix}{name}/"))
            elif os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES:
                yield prefix + name
        stack += reversed(folders)


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [folder / name for name in sorted(e.name for e in entries if e.is_dir())]


def _entries(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def _with_mark(folder: Path, marks: Sequence[str], depth: int) -> Path | None:
    if any(inside(folder, mark) is not None for mark in marks):
        return folder
    if depth:
        for child in _folders(folder):
            if (marked := _with_mark(child, marks, depth - 1)) is not None:
                return marked
    return None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
