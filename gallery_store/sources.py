"""What can be imported, as a list of pictures to read: a folder, a zip, a CSV manifest, a file of boxes, or a picture.

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
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from gallery_store import cuts
from gallery_store.archives import MOST_NAME, is_picture_name, members_of, plain_name, zip_problem
from gallery_store.decoding import PICTURE_SUFFIXES, PictureError, taken_at
from gallery_store.folders import Spellings, files_below
from gallery_store.held_files import is_held
from gallery_store.items import (
    MOST_INFLATION,
    MOST_REFUSED_ROWS,
    ImportItem,
    ImportSource,
    Rejected,
    SourceError,
    Stop,
    hear,
    in_zip,
    on_disk,
    text_of,
    unpacked,
)
from gallery_store.manifests import MANIFEST, column_days_first, manifest_among, rows_of, unlisted_note
from gallery_store.name_facts import NameFacts, NamePattern, facts_of
from gallery_store.written_times import read_time

MOST_ROWS = 2_000_000  # of a manifest
_FREE_INFLATION = 1 << 30  # bytes that any zip may unpack to
_MAX_MANIFEST_BYTES = 256 << 20
_SAID = ("camera", "time", "person", "clothes", "tags")  # columns of a manifest beside the path

Times = Literal["name", "exif", "none"]


def read_source(
    source: str | Path,
    zone: ZoneInfo,
    stop: Stop = lambda: False,
    *,
    times: Times = "name",
    pattern: str | None = None,
) -> ImportSource:
    """List what `source` holds; times without a zone are taken in `zone`.

    times: where those come from that no manifest gives: the pictures' names, or their EXIF where it has one, or from
    nowhere. pattern: how names are read, see NamePattern. stop: asked for each folder, member or row. Raises
    SourceError; ReadingStopped.

    A folder or zip with a manifest.csv at its top, or in the one folder that holds all its pictures, is read by that
    manifest; one without, and with a file of boxes, is read by that. On disk both may name pictures anywhere, so they
    must come from somebody who may read them.
    """
    path = Path(source)
    try:
        own = None if pattern is None else NamePattern(pattern)
    except ValueError as problem:
        raise SourceError(str(problem)) from None
    contents = _listed(path, zone, stop)
    root = path.resolve().name if path.is_dir() else path.stem if path.suffix.lower() == ".zip" else ""
    naming = _Naming(root, zone, times, own)
    items, rejected = [], list(contents.rejected)
    try:
        for item in contents.items:
            hear(stop)
            if reason := _too_long(item):
                rejected.append(Rejected(_shortened(item.path), reason))
            else:
                items.append(naming.complete(item))
        if own is not None and items and not any(own.facts_of(plain_name(item.path), zone) for item in items):
            timed = ", or what it takes for the time is no time" if "(?P<time>" in str(pattern) else ""
            raise SourceError(
                f"the pattern {pattern!r} fits none of the {len(items):,} names in {path}{timed}"
            )
    except BaseException:
        contents.close()
        raise
    return replace(contents, items=tuple(items), rejected=tuple(rejected))


def _listed(path: Path, zone: ZoneInfo, stop: Stop) -> ImportSource:
    """As read_source, without what names and EXIF tell."""
    try:
        kind = path.stat().st_mode
    except (OSError, ValueError):
        raise SourceError(f"there is no file or folder {path}") from None
    if stat.S_ISDIR(kind):
        return _read_folder(path, zone, stop)
    if not stat.S_ISREG(kind):
        raise SourceError(
            f"{path} is neither a folder, a zip, a CSV manifest, a JSON file of boxes nor a picture"
        )
    if path.suffix.lower() == ".csv":
        source = _read_manifest(path, zone, stop)
        return replace(source, notes=unlisted_note(_beside(source.items), path.name))
    if path.suffix.lower() == ".json":
        return cuts.of_file(path, stop)
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return ImportSource((on_disk(path, path.name),))
    if path.suffix.lower() == ".zip" or (not is_held(path) and zipfile.is_zipfile(path)):
        return _read_zip(path, zone, stop)
    raise SourceError(
        f"{path} is neither a folder, a zip, a CSV manifest, a JSON file of boxes nor a picture"
    )


def _too_long(item: ImportItem) -> str | None:
    """Why an item is refused before anything is made of its words."""
    said = {"name": item.path, "camera": item.camera, "person": item.person, "clothes": item.clothes}
    what = next((what for what, text in said.items() if text and len(text) > MOST_NAME), None)
    return what and f"its {what} has more than {MOST_NAME:,} characters"


def _shortened(name: str) -> str:
    return name if len(name) <= MOST_NAME else f"{name[:100]}…"


def _beside(items: Iterable[ImportItem]) -> int:
    """How many pictures lie in the same folders and are not among the items."""
    listed = {os.path.normpath(item.origin) for item in items if item.origin}
    count = 0
    for folder in {os.path.dirname(file) for file in listed}:
        try:
            names = [name for name in os.listdir(folder) if is_picture_name(name)]
        except OSError:  # its pictures will be refused one by one
            continue
        count += sum(os.path.join(folder, name) not in listed for name in names)
    return count


def _read_folder(folder: Path, zone: ZoneInfo, stop: Stop) -> ImportSource:
    found = files_below(folder, lambda: hear(stop))
    named: dict[str, Path] = {}
    for file in found.files:
        path = file.relative_to(folder).as_posix()
        # Two names that differ in how letters are composed are two files here.
        named[path if (plain := plain_name(path)) in named else plain] = file
    if not named and not found.rejected:
        raise SourceError(f"the folder {folder} is empty")
    manifest, notes = manifest_among(named)
    notes = (*found.notes, *notes)
    rejected = tuple(Rejected(path, reason) for path, reason in found.rejected)
    if manifest is not None:
        source = _read_manifest(named[manifest], zone, stop)
        listed = {item.origin and os.path.normpath(item.origin) for item in source.items}
        pictures = [file for name, file in named.items() if is_picture_name(name)]
        unlisted = sum(os.path.normpath(file.absolute()) not in listed for file in pictures)
        notes += unlisted_note(unlisted, manifest)
        return replace(source, rejected=source.rejected + rejected, notes=source.notes + notes)
    if (people := cuts.of_folder(folder, named, stop)) is not None:
        return replace(people, rejected=people.rejected + rejected, notes=people.notes + notes)
    items = [on_disk(file, path) for path, file in named.items() if is_picture_name(path)]
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
        manifest, notes = manifest_among(members)
        if manifest is not None:
            source = _read_zip_manifest(archive, members, manifest, path, zone, stop)
        else:
            source = cuts.of_zip(archive, members, path, stop) or _zip_items(archive, members, stop)
        double = tuple(
            Rejected(_shortened(name), "the archive has several files of this name; the last one was taken")
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


def _zip_items(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], stop: Stop) -> ImportSource:
    items, rejected, ignored = [], [], 0
    for name, info in sorted(members.items()):
        hear(stop)
        if not is_picture_name(name):
            ignored += 1
        elif problem := zip_problem(info):
            rejected.append(Rejected(_shortened(name), problem))
        else:
            items.append(in_zip(archive, info, name))
    return ImportSource(tuple(items), ignored, tuple(rejected))


def _read_manifest(file: Path, zone: ZoneInfo, stop: Stop) -> ImportSource:
    """Pictures are looked for relative to the manifest's folder."""
    data = text_of(file, "manifest", _MAX_MANIFEST_BYTES)
    spellings = Spellings()

    def locate(path: str) -> ImportItem:
        found = spellings.find(file.parent, path)
        return on_disk(found, path.replace("\\", "/") if found != file.parent / path else path)

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
    try:
        data = unpacked(archive, info, _MAX_MANIFEST_BYTES)
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
        return in_zip(archive, info, plain)

    source = _read_rows(data, where, zone, locate, stop)
    unlisted = sum(name not in listed for name in members if is_picture_name(name))
    return replace(source, notes=unlisted_note(unlisted, manifest))


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
        days_first = column_days_first(data, header, lambda: hear(stop))
        for line, cells in rows:
            hear(stop)
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
                rejected.append(Rejected(_shortened(path) or f"line {line}", str(problem)))
    except UnicodeDecodeError:
        raise SourceError(f"the manifest {where} is not UTF-8 text: save it as CSV in UTF-8") from None
    except csv.Error as problem:
        raise SourceError(f"the manifest {where} is not CSV (line {line + 1}: {problem})") from None
    if not items and not rejected:
        raise SourceError(f"the manifest {where} has no rows")
    return ImportSource(tuple(items), 0, tuple(rejected))


