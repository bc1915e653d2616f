"""What colours, patterns and other adjectives belong to: "blue jeans and white sneakers", "a jacket in
red".
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.chat.lexicon import Entry, Item
from app.chat.pointing import (
    STYLES,
    meant_by_one,
    meant_by_they,
    names_unknown,
    referred,
    second_garments,
    target_of,
)
from app.chat.values import Known
from app.chat.words import COLOUR_AS, OUTFITS, SKIN_COLOURS
from app.model.vocabulary import COLOUR_OF, KINDS, Attribute

_HEAD_NOUNS = frozenset({"stripes", "stripe", "dots", "spots", "checks", "polka dots", "polka dot"})


@dataclass
class Bound:
    """What one message says of the person, in order. Filled by `bind`."""

    stated: list[tuple[Attribute, str]] = field(default_factory=list)  # (attribute, mode)
    notes: list[str] = field(default_factory=list)
    only_colours: list[tuple[Attribute, str]] = field(
        default_factory=list
    )  # "no red jacket", and a note on it
    unused: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)  # free words: what no attribute can hold

    def say(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)


def bind(items: list[Item], known: Known, asked: str | None = None) -> Bound:
    """Give each colour, shade, pattern and hair style to its thing, in place; return what is stated.

    asked: the kind that the assistant asked about last; a bare colour answers it.
    """
    bound = Bound()
    _shades(items, bound)
    _looks_of_hair(items, bound)
    under = second_garments(items)
    targets = {place: target_of(items, place) for place, item in enumerate(items) if item.role == "colour"}
    for place, item in enumerate(items):
        if item.role == "colour" and not item.used:
            target = targets[place]
            if target is not None and target in under:
                item.used = True
                bound.alternatives.append(f"{item.text} {items[target].text}")
                continue
            _bind_colour(items, place, target, bound, known, asked)
    return bound


def _bind_colour(
    items: list[Item], place: int, target: int | None, bound: Bound, known: Known, asked: str | None
) -> None:
    item = items[place]
    colour = item.entry.colour or ""
    if names_unknown(items, place) and (target is None or target < place):
        item.entry = Entry("word")
        return
    item.used = True
    if target is None:
        _bind_loose(items, place, bound, known, asked)
        return
    noun = items[target]
    if noun.role == "person" or (noun.entry.attribute is not None and noun.entry.attribute.kind == "gender"):
        _colour_of_person(item, noun, bound)
        return
    thing = noun.thing or meant_by_one(items, target, known)
    if noun.entry.attribute is not None and noun.entry.attribute.kind == "upper_pattern":
        thing = None if noun.text in _HEAD_NOUNS else "upper"
    if thing is None or thing not in COLOUR_OF:
        name = thing if noun.role == "one" and thing else noun.text
        bound.alternatives.append(f"{item.text} {name}")
        if thing is not None:
            bound.say(f"I know no colours of {_plural(name)}; {_free(item, name)}.")
        return
    if noun.role == "one":
        noun.used = True
    mode = _mode_of(item, noun)
    if noun.mode == "-" == mode and noun.role in ("attribute", "group"):
        noun.used = True  # "not a red jacket": other jackets may stay
        if colour in KINDS[COLOUR_OF[thing]]:
            note = f"There I leave out the colour {item.text} alone, with whatever {noun.text}."
            bound.only_colours.append((Attribute(COLOUR_OF[thing], colour), note))
    if noun.text in OUTFITS:
        bound.say(f"I took “{item.text} {noun.text}” as the colour of the top.")
    state_colour(bound, thing, colour, item, mode, noun.text if noun.role in ("attribute", "group") else None)


def _mode_of(item: Item, noun: Item) -> str:
    """ "The jacket is not red" excludes the colour alone; "no red jacket" excludes as well."""
    return item.mode if item.mode != "+" else ("x" if noun.mode == "x" else "+")


def state_colour(
    bound: Bound, thing: str, colour: str, item: Item, mode: str, noun: str | None = None
) -> bool:
    """State a colour of a thing, in the words of the vocabulary; say so where it has none. True if stated."""
    noun = noun or _noun(thing)
    kind = COLOUR_OF[thing]
    if colour not in KINDS[kind]:
        colour = COLOUR_AS.get(
            (kind, colour), "beige" if colour == "blond" and kind != "hair_colour" else colour
        )
    if colour not in KINDS[kind]:
        known = ", ".join(KINDS[kind])
        bound.say(f"I know no {item.text} {noun} (only {known}); it goes along as free words.")
        bound.alternatives.append(f"{item.text} {noun}")
        return False
    earlier = [a.value for a, m in bound.stated if a.kind == kind and m == "+"]
    if mode == "+" and earlier:
        if colour not in earlier:
            bound.say(
                f"I can look for one colour of the {_noun(thing)} at a time: I took {earlier[0]}; "
                f"{_free(item, noun)}."
            )
            bound.alternatives.append(f"{item.text} {noun}")
        return False
    bound.stated.append((Attribute(kind, colour), mode))
    return True


def _bind_loose(items: list[Item], place: int, bound: Bound, known: Known, asked: str | None) -> None:
    """A colour with no thing beside it: "dressed in black", "no, orange", "it's blue"."""
    item = items[place]
    colour = item.entry.colour or ""
    if colour == "blond" or (item.text == "ginger"):
        state_colour(bound, "hair", colour, item, item.mode)
        return
    things_here = any(other.thing is not None or _says_gender(other) for other in items if other is not item)
    if (thing := meant_by_they(items, place)) is not None:
        state_colour(bound, thing, colour, item, item.mode)
        return
    asked_thing = next((thing for thing, kind in COLOUR_OF.items() if asked in (kind, thing)), None)
    if asked_thing is not None and not things_here:
        state_colour(bound, asked_thing, colour, item, item.mode)
        return
    dressed = any(
        other.text in ("dressed", "wearing", "wears", "clad", "in", "all") for other in items[:place]
    )
    if not things_here and not dressed:
        thing = referred(items, known)
        if thing is not None:
            state_colour(bound, thing, colour, item, item.mode)
            return
    if not state_colour(bound, "upper", colour, item, item.mode):
        return
    whole = any(
        other.text in ("all", "completely", "entirely", "fully", "totally") for other in items[:place]
    )
    if whole and item.mode == "+":
        state_colour(bound, "lower", colour, item, item.mode)
        bound.say(f"I took “{item.text}” as the colour of the top and of the trousers or skirt.")
    elif item.mode == "+":
        bound.say(f"I took “{item.text}” as the colour of the top.")


def _says_gender(item: Item) -> bool:
    attribute = item.entry.attribute
    return (
        attribute is not None
        and attribute.kind == "gender"
        and item.text not in ("it", "she", "he", "her", "his")
    )


def _colour_of_person(item: Item, noun: Item, bound: Bound) -> None:
    colour = item.entry.colour or ""
    if colour in ("blond", "grey", "red", "orange", "beige") and item.text not in ("red", "orange", "tan"):
        state_colour(bound, "hair", colour, item, item.mode)
    elif colour in SKIN_COLOURS or item.text == "tan":
        bound.unused.append(f"{item.text} {noun.text}")
        bound.say("I do not search by skin colour or origin; “in black” would speak of the clothes.")
    elif state_colour(bound, "upper", colour, item, item.mode):
        bound.say(f"I took “{item.text}” as the colour of the top.")


def _shades(items: list[Item], bound: Bound) -> None:
    """ "Dark blue" is blue; "dark clothes" are taken as black, "light hair" stands in the vocabulary."""
    for place, item in enumerate(items):
        if item.role != "shade" or place + 1 >= len(items):
            continue
        following = items[place + 1]
        if following.role == "colour":
            item.used = True
        elif item.text in ("dark", "darker") and (following.thing in COLOUR_OF):
            item.used = True
            thing = following.thing or "upper"
            bound.say(f"I took “{item.text} {following.text}” as black.")
            state_colour(bound, thing, "black", item, _mode_of(item, following))
        elif item.text in ("dark", "light") and following.role in ("person", "origin"):
            item.used = True
            bound.unused.append(item.text)
            bound.say("I do not search by skin colour or origin.")


def _looks_of_hair(items: list[Item], bound: Bound) -> None:
    """ "Long black hair", "her hair is short": styles that a colour or a verb parts from the hair."""
    for place, item in enumerate(items):
        if item.thing != "hair" or (
            item.entry.attribute is not None and item.entry.attribute.value != "long"
        ):
            continue
        if item.role == "group":
            near = _adjectives_before(items, place) + _predicate(items, place)
            for word in near:
                if word.text in STYLES and word.role in ("word", "function", "attribute") and not word.used:
                    word.used = True
                    mode = word.mode if word.mode != "+" else item.mode
                    bound.stated.append((Attribute("hair", STYLES[word.text]), mode))
                    break


def _adjectives_before(items: list[Item], place: int) -> list[Item]:
    found: list[Item] = []
    for item in reversed(items[:place]):
        if item.role not in ("colour", "shade", "word", "attribute") and item.text not in ("and", *STYLES):
            break
        found.append(item)
        if item.text in STYLES:
            break
    return found


def _predicate(items: list[Item], place: int) -> list[Item]:
    if place + 1 >= len(items) or items[place + 1].text not in ("is", "was", "are", "looks", "length"):
        return []
    found = []
    for item in items[place + 2 :]:
        if item.role in ("stop", "not") or item.text in ("with", "but"):
            break
        found.append(item)
    return found


def _free(item: Item, noun: str) -> str:
    return f"“{item.text} {noun}” goes along as free words"


def _noun(thing: str) -> str:
    return {"upper": "top", "lower": "bottoms"}.get(thing, thing)


def _plural(noun: str) -> str:
    return noun if noun.endswith("s") else noun + "s"
