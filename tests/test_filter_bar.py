"""Filters that are set by hand: the same as by words, a step like any other, and drawn as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chat import conversation as chat
from app.chat.chips import chips_of
from app.chat.conversation import Conversation
from app.chat.filter_bar import NO_FILTERS, FilterChange, set_filters
from app.chat.search_state import GalleryFacts
from app.filter_steps import filter_by, read_change
from app.refused import Refused
from app.retrieval.engine import Engine
from app.service import ChatService
from app.session import NOTHING_CHANGED, ChatSession
from app.ui.filter_bar import bar_html, filters_html
from gallery_store.crops import Filters
from gallery_store.store import GalleryStore
from tests.test_gallery_index import add
from tests.toy_engine import toy_engine

MAY = [date(2026, 5, day) for day in (11, 12, 14)]
FACTS = GalleryFacts(
    cameras=("1", "Cam 2", "door"), days=tuple(MAY), today=date(2026, 5, 14), hours=tuple(range(24))
)


def said(text: str) -> Filters:
    return chat.say(Conversation(), text, FACTS).known.filters


def chosen(**change: object) -> Filters:
    return set_filters(Conversation(), FilterChange(**change), FACTS).known.filters  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("only camera 2", {"cameras": ("2",)}),
        ("cameras 1 and 2", {"cameras": ("c2", "1")}),
        ("not camera 1", {"not_cameras": ("1",)}),
        ("after 14:00", {"hours": (time(14), None)}),
        ("before 9:30", {"hours": (time(), time(9, 30))}),
        ("between 14:00 and 16:00", {"hours": (time(14), time(16))}),
        ("between 22:00 and 6:00", {"hours": (time(22), time(6))}),
        ("from 22:00 to 24:00", {"hours": (time(22), time())}),
        ("on 12 May", {"days": (MAY[1], MAY[1])}),
        ("between 11 and 12 May", {"days": (MAY[0], MAY[1])}),
        ("since 12 May", {"days": (MAY[1], None)}),
        ("until 12 May", {"days": (None, MAY[1])}),
    ],
)
def test_the_bar_sets_what_words_set(words: str, change: dict) -> None:
    assert chosen(**change) == said(words) != Filters()


def test_a_part_that_is_not_set_stays_and_the_bubble_says_the_whole() -> None:
    talk = chat.say(Conversation(), "a woman in red, only camera 1, after 14:00, on 12 May", FACTS)
    talk = set_filters(talk, FilterChange(cameras=("1", "2"), hours=(time(14), time(16))), FACTS)
    assert talk.last and talk.last.text == "Filters: on cameras 1 and 2, on 12 May 2026, from 14:00 to 16:00"
    assert [chip.label for chip in chips_of(talk.known)][-4:] == [
        "camera 1", "camera 2", "12 May 2026", "14:00 to 16:00",
    ]  # fmt: skip
    assert talk.known.wanted == talk.turns[0].after.wanted
    same = set_filters(talk, FilterChange(hours=(time(14), time(16))), FACTS)
    assert same is talk  # no turn where nothing changes
    none = set_filters(talk, FilterChange(cameras=(), days=(None, None), hours=(None, None)), FACTS)
    assert none.known.filters.is_empty and none.last and none.last.text == NO_FILTERS
    assert chat.undo(none).known.filters == talk.known.filters


def test_a_camera_that_is_chosen_is_not_left_out_any_more() -> None:
    talk = chat.say(Conversation(), "not camera 1", FACTS)
    talk = set_filters(talk, FilterChange(cameras=("1",)), FACTS)
    assert (talk.known.filters.cameras, talk.known.filters.not_cameras) == (("1",), ())
    talk = set_filters(talk, FilterChange(not_cameras=("1", "door")), FACTS)
    assert (talk.known.filters.cameras, talk.known.filters.not_cameras) == ((), ("1", "door"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cameras": ["9"]}, "There is no camera 9 in this gallery"),
        ({"cameras": ["1"], "not_cameras": ["c1"]}, "not both"),
        ({"cameras": "1"}, "Give cameras as a list"),
        ({"days": ["2026-05-14", "2026-05-12"]}, "comes after the last one"),
        ({"days": ["2026-05-13", "2026-05-13"]}, "nothing of these days"),
        ({"days": ["tomorrow", ""]}, "such as 2026-05-12"),
        ({"hours": ["14:00", "14:00"]}, "no time at all"),
        ({"hours": ["14:00+02:00", ""]}, "such as 14:00"),
        ({"hours": ["14:00"]}, "such as 14:00"),
        ({"hours": 14}, "such as 14:00"),
        ({"camera": ["3"]}, "cameras, not_cameras, days, hours"),  # was done as if nothing had been asked
        (["cameras"], "as an object"),
        (None, "as an object"),
        ({"cameras": ["\ud800"]}, "no camera \\?"),  # half a character, which no answer could say again
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(change: Any, sentence: str) -> None:
    with pytest.raises((Refused, ValueError), match=sentence):
        set_filters(Conversation(), read_change(change), FACTS)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=5,
)


@settings(max_examples=40)
@given(
    st.dictionaries(st.sampled_from(["cameras", "not_cameras", "days", "hours"]), json_values) | json_values
)
def test_whatever_is_sent_is_read_or_refused(sent: Any) -> None:
    try:
        set_filters(Conversation(), read_change(sent), FACTS)
    except (Refused, ValueError) as problem:
        assert str(problem).endswith(".") and "Traceback" not in str(problem)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with toy_engine(tmp_path_factory.mktemp("filters"), 9) as engine:
        yield engine


@pytest.fixture
def session(engine: Engine) -> ChatSession:
    return ChatService(engine).get("ann", "tab")


def test_it_is_a_step_of_the_case_that_is_searched_recorded_kept_and_undone(
    session: ChatSession, engine: Engine
) -> None:
    session.say("a woman in red")
    result = filter_by(session, read_change({"cameras": ["1"]}))
    assert result.status["query"]["filters"]["cameras"] == ["1"] and result.status["searched"] == 3
    assert {card.camera for card in result.cards} == {"1"}
    assert engine.store.searches(limit=1)[0].query["filters"]["cameras"] == ["1"]
    assert filter_by(session, read_change({"cameras": ["1"]})).reply == NOTHING_CHANGED

    again = ChatService(engine).get("ann", "another tab", session.case)  # another start of the app
    assert again.conversation == session.conversation
    assert again.conversation.turns[-1].text == "Filters: on camera 1"
    again.undo()
    assert again.query.filters.is_empty and len(again.cards) == 9
    again.order(by_time=True, latest_first=True)
    filter_by(again, read_change({"cameras": ["1"]}))
    assert again.by_time and again.latest_first  # the same question goes on in the same order
    again.undo()
    again.redo()
    assert again.query.filters.cameras == ("1",)
    with pytest.raises(Refused, match="no times"):
        filter_by(again, read_change({"hours": ["14:00", ""]}))
    assert again.query.filters.cameras == ("1",)


def test_the_bar_is_drawn_as_the_filters_are(session: ChatSession) -> None:
    session.say("not camera 2")
    filter_by(session, read_change({"cameras": ["3"]}))
    page = filters_html(session)
    states = dict(re.findall(r'data-camera="(\d)" data-state="(\w+)"', page))
    assert states == {"1": "off", "2": "out", "3": "on"}
    assert "Camera 3, 3 crops" in page.replace("camera 3", "Camera 3") and "cr-hours" not in page  # no times
    assert filters_html(session) == page
    session.notice = "Refused."
    assert filters_html(session) != filters_html(session)  # what the page has changed of it is drawn anew


@pytest.fixture
def dated(tmp_path: Path) -> Iterator[GalleryStore]:
    """Crops at 14:05, twice at 22:30 and at 3:00, Paris time, of three days."""
    with GalleryStore.open(tmp_path / "g.db", zone="Europe/Paris") as store:
        moments = [(MAY[0], 14, 5), (MAY[0], 22, 30), (MAY[1], 22, 30), (MAY[2], 3, 0)]
        add(
            store,
            [
                {
                    "camera": "<b>1",
                    "time": datetime(day.year, day.month, day.day, hour, minute, tzinfo=store.zone),
                }
                for day, hour, minute in moments
            ],
        )
        yield store


def test_hours_are_local_and_spans_are_shown_truly(dated: GalleryStore) -> None:
    page = bar_html(dated, Filters(days=(MAY[0], MAY[2]), after=time(22), before=time(6, 15)))
    heights = re.findall(r'--h:([\d.]+)" title="(\d\d):00 to \d\d:00: (\d)', page)
    assert {int(hour): int(count) for _, hour, count in heights if count != "0"} == {3: 1, 14: 1, 22: 1}
    assert 'data-after="1320" data-before="375"' in page
    assert "only 11 May 2026 and 14 May 2026" in page  # with a day between that does not pass
    assert "<b>1" not in page and json.dumps("<b>1") not in page
    both = [
        '<option value="2026-05-11" selected>11 May</option>',
        '<option value="2026-05-14" selected>14 May</option>',
    ]
    assert all(option in page for option in both)
    exact = bar_html(dated, Filters(since=datetime(2026, 5, 11, 22, 10), until=datetime(2026, 5, 12, 22, 50)))
    assert "11 May 2026 22:10 to 12 May 2026 22:50" in exact
    whole = bar_html(dated, Filters(since=datetime(2026, 5, 11), until=datetime(2026, 5, 13)))
    assert "cr-filters-exact" not in whole and '<option value="2026-05-12" selected>' in whole


def test_a_gallery_without_cameras_and_times_has_no_bar(tmp_path: Path) -> None:
    with GalleryStore.open(tmp_path / "g.db") as store:
        assert bar_html(store, Filters()) == ""
        add(store, [{}])
        assert bar_html(store, Filters()) == ""
