"""Which data sets lie below a folder, and how much they hold next to what was published; as a table and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gallery_store.console import Progress
from training.datasets.faults import DataSetError
from training.datasets.load import CSV, SYNTHETIC, Name, load, locate, parse_name, read
from training.datasets.record import DISTRACTOR, JUNK, DataSet, Record
from training.datasets.specs import SPECS, Count

FIELDS = ("identities", "images", "cameras", "captions")


@dataclass(frozen=True)
class SurveyedSet:
    """One data set. folder: None if it was not found, and then `looked_for` says what would have been taken;
    also of what is drawn.

    splits: what is there. published: what should be. problem: what is wrong with it, "" if nothing is.
    """

    name: str
    title: str
    setting: str
    folder: Path | None
    looked_for: tuple[str, ...] = ()
    splits: dict[str, Count] = field(default_factory=dict)
    published: dict[str, Count] = field(default_factory=dict)
    problem: str = ""

    @property
    def there(self) -> bool:
        return self.folder is not None or bool(self.splits or self.problem)

    def differing(self) -> list[tuple[str, str]]:
        """(split, field) wherever a published count is another."""
        return [
            (split, what)
            for split, expected in self.published.items()
            for what in FIELDS
            if (wanted := getattr(expected, what)) is not None
            and wanted != getattr(self.splits.get(split, Count()), what)
        ]


def count(records: Sequence[Record]) -> Count:
    """Junk and distractors are pictures, but no people. No cameras and no captions are None."""
    cameras = {record.camera for record in records} - {""}
    captions = sum(len(record.captions) for record in records)
    return Count(
        len({record.person for record in records} - {JUNK, DISTRACTOR}),
        len(records),
        len(cameras) or None,
        captions or None,
    )


def survey(
    root: Path, names: Iterable[str] = (), *, check: bool = False, progress: Progress | None = None
) -> list[SurveyedSet]:
    """The data sets named, or else all ten, each in the variants that it shows. Raises DataSetError for the root
    or a name that does not exist; what is wrong with a set stands in its `problem`."""
    chosen = [parse_name(name) for name in names]
    if not chosen:
        chosen = [Name(spec.name, variant) for spec in SPECS.values() for variant in spec.shown]
    return [_look(root, name, check, progress) for name in chosen]


def as_json(root: Path, found: Sequence[SurveyedSet]) -> dict[str, Any]:
    """The same as plain data, for --json."""
    return {
        "root": str(root),
        "datasets": [
            {
                "name": item.name,
                "title": item.title,
                "setting": item.setting,
                "found": item.there,
                "folder": None if item.folder is None else str(item.folder),
                "looked_for": list(item.looked_for),
                "splits": {split: asdict(counted) for split, counted in item.splits.items()},
                "published": {split: asdict(counted) for split, counted in item.published.items()},
                "differing": [f"{split}.{what}" for split, what in item.differing()] if item.splits else [],
                "problem": item.problem,
            }
            for item in found
        ],
    }


def _look(root: Path, name: Name, check: bool, progress: Progress | None) -> SurveyedSet:
    if name.name in (CSV, SYNTHETIC):
        return _other(root, name, check, progress)
    spec = SPECS[name.name]
    folder = locate(spec, root)
    known = str(name) if name.variant in spec.shown[1:] or name.variant not in spec.shown else spec.name
    if folder is None:
        return SurveyedSet(known, spec.title, spec.setting, None, spec.folders)
    published = dict(spec.counts.get(name.variant, {}))
    try:
        dataset = read(spec, folder, name.variant, check=check, progress=progress)
    except DataSetError as problem:
        return SurveyedSet(
            known, spec.title, spec.setting, folder, spec.folders, published=published, problem=str(problem)
        )
    return SurveyedSet(known, spec.title, spec.setting, folder, spec.folders, _counts(dataset), published)


def _other(root: Path, name: Name, check: bool, progress: Progress | None) -> SurveyedSet:
    place = Path(name.variant) if name.name == CSV else None
    try:
        dataset = load(str(name), root, check=check, progress=progress)
    except DataSetError as problem:
        return SurveyedSet(str(name), name.name, "", place, problem=str(problem))
    return SurveyedSet(str(name), dataset.name, dataset.setting, place, splits=_counts(dataset))


def _counts(dataset: DataSet) -> dict[str, Count]:
    return {split: count(records) for split, records in dataset.splits.items()}


def table(found: list[SurveyedSet]) -> list[str]:
    """The lines of the table: what is there, a stroke, what was published, and a mark where they differ."""
    heads = ("split", *FIELDS)
    row = "  {:<14}{:>16}{:>18}{:>10}{:>18}".format
    lines = []
    for item in found:
        if not item.there:
            lines += [f"{item.name}: not found; looked for {', '.join(item.looked_for)}", ""]
            continue
        where = f"in {item.folder}" if item.folder else "drawn"
        lines.append(f"{item.name}: {item.title}, {item.setting or 'broken'}, {where}")
        if item.problem:
            lines += [*("  " + line for line in item.problem.splitlines()), ""]
            continue
        differing = set(item.differing())
        lines.append(row(*(f"{head}  " if head != "split" else head for head in heads)).rstrip())
        for split in item.splits:
            cells = [_cell(item, split, what, (split, what) in differing) for what in FIELDS]
            lines.append(row(split, *cells).rstrip())
        lines.append("")
    there = sum(item.there for item in found)
    broken = sum(bool(item.problem) for item in found)
    lines.append(f"{there} of {len(found)} found{f', {broken} broken' if broken else ''}.")
    if any(item.splits and item.differing() for item in found):
        lines.append("After a stroke stands the published count; * marks where it is another.")
    return lines


def _cell(item: SurveyedSet, split: str, what: str, differs: bool) -> str:
    here, published = (getattr(of.get(split, Count()), what) for of in (item.splits, item.published))
    text = "-" if here is None else f"{here:,}"
    return text + (f" / {published:,}" if published is not None else "") + (" *" if differs else "  ")
