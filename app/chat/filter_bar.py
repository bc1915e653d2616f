"""What the filter bar sets by hand: the filters that words set too, changed as they are and not by a sentence."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta

from app.chat.conversation import Conversation, Turn, with_turn
from app.chat.labels import camera_label, day_label, filters_in_words, listed_cameras
from app.chat.search_state import GalleryFacts
from gallery_store.crops import Filters, camera_key

FILTERS = "filters"  # action of a turn
NO_FILTERS = "Filters: none, everything is searched"


@dataclass(frozen=True)
class FilterChange:
    """What is set; None leaves a part as it is.

    cameras: any of these, not_cameras: none of these; both empty let every camera pass. days: the first and the last
    one, both inclusive, None where a side is open. hours: the times of day from (inclusive) and until (exclusive),
    local, None where a side is open; a later one first goes over midnight.
    """

    cameras: tuple[str, ...] | None = None
    not_cameras: tuple[str, ...] | None = None
    days: tuple[date | None, date | None] | None = None
    hours: tuple[time | None, time | None] | None = None


def set_filters(conversation: Conversation, change: FilterChange, gallery: GalleryFacts) -> Conversation:
    """The conversation after a change of its filters, one turn whatever was set; no turn where nothing changes.

    ValueError, in one sentence, for what the gallery does not have, or what nothing could pass.
    """
    known = conversation.known
    filters = _changed(known.filters, change, gallery)
    if filters == known.filters:
        return conversation
    words = filters_in_words(filters)
    text = f"Filters: {words}" if words else NO_FILTERS
    return with_turn(conversation, Turn(FILTERS, replace(known, filters=filters), text=text))


def _changed(filters: Filters, change: FilterChange, gallery: GalleryFacts) -> Filters:
    if change.cameras is not None:
        filters = replace(filters, cameras=_of_gallery(change.cameras, gallery))
    if change.not_cameras is not None:
        filters = replace(filters, not_cameras=_of_gallery(change.not_cameras, gallery))
    if both := set(_keys(filters.cameras)) & set(_keys(filters.not_cameras)):
        if change.cameras is not None and change.not_cameras is not None:
            raise ValueError(f"Look on {camera_label(min(both))}, or leave it out, but not both.")
        # What is set now counts, as in words: "camera 3" after "not camera 3".
        if change.cameras is not None:
            filters = replace(filters, not_cameras=_without(filters.not_cameras, both))
        else:
            filters = replace(filters, cameras=_without(filters.cameras, both))
    if change.days is not None:
        filters = _within_days(filters, *change.days, gallery)
    if change.hours is not None:
        filters = _within_hours(filters, *change.hours, gallery)
    return filters


def _keys(names: Sequence[str]) -> list[str]:
    return [camera_key(name) for name in names]


def _without(names: Sequence[str], keys: Collection[str]) -> tuple[str, ...]:
    return tuple(name for name in names if camera_key(name) not in keys)


def _of_gallery(names: Sequence[str], gallery: GalleryFacts) -> tuple[str, ...]:
    """The cameras, each once and as the gallery calls it, in the gallery's order."""
    keys = set(_keys(names))
    known = {camera_key(name): name for name in gallery.cameras}
    if missing := sorted(keys - set(known)):
        has = f"it has {listed_cameras(gallery.cameras)}" if known else "it knows no cameras"
        raise ValueError(f"There is no camera {' or '.join(missing)} in this gallery; {has}.")
    return tuple(name for key, name in known.items() if key in keys)


def _within_days(filters: Filters, first: date | None, last: date | None, gallery: GalleryFacts) -> Filters:
    """A single day is a filter of its own, as "on 12 May" is; several are a span, as "from 12 to 14 May" is."""
    filters = replace(filters, days=(), since=None, until=None)
    if first is None and last is None:
        return filters
    if first is not None and last is not None and first > last:
        raise ValueError(f"The first day, {day_label(first)}, comes after the last one, {day_label(last)}.")
    if not any((first is None or day >= first) and (last is None or day <= last) for day in gallery.days):
        raise ValueError("The gallery has nothing of these days.")
    if first is not None and first == last:
        return replace(filters, days=(first,))
    since = datetime.combine(first, time()) if first is not None else None
    until = datetime.combine(last + timedelta(days=1), time()) if last not in (None, date.max) else None
    return replace(filters, since=since, until=until)


def _within_hours(
    filters: Filters, after: time | None, before: time | None, gallery: GalleryFacts
) -> Filters:
    """Midnight bounds nothing: the day begins and ends there."""
    if (after is not None or before is not None) and not gallery.days:
        raise ValueError("The gallery's crops have no times, so nothing can be filtered by them.")
    after = None if after == time() else after
    before = None if before == time() else before
    if after is not None and after == before:
        raise ValueError(f"From {after:%H:%M} until {before:%H:%M} is no time at all; give another one.")
    return replace(filters, after=after, before=before)
