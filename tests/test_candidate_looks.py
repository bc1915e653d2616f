"""From a search to the chat's question: who counts and how much, what pictures show, when nothing is asked."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from app.candidate_looks import candidate_looks, shown_kinds, wants_question
from app.chat.conversation import Conversation, say, search_with, to_query
from app.chat.questions import DONT_KNOW
from app.chat.search_state import GalleryFacts
from app.model.answers import AttributeReading
from app.model.line import Line, never
from app.model.vocabulary import KINDS, LASTING, Attribute
from app.refused import Refused
from app.retrieval.query import Query, Reference, RetrievalError
from app.retrieval.ranking import VERY_PICTURE, Candidate, Ranking
from app.service import ChatService

CROPS = 20


def candidate(number: int, probability: float | None = 0.5, caution: str = "") -> Candidate:
    return Candidate(number, 0.3, 0.5, probability, caution=caution)


def ranking(*candidates: Candidate, **changes: object) -> Ranking:
    return replace(Ranking(candidates, total=CROPS, searched=CROPS, scored=9, no_match=False), **changes)  # type: ignore[arg-type]


class ReadingEngine:
    """Every second crop wears a hat and carries a backpack, and all else is unknown. read: what is read in any picture,
    kind -> (value, confidence)."""

    def __init__(self, **read: tuple[str, float]) -> None:
        self.clip_attributes = SimpleNamespace(confusion={})
        self.ranker, self.line = SimpleNamespace(name="fused"), Line()
        self.reads_attributes = True
        self.kinds = KINDS
        self.store = SimpleNamespace()
        self.asked: list[int] = []
        self._read = read

    def candidate_probs(self, ids: list[int], *, stop: object) -> dict[str, np.ndarray]:
        self.asked = list(ids)
        probs = {kind: np.full((len(values), len(ids)), 1 / len(values)) for kind, values in KINDS.items()}
        probs["gender"] = np.array([[0.0] * len(ids), [1.0] * len(ids)])
        for kind in ("hat", "bag"):
            probs[kind] = np.zeros((len(KINDS[kind]), len(ids)))
            for column, crop in enumerate(ids):
                probs[kind][crop % 2, column] = 1
        return probs

    def read(self, references: list[Reference], *, stop: object) -> list[list[AttributeReading]]:
        readings = [
            AttributeReading(Attribute(kind, value), sure) for kind, (value, sure) in self._read.items()
        ]
        return [readings for _ in references]


def test_candidates_count_by_their_confidence():
    found = ranking(*(candidate(n, p) for n, p in ((3, 0.9), (5, 0.6), (8, 0.0))))
    looks = candidate_looks(engine := ReadingEngine(), Query(), found, never)
    assert engine.asked == [3, 5, 8]
    assert looks.weights.tolist() == [0.9, 0.6, pytest.approx(0, abs=1e-5)] and (looks.weights > 0).all()


def test_who_was_read_counts_and_not_the_very_picture():
    found = ranking(candidate(1, None, VERY_PICTURE), *(candidate(n) for n in range(2, 20)))
    candidate_looks(engine := ReadingEngine(), Query(), found, never)
    assert engine.asked == list(range(2, 11))  # 9 were read: nothing more is, for a question


def test_without_a_confidence_the_first_count_alike():
    found = ranking(*(candidate(n, None, "uncalibrated") for n in range(1, 20)))
    looks = candidate_looks(engine := ReadingEngine(), Query(), found, never)
    assert engine.asked == list(range(1, 13)) and set(looks.weights) == {1.0}


def test_pictures_show_what_is_read_in_them_surely():
    engine = ReadingEngine(hat=("cap", 0.9), hair=("long", 0.6), bag=("none", 0.4), gender=("woman", 0.99))
    picture = (Reference(image_id=1),)
    assert shown_kinds(engine, Query(), never) == frozenset()
    assert shown_kinds(engine, Query(references=picture), never) == {"hat", "hair", "gender"}
    # Beside words on clothes, and in other clothes, a picture shows what outlasts them.
    in_green = Query(references=picture, wanted=(Attribute("upper_colour", "green"),))
    assert shown_kinds(engine, in_green, never) == {"hair", "gender"}
    assert shown_kinds(engine, Query(references=picture, other_clothes=True), never) == {"hair", "gender"}
    engine.reads_attributes = False  # nobody says how surely
    assert shown_kinds(engine, Query(references=picture), never) == set(KINDS)
    assert shown_kinds(engine, Query(references=picture, other_clothes=True), never) == set(LASTING)


TALK = say(Conversation(), "a man in a red jacket", GalleryFacts())
FOUND = ranking(*(candidate(n) for n in range(1, 9)))


def test_when_nothing_is_asked():
    assert wants_question(TALK, FOUND)
    assert not wants_question(TALK, ranking())
    for change in ({"no_match": True}, {"judged": False}, {"photographs": True}):
        assert not wants_question(TALK, replace(FOUND, **change))
    assert not wants_question(say(Conversation(), "only camera 3", GalleryFacts(cameras=("3",))), FOUND)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> ChatService:
    """A service that finds FOUND whatever is looked for."""
    made = ChatService(ReadingEngine(), audited=False)  # type: ignore[arg-type]
    monkeypatch.setattr(made, "facts", lambda: GalleryFacts())
    monkeypatch.setattr(made, "search", lambda *_: FOUND)
    monkeypatch.setattr(made, "read", lambda pictures, stop=never: [() for _ in pictures])
    monkeypatch.setattr(
        made, "crops_of", lambda candidates: [SimpleNamespace(id=c.image_id) for c in candidates]
    )
    monkeypatch.setattr(made, "cards", lambda candidates, crops: tuple(candidates))
    monkeypatch.setattr("app.session.ordered", lambda session, cards: tuple(cards))
    return made


def test_a_session_asks_offers_answers_and_takes_no_for_an_answer(service: ChatService):
    session = service.get("ann", "tab")
    first = session.say("a man in a red jacket")
    asked = first.status["question"]
    assert asked["kind"] == "hat" and asked["bits"] == pytest.approx(0.75)
    assert asked["answers"] == ["no hat", "cap", DONT_KNOW] and first.reply.endswith(asked["text"])

    second = session.say(DONT_KNOW)
    assert second.reply == "All right, that stays open. Did they carry a bag, and which kind?"
    assert second.status["question"]["answers"] == ["no bag", "backpack", DONT_KNOW]
    assert session.say("thanks").status["question"] == second.status["question"]  # it waits

    third = session.say("a backpack")
    assert third.status["query"]["wanted"]["bag"] == "backpack"
    assert third.status["question"] is None and session.question is None  # what is left is worth no answer
    assert session.undo().status["question"] == second.status["question"]
    session.undo()
    again = session.undo()
    assert again.status["question"] == asked and again.reply.endswith(asked["text"])
    assert session.start_over().status["question"] is None


def test_a_button_does_what_its_words_do(service: ChatService):
    typed, pressed = service.get("ann", "1"), service.get("ann", "2")
    for session in (typed, pressed):
        session.say("a man in a red jacket")
    assert pressed.question is not None
    typed.say("no hat")
    pressed.say(pressed.question.answers[0])
    assert typed.conversation == pressed.conversation and typed.query == pressed.query


@pytest.mark.parametrize("problem", [RetrievalError("gone"), KeyError(7), Refused("Stopped.")])
def test_a_question_that_cannot_be_chosen_costs_no_search(service: ChatService, problem: Exception):
    def fail(*_: object, **__: object) -> None:
        raise problem

    service.engine.candidate_probs = fail  # type: ignore[method-assign]
    answer = service.get("ann", "tab").say("a man in a red jacket")
    assert answer.cards and answer.status["question"] is None


def test_who_chooses_the_question_is_up_to_the_service(service: ChatService):
    service._ask = lambda questions: questions[-1]
    assert service.get("ann", "tab").say("a man in a red jacket").status["question"]["kind"] == "build"


def test_a_picture_is_not_asked_about():
    engine = ReadingEngine(hat=("cap", 0.9), bag=("backpack", 0.9))
    service = ChatService(engine, audited=False)  # type: ignore[arg-type]
    assert service.question(search_with(TALK, 7), FOUND) is None
    assert service.question(TALK, FOUND).kind == "hat"  # type: ignore[union-attr]
    beside = say(search_with(TALK, 7), "the same person, but now in a green coat", GalleryFacts())
    assert to_query(beside).references and service.question(beside, FOUND).kind == "hat"  # type: ignore[union-attr]
