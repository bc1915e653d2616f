"""Cameras, days and times of day in the operator's words, and how they add up over messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.labels import filters_in_words, listed_cameras, listed_days
from app.chat.search_state import GalleryFacts, SearchState
from app.chat.understanding import understand
from app.chat.words import listed
from gallery_store.crops import Filters
from tests.chat_notation import GALLERY


def after(*messages: str, gallery: GalleryFacts = GALLERY) -> Filters:
    filters = Filters()
    for message in messages:
        filters = understand(message, SearchState(filters=filters), gallery).filters
    return filters


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (["camera 3", "only camera 4"], Filters(cameras=("4",))),
        (["camera 3", "also camera 4"], Filters(cameras=("3", "4"))),
        (["camera 3", "and camera 4 too"], Filters(cameras=("3", "4"))),
        (["cameras 1, 2 and 3", "include camera 4 too"], Filters(cameras=("1", "2", "3", "4"))),
        (["not cameras 1 and 2", "include camera 1 again"], Filters(not_cameras=("2",))),
        (["cameras 1 to 4", "not camera 2"], Filters(cameras=("1", "3", "4"), not_cameras=("2",))),
        (["camera 5", "not camera 5"], Filters(not_cameras=("5",))),
        (["not camera 5", "camera 5"], Filters(cameras=("5",))),
        (["camera 3", "any camera"], Filters()),
        (["not camera 3", "all cameras"], Filters()),
        (["camera 3", "forget the camera"], Filters()),
        (["cameras 3 and 4", "forget camera 3"], Filters(cameras=("4",))),
        (["camera 3", "the camera doesn't matter"], Filters()),
        (["camera 3", "camera 9"], Filters(cameras=("3",))),
        (["after 14:00", "before 16:00"], Filters(after=time(14), before=time(16))),
        (["after 14:00", "after 15:30"], Filters(after=time(15, 30))),
        (["after 14:00", "before 9:00"], Filters(before=time(9))),
        (["before 9:00", "after 14:00"], Filters(after=time(14))),
        (["after 22:00 and before 6am"], Filters(after=time(22), before=time(6))),
        (["after 14:00", "any time"], Filters()),
        (["after 14:00", "forget the time"], Filters()),
        (["after 14:00", "a woman with a hat"], Filters(after=time(14))),
        (["from 0:00 to 24:00"], Filters()),
        (["after noon", "before midnight"], Filters(after=time(12))),
        (["on 11 May", "on 12 May"], Filters(days=(date(2026, 5, 12),))),
        (["on 12 May", "any day"], Filters()),
        (["not on 11 May"], Filters(days=(date(2026, 5, 12),))),
        (["on 12 May", "on 30 February"], Filters(days=(date(2026, 5, 12),))),
        (["camera 3 after 14:00 on 12 May", "clear the filters"], Filters()),
        (["camera 3 after 14:00", "start over"], Filters()),
    ],
)
def test_filters_over_messages(messages: list[str], expected: Filters):
    assert after(*messages) == expected


def test_a_bound_that_would_leave_nothing_is_dropped_aloud():
    said = understand("before 9:00", SearchState(filters=Filters(after=time(14))), GALLERY)
    assert any("after 14:00" in note for note in said.notes)


@pytest.mark.parametrize(
    "text",
    [
        "a man after his wife",
        "2 bags",
        "after 2 people",
        "she looks about 30",
        "he looks after 2 kids",
        "number 14",
    ],
)
def test_numbers_that_are_no_filters(text: str):
    assert after(text).is_empty


def _spoken(minutes: int, style: int) -> str:
    hour, minute = divmod(minutes, 60)
    if style == 0:
        return f"{hour}:{minute:02}"
    if style == 1:
        return f"{hour:02}.{minute:02}"
    half = "am" if hour < 12 else "pm"
    return f"{(hour - 1) % 12 + 1}:{minute:02}{' ' if style == 2 else ''}{half}"


@given(st.integers(0, 1439), st.integers(0, 1439), st.sampled_from([(0, 0), (0, 1), (1, 1), (2, 2), (2, 3)]))
def test_any_two_times_in_any_style(first: int, second: int, styles: tuple[int, int]):
    begin, end = time(*divmod(first, 60)), time(*divmod(second, 60))
    expected = Filters(after=begin, before=end if second else None)  # 0:00 is the end of the day as well
    if not (first or second):
        expected = Filters()
    for wording in ("between {} and {}", "a woman with a hat, from {} until {}", "after {} and before {}"):
        text = wording.format(_spoken(first, styles[0]), _spoken(second, styles[1]))
        assert after(text) == expected, text


@given(st.sets(st.integers(1, 6), min_size=1), st.integers(0, 2))
def test_any_list_of_cameras(numbers: set[int], style: int):
    ordered = sorted(numbers)
    names = [str(number) for number in ordered]
    if len(names) == 1:
        text = f"camera {names[0]}"
    else:
        text = f"cameras {', '.join(names[:-1])} {('and', 'or', '&')[style]} {names[-1]}"
    assert after(f"a man in jeans on {text}") == Filters(cameras=tuple(names))
    assert after(f"not {text}") == Filters(not_cameras=tuple(names))


@given(st.dates(date(2020, 1, 1), date(2029, 12, 31)), st.integers(0, 4))
def test_any_day_in_any_style(day: date, style: int):
    months = listed(
        """
    January February March April May June July August September October November December
        """
    )
    month = months[day.month - 1]
    text = (
        f"on {day.day} {month} {day.year}",
        f"on {month} {day.day}, {day.year}",
        day.isoformat(),
        f"on the {day.day}th of {month[:3]}",
        f"{day.day:02}/{day.month:02}/{day.year}",
    )[style]
    gallery = GalleryFacts(days=(day,), today=day)
    assert after(text, gallery=gallery) == Filters(days=(day,))
    other = date(2019, 7, 1) if (day.month, day.day) == (1, 1) else date(2019, 1, 1)  # style 3 says no year
    assert after(text, gallery=GalleryFacts(days=(other,), today=day)).is_empty


def test_in_words():
    filters = Filters(cameras=("3", "4"), days=(date(2026, 5, 12),), after=time(14))
    assert filters_in_words(filters) == "on cameras 3 and 4, on 12 May 2026, after 14:00"
    assert filters_in_words(Filters()) == ""
    assert listed_cameras(("cam1", "cam2", "cam3")) == "cameras 1 to 3"
    assert listed_cameras(("door",)) == "camera door alone"
    assert listed_days((date(2026, 5, 12), date(2026, 5, 11))) == "11 May 2026 and 12 May 2026"


NAMED = GalleryFacts(
    cameras=("Lobby", "Hall 2", "2-B", "192.168.1.20", "1", "2", "3", "Front-Door", "Gate 7.1"),
    days=(date(2026, 5, 12),),
    today=date(2026, 5, 12),
)
BY_NAME = {
    # chat-cameras, and its neighbours.
    "in the lobby or the hall 2": Filters(cameras=("Lobby", "Hall 2")),
    "only in the lobby or the hall 2": Filters(cameras=("Lobby", "Hall 2")),
    "camera 2-b": Filters(cameras=("2-B",)),
    "camera 192.168.1.20": Filters(cameras=("192.168.1.20",)),
    "camera 2b": Filters(cameras=("2-B",)),
    "camera 02-B": Filters(cameras=("2-B",)),
    "at 192.168.1.20 or in the lobby": Filters(cameras=("192.168.1.20", "Lobby")),
    "on camera lobby, hall 2 and 3": Filters(cameras=("Lobby", "Hall 2", "3")),
    "cameras 3, 2-b or 192.168.1.20": Filters(cameras=("3", "2-B", "192.168.1.20")),
    "camera 1, the lobby": Filters(cameras=("1", "Lobby")),
    "either camera 1 or the lobby": Filters(cameras=("1", "Lobby")),
    "the lobby camera or the hall 2 camera": Filters(cameras=("Lobby", "Hall 2")),
    "the first and third camera": Filters(cameras=("1", "3")),
    "in gate 7.1": Filters(cameras=("Gate 7.1",)),
    "near the front door": Filters(cameras=("Front-Door",)),
    "not in the lobby or hall 2": Filters(not_cameras=("Lobby", "Hall 2")),
    "neither on camera 1 nor 2": Filters(not_cameras=("1", "2")),
    "not camera 2-b": Filters(not_cameras=("2-B",)),
    "all cameras but the lobby and hall 2": Filters(not_cameras=("Lobby", "Hall 2")),
    "everywhere except the lobby": Filters(not_cameras=("Lobby",)),
    "camera 2": Filters(cameras=("2",)),
    "camera 1-3": Filters(cameras=("1", "2", "3")),
    "camera 2 after 14:00": Filters(cameras=("2",), after=time(14)),
}


@pytest.mark.parametrize(("said", "means"), BY_NAME.items(), ids=BY_NAME)
@pytest.mark.parametrize("frame", ["{}", "a man in a red jacket {}"])
def test_chat_cameras(said: str, means: Filters, frame: str):
    message = understand(frame.format(said), SearchState(), NAMED)
    assert message.filters == means
    assert not message.text and not message.unused


@pytest.mark.parametrize("name", ["2-c", "2c", "10.0.0.7"])
def test_a_camera_that_is_not_there_is_never_taken_for_another(name: str):
    message = understand(f"camera {name}", SearchState(), NAMED)
    assert message.filters.is_empty
    assert f"There is no camera {name} in this gallery" in message.notes[0]
    assert "2-B" in message.notes[0] and "192.168.1.20" in message.notes[0]


@given(st.lists(st.sampled_from(NAMED.cameras), min_size=1, max_size=5, unique=True), st.integers(0, 3))
def test_any_list_of_named_cameras(names: list[str], style: int):
    joint = (" or ", ", ", " and ", ", or ")[style]
    text = "a man on camera " + joint.join(name.lower() for name in names)
    assert after(text, gallery=NAMED) == Filters(cameras=tuple(names)), text


DAYTIME = replace(GALLERY, hours=tuple(range(8, 20)))


@pytest.mark.parametrize(
    ("text", "means", "moved"),
    [
        ("around half two", Filters(after=time(14), before=time(15)), "half two” as 14:30"),
        ("ten to four", Filters(after=time(15, 20), before=time(16, 20)), "ten to four” as 15:50"),
        ("after 2", Filters(after=time(14)), "2” as 14:00"),
        ("quarter past five", Filters(after=time(16, 45), before=time(17, 45)), "as 17:15"),
        ("between 1 and 3", Filters(after=time(13), before=time(15)), "3” as 15:00"),
        ("between 9 and 5", Filters(after=time(9), before=time(17)), "5” as 17:00"),
        ("around nine", Filters(after=time(8, 30), before=time(9, 30)), ""),
        ("after 2:30", Filters(after=time(2, 30)), ""),
        ("after 02:30", Filters(after=time(2, 30)), ""),
        ("after 2 am", Filters(after=time(2)), ""),
        ("from 2 to 4 pm", Filters(after=time(14), before=time(16)), None),
        ("half nine in the evening", Filters(after=time(21), before=time(22)), ""),
    ],
)
def test_an_hour_is_read_in_the_half_of_the_day_that_has_crops(text: str, means: Filters, moved: str | None):
    message = understand(text, SearchState(), DAYTIME)
    assert message.filters == means
    assert moved is None or any(moved in note for note in message.notes) == bool(moved)


def test_without_crops_in_either_half_an_hour_is_what_it_says():
    night = replace(GALLERY, hours=(22, 23))
    assert understand("after 2", SearchState(), night).filters == Filters(after=time(2))
    both = replace(GALLERY, hours=(2, 14))
    assert understand("after 2", SearchState(), both).filters == Filters(after=time(2))
