"""Cameras, days and times of day in the operator's words, and how they add up over messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time

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
        (["camera 2", "and camera 3"], Filters(cameras=("2", "3"))),
        (["camera 2", "and camera 3 as well"], Filters(cameras=("2", "3"))),
        (["camera 2", "camera 3 as well"], Filters(cameras=("2", "3"))),
        (["camera 2", "or camera 3"], Filters(cameras=("2", "3"))),
        (["camera 2", "or maybe on camera 3, please"], Filters(cameras=("2", "3"))),
        (["camera 2", "and only camera 3"], Filters(cameras=("3",))),
        (["camera 2", "and a man on camera 3"], Filters(cameras=("3",))),
        (["camera 2", "try all the cameras"], Filters()),
        (["camera 2", "all of the cameras"], Filters()),
        (["camera 2", "try the other cameras"], Filters(not_cameras=("2",))),
        (["camera 2", "sorry wrong camera, 4"], Filters(cameras=("4",))),
        (["camera 2", "make that 3"], Filters(cameras=("3",))),
        (["camera 2", "or 3"], Filters(cameras=("2", "3"))),
        (["in the morning", "or the afternoon"], Filters(after=time(6), before=time(18))),
        (["in the morning", "the afternoon as well"], Filters(after=time(6), before=time(18))),
        (["between 9 and 10", "or at 14:00"], Filters(after=time(9), before=time(14, 30))),
        (["before 9:00", "or after 14:00"], Filters(after=time(14), before=time(9))),
        (["after 14:00", "and before 16:00"], Filters(after=time(14), before=time(16))),
        (["after 14:00", "and around 15:00"], Filters(after=time(14, 30), before=time(15, 30))),
        (["after 2pm", "make that 3"], Filters(after=time(15))),
        (["after 2pm", "sorry, 2:30"], Filters(after=time(14, 30))),
        (["after 2pm", "no, 3pm"], Filters(after=time(15))),
        (["before 2pm", "actually 3"], Filters(before=time(15))),
        (["at 2pm", "I meant 3"], Filters(after=time(14, 30), before=time(15, 30))),
        (["after 2pm on camera 2", "make that 3"], Filters(cameras=("2",), after=time(14))),
        (["on 11 May, no, on 12 May"], Filters(days=(date(2026, 5, 12),))),
        (["on 11 May", "or 12 May"], Filters(days=(date(2026, 5, 11), date(2026, 5, 12)))),
        (["on 11 May", "on 12 May as well"], Filters(days=(date(2026, 5, 11), date(2026, 5, 12)))),
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
    # A name alone, beside what says that it is one.
    "lobby only": Filters(cameras=("Lobby",)),
    ", lobby": Filters(cameras=("Lobby",)),
    "not lobby": Filters(not_cameras=("Lobby",)),
    ", lobby after 2pm": Filters(cameras=("Lobby",), after=time(14)),
    ", front door or lobby after 2pm": Filters(cameras=("Front-Door", "Lobby"), after=time(14)),
    "hall 2": Filters(cameras=("Hall 2",)),
    "near the frontdoor": Filters(cameras=("Front-Door",)),
    "from the lobby to the front door": Filters(cameras=("Lobby", "Front-Door")),
    "from lobby to hall 2": Filters(cameras=("Lobby", "Hall 2")),
}


@pytest.mark.parametrize(("said", "means"), BY_NAME.items(), ids=BY_NAME)
@pytest.mark.parametrize("frame", ["{}", "a man in a red jacket {}"])
def test_chat_cameras(said: str, means: Filters, frame: str):
    message = understand(frame.format(said), SearchState(), NAMED)
    assert message.filters == means
    assert not message.text and not message.unused


PLATFORMS = replace(NAMED, cameras=("carpark", "platform 1", "platform 2", "platform 3"))


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("platforms 1 and 2", ("platform 1", "platform 2")),
        ("platform 1 or 2", ("platform 1", "platform 2")),
        ("platforms 1 to 3", ("platform 1", "platform 2", "platform 3")),
        ("platform 2, man with a handbag", ("platform 2",)),
        ("from platform 1 to platform 2", ("platform 1", "platform 2")),
        ("from the car park to platform 2", ("carpark", "platform 2")),
    ],
)
def test_names_that_end_in_a_number(said: str, means: tuple[str, ...]):
    message = understand(said, SearchState(), PLATFORMS)
    assert message.filters == Filters(cameras=means)
    assert not message.text and not message.unused


@pytest.mark.parametrize("said", ["a man with a lobby card", "an entrance guard", "a man in red lobby shoes"])
def test_a_name_that_is_only_a_word_is_no_camera(said: str):
    assert after(said, gallery=replace(NAMED, cameras=("lobby", "entrance"))).is_empty


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("cameras other than 1 and 2", Filters(not_cameras=("1", "2"))),
        ("cameras except 1", Filters(not_cameras=("1",))),
        ("not cams 1 2 or 3", Filters(not_cameras=("1", "2", "3"))),
        ("cams 1 2 3", Filters(cameras=("1", "2", "3"))),
        ("cam 1 thru 3", Filters(cameras=("1", "2", "3"))),
        ("cameras 1, 3 n 5", Filters(cameras=("1", "3", "5"))),
        ("cameras 1+3", Filters(cameras=("1", "3"))),
        ("first camera 2 then camera 4", Filters(cameras=("2", "4"))),
        ("just the first two cameras", Filters(cameras=("1", "2"))),
        ("the last 2 cameras", Filters(cameras=("5", "6"))),
        ("sorry wrong camera, 4", Filters(cameras=("4",))),
        ("from camera 1 to camera 3", Filters(cameras=("1", "3"))),
    ],
)
def test_lists_of_cameras(said: str, means: Filters):
    message = understand(said, SearchState(), GALLERY)
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


TODAY, YESTERDAY = date(2026, 5, 12), date(2026, 5, 11)
LONG_DAY = replace(GALLERY, hours=tuple(range(6, 23)), now=datetime(2026, 5, 12, 15))


def between(first: str, last: str = "", *days: date) -> Filters:
    begin, end = (time.fromisoformat(text) if text else None for text in (first, last))
    return Filters(after=begin, before=end, days=days)


PARTS_BESIDE_HOURS = {
    "at 8 this morning": between("07:30", "08:30", TODAY),
    "at 8, this morning": between("07:30", "08:30", TODAY),
    "this morning at 8": between("07:30", "08:30", TODAY),
    "between 8:30 and 9 this morning": between("08:30", "09:00", TODAY),
    "8 to 9 this morning": between("08:00", "09:00", TODAY),
    "before 10 this morning": between("", "10:00", TODAY),
    "since 8 this morning": between("08:00", "", TODAY),
    "at half past eight this morning": between("08:00", "09:00", TODAY),
    "at 6 early this morning": between("05:30", "06:30", TODAY),
    "from 8 to 9 yesterday morning": between("08:00", "09:00", YESTERDAY),
    "at 8 on Monday morning": between("07:30", "08:30", YESTERDAY),
    "between 2 and 4 yesterday afternoon": between("14:00", "16:00", YESTERDAY),
    "at 15:20 this afternoon": between("14:50", "15:50", TODAY),
    "at 7 this evening": between("18:30", "19:30", TODAY),
    "at 9 tonight": between("20:30", "21:30"),
    "at 9pm last night": between("20:30", "21:30", YESTERDAY),
    "around 8pm last night": between("19:30", "20:30", YESTERDAY),
    "last night at 9": between("20:30", "21:30", YESTERDAY),
    "yesterday evening at 7": between("18:30", "19:30", YESTERDAY),
    "on 11 May in the evening at 7": between("18:30", "19:30", YESTERDAY),
    "at 8 on camera 2 in the morning": replace(between("07:30", "08:30"), cameras=("2",)),
    "in the evening between 9 and 11": between("21:00", "23:00"),
    "in the evening after 8": between("20:00", "22:00"),
    "in the morning after 10": between("10:00", "12:00"),
    "at night after 2": between("02:00", "06:00"),
    "at 9 or 10 in the evening": between("20:30", "22:30"),
}
TWO_TIMES = {
    "he came in at 9 and left at 11": between("08:30", "11:30"),
    "on camera 1 at 9 and on camera 2 at 11": replace(between("08:30", "11:30"), cameras=("1", "2")),
    "between 9 and 10 or between 14 and 15": between("09:00", "15:00"),
    "in the morning and the evening": between("06:00", "22:00"),
    "at 9 and after 14:00": between("08:30"),
    "after 9 and after 11": between("09:00"),
    "in at 8:15, out at 17:40": between("07:45", "18:10"),
}
ONE_TIME = {
    "in the morning or in the afternoon": between("06:00", "18:00"),
    "at 23:30 or at 0:30": between("23:00", "01:00"),
    "at 9, 10 and 11": between("08:30", "11:30"),
    "at 9, no, at 10": between("09:30", "10:30"),
    "at 9, sorry, 10": between("09:30", "10:30"),
    "after 2pm, no, 3pm": between("15:00"),
    "til 4pm": between("", "16:00"),
    "till 4pm": between("", "16:00"),
    "untill noon": between("", "12:00"),
    "from 2pm til 4": between("14:00", "16:00"),
    "from 9am thru 11": between("09:00", "11:00"),
    "before lunch": between("", "12:00"),
    "after lunch": between("13:00"),
    "at lunch": between("11:00", "14:00"),
    "before the evening": between("", "18:00"),
    "since the morning": between("06:00"),
    "until the afternoon": between("", "18:00"),
    "within 10 minutes of 14:20": between("14:10", "14:30"),
    "within half an hour of noon": between("11:30", "12:30"),
    "within an hour after 9": between("09:00", "10:00"),
    "10 minutes either side of 14:20": between("14:10", "14:30"),
    "at 14:20 give or take 10 minutes": between("14:10", "14:30"),
    "not in the morning and not in the evening": between("22:00", "06:00"),
    "in the afternoon, not between 12 and 13": between("13:00", "18:00"),
}


@pytest.mark.parametrize(
    ("said", "means"), [*PARTS_BESIDE_HOURS.items(), *TWO_TIMES.items(), *ONE_TIME.items()]
)
def test_times_beside_each_other(said: str, means: Filters):
    message = understand(said, SearchState(), LONG_DAY)
    assert message.filters == means
    assert not message.text and not message.unused
    assert any("one span of hours, so" in note for note in message.notes) == (said in TWO_TIMES)


@pytest.mark.parametrize("said", ["a man at the till", "a lunch box", "an evening dress"])
def test_words_that_are_no_times(said: str):
    assert after(said, gallery=LONG_DAY).is_empty


def test_hours_that_cannot_be_left_out_are_told():
    message = understand("in the morning but not at 9", SearchState(), LONG_DAY)
    assert message.filters == between("06:00", "12:00")
    assert "I cannot leave those hours out of the others, so I did not." in message.notes
