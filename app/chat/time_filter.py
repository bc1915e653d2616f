"""Times of day as filters: "after 14:00", "between 9 and half past ten", "around noon", "in the morning"."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import time

from app.chat.message_tokens import TokenCursor, whole_number
from app.chat.search_state import GalleryFacts
from app.chat.time_of_day import DAY, Moment, read_moment
from app.chat.words import phrases
from gallery_store.crops import Filters

AROUND = 30  # minutes to either side of "around 14:00"
PARTS: dict[str, tuple[int, int]] = {  # hours
    "early morning": (5, 9),
    "late morning": (10, 12),
    "morning": (6, 12),
    "early afternoon": (12, 15),
    "late afternoon": (15, 18),
    "afternoon": (12, 18),
    "lunchtime": (11, 14),
    "lunch time": (11, 14),
    "early evening": (17, 20),
    "late evening": (20, 23),
    "evening": (18, 22),
    "tonight": (18, 24),
    "night": (22, 6),
}
_AFTER = phrases(
    "no earlier than|not earlier than|not before|later than|starting at|starting from|starting|as of|"
    "any time after|anytime after|after|since|past|from"
)
_BEFORE = phrases(
    "no later than|not later than|not after|earlier than|up to|up until|any time before|before|until|till|by"
)
_NEAR = phrases("at around|at about|at roughly|around|about|approximately|roughly|circa|near|at|~|close to")
_ANY_TIME = phrases(
    "any time of day|any time of the day|at any time|any time|anytime|all day long|all day|whole day|"
    "any hour|all times|whenever|the time does not matter|time does not matter|no time limit|"
    "forget the time|forget about the time|ignore the time|drop the time|remove the time|clear the time|"
    "time is not important"
)
_ANY_FILTER = phrases(
    "clear the filters|clear all filters|clear filters|remove the filters|remove all filters|"
    "remove filters|no filters|no filter|drop the filters|forget the filters|reset the filters|"
    "without filters|without any filters|ignore the filters|reset filters|drop all filters"
)
_AGO = phrases("last hour|past hour|an hour ago|half an hour ago|just now|right now|a moment ago|recently")
_WORN = frozenset(
    (
        "gown",
        "gowns",
        "dress",
        "dresses",
        "shirt",
        "shirts",
        "coat",
        "coats",
        "suit",
        "suits",
        "wear",
        "clothes",
        "attire",
    )
) | {"jacket", "bag", "robe", "cap"}
_UNITS = ("minutes", "minute", "mins", "min", "hours", "hour")


@dataclass(frozen=True)
class _Bounds:
    """What tokens start..end say of the time of day: minutes since midnight, 0..1440; None where a side is open."""

    start: int
    after: int | None
    before: int | None
    end: int
    named: bool = True  # by its bounds, not as "at night" or "around 0:15", which may go over midnight


def read_times(cursor: TokenCursor, filters: Filters, gallery: GalleryFacts) -> Filters:
    """The filters after what the message says of the time of day; takes those tokens. Bounds of an earlier
    message stay, unless the new one would leave nothing between them. Crops without times cannot be filtered
    by them: a note says so, and nothing is applied.
    """
    after: int | None = None
    before: int | None = None
    cleared, named = False, True
    any_time = -1  # one past the last "any time"
    position = 0
    while position < len(cursor.tokens):
        phrase = cursor.longest(position, _ANY_FILTER)
        if phrase:
            cursor.take(position, position + len(phrase.split()))
            filters = Filters()
            continue
        phrase = cursor.longest(position, _ANY_TIME)
        if phrase and not read_moment(cursor, position + len(phrase.split())):
            end = position + len(phrase.split())
            cursor.take(position, end + (cursor.text(end) in ("filter", "filters")))
            cleared, any_time = True, end
            continue
        if end_ago := _counted_back(cursor, position):
            cursor.take(position, end_ago)
            cursor.notes.append("I cannot count back from now: name the hours, such as “after 14:00”.")
            continue
        bounds = _bounds(cursor, position)
        if bounds is None:
            position += 1
            continue
        bounds = _excepted(cursor, bounds, any_time)
        after = after if bounds.after is None else bounds.after
        before = before if bounds.before is None else bounds.before
        named = bounds.named
        _tell_moved(cursor, bounds)
        cursor.take(bounds.start, bounds.end)
        position = bounds.end
    if cleared:
        filters = replace(filters, after=None, before=None)
    if not gallery.days and not (after is None and before is None):
        cursor.notes.append("The gallery's crops have no times, so I did not filter by time.")
        return filters
    if named and after is not None and before is not None and before < after:
        cursor.notes.append(
            f"I read {_clock(after):%H:%M} to {_clock(before):%H:%M} as over midnight; swap them if you meant the day."
        )
    return _merged(cursor, filters, after, before)


def _excepted(cursor: TokenCursor, bounds: _Bounds, any_time: int) -> _Bounds:
    """ "Any time except 14:00 to 15:00", "not between 2 and 3 pm": the rest of the day. any_time: one past the last
    "any time"; elsewhere "but after 14:00" begins a clause.
    """
    negated, start = cursor.negated(bounds.start)
    excepting = cursor.text(start) in ("not", "except", "excluding", "outside")
    if not negated or not (excepting or (cursor.text(start) == "but" and start == any_time)):
        return bounds
    return replace(bounds, start=start, after=bounds.before, before=bounds.after, named=False)


def _tell_moved(cursor: TokenCursor, bounds: _Bounds) -> None:
    """Say which hours were read in the afternoon."""
    position = bounds.start
    while position < bounds.end:
        moment = read_moment(cursor, position)
        if moment is None or moment.end > bounds.end:
            position += 1
            continue
        if moment.moved:
            hour, minute = divmod(moment.minutes, 60)
            said = " ".join(token.raw for token in cursor.tokens[position : moment.end])
            cursor.notes.append(
                f"I read “{said}” as {hour:02}:{minute:02}: the gallery has nothing of the hour from {hour - 12:02}:00."
            )
        position = moment.end


def _counted_back(cursor: TokenCursor, position: int) -> int | None:
    """One past the end of "five minutes ago", "in the last 2 hours", "the last hour" at `position`, or None."""
    phrase = cursor.longest(position, _AGO)
    if phrase:
        return position + len(phrase.split())
    last = cursor.text(position) in ("last", "past")
    number = position + 1 if last else position
    if whole_number(cursor.text(number)) is None or cursor.text(number + 1) not in _UNITS:
        return None
    if last:
        return number + 2
    return number + 3 if cursor.text(number + 2) == "ago" else None


def _merged(cursor: TokenCursor, filters: Filters, after: int | None, before: int | None) -> Filters:
    """The filters with these bounds, in minutes; one bound alone joins the other one of earlier messages."""
    if after is None and before is None:
        return filters
    if after is not None and before is not None:
        if before - after >= DAY or after == before % DAY == 0:
            return replace(filters, after=None, before=None)
        return replace(filters, after=_time(after), before=_time(before, is_end=True))
    if after is not None:
        old = filters.before
        if old is not None and old <= _clock(after):
            cursor.notes.append(
                f"I dropped “before {old:%H:%M}”, since it leaves nothing after the new time."
            )
            old = None
        return replace(filters, after=_time(after), before=old)
    assert before is not None
    start = filters.after
    if start is not None and before % DAY and start >= _clock(before):
        cursor.notes.append(f"I dropped “after {start:%H:%M}”, since it leaves nothing before the new time.")
        start = None
    return replace(filters, after=start, before=_time(before, is_end=True))


def _bounds(cursor: TokenCursor, position: int) -> _Bounds | None:
    """The bounds that are named at `position`, or None."""
    return (
        _range(cursor, position)
        or _bound(cursor, position)
        or _part(cursor, position)
        or _near(cursor, position)
        or _bare(cursor, position)
    )


def _range(cursor: TokenCursor, position: int) -> _Bounds | None:
    """ "Between 9 and half past ten", "from 8am to 10:30 pm", "14:00 - 15:00", "2-4 pm"."""
    opener = cursor.text(position)
    joints: tuple[str, ...] = (
        ("and", "to", "-") if opener == "between" else ("to", "until", "till", "-", "through")
    )
    start = position + 1 if opener in ("between", "from") else position
    if opener in ("anytime", "any") or cursor.text(position - 1) in ("camera", "cameras", "cam"):
        return None
    first = read_moment(cursor, start)
    if first is None or cursor.text(first.end) not in joints:
        return None
    last = read_moment(cursor, first.end + 1)
    if last is None:
        return None
    opened = opener in ("between", "from")
    if not (first.certain or last.certain) and not (opened and cursor.may_follow(last.end)):
        return None
    both = first.certain and last.certain
    if not opened and not both and cursor.text(first.end) != "-" and not last.half:
        return None
    begin, end = _halved(first, last)
    return _Bounds(position, begin, end, last.end)


def _halved(first: Moment, last: Moment) -> tuple[int, int]:
    """ "2 to 4 pm": the hour without am or pm takes the other's, where that keeps their order."""
    begin, end = first.minutes, last.minutes
    if last.half and first.half is None and 60 <= begin < 13 * 60:
        begin = first.at_half(last.half).minutes
        if begin >= end:
            begin = first.at_half("am").minutes
    elif first.half and not last.certain and 60 <= end < 13 * 60:
        end = last.at_half(first.half).minutes
        if end <= begin:
            end = last.at_half("pm").minutes
    elif not (first.certain or last.certain) and 60 <= end <= 7 * 60 and end < begin < end + 720:
        end += 720  # "between 9 and 5" is a working day
    return begin, end


