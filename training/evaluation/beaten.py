"""How many crops beat a match: fast, and nothing is sorted to find out.

They are those before it in the gallery with a score as high or higher, and those after it with a higher one (ties go
by gallery order). One comparison of the row for each match finds them. Where the model is good, the better matches
are looked for among the few crops that reach the worst of them; a query with very many matches sorts its row once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

MANY = 48  # matches of a query, from which one sort of the row is cheaper than comparing for each
BAD = 4  # one match in so many is bad, and what beats the others is perhaps a small part of the row,
NEAR = 16  # one crop in so many or fewer: then they are ranked within it
CELL = 4096  # a row is compared in cells of at least so many crops
BUFFER = 2048  # below NumPy's own 8,192, for it would copy cells into buffers
FOLD = 8
MOST_CELLS = 255 // FOLD  # what a byte can count, so a longer row has longer cells


def better_than(
    room: Room, rows: np.ndarray, owner: np.ndarray, places: np.ndarray, scores: np.ndarray
) -> np.ndarray:
    """int64 (n,): how many crops beat each place.

    Args:
        rows: float32 or float64 (b, G). owner: int64 (n,), ascending, the row of each place. places: int64 (n,),
            its column, a row's best first. scores: (n,), its score.
    """
    words = np.zeros((len(places), room.folds.shape[1] // FOLD), np.uint64)
    half, within = np.divmod(places, room.cells.shape[1] // 2)
    late = half % 2 == 1
    # A tie goes to the earlier crop: cells before a place's own win it, those after do not. The own cell wins where
    # the place is in its second half, so that one half is right; the half that the place is in is put right below.
    wins_ties = np.arange(len(room.cells)) < ((half + 1) // 2)[:, None]
    found, tied, cuts = [], [], True
    ends = np.searchsorted(owner, np.arange(len(rows) + 1))
    with np.errstate(over="ignore"):  # nothing is above a type's highest number but infinity
        np.setbufsize(BUFFER)  # until here ends
        least = np.where(wins_ties, scores[:, None], np.nextafter(scores, np.inf)[:, None])[:, :, None]
        for number, (first, last) in enumerate(pairwise(ends.tolist())):
            room.take(rows[number])
            if last - first > MANY:
                found.append((slice(first, last), _better_by_sorting(rows[number], places[first:last])))
                continue
            good = slice(first, last - (last - first) // BAD)
            if cuts and last - first >= BAD:
                near = room.near(scores[good.stop - 1])
                cuts = near is not None  # one model's rows are alike
                if near is not None:
                    inside = np.searchsorted(near, places[good])
                    found.append((good, _better_by_sorting(rows[number][near], inside)))
                    first = good.stop
            mine = slice(first, last)
            if last > first and room.compare(least[mine], half[mine], scores[mine, None], words[mine]):
                tied.append((number, mine))
    better = words.view(np.uint8).sum(axis=1, dtype=np.int64) - late
    for number, mine in tied:
        better[mine] += _ties(rows[number], places[mine], within[mine], late[mine], room.cells.shape[1] // 2)
    for mine, counts in found:
        better[mine] = counts
    return better


@dataclass(frozen=True)
class Room:
    """Where a row is compared: new memory for each would cost as much as the comparing.

    row: float32 or float64 (G,), the start of cells. cells: (c, w), filled up with -infinity, which beats nothing.
    beats: bool (MANY, c, w). own: (MANY, w / 2), halves of cells. level: bool, as own.
    folds: uint64 (MANY, w / 8).
    """

    row: np.ndarray
    cells: np.ndarray
    beats: np.ndarray
    own: np.ndarray
    level: np.ndarray
    folds: np.ndarray

    @classmethod
    def of(cls, gallery: int, dtype: type[np.floating]) -> Room:
        """For rows of so many crops, float32 or float64."""
        count = max(1, min(gallery // CELL, MOST_CELLS))
        width = -(-gallery // (count * FOLD * 8)) * FOLD * 8
        cells = np.full((count, width), -np.inf, dtype)
        return cls(
            cells.reshape(-1)[:gallery],
            cells,
            np.empty((MANY, count, width), bool),
            np.empty((MANY, width // 2), dtype),
            np.empty((MANY, width // 2), bool),
            np.empty((MANY, width // 8), np.uint64),
        )

    def take(self, row: np.ndarray) -> None:
        """Hold this row, (G,). Raises ValueError unless all of it is finite."""
        self.row[:] = row
        # NaN and infinity survive into the extremes: two reductions, and no array of flags.
        if not (math.isfinite(self.row.max()) and math.isfinite(self.row.min())):
            raise ValueError("scores hold NaN or infinity")

    def near(self, score: np.floating) -> np.ndarray | None:
        """int64, ascending: the columns that reach this score; None where they are too many to be of use."""
        reach = self.beats.reshape(-1)[: len(self.row)]
        np.greater_equal(self.row, score, out=reach)
        few = np.count_nonzero(reach) * NEAR < len(reach)
        return np.flatnonzero(reach) if few else None

    def compare(self, least: np.ndarray, half: np.ndarray, scores: np.ndarray, words: np.ndarray) -> bool:
        """Whether half a cell, int64 (n,), one for each place, n <= MANY, holds its score, (n, 1), more than once.

        Counts into words, uint64 (n, w / 8 / FOLD), whose bytes add up to it, the crops that reach `least`,
        (n, c, 1). In few, long calls into memory that is there: Python's lock is free meanwhile.
        """
        count = len(half)
        beats, folds, own, level = (room[:count] for room in (self.beats, self.folds, self.own, self.level))
        np.greater_equal(self.cells, least, out=beats)
        # Bytes of 0 and 1 are added as words of eight; no byte can overflow into the next.
        np.add.reduce(beats.view(np.uint64), axis=1, out=folds)
        np.add.reduce(folds.reshape(count, FOLD, -1), axis=1, out=words)
        np.take(self.cells.reshape(2 * len(self.cells), -1), half, axis=0, out=own, mode="clip")
        np.equal(own, scores, out=level)
        return bool(np.count_nonzero(level) > count)


def _ties(
    row: np.ndarray, places: np.ndarray, within: np.ndarray, late: np.ndarray, width: int
) -> np.ndarray:
    """int64 (n,): what to add to what was counted in the half of a cell that each place is in, where scores tie.

    Args:
        row: (G,). places: int64 (n,). within: int64 (n,), where in its half, `width` crops wide, a place is.
        late: bool (n,), the half was counted with ties, else without.
    """
    change = np.empty(len(places), np.int64)
    for number, (place, inside) in enumerate(zip(places.tolist(), within.tolist(), strict=True)):
        own = row[place - inside : place - inside + width] == row[place]
        earlier, later = np.count_nonzero(own[:inside]), np.count_nonzero(own[inside + 1 :])
        change[number] = -later if late[number] else earlier
    return change


def _better_by_sorting(row: np.ndarray, places: np.ndarray) -> np.ndarray:
    """int64 (n,): how many crops beat each of `places`; one sort of values, never of indices."""
    ascending = np.sort(row)
    scores = row[places]
    higher = len(row) - np.searchsorted(ascending, scores, side="right")
    level = len(row) - np.searchsorted(ascending, scores, side="left") - higher
    better = higher.astype(np.int64)
    for value in np.unique(scores[level > 1]):
        tied = np.flatnonzero(row == value)
        mine = scores == value
        better[mine] += np.searchsorted(tied, places[mine])
    return better
