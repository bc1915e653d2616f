"""What may be learnt from: the training splits of data sets, and nothing else of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import InitVar, dataclass, replace
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from training.datasets.faults import SHOWN, DataSetError
from training.datasets.record import DISTRACTOR, JUNK, DataSet, Record

_KEY = object()


@dataclass(frozen=True)
class TrainingRecords:
    """Records of training splits, one data set after the other. Made by `training_records` alone.

    records: a person is named "set/person", so that no two sets share one. sets: the data set's name of each
    record. settings: of training.datasets.record.SETTINGS, by data set.
    """

    records: tuple[Record, ...]
    sets: tuple[str, ...]
    settings: Mapping[str, str]
    key: InitVar[object] = None

    def __post_init__(self, key: object) -> None:
        if key is not _KEY:
            raise TypeError("TrainingRecords are made by training.datasets.training_records.training_records")

    def __len__(self) -> int:
        return len(self.records)


def training_records(datasets: Iterable[DataSet]) -> TrainingRecords:
    """The training splits of data sets, in their order. Pure; the data sets stay as they are.

    Raises DataSetError if there is nothing to learn from, if two of the sets are one (two variants of a
    benchmark hold the same people), if a training split holds junk or distractors, or if one of its
    pictures is also in another split of any of the sets.
    """
    chosen = tuple(datasets)
    names = [_benchmark(dataset.name) for dataset in chosen]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DataSetError(
            f"{', '.join(twice)} is named more than once; its variants hold the same people: choose one"
        )
    records: list[Record] = []
    sets: list[str] = []
    for dataset in chosen:
        if nobody := [r for r in dataset.train if r.person in (JUNK, DISTRACTOR, "")]:
            raise DataSetError(
                f"{dataset.name}: {len(nobody)} training pictures show no known person, first {nobody[0].image}"
            )
        records += (replace(r, person=f"{dataset.name}/{r.person}") for r in dataset.train)
        sets += [dataset.name] * len(dataset.train)
    if not records:
        raise DataSetError("there is no training picture in " + (", ".join(names) or "no data set at all"))
    _refuse_leaks(chosen)
    return TrainingRecords(tuple(records), tuple(sets), {d.name: d.setting for d in chosen}, _KEY)


def people_by_set(records: TrainingRecords) -> dict[str, list[str]]:
    """The people of each data set, in the order of the records."""
    by_set: dict[str, list[str]] = {}
    for name, person in dict.fromkeys(
        (n, r.person) for n, r in zip(records.sets, records.records, strict=True)
    ):
        by_set.setdefault(name, []).append(person)
    return by_set


def split_by_identity(
    records: TrainingRecords, people: Mapping[str, int]
) -> tuple[TrainingRecords, TrainingRecords]:
    """(to learn from, held out): so many people of each set are held out, all their pictures with them.

    Who they are follows from the set's own names alone, so that each stage and each seed holds out the same, whatever
    sets stand beside. Raises DataSetError where a set has not so many, nobody is held out, or fewer than two would be
    left to learn from.
    """
    by_set = people_by_set(records)
    total, out = sum(map(len, by_set.values())), sum(people.values())
    if not 0 < out <= total - 2:
        raise DataSetError(f"{out} people cannot be held out of {total}: two or more are left to learn from")
    held: set[str] = set()
    for name, count in people.items():
        own = by_set.get(name, [])
        if not 0 <= count <= len(own):
            raise DataSetError(f"{count} people cannot be held out of the {len(own)} of {name}")
        held.update(sorted(own, key=lambda person: sha256(person.encode()).digest())[:count])
    return _part(records, lambda r: r.person not in held), _part(records, lambda r: r.person in held)


def _part(records: TrainingRecords, wanted: Callable[[Record], bool]) -> TrainingRecords:
    kept = [(r, name) for r, name in zip(records.records, records.sets, strict=True) if wanted(r)]
    return TrainingRecords(tuple(r for r, _ in kept), tuple(name for _, name in kept), records.settings, _KEY)


def _refuse_leaks(datasets: tuple[DataSet, ...]) -> None:
    held_out = {
        _place(record): f"{dataset.name}'s {split}"
        for dataset in datasets
        for split, records in dataset.splits.items()
        if split != "train"
        for record in records
    }
    leaks = [
        f"{record.image} of {dataset.name}'s train is also in {held_out[place]}"
        for dataset in datasets
        for record in dataset.train
        if (place := _place(record)) in held_out
    ]
    if leaks:
        more = f"\n  and {len(leaks) - SHOWN} more" if len(leaks) > SHOWN else ""
        raise DataSetError(
            f"{len(leaks)} training pictures are also in a split that is held out:\n  "
            + "\n  ".join(leaks[:SHOWN])
            + more,
            leaks,
        )


def _place(record: Record) -> object:
    """What two records of one picture share: the true place of its file, or the drawn crop itself."""
    if isinstance(record.image, Path):
        folder, _, name = str(record.image).rpartition(os.sep)
        return _true_folder(folder), name
    return id(record.image)


@lru_cache(maxsize=1 << 16)
def _true_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _benchmark(name: str) -> str:
    return name.partition(":")[0]
