"""Times of day as filters: what a message says of them, taken together, and with what earlier messages said."""

from __future__ import annotations

from dataclasses import replace

from app.chat.durations import read_duration
from app.chat.message_tokens import TokenCursor
from app.chat.search_state import GalleryFacts
from app.chat.time_bounds import AROUND, Bounds, read_bounds, surroundings
from app.chat.time_joining import added, bound_time, bounds_of, clock, inverted, shifted, together
from app.chat.time_of_day import DAY, read_moment
from app.chat.words import phrases
from gallery_store.crops import Filters

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
_AGO = phrases("last hour|past hour|just now|right now|a moment ago|recently")


def read_times(cursor: TokenCursor, filters: Filters, gallery: GalleryFacts) -> Filters:
    """The filters after what the message says of the time of day; takes those tokens. Bounds of an earlier
    message stay, unless the new one would leave nothing between them. Crops without times cannot be filtered
    by them: a note says so, and nothing is applied.
    """
    found: list[Bounds] = []
    cleared, adds = False, False
    either = bool(cursor.tokens) and cursor.text(0) == "or"
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
        corrects = cursor.corrects(position)
        bounds = _corrected(cursor, position, found, filters) if corrects else None
        bounds = bounds or _listed(cursor, position, found) or read_bounds(cursor, position)
        if bounds is None:
            position += 1
            continue
        bounds = _excepted(cursor, bounds, any_time)
        found = [*(found[:-1] if corrects else found), bounds]
        adds = adds or cursor.adds(bounds.start, bounds.end)
        position = bounds.end
        cursor.take(bounds.start, bounds.end)
    if cleared:
        filters = replace(filters, after=None, before=None)
    if found and not gallery.days:
        cursor.notes.append("The gallery's crops have no times, so I did not filter by time.")
        return filters
    total = together(cursor, found)
    if total is None:
        return filters
    if adds and (wider := added(cursor, filters, total, either)):
        return _merged(cursor, replace(filters, after=None, before=None), wider.after, wider.before)
    after, before = total.after, total.before
    if total.named and after is not None and before is not None and before < after:
        cursor.notes.append(
            f"I read {clock(after):%H:%M} to {clock(before):%H:%M} as over midnight; swap them if you meant the day."
        )
    return _merged(cursor, filters, after, before)


def _excepted(cursor: TokenCursor, bounds: Bounds, any_time: int) -> Bounds:
    """ "Any time except 14:00 to 15:00", "not between 2 and 3 pm": the rest of the day. any_time: one past the last
    "any time"; elsewhere "but after 14:00" begins a clause.
    """
    negated, start = cursor.negated(bounds.start)
    excepting = cursor.text(start) in ("not", "except", "excluding", "outside")
    if not negated or not (excepting or (cursor.text(start) == "but" and start == any_time)):
        return bounds
    after, before = bounds.before, bounds.after
    return replace(bounds, start=start, after=after, before=before, named=False, excepted=bounds.closed)


def _corrected(cursor: TokenCursor, position: int, found: list[Bounds], filters: Filters) -> Bounds | None:
    """The bounds that a mere hour at `position` corrects, with that hour: "make that 3" after "after 2pm"."""
    moment = read_moment(cursor, position)
    if moment is None or not cursor.may_follow(moment.end) or cursor.text(moment.end) in ("to", "-", "until"):
        return None
    if not found and filters.cameras and not moment.certain:
        return None  # it may be a camera
    old = found[-1] if found else bounds_of(filters)
    reference = old.after if old.after is not None else old.before
    if reference is None:
        return None
    if (
        not (moment.halved or moment.said.startswith("0"))
        and reference >= DAY // 2
        and moment.minutes < DAY // 2
    ):
        moment = moment.at(moment.minutes + DAY // 2)
    around = surroundings(position, moment)
    if not old.closed:
        exact = moment.minutes % DAY
        return replace(
            around,
            after=None if old.after is None else exact,
            before=None if old.before is None else exact or DAY,
            named=True,
        )
    assert old.after is not None and old.before is not None
    return around if (old.before - old.after) % DAY == 2 * AROUND else None


def _listed(cursor: TokenCursor, position: int, found: list[Bounds]) -> Bounds | None:
    """The next hour of "at 9, 10 and 11", "at 9 or 10 in the evening". Its half of the day is of the hour
    before as well, which is changed in place.
    """
    joint = cursor.text(position - 1) in ("and", "or", ",")
    if not joint or not found or found[-1].end != position - 1 or len(found[-1].moments) != 1:
        return None
    moment = read_moment(cursor, position)
    if moment is None or not cursor.may_follow(moment.end) or cursor.text(moment.end) in ("at", "to", "-"):
        return None
    last = found[-1]
    if moment.half and not last.moments[0].halved:
        told = last.moments[0].at_half(moment.half).minutes
        found[-1] = shifted(last, told - last.moments[0].minutes)
    around = replace(surroundings(position, moment), phrase=last.phrase)
    return replace(inverted(around), excepted=True) if last.excepted else around


def _counted_back(cursor: TokenCursor, position: int) -> int | None:
    """One past the end of "five minutes ago", "in the last 2 hours", "the last hour" at `position`, or None."""
    phrase = cursor.longest(position, _AGO)
    if phrase:
        return position + len(phrase.split())
    last = cursor.text(position) in ("last", "past")
    counted = read_duration(cursor, position + last)
    if counted is None:
        return None
    return counted[1] if last else counted[1] + 1 if cursor.text(counted[1]) == "ago" else None


def _merged(cursor: TokenCursor, filters: Filters, after: int | None, before: int | None) -> Filters:
    """The filters with these bounds, in minutes; one bound alone joins the other one of earlier messages."""
    if after is None and before is None:
        return filters
    if after is not None and before is not None:
        if before - after >= DAY or after == before % DAY == 0:
            return replace(filters, after=None, before=None)
        return replace(filters, after=bound_time(after), before=bound_time(before, is_end=True))
    if after is not None:
        old = filters.before
        if old is not None and old <= clock(after):
            cursor.notes.append(
                f"I dropped “before {old:%H:%M}”, since it leaves nothing after the new time."
            )
            old = None
        return replace(filters, after=bound_time(after), before=old)
    assert before is not None
    start = filters.after
    if start is not None and before % DAY and start >= clock(before):
        cursor.notes.append(f"I dropped “after {start:%H:%M}”, since it leaves nothing before the new time.")
        start = None
    return replace(filters, after=start, before=bound_time(before, is_end=True))
