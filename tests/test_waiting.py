"""Messages that wait: in order, each answered once or given back, and found again after a reload."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.model.checkpoint import ModelError
from app.refused import ReasonNeeded
from app.retrieval.engine import Engine
from app.retrieval.query import RetrievalError
from app.service import ChatService
from app.ui.handlers import GIVEN_BACK, Handlers
from app.ui.html import sent_html
from app.ui.view import ASKS_REASON, WAITS, Components, View
from app.uploads import Uploads
from app.waiting import Sent, Waiting
from gallery_store.encoder import EncoderError
from tests.toy_engine import toy_engine

NAMES = Components(**{field.name: field.name for field in fields(Components)})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with toy_engine(tmp_path_factory.mktemp("waiting"), 20) as engine:
        yield engine


@pytest.fixture
def handlers(engine: Engine, tmp_path: Path) -> Handlers:
    uploads = Uploads(tmp_path / "uploads", max_bytes=1 << 20, max_pixels=10**6)
    return Handlers(ChatService(engine, uploads), View(NAMES, uploads))


def request(tab: str = "tab", case: str = "") -> Any:
    return SimpleNamespace(username=None, session_hash=tab, query_params={"case": case})


def said(shown: dict[str, Any]) -> list[str]:
    return [str(message["content"]) for message in shown["chatbot"] if message["role"] == "user"]


def test_messages_are_taken_in_the_order_in_which_they_were_sent() -> None:
    waiting, first, second = Waiting(), Sent("first"), Sent("second", (Path("her.png"),))
    assert waiting.begin() is None
    waiting.add(first)
    waiting.add(second)
    assert waiting.later == waiting.unanswered == (first, second)
    assert waiting.begin() == first == waiting.in_hand
    assert (waiting.later, waiting.unanswered) == ((second,), (first, second))
    waiting.answered()
    assert waiting.unanswered == (second,)


def test_two_messages_at_once_are_two_steps(handlers: Handlers) -> None:
    for text in ("a man in a red coat", "only camera 2"):
        shown = handlers.announce({"text": text, "files": []}, request())
    assert said(shown) == ["a man in a red coat", "only camera 2"]
    assert [message["content"] for message in shown["chatbot"]].count(WAITS) == 2
    assert shown["message"] == {"text": "", "files": []} and shown["undo"].interactive
    steps = handlers.answer("", request())
    shown = next(step for step in steps if WAITS not in str(step["chatbot"][1]))
    assert said(shown) == ["a man in a red coat", "only camera 2"] and shown["stop"].interactive
    assert shown["chatbot"][-1]["content"] == WAITS
    *_, shown = steps  # one call answers all, in their order
    assert said(shown) == ["a man in a red coat", "only camera 2"] and not shown["stop"].interactive
    assert len(handlers.service.get("local", "tab").conversation.turns) == 2
    *_, again = handlers.answer("", request())  # nothing waits any more
    assert said(again) == said(shown)


def test_what_was_written_is_shown_as_it_was_written(handlers: Handlers) -> None:
    """Not as Markdown or HTML, neither while it waits nor later; a Markdown reader gives the very words back."""
    written = (
        "a man <b>in</b> a ![blue](http://elsewhere/x.png) *coat*\n"
        "with $1$ & a `hat`\n- on www.elsewhere.net\n1. no\n==="
    )
    escaped = (
        "a man \\<b\\>in\\</b\\> a \\!\\[blue\\]\\(http\\://elsewhere/x.png\\) \\*coat\\*\n"
        "with \\$1\\$ \\& a \\`hat\\`\n\\- on www\\.elsewhere.net\n1\\. no\n\\==="
    )
    assert said(handlers.announce({"text": written, "files": []}, request())) == [escaped]
    *_, shown = handlers.answer("", request())
    assert said(shown) == [escaped]
    assert handlers.service.get("local", "tab").conversation.turns[-1].text == written


def test_a_button_of_an_answer_leaves_what_is_being_typed(handlers: Handlers) -> None:
    shown = handlers.announce_answer(SimpleNamespace(_data={"text": "a hat"}), request())  # type: ignore[arg-type]
    assert "message" not in shown and said(shown) == ["a hat"]


def test_clicks_on_undo_stand_in_line_with_the_messages(handlers: Handlers) -> None:
    for text in ("a man in a red coat", "only camera 2"):
        handlers.announce({"text": text, "files": []}, request())
    handlers.announce_undo(request())
    handlers.announce_undo(request())
    shown = handlers.announce({"text": "a woman", "files": []}, request())
    assert said(shown) == ["a man in a red coat", "only camera 2", "a woman"]
    *_, shown = handlers.answer("", request())
    assert said(shown) == ["a woman"]
    handlers.announce_undo(request())
    handlers.announce_redo(request())
    *_, shown = handlers.answer("", request())
    assert said(shown) == ["a woman"]


def test_start_over_leaves_the_messages_that_were_sent_after_it(handlers: Handlers) -> None:
    handlers.announce({"text": "a man in a red coat", "files": []}, request())
    handlers.announce_start_over(request())
    handlers.announce({"text": "a woman", "files": []}, request())
    *_, shown = handlers.answer("", request())
    assert said(shown) == ["a woman"] and len(handlers.service.cases_of("local")) > 1


def test_a_refused_message_is_given_back(handlers: Handlers, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RetrievalError("the gallery is away")

    handlers.announce({"text": "a <b> man", "files": []}, request())
    with monkeypatch.context() as patched:
        patched.setattr(handlers.service.engine, "search", fail)
        *_, shown = handlers.answer("", request())
    assert 'data-back="a &lt;b&gt; man"' in shown["sent"]
    assert [message["content"] for message in shown["chatbot"]] == ["a \\<b\\> man", "The gallery is away."]
    shown = handlers.announce({"text": "a man", "files": []}, request())
    assert 'data-back=""' in shown["sent"] and said(shown) == ["a man"]


GONE = "the Ray at ray://box:8000 does not answer (refused); start it, or give the address of another"
SAID = f"T{GONE[1:]}."


@pytest.mark.parametrize(
    ("where", "problem"),
    [
        ("search", EncoderError(GONE)),
        ("search", ModelError(GONE)),
        ("read", EncoderError(GONE)),
        ("read", ModelError(GONE)),
        ("candidate_probs", ModelError(GONE)),
    ],
)
def test_a_ray_that_went_away_is_one_sentence_and_the_message_is_given_back(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch, where: str, problem: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise problem

    for text in ("a man", "a woman"):
        handlers.announce({"text": text, "files": []}, request())
    with monkeypatch.context() as patched:
        patched.setattr(handlers.service.engine, where, fail)
        *_, shown = handlers.answer("", request())
    assert shown["chatbot"][-1]["content"] == SAID and not shown["stop"].interactive
    session = handlers.service.get("local", "tab")
    assert not session.conversation.turns and not session.is_busy
    assert session.given_back is not None and session.given_back.text == "a woman"
    assert len(session.owed) == 2  # both stay kept until something is sent
    handlers.announce({"text": "a man", "files": []}, request())
    *_, shown = handlers.answer("", request())
    assert said(shown) == ["a man"] and session.cards


def test_a_model_that_went_away_before_a_candidate_is_chosen_is_one_sentence(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ModelError(GONE)

    handlers.announce({"text": "a man", "files": []}, request())
    list(handlers.answer("", request()))
    session = handlers.service.get("local", "tab")
    chosen: Any = SimpleNamespace(_data={"image_id": session.cards[1].image_id})
    with monkeypatch.context() as patched:
        patched.setattr(handlers.service.engine, "read", fail)
        shown = handlers.choose(chosen, request())
    assert shown["chatbot"][-1]["content"] == SAID and session.selected is None
    handlers.choose(chosen, request())
    assert session.selected == session.cards[1]


def test_a_fault_of_our_own_ends_the_step_and_not_the_page(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a fault that nobody thought of")

    handlers.announce({"text": "a man", "files": []}, request())
    with monkeypatch.context() as patched:
        patched.setattr(handlers.service.engine, "search", fail)
        *_, shown = handlers.answer("", request())
    assert "a fault that nobody thought of" in shown["chatbot"][-1]["content"]
    assert 'data-back="a man"' in shown["sent"] and not shown["stop"].interactive
    assert "ZeroDivisionError" in capsys.readouterr().err
    session = handlers.service.get("local", "tab")
    handlers.announce({"text": "a man", "files": []}, request())
    list(handlers.answer("", request()))
    with monkeypatch.context() as patched:
        patched.setattr(handlers.service.engine, "search", fail)
        *_, shown = handlers.search_with("", request())
        assert shown["chatbot"][-1]["content"] == "Choose a candidate first."
        session.select(session.cards[0].image_id)
        *_, shown = handlers.search_with("", request())
    assert "a fault that nobody thought of" in shown["chatbot"][-1]["content"]


def test_after_a_reload_the_same_conversation_goes_on(
    handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page goes while its first message is searched for and another waits: both are answered, once."""
    held, began = threading.Event(), threading.Event()
    search = handlers.service.engine.search

    def wait(*given: Any, **more: Any) -> Any:
        began.set()
        assert held.wait(60)
        return search(*given, **more)

    monkeypatch.setattr(handlers.service.engine, "search", wait)
    handlers.announce({"text": "a man in a red coat", "files": []}, request())
    handlers.announce({"text": "only camera 2", "files": []}, request())
    page = handlers.answer("", request())
    next(page)
    assert began.wait(60)
    page.close()  # as Gradio does when the tab is gone
    session = handlers.service.get("local", "tab")
    left: Any = SimpleNamespace(
        _data={"tab": session.tab, "waiting": ["a man in a red coat", "only camera 2"]}
    )
    assert handlers.service.go_on_in("somebody else", "new", session.tab) is None
    again = handlers.go_on(left, request("new"))
    shown = next(again)
    assert said(shown) == ["a man in a red coat", "only camera 2"] and shown["stop"].interactive
    held.set()
    *_, shown = again
    assert said(shown) == ["a man in a red coat", "only camera 2"] and not shown["stop"].interactive
    assert [turn.text for turn in session.conversation.turns] == ["a man in a red coat", "only camera 2"]
    assert handlers.service.get("local", "new") is session
    assert handlers.service.get("local", "tab") is not session


