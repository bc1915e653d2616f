"""The model's own words in a conversation: streamed, stopped, refused, recorded, and no part of the search."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

import app.service as service_module
from app.chat.model_words import CANNOT_TALK
from app.in_line import BUSY, STOPPED_WAITING
from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.generation import WrittenAnswer
from app.model.reid_model import ReidModel
from app.refused import Refused
from app.retrieval.engine import Engine
from app.service import ChatService
from app.session import ChatSession
from app.ui.background import BackgroundWork
from app.ui.view import Components, View, progress_words
from app.uploads import Uploads
from tests.operators import others_compute
from tests.tiny_qwen import tiny_folder
from tests.toy_engine import toy_engine
from training.calibration.audit import judged_in

CROPS = 6
NAMES = Components(**{field.name: field.name for field in fields(Components)})  # type: ignore[arg-type]
OPEN = "what is number 2 doing?"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with toy_engine(tmp_path_factory.mktemp("talk"), CROPS) as engine:
        yield engine


@pytest.fixture
def service(engine: Engine) -> ChatService:
    return ChatService(engine)


@pytest.fixture
def session(service: ChatService) -> ChatSession:
    found = service.get("ann", "tab")
    found.say("a woman in a red coat")
    return found


def answers(monkeypatch: pytest.MonkeyPatch, engine: Engine, *words: str) -> list[tuple]:
    """The model writes these words one by one; -> what it was asked, with how many pictures."""
    asked = []

    def write(messages, pictures, *, limit, said, stop, schema=None):
        asked.append((messages[0]["content"], [picture.key for picture in pictures], limit))
        text = ""
        for word in words:
            if stop():
                return WrittenAnswer(text, False)
            text += word
            said(text)
        return WrittenAnswer(text, True)

    monkeypatch.setattr(engine.model, "write", write)
    return asked


def test_an_open_question_is_answered_by_a_real_checkpoint_and_changes_nothing(
    session: ChatSession, service: ChatService
) -> None:
    query, cards, rows = session.query, session.cards, len(service.store.searches(1000))
    session.give_reason("a lost child")
    for text, places in ((OPEN, [2]), ("are 1 and 3 the same man?", [1, 3]), ("describe number 4", [4])):
        answer = session.say(text)
        assert (session.query, session.cards) == (query, cards) and session.conversation.known.wanted
        assert answer.reply.endswith(answer.status["own_words"]) and answer.status["own_words"]
        row = service.store.searches(1)[0]
        assert (row.user, row.reason) == ("ann", "a lost child") and row.seconds > 0
        assert list(row.shown) == [cards[place - 1].image_id for place in places]
        asked = row.query["asked_model"]
        assert asked["question"] == ("" if "describe" in text else text) and asked["answer"]
    assert len(service.store.searches(1000)) == rows + 3
    assert session.say("thanks").status["own_words"] == ""
    session.undo()
    session.undo()
    assert session.query == query


@pytest.mark.parametrize(
    ("text", "prompt", "pictures"),
    (
        (OPEN, OPEN, 1),
        ("are 1 and 3 the same man?", "are 1 and 3 the same man?", 2),
        ("describe number 2", "detailed description of the pedestrian", 1),
        ("compare 1 and 3", "similarities and differences", 2),
    ),
)
def test_what_the_model_gets_and_how_its_answer_is_marked(
    session: ChatSession,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    prompt: str,
    pictures: int,
) -> None:
    asked = answers(monkeypatch, engine, "He wears", " a red", " coat <b>")
    answer = session.say(text)
    ((content, keys, limit),) = asked
    assert prompt in "".join(part.get("text", "") for part in content)
    assert len(keys) == pictures == sum(part["type"] == "image" for part in content) and limit < 500
    assert (
        "The model's own words on candidate" in answer.reply
        and "> He wears a red coat \\<b\\>" in answer.reply
    )
    # This model reads nothing in a crop: where two are compared, that stands above its words.
    assert answer.reply.startswith("**The model's own words") == (pictures == 1)
    assert "cannot answer" not in answer.reply
    if text == OPEN:
        assert content[0]["text"] == "Number 2:"


def test_the_words_are_shown_while_they_come(
    session: ChatSession, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    answers(monkeypatch, engine, "He", " waves", ".")
    view = View(NAMES, Uploads(tmp_path, max_bytes=1, max_pixels=1))
    seen: list[str] = []

    def progress(stage: str, done: int, total: int) -> None:
        if stage == "talk":
            assert 0 < done <= total
            seen.append(view.history(session, pending="…")[-1]["content"])

    answer = session.say(OPEN, [], progress)
    assert [words.rsplit("> ", 1)[1] for words in seen] == ["He …", "He waves …", "He waves. …"]
    assert session.speaking == "" and view.history(session)[-1]["content"] == answer.reply
    assert progress_words(SimpleNamespace(stage="talk", done=1, total=9)) == "The model is writing…"  # type: ignore[arg-type]


def test_stop_keeps_what_was_said_and_the_next_question_is_whole(
    session: ChatSession, engine: Engine, service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(monkeypatch, engine, "He", " waves", ".")

    def stop_soon(stage: str, done: int, total: int) -> None:
        if stage == "talk" and done == 2:
            session.stop.set()

    answer = session.say(OPEN, [], stop_soon)
    assert "> He waves …" in answer.reply and answer.reply.endswith("Stopped.")
    assert service.store.searches(1)[0].query["asked_model"]["ended"] is False
    assert "> He waves." in session.say(OPEN).reply


def test_a_model_that_cannot_talk_says_so_and_what_it_reads(
    session: ChatSession, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.model, "manifest", CheckpointManifest(name="tiny", base_model="random"))
    asked = answers(monkeypatch, engine, "A man in a red coat.")
    reply = session.say(OPEN).reply
    assert CANNOT_TALK in reply and "> A man in a red coat." in reply
    assert "detailed description" in asked[0][0][0]["text"] + asked[0][0][-1]["text"]
    answers(monkeypatch, engine, "Image 2")
    reply = session.say(OPEN).reply
    assert reply.endswith(CANNOT_TALK) and "Image 2" not in reply
    reply = session.say("describe number 2").reply
    assert CANNOT_TALK not in reply and "says nothing of what is worn" in reply


def test_questions_that_are_put_to_nobody(
    session: ChatSession, engine: Engine, service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answers(monkeypatch, engine, "no")
    rows = len(service.store.searches(1000))
    for text in (
        "what is the name of number 2?",
        "is number 2 black?",
        "is number 1 suspicious?",
        "who is number 2?",
        "who are number 1 and number 2?",
    ):
        assert session.say(text).status["own_words"] == ""
    session.say("which camera is number 1 on?")
    assert not asked and len(service.store.searches(1000)) == rows
    monkeypatch.setattr(engine, "model", None)
    assert "cannot answer" in session.say(OPEN).reply  # CLIP alone


def test_a_question_about_him_is_about_the_selected_one_or_the_first(
    session: ChatSession, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answers(monkeypatch, engine, "It says POLICE.")
    query = session.query
    assert "own words on candidate 1" in session.say("what is written on his shirt?").reply
    session.select(session.cards[3].image_id)
    assert "own words on candidate 4" in session.say("what is written on his shirt?").reply
    assert session.query == query and len(asked) == 2


def test_each_failure_is_one_sentence_and_changes_nothing(
    session: ChatSession, engine: Engine, service: ChatService, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rows = session.conversation, len(service.store.searches(1000))

    def fail(*_: object, **__: object) -> None:
        raise ModelError("tiny could not answer (out of memory); ask again, or something shorter")

    with monkeypatch.context() as patched:
        patched.setattr(engine.model, "write", fail)
        with pytest.raises(Refused, match=r"^Tiny could not answer \(out of memory\); ask again"):
            session.say(OPEN)
    picture = service.store.crops([session.cards[1].image_id])[0].file
    hidden = picture.with_suffix(".away")
    picture.rename(hidden)
    try:
        with pytest.raises(Refused, match=r"picture.*(gone|cannot be read|not there|missing)"):
            ChatService(Engine(engine.store, engine.encoder, ReidModel.load(tiny_folder()))).ask_model(
                *_question(session)
            )
    finally:
        hidden.rename(picture)
    monkeypatch.setattr(service_module, "MOST_WAITING", 0.0)
    with others_compute(service.engine.line):
        with pytest.raises(Refused, match=BUSY):
            service.ask_model(*_question(session))
        session.stop.set()
        with pytest.raises(Refused, match=STOPPED_WAITING):
            service.ask_model(*_question(session))
    assert session.speaking == "" and session.conversation == before
    assert len(service.store.searches(1000)) == rows


def _question(session: ChatSession):
    from app.chat.model_questions import ModelTask
    from app.talk import messages_of

    task = ModelTask("ask", (2,), OPEN)
    return task, messages_of(task), [session.cards[1].image_id], session, lambda _: None


def test_calibration_passes_over_questions(session: ChatSession, engine: Engine) -> None:
    crop = session.cards[0].image_id
    session.reject(crop)
    session.say(OPEN)
    session.confirm(crop)
    (judged,) = judged_in(Path(engine.store.location)).queries
    assert judged.right == {crop} and not judged.wrong


def test_while_it_writes_the_screen_follows_sooner() -> None:
    told, go_on = threading.Event(), threading.Event()

    def write(report) -> None:
        report("talk", 1, 9)
        told.set()
        go_on.wait(20)

    work = BackgroundWork(write)
    ticks = work.ticks(seconds=0.01, talking=0.01)
    assert next(ticks).stage == "talk" and told.is_set()
    go_on.set()
    assert list(ticks) is not None
