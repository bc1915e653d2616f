"""Data sets that one annotation file describes: captions in JSON (CUHK-PEDES, ICFG-PEDES, RSTPReid), or any other
data set as a CSV file with a row per picture."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.model.vocabulary import ALL_KINDS
from training.datasets.faults import (
    BAD_FILE,
    BAD_LINE,
    EMPTY_SPLIT,
    MISSING_FILE,
    MISSING_FOLDER,
    ORPHAN_CAPTION,
    TWICE,
    DataSetError,
    Faults,
)
from training.datasets.folders import first_inside, inside
from training.datasets.readers import Reader, Splits, is_safe, plain_number
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
        by_split: dict[str, dict[str, Record]] = {split: {} for split in splits}
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
            match = pattern.fullmatch(path.rpartition("/")[2]) if camera else None
            record = Record(
                image,
                splits[split] + str(int(entry["id"])),
                plain_number(match["camera"]) if match else "",
                captions=captions,
            )
            _add_entry(by_split, split, path, record, faults)
        for split in splits:
            if not by_split[split]:
                faults.add(EMPTY_SPLIT, f"{split} ({file})")
        return {split: [records[path] for path in sorted(records)] for split, records in by_split.items()}

    return read


def _add_entry(
    by_split: dict[str, dict[str, Record]], split: str, path: str, record: Record, faults: Faults
) -> None:
    elsewhere = [other for other in by_split if other != split and path in by_split[other]]
    known = by_split[split].get(path)
    if elsewhere or (known is not None and known.person != record.person):
        faults.add(TWICE, f"{record.image}, for {record.person} of {split} and somebody else")
    elif known is not None:
        by_split[split][path] = replace(known, captions=known.captions + record.captions)
    else:
        by_split[split][path] = record


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


REQUIRED = ("path", "person")
SPLITS = ("train", "val", "query", "gallery", "test")
MODALITIES = {"": False, "visible": False, "rgb": False, "infrared": True, "thermal": True, "ir": True}
COLUMNS = (*REQUIRED, "split", "camera", "clothes", "modality", "caption", "captions", *ALL_KINDS)


@dataclass(frozen=True)
class CsvRow:
    """One row: its picture, split and record."""

    image: Path
    split: str
    record: Record


def read_csv(file: Path, faults: Faults) -> dict[str, list[Record]]:
    """Records by split, each sorted by path. Columns: COLUMNS, in any order; only path and person are required.

    path is relative to the file's folder. split: one of SPLITS, "train" where it is empty. caption: one text;
    captions: several with "|" between. A column per kind of app.model.vocabulary holds one of its values, or
    nothing. Further rows of a path add captions. Raises DataSetError for a file that is no such CSV at all;
    what is wrong with single rows goes to `faults`.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataSetError(f"{file} is not UTF-8 text: save it as CSV in UTF-8") from None
    except OSError as problem:
        raise DataSetError(f"{file} cannot be read: {problem.strerror or problem}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    seen: dict[Path, CsvRow] = {}
    try:
        header = [name.strip().casefold() for name in next(reader, [])]
        _check_header(file, header)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"{file}:{reader.line_num}"
            if len(cells) != len(header):
                faults.add(BAD_LINE, f"{where}: {len(cells)} cells, but {len(header)} columns")
                continue
            row = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
            made = _row(file, row)
            if isinstance(made, str):
                faults.add(BAD_LINE, f"{where}: {made}")
            else:
                _add_row(seen, made, where, faults)
    except csv.Error as problem:
        raise DataSetError(f"{file}:{reader.line_num}: it is not CSV ({problem})") from None
    if not seen and not faults:
        raise DataSetError(f"{file} has no rows")
    by_split: dict[str, list[Record]] = {"train": []}
    for image in sorted(seen):
        by_split.setdefault(seen[image].split, []).append(seen[image].record)
    return {split: by_split[split] for split in SPLITS if split in by_split}


def setting_of(records: list[Record]) -> str:
    """What a set's records are for: two modalities, else persons in several outfits, else captions, else standard."""
    if len({record.infrared for record in records}) == 2:
        return "visible-infrared"
    outfits: dict[str, set[str]] = {}
    for record in records:
        outfits.setdefault(record.person, set()).add(record.clothes)
    if any(len(worn) > 1 for worn in outfits.values()):
        return "clothes-changing"
    return "text-to-image" if any(record.captions for record in records) else "standard"


def _check_header(file: Path, header: list[str]) -> None:
    if missing := [name for name in REQUIRED if name not in header]:
        named = ", ".join(header)[:200] or "none"
        raise DataSetError(f"{file} has no column {' and no column '.join(missing)}; its columns are {named}")
    if unknown := [name for name in header if name not in COLUMNS]:
        raise DataSetError(f"{file} has unknown columns {', '.join(unknown)}; there are {', '.join(COLUMNS)}")
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise DataSetError(f"{file} has the column {', '.join(twice)} more than once")


def _row(file: Path, row: Mapping[str, str]) -> CsvRow | str:
    """The row as a record, or what is wrong with it."""
    if empty := [name for name in REQUIRED if not row[name]]:
        return f"no {' and no '.join(empty)}"
    split = row.get("split", "").casefold() or "train"
    if split not in SPLITS:
        return f"split {split!r} is not one of {', '.join(SPLITS)}"
    modality = row.get("modality", "").casefold()
    if modality not in MODALITIES:
        return f"modality {modality!r} is not visible or infrared"
    attributes = {kind: row[kind].casefold() for kind in ALL_KINDS if row.get(kind)}
    for kind, value in attributes.items():
        if value not in ALL_KINDS[kind]:
            return f"{kind} {value!r} is not one of {', '.join(ALL_KINDS[kind])}"
    texts = [row.get("caption", ""), *row.get("captions", "").split("|")]
    if "\0" in row["path"]:
        return "a path with a NUL byte"
    image = file.parent / row["path"].replace("\\", "/")
    return CsvRow(
        image,
        split,
        Record(
            image,
            row["person"],
            row.get("camera", ""),
            MODALITIES[modality],
            row.get("clothes", ""),
            tuple(" ".join(text.split()) for text in texts if text.strip()),
            attributes,
        ),
    )


def _add_row(seen: dict[Path, CsvRow], row: CsvRow, where: str, faults: Faults) -> None:
    known = seen.get(row.image)
    if known is None:
        seen[row.image] = row
    elif row.split == known.split and replace(row.record, captions=()) == replace(known.record, captions=()):
        captions = known.record.captions + row.record.captions
        seen[row.image] = replace(row, record=replace(known.record, captions=captions))
    else:
        faults.add(TWICE, f"{where}: {row.image} says something else than an earlier row of it")
