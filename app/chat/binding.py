"""What colours, patterns and other adjectives belong to: "blue jeans and white sneakers", "a jacket in
red".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from app.chat.carried import set_apart
from app.chat.lexicon import ALL_BUT, Entry, Span
from app.chat.pointing import (
    CLOTHING,
    STYLES,
    carried_on,
    is_quality,
    meant_by_one,
    meant_by_they,
    names_unknown,
    referred,
    second_garments,
    target_of,
)
from app.chat.qualities import lengths, noun_after, second_colour, shade_of, shaded_before
from app.chat.search_state import SearchState
from app.chat.words import (
    COLOUR_AS,
    FIGURES,
    OUTFITS,
    PRONOUNS,
    SHADE_VALUES,
    SKIN_COLOURS,
    WEARING,
    WHOLLY,
    listed,
)
from app.model.vocabulary import ALL_KINDS, COLOUR_OF, Attribute, absence, noun_of

_ALL_BUT = frozenset(ALL_BUT.split("|"))
_ARTICLES = frozenset({"a", "an", "the"})
# Of a face or of a garment, never a garment: "red faced", "white soled trainers".
_PARTS = frozenset(
    listed("faced eyed nosed cheeked lipped skinned rimmed framed soled trimmed lined laced sleeved collared")
)


@dataclass
class Bound:
    """What one message says of the person, in order. Filled by `bind`."""

    stated: list[tuple[Attribute, str]] = field(default_factory=list)  # (attribute, mode)
    things: dict[int, str] = field(default_factory=dict)  # position of a colour -> what it was said of
    notes: list[str] = field(default_factory=list)
    only_colours: list[tuple[Attribute, str]] = field(default_factory=list)  # "no red jacket", with a note
    unused: list[str] = field(default_factory=list)
    alternatives: list[str] = field(default_factory=list)  # free words: what no attribute can hold

    def note(self, sentence: str) -> None:
        """Keep a sentence for the reply, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)


def bind(
    spans: list[Span], state: SearchState, asked: str | None = None, *, beside_filters: bool = False
) -> Bound:
    """Give each colour, shade, pattern and hair style to its thing, in place; return what is stated.

    asked: the kind that the assistant asked about last; a bare colour answers it. beside_filters: the message speaks of
    a camera or a time, too: "at 18:00 it was darker".
    """
    apart = set_apart(spans)
    _compounds(spans)
    bound = Bound(stated=[*lengths(spans)], alternatives=apart)
    _whose_cut(spans, bound)
    under = second_garments(spans)
    _shades(spans, bound, under, SearchState() if beside_filters else state)
    _looks_of_hair(spans, bound)
    _lengths_of_hair(spans)
    targets = {
        position: target_of(spans, position) for position, span in enumerate(spans) if span.role == "colour"
    }
    for position, span in enumerate(spans):
        if span.role == "colour" and not span.used:
            target = targets[position]
            if target is not None and target in under:
                span.used = True
                spans[target].used |= spans[target].role == "group"
                shade = f"{spans[position - 1].text} " if _is_shaded(spans, position) else ""
                bound.alternatives.append(f"{shade}{span.text} {spans[target].text}")
                continue
            if (second := second_colour(spans, position, targets)) is not None and _is_free(second, bound):
                span.used = True
                bound.stated.append((second, "+"))
                continue
            _bind_colour(spans, position, target, bound, state, asked)
    return bound


def _compounds(spans: list[Span]) -> None:
    """ "Red-faced", "white-soled": a colour of what is no garment, one word with it. "Greyish blue": a nuance of blue.
    In place.
    """
    for position, (span, following) in enumerate(pairwise(spans)):
        if span.text in WEARING and noun_after(spans, position) is not None:
            span.entry = Entry("word")  # "a hooded jacket"
        if span.role != "colour":
            continue
        after = spans[position + 2] if position + 2 < len(spans) else None
        if following.tied and is_quality(following) and after is not None and after.role == "colour":
            span.entry = Entry("word")  # "a blue-striped white shirt"
        joined = following.tied and following.text.endswith("ed")
        if following.role == "word" and (joined or following.text in _PARTS):
            span.entry = Entry("word")
        elif span.text.endswith("ish") and following.role == "colour":
            span.entry = Entry("shade")


def _is_shaded(spans: list[Span], position: int) -> bool:
    return position > 0 and spans[position - 1].role == "shade"


