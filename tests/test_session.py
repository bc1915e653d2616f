"""One step of a conversation over a real engine with toy models: whole or not at all, stopped, recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.chat import conversation as chat
from app.model.reid_model import ReidModel
from app.open_sessions import MOST_OF_ONE, MOST_SESSIONS
from app.refused import Refused
from app.retrieval.engine import Engine
from app.retrieval.query import RetrievalError
from app.service import ChatService
from app.session import ChatSession
from app.ui.handlers import Handlers
from app.ui.view import Components, View
from app.uploads import Uploads
from tests.bad_pictures import make_bad_pictures
from tests.tiny_qwen import noise_picture, tiny_folder
from tests.toy_engine import toy_engine

CROPS = 70  # more than the model reads in one go
NAMES = Components(**{field.name: field.name for field in fields(Components)})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with toy_engine(tmp_path_factory.mktemp("session"), CROPS) as engine:
        yield engine


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path / "uploads", max_bytes=1 << 20, max_pixels=1_000_000)


@pytest.fixture
def service(engine: Engine, uploads: Uploads) -> ChatService:
    return ChatService(engine, uploads)


@pytest.fixture
def session(service: ChatService) -> ChatSession:
    return service.get("ann", "tab")


def test_a_search_is_recorded_with_user_and_reason(session: ChatSession, service: ChatService) -> None:
    session.give_reason("  a lost   child ")
    answer = session.say("a woman in a red coat")
    row = service.store.searches(limit=1)[0]
    assert (row.user, row.reason) == ("ann", "a lost child")
    assert list(row.shown) == [card.image_id for card in answer.cards] and len(answer.cards) == 12
    assert row.query["wanted"] == answer.status["query"]["wanted"]


@pytest.mark.parametrize("blank", ["", "   ", "\u200b", "\u202e \u200f"])
def test_a_reason_is_not_emptied_and_one_that_nobody_can_read_is_none(
    session: ChatSession, blank: str
) -> None:
    session.give_reason(blank)
    assert not session.has_reason
    session.give_reason("a lost child")
    session.give_reason(blank)
    assert session.conversation.reason == "a lost child"


@pytest.mark.parametrize("reason", ["a lost\ud800 child", "a\0lost child", "\udfff\0a child"])
def test_a_reason_that_no_database_takes_as_it_is_does_not_stop_the_case(
    session: ChatSession, service: ChatService, reason: str
) -> None:
    session.give_reason(reason)
    assert session.say("a woman in a red coat").cards
    kept = service.store.searches(limit=1)[0].reason
    assert kept == session.conversation.reason and kept.endswith("child")
    assert "\0" not in kept and kept.encode()


def test_what_needs_no_search_leaves_no_row_and_the_candidates(
    session: ChatSession, service: ChatService
) -> None:
    before = session.say("a woman in a red coat")
    rows = len(service.store.searches(limit=1000))
    for text in ("", "thanks", "who is she?"):
        answer = session.say(text)
        assert answer.cards == before.cards and answer.reply
    assert len(service.store.searches(limit=1000)) == rows


def test_a_stopped_search_says_so_and_the_next_one_is_whole(session: ChatSession) -> None:

    def stop_soon(stage: str, done: int, total: int) -> None:
        if stage == "rerank" and done:
            session.stop.set()

    answer = session.say("a woman in a red coat", [], stop_soon)
    assert answer.status["stopped"] is True and 0 < answer.status["scored"] < 64
    assert "stopped" in answer.reply and len(answer.cards) == 12
    assert session.say("with a hat").status["scored"] == 64


def test_a_stop_while_waiting_counts(session: ChatSession) -> None:
    session.stop.set()
    assert session.say("a woman in a red coat").status["scored"] == 0


def test_a_step_that_fails_changes_nothing(
    session: ChatSession, service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.say("a man in a white shirt")
    before = session.conversation, session.ranking, session.cards

    def fail(*_: object, **__: object) -> None:
        raise RetrievalError("the picture of crop 5 is gone; verify the gallery")

    monkeypatch.setattr(service.engine, "search", fail)
    with pytest.raises(Refused, match=r"The picture of crop 5 is gone; verify the gallery\."):
        session.say("with a hat")
    assert (session.conversation, session.ranking, session.cards) == before


def test_undo_takes_back_whatever_it_was(session: ChatSession, uploads: Uploads) -> None:
    photo = uploads.folder / "me.png"
    noise_picture(500).save(photo)
    steps = [
        lambda: session.say("a man in a white shirt"),
        lambda: session.search_with(session.cards[3].image_id),
        lambda: session.reject(session.cards[0].image_id),
        lambda: session.confirm(session.cards[1].image_id),
        lambda: session.say("only camera 2"),
        lambda: session.say("", [photo]),
        lambda: session.remove_chip("filter:camera=2"),
        lambda: session.say("start over"),
    ]
    states: list[tuple[tuple, list[int]]] = [((), [])]
    for step in steps:
        step()
        states.append((session.conversation.turns, [card.image_id for card in session.cards]))
    assert states[-1][1] == []  # start over cleared the list
    for turns, cards in reversed(states[:-1]):
        assert session.undo().reply.startswith("Took the last step back.")
        assert session.conversation.turns == turns
        assert [card.image_id for card in session.cards] == cards
    assert session.undo().reply == "There is nothing to take back."


def test_a_rejected_candidate_makes_room_for_the_next(session: ChatSession) -> None:
    session.say("a man in a white shirt")
    session.show_more()
    ids = [card.image_id for card in session.cards]
    assert len(ids) == 24
    answer = session.reject(ids[0])
    assert [card.image_id for card in answer.cards] == ids[1:13]


def test_selecting_shows_the_candidate_beside_the_query(session: ChatSession, uploads: Uploads) -> None:
    session.say("a man in a white shirt")
    card = session.cards[2]
    assert "the query" in session.select(card.image_id)
    page = View(NAMES, uploads).full(session)
    assert f"crops/{card.image_id}.jpg" in page["selected"] and 'aria-pressed="true"' in page["candidates"]
    session.say("with a hat")
    assert session.selected is None


def test_the_selected_candidates_kin_are_shown_as_far_as_they_are_there(
    session: ChatSession, uploads: Uploads
) -> None:
    session.say("a man in a white shirt")
    assert session.judged_together() == ()
    assert session.ranking is not None
    first, second, *rest = session.ranking.candidates
    gone = replace(second, image_id=10_000)  # was deleted after the search
    judged = replace(first, same_outfit=(gone.image_id, second.image_id, 20_000))  # the last is not listed
    session.ranking = replace(session.ranking, candidates=(judged, second, *rest, gone))
    session.select(first.image_id)
    assert [card.image_id for card in session.judged_together()] == [second.image_id]
    assert "Judged together with" in View(NAMES, uploads).full(session)["selected"]


def test_a_vanished_picture_costs_only_its_own_reading(session: ChatSession, engine: Engine) -> None:
    answer = session.say("somebody in a yellow dress")
    crop = engine.store.crops([answer.cards[0].image_id])[0]
    kept = crop.file.read_bytes()
    crop.file.unlink()
    try:
        fresh = ChatService(Engine(engine.store, engine.encoder, ReidModel.load(tiny_folder())))
        again = fresh.get("bob", "tab").say("somebody in a yellow dress")
        assert len(again.cards) == 12 and again.reply
    finally:
        crop.file.write_bytes(kept)


def test_the_page_shows_a_refusal_and_goes_on(service: ChatService, uploads: Uploads) -> None:
    """As the page's events do it: announce, then answer."""

    class Request:
        username, session_hash, query_params = None, "tab", {}

    handlers, request = Handlers(service, View(NAMES, uploads)), Request()
    torn = make_bad_pictures(uploads.folder)["torn.jpg"]
    handlers.announce({"text": "", "files": [{"path": str(torn)}]}, request)  # type: ignore[arg-type]
    *_, last = handlers.answer("", request)  # type: ignore[arg-type]
    assert "torn.jpg" in last["chatbot"][-1]["content"] and last["undo"].interactive is False
    handlers.announce({"text": "a man", "files": []}, request)  # type: ignore[arg-type]
    *_, last = handlers.answer("", request)  # type: ignore[arg-type]
    assert [message["role"] for message in last["chatbot"]] == ["user", "assistant"]


