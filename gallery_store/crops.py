"""A crop of the gallery, and the filters that choose among crops."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gallery_store.pictures import PictureFile


@dataclass(frozen=True)
class Crop:
    """One picture of one person, as the gallery knows it.

    path: as imported, relative to the folder, zip or manifest that was imported.
    file: where the picture lies now, in a folder or a storage. time: UTC, aware. width, height: pixels, after EXIF
    rotation. frame: number of the video frame, where the file's name told it. linked: whether the file is somebody
    else's, who may change it.
    """

    id: int
    sha256: str
    path: str
    file: PictureFile
    camera: str | None
    time: datetime | None
    person: str | None
    clothes: str | None
    tags: tuple[str, ...]
    width: int
    height: int
    frame: int | None
    linked: bool = False


@dataclass(frozen=True)
class Filters:
    """What a crop must satisfy. Hashable; all empty lets everything pass.

    cameras: any of them; not_cameras: none of them (both compare by `camera_key`).
    days: local days in the gallery's zone, any of them. after (inclusive) and before (exclusive): local
    time of day, on every day; after > before wraps over midnight. since (inclusive) and until (exclusive): local
    moments, one span over all days between. tags: all of them, case ignored.
    A crop without a camera or a time never passes a filter on it.
    """

    cameras: tuple[str, ...] = ()
    not_cameras: tuple[str, ...] = ()
    days: tuple[date, ...] = ()
    after: time | None = None
    before: time | None = None
    since: datetime | None = None
    until: datetime | None = None
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("cameras", "not_cameras", "days", "tags"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise ValueError(f"Filters.{name} must be a sequence, not the string {given!r}")
            object.__setattr__(self, name, tuple(given))
        for moment in (self.after, self.before):
            if moment is not None and moment.tzinfo is not None:
                raise ValueError(f"a time of day in Filters is local: give {moment} without a zone")
        for bound in (self.since, self.until):
            if bound is not None and bound.tzinfo is not None:
                raise ValueError(f"a moment in Filters is local: give {bound} without a zone")

    @property
    def is_empty(self) -> bool:
        """True when every crop passes."""
        return self == Filters()


_NUMBERED = re.compile(r"(?:camera|cam|c|number|no|nr)? ?([0-9]+)")
_NAMED = re.compile(r"(?:(?:camera|cam) )+(.+)")


def camera_key(name: str) -> str:
    """The form by which cameras compare: "camera 3", "Cam-03", "c3" and "3" are all "3".

    Names without a number lose case, punctuation and a leading "camera": "Camera: Front-Door" is
    "front door". An empty or blank name gives "". camera_key(camera_key(x)) == camera_key(x).
    """
    key = name
    while True:
        simpler = _simplify(key)
        if simpler == key:
            return key
        key = simpler


def _simplify(name: str) -> str:
    folded = unicodedata.normalize("NFKC", name).casefold()
    folded = "".join(str(unicodedata.decimal(ch, ch)) for ch in folded)  # digits of any script
    plain = re.sub(r"[\W_]+", " ", folded).strip()
    if not plain:
        return folded.strip()  # "#" stays a camera of its own
    if numbered := _NUMBERED.fullmatch(plain):
        return numbered[1].lstrip("0") or "0"
    if named := _NAMED.fullmatch(plain):
        return named[1]
    return plain
