"""What is known of many crops, as arrays: the one form that instruction samples are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from app.model.vocabulary import ALL_KINDS
from training.datasets.faults import DataSetError
from training.datasets.training_records import TrainingRecords

KIND_NAMES = tuple(ALL_KINDS)  # of the newest vocabulary: an older one leaves the last of them unknown
_PLACES = {kind: {value: place for place, value in enumerate(values)} for kind, values in ALL_KINDS.items()}


@dataclass(frozen=True)
class Columns:
    """One row per crop.

    person, outfit, camera: int32 (n,), numbered from 0 over everything; an outfit is a person in one set of
    clothes, and simply the person where clothes were not noted. data_set: int32 (n,), place in `names`.
    infrared: bool (n,). attributes: int8 (n, kinds), the place of the visible value in ALL_KINDS, -1 where it is
    not known; the kinds that an older version lacks are filled up with it. captions: per row, written by people or
    by a captioner; may be empty. changes: bool (names,), whether the data set notes clothes.
    """

    names: tuple[str, ...]
    person: np.ndarray
    outfit: np.ndarray
    camera: np.ndarray
    data_set: np.ndarray
    infrared: np.ndarray
    attributes: np.ndarray
    captions: Sequence[tuple[str, ...]]
    changes: np.ndarray

    def __post_init__(self) -> None:
        rows, width = self.attributes.shape
        if width < len(KIND_NAMES):  # of an older version of the vocabulary
            more = np.full((rows, len(KIND_NAMES) - width), -1, np.int8)
            object.__setattr__(self, "attributes", np.concatenate([self.attributes, more], 1, dtype=np.int8))

    def __len__(self) -> int:
        return len(self.person)

    @classmethod
    def of(cls, records: TrainingRecords) -> Columns:
        """From training records. Raises DataSetError for an attribute that the vocabulary does not have."""
        names = tuple(dict.fromkeys(records.sets))
        place = {name: number for number, name in enumerate(names)}
        data_set = np.fromiter((place[name] for name in records.sets), np.int32, len(records))
        rows = records.records
        noted = np.fromiter((bool(r.clothes) for r in rows), bool, len(rows))
        return cls(
            names,
            _numbered(r.person for r in rows),
            _numbered((r.person, r.clothes) for r in rows),
            _numbered(zip(records.sets, (r.camera for r in rows), strict=True)),
            data_set,
            np.fromiter((r.infrared for r in rows), bool, len(rows)),
            np.stack([_indices(r.attributes, r.image) for r in rows]),
            tuple(r.captions for r in rows),
            np.bincount(data_set[noted], minlength=len(names)) > 0,
        )


def attribute_row(attributes: Mapping[str, str]) -> np.ndarray:
    """int8 (kinds,). Raises KeyError for a value that the vocabulary does not have."""
    row = np.full(len(KIND_NAMES), -1, np.int8)
    for number, kind in enumerate(KIND_NAMES):
        if kind in attributes:
            row[number] = _PLACES[kind][attributes[kind]]
    return row


def _indices(attributes: Mapping[str, str], image: object) -> np.ndarray:
    try:
        return attribute_row(attributes)
    except KeyError as value:
        raise DataSetError(
            f"{image}: the vocabulary has no attribute value {value}; see app/model/vocabulary.py"
        ) from None


def _numbered(labels) -> np.ndarray:  # type: ignore[no-untyped-def]
    """int32: labels numbered in the order in which they come."""
    seen: dict[object, int] = {}
    return np.array([seen.setdefault(label, len(seen)) for label in labels], np.int32)