def _is_free(attribute: Attribute, bound: Bound) -> bool:
    return all(other.kind != attribute.kind for other, _ in bound.stated)


def _bind_colour(
    spans: list[Span], position: int, target: int | None, bound: Bound, state: SearchState, asked: str | None
) -> None:
    span = spans[position]
    colour = span.entry.colour or ""
    if names_unknown(spans, position) and (target is None or target < position):
        span.entry = Entry("word")
        if position > 0 and spans[position - 1].role == "shade":
            spans[position - 1].entry, spans[position - 1].used = Entry("word"), False
        return
    span.used = True
    if target is None:
        _bind_loose(spans, position, bound, state, asked)
        return
    noun = spans[target]
    if noun.role == "person" or (noun.entry.attribute is not None and noun.entry.attribute.kind == "gender"):
        _colour_of_person(span, noun, bound)
        return
    thing = noun.thing or meant_by_one(spans, target, state, asked)
    if noun.entry.attribute is not None and noun.entry.attribute.kind == "upper_pattern":
        thing = None if noun.text in FIGURES else "upper"
    if thing is None or thing not in COLOUR_OF:
        name = thing if noun.role == "one" and thing else noun.text
        if noun.role == "one" and thing is not None:  # "yes, a red one", of an umbrella
            bound.stated += [(one, "+") for one in absence(thing) if len(absence(thing)) == 1]
        bound.alternatives.append(f"{span.text} {name}")
        if thing is not None:
            known = "beard" if thing == "beard" else name  # "white-bearded"
            bound.note(f"I know no colours of {_plural(known)}; {_free(span, name)}.")
        return
    if noun.role == "one":
        noun.used = True
        _restate(spans, target, thing, bound)
    mode = _mode_of(span, noun)
    if noun.mode == "-" == mode and noun.role == "attribute" and _all_but(spans, position):
        if noun.text in ("shoes", "shoe"):
            bound.note(f"There I leave out the colour {span.text} alone, with whatever {noun.text}.")
        else:
            bound.note(
                f"I leave out both: {span.text} {_plural(noun_of(thing))} of any kind, and every {noun.text}."
            )
    elif noun.mode == "-" == mode and noun.role in ("attribute", "group"):
        noun.used = True  # "not a red jacket": other jackets may stay
        if colour in ALL_KINDS[COLOUR_OF[thing]]:
            note = f"There I leave out the colour {span.text} alone, with whatever {noun.text}."
            bound.only_colours.append((Attribute(COLOUR_OF[thing], colour), note))
    bound.things[position] = thing
    if noun.text in OUTFITS:
        bound.note(f"I took “{span.text} {noun.text}” as the colour of the top.")
    state_colour(bound, thing, colour, span, mode, noun.text if noun.role in ("attribute", "group") else None)


def _restate(spans: list[Span], one: int, thing: str, bound: Bound) -> None:
    """ "Not the red jacket, the blue one" still looks for a jacket."""
    named = next((span for span in reversed(spans[:one]) if span.thing == thing), None)
    if named is None or named.entry.attribute is None:
        return
    if named.mode == "x" or (named.used and named.mode == "-"):
        bound.stated.append((named.entry.attribute, "+"))


def _whose_cut(spans: list[Span], bound: Bound) -> None:
    """ "With a man's jacket", "carrying a woman's handbag": whose cut it is, not who is sought."""
    for position, (span, noun) in enumerate(pairwise(spans)):
        before = [
            other.text for other in spans[max(0, position - 2) : position] if other.text not in _ARTICLES
        ]
        worn = bool(before) and before[-1] in CLOTHING | {
            "carrying",
            "holding",
            "carries",
            "has",
            "had",
            "wore",
        }
        if _says_gender(span) and noun.thing is not None and worn and span.text not in PRONOUNS:
            span.entry, span.used = Entry("word"), True
            bound.alternatives.append(f"{span.text}'s {noun.text}")


def _all_but(spans: list[Span], position: int) -> bool:
    """Whether "anything but" and its like, the nearest such words, exclude what stands at `position`."""
    return next((span.text in _ALL_BUT for span in reversed(spans[:position]) if span.role == "not"), False)


def _mode_of(span: Span, noun: Span) -> str:
    """ "The jacket is not red" excludes the colour alone; "no red jacket" excludes as well."""
    return span.mode if span.mode != "+" else ("x" if noun.mode == "x" else "+")


