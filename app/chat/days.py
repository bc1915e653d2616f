"""Days in an operator's words: "on 12 May", "yesterday", "on Monday", "12 to 14 May", "2026-05-12", "any
day".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

from app.chat.tables import listed, phrases
from app.chat.taking import Taking, whole_number
from app.chat.values import GalleryFacts
from gallery_store.crops import Filters

_MONTHS = listed(
    """
    january february march april may june july august september october november december
    """
)
_WEEKDAYS = listed("monday tuesday wednesday thursday friday saturday sunday")
_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_NUMERIC = re.compile(r"(\d{1,2})[./](\d{1,2})(?:[./](\d{4}|\d{2}))?\.?")
_ANY_DAY = phrases(
    "any day|every day|all days|each day|whichever day|the day does not matter|forget the day|ignore the day|"
    "drop the day|remove the day|forget the date|ignore the date|remove the date|any date|all dates|"
    "the date does not matter"
)


def read_days(taking: Taking, filters: Filters, gallery: GalleryFacts) -> Filters:
    """The filters after what the message says of days; takes those tokens. Days without crops are named in a
    note and not applied.
    """
    named: list[date] = []
    excluded: list[date] = []
    place = 0
    while place < len(taking.tokens):
        cleared = taking.first(place, _ANY_DAY)
        if cleared:
            end = place + len(cleared.split())
            taking.take(place - 1 if taking.text(place - 1) == "on" else place, end)
            filters, place = replace(filters, days=()), end
            continue
        found = _at(taking, place, gallery)
        if found is None:
            place += 1
            continue
        days, end = found
        negated, begin = taking.negated(place)
        if taking.text(begin) == "but":
            negated, begin = False, begin + 1
        taking.take(begin, end)
        (excluded if negated else named).extend(days)
        place = end
    if not named and not excluded:
        return filters
    there = set(gallery.days)
    absent = [day for day in dict.fromkeys(named) if day not in there]
    if absent:
        taking.notes.append(_absent(absent, gallery))
    kept = tuple(sorted({day for day in named if day in there}))
    if excluded and not kept:
        kept = tuple(day for day in sorted(there) if day not in excluded)
        if not kept:
            taking.notes.append("That would leave no day of this gallery, so I did not apply it.")
    return replace(filters, days=kept) if kept else filters


def _at(taking: Taking, place: int, gallery: GalleryFacts) -> tuple[list[date], int] | None:
    text = taking.text(place)
    if iso := _ISO.fullmatch(text):
        day = _date(int(iso[1]), int(iso[2]), int(iso[3]))
        return ([day], place + 1) if day else None
    if taking.words(place, "day before yesterday"):
        return [gallery.today - timedelta(days=2)] if gallery.today > date(1, 1, 3) else [], place + 3
    for word, back in (("yesterday", 1), ("today", 0), ("tomorrow", -1)):
        if text == word and gallery.today > date(1, 1, 2):
            return [gallery.today - timedelta(days=back)], place + 1
    if text in ("this", "last") and gallery.today > date(1, 1, 2):
        part = taking.text(place + 1)
        if part in ("morning", "afternoon", "evening") and text == "this":
            return [gallery.today], place + 1  # the part of the day is read with the times
        if part in ("night", "evening") and text == "last":
            return [gallery.today - timedelta(days=1)], place + 1
    if text in _WEEKDAYS:
        return [_weekday(_WEEKDAYS.index(text), gallery)], place + 1
    return _with_month(taking, place, gallery) or _numeric(taking, place, gallery)


def _with_month(taking: Taking, place: int, gallery: GalleryFacts) -> tuple[list[date], int] | None:
    """ "12 May", "12th of May 2026", "12, 13 and 14 May", "12-14 May", "May 12"."""
    numbers, after = _numbers(taking, place)
    if numbers:
        if taking.text(after) == "of":
            after += 1
        month = _month(taking.text(after))
        if month:
            return _in_year(taking, numbers, month, after + 1, gallery)
    month = _month(taking.text(place))
    if month:
        numbers, after = _numbers(taking, place + (2 if taking.text(place + 1) == "the" else 1))
        if numbers:
            return _in_year(taking, numbers, month, after, gallery)
    return None


def _in_year(
    taking: Taking, numbers: list[int], month: int, after: int, gallery: GalleryFacts
) -> tuple[list[date], int] | None:
    comma = 1 if taking.text(after) == "," else 0
    year = whole_number(taking.text(after + comma))
    if year is not None and 1900 <= year <= 2200:
        after += comma + 1
    else:
        year = None
    days = [_nearest(number, month, year, gallery) for number in numbers]
    kept = [day for day in days if day is not None]
    return (kept, after) if kept else None


def _numbers(taking: Taking, place: int) -> tuple[list[int], int]:
    """Days of a month from `place` on: "12", "12 and 13", "12-14"; and one past the last token."""
    numbers: list[int] = []
    after = place
    while True:
        match = _ORDINAL.fullmatch(taking.text(place))
        if match is None or not 1 <= int(match[1]) <= 31:
            return numbers, after
        number = int(match[1])
        if numbers and taking.text(place - 1) in ("-", "to", "until"):
            numbers += range(numbers[-1] + 1, number)
        numbers.append(number)
        after = place + 1
        if taking.text(after) not in ("and", ",", "or", "-", "to", "until"):
            return numbers, after
        place = after + 1
        if taking.text(place) == "the":
            place += 1


def _numeric(taking: Taking, place: int, gallery: GalleryFacts) -> tuple[list[date], int] | None:
    """ "12/05/2026", "12.05." with the day first, unless only the other order is in the gallery."""
    match = _NUMERIC.fullmatch(taking.text(place))
    if match is None:
        return None
    first, second = int(match[1]), int(match[2])
    year = int(match[3]) if match[3] else None
    if year is not None and year < 100:
        year += 2000
    choices = [_nearest(first, second, year, gallery), _nearest(second, first, year, gallery)]
    days = [day for day in choices if day is not None]
    there = [day for day in days if day in gallery.days]
    said = year is not None or taking.text(place - 1) == "on" or "/" in taking.text(place)
    if not (there[:1] if "." in taking.text(place) and not said else days) or not said:
        return None
    return [(there or days)[0]], place + 1


def _nearest(day: int, month: int, year: int | None, gallery: GalleryFacts) -> date | None:
    """The day in the year given, else in a year of the gallery that has it, else in the gallery's last
    year.
    """
    if year is not None:
        return _date(year, month, day)
    for known in reversed(gallery.days):
        if (known.day, known.month) == (day, month):
            return known
    return _date(gallery.days[-1].year if gallery.days else gallery.today.year, month, day)


def _weekday(weekday: int, gallery: GalleryFacts) -> date:
    """The last such weekday that the gallery has, else the last one before today."""
    for known in sorted(gallery.days, reverse=True):
        if known.weekday() == weekday:
            return known
    if gallery.today <= date(1, 1, 8):
        return gallery.today
    return gallery.today - timedelta(days=(gallery.today.weekday() - weekday) % 7 or 7)


def _month(text: str) -> int | None:
    for number, name in enumerate(_MONTHS, start=1):
        if text and (text == name or (len(text) >= 3 and text in (name[:3], name[:4]))):
            return number
    return None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def day_label(day: date) -> str:
    """ "12 May 2026"."""
    return f"{day.day} {_MONTHS[day.month - 1].capitalize()} {day.year}"


def listed_days(days: Sequence[date]) -> str:
    """The gallery's days in few words."""
    ordered = sorted(days)
    if len(ordered) > 4:
        return f"{len(ordered)} days from {day_label(ordered[0])} to {day_label(ordered[-1])}"
    labels = [day_label(day) for day in ordered]
    return labels[0] if len(labels) == 1 else f"{', '.join(labels[:-1])} and {labels[-1]}"


def _absent(days: list[date], gallery: GalleryFacts) -> str:
    missing = " or ".join(day_label(day) for day in days[:3])
    if not gallery.days:
        return f"The gallery's crops have no times, so I did not filter by {missing}."
    return (
        f"The gallery has nothing of {missing}; it has {listed_days(gallery.days)}. I did not filter by it."
    )
