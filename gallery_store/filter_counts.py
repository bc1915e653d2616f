"""What a filter would let through: crops counted by camera and by hour of the day.

Counted from the columns in memory by which `Index.matching` filters, and not by a query of the database: so a count can
never differ from what a search finds, local hours come out right where clocks change (a database knows UTC texts
alone), and a million crops take milliseconds (docs/conversation.md has the figures).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gallery_store.crops import Filters
from gallery_store.index import Index

HOURS = 24
_US_OF_HOUR = 3_600_000_000


@dataclass(frozen=True)
class FilterCounts:
    """Counts of crops that pass the other filters.

    cameras: key (crops.camera_key) -> count, of every camera of the gallery. hours: 24 counts, of the local hours of
    the day, over all days that pass.
    """

    cameras: dict[str, int]
    hours: tuple[int, ...]


def count_for_filters(index: Index, filters: Filters) -> FilterCounts:
    """By camera without regard to the filter on cameras, by hour without regard to that on the time of day."""
    any_camera = index.passing(replace(filters, cameras=(), not_cameras=()))
    of_camera = np.bincount(index.cameras[any_camera] + 1, minlength=len(index.camera_names) + 1)  # -1: none
    any_hour = index.passing(replace(filters, after=None, before=None))
    clocks = index.clocks[any_hour]
    hours = np.bincount(clocks[clocks >= 0] // _US_OF_HOUR, minlength=HOURS)
    return FilterCounts(
        {key: int(of_camera[code + 1]) for key, (code, _) in index.camera_names.items()},
        tuple(hours.tolist()),
    )
