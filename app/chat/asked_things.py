"""What a question asks of candidates, and whether one of them shows it: no yes or no to words that nobody reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.chat.lexicon import Span, spans_of
from app.chat.message_tokens import tokenise
from app.chat.search_state import GalleryFacts, ParsedMessage, SearchState, ShownCandidate
from app.chat.understanding import understand
from app.model.known import known_value
from app.model.vocabulary import ALL_KINDS, Attribute, is_absent, phrase, thing_of
from gallery_store.crops import Filters

# Said by its plain noun, a thing may be any of its kind: a beanie is a hat, jeans are trousers.
_ANY_OF_KIND = {
    Attribute("hat", "hat"): ("hat", "hats"),
    Attribute("shoes", "shoes"): ("shoes", "footwear"),
    Attribute("glasses", "glasses"): ("glasses",),
}
_TROUSERS, _JEANS = Attribute("lower", "trousers"), Attribute("lower", "jeans")
_KIN = re.compile(
    r"\b(?:his|her|hers|their)(?: own)? (?:mother|mum|mom|father|dad|wife|husband|son|daughter|child|children|kids?|"
    r"baby|friends?|brother|sister|girlfriend|boyfriend|grandma|grandpa|granny)\b"
)
_COMPARED = re.compile(r"\b(?:(?:more|less) )?\w+ than\b|\bas \w+ as\b|\b(?:\w{3,}(?<!for)est|most|least)\b")
_NOT_COMPARED = frozenset({"vest", "chest", "west", "rest", "guest", "latest", "nearest"})
_SHADE_AFTER = re.compile(r"^(is|are|was|were) ((?:\w+ )?\w+) (dark|light|pale)(?=$| or )")
_LISTED = re.compile(r"(\w+), (?=(?:(?:an? )?\w+, )*(?:an? )?\w+ or\b)")
_MOST_ORS = 4
_OF_PERSON = frozenset({"age", "build", "gender"})
_STARTS = frozenset(("a", "an", "any", "some", "no"))
_VERBS = frozenset(
    (
        "is",
        "are",
        "was",
        "were",
        "has",
        "have",
        "had",
        "wear",
        "wears",
        "wearing",
        "carry",
        "carrying",
        "with",
    )
)


@dataclass(frozen=True)
class Asked:
    """choices: what is asked, or each thing of several that would do. beyond: words that no model reads.

    plain: things that were said by their plain noun, so that any of their kind will do.
    """

    choices: tuple[ParsedMessage, ...]
    beyond: tuple[str, ...]
    plain: frozenset[Attribute]

    @property
    def states(self) -> bool:
        """Whether anything is asked that can be read in a picture."""
        return any(self.kinds(choice) for choice in self.choices)

    @property
    def filters(self) -> Filters:
        return self.choices[0].filters

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be said of how cameras and times were understood."""
        own = ("free words", "anyway", "at a time", "cannot be judged", "You say both")
        notes = [note for choice in self.choices for note in choice.notes]
        return tuple(dict.fromkeys(note for note in notes if not any(words in note for words in own)))

    @staticmethod
    def kinds(choice: ParsedMessage) -> list[str]:
        """The kinds of attributes that one choice asks for."""
        stated = [attribute.kind for attribute in (*choice.wanted, *choice.unwanted)]
        return list(dict.fromkeys([*stated, *_freed(choice)]))

    def seen(self, shown: ShownCandidate) -> list[Attribute]:
        """What is read in a candidate of all that is asked; that a thing is absent, instead of its colour."""
        found: dict[Attribute, None] = {}
        for kind in (kind for choice in self.choices for kind in self.kinds(choice)):
            thing = shown.read(thing_of(kind))
            read = thing if thing is not None and thing.value == "none" else shown.read(kind)
            if read is not None:
                found[read] = None
        return list(found)

    def fits(self, shown: ShownCandidate) -> bool | None:
        """Whether a candidate shows what is asked, or one of the choices; None where the model does not make it out."""
        answers = [self._fits(choice, shown) for choice in self.choices]
        return True if True in answers else None if None in answers else False

    def _fits(self, choice: ParsedMessage, shown: ShownCandidate) -> bool | None:
        answers = [self._shows(attribute, shown) for attribute in choice.wanted]
        answers += [_there(kind, shown) for kind in _freed(choice)]
        for kind in dict.fromkeys(attribute.kind for attribute in choice.unwanted):
            values = [attribute for attribute in choice.unwanted if attribute.kind == kind]
            seen = shown.read(kind)
            if seen is None or not any(attribute.value in shown.kinds.get(kind, ()) for attribute in values):
                answers.append(None)
            else:
                answers.append(seen.value == "none" if is_absent(kind, values) else seen not in values)
        if False in answers:
            return False
        return None if None in answers or not answers else True

    def _shows(self, attribute: Attribute, shown: ShownCandidate) -> bool | None:
        thing = shown.read(thing_of(attribute.kind))
        if thing is not None and thing.value == "none":
            return attribute == thing
        seen = shown.read(attribute.kind)
        if seen is None or seen == attribute:
            return None if seen is None else True
        if attribute in self.plain or (attribute, seen) == (_TROUSERS, _JEANS):
            return True
        if attribute.value in shown.kinds.get(attribute.kind, ()):
            return False
        older = known_value(attribute, shown.kinds)
        return False if older is not None and older != seen else None

    def not_told_apart(self, shown: ShownCandidate) -> str:
        """ "child from young": what the model cannot tell from what it reads; "" where there is no such thing."""
        for attribute in (one for choice in self.choices for one in choice.wanted):
            known, seen = known_value(attribute, shown.kinds), shown.read(attribute.kind)
            if known is not None and known != attribute and seen == known:
                return f"“{phrase(attribute)}” from “{phrase(seen)}”"
        return ""