def test_sessions_are_kept_apart_and_forgotten_when_idle(engine: Engine) -> None:
    now = [0.0]
    service = ChatService(engine, session_hours=1, clock=lambda: now[0])
    first = service.get("ann", "tab")
    assert service.get("ann", "tab") is first
    other = service.get("ann", "other")
    assert other is not first and service.get("bob", "tab") is not first
    now[0] = 3500
    assert service.get("ann", "tab") is first
    now[0] = 7000  # an hour after its last use is not over
    assert service.get("ann", "tab") is first and service.get("ann", "other") is not other
    now[0] = 20_000
    assert service.get("ann", "tab") is not first


def test_one_caller_pushes_out_nobody_elses_conversation(engine: Engine) -> None:
    service = ChatService(engine, session_hours=1)
    kept = service.get("ann", "kept")
    others = [service.get("bob", str(number)) for number in range(MOST_SESSIONS + 10)]
    assert service.get("ann", "kept") is kept
    assert service.get("bob", str(MOST_SESSIONS + 9)) is others[-1]
    assert service.get("bob", str(MOST_SESSIONS + 10 - MOST_OF_ONE)) is others[-MOST_OF_ONE]
    assert others[0].stop.is_set() and not others[-1].stop.is_set()
    assert service.get("bob", "0") is not others[0]  # forgotten: the oldest of his own


