"""Crops by person, outfit, camera and light, indexed once, for the tasks to draw from."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training.instructions.columns import KIND_NAMES, Columns
from training.instructions.look_alikes import look_alikes
from training.instructions.rng import SampleRng

# Modes: what a match of a crop is, beside being another crop of the same person:
#   any      in whatever clothes and light
#   alike    in the same clothes (where they were noted) and in the same light
#   changed  in other clothes, in the same light
#   light    in the other light: infrared for visible and the reverse

SAID_OF_THE_SAME = (
    0.25  # of the questions about the same clothes, those that say they may be others: "may" is not "do"
)


@dataclass(frozen=True)
class _IdentitiesByMatches:
    """Identities of one data set, by how many matches their best-off crop has. counts ascend."""

    counts: list[int]
    people: list[int]


class CropIndex:
    """Draws crops. Rows are numbers of `columns`; draws depend on them and on the rng alone.

    Arrays of the standard library hold the columns: single elements come out of them several times faster
    than out of NumPy, and forked workers share them untouched.
    """

    def __init__(self, columns: Columns, vectors: np.ndarray | None = None) -> None:
        self.columns = columns
        self.person, self.outfit = _ints(columns.person), _ints(columns.outfit)
        self.camera, self.data_set = _ints(columns.camera), _ints(columns.data_set)
        self.infrared = bytes(columns.infrared.astype(np.uint8))
        self.attributes = columns.attributes.astype(np.int8).tobytes()
        self._people, self._outfits = _Groups(columns.person), _Groups(columns.outfit)
        self._sets = _Groups(columns.data_set)
        self._lights = _Groups(columns.data_set * 2 + columns.infrared)
        self._alike = look_alikes(columns, vectors)
        self._available = {mode: _ints(count) for mode, count in _available(columns).items()}
        self._index = {
            (mode, number): self._indexed(np.asarray(count), number)
            for mode, count in self._available.items()
            for number in range(len(columns.names))
        }
        captioned = np.fromiter((bool(texts) for texts in columns.captions), bool, len(columns))
        shown = (columns.attributes >= 0).sum(1) >= 2
        # Rows of each data set with a caption or attributes to make one of; with attributes.
        self._tellable = _Groups(columns.data_set, captioned | shown)
        self._shown = _Groups(columns.data_set, shown)

    def __len__(self) -> int:
        return len(self.columns)

    def crop(self, data_set: int, rng: SampleRng) -> int:
        return self._sets.one(data_set, rng)

    def told(self, data_set: int, rng: SampleRng) -> int | None:
        """A crop that a text can be had of."""
        return self._tellable.one(data_set, rng) if self._tellable.count(data_set) else None

    def shown(self, data_set: int, rng: SampleRng) -> int | None:
        """A crop with known attributes."""
        return self._shown.one(data_set, rng) if self._shown.count(data_set) else None

    def query(self, mode: str, data_set: int, count: int, rng: SampleRng) -> int | None:
        """A crop with `count` matches or more: first an identity that has one, uniformly, then its crop."""
        index = self._index[mode, data_set]
        start = bisect_left(index.counts, count)
        if start == len(index.counts):
            return None
        available = self._available[mode]
        rows = self._people.rows(index.people[start + rng.below(len(index.people) - start)])
        return rng.one([row for row in rows if available[row] >= count])

    def most(self, mode: str, data_set: int) -> int:
        """The most matches that a crop of the data set has."""
        counts = self._index[mode, data_set].counts
        return counts[-1] if counts else 0

    def matches(self, mode: str, row: int, count: int, rng: SampleRng) -> list[int]:
        """Up to `count` matches of a crop, in random order, from other cameras as far as there are enough."""
        rows = [other for other in self._people.rows(self.person[row]) if other != row]
        if mode == "light":
            rows = [other for other in rows if self.infrared[other] != self.infrared[row]]
        elif mode != "any":
            same = mode == "alike"
            rows = [
                other
                for other in rows
                if self.infrared[other] == self.infrared[row]
                and (self.outfit[other] == self.outfit[row]) == same
            ]
        camera = self.camera[row]
        chosen = rng.some([other for other in rows if self.camera[other] != camera], count)
        if len(chosen) < count:
            chosen += rng.some([other for other in rows if self.camera[other] == camera], count - len(chosen))
        rng.shuffle(chosen)
        return chosen

    def others(
        self,
        row: int,
        count: int,
        rng: SampleRng,
        hard: float,
        *,
        infrared: int | None = None,
        fits: Callable[[int], bool] | None = None,
    ) -> list[int]:
        """Up to `count` crops of other people of a crop's data set; a share `hard` of them are look-alikes.

        Args:
            infrared: 0 or 1: only crops in this light.
            fits: crops for which this is true would be right answers, or might be: they are left out.
        """
        chosen: list[int] = []
        person, data_set = self.person[row], self.data_set[row]
        alike = [int(outfit) for outfit in self._alike[self.outfit[row]] if outfit >= 0]
        for _ in range(count):
            look_alike = bool(alike) and rng.happens(hard)
            for attempt in range(40):
                if look_alike and attempt < 10:
                    other = self._outfits.one(rng.one(alike), rng)
                elif infrared is None:
                    other = self._sets.one(data_set, rng)
                elif self._lights.count(light := data_set * 2 + infrared):
                    other = self._lights.one(light, rng)
                else:
                    break
                if self.person[other] == person or other in chosen:
                    continue
                if infrared is not None and self.infrared[other] != infrared:
                    continue
                if fits is None or not fits(other):
                    chosen.append(other)
                    break
        return chosen

    def says_other_clothes(self, references: Sequence[int], match: int, rng: SampleRng) -> bool:
        """Whether a question with these crops of a person says that clothes may be others, `match` being the right
        answer to it, shown or not: where they are, now and then where they are not, never where none were noted.
        """
        if not self.columns.changes[self.data_set[match]]:
            return False
        same = any(self.outfit[row] == self.outfit[match] for row in references)
        return not same or rng.happens(SAID_OF_THE_SAME)

    def lights_differ(self, references: Sequence[int], candidates: Sequence[int]) -> bool:
        """Whether some of the crops are visible and some infrared, as a question that is asked with them says."""
        return any(self.infrared[one] != self.infrared[other] for one in references for other in candidates)

    def has_look_alikes(self, data_set: int) -> bool:
        return bool((self._alike[self.columns.outfit[self.columns.data_set == data_set]] >= 0).any())

    def value(self, row: int, kind: int) -> int:
        """The place of a crop's value of a kind (a place in KIND_NAMES) in the vocabulary; 255 for unknown."""
        return self.attributes[row * len(KIND_NAMES) + kind]

    def _indexed(self, available: np.ndarray, number: int) -> _IdentitiesByMatches:
        rows = (self.columns.data_set == number) & (available > 0)
        people, inverse = np.unique(self.columns.person[rows], return_inverse=True)
        best = np.zeros(len(people), np.int64)
        np.maximum.at(best, inverse, available[rows])
        order = np.lexsort((people, best))
        return _IdentitiesByMatches(best[order].tolist(), people[order].tolist())


