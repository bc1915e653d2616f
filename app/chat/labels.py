"""How things are called on the screen: "a red jacket", "camera 3", "12 May 2026", "after 14:00"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from app.chat.words import MONTHS
from app.model.vocabulary import (
    ALL_KINDS,
    COLOUR_OF,
    QUALITIES_OF,
    Attribute,
    absence_words,
    and_list,
    article,
    kinds_of,
    noun_of,
    phrase,
    thing_of,
    thing_words,
)
from gallery_store.crops import Filters, camera_key


def things_in(attributes: Sequence[Attribute]) -> list[tuple[str, list[Attribute]]]:
    """(kind of thing, its attributes) of each thing, in the vocabulary's order."""
    order = list(ALL_KINDS)
    things = sorted({thing_of(attribute.kind) for attribute in attributes}, key=order.index)
    return [(thing, [a for a in attributes if a.kind in kinds_of(thing)]) for thing in things]


def thing_label(thing: str, attributes: Sequence[Attribute]) -> str:
    """A thing with its colour and pattern in one: "red striped shirt", "long black hair", "red bag"."""
    has = {attribute.kind: attribute.value for attribute in attributes}
    if thing not in COLOUR_OF:
        return phrase(attributes[0])
    if thing == "hair":
        style, colour = has.get("hair", ""), has.get("hair_colour", "")
        if style in ("ponytail", "bun", "bald"):
            return f"{colour} {style}".strip()
        return " ".join(word for word in (style, colour, "hair") if word)
    if set(has) == {"upper_print"}:
        return phrase(attributes[0])
    printed = has.get("upper_print")
    tail = f" with {phrase(Attribute('upper_print', printed))}" if printed else ""
    return thing_words(thing, has) + tail


_NEUTRAL = frozenset(
    {
        ("build", "average"),
        ("upper_pattern", "plain"),
        ("upper_shade", "medium"),
        ("lower_shade", "medium"),
    }
)


_SHADE_OF = {"black": "dark", "white": "light"}  # colours that have but one


def read_label(thing: str, attributes: Sequence[Attribute]) -> str:
    """What is read of a thing: as thing_label, or "no hat" where it is absent.

    That a shade is medium, black is dark, a garment plain or a build average tells nobody apart: it is said where
    nothing else is.
    """
    absent = any((attribute.kind, attribute.value) == (thing, "none") for attribute in attributes)
    said = [attribute for attribute in attributes if attribute.value != "none"]
    neutral = _NEUTRAL | {
        (f"{thing}_shade", _SHADE_OF[attribute.value])
        for attribute in said
        if attribute.kind == COLOUR_OF.get(thing) and attribute.value in _SHADE_OF
    }
    telling = [attribute for attribute in said if (attribute.kind, attribute.value) not in neutral]
    return absence_words(thing) if absent else thing_label(thing, telling or said or attributes)


def with_article(label: str) -> str:
    """ "red jacket" -> "a red jacket"; "jeans", "heels", "long hair", "no hat" and "young" stand as they are."""
    last = label.split()[-1]
    if last in ("hair", "young", "middle-aged", "elderly", "bald", "curly", "heels") or label.startswith(
        "no "
    ):
        return label
    return article(label) + label


def shown_label(thing: str, attributes: Sequence[Attribute]) -> str:
    """What a candidate shows of a thing, after "shows": "a red jacket", "no hat", "somebody pushing a stroller"."""
    label = read_label(thing, attributes)
    return f"somebody {label}" if label.startswith("pushing ") else with_article(label)


def kind_label(kind: str) -> str:
    """ "the kind of top", "the colour of the bag", "the age"; of a kind of attribute, whatever its value."""
    thing = thing_of(kind)
    if kind == thing:
        return f"the kind of {noun_of(thing)}" if thing in COLOUR_OF or kind == "glasses" else f"the {kind}"
    quality = (
        kind.removeprefix(f"{thing}_").replace("_", " ") if kind in QUALITIES_OF.get(thing, ()) else "colour"
    )
    return f"the {quality} of the {noun_of(thing)}"


def excluded_label(attribute: Attribute) -> str:
    """ "a backpack", "red top", "young"; after "not"."""
    if attribute.kind in ("bag", "hat", "upper", "umbrella", "gender"):
        return with_article(attribute.value)
    return phrase(attribute)


