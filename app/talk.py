"""Answers about the candidates on the screen: from what is known and read, and in the model's own words.

Those are asked for, shown while they come, and leave a row in the audit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.chat.model_questions import ModelTask, declined, task_of
from app.chat.model_words import heading, model_words, unmarked
from app.chat.result_answers import READ_AS, answer_about, count_answer, differences, is_unanswered
from app.chat.search_state import ShownCandidate
from app.model.prompts import Message, caption_prompt, compare_prompt, open_question_prompt
from gallery_store.crops import camera_key

if TYPE_CHECKING:
    from app.cards import Card
    from app.chat.results import Pointing
    from app.retrieval.ranking import Ranking
    from app.service import ChatService
    from app.session import ChatSession
    from gallery_store.console import StepProgress

MOST_WRITTEN = 160  # tokens
STAGE = "talk"  # as progress names it


@dataclass(frozen=True)
class Answer:
    """Markdown. text: what is known, or read in the pictures. own_words: what the model wrote, marked as its own."""

    text: str
    own_words: str = ""

    @property
    def whole(self) -> str:
        return "\n\n".join(filter(None, (self.text, self.own_words)))


def answer_on(
    session: ChatSession,
    pointing: Pointing,
    text: str,
    cards: Sequence[Card],
    progress: StepProgress | None,
) -> Answer:
    """What a message asks of these cards, or of all candidates. Refused as `let_model_talk`."""
    ranking, service = session.ranking, session.service
    service.permit(session)
    assert ranking is not None
    if pointing.action == "export":
        return Answer("Results cannot be exported from here; every search stands in the gallery's audit.")
    if pointing.action == "count":
        return Answer(_count(service, ranking, pointing.camera))
    if (sentence := declined(pointing.question)) is not None:
        return Answer(sentence)
    by_id = {candidate.image_id: candidate for candidate in ranking.candidates}
    candidates = [by_id[card.image_id] for card in cards]
    shown = service.shown(service.crops_of(candidates), candidates)
    places = tuple(session.cards.index(card) + 1 for card in cards)
    if pointing.action == "compare":
        answer = differences((places[0], places[-1]), (shown[0], shown[-1]))
    else:
        known, facts, question = session.conversation.known, service.facts(), pointing.question
        told = zip(places, shown, cards, strict=True)
        answer = "  \n".join(
            answer_about(
                place,
                one,
                question,
                known,
                seen=card.seen,
                facts=facts,
                passes=lambda filters, card=card: card.image_id in service.passing(filters),  # type: ignore[misc]
            )
            for place, one, card in told
        )
    engine = service.engine
    task = task_of(pointing, text, places, answer, free=engine.talks_freely) if engine.model else None
    if task is None:
        return Answer(answer)
    if not task.instead and is_unanswered(answer):
        answer = ""  # the model answers in its place
    return let_model_talk(session, task, shown, answer, progress)


def _count(service: ChatService, ranking: Ranking, camera: str) -> str:
    there = service.still_there(ranking.candidates)
    by_camera = Counter(crop.camera or "" for crop in service.crops_of(there))
    named = next((name for name in by_camera if name and camera_key(name) == camera_key(camera)), camera)
    fitting = sum(not one.weak for one in there) if ranking.judged else None
    return count_answer(len(there), fitting, by_camera, named)


def messages_of(task: ModelTask) -> list[Message]:
    """What the model is asked; the trained prompts where it was taught them."""
    if task.kind == "describe":
        return caption_prompt()
    if task.kind == "compare":
        return compare_prompt()
    return open_question_prompt(task.question, [f"Number {place}" for place in task.places])


def let_model_talk(
    session: ChatSession,
    task: ModelTask,
    shown: Sequence[ShownCandidate],
    answer: str,
    progress: StepProgress | None,
) -> Answer:
    """The answer with what the model writes below it; the session shows both while the words come.

    Refused in one sentence where the model is busy, a picture is gone, or the model fails; nothing then changes.
    """
    said = _shown_as_it_comes(session, Answer(answer, heading(task)).whole, progress)
    try:
        ids = [one.crop.id for one in shown]
        written = session.service.ask_model(task, messages_of(task), ids, session, said)
    finally:
        session.speaking = ""
    stopped = session.stop.is_set() and not written.ended
    words = model_words(
        task,
        written.text,
        ended=written.ended,
        stopped=stopped,
        shown=shown,
        above=READ_AS in answer,
        kinds=session.service.engine.kinds,
    )
    return Answer(answer, words)


def _shown_as_it_comes(
    session: ChatSession, above: str, progress: StepProgress | None
) -> Callable[[str], None]:
    count = 0

    def said(text: str) -> None:
        nonlocal count
        count += 1
        session.speaking = f"{above}\n\n> {unmarked(text)} …"
        if progress is not None:
            progress(STAGE, count, MOST_WRITTEN)

    return said
