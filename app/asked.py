"""Answers to questions about the whole list of candidates, from what is on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.chat.asked_things import read_asked
from app.chat.list_answers import helps_answer, known_answer, list_answer
from app.chat.list_questions import ListQuestion

if TYPE_CHECKING:
    from app.session import ChatSession


def answer_of_list(session: ChatSession, question: ListQuestion) -> str:
    """Markdown, to the question and those besides. The caller holds the session's lock, and there are candidates."""
    return " ".join(_answer(session, one) for one in (question, *question.also))


def _answer(session: ChatSession, question: ListQuestion) -> str:
    known = session.conversation.known
    if question.kind in ("known", "searched"):
        return known_answer(known, everywhere=question.kind == "searched")
    if question.kind == "helps":
        return helps_answer(known)
    assert session.ranking is not None
    asked = read_asked(question.about, session.service.facts())
    passing = session.service.passing(asked.filters)
    by_id = {candidate.image_id: candidate for candidate in session.ranking.candidates}
    places = [(place, by_id[card.image_id]) for place, card in enumerate(session.cards, start=1)]
    places = [(place, candidate) for place, candidate in places if candidate.image_id in passing]
    candidates = [candidate for _, candidate in places]
    shown = session.service.shown(session.service.crops_of(candidates), candidates)
    numbers = [place for place, _ in places]
    count = sum(image_id in passing for image_id in by_id)
    return list_answer(question, asked, len(by_id), count, list(zip(numbers, shown, strict=True)))
