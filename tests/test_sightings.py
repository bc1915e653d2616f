"""The same person before or after a sighting: filters like those of words, and what stays of the question before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.chat.chips import ALL_FILTERS
from app.chat.conversation import Conversation, chips, remove_chip, say, search_with, to_query, undo
from app.chat.sightings import around
from app.refused import Refused
from app.retrieval.engine import Engine
from app.service import ChatService
from app.session import ChatSession
from app.ui.html import chips_html
from gallery_store.crops import Filters
from tests.chat_notation import GALLERY
from tests.toy_engine import toy_engine

MOMENT = datetime(2026, 5, 12, 8, 40, 20)


def test_before_and_after_are_chips_that_can_be_taken_away() -> None:
    asked = say(Conversation(), "a woman in red, only camera 2 after 14:00", GALLERY)
    before = around(asked, 7, "3", MOMENT, "before", 30, "camera 3, 08:40:20")
    query = to_query(before)
    assert query.filters == Filters(since=datetime(2026, 5, 12, 8, 10, 20), until=MOMENT, not_cameras=("3",))
    assert [reference.image_id for reference in query.references] == [7] and not query.has_text
    labels = {chip.label: chip.key for chip in chips(before)}
    assert list(labels) == [
        "person: camera 3, 08:40:20", "not camera 3", "12 May 2026, 08:10 to 08:40"
    ]  # fmt: skip
    anywhere = to_query(remove_chip(before, labels["not camera 3"]))
    assert anywhere.filters == replace(query.filters, not_cameras=())
    assert undo(before).turns == asked.turns
    after = to_query(around(asked, 7, None, MOMENT, "after", 1)).filters
    assert after == Filters(since=MOMENT, until=datetime(2026, 5, 12, 8, 41, 20))


def test_the_filters_of_the_question_before_a_person_go_at_one_click() -> None:
    asked = say(Conversation(), "only camera 2 after 14:00", GALLERY)
    assert "Drop the filters" not in chips_html(chips(asked))
    person = search_with(asked, 7)
    assert "Drop the filters" in chips_html(chips(person))
    dropped = remove_chip(person, ALL_FILTERS)
    assert to_query(dropped).filters.is_empty and to_query(dropped).references
    assert remove_chip(dropped, ALL_FILTERS) == dropped


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with toy_engine(tmp_path_factory.mktemp("sightings"), 12) as engine:
        yield engine


@pytest.fixture
def session(engine: Engine) -> ChatSession:
    return ChatService(engine).get("ann", "tab")


def test_a_session_searches_around_a_crop_in_the_gallerys_zone(
    session: ChatSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = session.service
    with pytest.raises(Refused, match="This picture has no time"):
        session.around(1, "after", 30)
    crops_of_ids = service.crops_of_ids
    seen = datetime(2026, 5, 12, 6, 40, tzinfo=UTC)
    monkeypatch.setattr(
        service, "crops_of_ids", lambda ids: [replace(c, time=seen) for c in crops_of_ids(ids)]
    )
    for minutes in (0, -5, 10**9):
        with pytest.raises(Refused, match="Give 1 to"):
            session.around(1, "after", minutes)
    answer = session.around(1, "after", 30)
    assert answer.status["query"]["filters"]["since"] == "2026-05-12T06:40"
    assert answer.status["query"]["filters"]["until"] == "2026-05-12T07:10"
    assert "take the place of those before" in answer.reply
    last = session.conversation.last
    assert last and last.text == "The same person, up to 30 minutes after, on other cameras"


def test_a_picture_that_stays_chosen_says_which_filters_stay(session: ChatSession, tmp_path: Path) -> None:
    session.say("only camera 2")
    answer = session.search_with(session.cards[0].image_id)
    assert "The filters stay (on camera 2)" in answer.reply and "crop" not in answer.reply.casefold()
    assert session.search_with(session.cards[1].image_id).status["query"]["filters"]["cameras"] == ["2"]
    place = session.cards[0].place
    session.say("search with number 1")
    assert [chip.label for chip in chips(session.conversation)] == [f"person: {place}", "camera 2"]
    session.undo()
    assert session.service.place_of(session.cards[0].image_id) == "camera 2"
