"""Files of boxes, people marked in whole pictures as COCO and FiftyOne write them, and cutting the people out."""

from __future__ import annotations

import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, TypeVar

from gallery_store.archives import is_of_macos
from gallery_store.decoding import MAX_BYTES, PictureError

MOST_BOXES = 2_000_000  # of a file
MOST_FILE_BYTES = 512 << 20
LEAST_SIDE = 8  # pixels: of what is smaller, nothing can be told
_MOST_PARTS = (
    16_000_000  # objects and lists of a file: each takes some sixty bytes of memory, and two of the file
)
_MOST_SNIFFED = 20  # JSON files of a folder that are looked into, whatever they are called
_HELD = 4  # whole pictures in memory: one for each thread of an import
_PERSON = "person"
_PERSON_NAMES = ("person", "person_id", "pid", "identity", "track_id")
_CAMERA_NAMES = ("camera", "camera_id", "cam", "cam_id", "camid")
_UNUSED = ("segmentation", "keypoints", "mask")  # most of a file's bytes, and nothing of a box
_USUAL_NAME = re.compile(
    r"(?:instances|person_keypoints).*|.*coco.*|_?annotations|labels|samples", re.I | re.S
)
_MARKS = (
    (b'"annotations"', b'"images"', b'"bbox"'),
    (b'"samples"', b'"bounding_box"'),
    (b'"labels"', b'"bounding_box"'),
)
_PLAIN_ID = re.compile(r"[\w-]{1,64}")
T = TypeVar("T")


@dataclass(frozen=True)
class Picture:
    """A whole picture as a file of boxes tells it. name: its path, of one spelling. size: (width, height) pixels."""

    name: str
    size: tuple[int, int] | None = None
    camera: str | None = None


@dataclass(frozen=True)
class Box:
    """One person in a picture. label: unlike that of the picture's other boxes. edges: (left, top, width, height),
    finite, in pixels, or, where `relative`, in fractions of the picture's width and height.
    """

    picture: Picture
    label: str
    edges: tuple[float, float, float, float]
    relative: bool
    person: str | None = None
    camera: str | None = None

    def within(self, width: int, height: int) -> tuple[int, int, int, int]:
        """(left, top, right, bottom) in whole pixels, clipped to a picture of this size. Raises PictureError."""
        told = self.picture.size
        # Fractions hold for a resized picture, and not for one that was turned.
        if told and told != (width, height) and not (self.relative and told != (height, width)):
            raise PictureError(
                f"its box is drawn on a picture of {told[0]} x {told[1]} pixels, and this one has {width} x {height}"
            )
        x, y, wide, high = self.edges
        if self.relative:
            x, y, wide, high = x * width, y * height, wide * width, high * height
        left, right = (round(min(max(edge, 0), width)) for edge in (x, x + wide))
        top, bottom = (round(min(max(edge, 0), height)) for edge in (y, y + high))
        if right <= left or bottom <= top:
            raise PictureError(f"its box lies outside the picture of {width} x {height} pixels")
        if min(right - left, bottom - top) < LEAST_SIDE:
            raise PictureError(
                f"its box has {right - left} x {bottom - top} pixels, a side of less than {LEAST_SIDE}"
            )
        if 3 * (right - left) * (bottom - top) > MAX_BYTES - 4096:
            raise PictureError(
                f"its box has {right - left} x {bottom - top} pixels, more than a crop of {MAX_BYTES >> 20} MB holds"
            )
        return left, top, right, bottom


@dataclass(frozen=True)
class BoxFile:
    """What a file of boxes holds. pictures: names of all that it lists. boxes: picture by picture, in the file's order.
    rejected: (name, reason) of boxes that cannot be used. notes: sentences on what was left out.
    """

    pictures: tuple[str, ...]
    boxes: tuple[Box, ...]
    rejected: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def boxes_among(names: Iterable[str], read: Callable[[str], bytes]) -> tuple[str, bytes] | None:
    """The file of boxes among plain names, and its bytes; None for none. Raises ValueError where there are several, or
    where one that is called like one is torn. read: raises PictureError.
    """
    named = sorted(
        name
        for name in names
        if name.lower().endswith(".json")
        and not PurePosixPath(name).name.startswith(".")
        and not is_of_macos(name)
    )
    usual = [name for name in named if _USUAL_NAME.fullmatch(PurePosixPath(name).stem)]
    if len(named) > _MOST_SNIFFED:  # one beside each picture
        named = usual
    found: tuple[str, bytes] | None = None
    for name in named[: 10 * _MOST_SNIFFED]:
        try:
            data = read(name)
        except PictureError as problem:
            if name in usual:
                raise ValueError(f"{name}: {problem.reason}") from None
            continue
        if not any(all(mark in data for mark in marks) for marks in _MARKS):
            if name in usual:
                _parsed(data, name)
            continue
        if found is not None:
            raise ValueError(
                f"there are several files of boxes ({found[0]}, {name}): keep one, or unpacked, name one of them"
            )
        found = name, data
    return found


