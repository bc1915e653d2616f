"""Cameras in an operator's words: "only camera 3", "cameras 1, 2 and 4", "camera 2-4", "not camera 5"."""

from __future__ import annotations

import re
from collections.abc import Iterable
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
_BEFORE_EVERY = frozenset(listed("the on in from of use other remaining"))
_DROP_AFTER = ("does not matter", "do not matter", "is not important", "is irrelevant", "filter off")
_BUT = frozenset({"except", "but", "excluding", "apart", "other"})
_WHOLE = frozenset(listed("all every any anything everything everywhere anywhere camera cameras"))
_BEFORE_NAME = frozenset(
    listed("at in on from the only near to into inside outside via through past by toward towards")
)
# Beside a name that stands without any of these: "lobby only", "entrance or lobby after 2pm", "not lobby".
_LEFT_OF_NAME = frozenset(listed("and or not just also plus except but to then maybe either"))
_RIGHT_OF_NAME = frozenset(
    listed(
        """
    only too also alone please instead as after before at around between from since until about on in during
    yesterday today tonight this last
    """
    )
)
_NUMBERED = re.compile(r"(.*[^\W\d_].*?)(\d+)")  # "platform 2"
_LEADING = frozenset(listed("also on in at from near the either only number"))
_WITHIN = frozenset({"-", ".", "/", "#"})  # between the parts of a name
_PART = re.compile(r"[^\W\d_]+|\d+")
_THROUGH = ("to", "-", "through", "till", "until")
_RIGHTING = frozenset(listed("it that was is i meant mean should be sorry make on the number not"))
_MAX_RANGE = 50  # cameras in one "camera 2-40", at most


def read_cameras(cursor: TokenCursor, filters: Filters, gallery: GalleryFacts) -> Filters:
    """The filters after what the message says of cameras; takes those tokens. A camera that the gallery
    does not have is named in a note and not applied.
    """
    if corrected := _corrected(cursor, filters, gallery):
        return corrected
    position = joined = 0
    said: tuple[str, ...] = ()  # by the mention before
    while position < len(cursor.tokens):
        mention = _mention(cursor, position, gallery)
        if mention is None:
            position += 1
            continue
        names, start, end = mention
        if cursor.text(start) in _NAMES and cursor.text(end) in _BUT and not names:
            others, after = _others(cursor, end, gallery)
            if others:  # "all cameras except 5 and 6"
                filters = replace(filters, cameras=())
                cursor.take(start - 1 if cursor.text(start - 1) in _ALL else start, start + 1)
                filters = _change(cursor, filters, gallery, others, after - 1, after, excluded=True)
                cursor.take(start, after)
                position = after
                continue
        before = filters.cameras
        joins = joined > 0 and _joins(cursor, joined, start)
        filters = _change(cursor, filters, gallery, names, start, end)
        if joins and said and filters.cameras and not set(said) & set(filters.cameras):
            filters = replace(
                filters, cameras=(*said, *filters.cameras)
            )  # "in at camera 1 and out at camera 5"
        said = filters.cameras if filters.cameras != before else ()
        position = joined = end
    return filters


def _corrected(cursor: TokenCursor, filters: Filters, gallery: GalleryFacts) -> Filters | None:
    """ "Make that 3", "or 4" after "camera 2", where no time is known that it may be of; else None."""
    position = len(cursor.tokens) - 1
    while position > 0 and cursor.tokens[position].is_stop:
        position -= 1
    if whole_number(cursor.text(position)) is None or filters.after is not None or filters.before is not None:
        return None
    corrects = len(filters.cameras) == 1 and cursor.corrects(position)
    if not corrects and not (filters.cameras and cursor.adds(position, position + 1)):
        return None
    names = [str(whole_number(cursor.text(position)))]
    return _change(cursor, filters, gallery, names, position, position + 1)


def _joins(cursor: TokenCursor, joined: int, start: int) -> bool:
    """Whether a mention joins one that ends at `joined`: "in at camera 1 and out at camera 5", "from the lobby to the
    hall".
    """
    if any(cursor.text(at) in ("and", "then", "or") for at in range(joined, start)):
        return True
    return cursor.text(start - 1) == "to" or (
        cursor.text(start - 1) in ("the", *_NAMES) and cursor.text(start - 2) == "to"
    )