class _Groups:
    """Rows by label, as slices of one array."""

    def __init__(self, labels: np.ndarray, keep: np.ndarray | None = None) -> None:
        rows = np.arange(len(labels)) if keep is None else np.flatnonzero(keep)
        order = rows[np.argsort(labels[rows], kind="stable")]
        counts = np.bincount(labels[rows], minlength=int(labels.max()) + 1)
        self._rows = _ints(order)
        self._starts = _ints(np.concatenate([[0], np.cumsum(counts)]))

    def rows(self, label: int) -> array[int]:
        return self._rows[self._starts[label] : self._starts[label + 1]]

    def count(self, label: int) -> int:
        return self._starts[label + 1] - self._starts[label]

    def one(self, label: int, rng: SampleRng) -> int:
        start = self._starts[label]
        return self._rows[start + rng.below(self._starts[label + 1] - start)]


def _available(columns: Columns) -> dict[str, np.ndarray]:
    """How many matches each crop has, by mode."""
    light = columns.infrared.astype(np.int64)
    people = np.bincount(columns.person)[columns.person]
    person_light = _count(columns.person.astype(np.int64) * 2 + light)
    outfit_light = _count(columns.outfit.astype(np.int64) * 2 + light)
    return {
        "any": people - 1,
        "alike": outfit_light - 1,
        "changed": np.where(columns.changes[columns.data_set], person_light - outfit_light, 0),
        "light": people - person_light,
    }


def _count(labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels)[labels]


def _ints(values: np.ndarray) -> array[int]:
    return array("i", np.ascontiguousarray(values, np.int32).tobytes())
