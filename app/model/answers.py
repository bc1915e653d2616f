"""The fixed format in which the model states a person's attributes, and how such answers are read.

    gender: woman; age: young; build: slim; hair: long brown; beard: none; upper: red striped jacket; ...

One entry per thing, in one order, a thing's colour and pattern before its name; "unseen" where nothing of
it can be seen. The parser also takes the looser answers of a model that was never taught this format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from app.model.known import known_value
from app.model.vocabulary import (
    COLOUR_WORDS,
    KINDS_OF_VERSION,
    PHRASES_OF_VERSION,
    VOCABULARY_VERSION,
    Attribute,
    PhraseTable,
)

UNSEEN = "unseen"

# The entries in order, each with the kinds that it joins, in the order of their words; of all versions.
_ENTRIES: dict[str, tuple[str, ...]] = {
    "gender": ("gender",),
    "age": ("age",),
    "build": ("build",),
    "hair": ("hair_colour", "hair"),
    "beard": ("beard",),
    "upper": ("upper_shade", "upper_colour", "upper_pattern", "upper"),
    "lower": ("lower_shade", "lower_colour", "lower"),
    "shoes": ("shoe_colour", "shoes"),
    "hat": ("hat_colour", "hat"),
    "bag": ("bag_colour", "bag"),
    "glasses": ("glasses",),
    "umbrella": ("umbrella",),
    "sleeves": ("sleeves",),
    "second colour": ("upper_second_colour",),
    "print": ("upper_print",),
    "upper length": ("upper_length",),
    "lower length": ("lower_length",),
    "scarf": ("scarf",),
    "tie": ("tie",),
    "mask": ("mask",),
    "phone": ("phone",),
    "pushing": ("pushing",),
}


@cache
def entries_of(version: int) -> Mapping[str, tuple[str, ...]]:
    """The entries of an answer in a version of the vocabulary, in order, each with the kinds that it joins."""
    known = KINDS_OF_VERSION[version]
    entries = {entry: tuple(kind for kind in kinds if kind in known) for entry, kinds in _ENTRIES.items()}
    return {entry: kinds for entry, kinds in entries.items() if kinds}


# What an untaught model calls the entries.
_OTHER_NAMES = {
    "sex": "gender",
    "age range": "age",
    "age group": "age",
    "body": "build",
    "body type": "build",
    "hairstyle": "hair",
    "hair color": "hair",
    "hair colour": "hair",
    "facial hair": "beard",
    "top": "upper",
    "upper body": "upper",
    "upper clothing": "upper",
    "clothing": "upper",
    "bottom": "lower",
    "bottoms": "lower",
    "lower body": "lower",
    "lower clothing": "lower",
    "pants": "lower",
    "footwear": "shoes",
    "headwear": "hat",
    "bags": "bag",
    "eyewear": "glasses",
}

_ABSENT = {"none", "no", "without", "absent", "not"}
_WORD = re.compile(r"[a-z0-9]+(?:[-'][a-z0-9]+)*")


@dataclass(frozen=True)
class AttributeReading:
    """One attribute that the model read off a picture. confidence: the probability of its words, 0..1."""

    attribute: Attribute
    confidence: float


def annotation_answer(
    attributes: Mapping[str, str] | Iterable[Attribute], version: int = VOCABULARY_VERSION
) -> str:
    """The answer that the model is taught for a picture with these attributes (kind -> value).

    version: of the vocabulary that it is taught; what that does not know is not said.

    >>> annotation_answer({"gender": "man", "upper": "coat", "upper_colour": "red"}).split("; ")[5]
    'upper: red coat'

    Raises:
        ValueError: an attribute that the vocabulary does not have.
    """
    if isinstance(attributes, Mapping):
        pairs = [Attribute(kind, value) for kind, value in attributes.items()]
    else:
        pairs = list(attributes)
    kinds = KINDS_OF_VERSION[version]
    has = {
        known.kind: known.value for known in (known_value(one, kinds) for one in pairs) if known is not None
    }
    return "; ".join(f"{entry}: {_entry(has, kinds)}" for entry, kinds in entries_of(version).items())


def _entry(has: Mapping[str, str], kinds: tuple[str, ...]) -> str:
    if has.get(kinds[-1]) == "none":
        return "none"  # a hat that is not there has no colour
    return " ".join(has[kind] for kind in kinds if kind in has) or UNSEEN


def parse_annotation(text: str, version: int = VOCABULARY_VERSION) -> tuple[Attribute, ...]:
    """The attributes that an answer states, one per kind, in the vocabulary's order.

    version: of the vocabulary that whoever answers knows. Never raises: what cannot be understood is left out.
    """
    found: dict[str, str] = {}
    for attribute, _, _ in locate_annotation(text, version):
        found.setdefault(attribute.kind, attribute.value)
    return tuple(Attribute(kind, found[kind]) for kind in KINDS_OF_VERSION[version] if kind in found)


def locate_annotation(text: str, version: int = VOCABULARY_VERSION) -> list[tuple[Attribute, int, int]]:
    """As parse_annotation, with the characters [start, end) of the answer that state each attribute."""
    found: list[tuple[Attribute, int, int]] = []
    seen: set[str] = set()
    lowered = text.lower()
    for start, end in _pieces(lowered):
        for attribute, first, last in _read_piece(lowered[start:end], version):
            if attribute.kind not in seen:
                seen.add(attribute.kind)
                found.append((attribute, start + first, start + last))
    return found


def _pieces(text: str) -> list[tuple[int, int]]:
    """Entries are separated by semicolons and lines; sentences without a key are one piece each."""
    return [match.span() for match in re.finditer(r"[^;\n]+", text)]


def _read_piece(piece: str, version: int) -> list[tuple[Attribute, int, int]]:
    colon = piece.find(":")
    key = " ".join(_WORD.findall(piece[:colon])) if colon >= 0 else ""
    entry = _OTHER_NAMES.get(key, key)
    if entry in (entries := entries_of(version)):
        return _read_entry(piece, colon + 1, entries[entry], version)
    return _read_free(piece, version)


def _read_entry(
    piece: str, start: int, kinds: tuple[str, ...], version: int
) -> list[tuple[Attribute, int, int]]:
    """The words behind a key: only this entry's kinds are looked for."""
    words = [(match.group(), match.start(), match.end()) for match in _WORD.finditer(piece, start)]
    if not words or words[0][0] == UNSEEN:
        return []
    if words[0][0] in _ABSENT and "none" in KINDS_OF_VERSION[version][kinds[-1]]:
        return [(Attribute(kinds[-1], "none"), words[0][1], words[0][2])]
    found: dict[str, tuple[Attribute, int, int]] = {}
    for attribute, first, last in _scan(words, _phrases_of(kinds, version)):
        found.setdefault(attribute.kind, (attribute, first, last))
    return list(found.values())


