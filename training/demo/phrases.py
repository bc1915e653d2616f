"""Where a description has said a thing with all that it says of it, and of which candidates that is true.

Whoever learns a description from lists alone is told of a candidate that something is wrong, and not what. Behind the
picture, the last word of "a long red coat" has seen the picture and the words: there it can be told whether that much
is true.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from app.model.prompts import Message
from app.model.vocabulary import Attribute, absence_words, kinds_of, noun_of, phrase, thing_of
from training.decoder import on_device
from training.packed import balanced_loss
from training.synthetic.captions import words_for

_PERSON = ("gender", "age", "build")
_PERSON_NOUNS = ("person", "little boy", "little girl", "child")


@dataclass(frozen=True)
class Phrase:
    """end: the character behind its last one in a text. said: kind -> value. refused: it says that this is not so."""

    end: int
    said: Mapping[str, str]
    refused: bool = False


def phrases_of(text: str, said: Mapping[str, str], refused: Attribute | None, version: int) -> list[Phrase]:
    """The things that a description says, as far as their nouns are found in it.

    said: kind -> value, all that it says of the person; refused: what it rules out at its end. version: of the
    vocabulary.
    """
    text = text.rstrip(" .")
    stated = text.partition(", not ")[0] if refused else text
    found: list[Phrase] = []
    for thing in dict.fromkeys(_thing(kind) for kind in said):
        about = {kind: said[kind] for kind in _said_with(thing) if kind in said}
        if about.get("build") == "average":  # said behind the person
            del about["build"]
        if about and (end := _end(stated, _nouns(thing, about, version))):
            found.append(Phrase(end, about))
    if refused:
        found.append(Phrase(len(text), {refused.kind: refused.value}, refused=True))
    return found


def _thing(kind: str) -> str:
    """The thing that is said together with a kind; what is printed on a top is said apart from it."""
    return "gender" if kind in _PERSON else kind if kind == "upper_print" else thing_of(kind)


def _said_with(thing: str) -> tuple[str, ...]:
    """The kinds that one phrase says."""
    if thing == "gender":
        return _PERSON
    return (thing,) if thing == "upper_print" else tuple(k for k in kinds_of(thing) if k != "upper_print")


def _nouns(thing: str, about: Mapping[str, str], version: int) -> Iterable[str]:
    """How the thing may be called, in the product's words and in those of captions."""
    if thing == "gender":
        values = [(kind, about[kind]) for kind in ("gender", "age") if kind in about]
        return [*_PERSON_NOUNS, *(word for kind, value in values for word in words_for(kind, value, version))]
    if thing not in about:
        return [noun_of(thing)]
    value = about[thing]
    if value == "none":
        return [absence_words(thing)]
    own = phrase(Attribute(thing, value)).removeprefix("pushing a ")
    return [own, value, noun_of(thing), *words_for(thing, value, version)]


def _end(text: str, nouns: Iterable[str]) -> int:
    """Behind the last of the nouns in a text, as whole words; 0 where there is none."""
    found = [
        match.end() for noun in nouns for match in re.finditer(rf"(?<![\w-]){re.escape(noun)}(?![\w-])", text)
    ]
    return max(found, default=0)


def tokens_from_end(
    processor: Any, messages: list[Message], text: str, phrases: Sequence[Phrase]
) -> list[int]:
    """The last token of each phrase of a text in a prompt that has it, counted from the prompt's last as -1, so that it
    holds whatever pictures stand before it."""
    if not phrases:
        return []
    prompt = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    start = prompt.rindex(text)
    coded = processor.tokenizer(prompt, return_offsets_mapping=True)["offset_mapping"]
    last = {place: number for number, (_, place) in enumerate(coded)}
    return [last[start + one.end] - len(coded) for one in phrases]


@dataclass(frozen=True)
class PhraseArrays:
    """The phrases of a list's queries. queries int64 (U,): whose. ends int64 (U,): the token, counted from the last as
    -1. true int8 (U, M): of each candidate, 1 or 0; -1 where it does not show."""

    queries: np.ndarray
    ends: np.ndarray
    true: np.ndarray

    @classmethod
    def of(
        cls,
        phrases: Sequence[Sequence[Phrase]],
        ends: Sequence[Sequence[int]],
        shown: np.ndarray,
        kinds: Mapping[str, Sequence[str]],
    ) -> PhraseArrays:
        """phrases, ends: of each query. shown int8 (M, kinds): what the candidates show, as Pool.visible."""
        flat = [one for some in phrases for one in some]
        return cls(
            np.array([query for query, some in enumerate(phrases) for _ in some], np.int64),
            np.array([end for some in ends for end in some], np.int64),
            np.stack([_true(one, shown, kinds) for one in flat])
            if flat
            else np.zeros((0, len(shown)), np.int8),
        )

    @classmethod
    def side_by_side(cls, several: Sequence[PhraseArrays], queries: Sequence[int]) -> PhraseArrays:
        """queries: how many each list has."""
        firsts = np.cumsum([0, *queries[:-1]])
        return cls(
            np.concatenate([one.queries + first for one, first in zip(several, firsts, strict=True)]),
            np.concatenate([one.ends for one in several]),
            np.concatenate([one.true for one in several]),
        )


def _true(one: Phrase, shown: np.ndarray, kinds: Mapping[str, Sequence[str]]) -> np.ndarray:
    names = list(kinds)
    own = shown[:, [names.index(kind) for kind in one.said]]
    said = np.array([kinds[kind].index(value) for kind, value in one.said.items()])
    wrong, hidden = ((own >= 0) & (own != said)).any(1), (own < 0).any(1)
    is_so = np.where(wrong, 0, np.where(hidden, -1, 1))
    return np.where(is_so < 0, -1, 1 - is_so if one.refused else is_so).astype(np.int8)


def phrase_loss(odds: Tensor, true: np.ndarray) -> Tensor:
    """Of logit(yes) - logit(no), (U, M): what is true weighs as much as what is not."""
    return balanced_loss(odds, *(on_device(true == one, odds.device) for one in (1, 0)))
