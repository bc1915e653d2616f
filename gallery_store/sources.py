"""What can be imported, as a list of pictures to read: a folder, a zip, a CSV manifest, or one picture.

A manifest has a line of column names, of which only `path` is required: path,camera,time,person,clothes,tags.
Times are ISO 8601, tags are set apart by ";" or "|"; other columns are ignored.
"""

from __future__ import annotations

import csv
import io
import os
import re
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

from gallery_store.clock import parse_time
from gallery_store.decoding import MAX_BYTES, PICTURE_SUFFIXES, PictureError, read_bounded

MANIFEST = "manifest.csv"
MOST_ROWS = 2_000_000  # of a manifest
MOST_REFUSED_ROWS = 100_000
MOST_INFLATION = 100  # times its own size that a zip, or the manifest in it, may unpack to
_FREE_INFLATION = 1 << 30  # bytes that any zip may unpack to
_MAX_MANIFEST_BYTES = 256 << 20
_FREE_MANIFEST_BYTES = 4 << 20  # that the manifest in any zip may have
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
    absolute; None in a zip. source: what stands for it, see m0003_sources. time: UTC, aware. frame: number of the video
    frame. given: names of what a manifest said, and not only the file's name. by_caller: whether the camera is what the
    caller said of the whole import.
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


@dataclass(frozen=True)
class ImportSource:
    """items: in a stable order. ignored: how many other files. rejected: what was refused unread.

    close: lets go of an open zip; the items cannot be read afterwards.
    """

    items: tuple[ImportItem, ...]
    ignored: int = 0
    rejected: tuple[Rejected, ...] = ()
    close: Callable[[], None] = lambda: None


def read_source(source: str | Path, zone: ZoneInfo, stop: Stop = lambda: False) -> ImportSource:
    """List what `source` holds; naive times of a manifest are taken in `zone`.

    stop: asked for each folder, member or row. Raises SourceError; ReadingStopped.

    A folder or zip with a manifest.csv at its top is read by that manifest. On disk a manifest may name
    pictures anywhere, so it must come from somebody who may read them.
    """
    path = Path(source)
    try:
        kind = path.stat().st_mode
    except (OSError, ValueError):
        raise SourceError(f"there is no file or folder {path}") from None
    if stat.S_ISDIR(kind):
        if (path / MANIFEST).is_file():
            return _read_manifest(path / MANIFEST, zone, stop)
        return _read_folder(path, stop)
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
    return pure.suffix.lower() in PICTURE_SUFFIXES and not pure.name.startswith(".")


def _file_item(file: Path, path: str) -> ImportItem:
    return _with_name_facts(_on_disk(file, path))


def _on_disk(file: Path, path: str) -> ImportItem:
    origin = file.absolute()
    return ImportItem(
        path=path, read=lambda: read_bounded(origin), origin=origin, source=os.path.normpath(origin)
    )


def _read_folder(folder: Path, stop: Stop) -> ImportSource:
    items, ignored = [], 0

    def fail(problem: OSError) -> None:
        raise SourceError(f"the folder {problem.filename} cannot be read: {problem.strerror}")

    for parent, folders, files in os.walk(folder, onerror=fail):
        _hear(stop)
        folders.sort()
        for name in sorted(files):
            file = Path(parent) / name
            if _is_picture_name(name):
                items.append(_file_item(file, file.relative_to(folder).as_posix()))
            else:
                ignored += 1
    if not items and not ignored:
        raise SourceError(f"the folder {folder} is empty")
    return ImportSource(tuple(sorted(items, key=lambda item: item.path)), ignored)


def _read_zip(path: Path, zone: ZoneInfo, stop: Stop) -> ImportSource:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as problem:
        raise SourceError(f"{path} is not a readable zip archive: {problem}") from None
    try:
        members = {info.filename: info for info in archive.infolist() if not info.is_dir()}
        if not members:
            raise SourceError(f"the zip {path} is empty")
        _refuse_inflation(archive, path)
        if MANIFEST in members:
            source = _read_zip_manifest(archive, members, path, zone, stop)
        else:
            source = _zip_items(archive, members, stop)
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
            items.append(_zip_item(archive, info))
    return ImportSource(tuple(items), ignored, tuple(rejected))


