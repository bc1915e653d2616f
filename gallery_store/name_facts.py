"""What a picture's name and folders tell: person, camera, time. Names of the field's data sets, and plain ones."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

from gallery_store.written_times import read_time


@dataclass(frozen=True)
class NameFacts:
    """None for what the name does not tell. time: UTC, aware. special: the tag "junk" or "distractor"."""

    person: str | None = None
    camera: str | None = None
    time: datetime | None = None
    clothes: str | None = None
    frame: int | None = None
    special: str | None = None


# Each over the end of "folder/folder/name". Anybody chooses the names: no two repetitions that follow each other take
# the same, or reading one would take much longer than the name is. Persons of all but Market-1501 and MARS begin at 0:
# there it is a person.
_DATASETS = [
    re.compile(rf"(?:^|/)(?:{pattern})$", re.ASCII | re.IGNORECASE)
    for pattern in (
        # Market-1501: 0002_c1s1_000451_03.jpg, with junk (-1) and distractors (0000)
        r"(?P<special>0000)_c(?P<camera>\d{1,4})s\d+_(?P<frame>\d{1,12})(?:_\d+)?(?:\.\w+)*",
        r"(?:(?P<special>-1)|(?P<person>\d{1,9}))_c(?P<camera>\d{1,4})(?:s\d+)?_f?(?P<frame>\d{1,12})(?:_\d+)?(?:\.\w+)*",
        # Market-1501 and DukeMTMC-reID with other marks: 0002-c1s1-000451-03.jpg, 0002 c1 000451.jpg; a longer number
        # than theirs may be a date, and no person
        r"(?:(?P<special>-1|0000(?=[- .]c\d{1,4}s))|(?P<person>\d{4,5}))(?P<mark>[- .])c(?P<camera>\d{1,4})(?:s\d+)?"
        r"(?P=mark)f?(?P<frame>\d{1,12})(?:(?P=mark)\d+)?(?:\.\w+)*",
        # MARS: 0001C1T0001F001.jpg; 00-1 is junk, 0000 a distractor
        r"(?:(?P<special>00-1|0000)|(?P<person>\d{4}))C(?P<camera>\d)T\d{4}F(?P<frame>\d{3})\.\w+",
        # MSMT17 and ICFG-PEDES: 0000_000_01_0303morning_0015_0_ex.jpg
        r"(?P<person>\d{4})_\d{3}_(?P<camera>\d{2})_\d{4}(?:morning|noon|afternoon)_(?P<frame>\d{4})_\d\w*\.\w+",
        # LTCC: 000_1_c10_015833.png
        r"(?P<person>\d{3})_(?P<clothes>\d{1,2})_c(?P<camera>\d{1,2})_(?P<frame>\d{6})\.\w+",
        # PRCC: rgb/train/001/A_cropped_rgb001.jpg, rgb/test/A/001/cropped_rgb001.jpg
        r"(?P<person>\d{3})/(?P<camera>[ABC])_cropped_rgb\d+\.\w+",
        r"(?P<camera>[ABC])/(?P<person>\d{3})/cropped_rgb\d+\.\w+",
        # CUHK03: 1_001_1_01.png
        r"(?P<person>\d_\d{3})_(?P<camera>[12])_\d{1,2}\.\w+",
        # CUHK01: campus/0001001.png; of four pictures two are of each camera
        r"(?:[^/\s]*cuhk01(?:(?!cuhk01)\S)*|campus)/(?:[\w-]+/)?(?P<person>\d{4})00(?P<campus>[1-4])\.\w+",
        # VIPeR: cam_a/000_45.bmp
        r"cam_(?P<camera>[ab])/(?P<person>\d{3})_\d{1,3}\.\w+",
        # RAP: CAM01-2014-02-15-20140215161032-20140215162620-tarid0-frame218-line1.png; the time is the recording's
        r"CAM(?P<camera>\d{2})-\d{4}-\d\d-\d\d-(?P<time>\d{14})-\d{14}-tarid\d+-frame(?P<frame>\d{1,12})-line\d+\.\w+",
    )
]
_SPECIAL = {"-1": "junk", "00-1": "junk", "0000": "distractor"}

_STAMP = re.compile(
    r"(?<!\d)((?:19|20|21)\d\d)([-_.]?)(\d\d)\2(\d\d)[T _\-.]{0,3}(\d\d)([-_.:h]?)(\d\d)\6(\d\d)(?!\d{4})",
    re.ASCII | re.I,
)
_CAMERA = re.compile(r"(?<![a-z0-9])(?:camera|cam|kamera|ch)[ _-]?(\d{1,4}[a-z]?)(?![a-z0-9])", re.ASCII)
_SHORT_CAMERA = re.compile(r"(?<![a-z0-9])c(\d{1,3})(?![a-z0-9])", re.ASCII)
_CAMERA_FOLDER = re.compile(
    r"(?:camera|cam|kamera)[ _-]+([^\s_-].*)|(?:camera|cam|kamera|channel|ch|c)[ _-]?(\d{1,4}[a-z]?)"
)
_PERSON = re.compile(r"(?<![a-z0-9])(?:person|pid|id)[ _-]?(\d{1,9})(?![a-z0-9])", re.ASCII)
_GROUPS = ("person", "camera", "time")


def facts_of(path: str, zone: ZoneInfo) -> NameFacts:
    """path: "/" between folders, the folder or zip that it came from first. zone: of the times in names."""
    for pattern in _DATASETS:
        if found := pattern.search(path):
            return _of_dataset(found.groupdict(), zone)
    pure = PurePosixPath(path)
    stem = pure.name[: len(pure.name) - len(pure.suffix)].casefold()
    stamp = _STAMP.search(stem)
    rest = stem if stamp is None else f"{stem[: stamp.start()]} {stem[stamp.end() :]}"
    camera = _CAMERA.search(rest) or _SHORT_CAMERA.search(rest)
    person = _PERSON.search(rest)
    return NameFacts(
        person=person[1] if person else None,
        camera=_number(camera[1]) if camera else _folder_camera(pure),
        time=_stamp_time(stamp, zone) if stamp else None,
    )


def _of_dataset(found: dict[str, str | None], zone: ZoneInfo) -> NameFacts:
    """found: the groups of a pattern of _DATASETS."""
    person, camera, time, frame = (found.get(name) for name in ("person", "camera", "time", "frame"))
    special = _SPECIAL.get(found.get("special") or "")
    if campus := found.get("campus"):
        camera = "1" if campus in "12" else "2"
    return NameFacts(
        person=person,
        camera=_number(camera) if camera else None,
        time=_datetime_of(time, zone) if time else None,
        clothes=f"{person}_{clothes}" if (clothes := found.get("clothes")) else None,
        frame=int(frame) if frame else None,
        special=special,
    )


def _datetime_of(digits: str, zone: ZoneInfo) -> datetime | None:
    """Fourteen digits, 20260512140322 -> UTC, aware; None where there is no such time."""
    try:
        return read_time(datetime.strptime(digits, "%Y%m%d%H%M%S").isoformat(), zone)
    except ValueError:
        return None


def _stamp_time(stamp: re.Match[str], zone: ZoneInfo) -> datetime | None:
    year, _, month, day, hour, _, minute, second = stamp.groups()
    return _datetime_of(year + month + day + hour + minute + second, zone)


def _number(camera: str) -> str:
    return str(int(camera)) if camera.isdecimal() else camera


def _folder_camera(path: PurePosixPath) -> str | None:
    """Of the nearest folder that is called after a camera: cam3, Camera 3, camera-entrance, c3."""
    for folder in path.parent.parts[::-1]:
        if found := _CAMERA_FOLDER.fullmatch(folder.casefold()):
            return _number(found[1] or found[2])
    return None


class NamePattern:
    """A regular expression of one's own with named groups person, camera, time, looked for anywhere in a path."""

    def __init__(self, text: str) -> None:
        """Raises ValueError with the reason."""
        try:
            self._pattern = re.compile(text)
        except re.error as problem:
            raise ValueError(f"the pattern {text!r} is no regular expression: {problem}") from None
        if not set(_GROUPS) & set(self._pattern.groupindex):
            raise ValueError(f"the pattern {text!r} has no group (?P<person>…), (?P<camera>…) or (?P<time>…)")

    def facts_of(self, path: str, zone: ZoneInfo) -> NameFacts | None:
        """None where the path does not fit, or its time is none."""
        found = self._pattern.search(path)
        if found is None:
            return None
        person, camera, time = (found.groupdict().get(name) or None for name in _GROUPS)
        facts = NameFacts(person=person, camera=camera)
        if time is None:
            return facts
        if stamp := _STAMP.fullmatch(time):
            moment = _stamp_time(stamp, zone)
        else:
            try:
                moment = read_time(time, zone)
            except ValueError:
                moment = None
        return None if moment is None else replace(facts, time=moment)
