"""What can be imported: a folder, a zip, a CSV manifest, or one picture, as a list of items to read."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

from gallery_store.decoding import MAX_BYTES, PICTURE_SUFFIXES, PictureError, read_bounded

MANIFEST = "manifest.csv"


class SourceError(ValueError):
    """Nothing can be imported from here; the message names it and says why."""


@dataclass(frozen=True)
class Rejected:
    """A picture, or a row of a manifest, that was left out, and why."""

    path: str
    reason: str


@dataclass(frozen=True)
class Item:
    """One picture to import, not yet read. `path` as it will be kept; `origin` is its file, None in a zip."""

    path: str
    read: Callable[[], bytes]  # raises PictureError
    origin: Path | None = None
    camera: str | None = None
    time: datetime | None = None
    person: str | None = None
    clothes: str | None = None
    tags: tuple[str, ...] = ()
    frame: int | None = None
    camera_told: bool = False  # by a manifest, not only by the file's name


@dataclass(frozen=True)
class Source:
    """Items in a stable order, the count of other files, what was refused unread, and how to let go of it."""

    items: tuple[Item, ...]
    ignored: int = 0
    rejected: tuple[Rejected, ...] = ()
    close: Callable[[], None] = lambda: None


def read_source(source: str | Path, zone: ZoneInfo) -> Source:
    """List what `source` holds; naive times of a manifest are taken in `zone`. Raises SourceError.

    A folder or zip with a manifest.csv at its top is read by that manifest. On disk a manifest may name
    pictures anywhere, so it must come from somebody who may read them.
    """
    from gallery_store.manifest import read_manifest

    path = Path(source)
    try:
        kind = path.stat().st_mode
    except (OSError, ValueError):
        raise SourceError(f"there is no file or folder {path}") from None
    if stat.S_ISDIR(kind):
        if (path / MANIFEST).is_file():
            return read_manifest(path / MANIFEST, zone)
        return _read_folder(path)
    if not stat.S_ISREG(kind):
        raise SourceError(f"{path} is neither a folder, a zip, a CSV manifest nor a picture")
    if path.suffix.lower() == ".csv":
        return read_manifest(path, zone)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return Source((file_item(path, path.name),))
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return _read_zip(path, zone)
    raise SourceError(f"{path} is neither a folder, a zip, a CSV manifest nor a picture")


def is_picture_name(name: str) -> bool:
    """By its suffix; hidden files (as macOS leaves beside pictures) do not count."""
    pure = PurePosixPath(name)
    return pure.suffix.lower() in PICTURE_SUFFIXES and not pure.name.startswith(".")


def file_item(file: Path, path: str) -> Item:
    return with_name_facts(Item(path=path, read=lambda: read_bounded(file), origin=file.absolute()))


def _read_folder(folder: Path) -> Source:
    items, ignored = [], 0

    def fail(problem: OSError) -> None:
        raise SourceError(f"the folder {problem.filename} cannot be read: {problem.strerror}")

    for place, folders, files in os.walk(folder, onerror=fail):
        folders.sort()
        for name in sorted(files):
            file = Path(place) / name
            if is_picture_name(name):
                items.append(file_item(file, file.relative_to(folder).as_posix()))
            else:
                ignored += 1
    if not items and not ignored:
        raise SourceError(f"the folder {folder} is empty")
    return Source(tuple(sorted(items, key=lambda item: item.path)), ignored)


# Market-1501 and its like: 0002_c1s1_000451_03.jpg, 0002_c1_f0046182.jpg
_FACTS = re.compile(r"(-1|\d{1,9})_c(\d{1,4})(?:s\d+)?_f?(\d{1,12})(?:_\d+)?(?:\.\w+)*")


def with_name_facts(item: Item) -> Item:
    """Fill in what the file's name tells and nobody said: person, camera, frame.

    Person -1 becomes the tag "junk", and 0000 the tag "distractor".
    """
    name = PurePosixPath(item.path.replace("\\", "/")).name
    facts = _FACTS.fullmatch(name)
    if facts is None:
        return item
    person, camera, frame = facts.groups()
    special = "junk" if person == "-1" else "distractor" if int(person) == 0 else None
    tags = item.tags if special is None or special in item.tags else (*item.tags, special)
    return replace(
        item,
        camera=item.camera or str(int(camera)),
        person=item.person or (None if special else person),
        frame=int(frame) if item.frame is None else item.frame,
        tags=tags,
    )


def _read_zip(path: Path, zone: ZoneInfo) -> Source:
    from gallery_store.manifest import read_zip_manifest

    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as problem:
        raise SourceError(f"{path} is not a readable zip archive: {problem}") from None
    try:
        members = {}
        for info in archive.infolist():
            if not info.is_dir():
                members[info.filename] = info
        if not members:
            raise SourceError(f"the zip {path} is empty")
        if MANIFEST in members:
            source = read_zip_manifest(archive, members, path, zone)
        else:
            source = _zip_items(archive, members)
    except BaseException:
        archive.close()
        raise
    return replace(source, close=archive.close)


def _zip_items(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo]) -> Source:
    items, rejected, ignored = [], [], 0
    for name, info in sorted(members.items()):
        if not is_picture_name(name):
            ignored += 1
        elif problem := zip_problem(info):
            rejected.append(Rejected(name, problem))
        else:
            items.append(zip_item(archive, info))
    return Source(tuple(items), ignored, tuple(rejected))


def zip_problem(info: zipfile.ZipInfo) -> str | None:
    """Why a member is refused unread. Nothing is ever extracted by name; the rule keeps odd names out."""
    name = info.filename
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name):
        return "its name leads outside the archive"
    if info.flag_bits & 0x1:
        return "it is encrypted"
    if info.file_size > MAX_BYTES:
        return f"it is larger than {MAX_BYTES >> 20} MB"
    return None


def zip_item(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Item:
    return with_name_facts(Item(path=info.filename, read=lambda: read_member(archive, info)))


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int = MAX_BYTES) -> bytes:
    """The member's bytes, never more than `max_bytes` of them, whatever its header says."""
    try:
        with archive.open(info) as stream:
            return read_bounded(stream, max_bytes=max_bytes)  # type: ignore[arg-type]
    except PictureError:
        raise
    except Exception as problem:  # bad CRC, unknown compression, damaged stream
        raise PictureError(f"it cannot be unpacked ({problem})") from None
