"""CSV manifests: which one counts, and its text as rows, set apart by commas, semicolons, tabs or bars."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePosixPath

from gallery_store.archives import is_of_macos, is_picture_name
from gallery_store.written_times import day_first

MANIFEST = "manifest.csv"
_DELIMITERS = ",;\t|"
_YEAR_LAST = re.compile(rb"[-/]\0?[0-9]\0?[0-9]?\0?[-/]\0?[12]")  # in bytes of UTF-8 and UTF-16


def rows_of(data: bytes) -> Iterator[tuple[int, list[str]]]:
    """(line number, cells), the line of column names first. Raises UnicodeDecodeError and csv.Error.

    What sets cells apart is told by a first line `sep=;`, as spreadsheets write it, or by the column names.
    """
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    # Decoded as it is read: in memory a text takes up to four times its bytes.
    text = io.TextIOWrapper(io.BytesIO(data), encoding, newline="")
    first = text.readline(1 << 16)
    told = first.strip().strip('"')
    skipped = 0
    if told.casefold().startswith("sep=") and len(told) <= 5:
        delimiter, skipped = (told[4:] or "\t"), 1
    else:
        delimiter = max(_DELIMITERS, key=lambda mark: (_has_path(first, mark), first.count(mark)))
        text = io.TextIOWrapper(io.BytesIO(data), encoding, newline="")
    reader = csv.reader(text, delimiter=delimiter)
    for cells in reader:
        yield reader.line_num + skipped, cells


def _has_path(line: str, delimiter: str) -> bool:
    try:
        cells = next(csv.reader([line], delimiter=delimiter), [])
    except csv.Error:
        return False
    return "path" in [cell.strip().casefold() for cell in cells]


def column_days_first(data: bytes, header: list[str], hear: Callable[[], None]) -> bool | None:
    """What 05/06/2026 means in the column `time`: all its rows say it together. hear: called for each row."""
    if "time" not in header or not _YEAR_LAST.search(data):
        return None
    column = header.index("time")

    def times() -> Iterable[str]:
        for _, cells in rows_of(data):
            hear()
            yield cells[column] if column < len(cells) else ""

    return day_first(times())


def manifest_among(names: Iterable[str]) -> tuple[str | None, tuple[str, ...]]:
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
    if folder and (others or not all(name.startswith(folder) for name in names if is_picture_name(name))):
        return None, tuple(
            f"{name} was not read: only a manifest above all the pictures counts" for name in found
        )
    return first, tuple(f"{name} was not read: {first} counts" for name in others)


def unlisted_note(count: int, manifest: str) -> tuple[str, ...]:
    """A sentence on pictures beside a manifest, for ImportSource.notes; none for none."""
    if not count:
        return ()
    return (f"pictures beside the manifest {manifest} that it does not list, left out: {count:,}",)