def test_after_a_new_start_what_waited_is_given_back(handlers: Handlers) -> None:
    left: Any = SimpleNamespace(_data={"tab": "of another process", "waiting": ["a man", "", "with a hat"]})
    *_, shown = handlers.go_on(left, request())
    assert shown["chatbot"][-1]["content"] == GIVEN_BACK
    session = handlers.service.get("local", "tab")
    assert session.given_back == Sent("a man\nwith a hat") and not session.is_busy
    assert 'data-back="a man\nwith a hat"' in sent_html(session)


@pytest.fixture
def strict(engine: Engine, tmp_path: Path) -> Handlers:
    """Where a reason is required."""
    uploads = Uploads(tmp_path / "uploads", max_bytes=1 << 20, max_pixels=10**6)
    return Handlers(ChatService(engine, uploads, needs_reason=True), View(NAMES, uploads))


def test_a_reason_that_is_required_is_asked_for_once_and_what_was_sent_goes_on(strict: Handlers) -> None:
    rows = strict.service.store.searches(limit=1000)
    for text in ("a man in a red coat", "only camera 2"):
        strict.announce({"text": text, "files": []}, request())
        *_, shown = strict.answer("", request())
        assert shown["chatbot"][1]["content"] == ASKS_REASON and 'data-asks="reason"' in shown["sent"]
    session = strict.service.get("local", "tab")
    assert session.cards == () and strict.service.store.searches(limit=1000) == rows
    *_, shown = strict.reason_given("  ", request())
    assert shown["reason"] == "" and session.waiting.is_held
    *_, last, shown = strict.reason_given("a lost child", request())
    assert said(last) == ["a man in a red coat", "only camera 2"] and shown["reason"] == "a lost child"
    assert [row.reason for row in strict.service.store.searches(limit=2)] == ["a lost child"] * 2
    strict.announce({"text": "with a hat", "files": []}, request())
    *_, shown = strict.answer("", request())  # asked once: the case has it, whatever stands in the field
    assert ASKS_REASON not in [message["content"] for message in shown["chatbot"]] and session.cards
    strict.service.store.refresh()
    again = strict.service.get("local", "another", session.case)
    assert again.conversation.reason == "a lost child"


