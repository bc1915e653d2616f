"""What to ask next: the one detail that would best tell the first candidates apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import log

from app.chat.search_state import SearchState, ShownCandidate
from app.model.vocabulary import absence_words, and_list, is_absent, thing_of

NEAR = 0.2  # of probability: candidates this close to the first are not yet told apart
FEWEST = 3  # candidates near each other before a question is worth asking
_LARGEST_SHARE = 0.8  # of a value among those read: a larger one tells nobody apart

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


@dataclass(frozen=True)
class Question:
    """kind: what it asks; values: what the first candidates show, most frequent first; text: the sentence."""

    kind: str
    values: tuple[str, ...]
    text: str


def next_question(
    state: SearchState, shown: Sequence[ShownCandidate], already: Collection[str] = ()
) -> Question | None:
    """The question whose answer would best tell apart the candidates near the first one, or None where they are
    apart already or nothing was read in them. Never a kind that is known, nor one of `already`.
    """
    chances = [one.candidate.probability for one in shown]
    best = max((chance for chance in chances if chance is not None), default=0.0)
    contenders = [  # without a confidence, any of them
        one
        for one, chance in zip(shown, chances, strict=True)
        if (chance is None or best - chance <= NEAR) and one.sure
    ]
    if len(contenders) < FEWEST:
        return None
    chosen: tuple[float, Question] | None = None
    for kind, sentence in SENTENCES.items():
        if kind in already or not _open(kind, state):
            continue
        if kind == "beard" and _are_women(state, contenders):
            continue
        values = Counter(read.value for read in (one.read(kind) for one in contenders) if read is not None)
        entropy = _entropy(values, len(contenders))
        if entropy > (chosen[0] if chosen else 0.0) + 1e-9:
            names = tuple(value for value, _ in sorted(values.items(), key=lambda row: (-row[1], row[0])))
            chosen = (
                entropy,
                Question(kind, names, f"{sentence} The first candidates show {_listed(kind, names)}."),
            )
    return chosen[1] if chosen else None


def asked_in(reply: str) -> str | None:
    """The kind that a reply asks about, by its sentence."""
    return next((kind for kind, sentence in SENTENCES.items() if sentence in reply), None)


def _open(kind: str, state: SearchState) -> bool:
    if state.value(kind) is not None or is_absent(kind, state.unwanted):
        return False
    if kind in ("hat_colour", "bag_colour"):  # only once the thing is known to be there
        return state.value(thing_of(kind)) is not None
    return True


def _are_women(state: SearchState, contenders: Sequence[ShownCandidate]) -> bool:
    """Whether it is said, or read in most of them: a beard that is read all the same is a mistake."""
    read = [one.read("gender") for one in contenders]
    women = sum(gender is not None and gender.value == "woman" for gender in read)
    return state.value("gender") == "woman" or 2 * women > len(contenders)


def _entropy(values: Counter[str], of: int) -> float:
    """In nats; 0 where too few were read, or one value has nearly all."""
    read = sum(values.values())
    if read < FEWEST or read * 2 < of or len(values) < 2 or max(values.values()) > _LARGEST_SHARE * read:
        return 0.0
    return -sum(count / read * log(count / read) for count in values.values())


def _listed(kind: str, values: Sequence[str]) -> str:
    return and_list([absence_words(kind) if value == "none" else value for value in values[:4]])
