"""Times of day as filters: "after 14:00", "between 9 and half past ten", "around noon", "in the morning"."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

from app.chat.clock import DAY, Moment, read_moment
from app.chat.tables import phrases
from app.chat.taking import Taking, whole_number
from app.chat.values import GalleryFacts
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
    "remove the time filter|time is not important"
)
_ANY_FILTER = phrases(
    "clear the filters|clear all filters|clear filters|remove the filters|remove all filters|"
    "remove filters|no filters|no filter|drop the filters|forget the filters|reset the filters|"
    "without filters|without any filters|ignore the filters|reset filters|drop all filters"
)
_AGO = phrases("last hour|past hour|an hour ago|half an hour ago|just now|right now|a moment ago|recently")
_UNITS = ("minutes", "minute", "mins", "min", "hours", "hour")


def read_times(taking: Taking, filters: Filters, gallery: GalleryFacts) -> Filters:
    """The filters after what the message says of the time of day; takes those tokens. Bounds of an earlier
    message stay, unless the new one would leave nothing between them. Crops without times cannot be filtered
    by them: that is said, and nothing applied.
    """
    after: int | None = None
    before: int | None = None
    cleared = False
    place = 0
    while place < len(taking.tokens):
        phrase = taking.first(place, _ANY_FILTER)
        if phrase:
            taking.take(place, place + len(phrase.split()))
            filters = Filters()
            continue
        phrase = taking.first(place, _ANY_TIME)
        if phrase and not read_moment(taking, place + len(phrase.split())):
            end = place + len(phrase.split())
            taking.take(place, end + (taking.text(end) in ("filter", "filters")))
            cleared = True
            continue
        if end_ago := _counted_back(taking, place):
            taking.take(place, end_ago)
            taking.notes.append("I cannot count back from now: name the hours, such as “after 14:00”.")
            continue
        found = _at(taking, place)
        if found is None:
            place += 1
            continue
        start, first, last, end = found
        after, before = (first if first is not None else after), (last if last is not None else before)
        taking.take(start, end)
        place = end
    if cleared:
        filters = replace(filters, after=None, before=None)
    if not gallery.days and not (after is None and before is None):
        taking.notes.append("The gallery's crops have no times, so I did not filter by time.")
        return filters
    return _merged(taking, filters, after, before)


def _counted_back(taking: Taking, place: int) -> int | None:
    """One past the end of "five minutes ago", "in the last 2 hours", "the last hour" at `place`, or None."""
    phrase = taking.first(place, _AGO)
    if phrase:
        return place + len(phrase.split())
    last = taking.text(place) in ("last", "past")
    number = place + 1 if last else place
    if whole_number(taking.text(number)) is None or taking.text(number + 1) not in _UNITS:
        return None
    if last:
        return number + 2
    return number + 3 if taking.text(number + 2) == "ago" else None


def _merged(taking: Taking, filters: Filters, after: int | None, before: int | None) -> Filters:
    if after is None and before is None:
        return filters
    if after is not None and before is not None:
        if before - after >= DAY or after == before % DAY == 0:
            return replace(filters, after=None, before=None)
        return replace(filters, after=_time(after), before=_time(before, is_end=True))
    if after is not None:
        old = filters.before
        if old is not None and old <= _clock(after):
            taking.notes.append(
                f"I dropped “before {old:%H:%M}”, since it leaves nothing after the new time."
            )
            old = None
        return replace(filters, after=_time(after), before=old)
    assert before is not None
    start = filters.after
    if start is not None and before % DAY and start >= _clock(before):
        taking.notes.append(f"I dropped “after {start:%H:%M}”, since it leaves nothing before the new time.")
        start = None
    return replace(filters, after=start, before=_time(before, is_end=True))


def _at(taking: Taking, place: int) -> tuple[int, int | None, int | None, int] | None:
    """(first token, after, before, one past the last token), in minutes, of what stands at `place`."""
    return (
        _range(taking, place)
        or _bound(taking, place)
        or _part(taking, place)
        or _near(taking, place)
        or _bare(taking, place)
    )


def _range(taking: Taking, place: int) -> tuple[int, int, int, int] | None:
    """ "Between 9 and half past ten", "from 8am to 10:30 pm", "14:00 - 15:00", "2-4 pm"."""
    opener = taking.text(place)
    joints: tuple[str, ...] = (
        ("and", "to", "-") if opener == "between" else ("to", "until", "till", "-", "through")
    )
    start = place + 1 if opener in ("between", "from") else place
    if opener in ("anytime", "any") or taking.text(place - 1) in ("camera", "cameras", "cam"):
        return None
    first = read_moment(taking, start)
    if first is None or taking.text(first.end) not in joints:
        return None
    last = read_moment(taking, first.end + 1)
    if last is None:
        return None
    opened = opener in ("between", "from")
    if not (first.certain or last.certain) and not (opened and taking.may_follow(last.end)):
        return None
    both = first.certain and last.certain
    if not opened and not both and taking.text(first.end) != "-" and not last.half:
        return None
    begin, end = _halved(first, last)
    return place, begin, end, last.end


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


def _bound(taking: Taking, place: int) -> tuple[int, int | None, int | None, int] | None:
    for openings, is_after in ((_AFTER, True), (_BEFORE, False)):
        phrase = taking.first(place, openings)
        if phrase is None:
            continue
        moment = _trusted(taking, place + len(phrase.split()))
        if moment is None:
            continue
        _warn_of_small_hours(taking, moment, phrase)
        end = moment.end
        if is_after and taking.text(end) in ("on", "onward", "onwards"):
            following = taking.text(end + 1)
            if taking.text(end) != "on" or not following or not taking.may_follow(end + 1):
                end += 1
        if not is_after:
            return place, None, moment.minutes or DAY, end
        return place, moment.minutes % DAY, None, end
    return None


def _trusted(taking: Taking, place: int) -> Moment | None:
    """A time at `place` that can only be meant as one: "after 14:00", "after 9", not "after 2 people"."""
    moment = read_moment(taking, place)
    if moment is None or (not moment.certain and not taking.may_follow(moment.end)):
        return None
    return moment


def _near(taking: Taking, place: int) -> tuple[int, int, int, int] | None:
    phrase = taking.first(place, _NEAR)
    if phrase is None:
        return None
    moment = _trusted(taking, place + len(phrase.split()))
    if moment is None:
        return None
    worded = taking.text(moment.end - 1).isalpha()  # "around nine"; "about 20" may be an age
    if not moment.certain and not phrase.startswith("at") and not worded:
        return None
    return _surroundings(place, moment)


def _bare(taking: Taking, place: int) -> tuple[int, int, int, int] | None:
    moment = read_moment(taking, place)
    if moment is None or not moment.certain:
        return None
    return _surroundings(place, moment)


def _surroundings(place: int, moment: Moment) -> tuple[int, int, int, int]:
    return place, (moment.minutes - AROUND) % DAY, (moment.minutes + AROUND) % DAY or DAY, moment.end


def _part(taking: Taking, place: int) -> tuple[int, int, int, int] | None:
    """ "In the morning", "this afternoon", "at night", "not in the evening"."""
    start = place
    negated = taking.text(start) == "not"
    if negated:
        start += 1
    while taking.text(start) in ("in", "the", "this", "during", "at", "only", "every", "last"):
        start += 1
    phrase = taking.first(start, tuple(PARTS))
    if phrase is None or (start == place and taking.text(place - 1) in ("good", "fine", "nice")):
        return None
    end = start + len(phrase.split())
    begin, finish = PARTS[phrase]
    if negated:
        begin, finish = finish % 24, begin
    return place, begin * 60, finish * 60, end


def _warn_of_small_hours(taking: Taking, moment: Moment, phrase: str) -> None:
    if not moment.certain and 0 < moment.minutes <= 6 * 60:
        hour = moment.minutes // 60
        taking.notes.append(f"I read “{phrase} {hour}” as {hour:02}:00; say “{hour} pm” for the afternoon.")


def _clock(minutes: int) -> time:
    return time(minutes % DAY // 60, minutes % 60)


def _time(minutes: int, is_end: bool = False) -> time | None:
    """The time of day; the end of the day is no bound at all."""
    if is_end and minutes % DAY == 0:
        return None
    return _clock(minutes)


def time_label(filters: Filters) -> str:
    """ "after 14:00", "before 09:00", "09:00 to 10:30"; "" without a bound."""
    after, before = filters.after, filters.before
    if after is not None and before is not None:
        return f"{after:%H:%M} to {before:%H:%M}"
    if after is not None:
        return f"after {after:%H:%M}"
    return f"before {before:%H:%M}" if before is not None else ""
