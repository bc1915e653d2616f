"""The model's own words in a conversation: asked for, shown while they come, and written into the audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.chat.model_questions import ModelTask
from app.chat.model_words import heading, model_words, unmarked
from app.chat.search_state import ShownCandidate
from app.model.prompts import Message, caption_prompt, compare_prompt, open_question_prompt

if TYPE_CHECKING:
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
    return Answer(answer, model_words(task, written.text, ended=written.ended, stopped=stopped, shown=shown))


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
