"""Answers of a word or two to the chat's own question: "short" of the hair, "plain" of the top, "50" of the age.

Such a word means nothing alone, or something else; with the noun that was asked about it is a description as any other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from app.chat.message_tokens import Token
from app.chat.search_state import ParsedMessage
from app.chat.words import listed
from app.model.vocabulary import is_absent, kinds_of, noun_of, thing_of

MOST_WORDS = 7
MOST_TRIED = 3  # of them
_SAYS_NOTHING = frozenset(
    listed(
        "i it is was were they he she a an the think guess believe maybe yes no not please so or and sure me"
    )
)
_HEDGES = re.compile(
    r"\b(?:i (?:think|believe|guess|suppose)(?: so)?|probably|maybe|definitely|really|"
    r"as far as i (?:know|saw|remember))\b"
)
_DENIED = re.compile(
    r"\bi (?:do not|did not) (?:think|believe|suppose) so\b|\bi (?:think|believe|guess) not\b"
)
_NOUNS: dict[str, tuple[str, ...]] = {"age": ("years", "old"), "build": ("build",)}


def in_full(tokens: Sequence[Token], asked: str | None) -> Iterator[tuple[Token, ...]]:
    """The message with the noun that was asked about after each of its words, the last word first; nothing for a
    message of more words than an answer has.
    """
    if asked is None or sum(not token.is_stop for token in tokens) > MOST_WORDS:
        return
    nouns = _NOUNS.get(asked, (noun_of(thing_of(asked)),))
    added = tuple(Token(noun, noun, "word") for noun in nouns)
    places = [at for at, token in enumerate(tokens) if _may_answer(token, nouns)]
    for position in places[: -MOST_TRIED - 1 : -1]:
        yield (*tokens[: position + 1], *added, *tokens[position + 1 :])


def _may_answer(token: Token, nouns: Sequence[str]) -> bool:
    text = token.text
    return (text.isdigit() or text.isalpha()) and text not in nouns and text not in _SAYS_NOTHING


def without_hedges(plain_text: str) -> str:
    """ "None, I think", "no, I don't think so": the yes or no alone."""
    return " ".join(_HEDGES.sub(" ", _DENIED.sub("no", plain_text)).split())


def answers(message: ParsedMessage, asked: str) -> bool:
    """Whether a message that was read in full answers the question by more than the noun put in: "let me think" says
    nothing of a hat.
    """
    thing = thing_of(asked)
    said = message.wanted if is_absent(thing, message.unwanted) else (*message.wanted, *message.unwanted)
    return not message.unused and any(
        attribute.kind in kinds_of(thing) and attribute.value != noun_of(thing) for attribute in said
    )
