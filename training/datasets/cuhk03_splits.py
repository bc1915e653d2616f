"""CUHK03 as extracted from cuhk-03.mat into one folder, with the new protocol's split in a file beside it.

Pictures are 1_001_2_06.png: pair of cameras, person within it, camera of the pair, number. The split is
cuhk03_new_protocol_config_*.mat as its authors published it, or splits_new_*.json as torchreid leaves it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.datasets.by_path import Reader, Splits
from training.datasets.faults import BAD_FILE, BAD_NAME, MISSING_FILE, MISSING_FOLDER, Faults
from training.datasets.files import first_inside
from training.datasets.mat5 import Mat5Error, read_mat5
from training.datasets.record import Record

NAME = re.compile(r"(?P<person>\d_\d+)_(?P<camera>[12])_\d+\.\w+", re.ASCII)


def by_split_file(pictures: Sequence[str], files: Sequence[str]) -> Reader:
    """pictures: names of the folder. files: names of the split file, .json or .mat."""

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
                problem if isinstance(problem, OSError | Mat5Error) else "it is no split of the new protocol"
            )
            faults.add(BAD_FILE, f"{file}: {reason}")
            return {}
        found: Splits = {}
        for split, listed in names.items():
            found[split] = []
            for name in sorted(listed):
                told = NAME.fullmatch(name)
                if told is None:
                    faults.add(BAD_NAME, images / name)
                else:
                    found[split].append(Record(images / name, told["person"], told["camera"]))
        return found

    return read


def _from_json(file: Path) -> dict[str, list[str]]:
    """Its paths are those of the machine that wrote it: only the names count."""
    split: dict[str, Any] = json.loads(file.read_text("utf-8"))[0]
    return {
        part: [re.split(r"[/\\]", path)[-1] for path, _, _ in split[part]]
        for part in ("train", "query", "gallery")
    }


def _from_mat(file: Path) -> dict[str, list[str]]:
    told = read_mat5(file)
    names = told["filelist"]
    return {
        part: [names[int(number) - 1] for number in told[f"{part}_idx"]]
        for part in ("train", "query", "gallery")
    }
