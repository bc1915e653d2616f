"""Names of data sets -> data sets: read, checked whole, and only then handed out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gallery_store.console import Progress
from training.datasets.annotation_files import read_csv, setting_of
from training.datasets.drawn import drawn, parse_world
from training.datasets.faults import NOBODY, SHARED, TWICE, DataSetError, Faults, check_files, check_pictures
from training.datasets.folders import find_folder
from training.datasets.record import DISTRACTOR, JUNK, DataSet, Record
from training.datasets.specs import SPECS, TRAINVAL, Spec

SYNTHETIC, CSV = "synthetic", "csv"


@dataclass(frozen=True)
class Name:
    """A data set as the command line names it: market1501, regdb:3, cuhk03:detected, csv:FILE, synthetic:seed=3."""

    name: str
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.name}:{self.variant}" if self.variant else self.name


def parse_name(text: str) -> Name:
    """Raises DataSetError for a set or a variant that does not exist."""
    name, _, variant = text.strip().partition(":")
    if name == CSV:
        if not variant:
            raise DataSetError("csv needs its file: csv:FILE")
        return Name(CSV, variant)
    if name == SYNTHETIC:
        parse_world(variant)
        return Name(SYNTHETIC, variant)
    spec = SPECS.get(name.casefold())
    if spec is None:
        raise DataSetError(
            f"there is no data set {text!r}; there are {', '.join(SPECS)}, csv:FILE and synthetic"
        )
    return Name(spec.name, _variant(spec, variant))


def parse_names(text: str) -> tuple[str, ...]:
    """ "market1501,synthetic:seed=3,families=20" -> its two names. Raises DataSetError as parse_name does."""
    parts = re.split(r",(?!\s*\w+=)", text)  # a comma before a setting of the drawn world parts no names
    names = tuple(part.strip() for part in parts if part.strip())
    for name in names:
        parse_name(name)
    return names


def load(
    name: str,
    root: Path | None = None,
    *,
    variant: str = "",
    check: bool = False,
    progress: Progress | None = None,
) -> DataSet:
    """One data set. root: the folder below which the benchmarks lie (synthetic needs none).

    variant: as after the colon of `name`. check: also decode every picture, in parallel processes;
    progress is told how many are done, of how many.
    Everything that is wrong is collected and raised as one DataSetError before anything is handed out.
    """
    chosen = parse_name(f"{name}:{variant}" if variant else name)
    if chosen.name == SYNTHETIC:
        return drawn(parse_world(chosen.variant))
    if chosen.name == CSV:
        return _load_csv(chosen.variant, root, check, progress)
    spec = SPECS[chosen.name]
    if root is None:
        raise DataSetError(f"{chosen} needs the folder below which it lies: --root DIR")
    folder = locate(spec, root)
    if folder is None:
        raise DataSetError(
            f"{spec.name} was not found below {root}: looked for {', '.join(spec.folders)} "
            "(docs/datasets.md shows the layout that is expected)"
        )
    return read(spec, folder, chosen.variant, check=check, progress=progress)


def load_many(names: Iterable[str], root: Path | None = None, *, check: bool = False) -> tuple[DataSet, ...]:
    """Several data sets, in the order given; the faults of all of them in one DataSetError.

    A name that was cut at the commas of the drawn world ("synthetic:seed=3", "families=20") is put together.
    """
    loaded: list[DataSet] = []
    problems: list[str] = []
    faults: list[str] = []
    for name in parse_names(",".join(names)):
        try:
            loaded.append(load(name, root, check=check))
        except DataSetError as problem:
            problems.append(str(problem))
            faults += problem.faults or (str(problem),)
    if problems:
        raise DataSetError("\n".join(problems), faults)
    return tuple(loaded)


def locate(spec: Spec, root: Path) -> Path | None:
    """Where a benchmark lies below a root, or None. Raises DataSetError if there is no such root."""
    if not root.is_dir():
        raise DataSetError(f"there is no folder {root}; --root names the one that the data sets lie in")
    return find_folder(root, spec.folders, spec.marks)


def read(
    spec: Spec, folder: Path, variant: str, *, check: bool = False, progress: Progress | None = None
) -> DataSet:
    """A benchmark in its folder. Raises DataSetError."""
    faults = Faults()
    merged = variant == TRAINVAL
    try:
        splits = spec.read(folder, "" if merged else variant, faults)
    except OSError as problem:
        raise DataSetError(
            f"{spec.name} in {folder}: {problem.filename or ''} cannot be read: {problem.strerror}"
        ) from None
    if merged:
        splits["train"] = sorted(splits.get("train", []) + splits.pop("val", []), key=lambda r: str(r.image))
    _check(splits, faults, shared_val=spec.shared_val)
    usual = variant == _variant(spec, "")
    name = spec.name if usual else f"{spec.name}:{variant}"
    if check and not faults:
        check_pictures(
            [r.image for r in _all(splits) if isinstance(r.image, Path)], faults, progress=progress
        )
    faults.raise_if_any(
        f"{name} in {folder}", "Mend or unpack it again; docs/datasets.md shows the layout that is expected."
    )
    return DataSet(name, spec.setting, {split: tuple(records) for split, records in splits.items()})


def _load_csv(place: str, root: Path | None, check: bool, progress: Progress | None) -> DataSet:
    file = Path(place).expanduser()
    if not file.exists() and root is not None and (root / place).exists():
        file = root / place
    faults = Faults()
    splits = read_csv(file, faults)
    _check(splits, faults, shared_val=False)
    if check and not faults:
        check_pictures(
            [r.image for r in _all(splits) if isinstance(r.image, Path)], faults, progress=progress
        )
    faults.raise_if_any(str(file), "Mend the rows; docs/datasets.md tells the columns.")
    setting = setting_of(_all(splits))
    return DataSet(file.stem, setting, {split: tuple(records) for split, records in splits.items()})


def _check(splits: dict[str, list[Record]], faults: Faults, *, shared_val: bool) -> None:
    images = [str(record.image) for record in _all(splits)]
    check_files(images, faults)
    if len(set(images)) < len(images):
        for image, times in sorted(Counter(images).items()):
            if times > 1:
                faults.add(TWICE, image)
    for split, records in splits.items():
        if split != "gallery":
            for record in records:
                if record.person in (JUNK, DISTRACTOR):
                    faults.add(NOBODY, f"{record.image} in {split}")
    learnt = {record.person for record in splits.get("train", [])}
    for split, records in splits.items():
        if split != "train" and not (split == "val" and shared_val):
            for person in sorted(learnt & {record.person for record in records} - {JUNK, DISTRACTOR}):
                faults.add(SHARED, f"{person}, also in {split}")


def _all(splits: dict[str, list[Record]]) -> list[Record]:
    return [record for records in splits.values() for record in records]


def _variant(spec: Spec, text: str) -> str:
    chosen = spec.alike.get(text.casefold(), text.casefold())
    if chosen not in spec.variants:
        there = ", ".join(v for v in (*spec.variants, *spec.alike) if v)
        raise DataSetError(f"{spec.name} has no variant {text!r}; it has {there or 'none'}")
    return chosen
