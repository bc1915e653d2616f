"""Data sets of pictures with captions in one JSON file: CUHK-PEDES, ICFG-PEDES, RSTPReid."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.datasets.by_list import is_safe
from training.datasets.by_path import Reader, Splits, plain_number
from training.datasets.faults import (
    BAD_FILE,
    BAD_LINE,
    EMPTY_SPLIT,
    MISSING_FILE,
    MISSING_FOLDER,
    ORPHAN_CAPTION,
    TWICE,
    Faults,
)
from training.datasets.files import first_inside, inside
from training.datasets.record import Record

PATH_KEYS = ("file_path", "img_path")
_IDENTITY = re.compile(r"\d{1,12}", re.ASCII)
_SURROGATE = re.compile("[\ud800-\udfff]")


def by_captions(
    files: Sequence[str], splits: Mapping[str, str], *, camera: str = "", pictures: str = "imgs"
) -> Reader:
    """files: names that the annotation goes by. splits: our split -> what stands before its identities' numbers.

    camera: a pattern of file names with the group camera, where they tell it. Each entry has split,
    captions, id and file_path or img_path; entries of one picture are put together.
    """

    def read(folder: Path, variant: str, faults: Faults) -> Splits:
        file = first_inside(folder, [*files, *(f"annotations/{name}" for name in files)])
        images = inside(folder, pictures)
        if file is None:
            faults.add(MISSING_FILE, " or ".join(str(folder / name) for name in files))
        if images is None:
            faults.add(MISSING_FOLDER, folder / pictures)
        if file is None or images is None:
            return {}
        found: dict[str, dict[str, Record]] = {split: {} for split in splits}
        pattern = re.compile(camera, re.ASCII)
        for number, entry in enumerate(_entries(file, faults)):
            if (problem := _problem(entry, splits)) is not None:
                faults.add(BAD_LINE, f"{file}: entry {number}: {problem}")
                continue
            path = next(entry[key] for key in PATH_KEYS if key in entry)
            captions = tuple(" ".join(text.split()) for text in entry["captions"] if text.strip())
            image = images / path
            if not os.path.isfile(image):
                for text in captions or ("(no caption)",):
                    faults.add(ORPHAN_CAPTION, f"{image}: {text[:60]!r}")
                continue
            split = entry["split"]
            told = pattern.fullmatch(path.rpartition("/")[2]) if camera else None
            record = Record(
                image,
                splits[split] + str(int(entry["id"])),
                plain_number(told["camera"]) if told else "",
                captions=captions,
            )
            _put(found, split, path, record, faults)
        for split in splits:
            if not found[split]:
                faults.add(EMPTY_SPLIT, f"{split} ({file})")
        return {split: [records[path] for path in sorted(records)] for split, records in found.items()}

    return read


def _put(found: dict[str, dict[str, Record]], split: str, path: str, record: Record, faults: Faults) -> None:
    elsewhere = [other for other in found if other != split and path in found[other]]
    known = found[split].get(path)
    if elsewhere or (known is not None and known.person != record.person):
        faults.add(TWICE, f"{record.image}, for {record.person} of {split} and somebody else")
    elif known is not None:
        found[split][path] = replace(known, captions=known.captions + record.captions)
    else:
        found[split][path] = record


def _entries(file: Path, faults: Faults) -> list[Any]:
    try:
        entries = json.loads(file.read_text("utf-8-sig"))
    except (
        OSError,
        ValueError,
        RecursionError,
    ) as problem:  # UnicodeDecodeError and JSONDecodeError among them
        faults.add(BAD_FILE, f"{file}: {problem}")
        return []
    if not isinstance(entries, list):
        faults.add(BAD_FILE, f"{file}: it should hold a list of entries")
        return []
    return entries


def _problem(entry: Any, splits: Mapping[str, str]) -> str | None:
    if not isinstance(entry, dict):
        return "it is no object"
    path = next((entry[key] for key in PATH_KEYS if key in entry), None)
    if not isinstance(path, str) or not path or not is_safe(path):
        return f"it has no usable {' or '.join(PATH_KEYS)}"
    if not isinstance(entry.get("split"), str) or entry["split"] not in splits:
        return f"its split is {entry.get('split')!r}, not one of {', '.join(splits)}"
    if not _IDENTITY.fullmatch(str(entry.get("id"))):
        return f"its id is {entry.get('id')!r}, not a number"
    captions = entry.get("captions")
    if not isinstance(captions, list) or not all(isinstance(text, str) for text in captions):
        return "its captions are no list of texts"
    if any(_SURROGATE.search(text) for text in (path, *captions)):
        return "it holds half a character"
    return None
