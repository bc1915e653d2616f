"""Data sets whose folders and file names say everything: Market-1501, CUHK03, LTCC, PRCC, SYSU-MM01."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training.datasets.faults import (
    BAD_FILE,
    BAD_NAME,
    EMPTY_SPLIT,
    MISSING_FILE,
    MISSING_FOLDER,
    NO_PICTURES,
    Faults,
)
from training.datasets.files import first_inside, inside, pictures_below
from training.datasets.record import Record

Splits = dict[str, list[Record]]
Reader = Callable[[Path, str, Faults], Splits]  # (the set's folder, variant, faults) -> records by split

MARKET = r"(?P<person>-1|\d+)_c(?P<camera>\d+)[^/]*"  # 0002_c1s1_000451_03.jpg


@dataclass(frozen=True)
class Meaning:
    """What a relative path says: a pattern with the groups person, camera, clothes (the last two if told).

    camera: for folders of one camera. clothes_of: the outfit by camera, where that is all there is to know.
    infrared: the cameras that see in infrared.
    """

    pattern: str = MARKET
    camera: str = ""
    clothes_of: Mapping[str, str] = field(default_factory=dict)
    infrared: frozenset[str] = frozenset()

    def record(self, folder: Path, place: str, compiled: re.Pattern[str]) -> Record | None:
        """None if the path does not fit the pattern."""
        told = compiled.fullmatch(place)
        if told is None:
            return None
        groups = told.groupdict()
        camera = plain_number(groups.get("camera") or self.camera)
        return Record(
            image=folder / place,
            person=groups["person"],
            camera=camera,
            infrared=camera in self.infrared,
            clothes=groups.get("clothes") or self.clothes_of.get(camera, ""),
        )


def by_path(splits: Mapping[str, tuple[str, Meaning]]) -> Reader:
    """split -> (folder, what its paths mean)."""

    def read(folder: Path, variant: str, faults: Faults) -> Splits:
        found: Splits = {}
        for split, (place, meaning) in splits.items():
            there = inside(folder, place)
            if there is None or not there.is_dir():
                faults.add(MISSING_FOLDER, folder / place)
                continue
            found[split] = read_folder(there, meaning, faults)
            if not found[split]:
                faults.add(EMPTY_SPLIT, f"{split} ({there})")
        return found

    return read


def read_folder(folder: Path, meaning: Meaning, faults: Faults) -> list[Record]:
    """The pictures below a folder, sorted by path; a name that does not fit is a fault."""
    compiled = re.compile(meaning.pattern, re.ASCII)
    records = []
    for place in pictures_below(folder):
        record = meaning.record(folder, place, compiled)
        if record is None:
            faults.add(BAD_NAME, folder / place)
        else:
            records.append(record)
    return records


def by_identity_lists(lists: Mapping[str, str], cameras: Mapping[str, Meaning]) -> Reader:
    """SYSU-MM01. lists: split -> a file with one comma-separated line of identities. cameras: by folder."""

    def read(folder: Path, variant: str, faults: Faults) -> Splits:
        split_of: dict[str, str] = {}
        found: Splits = {}
        for split, place in lists.items():
            people = _identities(inside(folder, place), folder / place, faults)
            found[split] = []
            for person in people:
                if split_of.setdefault(person, split) != split:
                    faults.add(BAD_FILE, f"{folder / place}: {person} is also in {split_of[person]}")
        seen = set()
        for place, meaning in cameras.items():
            there = inside(folder, place)
            if there is None or not there.is_dir():
                faults.add(MISSING_FOLDER, folder / place)
                continue
            # Pictures of people whom no list names (SYSU-MM01 has some) are left out, as its protocol does.
            for record in read_folder(there, meaning, faults):
                if record.person in split_of:
                    seen.add(record.person)
                    found[split_of[record.person]].append(record)
        for person in sorted(set(split_of) - seen):
            faults.add(NO_PICTURES, f"{person} of {split_of[person]}")
        return found

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
