"""A message read twice: by the chat, and by a checkpoint that filled in a form. Where the two come to another search.

The checkpoint's phrases are read by the same vocabulary as any message, so that it can ask for nothing that an operator
could not; a phrase that an English message does not hold is an invention, and nothing of such a form is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.chat.chips import chips_of
from app.chat.languages import other_language
from app.chat.message_tokens import tokenise
from app.chat.search_state import GalleryFacts, ParsedMessage, SearchState, apply
from app.chat.understanding import understand
from app.model.message_reading import MessageReading
from app.model.vocabulary import and_list

_WORD = re.compile(r"[^\W_]+")
_NOTHING = "nothing"
_NO_SEARCH = {
    "asks": "a question",
    "orders": "an order",
    "talks": "small talk",
    "describes": "no description",
}
# Said differently by whoever repeats a message in short.
_FREE = frozenset(
    ("a", "an", "the", "with", "and", "in", "of", "no", "not", "without", "only", "at", "on", "is")
)


@dataclass(frozen=True)
class OtherReading:
    """What the checkpoint reads where the chat reads something else. own, other: what is looked for then, in words."""

    understood: ParsedMessage
    own: str
    other: str

    def __str__(self) -> str:
        """Markdown for the operator."""
        return (
            f"**Read in two ways.** I look for: {self.own}. The model reads: {self.other}. Press **Use the model's "
            "reading** if it is right; else go on."
        )


def invents(reading: MessageReading, message: str) -> bool:
    """Whether an English message does not hold the words of its reading; one in another language may be translated."""
    if other_language([token.text for token in tokenise(message)]) is not None:
        return False
    said = set(_WORD.findall(message.casefold())) | _FREE
    phrases = [one.phrase for person in reading.persons for one in person.attributes] + [*reading.filters]
    return any(word not in said for phrase in phrases for word in _WORD.findall(phrase.casefold()))


def other_reading(
    reading: MessageReading, before: SearchState, after: SearchState, facts: GalleryFacts
) -> OtherReading | None:
    """The checkpoint's reading, where it comes to another search; None where both come to the same.

    Args:
        before, after: what was known before the message, and is by the chat's own reading.
    """
    understood = _understood(reading, before, facts)
    other = apply(before, understood)
    if _key(other) == _key(after):
        return None
    searches = understood.intent == "search"
    return OtherReading(understood, _in_words(after), _in_words(other) if searches else _no_search(reading))


def _understood(reading: MessageReading, before: SearchState, facts: GalleryFacts) -> ParsedMessage:
    nothing = ParsedMessage(intent="off-topic", filters=before.filters)
    if reading.does != "describes":
        return nothing
    sentence = sentence_of(reading)
    understood = understand(sentence, before, facts) if sentence else nothing
    return understood if understood.intent == "search" else nothing


def _no_search(reading: MessageReading) -> str:
    """What a message is that changes nothing of the search."""
    about = [str(number) for number in reading.candidates]
    of_whom = f" about candidate{'s' if len(about) > 1 else ''} {and_list(about)}" if about else ""
    return f"{_NO_SEARCH[reading.does]}{of_whom}, which changes nothing"


def sentence_of(reading: MessageReading) -> str:
    """What the form says of the person sought, as a plain message. What a companion wears is left out.

    >>> from app.model.message_reading import EXAMPLE_READING
    >>> sentence_of(EXAMPLE_READING)
    'woman, red coat, camera 3, without hat'
    """
    of_them = [one for person in reading.persons if person.who == "sought" for one in person.attributes]
    said = {how: [one.phrase for one in of_them if one.said == how] for how in ("has", "has not", "forget")}
    parts = [*said["has"], *reading.filters]
    parts += [f"without {phrase}" for phrase in said["has not"]]
    parts += [f"forget the {phrase}" for phrase in said["forget"]]
    return ", ".join(parts)


def _key(state: SearchState) -> tuple[object, ...]:
    """What of a state decides about its search; the order in which it was said does not."""
    words = {word for phrase in state.text for word in _WORD.findall(phrase.casefold())} - _FREE
    return set(state.wanted), set(state.unwanted), words, state.filters, state.other_clothes


def _in_words(state: SearchState) -> str:
    return ", ".join(chip.label for chip in chips_of(state)) or _NOTHING
