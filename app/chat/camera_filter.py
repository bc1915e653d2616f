"""Cameras in an operator's words: "only camera 3", "cameras 1, 2 and 4", "camera 2-4", "not camera 5"."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from app.chat.labels import listed_cameras
from app.chat.message_tokens import TokenCursor, whole_number
from app.chat.search_state import GalleryFacts
from app.chat.words import ORDINALS, listed
from gallery_store.crops import Filters, camera_key

_NAMES = frozenset({"camera", "cameras", "cam", "cams"})
_GLUED = re.compile(r"(?:camera|cam|c)0*(\d{1,4})")
_JOINTS = frozenset({",", "and", "or", "/", "nor"})
_ALL = frozenset({"any", "all", "every", "each", "whichever", "both", "across"})
_CLEARING = frozenset({"forget", "remove", "drop", "ignore", "clear", "reset", "delete", "skip", "cancel"})
_ADDING = frozenset({"also", "plus", "add", "including", "include", "too"})
_DROP_AFTER = ("does not matter", "do not matter", "is not important", "is irrelevant", "filter off")
_BUT = frozenset({"except", "but", "excluding", "apart", "other"})
_WHOLE = frozenset(listed("all every any anything everything everywhere anywhere camera cameras"))
_BEFORE_NAME = frozenset({"at", "in", "on", "from", "the", "only", "near"})
_LEADING = frozenset(listed("also on in at from near the either only number"))
_WITHIN = frozenset({"-", ".", "/", "#"})  # between the parts of a name
_PART = re.compile(r"[^\W\d_]+|\d+")
_MAX_RANGE = 50  # cameras in one "camera 2-40", at most


def read_cameras(cursor: TokenCursor, filters: Filters, gallery: GalleryFacts) -> Filters:
    """The filters after what the message says of cameras; takes those tokens. A camera that the gallery
    does not have is named in a note and not applied.
    """
    position = joined = 0
    said: tuple[str, ...] = ()  # by the mention before
    while position < len(cursor.tokens):
        mention = _mention(cursor, position, gallery)
        if mention is None:
            position += 1
            continue
        names, start, end = mention
        if cursor.text(start) in _NAMES and cursor.text(end) in _BUT and not names:
            others, after = _list(cursor, end + _skip_but(cursor, end), gallery, [])
            if others:  # "all cameras except 5 and 6"
                filters = replace(filters, cameras=())
                cursor.take(start - 1, start + 1)
                filters = _change(cursor, filters, gallery, others, after - 1, after, excluded=True)
                cursor.take(start, after)
                position = after
                continue
        before = filters.cameras
        joins = any(cursor.text(at) in ("and", "then", "or") for at in range(joined, start)) and joined > 0
        filters = _change(cursor, filters, gallery, names, start, end)
        if joins and said and filters.cameras and not set(said) & set(filters.cameras):
            filters = replace(
                filters, cameras=(*said, *filters.cameras)
            )  # "in at camera 1 and out at camera 5"
        said = filters.cameras if filters.cameras != before else ()
        position = joined = end
    return filters


def _skip_but(cursor: TokenCursor, position: int) -> int:
    """How many words "except", "apart from", "except for camera" take."""
    after = position + 1
    while cursor.text(after) in ("for", "from", "than", "number", "the", "in", "on", "at", *_NAMES):
        after += 1
    return after - position


def _mention(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[str], int, int] | None:
    """(names, first token, one past the last) of the mention of cameras at `position`; no names: "any
    camera".
    """
    text = cursor.text(position)
    if named := _named_at(cursor, position, gallery):
        name, end = named
        said = cursor.text(end) in _NAMES
        if said or (len(camera_key(name)) > 3 and cursor.text(position - 1) in _BEFORE_NAME):
            names, end = _list(cursor, end + said, gallery, [name])
            return names, position, end
        names, end = _list(cursor, end, gallery, [name])
        alone = all(token.is_stop for token in (*cursor.tokens[:position], *cursor.tokens[end:]))
        return (names, position, end) if alone and len(camera_key(name)) > 3 else None
    if glued := _GLUED.fullmatch(text):
        names, end = _list(cursor, position + 1, gallery, [glued[1]])
        return names, position, end
    if text in _NAMES:
        after = position + 1
        while cursor.text(after) in ("number", "no", "nr", "id", "#", "view"):
            after += 1
        names, end = _list(cursor, after, gallery, [])
        if names:
            return names, position, end
        if cursor.text(position - 1) in _ALL | _CLEARING or cursor.text(position - 2) in _CLEARING:
            return [], position, position + 1
        if cursor.longest(position + 1, _DROP_AFTER):
            return [], position, position + 1
        return None
    ordinals, end = _ordinals(cursor, position)
    return (ordinals, position, end + 1) if ordinals and cursor.text(end) in _NAMES else None


def _ordinals(cursor: TokenCursor, position: int) -> tuple[list[str], int]:
    """Read "first", "2nd and third" from `position` on; the numbers and one past the last token."""
    numbers: list[str] = []
    end = position
    while (number := ORDINALS.get(cursor.text(position)) or _ordinal(cursor.text(position))) is not None:
        numbers.append(str(number))
        position = end = position + 1
        while cursor.text(position) in _JOINTS | {"the"}:
            position += 1
    return numbers, end


def _list(
    cursor: TokenCursor, position: int, gallery: GalleryFacts, names: list[str]
) -> tuple[list[str], int]:
    """Read "1, 2 and 4", "2-4", "2 to 4", "entrance" from `position` on; the names and one past the last
    token.
    """
    end = position
    joined = bool(names)
    while True:
        here = position
        if joined:
            while cursor.text(here) in _JOINTS or (here > position and cursor.text(here) in _LEADING):
                here += 1
            if here == position and cursor.text(here) not in ("to", "-", "through"):
                return names, end
            if cursor.text(here) in _NAMES:
                here += 1
            elif glued := _GLUED.fullmatch(cursor.text(here)):
                names.append(glued[1])
                position = end = here + 1
                continue
        if cursor.text(here) in ("to", "-", "through", "till") and names and names[-1].isdigit():
            last = whole_number(cursor.text(here + 1))
            first = int(names[-1])
            if (
                last is None
                or not first < last <= first + _MAX_RANGE
                or cursor.text(here + 2) in ("am", "pm")
            ):
                return names, end
            names += [str(number) for number in range(first + 1, last + 1)]
            position = end = here + 2
            continue
        more, after = _one(cursor, here, gallery)
        if more and cursor.text(after) in _NAMES and not more[-1].isdigit():
            after += 1  # "the lobby camera or the hall camera"
        if (
            not more
            or (joined and not cursor.may_follow(after))
            or cursor.text(after) in ("am", "pm", "oclock")
        ):
            return names, end
        names += more
        position = end = after
        joined = True


def _one(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[str], int]:
    """The camera, or the cameras of "1/2", at `position`, and one past the last token; no names where there is none.

    What only looks like the name of a camera ("2-c", "10.0.0.7") is one too, so that its absence can be said.
    """
    if named := _named_at(cursor, position, gallery):
        return [named[0]], named[1]
    text = cursor.text(position)
    if whole_number(text) is not None:
        letter = cursor.text(position + 2)
        if (
            text.isdigit()
            and cursor.text(position + 1) == "-"
            and letter.isalpha()
            and whole_number(letter) is None
        ):
            return [f"{text}-{letter}"], position + 3
        return [str(whole_number(text))], position + 1
    if re.fullmatch(r"\d{1,3}(?:/\d{1,3})+", text):  # "cameras 1/2"
        return [str(int(part)) for part in text.split("/")], position + 1
    if re.fullmatch(r"\d+[a-z]|\d+(?:\.\d+){2,}", text):
        return [text], position + 1
    return [], position


def _named_at(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[str, int] | None:
    """The camera whose name stands at `position` with dots, dashes or nothing between its parts, the longest that
    does, and one past the last token; None for a mere number."""
    best: tuple[str, int] | None = None
    for name, parts in _parts(gallery.cameras):
        here, left = position, list(parts)
        while left and here < len(cursor.tokens):
            own = _PART.findall(cursor.text(here))
            if own and [_plain(part) for part in own] == left[: len(own)]:
                left = left[len(own) :]
            elif left == list(parts) or cursor.text(here) not in _WITHIN:
                break
            here += 1
        if not left and (best is None or here > best[1]):
            best = name, here
    return best


def _plain(part: str) -> str:
    return (part.lstrip("0") or "0") if part.isdigit() else part


def _ordinal(text: str) -> int | None:
    match = re.fullmatch(r"(\d{1,3})(?:st|nd|rd|th)", text)
    return int(match[1]) if match else None


@lru_cache(maxsize=8)
def _parts(cameras: tuple[str, ...]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """(name, its words and numbers) of each camera that is more than a number."""
    rows = [(name, tuple(_plain(part) for part in _PART.findall(camera_key(name)))) for name in cameras]
    return tuple((name, parts) for name, parts in rows if parts and not camera_key(name).isdigit())


def camera_words(cameras: tuple[str, ...]) -> frozenset[str]:
    """Every word of the cameras' names."""
    return frozenset(word for name in cameras for word in camera_key(name).split())


