"""What can be imported, as a list of pictures to read: a folder, a zip, a CSV manifest, or one picture.

A manifest has a line of column names, of which only `path` is required: path,camera,time,person,clothes,tags.
Times are ISO 8601 or as spreadsheets and cameras write them (written_times), tags are set apart by ";" or "|"; other
columns are ignored.
"""

from __future__ import annotations

import csv
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

from gallery_store.archives import is_of_macos, members_of, plain_name, read_member, zip_problem
from gallery_store.decoding import PICTURE_SUFFIXES, PictureError, read_bounded
from gallery_store.folders import Spellings, files_below
from gallery_store.manifest_text import rows_of
from gallery_store.written_times import day_first, read_time

MANIFEST = "manifest.csv"
MOST_ROWS = 2_000_000  # of a manifest
MOST_REFUSED_ROWS = 100_000
MOST_INFLATION = 100  # times its own size that a zip, or the manifest in it, may unpack to
_FREE_INFLATION = 1 << 30  # bytes that any zip may unpack to
_MAX_MANIFEST_BYTES = 256 << 20
_FREE_MANIFEST_BYTES = 4 << 20  # that the manifest in any zip may have

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
    absolute; None in a zip. time: UTC, aware. frame: number of the video frame. camera_given: by a manifest, not
    only by the file's name.
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
    camera_given: bool = False


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


def read_source(source: str | Path, zone: ZoneInfo, stop: Stop = lambda: False) -> ImportSource:
    """List what `source` holds; naive times of a manifest are taken in `zone`.

    stop: asked for each folder, member or row. Raises SourceError; ReadingStopped.

    A folder or zip with a manifest.csv at its top, or in the one folder that holds all its pictures, is read by that
    manifest. On disk a manifest may name pictures anywhere, so it must come from somebody who may read them.
    """
    path = Path(source)
    try:
        kind = path.stat().st_mode
    except (OSError, ValueError):
        raise SourceError(f"there is no file or folder {path}") from None
    if stat.S_ISDIR(kind):
        return _read_folder(path, zone, stop)
    if not stat.S_ISREG(kind):
        raise SourceError(f"{path} is neither a folder, a zip, a CSV manifest nor a picture")
    if path.suffix.lower() == ".csv":
        return _read_manifest(path, zone, stop)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return ImportSource((_file_item(path, path.name),))
    if path.suffix.lower() == ".zip" or zipfile.is_zipfile(path):
        return _read_zip(path, zone, stop)
    raise SourceError(f"{path} is neither a folder, a zip, a CSV manifest nor a picture")


def _is_picture_name(name: str) -> bool:
    """By its suffix; hidden files (as macOS leaves beside pictures) do not count."""
    pure = PurePosixPath(name)
    return pure.suffix.lower() in PICTURE_SUFFIXES and not pure.name.startswith(".") and not is_of_macos(name)


def _manifest_among(names: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
    """The manifest that counts, of plain names, and notes on those that do not.

    It is at the top, in any case of letters, or further down where no other is and no picture lies outside its folder.
    """
    names = [name for name in names if not is_of_macos(name)]
    found = sorted(
        (name for name in names if PurePosixPath(name).name.casefold() == MANIFEST),
        key=lambda name: (name.count("/"), name != MANIFEST, name),
    )
    if not found:
        return None, ()
    first, *others = found
    folder = first[: -len(MANIFEST)]
    if folder and (others or not all(name.startswith(folder) for name in names if _is_picture_name(name))):
        return None, tuple(
            f"{name} was not read: only a manifest above all the pictures counts" for name in found
        )
    return first, tuple(f"{name} was not read: {first} counts" for name in others)


def _unlisted(count: int, manifest: str) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"{count:,} pictures beside the manifest {manifest} are not listed in it, and were left out",)


def _file_item(file: Path, path: str) -> ImportItem:
    return _with_name_facts(_on_disk(file, path))


def _on_disk(file: Path, path: str) -> ImportItem:
    origin = file.absolute()
    return ImportItem(path=path, read=lambda: read_bounded(origin), origin=origin)


