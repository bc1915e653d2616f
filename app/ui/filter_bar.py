"""The filter bar above the candidates: cameras, days, and the hours of the day with how many crops each has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count

from app.cards import camera_name
from app.chat.labels import day_label, filters_in_words, listed_days, span_label
from app.session import ChatSession
from app.ui.html import render
from gallery_store.crops import Filters, camera_key
from gallery_store.errors import GalleryError
from gallery_store.store import GalleryStore

MOST_DAYS_LISTED = 120  # a gallery of more has fields for dates, not lists
_DAY = 24 * 60  # minutes
_refusals = count(1)


@dataclass(frozen=True)
class CameraButton:
    """name: as the gallery has it. state: "on" where it is looked on, "out" where it is left out, else "off"."""

    name: str
    label: str
    title: str
    count: int
    state: str


def filters_html(session: ChatSession) -> str:
    """The bar as the chips have it."""
    # A refused change is drawn as it was, also where that is what was drawn before.
    drawn = next(_refusals) if session.notice else 0
    return bar_html(session.service.store, session.conversation.known.filters, drawn)


def bar_html(store: GalleryStore, filters: Filters, drawn: int = 0) -> str:
    """The bar of these filters; nothing where the gallery has neither cameras nor times, or cannot be read.

    drawn: another number makes it another text, and so what the page has changed of it is drawn anew.
    """
    try:
        cameras, days, counts = store.cameras(), store.days(), store.filter_counts(filters)
    except GalleryError:
        return ""
    if not cameras and not days:
        return ""
    first, last = _ends(filters, days)
    after, before = _minutes(filters.after) or 0, _minutes(filters.before) or _DAY
    return render(
        "filters",
        words=filters_in_words(filters),
        cameras=[_button(name, counts.cameras, filters) for name in cameras],
        day=day_label(days[0]) if len(days) == 1 else "",
        days=[(day.isoformat(), _short(day, days)) for day in days],
        are_listed=len(days) <= MOST_DAYS_LISTED,
        first=first,
        last=last,
        exact=_exact(filters, days),
        hours=counts.hours,
        most=max(*counts.hours, 1),
        after=after,
        before=before,
        drawn=drawn,
    )


def _button(name: str, counts: dict[str, int], filters: Filters) -> CameraButton:
    key = camera_key(name)
    state = "on" if key in map(camera_key, filters.cameras) else "off"
    if key in map(camera_key, filters.not_cameras):
        state = "out"
    called = camera_name(name)
    return CameraButton(name, called.removeprefix("camera "), called, counts.get(key, 0), state)


def _short(day: date, days: list[date]) -> str:
    """ "12 May", with the year where the gallery has several."""
    return day_label(day) if days[0].year != days[-1].year else day_label(day).removesuffix(f" {day.year}")


def _ends(filters: Filters, days: list[date]) -> tuple[str, str]:
    """The first and the last day that pass, in ISO form; "" where a side is open."""
    if filters.days:
        return min(filters.days).isoformat(), max(filters.days).isoformat()
    first = last = ""
    if filters.since is not None:
        first = next((day.isoformat() for day in days if day >= filters.since.date()), "")
    if filters.until is not None:
        end = (filters.until - timedelta(microseconds=1)).date()
        last = next((day.isoformat() for day in reversed(days) if day <= end), "")
    return first, last


def _exact(filters: Filters, days: list[date]) -> str:
    """What a first and a last day cannot say: single days with others between, and moments that are no midnight."""
    if filters.days:
        between = [day for day in days if min(filters.days) <= day <= max(filters.days)]
        return f"only {listed_days(filters.days)}" if len(between) > len(set(filters.days)) else ""
    moments: list[datetime] = [one for one in (filters.since, filters.until) if one is not None]
    return span_label(filters) if any(moment.time() != time() for moment in moments) else ""


def _minutes(moment: time | None) -> int | None:
    """Since midnight."""
    return None if moment is None else moment.hour * 60 + moment.minute