def _others(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[str], int]:
    """The cameras of "except 5 and 6" at `position`, and one past the last token."""
    return _list(cursor, position + _skip_but(cursor, position), gallery, [])


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
        names, end = _list(cursor, end + said, gallery, [name])
        return (names, position, end) if said or _is_meant(cursor, position, end, name) else None
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
        if cursor.text(position - 1) == "wrong":
            return _righted(cursor, position, gallery)
        return ([], position, position + 1) if _is_every(cursor, position, gallery) else None
    if few := _few(cursor, position, gallery):
        return few[0], position, few[1]
    ordinals, end = _ordinals(cursor, position)
    if not ordinals or cursor.text(end) not in _NAMES:
        return None
    number = whole_number(cursor.text(end + 1)) is not None and cursor.may_follow(end + 2)
    return None if number else (ordinals, position, end + 1)  # "first camera 2, then camera 4"


def _is_meant(cursor: TokenCursor, position: int, end: int, name: str) -> bool:
    """Whether the name of a camera at position..end, without the word "camera", is meant as one."""
    key = camera_key(name)
    if len(key) <= 3:
        return False
    if cursor.text(position - 1) in _BEFORE_NAME or re.search(r"[^\W\d_]{4}.* \d", key):
        return True
    left, right = cursor.text(position - 1), cursor.text(end)
    if right == "only":
        return True
    led = not left or cursor.tokens[position - 1].is_stop or left in _LEFT_OF_NAME
    return led and (not right or cursor.tokens[end].is_stop or right in _RIGHT_OF_NAME)


