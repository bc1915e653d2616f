"""What may be learnt from: the training splits of data sets, and nothing else of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, replace
from functools import lru_cache
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
