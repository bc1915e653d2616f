"""Sightings in the order of time, with how long it was from one to the next; for the board and for the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from app.cards import camera_name
from app.chat.board import Sighting
from app.chat.labels import day_label
from gallery_store.crops import Crop, camera_key
from gallery_store.store import GalleryStore


@dataclass(frozen=True)
class Stop:
    """A sighting on the timeline. crop: None where it was deleted. time: in the gallery's zone. since: how long after
    the stop before, and from where: "12 min later, from camera 1"; "" for the first and for one without a time.
    """

    sighting: Sighting
    crop: Crop | None
    time: datetime | None
    since: str = ""

    @property
    def image_id(self) -> int:
        return self.sighting.image_id

    @property
    def camera(self) -> str:
        """ "Camera 3"; "No camera" where none is known."""
        name = camera_name(self.crop.camera) if self.crop else ""
        return name[:1].upper() + name[1:] if name else "No camera"


def still_there(store: GalleryStore, sightings: Sequence[Sighting]) -> dict[int, Crop]:
    """Image id -> crop, of those that were not deleted since. Raises GalleryError."""
    ids = [one.image_id for one in sightings]
    try:
        return dict(zip(ids, store.crops(ids), strict=True))
    except KeyError:
        found: dict[int, Crop] = {}
        for image_id in ids:
            with suppress(KeyError):
                found[image_id] = store.crops([image_id])[0]
        return found


def timeline(sightings: Iterable[Sighting], crops: Mapping[int, Crop], zone: ZoneInfo) -> tuple[Stop, ...]:
    """The sightings, the earliest first; those without a time last, in the order in which they come."""
    stops = []
    for sighting in sightings:
        crop = crops.get(sighting.image_id)
        stops.append(Stop(sighting, crop, crop.time.astimezone(zone) if crop and crop.time else None))
    dated = sorted((stop for stop in stops if stop.time is not None), key=_moment)
    linked = [
        Stop(stop.sighting, stop.crop, stop.time, since(before, stop) if before else "")
        for before, stop in zip([None, *dated], dated, strict=False)
    ]
    return (*linked, *(stop for stop in stops if stop.time is None))


def by_day(stops: Sequence[Stop]) -> list[tuple[str, list[Stop]]]:
    """(day in words, its stops) of each day, in order; "No time" for those without one."""
    days = groupby(stops, lambda stop: stop.time.date() if stop.time else None)
    return [(day_label(day) if day else "No time", list(some)) for day, some in days]


def since(before: Stop, stop: Stop) -> str:
    """ "12 min later, from camera 1"; both have a time."""
    assert before.time is not None and stop.time is not None
    gap = stop.time - before.time
    later = f"{span_words(gap)} later" if gap else "at the same time"
    one, other = (camera_key(s.crop.camera or "") if s.crop else "" for s in (before, stop))
    if not (one and other):
        return later
    return f"{later}, on the same camera" if one == other else f"{later}, from {before.camera.lower()}"


def span_words(span: timedelta) -> str:
    """ "45 s", "12 min", "3 h 5 min", "2 days 4 h": the two greatest units; 0 or more."""
    seconds = max(0, round(span.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    days, rest = divmod(seconds, 86400)
    hours, minutes = rest // 3600, rest % 3600 // 60
    if days:
        return f"{days} {'day' if days == 1 else 'days'}" + (f" {hours} h" if hours else "")
    if hours:
        return f"{hours} h" + (f" {minutes} min" if minutes else "")
    return f"{minutes} min"


def _moment(stop: Stop) -> tuple[datetime, int]:
    assert stop.time is not None
    return stop.time, stop.image_id
