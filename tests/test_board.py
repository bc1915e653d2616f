"""The board: the last word about a crop counts, notes and removals are steps, and time is told between sightings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat import conversation as chat
from app.chat.board import MOST_NOTE, Sighting, board_of, taken_off, with_note
from app.chat.conversation import Conversation
from app.chat.search_state import GalleryFacts
from app.refused import Refused
from app.retrieval.engine import Engine
from app.service import ChatService
from app.timeline import by_day, span_words, timeline
from app.ui.board import board_html
from gallery_store.crops import Crop
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import noise_picture

FACTS = GalleryFacts(cameras=("1", "2"))


def ids(some: tuple[Sighting, ...]) -> list[int]:
    return [one.image_id for one in some]


def test_what_was_confirmed_stands_whatever_is_searched_for_next() -> None:
    talk = chat.say(Conversation(), "a woman in red", FACTS)
    for image_id in (5, 3):
        talk = chat.confirm(talk, image_id)
    talk = chat.reject(talk, 7)
    talk = chat.search_with(talk, 9)
    talk = chat.remove_chip(talk, "reference:9")
    talk = chat.say(talk, "start over", FACTS)
    assert talk.known.confirmed == () and talk.known.rejected == ()
    board = board_of(talk.turns)
    assert ids(board.confirmed) == [5, 3] and ids(board.rejected) == [7]
    assert [one.turn for one in board.confirmed] == [1, 2]


def test_the_last_word_about_a_crop_counts() -> None:
    talk = chat.reject(chat.confirm(Conversation(), 5), 5)
    assert (ids(board_of(talk.turns).confirmed), ids(board_of(talk.turns).rejected)) == ([], [5])
    again = chat.confirm(talk, 5)
    assert (ids(board_of(again.turns).confirmed), ids(board_of(again.turns).rejected)) == ([5], [])
    searched = chat.search_with(talk, 5)  # is not ruled out any more
    assert board_of(searched.turns).rejected == () and board_of(searched.turns).confirmed == ()
    assert (
        board_of(chat.undo(talk).turns).confirmed == board_of(chat.confirm(Conversation(), 5).turns).confirmed
    )


def test_notes_and_removals_are_steps_that_can_be_undone() -> None:
    talk = chat.confirm(chat.confirm(Conversation(), 5), 6)
    noted = with_note(with_note(talk, 5, "  carries\na bag ", [1]), 6, "x" * 999, [])
    assert board_of(noted.turns).confirmed[0].note == "carries a bag"
    assert len(board_of(noted.turns).confirmed[1].note) == MOST_NOTE
    assert "first 300 characters" in str(noted.turns[-1].reply) not in str(noted.turns[-2].reply)
    assert chat.to_query(noted) == chat.to_query(talk)
    blank = with_note(noted, 5, " ", [])
    assert board_of(blank.turns).confirmed[0].note == ""
    assert board_of(chat.undo(blank).turns).confirmed[0].note == "carries a bag"
    off = taken_off(noted, 5)
    assert ids(board_of(off.turns).confirmed) == [6] and chat.to_query(off).confirmed == {6}
    assert [reference.image_id for reference in chat.to_query(off).references] == [6]
    back = chat.confirm(off, 5)
    assert board_of(back.turns).of(5) == Sighting(5, 5, "carries a bag")
    assert taken_off(chat.search_with(noted, 6), 5).turns[-1].direct  # the search is as it was
    assert board_of(taken_off(chat.reject(talk, 5), 5).turns).of(5) is None


@given(st.lists(st.tuples(st.sampled_from("cres"), st.integers(1, 4)), max_size=12))
def test_no_crop_is_on_both_lists_nor_twice_on_one(steps: list[tuple[str, int]]) -> None:
    talk = Conversation()
    for what, image_id in steps:
        change = {"c": chat.confirm, "r": chat.reject, "e": taken_off, "s": chat.search_with}[what]
        talk = change(talk, image_id)
    board = board_of(talk.turns)
    both = ids(board.confirmed) + ids(board.rejected)
    assert len(both) == len(set(both))
    said = {image_id: what for what, image_id in steps if what in "cre"}
    assert set(ids(board.confirmed)) == {image_id for image_id, what in said.items() if what == "c"}
    assert set(ids(board.rejected)) <= {image_id for image_id, what in said.items() if what == "r"}


def crop(image_id: int, camera: str | None, time: datetime | None) -> Crop:
    return Crop(image_id, "a", "a.png", Path("a.png"), camera, time, None, None, (), 1, 2, None)


def test_the_timeline_is_in_order_and_says_what_lies_between() -> None:
    noon = datetime(2026, 5, 12, 14, 30, tzinfo=UTC)
    crops = {
        1: crop(1, "c2", noon + timedelta(minutes=12)),
        2: crop(2, "1", noon),
        3: crop(3, "2", noon + timedelta(minutes=40)),
        4: crop(4, None, None),
        5: crop(5, None, noon + timedelta(days=1)),
    }
    stops = timeline([Sighting(n, 0) for n in (4, 3, 9, 1, 2, 5)], crops, ZoneInfo("Asia/Tokyo"))
    assert [stop.image_id for stop in stops] == [2, 1, 3, 5, 4, 9]
    assert [stop.since for stop in stops] == [
        "",
        "12 min later, from camera 1",
        "28 min later, on the same camera",
        "23 h 20 min later",
        "",
        "",
    ]
    # 14:30 UTC is 23:30 in Tokyo: the third one is of the next day there, and the fourth of the same.
    assert [(day, [stop.image_id for stop in some]) for day, some in by_day(stops)] == [
        ("12 May 2026", [2, 1]),
        ("13 May 2026", [3, 5]),
        ("No time", [4, 9]),
    ]


@pytest.mark.parametrize(
    "seconds, words",
    [(0, "0 s"), (59.4, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (11100, "3 h 5 min"),
     (86400, "1 day"), (187200, "2 days 4 h"), (-5, "0 s")],
)  # fmt: skip
def test_spans_in_words(seconds: float, words: str) -> None:
    assert span_words(timedelta(seconds=seconds)) == words


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChatService]:
    folder = tmp_path_factory.mktemp("board")
    for number in range(6):
        noise_picture(number).save(folder / f"{number:04d}_c{number % 3 + 1}s1_{number:06d}_00.png")
    encoder = ClipEncoder.load(make_clip_folder(folder / "clip"))
    with GalleryStore.open(folder / "g.db") as store:
        import_crops(store, encoder, folder)
        yield ChatService(Engine(store, encoder, None))


def test_the_board_comes_back_with_the_case(service: ChatService) -> None:
    session = service.get("ann", "one")
    session.say("a woman in a red coat")
    session.confirm(1)
    session.confirm(2)
    session.reject(3)
    session.select(session.cards[0].image_id)
    shown, selected = session.cards, session.selected
    searches = len(service.store.searches())
    session.note("2", "carries <b>a bag</b>")
    assert (session.cards, session.selected) == (shown, selected) and len(
        service.store.searches()
    ) == searches
    session.search_with(4)
    session.take_off(1)
    page = board_html(session)
    assert "carries &lt;b&gt;a bag&lt;/b&gt;" in page and "<b>a bag" not in page
    assert 'data-open="2"' in page and 'data-open="1"' not in page and "Ruled out" in page
    again = service.get("ann", "two", session.case)
    assert again.board == session.board and board_html(again) == page
    assert [record.confirmed for record in service.cases_of("ann")] == [1]
    again.undo()
    assert ids(again.board.confirmed) == [1, 2]


def test_only_what_is_on_the_board_is_noted_or_taken_off(service: ChatService) -> None:
    session = service.get("eve", "one")
    assert board_html(session) == ""
    session.say("a man")
    for wrong in (1, "1", None, "<x>", 1.5, []):
        with pytest.raises(Refused, match="not on the board"):
            session.note(wrong, "x")
        with pytest.raises(Refused, match="not on the board"):
            session.take_off(wrong)
    assert len(session.conversation.turns) == 1


def test_a_sighting_whose_crop_was_deleted_stays_and_can_be_taken_off(service: ChatService) -> None:
    session = service.get("dan", "one")
    session.say("a man in blue")
    session.confirm(6)
    session.search_with(5)
    service.store.delete([6])
    assert "The crop was deleted" in board_html(session)
    session.take_off(6)
    assert board_html(session) == ""
