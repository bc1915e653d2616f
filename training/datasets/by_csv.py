"""Any other data set: a CSV file with a row per picture."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from app.model.vocabulary import KINDS
from training.datasets.errors import DataSetError
from training.datasets.faults import BAD_LINE, TWICE, Faults
from training.datasets.record import Record

REQUIRED = ("path", "person")
SPLITS = ("train", "val", "query", "gallery", "test")
MODALITIES = {"": False, "visible": False, "rgb": False, "infrared": True, "thermal": True, "ir": True}
COLUMNS = (*REQUIRED, "split", "camera", "clothes", "modality", "caption", "captions", *KINDS)


@dataclass(frozen=True)
class Row:
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
    seen: dict[Path, Row] = {}
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
                _put(seen, made, where, faults)
    except csv.Error as problem:
        raise DataSetError(f"{file}:{reader.line_num}: it is not CSV ({problem})") from None
    if not seen and not faults:
        raise DataSetError(f"{file} has no rows")
    found: dict[str, list[Record]] = {"train": []}
    for image in sorted(seen):
        found.setdefault(seen[image].split, []).append(seen[image].record)
    return {split: found[split] for split in SPLITS if split in found}


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


def _row(file: Path, row: Mapping[str, str]) -> Row | str:
    """The row as a record, or what is wrong with it."""
    if empty := [name for name in REQUIRED if not row[name]]:
        return f"no {' and no '.join(empty)}"
    split = row.get("split", "").casefold() or "train"
    if split not in SPLITS:
        return f"split {split!r} is not one of {', '.join(SPLITS)}"
    modality = row.get("modality", "").casefold()
    if modality not in MODALITIES:
        return f"modality {modality!r} is not visible or infrared"
    attributes = {kind: row[kind].casefold() for kind in KINDS if row.get(kind)}
    for kind, value in attributes.items():
        if value not in KINDS[kind]:
            return f"{kind} {value!r} is not one of {', '.join(KINDS[kind])}"
    texts = [row.get("caption", ""), *row.get("captions", "").split("|")]
    if "\0" in row["path"]:
        return "a path with a NUL byte"
    image = file.parent / row["path"].replace("\\", "/")
    return Row(
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


def _put(seen: dict[Path, Row], row: Row, where: str, faults: Faults) -> None:
    known = seen.get(row.image)
    if known is None:
        seen[row.image] = row
    elif row.split == known.split and replace(row.record, captions=()) == replace(known.record, captions=()):
        captions = known.record.captions + row.record.captions
        seen[row.image] = replace(row, record=replace(known.record, captions=captions))
    else:
        faults.add(TWICE, f"{where}: {row.image} says something else than an earlier row of it")