def _row_item(
    row: dict[str, str], zone: ZoneInfo, days_first: bool | None, locate: Callable[[str], ImportItem]
) -> ImportItem:
    """row: column name -> cell. Raises ValueError with the reason, PictureError among them."""
    path = row.get("path", "")
    if not path:
        raise ValueError("the row has no path")
    if len(path) > MOST_NAME:
        raise ValueError(f"its name has more than {MOST_NAME:,} characters")
    time = read_time(row["time"], zone, days_first) if row.get("time") else None
    if not is_picture_name(path.replace("\\", "/")):
        raise ValueError("its name does not end like a picture's (.jpg, .png, .webp, .heic)")
    tags = tuple(tag.strip() for tag in re.split(r"[;|]", row.get("tags", "")) if tag.strip())
    return replace(
        locate(path),
        camera=row.get("camera") or None,
        time=time,
        person=row.get("person") or None,
        clothes=row.get("clothes") or None,
        tags=tags,
        given=frozenset(name for name in _SAID if row.get(name)),
    )


@dataclass(frozen=True)
class _Naming:
    """What is known of a picture besides what a manifest says."""

    root: str  # the name of the folder or zip
    zone: ZoneInfo
    times: Times
    pattern: NamePattern | None

    def complete(self, item: ImportItem) -> ImportItem:
        """Fill in what the file's name, and if asked for its EXIF, tell and the item has not."""
        path = plain_name(item.path)
        if self.pattern is not None:
            facts = self.pattern.facts_of(path, self.zone) or NameFacts()
        else:
            facts = facts_of(f"{self.root}/{path}", self.zone)
        time = item.time
        if time is None and self.times == "exif":
            time = _exif_time(item, self.zone)
        if time is None and self.times != "none":
            time = facts.time
        special = facts.special if facts.special not in item.tags else None
        return replace(
            item,
            camera=item.camera or facts.camera,
            person=item.person or facts.person,
            clothes=item.clothes or facts.clothes,
            time=time,
            frame=facts.frame if item.frame is None else item.frame,
            tags=(*item.tags, special) if special else item.tags,
        )


def _exif_time(item: ImportItem, zone: ZoneInfo) -> datetime | None:
    try:
        return read_time(taken_at((item.whole or item.read)()), zone)
    except (
        ValueError
    ):  # unreadable pictures, which are refused when their turn comes, and times that are none
        return None
