"""Days and spans of days in the operator's words, and the crops that pass: `day-ranges` and its neighbours."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.chat.chips import chips_of
from app.chat.conversation import Conversation, say, to_query
from app.chat.labels import filters_in_words
from app.chat.search_state import GalleryFacts, SearchState
from app.chat.understanding import understand
from app.chat.words import MONTHS
from app.query_json import query_json
from gallery_store import clock
from gallery_store.crops import Filters
from gallery_store.index import Index
from gallery_store.vectors import Vectors

GALLERY = GalleryFacts(
    cameras=("1", "2", "3"),
    days=tuple(date(2026, 5, day) for day in range(10, 16)),
    today=date(2026, 5, 15),  # a Friday
    now=datetime(2026, 5, 15, 18, 30),
)


NOTHING = Filters()


def at(day: int, hour: int = 0, minute: int = 0, month: int = 5) -> datetime:
    return datetime(2026, month, day, hour, minute)


def span(since: datetime | None = None, until: datetime | None = None, **more) -> Filters:
    return Filters(since=since, until=until, **more)


def days(*numbers: int, **more) -> Filters:
    return Filters(days=tuple(date(2026, 5, number) for number in numbers), **more)


def read(text: str, before: Filters = NOTHING, gallery: GalleryFacts = GALLERY) -> Filters:
    return understand(text, SearchState(filters=before), gallery).filters


SAID = {
    # What the case says, in its words.
    "after 12 May": span(at(13)),
    "before 12 May": span(until=at(12)),
    "since Monday": span(at(11)),
    "until yesterday": span(until=at(15)),
    "from 12 May to 14 May": span(at(12), at(15)),
    "between 11 and 13 May": span(at(11), at(14)),
    "between 11 May and 13 May": span(at(11), at(14)),
    "on 2026/05/12": days(12),
    "on 12-05-2026": days(12),
    "on 05/12/2026": days(12),
    "on 12.05.": days(12),
    "on 12.5.26": days(12),
    "on 20260512": days(12),
    "on May 12th at 14:00": days(12, after=time(13, 30), before=time(14, 30)),
    "2026-05-12T14:00": days(12, after=time(13, 30), before=time(14, 30)),
    "on 12 May after 14:00": days(12, after=time(14)),
    "from 12 May 14:00 to 13 May 09:00": span(at(12, 14), at(13, 9)),
    "last week": span(at(4), at(11)),
    "this weekend": span(at(9), at(11)),
    "in the last 24 hours": span(at(14, 18, 30)),
    "in the past 3 days": span(at(12)),
    "two days ago": days(13),
    "in May": span(at(1), at(1, month=6)),
    "on the 12th": days(12),
    "not on 12 May": days(10, 11, 13, 14, 15),
    "from Monday to Wednesday": span(at(11), at(14)),
    "since 12 May": span(at(12)),
    "no earlier than 13 May": span(at(13)),
    "on 12. Mai": days(12),
    "on 12 mai 2026": days(12),
    # Neighbours.
    "13 May 14:00 to 14 May 14:10": span(at(13, 14), at(14, 14, 10)),
    "from 14:00 on 13 May to 14:10 on 14 May": span(at(13, 14), at(14, 14, 10)),
    "between 2pm on 13 May and 9am on 14 May": span(at(13, 14), at(14, 9)),
    "from 12 May 14:00 to 16:00": span(at(12, 14), at(12, 16)),
    "from 12 May 22:00 to 02:00": span(at(12, 22), at(13, 2)),
    "2026-05-12T14:00:00 to 2026-05-13T09:00:00": span(at(12, 14), at(13, 9)),
    "until 13 May": span(until=at(14)),
    "not after 12 May": span(until=at(13)),
    "not before 12 May": span(at(12)),
    "not since 12 May": span(until=at(12)),
    "on or after 12 May": span(at(12)),
    "no later than the 12th of May": span(until=at(13)),
    "later than 12 May": span(at(13)),
    "from 12 May on": span(at(12)),
    "from 12 May onwards": span(at(12)),
    "from 12 May": days(12),
    "yesterday's crops, from yesterday": days(14),
    "since 12 May on camera 3": span(at(12), cameras=("3",)),
    "since yesterday evening": span(at(14, 18)),
    "after 12 May 14:00": span(at(12, 14)),
    "until 13 May at noon": span(until=at(13, 12)),
    "before noon on 12 May": days(12, before=time(12)),
    "after 14:00 on 12 May": days(12, after=time(14)),
    "on 12 May from 14:00 to 16:00": days(12, after=time(14), before=time(16)),
    "12 May to 14 May after 14:00": span(at(12), at(15), after=time(14)),
    "from 11th to the 13th of May": span(at(11), at(14)),
    "11-13 May": days(11, 12, 13),
    "12, 13 and 15 May": days(12, 13, 15),
    "not between 11 and 13 May": days(10, 14, 15),
    "not in May before 12:00": Filters(before=time(12)),  # it would leave nothing
    "last Monday": days(11),
    "in May 2026": span(at(1), at(1, month=6)),
    "this month": span(at(1), at(1, month=6)),
    "this week": span(at(11), at(18)),
    "in 2026": span(datetime(2026, 1, 1), datetime(2027, 1, 1)),
    "the last 2 hours": span(at(15, 16, 30)),
    "in the last hour": span(at(15, 17, 30)),
    "within the last 90 minutes": span(at(15, 17)),
    "in the past week": span(at(8)),
    "in the past half hour": span(at(15, 18)),
    "in the last hour and a half": span(at(15, 17)),
    "20 minutes ago": span(at(15, 17, 40), at(15, 18, 40)),
    "about an hour ago": span(at(15, 17), at(15, 18)),
    "a couple of hours ago": span(at(15, 15), at(15, 16)),
    "20mins ago": span(at(15, 17, 40), at(15, 18, 40)),
    "less than 20 minutes ago": span(at(15, 18, 10)),
    "more than 2 hours ago": span(until=at(15, 16, 30)),
    "since yesterday evening at 7": span(at(14, 19)),
    # What names no day.
    "he may have a red hat": Filters(),
    "the last one": Filters(),
    "she looks 20 to 30 years old": Filters(),
    "last month": Filters(),  # the gallery has nothing of April
    "in June": Filters(),
    "a man after his wife": Filters(),
}


@pytest.mark.parametrize(("said", "means"), SAID.items(), ids=SAID)
@pytest.mark.parametrize("frame", ["{}", "a man in a red shirt {}"])
def test_day_ranges(said: str, means: Filters, frame: str):
    assert read(frame.format(said)) == means


@pytest.mark.parametrize("text", ["last month", "in June", "since 20 May", "before 1 May"])
def test_a_span_without_crops_is_said_and_not_applied(text: str):
    message = understand(text, SearchState(), GALLERY)
    assert message.filters.is_empty
    (note,) = message.notes
    assert "6 days from 10 May 2026 to 15 May 2026. I did not filter by it." in note


def test_the_time_now_that_is_not_known_is_not_counted_back_from():
    message = understand("in the last 24 hours", SearchState(), GalleryFacts(days=GALLERY.days))
    assert message.filters.is_empty and "count back" in message.notes[0]


@pytest.mark.parametrize(
    ("messages", "means"),
    [
        (["since 11 May", "until 13 May"], span(at(11), at(14))),
        (["until 13 May", "since 11 May"], span(at(11), at(14))),
        (["since 11 May", "since 13 May"], span(at(13))),
        (["since 13 May", "before 12 May"], span(until=at(12))),
        (["from 11 May to 13 May", "on 15 May"], days(15)),
        (["on 15 May", "since 12 May"], span(at(12))),
        (["from 11 May to 12 May", "and 15 May"], days(11, 12, 15)),
        (["since 12 May", "after 14:00"], span(at(12), after=time(14))),
        (["since 12 May", "any day"], Filters()),
        (["since 12 May", "clear the filters"], Filters()),
        (["11 to 14 May", "not on 12 May"], days(11, 13, 14)),
        (["since 12 May", "not on 13 May"], days(10, 11, 12, 14, 15, since=at(12))),
        (["since 12 May", "a red hat"], span(at(12))),
    ],
)
def test_spans_over_messages(messages: list[str], means: Filters):
    filters = Filters()
    for message in messages:
        filters = read(message, filters)
    assert filters == means


@pytest.mark.parametrize(
    ("filters", "label"),
    [
        (span(at(13)), "since 13 May 2026"),
        (span(until=at(12)), "before 12 May 2026"),
        (span(at(12), at(15)), "from 12 May 2026 to 14 May 2026"),
        (span(at(12), at(13)), "on 12 May 2026"),
        (span(at(13, 14), at(14, 14, 10)), "from 13 May 2026 14:00 to 14 May 2026 14:10"),
    ],
)
def test_a_span_is_shown_and_can_be_taken_away(filters: Filters, label: str):
    assert filters_in_words(filters) == label
    (chip,) = chips_of(SearchState(filters=filters))
    assert chip.label == label.removeprefix("from ").removeprefix("on ")


def test_a_span_is_kept_with_the_conversation():
    kept = TypeAdapter(Conversation)
    asked = say(Conversation(), "a man since 12 May 14:00", GALLERY)
    again = kept.validate_json(kept.dump_json(asked))
    assert query_json(to_query(again))["filters"]["since"] == "2026-05-12T14:00"
    assert again.known.filters == asked.known.filters == span(at(12, 14))


# The oracle: a sentence, what it means as a predicate, and the rows that pass.

moments = st.datetimes(datetime(2026, 5, 9), datetime(2026, 5, 17)).map(lambda m: m.replace(microsecond=0))
clock_times = st.times().map(lambda t: t.replace(second=0, microsecond=0))
dates = st.dates(date(2026, 5, 10), date(2026, 5, 15))


def named(day: date, style: int) -> str:
    month = MONTHS[day.month - 1].capitalize()
    return (
        f"{day.day} {month}",
        f"{month} {day.day}",
        f"the {day.day}th of {month} {day.year}",
        day.isoformat(),
        f"{day.day:02}/{day.month:02}/{day.year}",
    )[style]


@st.composite
def sentences(draw):
    """(sentence, predicate of a local moment)."""
    first, last = sorted((draw(dates), draw(dates)))
    style = draw(st.integers(0, 4))
    a, b = named(first, style), named(last, style)
    hour, other = draw(clock_times), draw(clock_times)
    begin, end = datetime.combine(first, hour), datetime.combine(last, other)
    kinds = [
        (f"after {a}", lambda m: m.date() > first),
        (f"since {a}", lambda m: m.date() >= first),
        (f"before {a}", lambda m: m.date() < first),
        (f"until {a}", lambda m: m.date() <= first),
        (f"no later than {a}", lambda m: m.date() <= first),
        (f"from {a} to {b}", lambda m: first <= m.date() <= last),
        (f"between {a} and {b}", lambda m: first <= m.date() <= last),
        (f"not between {a} and {b}", lambda m: not first <= m.date() <= last),
        (f"on {a}", lambda m: m.date() == first),
        (f"not on {a}", lambda m: m.date() != first),
        (f"since {a} {hour:%H:%M}", lambda m: m >= begin),
        (f"before {a} {hour:%H:%M}", lambda m: m < begin),
        (f"since {a}, camera 2", lambda m: m.date() >= first),
    ]
    if begin < end:
        kinds += [
            (f"{a} {hour:%H:%M} to {b} {other:%H:%M}", lambda m: begin <= m < end),
            (f"from {hour:%H:%M} on {a} to {other:%H:%M} on {b}", lambda m: begin <= m < end),
        ]
    return draw(st.sampled_from(kinds))


def index_of(rows: list[tuple[datetime | None, int]], zone: ZoneInfo) -> Index:
    """rows: (local moment or none, camera 1 to 3)."""
    utc = [None if m is None else m.replace(tzinfo=zone).astimezone(ZoneInfo("UTC")) for m, _ in rows]
    times = np.array(
        ["NaT" if m is None else m.replace(tzinfo=None).isoformat() for m in utc], "datetime64[us]"
    )
    days_, clocks = clock.local_columns(times, zone)
    return Index(
        ids=np.arange(1, len(rows) + 1),
        vectors=Vectors(np.zeros((len(rows), 1), np.float16)),
        cameras=np.array([camera - 1 for _, camera in rows], np.int32),
        times=times,
        days=days_,
        clocks=clocks,
        camera_names={str(number): (number - 1, str(number)) for number in (1, 2, 3)},
        tags={},
    )


@settings(max_examples=300)
@given(
    sentences(),
    st.lists(st.tuples(st.none() | moments, st.integers(1, 3)), max_size=12),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"]),
)
def test_what_is_said_of_days_reaches_the_gallery_exactly(sentence, rows, zone):
    text, passes = sentence
    index = index_of(rows, ZoneInfo(zone))
    facts = GalleryFacts(
        cameras=("1", "2", "3"),
        days=tuple(sorted({m.date() for m, _ in rows if m is not None})),
        today=date(2026, 5, 15),
    )
    message = understand(f"a man in a red shirt {text}", SearchState(), facts)
    found = index.matching(message.filters).tolist()
    on_camera = message.filters.cameras == ("2",)
    assert on_camera == ("camera" in text)
    expected = [
        number
        for number, (m, camera) in enumerate(rows, 1)
        if m is not None and passes(m) and (camera == 2 or not on_camera)
    ]
    if message.notes:  # said, and not filtered by: nothing would be left, or nothing be left out
        dated = {bool(passes(m)) for m, _ in rows if m is not None}
        assert message.filters.since is message.filters.until is None and not message.filters.days
        assert dated <= {"anyway" in message.notes[0]}
    else:
        assert found == expected, text


def test_a_span_stops_at_its_very_bounds():
    edge = at(13, 14)
    rows = [(edge - timedelta(seconds=1), 1), (edge, 1), (at(14, 14, 9), 1), (at(14, 14, 10), 1), (None, 1)]
    index = index_of(rows, ZoneInfo("Europe/Berlin"))
    assert index.matching(span(edge, at(14, 14, 10))).tolist() == [2, 3]
    assert index.matching(span(until=edge)).tolist() == [1]
    assert index.matching(span(edge)).tolist() == [2, 3, 4]