def test_a_required_reason_never_goes_into_the_next_case(strict: Handlers) -> None:
    session = strict.service.get("local", "tab")
    session.give_reason("a lost child")
    session.say("a man in a red coat")
    strict.announce_start_over(request())
    *_, shown = strict.answer("", request())
    assert not session.has_reason and not shown["chatbot"]
    with pytest.raises(ReasonNeeded, match="Why is this person looked for"):
        session.say("a woman")
    strict.announce({"text": "a woman", "files": []}, request())
    *_, shown = strict.answer("", request())
    assert session.waiting.is_held
    strict.announce_start_over(request())
    *_, shown = strict.answer("", request())  # what was held comes back to be sent, or not
    assert session.given_back == Sent("a woman") and not session.waiting.unanswered
    assert 'data-asks=""' in shown["sent"]


def test_what_waits_behind_start_over_does_not_take_the_reason_along(strict: Handlers) -> None:
    """One call answers both, with what stood in the field when it was made."""
    strict.announce({"text": "a man in a red coat", "files": []}, request())
    list(strict.answer("a lost child", request()))
    session, searched = strict.service.get("local", "tab"), strict.service.store.searches(limit=1000)
    assert session.cards and session.has_reason
    strict.announce_start_over(request())
    strict.announce({"text": "a woman", "files": []}, request())
    *_, shown = strict.answer("a lost child", request())
    assert session.waiting.is_held and not session.has_reason and session.cards == ()
    assert shown["chatbot"][1]["content"] == ASKS_REASON
    assert strict.service.store.searches(limit=1000) == searched