def _change(
    cursor: TokenCursor,
    filters: Filters,
    gallery: GalleryFacts,
    names: list[str],
    start: int,
    end: int,
    excluded: bool = False,
) -> Filters:
    """The filters after one mention, tokens start..end, in the light of the words around it: "not", "also",
    "forget". No names: every camera.
    """
    negated, begin = (True, start) if excluded else cursor.negated(start)
    if not names:
        begin = start
        while cursor.text(begin - 1) in _ALL | _CLEARING | {"the", "on", "in", "from", "of", "use"}:
            begin -= 1
        after = cursor.longest(end, _DROP_AFTER) or ""
        if cursor.text(end) == "filter" or cursor.text(end) == "filters":
            end += 1
        cursor.take(begin, end + len(after.split()))
        return replace(filters, cameras=(), not_cameras=())
    dropped = any(cursor.text(begin - back) in _CLEARING for back in (1, 2))
    adds = any(cursor.text(position) in _ADDING for position in (begin - 1, begin - 2, end))
    everything_but = negated and cursor.text(begin) == "but"
    if everything_but and not any(
        cursor.text(position) in _WHOLE for position in range(max(0, begin - 3), begin)
    ):
        negated, begin = False, begin + 1  # "a red jacket but on camera 3"
    cursor.take(begin, end)
    by_key = {camera_key(name): name for name in gallery.cameras}
    in_gallery = list(dict.fromkeys(by_key[camera_key(name)] for name in names if camera_key(name) in by_key))
    absent = list(dict.fromkeys(name for name in names if camera_key(name) not in by_key))
    if absent:
        cursor.notes.append(_absent(absent, gallery))
    if not in_gallery:
        return filters
    if dropped:
        return replace(
            filters,
            cameras=tuple(name for name in filters.cameras if name not in in_gallery),
            not_cameras=tuple(name for name in filters.not_cameras if name not in in_gallery),
        )
    if negated:
        kept = tuple(name for name in filters.cameras if name not in in_gallery)
        return replace(
            filters, cameras=kept, not_cameras=tuple(dict.fromkeys((*filters.not_cameras, *in_gallery)))
        )
    lifted = adds and not filters.cameras and bool(set(in_gallery) & set(filters.not_cameras))
    cameras = tuple(dict.fromkeys((*(filters.cameras if adds else ()), *(() if lifted else in_gallery))))
    return replace(
        filters,
        cameras=cameras,
        not_cameras=tuple(name for name in filters.not_cameras if name not in in_gallery),
    )


def _absent(names: list[str], gallery: GalleryFacts) -> str:
    missing = " or ".join(names)
    if not gallery.cameras:
        return f"The gallery knows no cameras, so I did not filter by camera {missing}."
    return f"There is no camera {missing} in this gallery; it has {listed_cameras(gallery.cameras)}."
