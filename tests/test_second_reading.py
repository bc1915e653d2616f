"""A message that the model reads too: shown where it differs, used by one click, and never any worse than without."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import date
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.chat.search_state import GalleryFacts, SearchState, apply
from app.chat.two_readings import invents, other_reading, sentence_of
from app.chat.understanding import understand
from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.generation import WrittenAnswer
from app.model.message_reading import EXAMPLE_READING, MessageReading, SaidAttribute, SaidPerson
from app.refused import Refused
from app.retrieval.engine import Engine
from app.second_reading import USE_IT
from app.service import ChatService
from app.session import ChatSession
from app.ui.handlers import Handlers
from app.ui.view import Components, View
from app.uploads import Uploads
from tests.toy_engine import toy_engine

NAMES = Components(**{field.name: field.name for field in fields(Components)})  # type: ignore[arg-type]
FACTS = GalleryFacts(
    cameras=("1", "2", "3"), days=(date(2026, 5, 12),), today=date(2026, 5, 12), hours=tuple(range(24))
)


def reading(
    *said: str, does: str = "describes", language: str = "en", filters=(), companion=()
) -> MessageReading:
    """said: "red coat", "-hat" for one that is not there, "~hat" for one that is taken back."""
    how = {"-": "has not", "~": "forget"}
    persons = [
        SaidPerson(
            who=who,  # type: ignore[arg-type]
            attributes=tuple(
                SaidAttribute(said=how.get(one[0], "has"), phrase=one.lstrip("-~"))  # type: ignore[arg-type]
                for one in phrases
            ),
        )
        for who, phrases in (("sought", said), ("companion", companion))
    ]
    return MessageReading(
        language=language,
        does=does,  # type: ignore[arg-type]
        persons=tuple(persons),
        filters=filters,
        candidates=(),
    )


def state(*messages: str) -> SearchState:
    known = SearchState()
    for message in messages:
        known = apply(known, understand(message, known, FACTS))
    return known


@pytest.mark.parametrize(
    ("before", "message", "read"),
    (
        ((), "a woman in a red coat with a backpack", reading("woman", "backpack", "red coat")),
        ((), "she wore no hat and it was on camera 3", reading("she", "-hat", filters=("camera 3",))),
        (("a man in a red hat",), "forget the hat", reading("~hat")),
        (("a man in a red coat",), "no, the coat is blue", reading("blue coat")),
        (("a man in a red coat",), "after 14:00", reading(filters=("after 14:00",))),
        (("a man in a red coat",), "thanks a lot", reading(does="talks")),
    ),
)
def test_two_readings_that_come_to_the_same_are_one(before, message, read):
    known = state(*before)
    after = apply(known, understand(message, known, FACTS))
    assert other_reading(read, known, after, FACTS) is None


def test_where_they_differ_both_are_said():
    known = state()
    wrong = state("a boy in a red coat")  # as a reading would have it that gives the mother's coat to the boy
    read = reading("boy", "yellow t-shirt", companion=("red coat",), filters=("camera 3",))
    other = other_reading(read, known, wrong, FACTS)
    assert other is not None
    assert "red coat" in other.own and "yellow t-shirt" in other.other and "red coat" not in other.other
    assert "camera 3" in other.other and "camera 3" not in other.own
    assert other.own in str(other) and other.other in str(other)
    taken = apply(known, other.understood)
    assert {(a.kind, a.value) for a in taken.wanted} >= {("upper", "t-shirt"), ("upper_colour", "yellow")}
    question = other_reading(reading("boy", does="asks"), known, wrong, FACTS)
    assert question is not None and apply(known, question.understood) == known
    assert question.other == "a question, which changes nothing"
    of_two = reading(does="asks").model_copy(update={"candidates": (2, 5)})
    assert "a question about candidates 2 and 5" in str(other_reading(of_two, known, wrong, FACTS))


def test_words_that_were_not_said_are_an_invention():
    assert not invents(
        EXAMPLE_READING, "a woman in a red coat without a hat, her son wore a cap, only camera 3"
    )
    assert invents(reading("red coat", "black shoes"), "a man in a red coat")
    assert invents(reading(filters=("camera 7",)), "only camera 3")
    assert not invents(reading("red coat", language="fr"), "une femme avec un manteau rouge et un sac noir")
    assert invents(reading("red coat", language="fr"), "a man in a green coat")


@given(
    st.lists(
        st.sampled_from(["woman", "red coat", "-hat", "~bag", "forget", "no", "camera", "???", "-", "12:00"])
    ),
    st.lists(st.sampled_from(["camera 3", "after 14:00", "yesterday", "nowhere"]), max_size=4),
    st.sampled_from(["describes", "asks", "orders", "talks"]),
)
def test_whatever_is_read_it_can_be_said(said, filters, does):
    read = reading(*(one for one in said[:8] if one.lstrip("-~")), does=does, filters=tuple(filters))
    known = state("a man in a green hat")
    other = other_reading(read, known, known, FACTS)
    assert sentence_of(read).count("without") == sum(one.startswith("-") and len(one) > 1 for one in said[:8])
    if other is not None:
        assert does == "describes" and apply(known, other.understood) != known


# Over a real checkpoint


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with toy_engine(tmp_path_factory.mktemp("second"), 4) as engine:
        yield engine


@pytest.fixture
def session(engine: Engine) -> ChatSession:
    return ChatService(engine, model_reads=True).get("ann", "tab")


def fills_in(
    monkeypatch: pytest.MonkeyPatch, engine: Engine, answer: MessageReading | str | Exception
) -> list[str]:
    """The model answers with this; -> the messages that it was asked about."""
    asked = []

    def write(messages, pictures, *, limit, said=None, stop=None, schema=None):
        if schema is None:
            return WrittenAnswer("Image 2", True)
        asked.append(messages[0]["content"][0]["text"].rsplit("Message: ", 1)[1])
        if isinstance(answer, Exception):
            raise answer
        return WrittenAnswer(answer if isinstance(answer, str) else answer.model_dump_json(), True)

    monkeypatch.setattr(engine.model, "write", write)
    return asked


CONVERSATION = (
    "a woman in a red coat",
    "she has a hat",
    "only camera 2",
    "hello",
    "without the hat",
    "zzz",
    "undo",
)


def test_random_weights_make_nothing_worse(engine: Engine) -> None:
    plain, read = ChatService(engine).get("ann", "a"), ChatService(engine, model_reads=True).get("ann", "b")
    came_to = []
    for text in CONVERSATION:
        one, other = plain.say(text), read.say(text)
        assert (read.query, read.cards) == (plain.query, plain.cards)
        assert other.reply.startswith(one.reply) or text == "undo"
        assert one.status["model_reading"] == ""
        came_to.append(other.status["model_reading"])
    # It was asked, and wrote what no message says.
    assert came_to == [*["unusable"] * 3, "", "unusable", "unusable", ""]


@pytest.mark.parametrize(
    "answer",
    ("", "{", '{"language":"en"}', ModelError("out of memory"), reading("green shoes"), reading("red hat")),
)
def test_what_cannot_be_used_falls_back_to_the_chats_own_reading(
    session: ChatSession, engine: Engine, monkeypatch: pytest.MonkeyPatch, answer
) -> None:
    fills_in(monkeypatch, engine, answer)
    result = session.say("a woman in a red coat")
    assert {a.value for a in session.query.wanted} == {"woman", "coat", "red"}
    assert result.status["model_reading"] == "unusable" and session.other is None
    assert "Read in two ways" not in result.reply
    with pytest.raises(Refused, match="read nothing else"):
        session.use_model_reading()


@pytest.mark.parametrize("by_text", (False, True))
def test_one_click_takes_the_models_reading(
    session: ChatSession, engine: Engine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, by_text: bool
) -> None:
    session.say("a man in a green coat")
    fills_in(monkeypatch, engine, reading("red hat"))
    before = session.query
    result = session.say("he had a red hat with a blue backpack")
    own, view = session.query, View(NAMES, Uploads(tmp_path, max_bytes=1, max_pixels=1))
    assert view.full(session)["use_reading"].visible
    assert view.history(session)[-1]["content"] == result.reply
    assert result.status["model_reading"] == "differs" and "Read in two ways" in result.reply
    assert result.reply.endswith(result.status["own_words"])
    assert any(a.kind == "bag" for a in own.wanted)  # until it is chosen, the chat's own reading holds
    if by_text:
        session.say("Use the model's reading.")
    else:
        request = SimpleNamespace(username="ann", session_hash="tab", query_params={})
        *_, shown = Handlers(session.service, view).use_model_reading("", request)  # type: ignore[arg-type]
        assert (
            not shown["use_reading"].visible
            and f'data-id="{session.cards[0].image_id}"' in shown["candidates"]
        )
    wanted = {(a.kind, a.value) for a in session.query.wanted}
    assert ("hat_colour", "red") in wanted and not any(kind == "bag" for kind, _ in wanted)
    assert ("upper_colour", "green") in wanted  # what was known before stays
    assert len(session.conversation.turns) == 2 and session.cards and session.other is None
    session.undo()
    assert session.query == before


def test_a_question_that_was_searched_is_taken_back_by_one_click(
    session: ChatSession, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.say("a man in a green coat")
    before = session.query
    fills_in(monkeypatch, engine, reading(does="asks"))
    assert session.say("and the red hat").status["model_reading"] == "differs" and session.query != before
    session.use_model_reading()
    assert session.query == before and session.cards


def test_the_choice_is_gone_with_the_next_message(
    session: ChatSession, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fills_in(monkeypatch, engine, reading("hat"))
    session.say("a red hat and a coat")
    assert session.other is not None
    session.say("which camera is number 1 on?")
    assert session.other is None
    fills_in(monkeypatch, engine, reading("coat"))
    assert session.say("a coat").status["model_reading"] in ("agrees", "differs")


def test_what_needs_no_reading_is_not_read(
    session: ChatSession, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fills_in(monkeypatch, engine, reading("coat"))
    for text in ("hello", "who is she?", "undo", "start over", "number 2", "x " * 400, USE_IT):
        assert session.say(text).status["model_reading"] in ("", "unusable")
    assert asked == [USE_IT] or not asked
    session.say("a red coat")
    assert asked[-1] == "a red coat"
    monkeypatch.setattr(engine.model, "manifest", CheckpointManifest(name="tiny", base_model="random"))
    assert not ChatService(engine, model_reads=True).reads_messages  # it cannot talk
    monkeypatch.setattr(engine.model, "manifest", None)
    assert not ChatService(engine).reads_messages  # nobody asked for it