def test_what_needs_no_search_needs_no_reason(strict: Handlers) -> None:
    session = strict.service.get("local", "tab")
    assert session.say("hello").reply and not session.has_reason


def test_what_shows_or_reads_candidates_needs_the_reason_too(
    strict: Handlers, handlers: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A case of the time when none was required is opened; nothing that was not seen yet is told."""
    before = handlers.service.get("local", "tab")
    before.say("a man in a red coat")
    crop, service = before.cards[0].image_id, strict.service
    rows, read = len(service.store.searches(limit=1000)), service.engine.read
    monkeypatch.setattr(service.engine, "read", lambda *_, **__: pytest.fail("a crop was read"))
    stranger, old = service.get("local", "new"), service.get("local", "old", before.case)
    assert old.cards == before.cards  # as they were shown then
    for ask in (
        lambda: stranger.select(crop),
        lambda: stranger.search_with(crop),
        lambda: stranger.confirm(crop),
        lambda: old.select(crop),
        lambda: old.show_more(),
        lambda: old.say("show more"),
        lambda: old.say("describe number 1"),
        lambda: old.say("compare 1 and 2"),
        lambda: old.reject(crop),
        lambda: old.say("with a hat"),
    ):
        with pytest.raises(ReasonNeeded):
            ask()
    assert len(service.store.searches(limit=1000)) == rows and old.cards == before.cards
    monkeypatch.setattr(service.engine, "read", read)
    for session in (stranger, old):
        session.give_reason("a lost child")
        assert session.select(crop)


def test_a_gallery_that_keeps_no_cases_takes_no_reason_behind_start_over(
    strict: Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ChatService, "keeps_cases", False)
    strict.announce({"text": "a man in a red coat", "files": []}, request())
    strict.announce_start_over(request())
    strict.announce({"text": "a woman", "files": []}, request())
    *_, shown = strict.answer("a lost child", request())
    assert strict.service.get("local", "tab").waiting.is_held
    assert shown["chatbot"][1]["content"] == ASKS_REASON