def camera_label(name: str) -> str:
    """ "camera 3", "camera entrance"."""
    return f"camera {_bare_name(name)}"


def _bare_name(name: str) -> str:
    """A camera as it compares, but with the dots and dashes of its own name: "2-B", "192.168.1.20"."""
    key = camera_key(name)
    own = re.sub(r"^\W*(?:camera|cam)\b\W*", "", name, flags=re.IGNORECASE).strip()
    return own if " " in key and re.search(r"\d", own) and re.search(r"[^\w\s]", own) else key


def listed_cameras(cameras: tuple[str, ...]) -> str:
    """The gallery's cameras in few words: "cameras 1 to 6", "cameras door and yard"."""
    keys = [_bare_name(name) for name in cameras]
    numbers = sorted(int(key) for key in keys if key.isdigit())
    if len(numbers) == len(keys) > 2 and numbers == list(range(numbers[0], numbers[-1] + 1)):
        return f"cameras {numbers[0]} to {numbers[-1]}"
    ordered = [*(str(number) for number in numbers), *sorted(key for key in keys if not key.isdigit())]
    first, more = ordered[:12], len(ordered) - 12
    if more > 0:
        return f"cameras {', '.join(first)} and {more} more"
    return f"camera {first[0]} alone" if len(first) == 1 else f"cameras {and_list(first)}"


def day_label(day: date) -> str:
    """ "12 May 2026"."""
    return f"{day.day} {MONTHS[day.month - 1].capitalize()} {day.year}"


def listed_days(days: Sequence[date]) -> str:
    """The gallery's days in few words: "11 May 2026 and 12 May 2026", "9 days from ... to ..."."""
    ordered = sorted(days)
    if len(ordered) > 4:
        return f"{len(ordered)} days from {day_label(ordered[0])} to {day_label(ordered[-1])}"
    return and_list([day_label(day) for day in ordered])


def time_label(filters: Filters) -> str:
    """ "after 14:00", "before 09:00", "09:00 to 10:30"; "" without a bound."""
    after, before = filters.after, filters.before
    if after is not None and before is not None:
        return f"{after:%H:%M} to {before:%H:%M}"
    if after is not None:
        return f"after {after:%H:%M}"
    return f"before {before:%H:%M}" if before is not None else ""


def span_label(filters: Filters) -> str:
    """ "since 13 May 2026", "before 12 May 2026", "12 May 2026 to 14 May 2026", the last day being a whole one, "13 May
    2026 14:00 to 14 May 2026 14:10", "12 May 2026, 08:10 to 08:40"; "" without a span.
    """
    since, until = filters.since, filters.until
    if since is not None and until is not None:
        last = until - timedelta(days=1)
        if since.time() == until.time() == time():
            return day_label(since) if since == last else f"{day_label(since)} to {day_label(last)}"
        if since.date() == until.date():
            return f"{day_label(since)}, {since:%H:%M} to {until:%H:%M}"
        return f"{_moment(since)} to {_moment(until)}"
    if since is not None:
        return f"since {_moment(since)}"
    return f"before {_moment(until)}" if until is not None else ""


def _moment(moment: datetime) -> str:
    return day_label(moment) + (f" {moment:%H:%M}" if moment.time() != time() else "")


def filters_in_words(filters: Filters) -> str:
    """What a crop must satisfy, as one phrase: "on camera 3, on 12 May 2026, after 14:00"; "" where everything
    passes.
    """
    parts = []
    if filters.cameras:
        parts.append(f"on {_cameras(filters.cameras)}")
    if filters.not_cameras:
        parts.append(f"not on {_cameras(filters.not_cameras)}")
    if filters.days:
        parts.append(f"on {listed_days(filters.days)}")
    if label := span_label(filters):
        two = filters.since is not None and filters.until is not None
        parts.append(f"from {label}" if " to " in label else f"on {label}" if two else label)
    if time_label(filters):
        both = filters.after is not None and filters.before is not None
        parts.append(f"from {time_label(filters)}" if both else time_label(filters))
    if filters.tags:
        parts.append(f"tagged {', '.join(filters.tags)}")
    return ", ".join(parts)


def _cameras(names: tuple[str, ...]) -> str:
    if len(names) == 1:
        return camera_label(names[0])
    return f"cameras {and_list([_bare_name(name) for name in names])}"
