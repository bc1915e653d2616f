"""What to ask next: the detail whose answer is expected to shrink the list of candidates most.

A question is worth the information that its answer gives on who of the candidates is the person sought: the mutual
information of answer and candidate, in bits (the expected fall of the entropy over the candidates), where each
candidate counts by its confidence and shows each value by its attribute probability. A detail that is read unsurely,
or whose values are taken for one another, tells little by that very sum. It is weighed by how likely a witness knows
the detail: who answers "I don't know" tells nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from app.chat.lexicon import spans_of
from app.chat.message_tokens import tokenise
from app.chat.search_state import SearchState
from app.model.vocabulary import COLOUR_OF, KINDS, Attribute, Kinds, is_absent, kinds_of, phrase, thing_of

# Bits, from which a question is asked: chosen on validation people, see docs/evaluation-synthetic.md.
WORTH_ASKING = 0.1
MOST_ANSWERS = 5  # that are offered, beside DONT_KNOW
LIKELY = 0.04  # share of the candidates from which a value is offered as an answer
DONT_KNOW = "I don't know"

# What witnesses remember best comes first; it breaks ties. The sentences are fixed: `asked_in` knows them
# again.
SENTENCES: dict[str, str] = {
    "upper_colour": "Do you know the colour of the top?",
    "gender": "Was it a woman or a man?",
    "bag": "Did they carry a bag, and which kind?",
    "lower_colour": "Do you know the colour of the trousers or skirt?",
    "hat": "Did they wear a hat or cap?",
    "upper": "What did they wear on top: jacket, coat, shirt?",
    "lower": "Trousers, jeans, shorts or a skirt?",
    "hair": "How was the hair: short, long, tied?",
    "hair_colour": "Do you know the colour of the hair?",
    "upper_pattern": "Was the top plain, striped, checked or dotted?",
    "glasses": "Did they wear glasses or sunglasses?",
    "umbrella": "Was there an umbrella?",
    "bag_colour": "Do you know the colour of the bag?",
    "shoes": "What shoes did they wear?",
    "shoe_colour": "Do you know the colour of the shoes?",
    "hat_colour": "Do you know the colour of the hat?",
    "beard": "Did they have a beard?",
    "age": "About how old were they?",
    "build": "Were they slim, average or heavy?",
}

# The share of witnesses who know a detail of somebody whom they saw in passing. Nobody measured these: they are set
# by hand, so that what sets a whole figure apart stands above its parts, and shoes and the colours of small things
# below. The simulated operator of `evaluate --dialogue` knows as much.
WITNESS_KNOWS: dict[str, float] = {
    "gender": 0.95,
    "upper_colour": 0.8,
    "umbrella": 0.8,
    "age": 0.75,
    "upper": 0.75,
    "hat": 0.75,
    "bag": 0.7,
    "lower": 0.7,
    "beard": 0.7,
    "hair": 0.65,
    "lower_colour": 0.65,
    "build": 0.6,
    "hair_colour": 0.6,
    "glasses": 0.6,
    "upper_pattern": 0.6,
    "hat_colour": 0.5,
    "bag_colour": 0.5,
    "shoes": 0.35,
    "shoe_colour": 0.3,
}
OTHERS_KNOW = 0.5  # of a kind that is not in the table

_NOT_KNOWN = (
    r"(?:(?:sorry|well|no|hmm?|honestly|actually)[ ,]+)*(?:(?:i|we|they|she|he|the witness) )?"
    r"(?:really |honestly |just )?(?:(?:do|does|did|can|could|would) not (?:really )?"
    r"(?:know|remember|recall|say|tell|see|notice)|(?:am |was |are |is )?not (?:sure|certain)|unsure|nobody knows|"
    r"(?:have |has )?no (?:idea|clue))"
)
_DECLINED = re.compile(
    rf"(?:{_NOT_KNOWN}|(?:i )?dunno|idk|unknown|pass|skip)(?: (?:it|that|them|this|anymore|any more|sorry))*"
)
_DECLINED_THING = re.compile(
    rf"{_NOT_KNOWN} (?P<of>(?:what|which|whether|if|how|about|of|the|his|her|their)\b[^,;.:]*)"
)
_GOES_ON = re.compile(r"\b(?:but|though|however|only|except)\b")

# kind -> value said -> another value that is seen -> how far it counts as the one said, 0..1
Confusion = Mapping[str, Mapping[str, Mapping[str, float]]]


@dataclass(frozen=True)
class Looks:
    """What n candidates show. weights: float64 (n,), above 0, how likely each is the one sought, in any unit.
    probs: kind -> float (values, n), each column adding up to 1. confusion: as measured, empty where it was not.
    shown: kinds that the pictures searched with show already. kinds: that the model reads, with their values.
    """

    weights: np.ndarray
    probs: Mapping[str, np.ndarray]
    confusion: Confusion = field(default_factory=dict)
    shown: frozenset[str] = frozenset()
    kinds: Kinds = field(default_factory=lambda: KINDS)


@dataclass(frozen=True)
class Question:
    """kind: what it asks; text: the sentence; answers: what may be said to it, the likeliest first and "I don't know"
    last, each a message that the chat understands; bits: what it is expected to tell.
    """

    kind: str
    text: str
    answers: tuple[str, ...]
    bits: float


def open_questions(state: SearchState, looks: Looks, already: Collection[str] = ()) -> tuple[Question, ...]:
    """A question on each kind that is not known yet, in the order of SENTENCES, with what each is worth.

    Never on a kind that the words name or rule out, that the pictures show, or of `already`; nor on the colour of a
    thing that is not known to be there.
    """
    weights = np.asarray(looks.weights, np.float64)
    if not len(weights):
        return ()
    weights = weights / weights.sum()
    questions = []
    for kind, sentence in SENTENCES.items():
        if kind in already or kind in looks.shown or not _open(kind, state, looks, weights):
            continue
        values = looks.kinds[kind]
        left = np.array([Attribute(kind, value) not in state.unwanted for value in values])
        if left.sum() < 2:
            continue
        probs = np.asarray(looks.probs[kind], np.float64) * left[:, None]
        probs = (probs + 1e-9 * left[:, None]) / (probs.sum(0) + 1e-9 * left.sum())
        told = information(probs, weights, confusion_channel(values, looks.confusion.get(kind, {})))
        bits = WITNESS_KNOWS.get(kind, OTHERS_KNOW) * told
        questions.append(Question(kind, sentence, _answers(kind, values, probs @ weights), bits))
    return tuple(questions)


def most_telling(questions: Sequence[Question], worth: float = WORTH_ASKING) -> Question | None:
    """The one that tells most, the first of equals; None where none is worth an answer. worth: bits.

    Where all likely candidates show one value, nobody is asked: that is a guess to be confirmed, and no question.
    """
    open_ = [question for question in questions if len(question.answers) > 2]  # DONT_KNOW is one of them
    best = max(open_, key=lambda question: question.bits, default=None)
    return best if best is not None and best.bits >= worth else None


def information(probs: np.ndarray, weights: np.ndarray, channel: np.ndarray | None = None) -> float:
    """Bits, 0 or more: the mutual information of the candidate and the value that is said.

    Args:
        probs: float (values, n), each column adding up to 1. weights: float (n,), adding up to 1.
        channel: float (said, values), each column adding up to 1: what is said of each value; None says it as it is.
    """
    said = probs if channel is None else channel @ probs
    return max(0.0, float(_entropy(said @ weights) - _entropy(said) @ weights))


def confusion_channel(values: Sequence[str], measured: Mapping[str, Mapping[str, float]]) -> np.ndarray:
    """float64 (values said, values seen), each column adding up to 1: how a value of a kind that is seen is called."""
    channel = np.eye(len(values))
    for said, near in measured.items():
        for seen, share in near.items():
            channel[values.index(said), values.index(seen)] = share
    return channel / channel.sum(0)


def asked_in(reply: str) -> str | None:
    """The kind that a reply asks about, by its sentence."""
    return next((kind for kind, sentence in SENTENCES.items() if sentence in reply), None)


def only_declines(text: str) -> bool:
    """True for "I don't know", "no idea", "dunno": an answer that says nothing else."""
    return _DECLINED.fullmatch(_plain(text)) is not None


def declined_kinds(text: str, asked: str | None) -> tuple[str, ...]:
    """The kinds that a message says are not known: those that it names ("I don't know what shoes"), or the one that
    was asked about.
    """
    if only_declines(text):
        return (asked,) if asked is not None else ()
    match = _DECLINED_THING.fullmatch(_plain(text))
    if match is None or _GOES_ON.search(match["of"]):
        return ()
    things = dict.fromkeys(span.thing for span in spans_of(tokenise(match["of"])) if span.thing is not None)
    if not things:
        return (asked,) if asked is not None else ()
    if re.search(r"\bcolou?rs?\b", match["of"]):
        return tuple(COLOUR_OF.get(thing, thing) for thing in things)
    return tuple(kind for thing in things for kind in kinds_of(thing))


def _plain(text: str) -> str:
    """Lower case, "not" written out, without the punctuation at its end."""
    words = text.lower().replace("’", "'").replace("can't", "can not").replace("cannot", "can not")
    words = words.replace("n't", " not").replace("'m ", " am ").replace("'re ", " are ")
    return " ".join(words.split()).strip(" .!?…")


def _open(kind: str, state: SearchState, looks: Looks, weights: np.ndarray) -> bool:
    if state.value(kind) is not None or is_absent(kind, state.unwanted):
        return False
    if kind in ("hat_colour", "bag_colour") and state.value(thing_of(kind)) in (None, "none"):
        return False
    if kind == "hair_colour" and state.value("hair") == "bald":
        return False
    if kind in ("lower", "lower_colour") and state.value("upper") == "dress":
        return False
    if kind == "beard":  # a beard that is read in a woman is a mistake
        women = float(looks.probs["gender"][looks.kinds["gender"].index("woman")] @ weights)
        return state.value("gender") == "man" or (state.value("gender") is None and women < 0.5)
    return True


def in_words(kind: str, value: str) -> str:
    """The message that answers a question about a kind with this value: "no hat", "long hair"; a colour stands alone,
    for "red hat" would make a cap a hat.
    """
    return value if kind in COLOUR_OF.values() else phrase(Attribute(kind, value))


def _answers(kind: str, values: Sequence[str], shares: np.ndarray) -> tuple[str, ...]:
    """shares: float (values,), of the candidates that show each value."""
    ranked = sorted(range(len(shares)), key=lambda place: (-shares[place], place))
    likely = [values[place] for place in ranked[:MOST_ANSWERS] if shares[place] >= LIKELY]
    return (*(in_words(kind, value) for value in likely), DONT_KNOW)


def _entropy(shares: np.ndarray) -> np.ndarray:
    """Bits, () or (n,): of shares (values,), or of each column of (values, n), that add up to 1."""
    bits = shares * np.log2(np.where(shares > 0, shares, 1.0))
    return np.asarray(-bits.sum(0))
