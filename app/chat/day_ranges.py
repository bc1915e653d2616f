"""Spans of days and hours in an operator's words: "after 12 May", "from 12 to 14 May", "in May", "last week", "13 May
14:00 to 14 May 14:10", "in the last 24 hours".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from app.chat.days import days_at, month_number
from app.chat.durations import read_duration
from app.chat.message_tokens import TokenCursor, whole_number
from app.chat.search_state import GalleryFacts
from app.chat.time_bounds import AROUND
from app.chat.time_of_day import PARTS, read_moment
from app.chat.words import WEEKDAYS, phrases

_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_FIRST = date(1, 2, 1)  # a gallery's today that is earlier is not known
_AFTER = phrases("after|past|later than")  # what is named is left out
_SINCE = phrases(
    "since|no earlier than|not earlier than|not before|starting|starting from|starting on|starting at|as of|"
    "on or after|from"
)
_BEFORE = phrases("before|earlier than|prior to|ahead of")
_UNTIL = phrases(
    "until|till|up to|up until|up to and including|no later than|not later than|not after|through|by|on or before"
)
_LESS_AGO = phrases("since|from|after|less than|under|within|not more than|no more than|up to|at most")
_MORE_AGO = phrases("before|until|more than|over|at least")
_AGO_WORDS = (
    *_LESS_AGO,
    *_MORE_AGO,
    *phrases("about|around|roughly|approximately|some|at|at about|at around"),
)
_ONWARD = ("on", "onward", "onwards", "forward")
_TO = ("to", "until", "till", "-", "through", "thru")
_IN = ("in", "during", "of", "throughout", "within", "for", "over")
_UNITS = {"day": 1, "week": 7, "month": 30}  # days


@dataclass(frozen=True)
class Span:
    """Local time from `since` (inclusive) to `until` (exclusive), None where open; tokens start..end say so."""

    since: datetime | None
    until: datetime | None
    start: int
    end: int


@dataclass(frozen=True)
class _Point:
    """What one end of a span names: from `first` (inclusive) to `last` (exclusive). timed: a moment, both the same.

    movable: what may be taken from it where the end of the span lies before it: a week, for a weekday.
    """

    first: datetime
    last: datetime
    end: int
    timed: bool = False
    movable: timedelta = timedelta()


def read_span(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> Span | None:
    """The span that is named at `position`, or None."""
    return (
        _counted(cursor, position, gallery)
        or _ago(cursor, position, gallery)
        or _between(cursor, position, gallery)
        or _one_sided(cursor, position, gallery)
        or _whole(cursor, position, gallery)
    )


def _counted(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> Span | None:
    """ "in the last 24 hours", "the past 3 days", "the past week", "the past half hour"."""
    here = _skip(cursor, position, (*_IN, "the"))
    rolling = cursor.text(here)
    if rolling not in ("last", "past", "previous"):
        return None
    if duration := read_duration(cursor, here + 1, rolling=True):
        since = _back(gallery, duration[0])
        return Span(since, None, position, duration[1]) if since else None
    number = whole_number(cursor.text(here + 1))
    after = here + 1 if number is None else here + 2
    if number is None and cursor.text(here + 1) in ("few", "couple"):
        number, after = 3, here + 2 + (cursor.text(here + 2) == "of")
    unit = cursor.text(after)
    days = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
    if days is None or (number is None and rolling != "past") or (number or 1) * days > 3650:
        return None
    if gallery.today <= _FIRST:
        return None
    return Span(_midnight(gallery.today) - (number or 1) * days * _DAY, None, position, after + 1)


def _ago(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> Span | None:
    """ "20 minutes ago", "about an hour ago", "less than 2 hours ago", "since half an hour ago"."""
    phrase = cursor.longest(position, _AGO_WORDS) or ""
    duration = read_duration(cursor, position + len(phrase.split()))
    if duration is None or cursor.text(duration[1]) != "ago":
        return None
    moment = _back(gallery, duration[0])
    if moment is None:
        return None
    if phrase in _LESS_AGO:
        return Span(moment, None, position, duration[1] + 1)
    if phrase in _MORE_AGO:
        return Span(None, moment, position, duration[1] + 1)
    around = timedelta(minutes=AROUND)
    return Span(moment - around, moment + around, position, duration[1] + 1)


def _back(gallery: GalleryFacts, minutes: int) -> datetime | None:
    """So many minutes before now, where that is known and in the calendar."""
    back = timedelta(minutes=minutes)
    return None if gallery.now is None or back > timedelta(days=3650) else gallery.now - back


def _between(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> Span | None:
    """ "between 11 and 13 May", "from Monday to Wednesday", "12 May - 14 May", "13 May 14:00 to 14 May 14:10"."""
    opener = cursor.text(position)
    opened = opener in ("between", "from")
    joints = ("and", "to", "-", "until", "till") if opener == "between" else _TO
    first = _point(cursor, position + opened, gallery, several=opened, months=opened)
    if first is None:
        return None
    if cursor.text(first.end) not in joints:
        inside = first.last - first.first > _DAY and not first.movable
        named = days_at(cursor, _skip(cursor, position + 1, ("the",)), gallery)
        if opened and inside and named is not None and named[1] == first.end:  # "between 11 and 13 May"
            return Span(first.first, first.last, position, first.end)
        return None
    second = _point(cursor, first.end + 1, gallery, months=opened)
    if second is None:
        moment = read_moment(cursor, first.end + 1) if first.timed else None
        if moment is None or not moment.certain:
            return None
        until = _midnight(first.first.date()) + timedelta(minutes=moment.minutes)
        until += _DAY if until <= first.first else timedelta()
        return Span(first.first, until, position, moment.end)
    since = first.first
    while since >= second.last and first.movable:
        since -= first.movable
    return Span(since, second.last, position, second.end) if since < second.last else None


def _one_sided(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> Span | None:
    for openings in (_AFTER, _SINCE, _BEFORE, _UNTIL):
        phrase = cursor.longest(position, openings)
        if phrase is None:
            continue
        point = _point(cursor, position + len(phrase.split()), gallery, months=True, moment_first=False)
        if point is None:
            continue
        end = point.end
        onward = cursor.text(end) in _ONWARD and not (cursor.text(end) == "on" and _goes_on(cursor, end + 1))
        if openings is _SINCE:
            if phrase == "from" and not (onward or point.timed):
                continue  # "the man from yesterday"
            return Span(point.first, None, position, end + onward)
        if openings is _AFTER:
            return Span(point.last, None, position, end + onward)
        return Span(None, point.first if openings is _BEFORE else point.last, position, end)
    return None


def _goes_on(cursor: TokenCursor, position: int) -> bool:
    """Whether "on" is followed by what it belongs to: "since 12 May on camera 3"."""
    return bool(cursor.text(position)) and not cursor.tokens[position].is_stop


def _whole(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> Span | None:
    """ "in May", "in May 2026", "last week", "this month", "at the weekend", "May 2026"."""
    here = _skip(cursor, position, (*_IN, "at", "on", "the"))
    point = _period(cursor, here, gallery)
    if point is None:
        point = _month(cursor, here, gallery)
        bare = here == position and point is not None and point.end == here + 1
        if point is None or bare:  # "may" alone is a verb
            return None
    return Span(point.first, point.last, position, point.end)


def _point(
    cursor: TokenCursor,
    position: int,
    gallery: GalleryFacts,
    *,
    several: bool = False,
    months: bool = False,
    moment_first: bool = True,
) -> _Point | None:
    """A day, a moment of a day, a part of one, or a week; with `months` a month or a year, with `several` days too."""
    here = _skip(cursor, position, ("on", "at", "the", "about", "around"))
    if moment_first and (moment := read_moment(cursor, here)) and moment.certain:
        after = _skip(cursor, moment.end, ("on", "of", ",", "the"))
        day = _day(cursor, after, gallery)
        if day is None or day.timed:
            return None
        at = day.first + timedelta(minutes=moment.minutes)
        return _Point(at, at, day.end, True, day.movable)
    day = _day(cursor, here, gallery, several=several) or _period(cursor, here, gallery)
    if day is None and months:
        day = _month(cursor, here, gallery)
    return day


def _day(
    cursor: TokenCursor, position: int, gallery: GalleryFacts, *, several: bool = False
) -> _Point | None:
    mention = days_at(cursor, position, gallery)
    if mention is None or not mention[0] or (len(mention[0]) > 1 and not several):
        return None
    days, end = mention
    first, last = min(days), max(days)
    movable = _WEEK if cursor.text(end - 1) in WEEKDAYS else timedelta()
    if len(days) > 1:
        return _Point(_midnight(first), _midnight(last) + _DAY, end)
    if part := cursor.longest(end, tuple(PARTS)):
        behind = end + len(part.split())
        moment = read_moment(cursor, _skip(cursor, behind, ("at", ",", "around", "about")))
        if moment is not None and (moment.certain or cursor.may_follow(moment.end)):
            hour = moment if moment.half or part.endswith("morning") else moment.at_half("pm")
            at = _midnight(first) + timedelta(minutes=hour.minutes)
            return _Point(at, at, moment.end, True, movable)
        begin, finish = PARTS[part]
        finish += 24 if finish <= begin else 0
        day = _midnight(first)
        return _Point(
            day + timedelta(hours=begin),
            day + timedelta(hours=finish),
            end + len(part.split()),
            False,
            movable,
        )
    after = _skip(cursor, end, ("at", ",", "around", "about"))
    moment = read_moment(cursor, after)
    if moment is not None and moment.certain:
        at = _midnight(first) + timedelta(minutes=moment.minutes)
        return _Point(at, at, moment.end, True, movable)
    return _Point(_midnight(first), _midnight(first) + _DAY, end, False, movable)


def _period(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> _Point | None:
    """ "last week", "this month", "the weekend"; weeks begin on Monday."""
    which, unit, end = cursor.text(position), cursor.text(position + 1), position + 2
    if which == "weekend":
        which, unit, end = "the", "weekend", position + 1
    if which not in ("this", "last", "previous", "current", "the") or gallery.today <= _FIRST:
        return None
    back = which in ("last", "previous")
    today = gallery.today
    if unit == "weekend":
        there = [day for day in gallery.days if day.weekday() >= 5]
        day = max(there) if there else today - timedelta(days=(today.weekday() - 5) % 7)
        saturday = day - timedelta(days=day.weekday() - 5)
        saturday -= _WEEK if back and today.weekday() >= 5 and today - saturday < _WEEK else timedelta()
        return _Point(_midnight(saturday), _midnight(saturday) + 2 * _DAY, end)
    if unit == "week":
        monday = _midnight(today - timedelta(days=today.weekday()) - (_WEEK if back else timedelta()))
        return _Point(monday, monday + _WEEK, end)
    if unit == "month":
        number = today.year * 12 + today.month - 1 - back
        return _Point(_first_of(number), _first_of(number + 1), end)
    if unit == "year":
        year = today.year - back
        return _Point(datetime(year, 1, 1), datetime(year + 1, 1, 1), end)
    return None


def _month(cursor: TokenCursor, position: int, gallery: GalleryFacts) -> _Point | None:
    """ "May", "May 2026", "2026"."""
    year = _year(cursor.text(position))
    if year is not None and cursor.may_follow(position + 1):
        return _Point(datetime(year, 1, 1), datetime(year + 1, 1, 1), position + 1)
    month = month_number(cursor.text(position))
    if month is None:
        return None
    end = position + 1
    of = _skip(cursor, end, ("of", ","))
    if (year := _year(cursor.text(of))) is not None:
        end = of + 1
    else:
        if not cursor.may_follow(end):
            return None  # "in May Street"
        years = [day.year for day in gallery.days if day.month == month]
        year = max(years) if years else (max(gallery.days) if gallery.days else gallery.today).year
    return _Point(_first_of(year * 12 + month - 1), _first_of(year * 12 + month), end)


def _year(text: str) -> int | None:
    return int(text) if len(text) == 4 and text.isdigit() and 1900 <= int(text) <= 2199 else None


def _first_of(month: int) -> datetime:
    """The first moment of a month, counted from the year 0."""
    return datetime(month // 12, month % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time())


def _skip(cursor: TokenCursor, position: int, words: tuple[str, ...]) -> int:
    while cursor.text(position) in words:
        position += 1
    return position
