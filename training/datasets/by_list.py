"""Data sets with a list of "path label" lines per split: MSMT17 and RegDB."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.datasets.by_path import Reader, Splits, plain_number
from training.datasets.faults import (
    BAD_FILE,
    BAD_LINE,
    BAD_NAME,
    EMPTY_SPLIT,
    MISSING_FILE,
    MISSING_FOLDER,
    Faults,
)
from training.datasets.files import first_inside, inside
from training.datasets.record import Record


@dataclass(frozen=True)
class Listed:
    """One list. file: its place, "{variant}" filled in. folders: where its paths start, the first that exists.

    people: put before the labels, because lists count from 0 again in the test half. camera: of all its
    pictures, or "" and then a group of `pattern`, which file names fit.
    """

    file: str
    folders: Sequence[str] = ()
    people: str = ""
    camera: str = ""
    pattern: str = ""
    infrared: bool = False


def by_list(splits: Mapping[str, Sequence[Listed]]) -> Reader:
    """split -> its lists, one after the other."""

    def read(folder: Path, variant: str, faults: Faults) -> Splits:
        found: Splits = {}
        for split, lists in splits.items():
            found[split] = [r for listed in lists for r in _read_list(folder, listed, variant, faults)]
            if not found[split]:
                faults.add(EMPTY_SPLIT, f"{split} ({folder})")
        return found

    return read


def _read_list(folder: Path, listed: Listed, variant: str, faults: Faults) -> list[Record]:
    place = listed.file.format(variant=variant)
    file = inside(folder, place)
    start = first_inside(folder, listed.folders) if listed.folders else folder
    if start is None:
        faults.add(MISSING_FOLDER, " or ".join(str(folder / name) for name in listed.folders))
    if file is None:
        faults.add(MISSING_FILE, folder / place)
    if file is None or start is None:
        return []
    try:
        lines = file.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as problem:
        faults.add(BAD_FILE, f"{file}: {problem}")
        return []
    pattern = re.compile(listed.pattern, re.ASCII)
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        path, _, label = line.strip().rpartition(" ")
        path = path.strip()
        if not path or not label.isdecimal() or not is_safe(path):
            faults.add(BAD_LINE, f'{file}:{number}: {line.strip()[:80]!r}, not "path label"')
            continue
        camera = listed.camera
        if listed.pattern:
            told = pattern.fullmatch(path.rpartition("/")[2])
            if told is None:
                faults.add(BAD_NAME, start / path)
                continue
            camera = plain_number(told["camera"])
        records.append(Record(start / path, listed.people + plain_number(label), camera, listed.infrared))
    return records


def is_safe(path: str) -> bool:
    """A relative path that stays below its folder."""
    return not path.startswith("/") and "\0" not in path and ".." not in path.split("/")