def test_there_are_never_too_many_sessions_and_whoever_has_most_gives_way(engine: Engine) -> None:
    service = ChatService(engine, session_hours=1)
    few = [service.get("ann", str(number)) for number in range(3)]
    for user in range(MOST_SESSIONS // MOST_OF_ONE + 1):
        for number in range(MOST_OF_ONE):
            service.get(f"user {user}", str(number))
    assert [service.get("ann", str(number)) for number in range(3)] == few
    assert len(service._open) <= MOST_SESSIONS


def test_an_evaluation_leaves_no_audit_and_lists_everybody(engine: Engine) -> None:
    rows = len(engine.store.searches(limit=1000))
    session = ChatService(engine, most_listed=10**6, today=date(2026, 1, 2), audited=False).get("test", "")
    session.say("a man in a white shirt")
    assert session.ranking is not None and len(session.ranking.candidates) == CROPS
    assert session.service.facts().today == date(2026, 1, 2)
    assert len(engine.store.searches(limit=1000)) == rows


def test_photos_are_refused_where_none_are_taken(engine: Engine, tmp_path: Path) -> None:
    session = ChatService(engine).get("ann", "tab")
    with pytest.raises(Refused, match="not taken"):
        session.say("", [tmp_path / "me.png"])
    assert session.conversation.turns == ()


def test_the_audit_says_which_judgement_an_undo_took_back(session: ChatSession, service: ChatService) -> None:
    session.say("a man in a white shirt")
    rejected, confirmed = session.cards[0].image_id, session.cards[1].image_id
    session.reject(rejected)
    session.confirm(confirmed)
    assert "taken_back" not in service.store.searches(limit=1)[0].query
    for undone in ({"confirmed": [confirmed]}, {"rejected": [rejected]}):
        session.undo()
        row = service.store.searches(limit=1)[0].query
        assert row["taken_back"] == undone
        assert not set(row["rejected"] + row["confirmed"]) & set(*undone.values())
    session.say("only camera 2")
    session.undo()
    assert "taken_back" not in service.store.searches(limit=1)[0].query


def told(service: ChatService) -> dict[str, list[int]]:
    """What the last row of the audit says was taken back."""
    return service.store.searches(limit=1)[0].query.get("taken_back", {})


def test_the_audit_says_which_judgement_left_the_board(session: ChatSession, service: ChatService) -> None:
    session.say("a man in a white shirt")
    wrong, right, other = ids(session.cards)[:3]
    session.reject(wrong)
    session.confirm(right)
    session.take_off(wrong)
    assert told(service) == {"rejected": [wrong]}
    session.say("only camera 2")
    assert not told(service)
    session.undo()
    session.confirm(other)
    session.remove_chip(f"reference:{other}")
    assert told(service) == {"confirmed": [other]} and right in session.query.confirmed
    session.reject(wrong)
    session.confirm(wrong)  # another word about it: the row itself tells
    assert not told(service)


def test_what_leaves_the_board_without_a_search_is_told_with_the_next_one(
    session: ChatSession, service: ChatService
) -> None:
    session.say("a man in a white shirt")
    right, back, other = ids(session.cards)[:3]
    session.confirm(right)
    session.confirm(back)
    session.search_with(other)  # a new start: what was confirmed stands
    assert not told(service) and not session.query.confirmed and session.board.of(right)
    rows = len(service.store.searches(limit=1000))
    session.take_off(right)
    session.take_off(back)
    assert len(service.store.searches(limit=1000)) == rows
    session.undo()  # searches again
    assert not session.board.of(right) and session.board.of(back)
    assert told(service) == {"confirmed": [right]}
    session.take_off(back)
    session.say("only camera 1")
    assert told(service) == {"confirmed": [back]}
    session.reject(ids(session.cards)[0])
    assert not told(service)


def test_a_start_over_takes_no_judgement_back(session: ChatSession, service: ChatService) -> None:
    session.say("a man in a white shirt")
    session.confirm(session.cards[0].image_id)
    session.reject(session.cards[0].image_id)
    session.say("start over")
    session.say("a woman")
    assert not told(service) and len(session.board.rejected) == len(session.board.confirmed) == 1


def ids(cards) -> list[int]:
    return [card.image_id for card in cards]


def test_candidates_are_spoken_of_by_their_numbers(session: ChatSession) -> None:
    first = ids(session.say("a woman in a red coat").cards)
    found = session.say("search with number 2")
    assert [r.image_id for r in session.query.references] == [first[1]] and not session.query.wanted
    assert first[1] not in ids(found.cards)
    second = ids(session.cards)
    session.say("more like 3, but in a green coat")
    assert [r.image_id for r in session.query.references] == [second[2]]
    assert {(a.kind, a.value) for a in session.query.wanted} == {("upper", "coat"), ("upper_colour", "green")}
    third = ids(session.cards)
    session.say("not 1 and not 2")
    assert session.query.rejected == set(third[:2]) and not set(third[:2]) & set(ids(session.cards))
    fourth = ids(session.cards)
    session.say("the last one is her")
    assert session.query.confirmed == {fourth[-1]}
    fifth = ids(session.cards)
    session.say("none of these")
    assert session.query.rejected == {*third[:2], *fifth} and not set(fifth) & set(ids(session.cards))
    session.undo()
    assert session.query.rejected == set(third[:2])


def test_one_for_another_and_the_order_round(session: ChatSession) -> None:
    first = ids(session.say("a woman in a red coat").cards)
    assert "the latest first" in session.say("reverse the order").reply
    assert "the earliest first" in session.say("reverse the order").reply
    session.say("sort by fit")
    assert "There is no number 40" in session.say("it's not number 40, it's number 4").reply
    session.say("it's not number 3, it's number 4")
    assert (session.query.rejected, session.query.confirmed) == ({first[2]}, {first[3]})
    session.undo()
    assert not session.query.rejected and not session.query.confirmed
    asked = "how many men and how many women?"
    assert session.say(asked).reply.count("12 on the screen") == 2
    assert session.say("did you check camera 3?").reply.endswith("on all cameras, at any time.")


def test_the_selected_one_is_this_one(session: ChatSession) -> None:
    session.say("a woman in a red coat")
    assert "Select a candidate first" in session.say("this one, but in a green coat").reply
    chosen = session.cards[4].image_id
    session.select(chosen)
    session.say("this one, but in a green coat")
    assert [r.image_id for r in session.query.references] == [chosen]


def test_numbers_that_are_not_there_change_nothing(session: ChatSession) -> None:
    session.say("a woman in a red coat")
    query, before = session.query, session.cards
    for text in ("search with 13", "not 1 and not 40", "which camera is number 77 on?"):
        assert "12 candidates are on the screen" in session.say(text).reply
    assert (session.query, session.cards) == (query, before)


def test_numbers_on_an_empty_screen_are_no_description(session: ChatSession, service: ChatService) -> None:
    rows = len(service.store.searches(limit=1000))
    for text in (
        "number 2",
        "more like 3 but with a hat",
        "show more",
        "sort by time",
        "none of these",
        "export",
    ):
        assert session.say(text).reply.startswith("No candidates are on the screen.")
    assert session.query.is_empty and len(service.store.searches(limit=1000)) == rows


def test_redo_in_words_is_the_button(session: ChatSession) -> None:
    session.say("a woman in a red coat")
    with_hat = session.say("with a hat").status["query"]
    session.say("oops, undo that")
    again = session.say("redo please")
    assert again.reply.startswith("Did it again.") and again.status["query"] == with_hat
    assert session.say("redo").reply == "There is nothing to do again."


def test_after_an_undo_the_reply_speaks_of_the_search_that_is_shown(session: ChatSession) -> None:
    found = session.say("a woman in a red coat").reply
    session.say("show more")
    session.say("none of these")
    assert session.undo().reply == f"Took the last step back. {found}"


def test_a_question_waits_while_candidates_are_looked_at(session: ChatSession) -> None:
    session.say("a woman in a red coat")
    session.conversation = chat.answered(session.conversation, "Do you know the colour of the shoes?")
    session.say("number 2")
    session.say("which camera is number 1 on?")
    session.say("white")
    wanted = {a.kind: a.value for a in session.query.wanted}
    assert (wanted["shoe_colour"], wanted["upper_colour"]) == ("white", "red")


def test_more_and_by_time(
    session: ChatSession, service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    crops_of = service.crops_of

    def timed(candidates):
        """Every third crop has no time."""
        moments = (
            datetime(2026, 5, 1, tzinfo=UTC) + timedelta(hours=7 * n % 24, days=n % 2) for n in range(100)
        )
        by_id = dict(enumerate(moments))
        return [replace(crop, time=by_id[crop.id] if crop.id % 3 else None) for crop in crops_of(candidates)]

    monkeypatch.setattr(service, "crops_of", timed)
    best = ids(session.say("a woman in a red coat").cards)
    rows = len(service.store.searches(limit=1000))
    query = session.query
    more = session.say("show more")
    assert f"candidates 13 to 24 of {CROPS}" in more.reply and ids(more.cards) == ids(session.cards)[12:]
    assert len(session.cards) == 24 and ids(session.cards)[:12] == best
    session.say("thanks")
    assert len(session.cards) == 24  # small talk keeps what is on the screen
    assert "by time" in session.say("sort by time").reply
    by_time = ids(session.cards)
    assert sorted(by_time) == sorted(ids(session.ranking.candidates[:24]))
    times = [card.time for card in session.cards]
    known = [time for time in times if time]
    assert 0 < len(known) < 24 and times == [*sorted(known), *[None] * (24 - len(known))]
    assert "12 more; all 36 stand by time" in session.say("show more").reply
    times = [card.time for card in session.cards if card.time]
    assert len(session.cards) == 36 and times == sorted(times)
    assert "the latest first" in session.say("latest first").reply
    times = [card.time for card in session.cards if card.time]
    assert times == sorted(times, reverse=True) and session.cards[0].time == times[0]
    session.say("best first")
    assert ids(session.cards) == ids(session.ranking.candidates[:36])
    session.say("sort by time")
    assert session.query == query and len(service.store.searches(limit=1000)) == rows
    session.say("with a hat")
    assert ids(session.cards) == ids(session.ranking.candidates[:12])  # a new search stands by fit
    while session.remaining:
        session.show_more()
    assert "no more candidates" in session.say("more").reply


def test_questions_about_candidates_change_nothing(session: ChatSession) -> None:
    session.say("a woman in a red coat")
    query, cards = session.query, session.cards
    answers = {
        "which camera is number 1 on?": f"on camera {cards[0].camera}.",
        "how many are on camera 3?": "on camera 3",
        "compare 1 and 3": "",
        "export the results as a report": "cannot be exported",
        "number 2": "",
    }
    for text, says in answers.items():
        answer = session.say(text)
        assert says in answer.reply and answer.reply
        assert (session.query, session.cards) == (query, cards)
    assert session.selected == cards[1]
    listed = session.ranking.candidates
    on_three = sum(crop.camera == "3" for crop in session.service.crops_of(listed))
    assert f"{on_three} of the {len(listed)} candidates" in session.say("how many are on camera 3?").reply
    assert len(session.conversation.turns) == 7


def test_a_list_beyond_what_a_search_keeps_pages_on(engine: Engine) -> None:
    """With 30 kept at once: the list goes on in the same order as if all had been kept, and says how many there are."""
    whole = (
        ChatService(engine, most_listed=CROPS).get("ann", "whole").say("a woman in a red coat, camera 1 to 3")
    )
    service = ChatService(engine, most_listed=30)
    session = service.get("ann", "paged")
    session.say("a woman in a red coat, camera 1 to 3")
    assert whole.status["searched"] == CROPS and session.remaining == CROPS - 12
    rows = len(service.store.searches(limit=1000))
    while session.remaining:
        session.say("show more")
    all_of_them = ChatService(engine, most_listed=CROPS).get("ann", "x")
    all_of_them.say("a woman in a red coat, camera 1 to 3")
    assert ids(session.cards) == ids(all_of_them.ranking.candidates)
    assert session.conversation.last and "of 70." in str(session.conversation.last.reply)
    assert len(service.store.searches(limit=1000)) == rows + 1
    assert "no more candidates" in session.say("more").reply
    again = service.get("ann", "another", session.case)  # all of it comes back
    assert ids(again.cards) == ids(session.cards)


def test_the_list_stands_by_time_or_by_fit_at_a_click(session: ChatSession) -> None:
    best = ids(session.say("a woman in a red coat").cards)
    turns = session.conversation.turns
    session.order(by_time=True, latest_first=True)
    assert sorted(ids(session.cards)) == sorted(best) and session.conversation.turns == turns
    session.order(by_time=False)
    assert ids(session.cards) == best


@pytest.mark.parametrize("zone, said", [("UTC", ""), ("Asia/Tokyo", "2 May 2026")])
def test_cards_say_the_day_once_the_gallery_has_more_than_one(
    session: ChatSession, service: ChatService, monkeypatch: pytest.MonkeyPatch, zone: str, said: str
) -> None:
    """Days are those of the gallery's own zone."""
    first, last = datetime(2026, 5, 1, 8, tzinfo=UTC), datetime(2026, 5, 1, 20, tzinfo=UTC)
    crops_of = service.crops_of
    monkeypatch.setattr(
        service, "crops_of", lambda some: [replace(crop, time=last) for crop in crops_of(some)]
    )
    monkeypatch.setattr(service.store, "zone", ZoneInfo(zone))
    monkeypatch.setattr(service.store, "time_span", lambda: (first, last))
    assert {card.day for card in session.say("a woman in a red coat").cards} == {said}
