"""Readers of benchmarks that tell everything by folders, file names and lists of them.

by_path: Market-1501, CUHK03, LTCC, PRCC; by_identity_lists: SYSU-MM01; by_list: MSMT17 and RegDB; by_split_file:
CUHK03 in one folder with the new protocol's split beside it. A reader never raises for what is wrong with single
pictures or lines: it adds to Faults and goes on.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.datasets import mat_split
from training.datasets.faults import (
    BAD_FILE,
    BAD_LINE,
    BAD_NAME,
    EMPTY_SPLIT,
    MISSING_FILE,
    MISSING_FOLDER,
    NO_PICTURES,
    Faults,
)
from training.datasets.folders import first_inside, inside, pictures_below
from training.datasets.record import Record

Splits = dict[str, list[Record]]
Reader = Callable[[Path, str, Faults], Splits]  # (the set's folder, variant, faults) -> records by split

MARKET = r"(?P<person>-1|\d+)_c(?P<camera>\d+)[^/]*"  # 0002_c1s1_000451_03.jpg


@dataclass(frozen=True)
class PathPattern:
    """How a relative path is read: a pattern with the groups person, camera, clothes (the last two if told).

    camera: for folders of one camera. clothes_of: the outfit by camera, where that is all there is to know.
    infrared: the cameras that see in infrared.
    """

    pattern: str = MARKET
    camera: str = ""
    clothes_of: Mapping[str, str] = field(default_factory=dict)
    infrared: frozenset[str] = frozenset()

    def record(self, folder: Path, place: str, compiled: re.Pattern[str]) -> Record | None:
        """None if the path does not fit the pattern."""
        match = compiled.fullmatch(place)
        if match is None:
            return None
        groups = match.groupdict()
        camera = plain_number(groups.get("camera") or self.camera)
        return Record(
            image=folder / place,
            person=groups["person"],
            camera=camera,
            infrared=camera in self.infrared,
            clothes=groups.get("clothes") or self.clothes_of.get(camera, ""),
        )


def by_path(splits: Mapping[str, tuple[str, PathPattern]]) -> Reader:
    """splits: split -> (folder, how its paths are read)."""

    def read(folder: Path, variant: str, faults: Faults) -> Splits:
        by_split: Splits = {}
        for split, (place, pattern) in splits.items():
            there = inside(folder, place)
            if there is None or not there.is_dir():
                faults.add(MISSING_FOLDER, folder / place)
                continue
            by_split[split] = read_folder(there, pattern, faults)
            if not by_split[split]:
                faults.add(EMPTY_SPLIT, f"{split} ({there})")
        return by_split

    return read


def read_folder(folder: Path, pattern: PathPattern, faults: Faults) -> list[Record]:
    """The pictures below a folder, sorted by path; a name that does not fit is a fault."""
    compiled = re.compile(pattern.pattern, re.ASCII)
    records = []
    for place in pictures_below(folder):
        record = pattern.record(folder, place, compiled)
        if record is None:
            faults.add(BAD_NAME, folder / place)
        else:
            records.append(record)
    return records


def by_identity_lists(lists: Mapping[str, str], cameras: Mapping[str, PathPattern]) -> Reader:
    """SYSU-MM01. lists: split -> a file with one comma-separated line of identities. cameras: by folder."""

    def read(folder: Path, variant: str, faults: Faults) -> Splits:
        split_of: dict[str, str] = {}
        by_split: Splits = {}
        for split, place in lists.items():
            people = _identities(inside(folder, place), folder / place, faults)
            by_split[split] = []
            for person in people:
                if split_of.setdefault(person, split) != split:
                    faults.add(BAD_FILE, f"{folder / place}: {person} is also in {split_of[person]}")
        seen = set()
        for place, pattern in cameras.items():
            there = inside(folder, place)
            if there is None or not there.is_dir():
                faults.add(MISSING_FOLDER, folder / place)
                continue
            # Pictures of people whom no list names (SYSU-MM01 has some) are left out, as its protocol does.
            for record in read_folder(there, pattern, faults):
                if record.person in split_of:
                    seen.add(record.person)
                    by_split[split_of[record.person]].append(record)
        for person in sorted(set(split_of) - seen):
            faults.add(NO_PICTURES, f"{person} of {split_of[person]}")
        return by_split

    return read


def either(*readers: tuple[Sequence[str], Reader]) -> Reader:
    """The first reader one of whose marks is there; the first of all if none is."""

    def read(folder: Path, variant: str, faults: Faults) -> Splits:
        for marks, reader in readers:
            if first_inside(folder, marks) is not None:
                return reader(folder, variant, faults)
        return readers[0][1](folder, variant, faults)

    return read


def by_variant(readers: Mapping[str, Reader]) -> Reader:
    """Another reader for each variant."""
    return lambda folder, variant, faults: readers[variant](folder, variant, faults)


def plain_number(text: str) -> str:
    """ "01" and "1" are one camera."""
    return text.lstrip("0") or "0" if text.isdecimal() else text


def _identities(file: Path | None, named: Path, faults: Faults) -> list[str]:
    if file is None:
        faults.add(MISSING_FILE, named)
        return []
    try:
        numbers = [
            int(part) for part in file.read_text("utf-8-sig").replace("\n", ",").split(",") if part.strip()
        ]
    except (OSError, ValueError) as problem:
        faults.add(BAD_FILE, f"{file}: it should be one line of numbers with commas ({problem})")
        return []
    return [f"{number:04d}" for number in numbers]


@dataclass(frozen=True)
class PictureList:
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


def by_list(splits: Mapping[str, Sequence[PictureList]]) -> Reader:
    """splits: split -> its lists, one after the other."""

    def read(folder: Path, variant: str, faults: Faults) -> Splits:
        by_split: Splits = {}
        for split, lists in splits.items():
            by_split[split] = [r for listed in lists for r in _read_list(folder, listed, variant, faults)]
            if not by_split[split]:
                faults.add(EMPTY_SPLIT, f"{split} ({folder})")
        return by_split

    return read


def _read_list(folder: Path, listed: PictureList, variant: str, faults: Faults) -> list[Record]:
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
            match = pattern.fullmatch(path.rpartition("/")[2])
            if match is None:
                faults.add(BAD_NAME, start / path)
                continue
            camera = plain_number(match["camera"])
        records.append(Record(start / path, listed.people + plain_number(label), camera, listed.infrared))
    return records


def is_safe(path: str) -> bool:
    """A relative path that stays below its folder."""
    return not path.startswith("/") and "\0" not in path and ".." not in path.split("/")


_NO_MAT5 = "it is no MATLAB 5 file (a version 7.3 file is HDF5 and cannot be read)"
CUHK03_NAME = re.compile(r"(?P<person>\d_\d+)_(?P<camera>[12])_\d+\.\w+", re.ASCII)


def by_split_file(pictures: Sequence[str], files: Sequence[str]) -> Reader:
    """CUHK03 as extracted from cuhk-03.mat into one folder, with the split of the new protocol in a file beside it.

    Pictures are 1_001_2_06.png: pair of cameras, person within it, camera of the pair, number. pictures: names of
    their folder. files: names of the split file: cuhk03_new_protocol_config_*.mat as its authors published it, or
    splits_new_*.json as torchreid leaves it.
    """

    def read(folder: Path, variant: str, faults: Faults) -> Splits:
        images, file = first_inside(folder, pictures), first_inside(folder, files)
        if images is None:
            faults.add(MISSING_FOLDER, " or ".join(str(folder / name) for name in pictures))
        if file is None:
            faults.add(MISSING_FILE, " or ".join(str(folder / name) for name in files))
        if images is None or file is None:
            return {}
        try:
            names = _from_mat(file) if file.suffix == ".mat" else _from_json(file)
        except (OSError, ValueError, KeyError, IndexError, TypeError) as problem:
            reason = (
                problem
                if isinstance(problem, OSError | MatFileError)
                else "it is no split of the new protocol"
            )
            faults.add(BAD_FILE, f"{file}: {reason}")
            return {}
        by_split: Splits = {}
        for split, listed in names.items():
            by_split[split] = []
            for name in sorted(listed):
                match = CUHK03_NAME.fullmatch(name)
                if match is None:
                    faults.add(BAD_NAME, images / name)
                else:
                    by_split[split].append(Record(images / name, match["person"], match["camera"]))
        return by_split

    return read


def _from_json(file: Path) -> dict[str, list[str]]:
    """Its paths are those of the machine that wrote it: only the names count."""
    split: dict[str, Any] = json.loads(file.read_text("utf-8"))[0]
    return {part: [re.split(r"[/\\]", path)[-1] for path, _, _ in split[part]] for part in mat_split.SPLITS}


class MatFileError(ValueError):
    """A split file that MATLAB 5's format cannot be made out of."""


def _from_mat(file: Path) -> dict[str, list[str]]:
    """By training.datasets.mat_split, whose process a damaged file may crash."""
    with file.open("rb") as opened:
        byte_order = opened.read(128)[126:]
    if byte_order not in (b"IM", b"MI"):
        raise MatFileError(_NO_MAT5)
    command = [sys.executable, "-P", mat_split.__file__, str(file)]
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, env=one_thread, timeout=2 * mat_split.MOST_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise MatFileError("it is damaged or cut off") from None
    if done.returncode == mat_split.NO_SPLIT:
        raise ValueError
    if done.returncode:
        reasons = {mat_split.NO_MAT5: _NO_MAT5, mat_split.TOO_LARGE: "it is too large for a split"}
        raise MatFileError(reasons.get(done.returncode, "it is damaged or cut off"))
    split = json.loads(done.stdout)
    names = split["filelist"]
    return {part: [names[number - 1] for number in split[f"{part}_idx"]] for part in mat_split.SPLITS}