def state_colour(
    bound: Bound, thing: str, colour: str, span: Span, mode: str, noun: str | None = None
) -> bool:
    """State a colour of a thing, in the words of the vocabulary; say so where it has none. True if stated."""
    noun = noun or noun_of(thing)
    kind = COLOUR_OF[thing]
    if colour not in ALL_KINDS[kind]:
        colour = COLOUR_AS.get(
            (kind, colour), "beige" if colour == "blond" and kind != "hair_colour" else colour
        )
    if colour not in ALL_KINDS[kind]:
        bound.note(
            f"I know no {span.text} {noun} (only {', '.join(ALL_KINDS[kind])}); it goes along in your own words."
        )
        bound.alternatives.append(f"{span.text} {noun}")
        return False
    earlier = [a.value for a, m in bound.stated if a.kind == kind and m == "+"]
    if mode == "+" and earlier:
        if colour not in earlier:
            bound.note(
                f"I can look for one colour of the {noun_of(thing)} at a time: I took {earlier[0]}; "
                f"{_free(span, noun)}."
            )
            bound.alternatives.append(f"{span.text} {noun}")
        return False
    bound.stated.append((Attribute(kind, colour), mode))
    return True


def _bind_loose(
    spans: list[Span], position: int, bound: Bound, state: SearchState, asked: str | None
) -> None:
    """A colour with no thing beside it: "dressed in black", "no, orange", "it's blue"."""
    span = spans[position]
    colour = span.entry.colour or ""
    if colour == "blond" or (span.text == "ginger"):
        state_colour(bound, "hair", colour, span, span.mode)
        return
    if span.text in SKIN_COLOURS and _said_of_person(spans, position):
        bound.unused.append(span.text)
        bound.note("I do not search by skin colour or origin; “in black” would speak of the clothes.")
        return
    things_here = any(other.thing is not None or _says_gender(other) for other in spans if other is not span)
    if (thing := meant_by_they(spans, position) or carried_on(spans, position, bound.things)) is not None:
        bound.things[position] = thing
        state_colour(bound, thing, colour, span, span.mode)
        return
    asked_thing = next((thing for thing, kind in COLOUR_OF.items() if asked in (kind, thing)), None)
    if asked_thing is not None and not things_here:
        state_colour(bound, asked_thing, colour, span, span.mode)
        return
    dressed = any(
        other.text in ("dressed", "wearing", "wears", "clad", "in", "all") for other in spans[:position]
    )
    if not things_here and not dressed:
        thing = referred(spans, state)
        if thing is not None:
            state_colour(bound, thing, colour, span, span.mode)
            return
    if not state_colour(bound, "upper", colour, span, span.mode):
        return
    whole = any(other.text in WHOLLY for other in spans[:position])
    if whole and span.mode == "+":
        state_colour(bound, "lower", colour, span, span.mode)
        bound.note(f"I took “{span.text}” as the colour of the top and of the trousers or skirt.")
    elif span.mode == "+":
        bound.note(f"I took “{span.text}” as the colour of the top.")


def _said_of_person(spans: list[Span], position: int) -> bool:
    """ "He is white", "the man was black": not of the clothes."""
    if position < 2 or spans[position - 1].text not in ("is", "was", "are", "were"):
        return False
    subject = spans[position - 2]
    attribute = subject.entry.attribute
    return subject.role == "person" or (attribute is not None and attribute.kind == "gender")


def _says_gender(span: Span) -> bool:
    attribute = span.entry.attribute
    return (
        attribute is not None
        and attribute.kind == "gender"
        and span.text not in ("it", "she", "he", "her", "his")
    )


def _colour_of_person(span: Span, noun: Span, bound: Bound) -> None:
    colour = span.entry.colour or ""
    if colour in ("blond", "grey", "red", "orange", "beige") and span.text not in ("red", "orange", "tan"):
        state_colour(bound, "hair", colour, span, span.mode)
    elif colour in SKIN_COLOURS or span.text == "tan":
        bound.unused.append(f"{span.text} {noun.text}")
        bound.note("I do not search by skin colour or origin; “in black” would speak of the clothes.")
    elif state_colour(bound, "upper", colour, span, span.mode):
        bound.note(f"I took “{span.text}” as the colour of the top.")


