"""The attributes of a person that ChatReID can name, and the words that people use for them.

This is the one list: the drawn people are described by it, the model is taught and asked by it, and the
operator's words are read by it. Height and skin are left out on purpose: the first cannot be seen in a
crop, and searching by the second is not what this system is for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

VOCABULARY_VERSION = 1

COLOURS = (
    "black",
    "white",
    "grey",
    "red",
    "orange",
    "yellow",
    "green",
    "blue",
    "purple",
    "pink",
    "brown",
    "beige",
)


@dataclass(frozen=True, order=True)
class Attribute:
    """One thing that can be said of a person, e.g. Attribute("upper_colour", "red")."""

    kind: str
    value: str

    def __post_init__(self) -> None:
        if self.value not in KINDS.get(self.kind, ()):
            raise ValueError(f"no attribute {self.kind}={self.value} in the vocabulary")


# Each kind holds one value per person. "none" is a value of things that can be absent.
KINDS: dict[str, tuple[str, ...]] = {
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

# Words for colours, as people say them -> the vocabulary's colour.
COLOUR_WORDS: dict[str, str] = {
    **{colour: colour for colour in COLOURS},
    "gray": "grey",
    "silver": "grey",
    "crimson": "red",
    "scarlet": "red",
    "maroon": "red",
    "burgundy": "red",
    "golden": "yellow",
    "gold": "yellow",
    "mustard": "yellow",
    "lime": "green",
    "olive": "green",
    "khaki": "beige",
    "navy": "blue",
    "turquoise": "blue",
    "teal": "blue",
    "cyan": "blue",
    "violet": "purple",
    "lilac": "purple",
    "magenta": "pink",
    "rose": "pink",
    "tan": "beige",
    "cream": "beige",
    "sand": "beige",
    "chestnut": "brown",
    "blond": "blond",
    "blonde": "blond",
    "ginger": "red",
}

# Words for things and qualities: phrase -> the attributes it states. Longest phrase first when read.
PHRASES: dict[str, tuple[Attribute, ...]]


def _table() -> dict[str, tuple[Attribute, ...]]:
    rows: dict[tuple[str, str], str] = {
        ("gender", "woman"): "woman women lady girl female she her",
        ("gender", "man"): "man men guy boy male gentleman he him his",
        (
            "age",
            "young",
        ): "young|youth|teenager|teenage|teen|in the twenties|in their twenties|student|youngster",
        ("age", "middle-aged"): "middle-aged|middle aged|middleaged|in the forties|in their forties",
        ("age", "elderly"): "elderly|old|older|senior|aged|pensioner|grandmother|grandfather",
        ("build", "slim"): "slim|thin|skinny|slender|lean",
        ("build", "average"): "average build|medium build|normal build",
        (
            "build",
            "heavy",
        ): "heavy|heavyset|heavily built|stout|fat|overweight|chubby|stocky|large build|plump",
        ("hair", "short"): "short hair|short-haired|short haired|cropped hair",
        ("hair", "long"): "long hair|long-haired|long haired|hair down",
        ("hair", "ponytail"): "ponytail|pony tail|hair tied back|tied-back hair",
        ("hair", "bun"): "bun|hair bun|topknot|hair up",
        ("hair", "curly"): "curly hair|curly|curls|afro|curly-haired|frizzy hair",
        ("hair", "bald"): "bald|no hair|shaved head|hairless|bald head",
        ("beard", "beard"): "beard|bearded|facial hair|moustache|mustache|with a beard",
        ("beard", "none"): "clean-shaven|clean shaven|beardless",
        ("upper", "t-shirt"): "t-shirt|tshirt|tee|tee shirt|t shirt|tank top",
        ("upper", "shirt"): "shirt|blouse|button-up|dress shirt|polo",
        ("upper", "sweater"): "sweater|jumper|pullover|sweatshirt|knit|cardigan",
        ("upper", "hoodie"): "hoodie|hoody|hooded top|hooded sweatshirt",
        ("upper", "jacket"): "jacket|blazer|windbreaker|bomber",
        ("upper", "coat"): "coat|overcoat|trench coat|raincoat|parka|long coat",
        ("upper", "dress"): "dress|gown|frock",
        ("upper_pattern", "plain"): "plain|without pattern|unpatterned|solid",
        ("upper_pattern", "striped"): "striped|stripes|stripy|stripe",
        ("upper_pattern", "checked"): "checked|checkered|plaid|tartan|chequered",
        ("upper_pattern", "dotted"): "dotted|dots|polka dot|polka dots|spotted",
        ("lower", "trousers"): "trousers|pants|slacks|chinos|leggings|trouser",
        ("lower", "jeans"): "jeans|denims|denim trousers",
        ("lower", "shorts"): "shorts|short trousers|short pants",
        ("lower", "skirt"): "skirt|miniskirt",
        ("shoes", "sneakers"): "sneakers|trainers|running shoes|sport shoes|sports shoes|sneaker",
        ("shoes", "boots"): "boots|boot",
        ("shoes", "shoes"): "shoes|shoe|loafers|dress shoes|leather shoes|heels",
        ("hat", "cap"): "cap|baseball cap",
        ("hat", "beanie"): "beanie|woolly hat|woollen cap|knitted hat|wool hat",
        ("hat", "hat"): "hat|sun hat|brimmed hat|fedora",
        ("hat", "none"): "bareheaded|bare-headed|hatless",
        ("bag", "backpack"): "backpack|rucksack|knapsack|back pack|school bag",
        ("bag", "handbag"): "handbag|purse|hand bag",
        ("bag", "shoulder bag"): "shoulder bag|messenger bag|crossbody bag|satchel|sling bag|shoulderbag",
        ("bag", "suitcase"): "suitcase|trolley|luggage|roller bag|trolley case",
        ("glasses", "glasses"): "glasses|spectacles|eyeglasses|bespectacled",
        ("glasses", "sunglasses"): "sunglasses|dark glasses|shades|sun glasses",
        ("umbrella", "umbrella"): "umbrella|parasol|brolly",
    }
    table: dict[str, tuple[Attribute, ...]] = {}
    for (kind, value), words in rows.items():
        for phrase in words.split("|") if "|" in words else words.split():
            table[phrase] = (Attribute(kind, value),)
    return table


PHRASES = _table()

# A word that names a thing without saying which: "without a bag", "no hat", "any glasses", "the top".
GROUPS: dict[str, str] = {
    "bag": "bag",
    "bags": "bag",
    "hat": "hat",
    "headwear": "hat",
    "headgear": "hat",
    "glasses": "glasses",
    "eyewear": "glasses",
    "umbrella": "umbrella",
    "beard": "beard",
    "top": "upper",
    "upper body": "upper",
    "clothes": "upper",
    "outfit": "upper",
    "bottoms": "lower",
    "bottom": "lower",
    "lower body": "lower",
    "legs": "lower",
    "hair": "hair",
    "footwear": "shoes",
}

_NOUNS: dict[str, str] = {"upper": "top", "lower": "bottoms", "hat": "hat", "bag": "bag", "shoes": "shoes"}


def article(noun: str) -> str:
    """'a' or 'an', or nothing for plurals, as in "a red jacket", "an umbrella", "jeans"."""
    last = noun.split()[-1]
    if last in {
        "trousers",
        "jeans",
        "shorts",
        "sneakers",
        "boots",
        "shoes",
        "glasses",
        "sunglasses",
        "bottoms",
    }:
        return ""
    return "an " if noun[0] in "aeiou" else "a "


def phrase(attribute: Attribute) -> str:
    """The attribute in words that stand alone: "red top", "long hair", "no hat", "woman".

    >>> phrase(Attribute("bag", "none"))
    'no bag'
    """
    kind, value = attribute.kind, attribute.value
    if value == "none":
        return f"no {kind}"
    if kind == "hair":
        return value if value in ("ponytail", "bun", "bald") else f"{value} hair"
    if kind == "build":
        return f"{value} build"
    if kind == "upper_pattern":
        return f"{value} top"
    if kind == "hair_colour":
        return f"{value} hair"
    if kind.endswith("_colour"):
        thing = next(thing for thing, colour in COLOUR_OF.items() if colour == kind)
        return f"{value} {_NOUNS[thing]}"
    return value


@cache
def attribute_words() -> frozenset[str]:
    """Every single word that the vocabulary's phrases are made of, lower case."""
    phrases = [*PHRASES, *COLOUR_WORDS, *GROUPS]
    return frozenset(word for entry in phrases for word in entry.split())