def _read_folder(folder: Path, zone: ZoneInfo, stop: Stop) -> ImportSource:
    found = files_below(folder, lambda: _hear(stop))
    named: dict[str, Path] = {}
    for file in found.files:
        path = file.relative_to(folder).as_posix()
        # Two names that differ in how letters are composed are two files here.
        named[path if (plain := plain_name(path)) in named else plain] = file
    if not named and not found.rejected:
        raise SourceError(f"the folder {folder} is empty")
    manifest, notes = _manifest_among(named)
    notes = (*found.notes, *notes)
    rejected = tuple(Rejected(path, reason) for path, reason in found.rejected)
    if manifest is not None:
        source = _read_manifest(named[manifest], zone, stop)
        listed = {item.origin and os.path.normpath(item.origin) for item in source.items}
        pictures = [file for name, file in named.items() if _is_picture_name(name)]
        unlisted = sum(os.path.normpath(file.absolute()) not in listed for file in pictures)
        notes += _unlisted(unlisted, manifest)
        return replace(source, rejected=source.rejected + rejected, notes=source.notes + notes)
    items = [_file_item(file, path) for path, file in named.items() if _is_picture_name(path)]
    items.sort(key=lambda item: item.path)
    return ImportSource(tuple(items), len(named) - len(items), rejected, notes)


def _read_zip(path: Path, zone: ZoneInfo, stop: Stop) -> ImportSource:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as problem:
        raise SourceError(f"{path} is not a readable zip archive: {problem}") from None
    try:
        members, twice = members_of(archive)
        if not members:
            raise SourceError(f"the zip {path} is empty")
        _refuse_inflation(archive, path)
        manifest, notes = _manifest_among(members)
        if manifest is not None:
            source = _read_zip_manifest(archive, members, manifest, path, zone, stop)
        else:
            source = _zip_items(archive, members, stop)
        double = tuple(
            Rejected(name, "the archive has several files of this name; the last one was taken")
            for name in twice
        )
        source = replace(source, rejected=source.rejected + double, notes=source.notes + notes)
    except BaseException:
        archive.close()
        raise
    return replace(source, close=archive.close)


def _refuse_inflation(archive: zipfile.ZipFile, path: Path) -> None:
    """Pictures are packed already: what unpacks to a hundred times its size holds none. Members may share bytes."""
    size, unpacked = path.stat().st_size, sum(info.file_size for info in archive.infolist())
    if unpacked > max(_FREE_INFLATION, MOST_INFLATION * size):
        raise SourceError(
            f"the zip {path} would unpack to {unpacked >> 20:,} MB, {unpacked // size:,} times its size"
        )


def _hear(stop: Stop) -> None:
    if stop():
        raise ReadingStopped


def _zip_items(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], stop: Stop) -> ImportSource:
    items, rejected, ignored = [], [], 0
    for name, info in sorted(members.items()):
        _hear(stop)
        if not _is_picture_name(name):
            ignored += 1
        elif problem := zip_problem(info):
            rejected.append(Rejected(name, problem))
        else:
            items.append(_zip_item(archive, info, name))
    return ImportSource(tuple(items), ignored, tuple(rejected))


