"""What a checkpoint that talks reads in an operator's message: a form that it fills in, and the question for it.

The form has open phrases, in the operator's words; what they mean is the chat's own affair (app.chat.two_readings).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.model.prompts import Message, clean_text

MOST_MESSAGE = 600  # characters; a longer message is read by the chat alone
MOST_TOKENS = 320

Phrase = Annotated[str, Field(min_length=1, max_length=48)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SaidAttribute(_Form):
    """phrase: the operator's, with the colour before its thing ("dark red jacket"). said: that the person has it, has
    it not, or that what was said of it before no longer holds.
    """

    said: Literal["has", "has not", "forget"]
    phrase: Phrase


class SaidPerson(_Form):
    """who: the person sought, or one who was with them."""

    who: Literal["sought", "companion"]
    attributes: Annotated[tuple[SaidAttribute, ...], Field(max_length=8)]


class MessageReading(_Form):
    """language: ISO 639-1. does: describes a person or narrows the search; asks; orders something else; or just talks.

    filters: places and times in the operator's words ("camera 3", "after 14:00"). candidates: numbers on the screen.
    """

    language: Annotated[str, Field(pattern=r"^[a-z]{2}$")]
    does: Literal["describes", "asks", "orders", "talks"]
    persons: Annotated[tuple[SaidPerson, ...], Field(max_length=3)]
    filters: Annotated[tuple[Phrase, ...], Field(max_length=4)]
    candidates: Annotated[tuple[Annotated[int, Field(ge=1, le=99)], ...], Field(max_length=4)]


EXAMPLE_MESSAGE = "a woman in a red coat without a hat, her son wore a cap, only camera 3"
EXAMPLE_READING = MessageReading(
    language="en",
    does="describes",
    persons=(
        SaidPerson(
            who="sought",
            attributes=(
                SaidAttribute(said="has", phrase="woman"),
                SaidAttribute(said="has", phrase="red coat"),
                SaidAttribute(said="has not", phrase="hat"),
            ),
        ),
        SaidPerson(who="companion", attributes=(SaidAttribute(said="has", phrase="cap"),)),
    ),
    filters=("camera 3",),
    candidates=(),
)


def reading_schema() -> dict[str, Any]:
    """JSON schema of the form."""
    return MessageReading.model_json_schema()


def reading_prompt(message: str) -> list[Message]:
    """The question for one message, with an example; the answer is the form as JSON."""
    text = (
        "An operator looks for a person in pictures. Write down what the message says, as JSON: the person sought and "
        "any companion, each with what is said of them; filters of place and time; numbers of candidates. Copy the "
        "message's own words, in English where it is in another language, and add none.\n"
        f"Message: {EXAMPLE_MESSAGE}\n{EXAMPLE_READING.model_dump_json()}\n"
        f"Message: {clean_text(message, MOST_MESSAGE)}"
    )
    return [{"role": "user", "content": [{"type": "text", "text": text}]}]


def parse_reading(answer: str) -> MessageReading | None:
    """None for an answer that is not the form filled in, such as one that was cut."""
    try:
        return MessageReading.model_validate_json(answer)
    except ValidationError:
        return None
