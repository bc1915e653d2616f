"""Filters in words: "on camera 3, on 12 May 2026, after 14:00"."""

from __future__ import annotations

from app.chat.cameras import camera_label
from app.chat.days import listed_days
from app.chat.times import time_label
from gallery_store.crops import Filters, camera_key


def filters_in_words(filters: Filters) -> str:
    """What a crop must satisfy, as one phrase; "" where everything passes."""
    parts = []
    if filters.cameras:
        parts.append(f"on {_cameras(filters.cameras)}")
    if filters.not_cameras:
        parts.append(f"not on {_cameras(filters.not_cameras)}")
    if filters.days:
        parts.append(f"on {listed_days(filters.days)}")
    if time_label(filters):
        both = filters.after is not None and filters.before is not None
        parts.append(f"from {time_label(filters)}" if both else time_label(filters))
    if filters.tags:
        parts.append(f"tagged {', '.join(filters.tags)}")
    return ", ".join(parts)


def _cameras(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return camera_label(names[0])
    keys = [camera_key(name) for name in names]
    return f"cameras {', '.join(keys[:-1])} and {keys[-1]}"
