"""Which messages about candidates are put to the model itself: a description, a comparison, an open question.

What is read in a crop, its camera and its time are answered without the model's own words (result_answers). Who
somebody is, and what a picture cannot show, is asked of nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from app.chat.intents import asks_identity, direct_answer_to
from app.chat.lexicon import spans_of
from app.chat.list_questions import asks_about_person
from app.chat.message_tokens import tokenise
from app.chat.result_answers import is_unanswered
from app.chat.results import Pointing, plain_words
from app.chat.search_state import GalleryFacts, ParsedMessage, SearchState

TaskKind = Literal["describe", "compare", "ask"]

NO_ORIGIN = "I say nothing of skin colour or origin."
NOT_IN_A_PICTURE = "A crop cannot show that, and the model is not asked to guess it."

_DESCRIBE = re.compile(
    r"(?:please )?(?:describe|tell me(?: more| something)? about|what (?:does|do|did) (?:he |she |they )?look like|"
    r"how (?:does|do|did) (?:he |she |they )?look)(?: (?:him|her|them|it))?"
)
_COMPARE = re.compile(r"compare\b|what is (?:the difference|different)\b|how (?:do|does|is)\b")
_BY_COLOUR_ALONE = re.compile(
    r"(?:is|was) (?:he |she )?(?:an? )?(?:black|white|brown|yellow)(?: (?:man|woman|person|guy|lady))?"
)
_ORIGIN = re.compile(r"\b(?:race|ethnic\w*|skin|origins?|national\w*)\b")
_WHO_IS = re.compile(r"who (?:is|are|was|were)(?: the)?")
_SHOWN = frozenset(("feet", "foot"))  # of the words that no picture is asked about


@dataclass(frozen=True)
class ModelTask:
    """What the model is asked. question: the operator's own, of "ask". places: of the candidates on the screen, from 1.

    instead: the model cannot talk freely, and this is what it was taught, in place of an answer.
    """

    kind: TaskKind
    places: tuple[int, ...]
    question: str = ""
    instead: bool = False


def about_selected(text: str) -> Pointing | None:
    """A question that speaks of "him" or "her": about the selected candidate. None for any other message."""
    said = plain_words(text)
    return (
        Pointing("ask", (0,), question=said) if asks_about_person(text) and not asks_identity(said) else None
    )


def declined(question: str) -> str | None:
    """The sentence for a question that is asked of no model, else None.

    >>> declined("is black")
    'I say nothing of skin colour or origin.'
    """
    if asks_identity(question) or _WHO_IS.fullmatch(question):
        return direct_answer_to(ParsedMessage(intent="identity"), SearchState(), GalleryFacts())
    spans = spans_of(tokenise(question))
    if _ORIGIN.search(question) or any(span.role == "origin" for span in spans):
        return NO_ORIGIN
    if _BY_COLOUR_ALONE.fullmatch(question):
        return NO_ORIGIN
    beyond = any(span.role == "unjudged" and span.text not in _SHOWN for span in spans)
    if beyond and not any(span.thing for span in spans):  # "is the name on the shirt ..." is there to be read
        return NOT_IN_A_PICTURE
    return None


def task_of(
    pointing: Pointing, text: str, places: tuple[int, ...], answer: str, *, free: bool
) -> ModelTask | None:
    """What the model is to be asked beside the answer from what was read; None where that is all there is to say.

    Args:
        pointing: "ask" or "compare". places: on the screen, from 1. answer: from what was read. free: the model answers
            questions in its own words.
    """
    if pointing.action == "compare":
        if free and not _COMPARE.match(plain_words(text)):
            return ModelTask("ask", places, text)
        return ModelTask("compare", places)
    if _DESCRIBE.fullmatch(pointing.question) and len(places) == 1:
        return ModelTask("describe", places)
    outside = any(span.role in ("word", "unjudged") for span in spans_of(tokenise(pointing.question)))
    if not outside and not is_unanswered(answer):
        return None
    if free:
        return ModelTask("ask", places, text)
    return ModelTask("describe" if len(places) == 1 else "compare", places, instead=True)