def describe(attributes: tuple[Attribute, ...] | list[Attribute] | frozenset[Attribute]) -> str:
    """One description in plain words, things joined with their colours and patterns.

    The same wording reaches CLIP and the model, whoever asks.

    >>> describe([Attribute("gender", "woman"), Attribute("upper", "jacket"), Attribute("upper_colour", "red")])
    'a woman in a red jacket'
    """
    has = {attribute.kind: attribute.value for attribute in attributes}
    person = " ".join(has[kind] for kind in ("age", "build") if kind in has and has[kind] != "average")
    person = f"{person} {has.get('gender', 'person')}".strip()
    parts = [f"{article(person)}{person}"]
    if "build" in has and has["build"] == "average":
        parts.append("of average build")
    worn = [_thing(has, kind) for kind in ("upper", "lower", "shoes")]
    worn = [part for part in worn if part]
    if worn:
        parts.append("in " + and_list(worn))
    others = [_hair(has), *(_thing(has, kind) for kind in ("hat", "bag")), *_plain(has)]
    others = [part for part in others if part]
    if others:
        parts.append("with " + and_list(others))
    return " ".join(parts)


def _thing(has: dict[str, str], kind: str) -> str:
    value, colour = has.get(kind), has.get(COLOUR_OF[kind])
    if value == "none":
        return f"no {kind}"
    pattern = has.get("upper_pattern") if kind == "upper" else None
    if value is None and colour is None and pattern is None:
        return ""
    words = [word for word in (colour, pattern, value or _NOUNS[kind]) if word]
    noun = " ".join(words)
    return f"{article(noun)}{noun}"