def _shades(spans: list[Span], bound: Bound, under: set[int], state: SearchState) -> None:
    """ "Dark blue" is blue, and on clothes dark; "dark shoes" are taken as black, "light hair" is in the vocabulary."""
    for position, span in enumerate(spans):
        if span.role != "shade" or span.used:
            continue
        if things := shaded_before(spans, position, state):
            span.used = True
            for thing in things:
                if thing in ("upper", "lower"):
                    bound.stated.append((Attribute(f"{thing}_shade", SHADE_VALUES[span.text]), span.mode))
                else:
                    _as_black(span, noun_of(thing), thing, bound)
            continue
        if position + 1 >= len(spans):
            continue
        following = spans[position + 1]
        if is_quality(following):  # "a dark striped shirt"
            following = noun_after(spans, position) or following
        noun = spans[position + 2] if position + 2 < len(spans) else None
        if following.role == "colour":
            span.used = True
            target = target_of(spans, position + 1)
            if target in under:  # its free words have the shade
                continue
            shaded = shade_of(span, spans[target]) if target is not None else None
            if shaded is not None and shaded[1] == "+":
                bound.stated.append(shaded)
            elif span.mode != "+":
                bound.note(
                    f"I took “{span.text} {following.text}” as {following.entry.colour}, whatever its shade."
                )
        elif (shaded := shade_of(span, following)) is not None:
            span.used = True
            bound.stated.append(shaded)
        elif (
            following.text in ("coloured", "colored") and noun is not None and noun.thing and span.mode == "+"
        ):
            shaded = shade_of(span, noun)
            span.used = True
            if shaded is not None:
                bound.stated.append(shaded)
            elif noun.role == "group":  # else the thing's own words hold it
                bound.alternatives.append(f"{span.text}-{following.text} {noun.text}")
        elif span.text in ("dark", "darker") and (following.thing in COLOUR_OF):
            span.used = True
            _as_black(span, following.text, following.thing or "upper", bound, _mode_of(span, following))
        elif span.text in ("dark", "light") and following.role in ("person", "origin"):
            span.used = True
            bound.unused.append(span.text)
            bound.note("I do not search by skin colour or origin.")


def _as_black(span: Span, noun: str, thing: str, bound: Bound, mode: str = "") -> None:
    """ "Dark shoes", of which no shades are known."""
    bound.note(f"I took “{span.text} {noun}” as black.")
    state_colour(bound, thing, "black", span, mode or span.mode)


def _looks_of_hair(spans: list[Span], bound: Bound) -> None:
    """ "Long black hair", "her hair is short": styles that a colour or a verb parts from the hair."""
    for position, span in enumerate(spans):
        if span.thing != "hair" or (
            span.entry.attribute is not None and span.entry.attribute.value != "long"
        ):
            continue
        if span.role == "group":
            near = _adjectives_before(spans, position) + _predicate(spans, position)
            for word in near:
                if word.text in STYLES and word.role in ("word", "function", "attribute") and not word.used:
                    word.used = True
                    mode = word.mode if word.mode != "+" else span.mode
                    bound.stated.append((Attribute("hair", STYLES[word.text]), mode))
                    break


def _lengths_of_hair(spans: list[Span]) -> None:
    """ "Shoulder-length brown hair": the length is no word of its own. In place."""
    for span, following in pairwise(spans):
        following.used |= span.text in STYLES and span.used and following.text == "length"


def _adjectives_before(spans: list[Span], position: int) -> list[Span]:
    adjectives: list[Span] = []
    for at in reversed(range(position)):
        span = spans[at]
        if span.thing is not None:
            break
        listed = span.text == "," and bool(adjectives)  # "long, black hair"
        if not (
            listed or span.role in ("colour", "shade", "word", "attribute") or span.text in ("and", *STYLES)
        ):
            break
        adjectives.append(span)
        if span.text in STYLES:
            break
    return adjectives


def _predicate(spans: list[Span], position: int) -> list[Span]:
    if position + 1 >= len(spans) or spans[position + 1].text not in (
        *("is", "was", "are", "looks", "length", ":"),
    ):
        return []
    predicate = []
    for span in spans[position + 2 :]:
        if span.role in ("stop", "not") or span.text in ("with", "but"):
            break
        predicate.append(span)
    return predicate


def _free(span: Span, noun: str) -> str:
    return f"“{span.text} {noun}” goes along in your own words"


def _plural(noun: str) -> str:
    return "scarves" if noun == "scarf" else noun if noun.endswith("s") else noun + "s"
