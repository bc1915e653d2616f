"""One step of a conversation over a real engine with toy models: whole or not at all, stopped, recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.model.reid_model import ReidModel
from app.retrieval.engine import Engine
from app.retrieval.query import RetrievalError
from app.ui.desk import Desk
from app.ui.handlers import Handlers
from app.ui.refused import Refused
from app.ui.sessions import Session
from app.ui.uploads import Uploads
from app.ui.view import full_view
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.bad_pictures import make_bad_pictures
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import noise_picture, tiny_folder

CROPS = 70  # more than the model reads in one go


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("desk")
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(CROPS):
        noise_picture(number).save(pictures / f"{number:04d}_c{number % 3 + 1}s1_{number:06d}_00.png")
    encoder = ClipEncoder.load(make_clip_folder(folder / "clip"))
    with GalleryStore.open(folder / "gallery.db") as store:
        import_crops(store, encoder, pictures)
        yield Engine(store, encoder, ReidModel.load(tiny_folder()))


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Desk:
    return Desk(engine, Uploads(tmp_path / "uploads", max_bytes=1 << 20, max_pixels=1_000_000))


def test_a_search_is_recorded_with_user_and_reason(desk: Desk) -> None:
    session = Session("ann")
    desk.give_reason(session, "  a lost   child ")
    answer = desk.say(session, "a woman in a red coat", [])
    row = desk.store.searches(limit=1)[0]
    assert (row.user, row.reason) == ("ann", "a lost child")
    assert list(row.shown) == [card.image_id for card in answer.cards] and len(answer.cards) == 12
    assert row.query["wanted"] == answer.status["query"]["wanted"]
    desk.give_reason(session, "   ")
    assert session.conversation.reason == "not stated"


def test_what_needs_no_search_leaves_no_row_and_the_candidates(desk: Desk) -> None:
    session = Session("ann")
    before = desk.say(session, "a woman in a red coat", [])
    rows = len(desk.store.searches(limit=1000))
    for text in ("", "thanks", "who is she?"):
        answer = desk.say(session, text, [])
        assert answer.cards == before.cards and answer.reply
    assert len(desk.store.searches(limit=1000)) == rows


def test_a_stopped_search_says_so_and_the_next_one_is_whole(desk: Desk) -> None:
    session = Session("ann")

    def stop_soon(stage: str, done: int, total: int) -> None:
        if stage == "rerank" and done:
            session.stop.set()

    answer = desk.say(session, "a woman in a red coat", [], stop_soon)
    assert answer.status["stopped"] is True and 0 < answer.status["scored"] < 64
    assert "stopped" in answer.reply and len(answer.cards) == 12
    assert desk.say(session, "with a hat", []).status["scored"] == 64


def test_a_stop_while_waiting_counts(desk: Desk) -> None:
    session = Session("ann")
    session.stop.set()
    assert desk.say(session, "a woman in a red coat", []).status["scored"] == 0


def test_a_step_that_fails_changes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session("ann")
    desk.say(session, "a man in a white shirt", [])
    before = session.conversation, session.ranking, session.cards

    def fail(*_: object, **__: object) -> None:
        raise RetrievalError("the picture of crop 5 is gone; verify the gallery")

    monkeypatch.setattr(desk.engine, "search", fail)
    with pytest.raises(Refused, match=r"The picture of crop 5 is gone; verify the gallery\."):
        desk.say(session, "with a hat", [])
    assert (session.conversation, session.ranking, session.cards) == before


def test_undo_takes_back_whatever_it_was(desk: Desk, tmp_path: Path) -> None:
    session = Session("ann")
    photo = desk.uploads.folder / "me.png"
    noise_picture(500).save(photo)
    steps = [
        lambda: desk.say(session, "a man in a white shirt", []),
        lambda: desk.search_with(session, session.cards[3].image_id),
        lambda: desk.reject(session, session.cards[0].image_id),
        lambda: desk.confirm(session, session.cards[1].image_id),
        lambda: desk.say(session, "only camera 2", []),
        lambda: desk.say(session, "", [photo]),
        lambda: desk.remove_chip(session, "filter:camera=2"),
        lambda: desk.say(session, "start over", []),
    ]
    states: list[tuple[tuple, list[int]]] = [((), [])]
    for step in steps:
        step()
        states.append((session.conversation.turns, [card.image_id for card in session.cards]))
    assert states[-1][1] == []  # start over cleared the list
    for turns, cards in reversed(states[:-1]):
        assert desk.undo(session).reply.startswith("Took the last step back.")
        assert session.conversation.turns == turns
        assert [card.image_id for card in session.cards] == cards
    assert desk.undo(session).reply == "There is nothing to take back."


def test_a_rejected_candidate_makes_room_for_the_next(desk: Desk) -> None:
    session = Session("ann")
    desk.say(session, "a man in a white shirt", [])
    desk.show_more(session)
    ids = [card.image_id for card in session.cards]
    assert len(ids) == 24
    answer = desk.reject(session, ids[0])
    assert [card.image_id for card in answer.cards] == ids[1:13]


def test_selecting_shows_the_candidate_beside_the_query(desk: Desk) -> None:
    session = Session("ann")
    desk.say(session, "a man in a white shirt", [])
    card = session.cards[2]
    assert "the query" in desk.select(session, card.image_id)
    page = full_view(desk, session)
    assert f"crops/{card.image_id}.jpg" in page[3] and 'aria-pressed="true"' in page[2]
    desk.say(session, "with a hat", [])
    assert session.selected is None


def test_the_selected_candidates_kin_are_shown_as_far_as_they_are_there(desk: Desk) -> None:
    session = Session("ann")
    desk.say(session, "a man in a white shirt", [])
    assert desk.kin(session) == ()
    assert session.ranking is not None
    first, second, *rest = session.ranking.candidates
    gone = replace(second, image_id=10_000)  # was deleted after the search
    told = replace(first, kin=(gone.image_id, second.image_id, 20_000))  # the last is not listed
    session.ranking = replace(session.ranking, candidates=(told, second, *rest, gone))
    desk.select(session, first.image_id)
    assert [card.image_id for card in desk.kin(session)] == [second.image_id]
    assert "Judged together with" in full_view(desk, session)[3]


def test_a_vanished_picture_costs_only_its_own_reading(desk: Desk, engine: Engine) -> None:
    session = Session("ann")
    answer = desk.say(session, "somebody in a yellow dress", [])
    crop = engine.store.crops([answer.cards[0].image_id])[0]
    kept = crop.file.read_bytes()
    crop.file.unlink()
    try:
        fresh = Desk(Engine(engine.store, engine.encoder, ReidModel.load(tiny_folder())), desk.uploads)
        again = fresh.say(Session("bob"), "somebody in a yellow dress", [])
        assert len(again.cards) == 12 and again.reply
    finally:
        crop.file.write_bytes(kept)


def test_the_page_shows_a_refusal_and_goes_on(desk: Desk) -> None:
    """As the page's events do it: announce, then answer."""

    class Request:
        username, session_hash = None, "tab"

    handlers, request = Handlers(desk), Request()
    torn = make_bad_pictures(desk.uploads.folder)["torn.jpg"]
    handlers.announce({"text": "", "files": [{"path": str(torn)}]}, request)  # type: ignore[arg-type]
    *_, last = handlers.answer("", request)  # type: ignore[arg-type]
    assert "torn.jpg" in last[0][-1]["content"] and last[7].interactive is False
    handlers.announce({"text": "a man", "files": []}, request)  # type: ignore[arg-type]
    *_, last = handlers.answer("", request)  # type: ignore[arg-type]
    assert [message["role"] for message in last[0]] == ["user", "assistant"]