def _zip_item(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> ImportItem:
    return _with_name_facts(_in_zip(archive, info, info.filename))


def _in_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: str) -> ImportItem:
    source = f"{os.path.abspath(archive.filename or '')}{IN_ZIP}{info.filename}"
    return ImportItem(path=path, read=lambda: read_member(archive, info), source=source)


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


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int = MAX_BYTES) -> bytes:
    """The member's bytes. Raises PictureError, also where there are more than `max_bytes`, whatever the header says."""
    try:
        with archive.open(info) as stream:
            return read_bounded(stream, max_bytes=max_bytes)  # type: ignore[arg-type]
    except PictureError:
        raise
    except Exception as problem:  # bad CRC, unknown compression, damaged stream
        raise PictureError(f"it cannot be unpacked ({problem})") from None


def _read_manifest(file: Path, zone: ZoneInfo, stop: Stop) -> ImportSource:
    """Pictures are looked for relative to the manifest's folder."""
    try:
        data = read_bounded(file, max_bytes=_MAX_MANIFEST_BYTES)
    except PictureError as problem:
        raise SourceError(f"the manifest {file}: {problem.reason}") from None

    def locate(path: str) -> ImportItem:
        return _on_disk(file.parent / path, path)

    return _read_rows(data, str(file), zone, locate, stop)


def _read_zip_manifest(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: Path, zone: ZoneInfo, stop: Stop
) -> ImportSource:
    """The manifest at the top of a zip; it can name members only."""
    where, info = f"{path}/{MANIFEST}", members[MANIFEST]
    if info.file_size > max(_FREE_MANIFEST_BYTES, MOST_INFLATION * info.compress_size):
        raise SourceError(
            f"the manifest {where} would unpack to {info.file_size >> 20} MB, more than {MOST_INFLATION} times its size"
        )
    try:
        data = read_member(archive, members[MANIFEST], _MAX_MANIFEST_BYTES)
    except PictureError as problem:
        raise SourceError(f"the manifest {where}: {problem.reason}") from None

    def locate(name: str) -> ImportItem:
        info = members.get(PurePosixPath(name.replace("\\", "/")).as_posix())
        if info is None:
            raise PictureError("the archive has no such file")
        if problem := zip_problem(info):
            raise PictureError(problem)
        return _in_zip(archive, info, name)

    return _read_rows(data, where, zone, locate, stop)


def _read_rows(
    data: bytes, where: str, zone: ZoneInfo, locate: Callable[[str], ImportItem], stop: Stop
) -> ImportSource:
    """A manifest's rows, each an item or rejected. locate(path): the picture there; raises PictureError."""
    items: list[ImportItem] = []
    rejected: list[Rejected] = []
    # Decoded as it is read: in memory a text takes up to four times its bytes.
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", newline=""))
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        if "path" not in header:
            named = ", ".join(name for name in header if name)[:200] or "none"
            raise SourceError(f"the manifest {where} has no column `path` (its columns: {named})")
        for cells in reader:
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
                items.append(_row_item(row, zone, locate))
            except ValueError as problem:  # PictureError among them
                rejected.append(Rejected(path or f"line {reader.line_num}", str(problem)))
    except UnicodeDecodeError:
        raise SourceError(f"the manifest {where} is not UTF-8 text: save it as CSV in UTF-8") from None
    except csv.Error as problem:
        raise SourceError(f"the manifest {where} is not CSV (line {reader.line_num}: {problem})") from None
    if not items and not rejected:
        raise SourceError(f"the manifest {where} has no rows")
    return ImportSource(tuple(items), 0, tuple(rejected))


def _row_item(row: dict[str, str], zone: ZoneInfo, locate: Callable[[str], ImportItem]) -> ImportItem:
    """row: column name -> cell. Raises ValueError with the reason, PictureError among them."""
    path = row.get("path", "")
    if not path:
        raise ValueError("the row has no path")
    time = parse_time(row["time"], zone) if row.get("time") else None
    if not _is_picture_name(path.replace("\\", "/")):
        raise ValueError("its name does not end like a picture's (.jpg, .png, .webp, .bmp, .tif)")
    tags = tuple(tag.strip() for tag in re.split(r"[;|]", row.get("tags", "")) if tag.strip())
    return _with_name_facts(
        replace(
            locate(path),
            camera=row.get("camera") or None,
            time=time,
            person=row.get("person") or None,
            clothes=row.get("clothes") or None,
            tags=tags,
            given=frozenset(name for name in _SAID if row.get(name)),
        )
    )


_SAID = ("camera", "time", "person", "clothes", "tags")  # columns of a manifest beside the path

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