def _zip_item(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> ImportItem:
    return _with_name_facts(_in_zip(archive, info, path))


def _in_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> ImportItem:
    return ImportItem(path=path, read=lambda: read_member(archive, info))


def _read_manifest(file: Path, zone: ZoneInfo, stop: Stop) -> ImportSource:
    """Pictures are looked for relative to the manifest's folder."""
    try:
        data = read_bounded(file, max_bytes=_MAX_MANIFEST_BYTES)
    except PictureError as problem:
        raise SourceError(f"the manifest {file}: {problem.reason}") from None

    spellings = Spellings()

    def locate(path: str) -> ImportItem:
        found = spellings.find(file.parent, path)
        return _on_disk(found, path.replace("\\", "/") if found != file.parent / path else path)

    return _read_rows(data, str(file), zone, locate, stop)


def _read_zip_manifest(
    archive: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
    manifest: str,
    path: Path,
    zone: ZoneInfo,
    stop: Stop,
) -> ImportSource:
    """By the manifest of that name; it can name members only, those below its folder as seen from there."""
    where, info = f"{path}/{manifest}", members[manifest]
    if info.file_size > max(_FREE_MANIFEST_BYTES, MOST_INFLATION * info.compress_size):
        raise SourceError(
            f"the manifest {where} would unpack to {info.file_size >> 20} MB, more than {MOST_INFLATION} times its size"
        )
    try:
        data = read_member(archive, info, _MAX_MANIFEST_BYTES)
    except PictureError as problem:
        raise SourceError(f"the manifest {where}: {problem.reason}") from None

    folder = manifest[: -len(MANIFEST)]
    by_case = {name.casefold(): name for name in members}
    listed = set()

    def locate(name: str) -> ImportItem:
        plain = plain_name(name)
        # Rows may start at the manifest's folder or at the top, and Windows does not tell cases apart.
        tried = (folder + plain, plain, by_case.get((folder + plain).casefold(), plain))
        member = next((spelled for spelled in tried if spelled in members), "")
        info = members.get(member)
        if info is None:
            raise PictureError("the archive has no such file")
        if problem := zip_problem(info):
            raise PictureError(problem)
        listed.add(member)
        return _in_zip(archive, info, plain)

    source = _read_rows(data, where, zone, locate, stop)
    unlisted = sum(name not in listed for name in members if _is_picture_name(name))
    return replace(source, notes=_unlisted(unlisted, manifest))


def _read_rows(
    data: bytes, where: str, zone: ZoneInfo, locate: Callable[[str], ImportItem], stop: Stop
) -> ImportSource:
    """A manifest's rows, each an item or rejected. locate(path): the picture there; raises PictureError."""
    items: list[ImportItem] = []
    rejected: list[Rejected] = []
    rows, line = rows_of(data), 0
    try:
        header = [name.strip().casefold() for name in next(rows, (0, []))[1]]
        if "path" not in header:
            named = ", ".join(name for name in header if name)[:200] or "none"
            raise SourceError(f"the manifest {where} has no column `path` (its columns: {named})")
        days_first = _days_first(data, header, stop)
        for line, cells in rows:
            _hear(stop)
            if len(items) + len(rejected) >= MOST_ROWS:
                raise SourceError(
                    f"the manifest {where} has more than {MOST_ROWS:,} rows: cut it into several"
                )
            if len(rejected) >= MOST_REFUSED_ROWS:
                raise SourceError(
                    f"the manifest {where} has more than {MOST_REFUSED_ROWS:,} rows that cannot be used; "
                    f"the first: {rejected[0].path}: {rejected[0].reason}"
                )
            if not any(cell.strip() for cell in cells):
                continue
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
            path = row.get("path", "")
            try:
                items.append(_row_item(row, zone, days_first, locate))
            except ValueError as problem:  # PictureError among them
                rejected.append(Rejected(path or f"line {line}", str(problem)))
    except UnicodeDecodeError:
        raise SourceError(f"the manifest {where} is not UTF-8 text: save it as CSV in UTF-8") from None
    except csv.Error as problem:
        raise SourceError(f"the manifest {where} is not CSV (line {line + 1}: {problem})") from None
    if not items and not rejected:
        raise SourceError(f"the manifest {where} has no rows")
    return ImportSource(tuple(items), 0, tuple(rejected))


def _days_first(data: bytes, header: list[str], stop: Stop) -> bool | None:
    """What 05/06/2026 means in the column `time`: all its rows say it together."""
    if "time" not in header or (b"/" not in data and b"-" not in data):
        return None
    column = header.index("time")

    def times() -> Iterable[str]:
        for _, cells in rows_of(data):
            _hear(stop)
            yield cells[column] if column < len(cells) else ""

    return day_first(times())


def _row_item(
    row: dict[str, str], zone: ZoneInfo, days_first: bool | None, locate: Callable[[str], ImportItem]
) -> ImportItem:
    """row: column name -> cell. Raises ValueError with the reason, PictureError among them."""
    path = row.get("path", "")
    if not path:
        raise ValueError("the row has no path")
    time = read_time(row["time"], zone, days_first) if row.get("time") else None
    if not _is_picture_name(path.replace("\\", "/")):
        raise ValueError("its name does not end like a picture's (.jpg, .png, .webp, .heic)")
    tags = tuple(tag.strip() for tag in re.split(r"[;|]", row.get("tags", "")) if tag.strip())
    return _with_name_facts(
        replace(
            locate(path),
            camera=row.get("camera") or None,
            time=time,
            person=row.get("person") or None,
            clothes=row.get("clothes") or None,
            tags=tags,
            camera_given=bool(row.get("camera")),
        )
    )


# Market-1501 and its like: 0002_c1s1_000451_03.jpg, 0002_c1_f0046182.jpg
_FACTS = re.compile(r"(-1|\d{1,9})_c(\d{1,4})(?:s\d+)?_f?(\d{1,12})(?:_\d+)?(?:\.\w+)*")


def _with_name_facts(item: ImportItem) -> ImportItem:
    """Fill in person, camera and frame from the file's name, where the item has none.

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
