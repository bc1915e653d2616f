"""Cameras in an operator's words: "only camera 3", "cameras 1, 2 and 4", "camera 2-4", "not camera 5"."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from app.chat.tables import listed
from app.chat.taking import Taking, whole_number
from app.chat.values import GalleryFacts
from app.chat.words import ORDINALS
from gallery_store.crops import Filters, camera_key

_NAMES = frozenset({"camera", "cameras", "cam", "cams"})
_GLUED = re.compile(r"(?:camera|cam|c)0*(\d{1,4})")
_JOINTS = frozenset({",", "and", "or", "/", "nor"})
_ALL = frozenset({"any", "all", "every", "each", "whichever", "both", "across"})
_CLEARING = frozenset({"forget", "remove", "drop", "ignore", "clear", "reset", "delete", "skip", "cancel"})
_ADDING = frozenset({"also", "plus", "add", "including", "too"})
_AFTER = ("does not matter", "do not matter", "is not important", "is irrelevant", "filter off")
_BUT = frozenset({"except", "but", "excluding", "apart", "other"})
_WHOLE = frozenset(listed("all every any anything everything everywhere anywhere camera cameras"))
_SPAN = 50  # cameras in one "camera 2-40", at most


def read_cameras(taking: Taking, filters: Filters, gallery: GalleryFacts) -> Filters:
    """The filters after what the message says of cameras; takes those tokens. A camera that the gallery
    does not have is named in a note and not applied.
    """
    place = 0
    while place < len(taking.tokens):
        found = _at(taking, place, gallery)
        if found is None:
            place += 1
            continue
        names, start, end = found
        if taking.text(start) in _NAMES and taking.text(end) in _BUT and not names:
            others, after = _list(taking, end + _skip_but(taking, end), gallery, [])
            if others:  # "all cameras except 5 and 6"
                filters = replace(filters, cameras=())
                taking.take(start - 1, start + 1)
                filters = _change(taking, filters, gallery, others, after - 1, after, excluded=True)
                taking.take(start, after)
                place = after
                continue
        filters = _change(taking, filters, gallery, names, start, end)
        place = end
    return filters


def _skip_but(taking: Taking, place: int) -> int:
    """How many words "except", "apart from", "except for camera" take."""
    after = place + 1
    while taking.text(after) in ("for", "from", "than", "number", *_NAMES):
        after += 1
    return after - place


def _at(taking: Taking, place: int, gallery: GalleryFacts) -> tuple[list[str], int, int] | None:
    """(names, first token, one past the last) of the mention of cameras at `place`; no names: "any
    camera".
    """
    text = taking.text(place)
    if glued := _GLUED.fullmatch(text):
        names, end = _list(taking, place + 1, gallery, [glued[1]])
        return names, place, end
    if text in _NAMES:
        after = place + 1
        while taking.text(after) in ("number", "no", "nr", "id", "#", "view"):
            after += 1
        names, end = _list(taking, after, gallery, [])
        if names:
            return names, place, end
        if taking.text(place - 1) in _ALL | _CLEARING or taking.text(place - 2) in _CLEARING:
            return [], place, place + 1
        if taking.first(place + 1, _AFTER):
            return [], place, place + 1
        if taking.text(place - 1) in ("other", "another", "different"):
            return None
        return None
    ordinal = ORDINALS.get(text) or _ordinal(text)
    if ordinal is not None and taking.text(place + 1) in _NAMES:
        return [str(ordinal)], place, place + 2
    for name, key in _keys(gallery.cameras):
        if key.isdigit() or not taking.words(place, key):
            continue
        end = place + len(key.split())
        if taking.text(end) in _NAMES:
            return [name], place, end + 1
        if len(key) > 3 and taking.text(place - 1) in (
            "at",
            "in",
            "on",
            "from",
            "the",
            "only",
            "near",
        ):
            return [name], place, end
    return None


def _list(taking: Taking, place: int, gallery: GalleryFacts, names: list[str]) -> tuple[list[str], int]:
    """Read "1, 2 and 4", "2-4", "2 to 4", "entrance" from `place` on; the names and one past the last
    token.
    """
    end = place
    joined = bool(names)
    while True:
        here = place
        if joined:
            while taking.text(here) in _JOINTS or (here > place and taking.text(here) in ("also", "on")):
                here += 1
            if here == place and taking.text(here) not in ("to", "-", "through"):
                return names, end
            if taking.text(here) in _NAMES:
                here += 1
            elif glued := _GLUED.fullmatch(taking.text(here)):
                names.append(glued[1])
                place = end = here + 1
                continue
        if taking.text(here) in ("to", "-", "through", "till") and names and names[-1].isdigit():
            last = whole_number(taking.text(here + 1))
            first = int(names[-1])
            if last is None or not first < last <= first + _SPAN or taking.text(here + 2) in ("am", "pm"):
                return names, end
            names += [str(number) for number in range(first + 1, last + 1)]
            place = end = here + 2
            continue
        found, after = _one(taking, here, gallery)
        if (
            not found
            or (joined and not taking.may_follow(after))
            or taking.text(after) in ("am", "pm", "oclock")
        ):
            return names, end
        names += found
        place = end = after
        joined = True


def _one(taking: Taking, place: int, gallery: GalleryFacts) -> tuple[list[str], int]:
    number = whole_number(taking.text(place))
    if number is not None:
        return [str(number)], place + 1
    if re.fullmatch(r"\d{1,3}(?:/\d{1,3})+", taking.text(place)):  # "cameras 1/2"
        return [str(int(part)) for part in taking.text(place).split("/")], place + 1
    for name, key in _keys(gallery.cameras):
        if taking.words(place, key):
            return [name], place + len(key.split())
    return [], place


def _ordinal(text: str) -> int | None:
    match = re.fullmatch(r"(\d{1,3})(?:st|nd|rd|th)", text)
    return int(match[1]) if match else None


@lru_cache(maxsize=8)
def _keys(cameras: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(name, how it is said) of each camera that can be said, the longest first."""
    keys = [(name, " ".join(camera_key(name).split())) for name in cameras]
    return tuple(sorted((row for row in keys if row[1]), key=lambda row: -len(row[1])))


