"""Messages that were sent: kept until they are steps, given back after a new start, to whoever sent them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.retrieval.engine import Engine
from app.retrieval.query import RetrievalError
from app.sending import NOT_ANSWERED, WITH_PHOTOS
from app.service import ChatService
from app.ui.handlers import Handlers
from app.ui.view import Components, View
from app.uploads import Uploads
from gallery_store.crops import Filters
from gallery_store.errors import GalleryError
from tests.tiny_qwen import noise_picture
from tests.toy_engine import toy_engine

NAMES = Components(**{field.name: field.name for field in fields(Components)})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with toy_engine(tmp_path_factory.mktemp("sending"), 14) as engine:
        yield engine


class Started:
    """The app, and how it starts anew over the same gallery and folder."""

    def __init__(self, engine: Engine, folder: Path, **settings: Any) -> None:
        self.engine, self.folder, self.settings = engine, folder, settings
        self.uploads = Uploads(folder / "uploads", max_bytes=1 << 20, max_pixels=10**6)
        self.handlers = Handlers(ChatService(engine, self.uploads, **settings), View(NAMES, self.uploads))

    def anew(self) -> Started:
        return Started(self.engine, self.folder, **self.settings)

    def send(self, text: str, *files: Path, case: str = "", tab: str = "tab") -> dict[str, Any]:
        given = [{"path": str(file)} for file in files]
        return self.handlers.announce({"text": text, "files": given}, request(case, tab))

    def answered(self, case: str = "") -> list[str]:
        *_, shown = self.handlers.answer("", request(case))
        return said(shown)

    def opened(self, case: str, user: str = "ann") -> dict[str, Any]:
        return self.handlers.open(request(case, user=user))

    @property
    def session(self) -> Any:
        return self.handlers.service.get("ann", "tab")


@pytest.fixture
def app(engine: Engine, tmp_path: Path) -> Started:
    return Started(engine, tmp_path)


def request(case: str = "", tab: str = "tab", user: str = "ann") -> Any:
    return SimpleNamespace(username=user, session_hash=tab, query_params={"case": case})


def said(shown: dict[str, Any]) -> list[str]:
    return [str(message["content"]) for message in shown["chatbot"] if message["role"] == "user"]


def test_what_was_sent_before_a_kill_is_given_back_once_in_its_case(app: Started) -> None:
    """The first message of a case too, which has its address as soon as it is sent."""
    for text in ("a man in a red coat", "only camera 2"):
        shown = app.send(text)
    case = app.session.case
    assert case and "a man in a red coat" in shown["sent"] and not app.session.conversation.turns
    after = app.anew()
    assert [one.title for one in after.handlers.service.cases_of("ann") if one.id == case] == [
        "a man in a red coat"
    ]
    shown = after.opened(case)
    assert said(shown) == ["a man in a red coat\nonly camera 2"]
    assert shown["chatbot"][-1]["content"] == NOT_ANSWERED
    assert 'data-back="a man in a red coat\nonly camera 2"' in shown["sent"]
    again = after.anew().opened(case)  # nothing was done with it: it is given back again
    assert again["chatbot"] == shown["chatbot"]
    after.send("a man in a blue coat", case=case)
    assert after.answered(case) == ["a man in a blue coat"]
    last = after.anew().opened(case)
    assert said(last) == ["a man in a blue coat"] and 'data-back=""' in last["sent"]


def test_a_page_that_stays_open_over_a_new_start_has_both_answered(app: Started) -> None:
    """It sends another message before it is loaded again: nothing was given back to it yet."""
    app.send("a man in a red coat")
    case, after = app.session.case, app.anew()
    shown = after.send("with a hat", case=case)
    assert said(shown) == ["a man in a red coat", "with a hat"]
    assert after.answered(case) == ["a man in a red coat", "with a hat"]
    assert said(after.anew().opened(case)) == ["a man in a red coat", "with a hat"]
    assert after.handlers.service.store.cases.messages.unsettled(case, "ann") == ()


def test_what_was_answered_is_not_given_back(app: Started) -> None:
    app.send("a man in a red coat")
    app.answered()
    app.send("undo")  # is a step, and no turn
    app.answered()
    app.send("undo")  # comes to nothing
    app.answered()
    case = app.session.case
    app.send("with a hat")
    app.handlers.announce_start_over(request())
    app.send("a woman")
    app.answered()
    assert said(app.anew().opened(case)) == ["with a hat"]
    second = app.session.case
    assert second != case and said(app.anew().opened(second)) == ["a woman"]


def test_photos_are_kept_with_their_message_and_go_along_again(app: Started) -> None:
    photo = app.uploads.folder / "her.png"
    noise_picture(700).save(photo)
    app.send("this is her", photo)
    case = app.session.case
    for file in (photo, *app.uploads.of_cases.rglob("*.png")):
        file.unlink()
    after = app.anew()
    shown = after.opened(case)
    assert (
        shown["chatbot"][-1]["content"] == WITH_PHOTOS and len(said(shown)) == 2
    )  # the photo, and the words
    after.send("this is her", case=case)
    after.answered(case)
    (turn,) = after.session.conversation.turns
    assert [one.name for one in turn.photos] == ["her.png"] and after.session.query.references
    assert after.handlers.service.cases_of("ann")[0].title == "this is her"


def test_a_refused_message_is_kept_until_another_is_sent(
    app: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RetrievalError("the gallery is away")

    app.send("a man in a red coat")
    with monkeypatch.context() as patched:
        patched.setattr(app.engine, "search", fail)
        app.answered()
    case = app.session.case
    assert said(app.anew().opened(case)) == ["a man in a red coat"]
    app.send("a man in a coat")
    app.answered()
    assert said(app.anew().opened(case)) == ["a man in a coat"]


def test_what_another_tab_still_answers_is_not_given_back(app: Started) -> None:
    app.send("a man in a red coat")
    shown = app.handlers.open(request(app.session.case, "second tab"))
    assert said(shown) == [] and 'data-back=""' in shown["sent"]


def test_what_is_held_for_want_of_a_reason_is_kept_too(engine: Engine, tmp_path: Path) -> None:
    app = Started(engine, tmp_path, needs_reason=True)
    app.send("a man in a red coat")
    app.answered()
    assert app.session.waiting.is_held
    assert said(app.anew().opened(app.session.case)) == ["a man in a red coat"]


def test_what_was_held_over_an_idle_night_is_answered_before_what_the_open_page_sends_next(
    engine: Engine, tmp_path: Path
) -> None:
    now = [0.0]
    app = Started(engine, tmp_path, needs_reason=True, session_hours=12.0, clock=lambda: now[0])
    app.send("a man in a red coat")
    app.answered()
    case = app.session.case
    now[0] = 13 * 3600.0
    shown = app.send("with a hat", case=case)
    assert said(shown) == ["a man in a red coat", "with a hat"]
    app.session.give_reason("a lost child")
    assert app.answered(case) == ["a man in a red coat", "with a hat"]
    assert [turn.text for turn in app.session.conversation.turns] == ["a man in a red coat", "with a hat"]
    assert app.handlers.service.store.cases.messages.unsettled(case, "ann") == ()


def test_a_message_that_cannot_be_kept_is_answered_all_the_same(
    app: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise GalleryError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(app.handlers.service.store.cases.messages, "add", full)
        app.send("a man in a red coat")
        assert "the disk is full" in app.session.not_kept
    assert app.answered() == ["a man in a red coat"] and app.session.not_kept == ""


def test_a_case_is_called_by_what_it_begins_with(app: Started) -> None:
    service = app.handlers.service
    photo = app.uploads.folder / "bus stop.png"
    noise_picture(701).save(photo)
    crop = int(service.store.matching(Filters())[0])
    for begin in (
        lambda session: session.search_with(crop),
        lambda session: session.say("", [photo]),
    ):
        begin(service.get("cat", "tab"))
        service.get("cat", "tab").start_over()
    titles = [one.title for one in service.cases_of("cat")]
    assert titles[0] == "Person of the photo bus stop" and titles[1].startswith("Person on camera ")
    app.send("", photo, tab="another")
    assert service.get("ann", "another").keeper.case in [
        one.id for one in service.cases_of("ann") if one.title == "Person of the photo bus stop"
    ]
