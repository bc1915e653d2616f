"""Pictures to import, not yet read: what is known of each, and what every kind of source is read with."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gallery_store.archives import read_member
from gallery_store.decoding import PictureError, read_bounded

MOST_REFUSED_ROWS = 100_000
MOST_INFLATION = 100  # times its own size that a zip, or a list of pictures in it, may unpack to
_FREE_LIST_BYTES = 4 << 20  # that the list in any zip may have
IN_ZIP = "!/"  # in a source, between a zip and the name of a member

Stop = Callable[[], bool]


class ReadingStopped(Exception):
    """`stop` said so while a source was read."""


class SourceError(ValueError):
    """Nothing can be imported from here; the message names it and says why."""


@dataclass(frozen=True)
class Rejected:
    """A picture, or a row of a manifest, that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class ImportItem:
    """One picture to import, not yet read.

    path: as it will be kept. read: its bytes, at most decoding.MAX_BYTES; raises PictureError. origin: its file,
    absolute; None in a zip, and of what is cut out. source: what stands for it, see m0003_sources. time: UTC, aware.
    frame: number of the video frame. given: names of what a list said, and not only the file's name. by_caller: whether
    the camera is what the caller said of the whole import. whole: of a crop that a box cuts out, the bytes of the
    picture around it.
    """

    path: str
    read: Callable[[], bytes]
    origin: Path | None = None
    camera: str | None = None
    time: datetime | None = None
    person: str | None = None
    clothes: str | None = None
    tags: tuple[str, ...] = ()
    frame: int | None = None
    source: str = ""
    given: frozenset[str] = frozenset()
    by_caller: bool = False
    whole: Callable[[], bytes] | None = None


@dataclass(frozen=True)
class ImportSource:
    """items: in a stable order. ignored: how many other files. rejected: what was refused unread. notes: sentences on
    what was read in an unexpected way, or left out.

    close: lets go of an open zip; the items cannot be read afterwards.
    """

    items: tuple[ImportItem, ...]
    ignored: int = 0
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()
    close: Callable[[], None] = lambda: None


def on_disk(file: Path, path: str) -> ImportItem:
    origin = file.absolute()
    source = os.path.normpath(origin)
    return ImportItem(path=path, read=lambda: read_bounded(origin), origin=origin, source=source)


def in_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> ImportItem:
    source = f"{os.path.abspath(archive.filename or '')}{IN_ZIP}{info.filename}"
    return ImportItem(path=path, read=lambda: read_member(archive, info), source=source)


def hear(stop: Stop) -> None:
    if stop():
        raise ReadingStopped


def text_of(file: Path, kind: str, max_bytes: int) -> bytes:
    """kind: what it is, in the SourceError of one that cannot be read."""
    try:
        return read_bounded(file, max_bytes=max_bytes)
    except PictureError as problem:
        raise SourceError(f"the {kind} {file}: {problem.reason}") from None


def unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int) -> bytes:
    """The bytes of a member that lists pictures. Raises PictureError."""
    if info.file_size > max(_FREE_LIST_BYTES, MOST_INFLATION * info.compress_size):
        raise PictureError(
            f"it would unpack to {info.file_size >> 20} MB, more than {MOST_INFLATION} times its size"
        )
    return read_member(archive, info, max_bytes)
