"""A message that the model reads too: after the chat's own reading was searched, and never in its place unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.chat import conversation as chat
from app.chat.conversation import Turn
from app.chat.search_state import SearchState
from app.chat.two_readings import invents, other_reading

if TYPE_CHECKING:
    from app.session import ChatSession
    from gallery_store.console import StepProgress

STAGE = "understand"  # as progress names it
USE_IT = "use the model's reading"
_READ = (
    "search",
    "nothing",
    "off-topic",
    "other-language",
)  # intents in which more may be meant than was read

# What came of it, as the API's status has it; "" where the model was not asked.
AGREES, DIFFERS, UNUSABLE = "agrees", "differs", "unusable"


def read_again(session: ChatSession, before: SearchState, progress: StepProgress | None) -> str:
    """Lets the model read the last message; what it reads otherwise stands below the reply, and in `session.other`."""
    turn = session.conversation.last
    if turn is None or not _is_open(turn):
        return ""
    if progress is not None:
        progress(STAGE, 0, 1)
    reading = session.service.read_message(turn.text, session)
    if reading is None or invents(reading, turn.text):
        return UNUSABLE
    session.other = other_reading(reading, before, turn.after, session.service.facts())
    if session.other is None:
        return AGREES
    session.conversation = chat.with_own_words(session.conversation, str(session.other))
    return DIFFERS


def _is_open(turn: Turn) -> bool:
    said = turn.understood
    return turn.action == "say" and said is not None and said.intent in _READ and not said.starts_over
