"""The attributes of a person that ChatReID can name, and the words that people use for them.

This is the one list: the drawn people are described by it, the model is taught and asked by it, and the operator's
words are read by it. It has versions: a checkpoint knows the version that it was taught, which its manifest names; each
version has all the values of those before it. Height and skin are left out on purpose: the first cannot be seen in a
crop, and searching by the second is not what this system is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from app.model.vocabulary_words import (
    COLOUR_WORDS as COLOUR_WORDS,
)
from app.model.vocabulary_words import (
    COLOURS,
    GROUPS_1,
    GROUPS_2,
    WORDS_1,
    WORDS_2,
    WORDS_FOR_TWO,
)

Kinds = Mapping[str, tuple[str, ...]]  # kind of attribute -> its values

_KINDS_1: Kinds = {
    "gender": ("woman", "man"),
    "age": ("young", "middle-aged", "elderly"),
    "build": ("slim", "average", "heavy"),
    "hair": ("short", "long", "ponytail", "bun", "curly", "bald"),
    "hair_colour": ("black", "brown", "blond", "red", "grey"),
    "beard": ("none", "beard"),
    "upper": ("t-shirt", "shirt", "sweater", "hoodie", "jacket", "coat", "dress"),
    "upper_colour": COLOURS,
    "upper_pattern": ("plain", "striped", "checked", "dotted"),
    "lower": ("trousers", "jeans", "shorts", "skirt"),
    "lower_colour": COLOURS,
    "shoes": ("sneakers", "boots", "shoes"),
    "shoe_colour": ("black", "white", "brown", "red", "blue"),
    "hat": ("none", "cap", "beanie", "hat"),
    "hat_colour": COLOURS,
    "bag": ("none", "backpack", "handbag", "shoulder bag", "suitcase"),
    "bag_colour": COLOURS,
    "glasses": ("none", "glasses", "sunglasses"),
    "umbrella": ("none", "umbrella"),
}

# What version 2 adds: values of the kinds above, and kinds.
_NEW_VALUES_2: Kinds = {
    "age": ("child",),
    "upper": ("suit", "vest", "high-vis"),  # high-vis: a vest or jacket with bands that reflect
    "upper_pattern": ("floral", "camouflage"),
    "shoes": ("sandals", "heels"),
    "shoe_colour": tuple(colour for colour in COLOURS if colour not in _KINDS_1["shoe_colour"]),
    "hat": ("helmet", "headscarf", "hood"),
    "bag": ("shopping bag",),
}
_NEW_KINDS_2: Kinds = {
    "sleeves": ("short", "long", "sleeveless"),
    "upper_shade": ("dark", "medium", "light"),
    "lower_shade": ("dark", "medium", "light"),
    "upper_second_colour": ("none", *COLOURS),  # of a top in two colours
    "upper_print": ("none", "logo", "writing"),
    "upper_length": ("short", "long"),  # of coats and dresses
    "lower_length": ("short", "knee-length", "long"),  # of skirts, shorts and trousers
    "scarf": ("none", "scarf"),
    "tie": ("none", "tie"),
    "mask": ("none", "face mask"),
    "phone": ("none", "phone"),
    "pushing": ("none", "stroller", "trolley"),
}

# Each kind holds one value per person. "none" is a value of things that can be absent. A version keeps the kinds and
# values of the one before it in their places, and adds its own behind them: an index means the same in both.
KINDS_OF_VERSION: Mapping[int, Kinds] = {
    1: _KINDS_1,
    2: {
        **{kind: (*values, *_NEW_VALUES_2.get(kind, ())) for kind, values in _KINDS_1.items()},
        **_NEW_KINDS_2,
    },
}
VOCABULARY_VERSION = 1  # that checkpoints are made with, where nothing else is said
NEWEST_VERSION = 2  # that operators are understood by, whatever the checkpoint knows
KINDS = KINDS_OF_VERSION[VOCABULARY_VERSION]
ALL_KINDS = KINDS_OF_VERSION[NEWEST_VERSION]


@dataclass(frozen=True, order=True)
class Attribute:
    """One thing that can be said of a person, e.g. Attribute("upper_colour", "red")."""

    kind: str
    value: str

    def __post_init__(self) -> None:
        if self.value not in ALL_KINDS.get(self.kind, ()):
            raise ValueError(f"no attribute {self.kind}={self.value} in the vocabulary")


# What outlasts a change of clothes.
LASTING: tuple[str, ...] = ("gender", "age", "build", "hair", "hair_colour", "beard", "glasses")

# The colour of a thing, by the kind of the thing.
COLOUR_OF: dict[str, str] = {
    "hair": "hair_colour",
    "upper": "upper_colour",
    "lower": "lower_colour",
    "shoes": "shoe_colour",
    "hat": "hat_colour",
    "bag": "bag_colour",
}

# What else is said of a thing, by the kind of the thing.
QUALITIES_OF: dict[str, tuple[str, ...]] = {
    "upper": (
        "upper_pattern",
        "upper_shade",
        "upper_second_colour",
        "upper_print",
        "upper_length",
        "sleeves",
    ),
    "lower": ("lower_shade", "lower_length"),
}

# Words for things and qualities: phrase -> the attributes that it states, a thing first.
Phrases = Mapping[str, tuple[Attribute, ...]]


def _phrases(words: Mapping[tuple[str, str], str]) -> dict[str, tuple[Attribute, ...]]:
    return {
        phrase: (Attribute(kind, value),)
        for (kind, value), listed in words.items()
        for phrase in listed.split("|")
    }


PHRASES_OF_VERSION: Mapping[int, Phrases] = {
    1: _phrases(WORDS_1),
    2: {
        **_phrases(WORDS_2),
        **{phrase: tuple(Attribute(*one) for one in both) for phrase, both in WORDS_FOR_TWO.items()},
    },
}
PHRASES = PHRASES_OF_VERSION[VOCABULARY_VERSION]
ALL_PHRASES = PHRASES_OF_VERSION[NEWEST_VERSION]

# A word that names a thing without saying which: "without a bag", "no hat", "any glasses", "the top" -> its kind.
GROUPS_OF_VERSION: Mapping[int, Mapping[str, str]] = {1: GROUPS_1, 2: GROUPS_2}
GROUPS = GROUPS_OF_VERSION[VOCABULARY_VERSION]
ALL_GROUPS = GROUPS_OF_VERSION[NEWEST_VERSION]

_NOUNS: dict[str, str] = {
    "upper": "top",
    "lower": "bottoms",
    "hat": "hat",
    "bag": "bag",
    "shoes": "shoes",
    "mask": "face mask",
    "upper_print": "logo or writing",
    "pushing": "stroller or cart",
}
# Values that are said otherwise where a noun stands.
_VALUE_NOUNS: dict[str, str] = {"high-vis": "high-vis top", "hood": "raised hood"}
# Without "heels", which captions of drawn people in version 1 say with an article.
_PLURALS = frozenset(
    {
        "trousers",
        "jeans",
        "shorts",
        "sneakers",
        "boots",
        "shoes",
        "sandals",
        "glasses",
        "sunglasses",
        "bottoms",
        "sleeves",
        "writing",
    }
)
_BESIDE = (
    "glasses",
    "umbrella",
    "beard",
    "scarf",
    "tie",
    "mask",
    "phone",
    "upper_print",
)  # said after "with"


def article(noun: str) -> str:
    """'a' or 'an', or nothing for plurals, as in "a red jacket", "an umbrella", "jeans"."""
    if noun.split()[-1] in _PLURALS:
        return ""
    return "an " if noun[0] in "aeiou" else "a "


def phrase(attribute: Attribute) -> str:
    """The attribute in words that stand alone: "red top", "long hair", "no hat", "woman".

    >>> phrase(Attribute("bag", "none"))
    'no bag'
    """
    kind, value = attribute.kind, attribute.value
    if value == "none" and kind != "upper_second_colour":
        return absence_words(kind)
    if kind == "hair":
        return value if value in ("ponytail", "bun", "bald") else f"{value} hair"
    if kind == "build":
        return f"{value} build"
    if kind == "hair_colour":
        return f"{value} hair"
    if kind == "sleeves":
        return value if value == "sleeveless" else f"{value} sleeves"
    if kind == "pushing":
        return f"pushing a {value}"
    thing = thing_of(kind)
    if kind == thing or kind == "upper_print":
        return _VALUE_NOUNS.get(value, value)
    return thing_words(thing, {kind: value})


def absence_words(kind: str) -> str:
    """That a thing is not there: "no hat", "no face mask"."""
    return f"no {noun_of(kind)}"


def attribute_words(version: int = VOCABULARY_VERSION) -> frozenset[str]:
    """Every single word that the phrases of a version of the vocabulary are made of, lower case."""
    phrases = [*PHRASES_OF_VERSION[version], *COLOUR_WORDS, *GROUPS_OF_VERSION[version]]
    return frozenset(word for entry in phrases for word in entry.split())


def describe(attributes: tuple[Attribute, ...] | list[Attribute] | frozenset[Attribute]) -> str:
    """One description in plain words, things joined with their colours and patterns.

    The same wording reaches CLIP and the model, whoever asks.

    >>> describe([Attribute("gender", "woman"), Attribute("upper", "jacket"), Attribute("upper_colour", "red")])
    'a woman in a red jacket'
    """
    has = {attribute.kind: attribute.value for attribute in attributes}
    person = " ".join(word for word in (*_adjectives(has), _person(has)) if word)
    parts = [f"{article(person)}{person}"]
    if "build" in has and has["build"] == "average":
        parts.append("of average build")
    worn = [_thing(has, kind) for kind in ("upper", "lower", "shoes")]
    worn = [part for part in worn if part]
    if worn:
        parts.append("in " + and_list(worn))
    others = [_hair(has), *(_thing(has, kind) for kind in ("hat", "bag")), *_beside(has)]
    others = [part for part in others if part]
    if others:
        parts.append("with " + and_list(others))
    if "pushing" in has:
        parts.append(phrase(Attribute("pushing", has["pushing"])))
    return " ".join(parts)


def _adjectives(has: Mapping[str, str]) -> list[str]:
    age, build = has.get("age", ""), has.get("build", "")
    return [age if age != "child" else "", build if build != "average" else ""]


def _person(has: Mapping[str, str]) -> str:
    if has.get("age") == "child":
        return {"man": "little boy", "woman": "little girl"}.get(has.get("gender", ""), "child")
    return has.get("gender", "person")


def thing_words(thing: str, has: Mapping[str, str]) -> str:
    """A garment or a thing that is carried, with all that is known of it but its print: "long dark red coat".

    has: kind -> value; what is said of other things does not matter. "" where nothing is said of it.

    >>> thing_words("upper", {"upper_colour": "red", "upper_second_colour": "white", "sleeves": "short"})
    'red and white short-sleeved top'
    """
    value, colours = has.get(thing), _colours(thing, has)
    if value == "none":
        return absence_words(thing)
    sleeves = has.get("sleeves") if thing == "upper" else None
    words = [
        has.get(f"{thing}_length"),
        has.get(f"{thing}_shade"),
        colours,
        has.get(f"{thing}_pattern"),
        f"{sleeves}-sleeved" if sleeves in ("short", "long") else sleeves,
    ]
    if value is None and not any(words):
        return ""
    noun = noun_of(thing) if value is None else _VALUE_NOUNS.get(value, value)
    return " ".join([*(word for word in words if word), noun])


def _colours(thing: str, has: Mapping[str, str]) -> str:
    """ "red", "red and white", "partly white", "one-coloured red"; "" without any."""
    first = has.get(COLOUR_OF.get(thing, ""), "")
    second = has.get(f"{thing}_second_colour")
    if second is None:
        return first
    if second == "none":
        return f"one-coloured {first}".strip()
    return f"{first} and {second}" if first else f"partly {second}"


def _thing(has: Mapping[str, str], kind: str) -> str:
    words = thing_words(kind, has)
    bare = not words or kind == "shoes" or has.get(kind) == "none"
    return words if bare else article(words) + words


def _hair(has: Mapping[str, str]) -> str:
    style, colour = has.get("hair"), has.get("hair_colour")
    if style == "bald":
        return "a bald head"
    if style in ("ponytail", "bun"):
        return f"a {colour + ' ' if colour else ''}{style}"
    words = " ".join(word for word in (style, colour) if word)
    return f"{words} hair" if words else ""


def _beside(has: Mapping[str, str]) -> list[str]:
    parts = []
    for kind in (kind for kind in _BESIDE if kind in has):
        words = phrase(Attribute(kind, has[kind]))
        parts.append(words if has[kind] == "none" else article(words) + words)
    return parts


def and_list(parts: Sequence[str], word: str = "and") -> str:
    """ "a", "a and b", "a, b and c"; "" of nothing. word: "or" joins choices."""
    return f" {word} ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def thing_of(kind: str) -> str:
    """The kind of thing that a kind belongs to: "upper_colour" and "upper_pattern" -> "upper"."""
    belongs = {part for part in (*COLOUR_OF, *QUALITIES_OF) if kind in kinds_of(part)}
    return belongs.pop() if belongs else kind


def kinds_of(thing: str) -> tuple[str, ...]:
    """A kind of thing with its colour and what else is said of it: "bag" -> ("bag", "bag_colour")."""
    colour = (COLOUR_OF[thing],) if thing in COLOUR_OF else ()
    return (thing, *colour, *QUALITIES_OF.get(thing, ()))


def noun_of(thing: str) -> str:
    """A kind of thing in words, whichever it is: "upper" -> "top", "lower" -> "bottoms", "bag" -> "bag"."""
    return _NOUNS.get(thing, thing)


@cache
def absence(kind: str) -> tuple[Attribute, ...]:
    """All values of a kind but "none": what "no hat" excludes."""
    return tuple(Attribute(kind, value) for value in ALL_KINDS[kind] if value != "none")


def is_absent(kind: str, unwanted: Sequence[Attribute]) -> bool:
    """True when every value of a kind that can be absent is excluded, as one of the versions has them: "no hat"."""
    refused = {attribute.value for attribute in unwanted if attribute.kind == kind}
    versions = [kinds[kind] for kinds in KINDS_OF_VERSION.values() if "none" in kinds.get(kind, ())]
    return any(set(values) <= {*refused, "none"} for values in versions)


Meaning = TypeVar("Meaning")


class PhraseTable(Generic[Meaning]):
    """Phrases and what they mean, to be looked for in a sequence of words: the longest that stands at a position.

    >>> table = PhraseTable({("suit",): "clothes", ("suit", "case"): "bag"})
    >>> table.at(["a", "suit", "case"], 1)
    ('bag', 2)
    """

    def __init__(self, phrases: Mapping[tuple[str, ...], Meaning]) -> None:
        """phrases: the words of each phrase, one or more -> its meaning, which is not None."""
        self._phrases = dict(phrases)
        self._longest: dict[str, int] = {}  # by first word, in words
        for words in self._phrases:
            self._longest[words[0]] = max(len(words), self._longest.get(words[0], 0))

    def at(self, words: Sequence[str], start: int) -> tuple[Meaning, int] | None:
        """(meaning, how many words) of the longest phrase that stands at words[start:], or None."""
        longest = self._longest.get(words[start], 0)
        for size in range(min(longest, len(words) - start), 0, -1):
            meaning = self._phrases.get(tuple(words[start : start + size]))
            if meaning is not None:
                return meaning, size
        return None