def read_boxes(data: bytes, where: str, hear: Callable[[], None]) -> BoxFile:
    """Read a file of boxes. where: what it is called in sentences. hear: called for each box. Raises ValueError."""
    content = _parsed(data, where)
    if not isinstance(content, dict):
        content = {}
    if isinstance(content.get("annotations"), list) and isinstance(content.get("images"), list):
        marked = _coco(content)
    elif isinstance(content.get("samples"), list):
        marked = _samples(content)
    elif isinstance(content.get("labels"), dict):
        marked = _labels(content)
    else:
        raise ValueError(
            f"{where} is no file of boxes of a known kind: COCO's has images and annotations, "
            "FiftyOne's samples or labels"
        )
    return _sorted_out(marked, where, hear)


def _parsed(data: bytes, where: str) -> Any:
    if data.count(b"{") + data.count(b"[") > _MOST_PARTS:
        raise ValueError(f"{where} has more than {_MOST_PARTS:,} objects and lists: cut it into several")

    def slim(entry: dict[str, Any]) -> dict[str, Any]:
        for name in _UNUSED:
            entry.pop(name, None)
        return entry

    try:
        return json.loads(data, object_hook=slim)
    except json.JSONDecodeError as problem:
        raise ValueError(
            f"{where} is not whole JSON ({problem.msg}, line {problem.lineno}): was it cut off?"
        ) from None
    except UnicodeDecodeError:
        raise ValueError(f"{where} is not JSON in UTF-8") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists in lists
        raise ValueError(f"{where} is not JSON that can be read: its numbers or lists have no end") from None


@dataclass
class _Marked:
    """What a file marks, its boxes not yet looked at. marks: (picture, label, box, category, its entry). categories:
    all that it names. notes: as in BoxFile.
    """

    pictures: list[str]
    marks: Iterable[tuple[Picture, str, Any, str | None, dict[str, Any]]]
    categories: list[str]
    relative: bool
    rejected: list[tuple[str, str]]
    notes: list[str]


def _coco(content: dict[str, Any]) -> _Marked:
    rejected: list[tuple[str, str]] = []
    categories = {
        _id(entry.get("id")): str(entry.get("name")) for entry in _objects(content.get("categories"))
    }
    pictures: dict[str | None, Picture | None] = {}
    for number, entry in enumerate(content["images"], 1):
        name = entry.get("file_name") if isinstance(entry, dict) else None
        if not (isinstance(name, str) and name.strip()):
            rejected.append((f"picture number {number}", "it has no file_name"))
            continue
        key, picture = _id(entry.get("id")), _picture(name, entry, entry)
        pictures[key] = picture if pictures.get(key, picture) == picture else None

    def marks() -> Iterator[tuple[Picture, str, Any, str | None, dict[str, Any]]]:
        numbers: Counter[str] = Counter()
        labels: dict[str, set[str]] = defaultdict(set)
        for number, entry in enumerate(content["annotations"], 1):
            if not isinstance(entry, dict):
                rejected.append((f"annotation number {number}", "it is not an object"))
                continue
            own, key = _id(entry.get("id")), _id(entry.get("image_id"))
            if own and not _PLAIN_ID.fullmatch(own):
                own = None
            picture = pictures.get(key)
            if picture is None:
                reason = (
                    "several pictures have its image_id" if key in pictures else "no picture has its image_id"
                )
                rejected.append((f"annotation {own or f'number {number}'}", reason))
                continue
            numbers[picture.name] += 1
            label = own or f"box{numbers[picture.name]}"
            if label in labels[picture.name]:
                label = f"{label}-box{numbers[picture.name]}"
            labels[picture.name].add(label)
            category = categories.get(_id(entry.get("category_id")), "unknown") if categories else None
            yield picture, label, entry.get("bbox"), category, entry

    names = [picture.name for picture in pictures.values() if picture]
    return _Marked(names, marks(), list(categories.values()), False, rejected, [])


def _samples(content: dict[str, Any]) -> _Marked:
    """FiftyOne's own format: samples with fields of detections."""
    rejected: list[tuple[str, str]] = []
    samples = []
    for number, sample in enumerate(content["samples"], 1):
        name = sample.get("filepath") if isinstance(sample, dict) else None
        if isinstance(name, str) and name.strip():
            samples.append((_picture(name, sample.get("metadata"), sample), sample))
        else:
            rejected.append((f"sample number {number}", "it has no filepath"))
    fields = sorted({name for _, sample in samples for name, value in sample.items() if _detections(value)})
    field = "ground_truth" if "ground_truth" in fields else (fields or [""])[0]
    notes = []
    if len(fields) > 1:
        others = ", ".join(name for name in fields if name != field)
        notes.append(_sayable(f"boxes were taken from the field {field}, and none from {others}"))
    marks = [
        (picture, str(number), entry.get("bounding_box"), _category(entry.get("label"), []), entry)
        for picture, sample in samples
        for number, entry in enumerate(_detections(sample.get(field)), 1)
    ]
    return _Marked([picture.name for picture, _ in samples], marks, _used(marks), True, rejected, notes)