def _hair(has: dict[str, str]) -> str:
    style, colour = has.get("hair"), has.get("hair_colour")
    if style == "bald":
        return "a bald head"
    if style in ("ponytail", "bun"):
        return f"a {colour + ' ' if colour else ''}{style}"
    words = " ".join(word for word in (style, colour) if word)
    return f"{words} hair" if words else ""


def _plain(has: dict[str, str]) -> list[str]:
    parts = []
    for kind in ("glasses", "umbrella", "beard"):
        value = has.get(kind)
        if value is not None:
            parts.append(f"no {kind}" if value == "none" else f"{article(value)}{value}")
    return parts


def and_list(parts: Sequence[str], word: str = "and") -> str:
    """ "a", "a and b", "a, b and c"; "" of nothing. word: "or" joins choices."""
    return f" {word} ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def thing_of(kind: str) -> str:
    """The kind of thing that a kind belongs to: "upper_colour" and "upper_pattern" -> "upper"."""
    if kind == "upper_pattern":
        return "upper"
    return next((thing for thing, colour in COLOUR_OF.items() if colour == kind), kind)


def kinds_of(thing: str) -> tuple[str, ...]:
    """A kind of thing with its colour and pattern: "upper" -> ("upper", "upper_colour", "upper_pattern")."""
    kinds = (thing, COLOUR_OF[thing]) if thing in COLOUR_OF else (thing,)
    return (*kinds, "upper_pattern") if thing == "upper" else kinds


def noun_of(thing: str) -> str:
    """A kind of thing in words, whichever it is: "upper" -> "top", "lower" -> "bottoms", "bag" -> "bag"."""
    return _NOUNS.get(thing, thing)


@cache
def absence(kind: str) -> tuple[Attribute, ...]:
    """All values of a kind but "none": what "no hat" excludes."""
    return tuple(Attribute(kind, value) for value in KINDS[kind] if value != "none")


def is_absent(kind: str, unwanted: Sequence[Attribute]) -> bool:
    """True when every value of a kind that can be absent is excluded: "no hat"."""
    return "none" in KINDS[kind] and set(absence(kind)) <= set(unwanted)


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
