"""Days in an operator's words: "on 12 May", "yesterday", "on Monday", "12 to 14 May", "2026-05-12", "any
day".
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta

from app.chat.labels import day_label, listed_days
from app.chat.message_tokens import TokenCursor, whole_number
from app.chat.search_state import GalleryFacts
from app.chat.words import MONTHS, WEEKDAYS, phrases
from gallery_store.crops import Filters

_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_NUMERIC = re.compile(r"(\d{1,2})[./](\d{1,2})(?:[./](\d{4}|\d{2}))?\.?")
_ANY_DAY = phrases(
    "any day|every day|all days|each day|whichever day|the day does not matter|forget the day|ignore the day|"
    "drop the day|remove the day|forget the date|ignore the date|remove the date|any date|all dates|"
    "the date does not matter"
)


def read_days(cursor: TokenCursor, filters: Filters, gallery: GalleryFacts) -> Filters:
    """The filters after what the message says of days; takes those tokens. Days without crops are named in a
    note and not applied.
    """
    named: list[date] = []
    excluded: list[date] = []
    position = 0
    while position < len(cursor.tokens):
        cleared = cursor.longest(position, _ANY_DAY)
        if cleared:
            end = position + len(cleared.split())
            cursor.take(position - 1 if cursor.text(position - 1) == "on" else position, end)
            filters, position = replace(filters, days=()), end
            continue
        mention = _mention(cursor, position, gallery)
        if mention is None:
            position += 1
            continue
        days, end = mention
        negated, begin = cursor.negated(position)
        if cursor.text(begin) == "but":
            negated, begin = False, begin + 1
        cursor.take(begin, end)
        (excluded if negated else named).extend(days)
        position = end
    if not named and not excluded:
        return filters
    in_gallery = set(gallery.days)
    absent = [day for day in dict.fromkeys(named) if day not in in_gallery]
    if absent:
        cursor.notes.append(_absent(absent, gallery))
    kept = tuple(sorted({day for day in named if day in in_gallery}))
    if excluded and not kept:
        kept = tuple(day for day in sorted(in_gallery) if day not in excluded)
        if not kept:
            cursor.notes.append("That would leave no day of this gallery, so I did not apply it.")
    return replace(filters, days=kept) if kept else filters


def _mention(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[date], int] | None:
    """The days named at `position`, and one past the last token; None where no day is named."""
    text = cursor.text(position)
    if iso := _ISO.fullmatch(text):
        day = _date(int(iso[1]), int(iso[2]), int(iso[3]))
        return ([day], position + 1) if day else None
    if cursor.stands(position, "day before yesterday"):
        return [gallery.today - timedelta(days=2)] if gallery.today > date(1, 1, 3) else [], position + 3
    for word, back in (("yesterday", 1), ("today", 0), ("tomorrow", -1)):
        if text == word and gallery.today > date(1, 1, 2):
            return [gallery.today - timedelta(days=back)], position + 1
    if text in ("this", "last") and gallery.today > date(1, 1, 2):
        part = cursor.text(position + 1)
        if part in ("morning", "afternoon", "evening") and text == "this":
            return [gallery.today], position + 1  # the part of the day is read with the times
        if part in ("night", "evening") and text == "last":
            return [gallery.today - timedelta(days=1)], position + 1
    if text in WEEKDAYS:
        return [_weekday(WEEKDAYS.index(text), gallery)], position + 1
    return _with_month(cursor, position, gallery) or _numeric(cursor, position, gallery)


def _with_month(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[date], int] | None:
    """ "12 May", "12th of May 2026", "12, 13 and 14 May", "12-14 May", "May 12"."""
    numbers, after = _numbers(cursor, position)
    if numbers:
        if cursor.text(after) == "of":
            after += 1
        month = _month(cursor.text(after))
        if month:
            return _in_year(cursor, numbers, month, after + 1, gallery)
    month = _month(cursor.text(position))
    if month:
        numbers, after = _numbers(cursor, position + (2 if cursor.text(position + 1) == "the" else 1))
        if numbers:
            return _in_year(cursor, numbers, month, after, gallery)
    return None


def _in_year(
    cursor: TokenCursor, numbers: list[int], month: int, after: int, gallery: GalleryFacts
) -> tuple[list[date], int] | None:
    comma = 1 if cursor.text(after) == "," else 0
    year = whole_number(cursor.text(after + comma))
    if year is not None and 1900 <= year <= 2200:
        after += comma + 1
    else:
        year = None
    days = [_nearest(number, month, year, gallery) for number in numbers]
    kept = [day for day in days if day is not None]
    return (kept, after) if kept else None


def _numbers(cursor: TokenCursor, position: int) -> tuple[list[int], int]:
    """Days of a month from `position` on: "12", "12 and 13", "12-14"; and one past the last token."""
    numbers: list[int] = []
    after = position
    while True:
        match = _ORDINAL.fullmatch(cursor.text(position))
        if match is None or not 1 <= int(match[1]) <= 31:
            return numbers, after
        number = int(match[1])
        if numbers and cursor.text(position - 1) in ("-", "to", "until"):
            numbers += range(numbers[-1] + 1, number)
        numbers.append(number)
        after = position + 1
        if cursor.text(after) not in ("and", ",", "or", "-", "to", "until"):
            return numbers, after
        position = after + 1
        if cursor.text(position) == "the":
            position += 1


def _numeric(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[date], int] | None:
    """ "12/05/2026", "12.05." with the day first, unless only the other order is in the gallery."""
    match = _NUMERIC.fullmatch(cursor.text(position))
    if match is None:
        return None
    first, second = int(match[1]), int(match[2])
    year = int(match[3]) if match[3] else None
    if year is not None and year < 100:
        year += 2000
    choices = [_nearest(first, second, year, gallery), _nearest(second, first, year, gallery)]
    days = [day for day in choices if day is not None]
    in_gallery = [day for day in days if day in gallery.days]
    is_date = year is not None or cursor.text(position - 1) == "on" or "/" in cursor.text(position)
    if not days or not is_date:
        return None
    return [(in_gallery or days)[0]], position + 1


def _nearest(day: int, month: int, year: int | None, gallery: GalleryFacts) -> date | None:
    """The day in the year given, else in a year of the gallery that has it, else in the gallery's last
    year.
    """
    if year is not None:
        return _date(year, month, day)
    for gallery_day in reversed(gallery.days):
        if (gallery_day.day, gallery_day.month) == (day, month):
            return gallery_day
    return _date(gallery.days[-1].year if gallery.days else gallery.today.year, month, day)


def _weekday(weekday: int, gallery: GalleryFacts) -> date:
    """The last such weekday that the gallery has, else the last one before today."""
    for gallery_day in sorted(gallery.days, reverse=True):
        if gallery_day.weekday() == weekday:
            return gallery_day
    if gallery.today <= date(1, 1, 8):
        return gallery.today
    return gallery.today - timedelta(days=(gallery.today.weekday() - weekday) % 7 or 7)


def _month(text: str) -> int | None:
    for number, name in enumerate(MONTHS, start=1):
        if text and (text == name or (len(text) >= 3 and text in (name[:3], name[:4]))):
            return number
    return None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _absent(days: list[date], gallery: GalleryFacts) -> str:
    missing = " or ".join(day_label(day) for day in days[:3])
    if not gallery.days:
        return f"The gallery's crops have no times, so I did not filter by {missing}."
    return (
        f"The gallery has nothing of {missing}; it has {listed_days(gallery.days)}. I did not filter by it."
    )