def _bound(cursor: TokenCursor, position: int) -> _Bounds | None:
    if cursor.text(position) in ("just", "shortly", "right", "soon") and cursor.text(position + 1) in (
        "before",
        "after",
    ):
        moment = _trusted(cursor, position + 2)
        if moment is not None:
            around = _surroundings(position, moment)
            if cursor.text(position + 1) == "before":
                return replace(around, before=moment.minutes % DAY or DAY)
            return replace(around, after=moment.minutes % DAY)
    for openings, is_after in ((_AFTER, True), (_BEFORE, False)):
        phrase = cursor.longest(position, openings)
        if phrase is None:
            continue
        moment = _trusted(cursor, position + len(phrase.split()))
        if moment is None:
            continue
        _warn_of_small_hours(cursor, moment, phrase)
        end = moment.end
        if is_after and cursor.text(end) in ("on", "onward", "onwards"):
            following = cursor.text(end + 1)
            if cursor.text(end) != "on" or not following or not cursor.may_follow(end + 1):
                end += 1
        if not is_after:
            return _Bounds(position, None, moment.minutes or DAY, end)
        return _Bounds(position, moment.minutes % DAY, None, end)
    return None


def _trusted(cursor: TokenCursor, position: int) -> Moment | None:
    """A time at `position` that can only be meant as one: "after 14:00", "after 9", not "after 2 people"."""
    moment = read_moment(cursor, position)
    if moment is None or (not moment.certain and not cursor.may_follow(moment.end)):
        return None
    return moment