def _labels(content: dict[str, Any]) -> _Marked:
    """FiftyOne's format of detections alone: names of pictures, without their suffix, and lists of boxes."""
    given = content.get("classes")
    classes = [str(name) for name in given] if isinstance(given, list) else []
    pictures = {name: _picture(name, None, {}) for name in content["labels"] if name.strip()}
    marks = [
        (picture, str(number), entry.get("bounding_box"), _category(entry.get("label"), classes), entry)
        for name, picture in pictures.items()
        for number, entry in enumerate(_objects(content["labels"][name]), 1)
    ]
    names = [picture.name for picture in pictures.values()]
    return _Marked(names, marks, classes + _used(marks), True, [], [])


def _sorted_out(marked: _Marked, where: str, hear: Callable[[], None]) -> BoxFile:
    """Persons only, if there are any, no crowds, and no boxes that are none; picture by picture."""
    persons_only = any(_is_person(name) for name in marked.categories)
    boxes: dict[str, list[Box]] = {}
    crowds = others = 0
    rejected = marked.rejected
    for count, (picture, label, value, category, entry) in enumerate(marked.marks, 1):
        hear()
        if count > MOST_BOXES:
            raise ValueError(f"{where} has more than {MOST_BOXES:,} boxes: cut it into several")
        if persons_only and not _is_person(category or ""):
            others += 1
        elif entry.get("iscrowd") in (1, True, "1"):
            crowds += 1
        elif (edges := _edges(value)) is None:
            rejected.append(
                (f"{picture.name}#{label}", "its box is not four numbers: left, top, width, height")
            )
        elif min(edges[2:]) <= 0:
            rejected.append((f"{picture.name}#{label}", "its box has no width or no height"))
        else:
            camera = _said(entry, _CAMERA_NAMES) or picture.camera
            person = _said(entry, _PERSON_NAMES)
            box = Box(picture, label, edges, marked.relative, person, camera)
            boxes.setdefault(picture.name, []).append(box)
    notes = marked.notes
    if others:
        notes.append(f"boxes of other categories than {_PERSON}, left out: {others:,}")
    if crowds:
        notes.append(f"boxes of crowds, left out: {crowds:,}")
    if marked.categories and not persons_only:
        named = _sayable(", ".join(dict.fromkeys(marked.categories))[:200])
        notes.append(f"{where} has no category {_PERSON}: the boxes of all were taken ({named})")
    if not boxes and not rejected:
        raise ValueError(f"{where} has no boxes of people")
    flat = tuple(box for some in boxes.values() for box in some)
    return BoxFile(tuple(dict.fromkeys(marked.pictures)), flat, tuple(rejected), tuple(notes))


def _is_person(category: str) -> bool:
    return category.strip().casefold() == _PERSON


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _detections(value: Any) -> list[dict[str, Any]]:
    """Of a field of a FiftyOne sample; none for other fields."""
    if not isinstance(value, dict):
        return []
    if value.get("_cls") == "Detection":
        return [value]
    return _objects(value.get("detections")) if value.get("_cls") == "Detections" else []


def _category(label: Any, classes: list[str]) -> str:
    """By its name, or by its number among the classes."""
    is_number = isinstance(label, int) and not isinstance(label, bool)
    return classes[label] if is_number and 0 <= label < len(classes) else str(label)


def _used(marks: Iterable[tuple[Picture, str, Any, str | None, dict[str, Any]]]) -> list[str]:
    return sorted({category for _, _, _, category, _ in marks if category})


def _picture(name: str, sized: Any, said: dict[str, Any]) -> Picture:
    """sized: what has its width and height. said: what may tell its camera."""
    plain = _sayable(name.strip().replace("\\", "/"))
    width, height = (sized.get(side) if isinstance(sized, dict) else None for side in ("width", "height"))
    whole = isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0
    return Picture(plain, (width, height) if whole else None, _said(said, _CAMERA_NAMES))  # type: ignore[arg-type]


def _sayable(text: str) -> str:
    """Without halves of surrogate pairs, which JSON can write, and no file, database or screen can take."""
    return text.encode("utf-8", "backslashreplace").decode()


def _said(entry: dict[str, Any], names: Iterable[str]) -> str | None:
    """The first of these that an entry, or its attributes, have: a text or whole number, -1 standing for none."""
    attributes = entry.get("attributes")
    for name in names:
        for said in (entry, attributes if isinstance(attributes, dict) else {}):
            value = said.get(name)
            text = _id(value.get("value") if isinstance(value, dict) else value)
            if text and text != "-1" and text.isprintable():
                return text
    return None


def _id(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, int | str) and not isinstance(value, bool) else None


def _edges(value: Any) -> tuple[float, float, float, float] | None:
    if not isinstance(value, list) or len(value) != 4:
        return None
    if not all(isinstance(edge, int | float) and not isinstance(edge, bool) for edge in value):
        return None
    try:
        x, y, width, height = map(float, value)
    except OverflowError:
        return None
    return (x, y, width, height) if all(map(math.isfinite, (x, y, width, height))) else None