def read_asked(question: str, facts: GalleryFacts) -> Asked:
    """What a question asks, in lower case and as about "person" or without a subject; "or" parts its choices."""
    said = _SHADE_AFTER.sub(r"\1 a \3 \2", question)
    parts = choices_in(said)
    spans = spans_of(tokenise(said))
    beyond = [match[0] for match in _KIN.finditer(said)]
    beyond += [match[0] for match in _COMPARED.finditer(said) if match[0] not in _NOT_COMPARED]
    choices = []
    for part in parts:
        choice = understand(part, SearchState(), facts)
        misread = choice.wanted if is_of_kin(said) else _of_no_thing(spans, choice)
        beyond += [attribute.value for attribute in misread if not is_of_kin(said)]
        beyond += [*choice.unused, *(one.in_words for one in choice.companions)]
        beyond += ["same"] if choice.refers_back else []
        choices.append(replace(choice, wanted=tuple(one for one in choice.wanted if one not in misread)))
    words = set(said.split())
    plain = {attribute for attribute, nouns in _ANY_OF_KIND.items() if words & set(nouns)}
    once = [
        word for word in dict.fromkeys(beyond) if not any(word != other and word in other for other in beyond)
    ]
    return Asked(tuple(choices), tuple(once), frozenset(plain))


def is_of_kin(question: str) -> bool:
    """Whether a question is about somebody else: "is his mother there"."""
    return _KIN.search(question) is not None


def choices_in(question: str) -> list[str]:
    """A question with "or" once for each thing that would do.

    >>> choices_in("is wearing a red or black coat")
    ['is wearing a red coat', 'is wearing a black coat']
    """
    words = _LISTED.sub(r"\1 or ", question).split()
    if "or" not in words[1:-1] or words.count("or") > _MOST_ORS:
        return [question]
    at = words.index("or", 1)
    begin, end = at - 1, at + 2
    if words[at + 1] in _STARTS | _VERBS:  # "has a red hat or a cap", "has a hat or is bald"
        alike = _STARTS if words[at + 1] in _STARTS else _VERBS
        heads = [place for place in range(at) if words[place] in alike]
        begin = heads[-1] if heads else begin
        following = [
            place for place in range(at + 2, len(words)) if words[place] in ("or", "on", "and", "with")
        ]
        end = following[0] if following else len(words)
    elif (colour := _role(words[at + 1])) == "colour" and _role(words[at - 1]) not in ("colour", "shade"):
        end = min(at + 3, len(words))  # "glasses or red shoes"
        begin = at - 2 if at >= 2 and _role(words[at - 2]) == colour else begin
    first, second = [*words[:at], *words[end:]], [*words[:begin], *words[at + 1 :]]
    if words[at + 1] in _STARTS and _role(words[at - 1]) == "colour":  # "a red or a blue coat"
        first[at:at] = words[at + 3 : end]
    if second[-1] == "one":  # "a red coat or a blue one"
        second[-1] = words[at - 1]
    choices = [*choices_in(" ".join(first)), *choices_in(" ".join(second))]
    return list(dict.fromkeys(choices))


def _role(word: str) -> str:
    spans = spans_of(tokenise(word))
    return spans[0].role if spans else ""


def _freed(choice: ParsedMessage) -> list[str]:
    """Things that are asked for, whichever: "a bag"."""
    stated = {thing_of(attribute.kind) for attribute in (*choice.wanted, *choice.unwanted)}
    return [kind for kind in choice.freed if "none" in ALL_KINDS.get(kind, ()) and kind not in stated]


def _there(kind: str, shown: ShownCandidate) -> bool | None:
    seen = shown.read(kind)
    return None if seen is None else seen.value != "none"


def _of_no_thing(spans: Sequence[Span], choice: ParsedMessage) -> tuple[Attribute, ...]:
    """Heavy, of "is bag heavy": what is said of persons, where a thing is asked about."""
    first = next((span for span in spans if span.role not in ("function", "stop")), None)
    if first is None or first.thing is None or first not in spans[1:3]:
        return ()
    return tuple(attribute for attribute in choice.wanted if attribute.kind in _OF_PERSON)
