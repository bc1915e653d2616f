"""What one place of a message says of the time of day: "after 14:00", "between 9 and half past ten", "around noon", "in
the morning", "within 10 minutes of 14:20".
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.chat.durations import read_duration
from app.chat.message_tokens import TokenCursor
from app.chat.time_of_day import DAY, PARTS, Moment, is_worn, read_moment
from app.chat.words import phrases

AROUND = 30  # minutes to either side of "around 14:00"
_AFTER = phrases(
    "no earlier than|not earlier than|not before|later than|starting at|starting from|starting|as of|"
    "any time after|anytime after|after|since|past|from"
)
_BEFORE = phrases(
    "no later than|not later than|not after|earlier than|up to|up until|any time before|before|until|till|by"
)
_NEAR = phrases("at around|at about|at roughly|around|about|approximately|roughly|circa|near|at|~|close to")
_LATER = ("later than", "any time after", "anytime after", "after")  # than all of "the morning"
_EARLIER = ("earlier than", "any time before", "before")
_PART_NAMES = tuple(PARTS)
_PARTS_AND_LUNCH = (*_PART_NAMES, "lunch")
_LUNCH = (12, 13)  # hours, before or after which somebody is said to come; "at lunchtime" is longer
_EITHER_SIDE = phrases("either side of|on either side of|to either side of|before or after|before and after")
_GIVE_OR_TAKE = phrases("give or take|plus or minus|plus minus")


@dataclass(frozen=True)
class Bounds:
    """What tokens start..end say of the time of day: minutes since midnight, 0..1440; None where a side is open.

    named: by its bounds, not as "at night" or "around 0:15", which may go over midnight. moments: those that were
    read for it. part: of the day, where it is nothing else. excepted: it is the rest of a day without what was named.
    phrase: what stands before an hour: "after".
    """

    start: int
    after: int | None
    before: int | None
    end: int
    named: bool = True
    moments: tuple[Moment, ...] = ()
    part: str = ""
    excepted: bool = False
    phrase: str = ""

    @property
    def closed(self) -> bool:
        """Whether neither side is open."""
        return self.after is not None and self.before is not None


def read_bounds(cursor: TokenCursor, position: int) -> Bounds | None:
    """The bounds that are named at `position`, or None."""
    return (
        _range(cursor, position)
        or _within(cursor, position)
        or _bound(cursor, position)
        or _part(cursor, position)
        or _near(cursor, position)
        or _bare(cursor, position)
    )


def surroundings(position: int, moment: Moment, reach: int = AROUND) -> Bounds:
    """ "Around 14:00"."""
    after, before = (moment.minutes - reach) % DAY, (moment.minutes + reach) % DAY or DAY
    return Bounds(position, after, before, moment.end, named=False, moments=(moment,))


def _range(cursor: TokenCursor, position: int) -> Bounds | None:
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
    moments = first.at(begin), last.at(end)
    if first.half or last.half:
        moments = moments[0].sure, moments[1].sure
    return Bounds(position, begin, end, last.end, moments=moments)


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


def _bound(cursor: TokenCursor, position: int) -> Bounds | None:
    if cursor.text(position) in ("just", "shortly", "right", "soon") and cursor.text(position + 1) in (
        "before",
        "after",
    ):
        moment = _trusted(cursor, position + 2)
        if moment is not None:
            around = surroundings(position, moment)
            if cursor.text(position + 1) == "before":
                return replace(around, before=moment.minutes % DAY or DAY)
            return replace(around, after=moment.minutes % DAY)
    for openings, is_after in ((_AFTER, True), (_BEFORE, False)):
        phrase = cursor.longest(position, openings)
        if phrase is None:
            continue
        moment = _trusted(cursor, position + len(phrase.split()))
        if moment is None:
            if part := _beside_part(cursor, position, phrase):
                return part
            continue
        end = moment.end
        if is_after and cursor.text(end) in ("on", "onward", "onwards"):
            following = cursor.text(end + 1)
            if cursor.text(end) != "on" or not following or not cursor.may_follow(end + 1):
                end += 1
        if not is_after:
            return Bounds(position, None, moment.minutes or DAY, end, moments=(moment,), phrase=phrase)
        return Bounds(position, moment.minutes % DAY, None, end, moments=(moment,), phrase=phrase)
    return None


def _beside_part(cursor: TokenCursor, position: int, phrase: str) -> Bounds | None:
    """ "Before lunch", "after the morning", "until the evening", which ends with it as "until 13 May" does."""
    start = position + len(phrase.split())
    while cursor.text(start) in ("the", "this"):
        start += 1
    part = cursor.longest(start, _PARTS_AND_LUNCH)
    if part is None or phrase in ("from", "past", "starting"):
        return None
    end = start + len(part.split())
    if not cursor.may_follow(end):  # "after the morning run"
        return None
    begin, finish = _LUNCH if part.startswith("lunch") else PARTS[part]
    if phrase in _AFTER:
        return Bounds(position, 60 * (finish if phrase in _LATER else begin), None, end, named=False)
    return Bounds(position, None, 60 * (begin if phrase in _EARLIER else finish), end, named=False)


def _within(cursor: TokenCursor, position: int) -> Bounds | None:
    """ "Within 10 minutes of 14:20", "within an hour after 9", "10 minutes either side of noon"."""
    opened = cursor.text(position) == "within"
    reach = read_duration(cursor, position + opened)
    if reach is None:
        return None
    minutes, end = reach
    sides = cursor.longest(end, _EITHER_SIDE)
    if sides is None and opened and cursor.text(end) in ("of", "from", "around", "before", "after"):
        sides = cursor.text(end)
    moment = _trusted(cursor, end + len(sides.split())) if sides else None
    if moment is None:
        return None
    around = surroundings(position, moment, minutes)
    if sides == "before":
        return replace(around, before=moment.minutes % DAY or DAY)
    return replace(around, after=moment.minutes % DAY) if sides == "after" else around


def _trusted(cursor: TokenCursor, position: int) -> Moment | None:
    """A time at `position` that can only be meant as one: "after 14:00", "after 9", not "after 2 people"."""
    moment = read_moment(cursor, position)
    if moment is None or (not moment.certain and not cursor.may_follow(moment.end)):
        return None
    return moment


def _near(cursor: TokenCursor, position: int) -> Bounds | None:
    phrase = cursor.longest(position, _NEAR)
    if phrase is None:
        return None
    moment = _trusted(cursor, position + len(phrase.split()))
    if moment is None:
        return None
    worded = cursor.text(moment.end - 1).isalpha()  # "around nine"; "about 20" may be an age
    if not moment.certain and not phrase.startswith("at") and not worded:
        return None
    return _around(cursor, position, moment)


def _bare(cursor: TokenCursor, position: int) -> Bounds | None:
    moment = read_moment(cursor, position)
    if moment is None or not moment.certain or cursor.text(position - 1) in ("number", "candidate"):
        return None
    return _around(cursor, position, moment)


def _around(cursor: TokenCursor, position: int, moment: Moment) -> Bounds:
    """ "At 14:20", "at 14:20 give or take 10 minutes"."""
    phrase = cursor.longest(moment.end, _GIVE_OR_TAKE)
    reach = read_duration(cursor, moment.end + len(phrase.split())) if phrase else None
    if reach is None:
        return surroundings(position, moment)
    return replace(surroundings(position, moment, reach[0]), end=reach[1])


def _part(cursor: TokenCursor, position: int) -> Bounds | None:
    """ "In the morning", "this afternoon", "at night", "not in the evening"."""
    start = position
    negated = cursor.text(start) == "not"
    if negated:
        start += 1
    while cursor.text(start) in ("in", "the", "this", "during", "at", "around", "only", "every", "last"):
        start += 1
    phrase = cursor.longest(start, _PART_NAMES)
    if phrase is None and cursor.text(start) == "lunch" and _is_time(cursor, position, start):
        phrase = "lunch"
    if phrase is None or (start == position and cursor.text(position - 1) in ("good", "fine", "nice")):
        return None
    end = start + len(phrase.split())
    if is_worn(cursor, end):
        return None
    begin, finish = PARTS["lunchtime" if phrase == "lunch" else phrase]
    if negated:
        begin, finish = finish % 24, begin
    return Bounds(position, begin * 60, finish * 60, end, named=False, part=phrase, excepted=negated)


def _is_time(cursor: TokenCursor, position: int, start: int) -> bool:
    """Whether "lunch" at `start` is a time: "at lunch", "during lunch", not "a lunch box"."""
    led = any(cursor.text(at) in ("at", "during", "around") for at in range(position, start))
    return led and cursor.may_follow(start + 1)
