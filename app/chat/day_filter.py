"""Days and spans of days in an operator's words, as filters: "on 12 May", "not on Monday", "since 12 May"."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta

from app.chat.day_ranges import Span, read_span
from app.chat.days import days_at
from app.chat.labels import day_label, listed_days, span_label
from app.chat.message_tokens import TokenCursor
from app.chat.search_state import GalleryFacts
from app.chat.words import phrases
from gallery_store.crops import Filters

_ANY_DAY = phrases(
    "any day|every day|all days|each day|whichever day|the day does not matter|forget the day|ignore the day|"
    "drop the day|remove the day|forget the date|ignore the date|remove the date|any date|all dates|"
    "the date does not matter|forget the dates|any week|any month"
)


def read_days(cursor: TokenCursor, filters: Filters, gallery: GalleryFacts) -> Filters:
    """The filters after what the message says of days; takes those tokens. Days without crops are named in a
    note and not applied.
    """
    named: list[date] = []
    excluded: list[date] = []
    spans: list[Span] = []
    adds = False
    position = 0
    while position < len(cursor.tokens):
        cleared = cursor.longest(position, _ANY_DAY)
        if cleared:
            end = position + len(cleared.split())
            cursor.take(position - 1 if cursor.text(position - 1) == "on" else position, end)
            filters, position = replace(filters, days=(), since=None, until=None), end
            continue
        span = read_span(cursor, position, gallery)
        mention = None if span else days_at(cursor, position, gallery)
        if span is None and mention is None:
            position += 1
            continue
        days, end = mention or ([], span.end if span else position)
        adds = adds or cursor.adds(position, end)
        if cursor.corrects(position):
            named, spans = [], []
        negated, begin = cursor.negated(position)
        if cursor.text(begin) == "but":
            negated, begin = False, begin + 1
        cursor.take(begin, end)
        position = end
        if span is None:
            (excluded if negated else named).extend(days)
        elif not negated:
            spans.append(span)
        elif span.since is None or span.until is None:
            spans.append(replace(span, since=span.until, until=span.since))
        elif span.since.time() == span.until.time() == time():
            left_out = [day for day in gallery.days if span.since.date() <= day < span.until.date()]
            if not left_out:
                label = span_label(Filters(since=span.since, until=span.until))
                cursor.notes.append(f"The gallery has nothing of {label} anyway.")
            excluded += left_out
        else:
            cursor.notes.append("I cannot leave out a part of a day, so I did not.")
    for span in spans:
        filters = _within(cursor, filters, span, gallery)
    if adds and named:
        named = [*_whole_days(filters, gallery), *named]
    return _on_days(cursor, filters, named, excluded, gallery, after_span=bool(spans))


def _whole_days(filters: Filters, gallery: GalleryFacts) -> list[date]:
    """The days of the gallery that the filters name, one by one or by a span of whole days."""
    if filters.days or filters.since is filters.until is None:
        return list(filters.days)
    if any(bound is not None and bound.time() != time() for bound in (filters.since, filters.until)):
        return []
    return [day for day in gallery.days if _overlaps(day, filters.since, filters.until)]


def _within(cursor: TokenCursor, filters: Filters, span: Span, gallery: GalleryFacts) -> Filters:
    """The filters with a span; an open one joins the other bound of earlier words, unless nothing lies between."""
    since, until = span.since, span.until
    label = span_label(Filters(since=since, until=until))
    if not gallery.days:
        cursor.notes.append(f"The gallery's crops have no times, so I did not filter by {label}.")
        return filters
    if not any(_overlaps(day, since, until) for day in gallery.days):
        cursor.notes.append(
            f"The gallery has nothing of the time you named ({label}); it has {listed_days(gallery.days)}. I did not "
            "filter by it."
        )
        return filters
    if since is None and filters.since is not None and until is not None and filters.since < until:
        since = filters.since
    elif until is None and filters.until is not None and since is not None and since < filters.until:
        until = filters.until
    elif (since is None or until is None) and (filters.since or filters.until):
        old = span_label(replace(filters, days=()))
        if (since is None) != (filters.since is None):
            cursor.notes.append(f"I dropped “{old}”, since it leaves nothing beside the new time.")
    return replace(filters, days=(), since=since, until=until)


def _on_days(
    cursor: TokenCursor,
    filters: Filters,
    named: list[date],
    excluded: list[date],
    gallery: GalleryFacts,
    *,
    after_span: bool,
) -> Filters:
    """The filters with single days; they take the place of earlier days and spans, excluded ones are left out."""
    in_gallery = set(gallery.days)
    absent = [day for day in dict.fromkeys(named) if day not in in_gallery]
    if absent:
        cursor.notes.append(_absent(absent, gallery))
    kept = tuple(sorted({day for day in named if day in in_gallery} - set(excluded)))
    if kept:
        return (
            replace(filters, days=kept) if after_span else replace(filters, days=kept, since=None, until=None)
        )
    if excluded:
        kept = tuple(day for day in sorted(filters.days or in_gallery) if day not in excluded)
        if any(_overlaps(day, filters.since, filters.until) for day in kept):
            return replace(filters, days=kept)
        cursor.notes.append("That would leave no day of this gallery, so I did not apply it.")
    return filters


def _overlaps(day: date, since: datetime | None, until: datetime | None) -> bool:
    midnight = datetime.combine(day, time())
    return (since is None or midnight + timedelta(days=1) > since) and (until is None or midnight < until)


def _absent(days: list[date], gallery: GalleryFacts) -> str:
    missing = " or ".join(day_label(day) for day in days[:3])
    if not gallery.days:
        return f"The gallery's crops have no times, so I did not filter by {missing}."
    return (
        f"The gallery has nothing of {missing}; it has {listed_days(gallery.days)}. I did not filter by it."
    )