def _near(cursor: TokenCursor, position: int) -> _Bounds | None:
    phrase = cursor.longest(position, _NEAR)
    if phrase is None:
        return None
    moment = _trusted(cursor, position + len(phrase.split()))
    if moment is None:
        return None
    worded = cursor.text(moment.end - 1).isalpha()  # "around nine"; "about 20" may be an age
    if not moment.certain and not phrase.startswith("at") and not worded:
        return None
    return _surroundings(position, moment)


def _bare(cursor: TokenCursor, position: int) -> _Bounds | None:
    moment = read_moment(cursor, position)
    if moment is None or not moment.certain:
        return None
    return _surroundings(position, moment)


def _surroundings(position: int, moment: Moment) -> _Bounds:
    after, before = (moment.minutes - AROUND) % DAY, (moment.minutes + AROUND) % DAY or DAY
    return _Bounds(position, after, before, moment.end, named=False)


def _part(cursor: TokenCursor, position: int) -> _Bounds | None:
    """ "In the morning", "this afternoon", "at night", "not in the evening"."""
    start = position
    negated = cursor.text(start) == "not"
    if negated:
        start += 1
    while cursor.text(start) in ("in", "the", "this", "during", "at", "only", "every", "last"):
        start += 1
    phrase = cursor.longest(start, tuple(PARTS))
    if phrase is None or (start == position and cursor.text(position - 1) in ("good", "fine", "nice")):
        return None
    end = start + len(phrase.split())
    if cursor.text(end) in _WORN:  # "an evening gown"
        return None
    begin, finish = PARTS[phrase]
    if negated:
        begin, finish = finish % 24, begin
    return _Bounds(position, begin * 60, finish * 60, end, named=False)


def _warn_of_small_hours(cursor: TokenCursor, moment: Moment, phrase: str) -> None:
    if not moment.certain and 0 < moment.minutes <= 6 * 60:
        hour = moment.minutes // 60
        cursor.notes.append(f"I read “{phrase} {hour}” as {hour:02}:00; say “{hour} pm” for the afternoon.")


def _clock(minutes: int) -> time:
    return time(minutes % DAY // 60, minutes % 60)


def _time(minutes: int, is_end: bool = False) -> time | None:
    """The time of day; the end of the day is no bound at all."""
    if is_end and minutes % DAY == 0:
        return None
    return _clock(minutes)
