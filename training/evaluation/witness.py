"""The simulated operator of a dialogue: a witness who saw one crop of a person, and what they can tell of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.chat.questions import DONT_KNOW, OTHERS_KNOW, WITNESS_KNOWS, in_words
from app.model.vocabulary import KINDS, Kinds
from training.evaluation.work_folder import HarnessError
from training.synthetic.captions import fragment

FIRST_TOLD = 2


@dataclass(frozen=True)
class Operator:
    """How reliable the simulated operator is. wrong: the share of what they believe that is wrong, 0..1."""

    wrong: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.wrong <= 1:
            raise HarnessError(f"the share of wrong answers is 0..1, not {self.wrong}")


@dataclass(frozen=True)
class Witness:
    """first: what is told unasked, and is right. believes: kind -> value, all that they can answer; of any other kind
    they say that they do not know.
    """

    first: Mapping[str, str]
    believes: Mapping[str, str]

    def answer(self, kind: str) -> str:
        """The message that answers a question about a kind."""
        return in_words(kind, self.believes[kind]) if kind in self.believes else DONT_KNOW


def witness_of(
    visible: Mapping[str, str], operator: Operator, rng: np.random.Generator, of: Kinds = KINDS
) -> Witness:
    """A witness of a crop that shows this. What they know, and what they are wrong about, is settled before anything is
    asked, so that it is the same whoever asks, and in whatever order.

    Args:
        visible: kind -> value, of what the crop shows; nobody knows more.
        of: the kinds of its world, with their values.
    """
    believes = {}
    for kind, values in of.items():
        knows, errs, other = rng.random(3)
        truth = visible.get(kind)
        if truth is None or knows >= WITNESS_KNOWS.get(kind, OTHERS_KNOW):
            continue
        others = [value for value in values if value != truth]
        believes[kind] = others[int(other * len(others))] if errs < operator.wrong else truth
    right = {kind: value for kind, value in believes.items() if visible[kind] == value}
    first = fragment(right or {"gender": visible["gender"]}, rng, FIRST_TOLD)
    return Witness(first, believes)
