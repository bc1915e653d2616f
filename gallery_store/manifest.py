"""CSV manifests: path,camera,time,person,clothes,tags; only `path` is required, other columns are ignored."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from zoneinfo import ZoneInfo

from gallery_store.clock import parse_time
from gallery_store.decoding import PictureError, read_bounded
from gallery_store.sources import (
    MANIFEST,
    Item,
    Rejected,
    Source,
    SourceError,
    is_picture_name,
    read_member,
    with_name_facts,
    zip_problem,
)

_MAX_BYTES = 512 << 20


def read_manifest(file: Path, zone: ZoneInfo) -> Source:
    """Pictures are looked for relative to the manifest's folder. Raises SourceError."""
    try:
        data = read_bounded(file, max_bytes=_MAX_BYTES)
    except PictureError as problem:
        raise SourceError(f"the manifest {file}: {problem.reason}") from None

    def locate(path: str) -> Item:
        origin = (file.parent / path).absolute()
        return Item(path=path, read=lambda: read_bounded(origin), origin=origin)

    return _parse(data, str(file), zone, locate)


def read_zip_manifest(
    archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], path: Path, zone: ZoneInfo
) -> Source:
    """The manifest at the top of a zip; it can name members only."""
    where = f"{path}/{MANIFEST}"
    try:
        data = read_member(archive, members[MANIFEST], _MAX_BYTES)
    except PictureError as problem:
        raise SourceError(f"the manifest {where}: {problem.reason}") from None

    def locate(name: str) -> Item:
        info = members.get(PurePosixPath(name.replace("\\", "/")).as_posix())
        if info is None:
            raise PictureError("the archive has no such file")
        if problem := zip_problem(info):
            raise PictureError(problem)
        return Item(path=name, read=lambda: read_member(archive, info))

    return _parse(data, where, zone, locate)


def _parse(data: bytes, where: str, zone: ZoneInfo, locate: Callable[[str], Item]) -> Source:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise SourceError(f"the manifest {where} is not UTF-8 text: save it as CSV in UTF-8") from None
    items: list[Item] = []
    rejected: list[Rejected] = []
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        if "path" not in header:
            named = ", ".join(name for name in header if name)[:200] or "none"
            raise SourceError(f"the manifest {where} has no column `path` (its columns: {named})")
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
            path = row.get("path", "")
            try:
                items.append(_item(row, zone, locate))
            except ValueError as problem:  # PictureError among them
                rejected.append(Rejected(path or f"line {reader.line_num}", str(problem)))
    except csv.Error as problem:
        raise SourceError(f"the manifest {where} is not CSV (line {reader.line_num}: {problem})") from None
    if not items and not rejected:
        raise SourceError(f"the manifest {where} has no rows")
    return Source(tuple(items), 0, tuple(rejected))


def _item(row: dict[str, str], zone: ZoneInfo, locate: Callable[[str], Item]) -> Item:
    path = row.get("path", "")
    if not path:
        raise ValueError("the row has no path")
    time = parse_time(row["time"], zone) if row.get("time") else None
    if not is_picture_name(path.replace("\\", "/")):
        raise ValueError("its name does not end like a picture's (.jpg, .png, .webp, .bmp, .tif)")
    found = locate(path)
    tags = tuple(tag.strip() for tag in re.split(r"[;|]", row.get("tags", "")) if tag.strip())
    return with_name_facts(
        Item(
            path=found.path,
            read=found.read,
            origin=found.origin,
            camera=row.get("camera") or None,
            time=time,
            person=row.get("person") or None,
            clothes=row.get("clothes") or None,
            tags=tags,
            camera_told=bool(row.get("camera")),
        )
    )
