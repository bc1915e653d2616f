"""A CSV manifest's text as rows: commas, semicolons, tabs or bars between cells, UTF-8 or UTF-16."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator

_DELIMITERS = ",;\t|"


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
