"""One day in an operator's words: "12 May", "yesterday", "on Monday", "2026-05-12", "two days ago"; or several: "12, 13
and 14 May".
"""

from __future__ import annotations

import re
from datetime import date, timedelta

from app.chat.message_tokens import TokenCursor, whole_number
from app.chat.search_state import GalleryFacts
from app.chat.words import MONTHS, OTHER_MONTHS, WEEKDAYS

_ORDINAL = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?")
_ISO = re.compile(r"(\d{4})[-./](\d{1,2})[-./](\d{1,2})")
_NUMERIC = re.compile(r"(\d{1,2})[./](\d{1,2})(?:[./](\d{4}|\d{2}))?\.?")
_FIRST = date(1, 2, 1)  # a gallery's today that is earlier is not known


def days_at(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[date], int] | None:
    """The days named at `position`, and one past the last token; None where no day is named."""
    text = cursor.text(position)
    if iso := _ISO.fullmatch(text):
        day = _date(int(iso[1]), int(iso[2]), int(iso[3]))
        return ([day], position + 1) if day else None
    if gallery.today > _FIRST and (relative := _back_from_today(cursor, position)):
        back, end = relative
        return [gallery.today - timedelta(days=back)], end
    if text in ("this", "last") and cursor.text(position + 1) in WEEKDAYS:
        return [_weekday(WEEKDAYS.index(cursor.text(position + 1)), gallery)], position + 2
    if text in ("this", "last") and gallery.today > _FIRST:
        part = cursor.text(position + 1)
        if part in ("morning", "afternoon", "evening") and text == "this":
            return [gallery.today], position + 1  # the part of the day is read with the times
        if part in ("night", "evening") and text == "last":
            return [gallery.today - timedelta(days=1)], position + 1
    if text in WEEKDAYS:
        return [_weekday(WEEKDAYS.index(text), gallery)], position + 1
    return (
        _with_month(cursor, position, gallery)
        or _numeric(cursor, position, gallery)
        or _day_of_month(cursor, position, gallery)
    )


def _back_from_today(cursor: TokenCursor, position: int) -> tuple[int, int] | None:
    """(days, one past the last token) of "yesterday", "the day before yesterday", "two days ago", "a week ago"."""
    if cursor.stands(position, "day before yesterday"):
        return 2, position + 3
    for word, back in (("yesterday", 1), ("today", 0), ("tomorrow", -1)):
        if cursor.text(position) == word:
            return back, position + 1
    number = 1 if cursor.text(position) in ("a", "one") else whole_number(cursor.text(position))
    days = {"day": 1, "days": 1, "week": 7, "weeks": 7}.get(cursor.text(position + 1))
    if number is None or days is None or number * days > 3650:
        return None
    if cursor.text(position + 2) in ("ago", "earlier", "back"):
        return number * days, position + 3
    return None


def _day_of_month(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[date], int] | None:
    """ "on the 12th": the last such day of the gallery, else of this month."""
    text = cursor.text(position)
    match = _ORDINAL.fullmatch(text)
    if match is None or text.isdigit() or not 1 <= int(match[1]) <= 31:
        return None
    if cursor.text(position - 1) != "the" or not cursor.may_follow(position + 1):
        return None
    number = int(match[1])
    there = [day for day in gallery.days if day.day == number]
    day = max(there) if there else _date(gallery.today.year, gallery.today.month, number)
    return ([day], position + 1) if day else None


def _with_month(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> tuple[list[date], int] | None:
    """ "12 May", "12th of May 2026", "12, 13 and 14 May", "12-14 May", "May 12"."""
    numbers, after = _numbers(cursor, position)
    if numbers:
        if cursor.text(after) in ("of", "."):  # "12. Mai"
            after += 1
        month = month_number(cursor.text(after))
        if month:
            return _in_year(cursor, numbers, month, after + 1, gallery)
    month = month_number(cursor.text(position))
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
    for number, day in zip(numbers, days, strict=True):
        if day is None:
            note = f"There is no {number} {MONTHS[month - 1].capitalize()}{f' {year}' if year else ''}."
            cursor.notes += [note] if note not in cursor.notes else []
    return [day for day in days if day is not None], after


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


def month_number(text: str) -> int | None:
    """1..12 of a month's name, or the beginning of it; None for another word."""
    for number, name in enumerate(MONTHS, start=1):
        if text and (text == name or (len(text) >= 3 and text in (name[:3], name[:4]))):
            return number
    return OTHER_MONTHS.get(text)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
