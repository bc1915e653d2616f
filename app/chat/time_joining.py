"""Several bounds of the time of day as one: those of a message, and with them those of earlier messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import time

from app.chat.message_tokens import TokenCursor
from app.chat.time_bounds import Bounds
from app.chat.time_of_day import DAY
from gallery_store.crops import Filters

# The hours that may be said beside a part of the day: "9 last night".
_BESIDE = {
    "morning": (0, 12),
    "lunch": (11, 15),
    "lunchtime": (11, 15),
    "time": (11, 15),
    "afternoon": (12, 19),
    "evening": (15, 24),
    "tonight": (15, 30),
    "night": (18, 30),
}
_LONG_DAY = 18 * 60  # two times further apart than that are of one night


def together(cursor: TokenCursor, found: list[Bounds]) -> Bounds | None:
    """All bounds of a message as one. Two times that are apart are kept with what lies between them, and told."""
    found = _beside_parts(found)
    for bounds in found:
        _tell_hours(cursor, bounds)
    total: Bounds | None = None
    apart = False
    for bounds in found:
        if bounds.excepted:
            continue
        if total is None:
            total = bounds
        elif _complement(total, bounds):
            total = _both(total, bounds)
        else:
            hull = _hull(total, bounds)
            apart |= _has_gap(total, bounds, hull) or _unrolled(hull) in map(_unrolled, (total, bounds))
            total = hull
    if total is not None and apart:
        cursor.notes.append(_spanned(total))
    return _without(cursor, total, [bounds for bounds in found if bounds.excepted])


def added(cursor: TokenCursor, filters: Filters, total: Bounds, either: bool) -> Bounds | None:
    """ "Or the afternoon": with what earlier messages said. None where that is nothing, where what is said now lies in
    it and so narrows it, and for "and before 16:00". either: the message begins with "or".
    """
    old = bounds_of(filters)
    if (old.after is None and old.before is None) or not (total.closed or either):
        return None
    if _complement(old, total):
        return _both(old, total)
    begin, end = _unrolled(old)
    first, last = _unrolled(total)
    if begin <= first and last <= end:
        return None
    hull = _hull(old, total)
    if _has_gap(old, total, hull):
        cursor.notes.append(_spanned(hull))
    return hull


def bounds_of(filters: Filters) -> Bounds:
    """What earlier messages said of the time of day."""
    after, before = filters.after, filters.before
    return Bounds(
        0,
        None if after is None else after.hour * 60 + after.minute,
        None if before is None else before.hour * 60 + before.minute,
        0,
        named=False,
    )


def inverted(bounds: Bounds) -> Bounds:
    """The rest of the day."""
    return replace(bounds, after=(bounds.before or 0) % DAY, before=bounds.after or DAY, named=False)


def shifted(bounds: Bounds, minutes: int) -> Bounds:
    after = None if bounds.after is None else (bounds.after + minutes) % DAY
    before = None if bounds.before is None else (bounds.before + minutes) % DAY or DAY
    moments = tuple(moment.at((moment.minutes + minutes) % DAY).sure for moment in bounds.moments)
    return replace(bounds, after=after, before=before, moments=moments)


def clock(minutes: int) -> time:
    return time(minutes % DAY // 60, minutes % 60)


def bound_time(minutes: int, is_end: bool = False) -> time | None:
    """The time of day; the end of the day is no bound at all."""
    if is_end and minutes % DAY == 0:
        return None
    return clock(minutes)


def _complement(one: Bounds, other: Bounds) -> bool:
    """Whether one is open where the other is not: "after 14:00 and before 16:00"."""
    return not one.closed and not other.closed and (one.after is None) == (other.before is None)


def _both(one: Bounds, other: Bounds) -> Bounds:
    """ "After 14:00 and before 16:00"."""
    after = one.after if other.after is None else other.after
    before = one.before if other.before is None else other.before
    return replace(other, after=after, before=before, named=one.named and other.named)


def _hull(one: Bounds, other: Bounds) -> Bounds:
    """The shortest span of hours with both in it; open where either is."""
    if not (one.closed and other.closed):
        after = None if None in (one.after, other.after) else min(one.after or 0, other.after or 0)
        before = None if None in (one.before, other.before) else max(one.before or 0, other.before or 0)
        return replace(other, after=after, before=before, named=False)
    begin, end = _unrolled(one)
    spans = []
    for shift in (-DAY, 0, DAY):
        first, last = (minutes + shift for minutes in _unrolled(other))
        spans.append((max(end, last) - min(begin, first), min(begin, first)))
    over_midnight = end > DAY or _unrolled(other)[1] > DAY or spans[1][0] > _LONG_DAY
    length, start = min(spans) if over_midnight else spans[1]
    if length >= DAY:
        return replace(other, after=0, before=DAY, named=False)
    return replace(other, after=start % DAY, before=(start + length) % DAY or DAY, named=False)


def _unrolled(bounds: Bounds) -> tuple[int, int]:
    """Where bounds begin and end, in minutes; over midnight they end on the next day."""
    begin, end = bounds.after or 0, DAY if bounds.before is None else bounds.before
    return begin, end + (DAY if end <= begin else 0)


def _has_gap(one: Bounds, other: Bounds, hull: Bounds) -> bool:
    """Whether there is more in the span over two than the two themselves."""
    length = [end - begin for begin, end in map(_unrolled, (one, other, hull))]
    return length[2] > length[0] + length[1]


def _spanned(total: Bounds) -> str:
    after, before = bound_time(total.after or 0), bound_time(total.before or 0, is_end=True)
    since = f" from {after:%H:%M}" if after and total.after else ""
    until = f" until {before:%H:%M}" if before and total.before else ""
    if not since and not until:
        return "I can keep one span of hours, and the times you named are the whole day together."
    return f"I can keep one span of hours, so I look{since}{until}: all the times you named are in it."


def _without(cursor: TokenCursor, total: Bounds | None, excepted: list[Bounds]) -> Bounds | None:
    """The bounds without the hours that are excepted, which may take away their beginning or their end."""
    if not excepted:
        return total
    out = inverted(excepted[0])
    for bounds in excepted[1:]:
        out = _hull(out, inverted(bounds))
    if len(excepted) > 1:
        cursor.notes.append("I leave out one span of hours, which has all the times you named.")
    if total is None:
        return inverted(out)
    begin, end = total.after or 0, total.before or DAY
    first, last = out.after or 0, out.before or DAY
    if begin < end and first < last:
        if end <= first or last <= begin:
            return total
        if first <= begin and last < end:
            return replace(total, after=last)
        if begin < first and end <= last:
            return replace(total, before=first)
    cursor.notes.append("I cannot leave those hours out of the others, so I did not.")
    return total


def _beside_parts(found: list[Bounds]) -> list[Bounds]:
    """ "In the evening at 7": a part of the day beside an hour says which half of the day the hour is of, and is no
    bound beside it, but for the open side of "in the morning, after 10".
    """
    parts = [bounds for bounds in found if bounds.part and not bounds.excepted]
    told: list[Bounds] = []  # parts that an hour was read by
    kept: list[Bounds] = []
    for bounds in found:
        before = [part for part in parts if part.start < bounds.start][-1:]
        behind = [part for part in parts if part.start > bounds.start][:1]
        for part in before + behind if bounds.moments and not bounds.excepted else ():
            if read := _read_by(part, bounds):
                told.append(part)
                bounds = _bounded_by(part, read) if part in before else read
                break
        kept.append(bounds)
    return [bounds for bounds in kept if bounds not in told]


def _read_by(part: Bounds, bounds: Bounds) -> Bounds | None:
    """The bounds as meant beside a part of the day, in the other half of the day where that fits alone; or None."""
    first, last = _BESIDE[part.part.split()[-1]]
    flexible = not any(moment.halved for moment in bounds.moments)
    for shift in (0, DAY // 2) if flexible else (0,):
        for moment in bounds.moments:
            minutes = (moment.minutes + shift) % DAY
            if any(first * 60 <= at <= last * 60 for at in (minutes, minutes + DAY)):
                return shifted(bounds, shift)
    return None


def _bounded_by(part: Bounds, bounds: Bounds) -> Bounds:
    """ "In the morning, after 10": the part's other side, where it is one."""
    if bounds.closed or part.after is None or part.before is None:
        return bounds
    bound = bounds.after if bounds.after is not None else bounds.before or 0
    if (bound - part.after) % DAY > (part.before - part.after) % DAY:
        return bounds
    after = part.after if bounds.after is None else bounds.after
    return replace(
        bounds, after=after, before=part.before if bounds.before is None else bounds.before, named=False
    )


def _tell_hours(cursor: TokenCursor, bounds: Bounds) -> None:
    """Say which hours were read in the afternoon, and which in the small hours."""
    for moment in bounds.moments:
        hour, minute = divmod(moment.minutes, 60)
        if moment.moved:
            cursor.notes.append(
                f"I read “{moment.said}” as {hour:02}:{minute:02}: the gallery has nothing of the hour from "
                f"{hour - 12:02}:00."
            )
        if bounds.phrase and not moment.certain and 0 < moment.minutes <= 6 * 60:
            cursor.notes.append(
                f"I read “{bounds.phrase} {hour}” as {hour:02}:00; say “{hour} pm” for the afternoon."
            )
