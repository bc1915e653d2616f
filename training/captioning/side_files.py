"""What was found out about pictures before training, in files beside them: captions, and what to leave out.

Both are JSON lines, one picture a line, appended as they are made: {"path", "caption", "attributes"} and
{"path", "dropped", "why"}. A path is below the data sets' root as far as it can be, with "/" between its parts, so
that the files move with the data. Of two lines about one picture the later one counts; a line that was cut off
by a kill is passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from app.model.vocabulary import ALL_KINDS
from training.datasets.faults import DataSetError
from training.datasets.record import DataSet, Record


@dataclass(frozen=True)
class Captioned:
    """One picture, described by a captioner. attributes: those of the vocabulary that it recognised, by kind."""

    path: str
    caption: str
    attributes: Mapping[str, str] = field(default_factory=dict)


def path_key(image: Path, root: Path | None) -> str:
    """How a picture is named in these files."""
    image = image.absolute()
    if root is not None and image.is_relative_to(root.absolute()):
        image = image.relative_to(root.absolute())
    return image.as_posix()


def json_lines(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON-lines file; a last line that was cut off is passed over.

    Raises DataSetError for a file that cannot be read, and for a line in its midst that is no JSON object.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        raise DataSetError(f"{file} cannot be read ({problem})") from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if is_row(line):
            yield json.loads(line)
        elif number < len(lines):  # not what follows the last newline
            raise DataSetError(f'{file}, line {number}: not a JSON object with a "path"')


def is_row(line: str | bytes) -> bool:
    """Whether a line is a JSON object with a "path"."""
    try:
        row = json.loads(line)
    except ValueError:  # among them bytes that are no UTF-8
        return False
    return isinstance(row, dict) and isinstance(row.get("path"), str)


def open_for_lines(file: Path) -> IO[bytes]:
    """Opens a file of lines to append to; a line that a kill cut off is taken away first.

    A last line that is whole but for its newline counts (as for json_lines) and gets it.
    """
    out = file.open("ab+")
    end = start = out.seek(0, os.SEEK_END)
    tail = b""
    while start > 0 and b"\n" not in tail:  # back to the last newline, by blocks
        start = max(0, end - len(tail) - 4096)
        out.seek(start)
        tail = out.read(end - start - len(tail)) + tail
    tail = tail.rpartition(b"\n")[2]
    if tail and is_row(tail):
        out.write(b"\n")
    else:
        out.truncate(end - len(tail))
    out.seek(0, os.SEEK_END)
    return out


def append_lines(out: IO[bytes], rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows whole and brings them to the disk."""
    if rows:
        out.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
        out.flush()
        os.fsync(out.fileno())


def read_captions(file: Path) -> dict[str, Captioned]:
    """By path. Attributes that the vocabulary does not have are left out. Raises DataSetError."""
    captioned = {}
    for row in json_lines(file):
        given = row.get("attributes")
        known = {
            kind: value
            for kind, value in (given.items() if isinstance(given, dict) else ())
            if value in ALL_KINDS.get(kind, ())
        }
        captioned[row["path"]] = Captioned(row["path"], str(row.get("caption", "")), known)
    return captioned


def read_dropped(file: Path) -> frozenset[str]:
    """The paths of the pictures to leave out. Raises DataSetError."""
    last = {row["path"]: bool(row.get("dropped", True)) for row in json_lines(file)}
    return frozenset(path for path, dropped in last.items() if dropped)


def prepared(
    datasets: Iterable[DataSet],
    root: Path | None,
    captions: Sequence[Path] = (),
    dropped: Sequence[Path] = (),
) -> tuple[DataSet, ...]:
    """The data sets with captions filled in and pictures left out, in their training splits alone.

    A captioner's words go only to pictures without captions by people; its attributes only to pictures without
    annotated ones. A record with annotated attributes keeps to what can be composed of those. Raises
    DataSetError.
    """
    captioned: dict[str, Captioned] = {}
    for file in captions:
        captioned |= read_captions(file)
    out = frozenset[str]().union(*(read_dropped(file) for file in dropped))
    result = []
    for dataset in datasets:
        train = tuple(
            _filled(record, captioned, root)
            for record in dataset.train
            if not (isinstance(record.image, Path) and path_key(record.image, root) in out)
        )
        result.append(replace(dataset, splits={**dataset.splits, "train": train}))
    return tuple(result)


def _filled(record: Record, captioned: Mapping[str, Captioned], root: Path | None) -> Record:
    if not captioned or not isinstance(record.image, Path):
        return record
    described = captioned.get(path_key(record.image, root))
    if described is None:
        return record
    use_words = described.caption and not record.captions and not record.attributes
    return replace(
        record,
        captions=(described.caption,) if use_words else record.captions,
        attributes=record.attributes or described.attributes,
    )