def _is_every(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> bool:
    """Whether the word "camera" at `position`, which names none, is of all of them or all but some: "all the cameras",
    "forget the camera", "cameras other than 1"."""
    if cursor.text(position + 1) in _BUT and _others(cursor, position + 1, gallery)[0]:
        return True
    before = position - 1
    while cursor.text(before) in ("the", "of", "other", "remaining"):
        before -= 1
    every = cursor.text(before) in _ALL or (_of_others(cursor, position) and cursor.text(position)[-1] == "s")
    cleared = cursor.text(position - 1) in _CLEARING or cursor.text(position - 2) in _CLEARING
    return every or cleared or cursor.longest(position + 1, _DROP_AFTER) is not None


def _of_others(cursor: TokenCursor, position: int) -> bool:
    """ "All the other cameras"."""
    return cursor.text(position - 1) in ("other", "remaining")


def _righted(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[str], int, int] | None:
    """ "Wrong camera, 4", "wrong camera, I meant 4"."""
    here = position + 1
    while here < len(cursor.tokens) and (cursor.tokens[here].is_stop or cursor.text(here) in _RIGHTING):
        here += 1
    names, end = _list(cursor, here, gallery, [])
    return (names, position, end) if names and cursor.may_follow(end) else None


def _few(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[str], int] | None:
    """ "The first two cameras", "the last 3 cameras", in the order of their names."""
    number = whole_number(cursor.text(position + 1))
    if not number or cursor.text(position + 2) not in _NAMES or not gallery.cameras:
        return None
    ordered = sorted(gallery.cameras, key=_natural)
    if cursor.text(position) == "first":
        return ordered[:number], position + 3
    return (ordered[-number:], position + 3) if cursor.text(position) == "last" else None


def _natural(name: str) -> list[tuple[int, str]]:
    """By which "camera 10" comes after "camera 2"."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _PART.findall(camera_key(name))]


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
    several = cursor.text(position - 1) in ("cameras", "cams")
    while True:
        here = position
        if joined:
            while cursor.text(here) in _JOINTS or (here > position and cursor.text(here) in _LEADING):
                here += 1
            if here == position and cursor.text(here) not in _THROUGH and not several:
                return names, end
            if cursor.text(here) in _NAMES:
                here += 1
            elif glued := _GLUED.fullmatch(cursor.text(here)):
                names.append(glued[1])
                position = end = here + 1
                continue
        if cursor.text(here) in _THROUGH and names and _number_of(names[-1]) is not None:
            last = whole_number(cursor.text(here + 1))
            first = _number_of(names[-1]) or 0
            if (
                last is None
                or not first < last <= first + _MAX_RANGE
                or cursor.text(here + 2) in ("am", "pm")
            ):
                return names, end
            names += [_alike(names[-1], str(number), gallery) for number in range(first + 1, last + 1)]
            position = end = here + 2
            continue
        more, after = _one(cursor, here, gallery)
        more = [_alike(names[-1], name, gallery) for name in more] if names else more
        if more and cursor.text(after) in _NAMES and not more[-1].isdigit():
            after += 1  # "the lobby camera or the hall camera"
        if (
            not more
            or (joined and not (cursor.may_follow(after) or (several and _is_number(cursor, after))))
            or cursor.text(after) in ("am", "pm", "oclock")
        ):
            return names, end
        names += more
        position = end = after
        joined = True


def _is_number(cursor: TokenCursor, position: int) -> bool:
    return position < len(cursor.tokens) and cursor.tokens[position].kind == "number"


def _number_of(name: str) -> int | None:
    """The number of "3", and of "platform 3"; None where there is none at the end."""
    match = _NUMBERED.fullmatch(camera_key(name))
    if match:
        return int(match[2])
    return int(name) if name.isdigit() else None


def _alike(before: str, name: str, gallery: GalleryFacts) -> str:
    """ "Platforms 1 and 2": a mere number that is no camera is called as the camera before it is."""
    match = _NUMBERED.fullmatch(camera_key(before))
    keys = {camera_key(camera): camera for camera in gallery.cameras}
    if match is None or not name.isdigit() or name in keys:
        return name
    return keys.get(match[1] + name, match[1] + name)


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
    for name, whole in _written(gallery.cameras):
        here, read = position, ""
        while here < len(cursor.tokens) and read != whole:
            own = _together(map(_plain, _PART.findall(cursor.text(here))))
            if here == position and not whole.startswith(own) and whole[len(own) - 1 :][:1].isdigit():
                own = own.removesuffix("s")  # "platforms 1 and 2"
            if own and whole.startswith(_together([read, own])):
                read = _together([read, own])
            elif not read or cursor.text(here) not in _WITHIN:
                break
            here += 1
        if read == whole and (best is None or here > best[1]):
            best = name, here
    return best


def _together(parts: Iterable[str]) -> str:
    """The parts of a name as one, so that "car park" is "carpark"; numbers stay apart."""
    written = ""
    for part in parts:
        written += f".{part}" if written[-1:].isdigit() and part[:1].isdigit() else part
    return written


def _plain(part: str) -> str:
    return (part.lstrip("0") or "0") if part.isdigit() else part


def _ordinal(text: str) -> int | None:
    match = re.fullmatch(r"(\d{1,3})(?:st|nd|rd|th)", text)
    return int(match[1]) if match else None


@lru_cache(maxsize=8)
def _written(cameras: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """(name, its words and numbers as one) of each camera that is more than a number."""
    rows = [(name, _together(map(_plain, _PART.findall(camera_key(name))))) for name in cameras]
    return tuple((name, whole) for name, whole in rows if whole and not camera_key(name).isdigit())


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
        others = _of_others(cursor, start) and filters.cameras
        while cursor.text(begin - 1) in _ALL | _CLEARING | _BEFORE_EVERY:
            begin -= 1
        after = cursor.longest(end, _DROP_AFTER) or ""
        if cursor.text(end) == "filter" or cursor.text(end) == "filters":
            end += 1
        cursor.take(begin, end + len(after.split()))
        return replace(filters, cameras=(), not_cameras=others or ())
    dropped = any(cursor.text(begin - back) in _CLEARING for back in (1, 2))
    adds = any(cursor.text(position) in _ADDING for position in (begin - 1, begin - 2, end))
    adds |= cursor.adds(start, end)
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