@cache
def _free_phrases(version: int) -> PhraseTable[tuple[Attribute, ...]]:
    return PhraseTable(
        {tuple(phrase.split()): stated for phrase, stated in PHRASES_OF_VERSION[version].items()}
    )


def _read_free(piece: str, version: int) -> list[tuple[Attribute, int, int]]:
    """Words without a key: phrases anywhere, a colour belonging to the next thing named after it."""
    found: list[tuple[Attribute, int, int]] = []
    entries = entries_of(version)
    for clause in re.finditer(r"[^,.]+?(?= and |,|\.|$)|[^,.]+", piece):
        words = [(m.group(), m.start(), m.end()) for m in _WORD.finditer(piece, clause.start(), clause.end())]
        things = _scan(words, _free_phrases(version))
        absent = any(word in ("no", "without", "not") for word, _, _ in words)
        for attribute, first, last in things:
            kind = attribute.kind
            if absent:
                if "none" in KINDS_OF_VERSION[version][kind] and attribute.value != "none":
                    found.append((Attribute(kind, "none"), first, last))
                continue
            found.append((attribute, first, last))
            own = next((kinds for kinds in entries.values() if kind == kinds[-1]), ())
            found += [
                seen
                for colour in own
                if colour.endswith("_colour")
                for seen in _colour_before(words, colour, last, version)
            ]
    return found


def _colour_before(
    words: list[tuple[str, int, int]], kind: str, thing_end: int, version: int
) -> list[tuple[Attribute, int, int]]:
    for word, first, last in reversed(words):
        value = COLOUR_WORDS.get(word)
        if last <= thing_end and value in KINDS_OF_VERSION[version][kind]:
            return [(Attribute(kind, value), first, last)]
    return []


@cache
def _phrases_of(kinds: tuple[str, ...], version: int) -> PhraseTable[tuple[Attribute, ...]]:
    """Every phrase that can state one of these kinds inside their own entry, by its words."""
    table: dict[tuple[str, ...], tuple[Attribute, ...]] = {}
    values_of = KINDS_OF_VERSION[version]
    for phrase, attributes in PHRASES_OF_VERSION[version].items():
        if all(attribute.kind in kinds for attribute in attributes):
            table[tuple(phrase.split())] = attributes
    for kind in kinds:
        if kind.endswith("_colour"):
            for word, colour in COLOUR_WORDS.items():
                if colour in values_of[kind]:
                    table[(word,)] = (Attribute(kind, colour),)
        for value in values_of[kind]:
            if value != "none":
                table[tuple(value.split())] = (Attribute(kind, value),)
    return PhraseTable(table)


def _scan(
    words: list[tuple[str, int, int]], phrases: PhraseTable[tuple[Attribute, ...]]
) -> list[tuple[Attribute, int, int]]:
    """Phrases of the table among the words, longest first at each position."""
    plain = [word for word, _, _ in words]
    attributes: list[tuple[Attribute, int, int]] = []
    position = 0
    while position < len(words):
        meaning, size = phrases.at(plain, position) or ((), 1)
        last = words[position + size - 1][2]
        attributes += [(attribute, words[position][1], last) for attribute in meaning]
        position += size
    return attributes
