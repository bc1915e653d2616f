"""What a checkpoint of an older version of the vocabulary can make of attributes that came after it.

Where the older version has an honest word for one (a child is young, heels are shoes), it is taken as that; what is
left goes along in words, as everything outside the vocabulary does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.model.vocabulary import (
    Attribute,
    Kinds,
    absence_words,
    is_absent,
    kinds_of,
    phrase,
    thing_of,
    thing_words,
)

_OLDER: dict[Attribute, Attribute] = {
    Attribute("age", "child"): Attribute("age", "young"),
    Attribute("shoes", "heels"): Attribute("shoes", "shoes"),
    Attribute("shoe_colour", "beige"): Attribute("shoe_colour", "brown"),
}
# What is dark, and no more, is taken as black.
_SHADES = {"upper_shade": "upper_colour", "lower_shade": "lower_colour"}
# "A long coat" is a word for a coat.
_LONG, _COAT = Attribute("upper_length", "long"), Attribute("upper", "coat")


@dataclass(frozen=True)
class KnownAttributes:
    """What a checkpoint knows of the attributes that are wanted and unwanted, in their order.

    taken: those that it knows by an older value alone, shades beside a colour and such. lost: those that it does
    not know.
    """

    wanted: tuple[Attribute, ...]
    unwanted: tuple[Attribute, ...]
    taken: tuple[Attribute, ...] = ()
    lost: tuple[Attribute, ...] = ()
    lost_unwanted: tuple[Attribute, ...] = ()

    def lost_words(self, own: Mapping[str, str]) -> list[str]:
        """What is lost, in words, each thing by itself: "short-sleeved shirt", "no scarf".

        own: kind of thing -> the operator's own words, which go for a thing of which nothing is known.
        """
        has = {attribute.kind: attribute.value for attribute in (*self.wanted, *self.lost)}
        phrases = []
        for thing in dict.fromkeys(thing_of(attribute.kind) for attribute in self.lost):
            # "A polo" has short sleeves without saying so.
            meant = own.get(thing, "") if not self.forgets(thing) else ""
            parts = [part for part in self.lost if part.kind in kinds_of(thing)]
            said = {part.kind: part.value for part in parts if not meant or part.value.split("-")[0] in meant}
            phrases += [own[thing]] if thing in own and self.forgets(thing) else _in_words(thing, said, has)
        refused = dict.fromkeys(attribute.kind for attribute in self.lost_unwanted)
        for kind in refused:
            values = [attribute for attribute in self.lost_unwanted if attribute.kind == kind]
            whole = len(values) > 1 and is_absent(kind, values)
            phrases += [absence_words(kind)] if whole else [f"no {_bare(attribute)}" for attribute in values]
        return list(dict.fromkeys(phrases))

    def forgets(self, thing: str) -> bool:
        """Whether something of a thing is lost, and nothing of it is known."""
        kinds = kinds_of(thing)
        known = any(attribute.kind in kinds for attribute in self.wanted)
        return not known and any(attribute.kind in kinds for attribute in self.lost)


def known_attributes(
    wanted: Sequence[Attribute], unwanted: Sequence[Attribute], kinds: Kinds
) -> KnownAttributes:
    """kinds: that the checkpoint knows, with their values."""
    has = {attribute.kind for attribute in wanted}
    found: dict[Attribute, None] = {}
    taken: list[Attribute] = []
    lost: list[Attribute] = []
    for attribute in wanted:
        shades = _SHADES.get(attribute.kind) in has
        known = known_value(attribute, kinds, coloured=shades)
        if known is not None:
            found[known] = None
        nuance = shades or (attribute == _LONG and _COAT in wanted)
        if known != attribute:
            (taken if known is not None or nuance else lost).append(attribute)
    refused = {
        a: known_value(a, kinds, coloured=False) if a.kind in _SHADES else _if_in(a, kinds) for a in unwanted
    }
    kept = tuple(dict.fromkeys(known for known in refused.values() if known is not None))
    # "No hat" leaves out what older versions do not know without saying so.
    gone = {kind for kind in kinds if is_absent(kind, kept)}
    lost_unwanted = [a for a, known in refused.items() if known is None and a.kind not in gone]
    return KnownAttributes(tuple(found), kept, tuple(taken), tuple(lost), tuple(lost_unwanted))


def known_value(attribute: Attribute, kinds: Kinds, *, coloured: bool = True) -> Attribute | None:
    """An attribute as a checkpoint knows it: itself, its nearest older value, or None.

    coloured: whether a colour of the same thing is said, so that its shade is not taken for one.
    """
    if _if_in(attribute, kinds) is not None:
        return attribute
    if attribute.kind in _SHADES:
        dark = attribute.value == "dark" and not coloured
        return Attribute(_SHADES[attribute.kind], "black") if dark else None
    older = _OLDER.get(attribute)
    return older if older is not None and _if_in(older, kinds) is not None else None


def _if_in(attribute: Attribute, kinds: Kinds) -> Attribute | None:
    return attribute if attribute.value in kinds.get(attribute.kind, ()) else None


def _bare(attribute: Attribute) -> str:
    return attribute.value if attribute.kind == "pushing" else phrase(attribute)


def _in_words(thing: str, said: dict[str, str], has: dict[str, str]) -> list[str]:
    """What is lost of one thing: adjectives with its noun in one phrase, a print and a second colour by themselves."""
    noun = {thing: has[thing]} if thing in has else {}
    words = []
    if (printed := said.pop("upper_print", None)) is not None:
        words.append(phrase(Attribute("upper_print", printed)))
    if (second := said.pop("upper_second_colour", None)) is not None:
        words.append(
            "one-coloured" if second == "none" else thing_words(thing, {"upper_colour": second, **noun})
        )
    if thing == "pushing":
        words.append(phrase(Attribute(thing, said[thing])))
    elif said:
        words.append(thing_words(thing, {**noun, **said}))
    return words