def camera_words(cameras: tuple[str, ...]) -> frozenset[str]:
    """Every word of the cameras' names."""
    return frozenset(word for _, key in _keys(cameras) for word in key.split())


def camera_label(name: str) -> str:
    """How a camera is called on the screen: "camera 3", "camera entrance"."""
    return f"camera {camera_key(name)}"


def _change(
    taking: Taking,
    filters: Filters,
    gallery: GalleryFacts,
    names: list[str],
    start: int,
    end: int,
    excluded: bool = False,
) -> Filters:
    negated, begin = (True, start) if excluded else taking.negated(start)
    if not names:
        begin = start
        while taking.text(begin - 1) in _ALL | _CLEARING | {"the", "on", "in", "from", "of", "use"}:
            begin -= 1
        after = next((phrase for phrase in _AFTER if taking.words(end, phrase)), "")
        if taking.text(end) == "filter" or taking.text(end) == "filters":
            end += 1
        taking.take(begin, end + len(after.split()))
        return replace(filters, cameras=(), not_cameras=())
    dropped = any(taking.text(begin - back) in _CLEARING for back in (1, 2))
    adds = any(taking.text(place) in _ADDING for place in (begin - 1, begin - 2, end))
    everything_but = negated and taking.text(begin) == "but"
    if everything_but and not any(taking.text(at) in _WHOLE for at in range(max(0, begin - 3), begin)):
        negated, begin = False, begin + 1  # "a red jacket but on camera 3"
    taking.take(begin, end)
    by_key = {camera_key(name): name for name in gallery.cameras}
    there = list(dict.fromkeys(by_key[camera_key(name)] for name in names if camera_key(name) in by_key))
    absent = list(dict.fromkeys(name for name in names if camera_key(name) not in by_key))
    if absent:
        taking.notes.append(_absent(absent, gallery))
    if not there:
        return filters
    if dropped:
        return replace(
            filters,
            cameras=tuple(name for name in filters.cameras if name not in there),
            not_cameras=tuple(name for name in filters.not_cameras if name not in there),
        )
    if negated:
        kept = tuple(name for name in filters.cameras if name not in there)
        return replace(
            filters, cameras=kept, not_cameras=tuple(dict.fromkeys((*filters.not_cameras, *there)))
        )
    cameras = tuple(dict.fromkeys((*(filters.cameras if adds else ()), *there)))
    return replace(
        filters, cameras=cameras, not_cameras=tuple(name for name in filters.not_cameras if name not in there)
    )


def _absent(names: list[str], gallery: GalleryFacts) -> str:
    missing = " or ".join(names)
    if not gallery.cameras:
        return f"The gallery knows no cameras, so I did not filter by camera {missing}."
    return f"There is no camera {missing} in this gallery; it has {listed_cameras(gallery.cameras)}."


def listed_cameras(cameras: tuple[str, ...]) -> str:
    """The gallery's cameras in few words: "cameras 1 to 6", "cameras door and yard"."""
    keys = [camera_key(name) for name in cameras]
    numbers = sorted(int(key) for key in keys if key.isdigit())
    if len(numbers) == len(keys) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"cameras {numbers[0]} to {numbers[-1]}"
    ordered = [*(str(number) for number in numbers), *sorted(key for key in keys if not key.isdigit())]
    shown, more = ordered[:12], len(ordered) - 12
    if more > 0:
        return f"cameras {', '.join(shown)} and {more} more"
    if len(shown) == 1:
        return f"camera {shown[0]} alone"
    return f"cameras {', '.join(shown[:-1])} and {shown[-1]}"
