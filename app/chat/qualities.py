"""What a garment is like beside its colour: how dark, how long, and in which second colour; and what only looks like an
attribute of the person sought: a child that comes along, a jacket's own hood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.chat.lexicon import Span
from app.chat.pointing import is_quality
from app.chat.search_state import SearchState
from app.chat.words import LENGTHS, PRONOUNS, SHADE_VALUES, listed
from app.model.vocabulary import Attribute

_CHILDREN = frozenset({"boy", "boys", "girl", "girls"})
_LINKS = frozenset(listed("is was are were be been looks look looked seems seem seemed"))
_MAKES = frozenset(listed("make made making"))
_HOW_MUCH = frozenset(
    listed("very much a bit lot more rather quite fairly pretty really slightly even probably maybe all not")
)
_BEHIND = frozenset(listed("than and but in though with"))
_GARMENTS = frozenset({"upper", "lower"})
_SHADED = _GARMENTS | {"shoes", "bag", "hat", "hair"}  # dark ones, which are taken as black
_DETERMINERS = frozenset({"the", "a", "his", "her", "their"})
_WITH_LENGTH = frozenset({"coat", "dress"})  # the tops of which a length is known
Stated = tuple[Attribute, str]  # with its mode


def shade_of(shade: Span, noun: Span) -> Stated | None:
    """ "Dark" of "a dark jacket" or "a dark blue jacket"; None where the vocabulary knows no shades of such things."""
    value = SHADE_VALUES.get(shade.text)
    if value is None or noun.thing not in ("upper", "lower"):
        return None
    return Attribute(f"{noun.thing}_shade", value), shade.mode if shade.mode != "+" else noun.mode


def shaded_before(spans: Sequence[Span], position: int, state: SearchState) -> list[str]:
    """The things that a shade is told of which stands behind them: "the jacket was dark", "make the coat lighter"; "it
    was darker", of what was said last ("it was dark" is said of the night). None where that is nothing that is worn."""
    following = spans[position + 1] if position + 1 < len(spans) else None
    value = SHADE_VALUES.get(spans[position].text)
    if value is None or (
        following is not None and following.role != "stop" and following.text not in _BEHIND
    ):
        return []
    shaded = _SHADED if value == "dark" else _GARMENTS
    at = position - 1
    while at >= 0 and spans[at].text in _HOW_MUCH:
        at -= 1
    linked = at >= 0 and spans[at].text in _LINKS
    at -= linked
    if at < 0 or not (linked or any(span.text in _MAKES for span in spans[:at])):
        return []
    if spans[at].text in ("it", "they") and spans[position].text in ("darker", "lighter"):
        before = [span for span in spans[:at] if span.role not in ("function", "corrective", "stop")]
        named = [span.thing for span in before[-1:]] if before else [a.kind for a in reversed(state.wanted)]
        fitting = {"lower"} if spans[at].text == "they" else _GARMENTS
        return [thing for thing in named if thing is not None and thing in fitting][:1]
    things = []
    while at >= 0 and spans[at].thing in shaded:
        things.append(spans[at].thing or "")
        at -= 1
        while at >= 0 and spans[at].text in _DETERMINERS:
            at -= 1
        if at < 1 or spans[at].text != "and":  # "the jacket and the jeans were dark"
            break
        at -= 1
    return things


def lengths(spans: Sequence[Span]) -> list[Stated]:
    """ "A long coat", "a knee-length skirt": what is said of the length of coats, dresses and what is worn below.

    Marks the words that it used.
    """
    found: list[Stated] = []
    for position, span in enumerate(spans):
        value = LENGTHS.get(span.text)
        noun = noun_after(spans, position) if value is not None and not span.used else None
        if value is None or noun is None or noun.mode != span.mode:
            continue
        worn = noun.entry.attribute.value if noun.entry.attribute is not None else ""
        if (
            noun.thing == "upper"
            and (noun.role == "group" or worn in _WITH_LENGTH)
            and value != "knee-length"
        ):
            found.append((Attribute("upper_length", value), span.mode))
        elif noun.thing == "lower":
            found.append((Attribute("lower_length", value), span.mode))
        else:
            continue
        span.used = True
    return found


def noun_after(spans: Sequence[Span], position: int) -> Span | None:
    """The thing that an adjective describes, with other adjectives between at most."""
    for span in spans[position + 1 :]:
        if span.thing is not None:
            return span
        if not (is_quality(span) or span.role in ("colour", "shade") or span.text in ("and", ",")):
            return None
    return None


def second_colour(
    spans: Sequence[Span], position: int, targets: Mapping[int, int | None]
) -> Attribute | None:
    """The white of "a red and white shirt": a second colour of the top that the colour before it is said of."""
    at = position - 1
    while at >= 0 and spans[at].role == "shade":
        at -= 1
    target = targets.get(position)
    if at < 1 or spans[at].text != "and" or target is None or spans[target].thing != "upper":
        return None
    first = spans[at - 1]
    colour = spans[position].entry.colour or ""
    alike = first.role == "colour" and targets.get(at - 1) == target and first.entry.colour != colour
    if not alike or {first.mode, spans[position].mode} != {"+"} or colour == "blond":
        return None
    return Attribute("upper_second_colour", colour)


def kind_of(span: Span) -> str:
    """The kind of attribute that a span states; "" for none."""
    return span.entry.attribute.kind if span.entry.attribute is not None else ""


def after_adult(spans: Sequence[Span], position: int) -> bool:
    """Whether somebody was named before: "a woman with a child" is no child."""
    return any(
        kind_of(span) == "gender" and span.text not in PRONOUNS and span.text not in _CHILDREN
        for span in spans[:position]
        if kind_of(spans[position]) in ("gender", "age")
    )


def part_of_top(spans: Sequence[Span], position: int) -> bool:
    """ "A jacket with a hood": the hood is the jacket's, whether it is up or down."""
    before = position - 1
    while before > 0 and spans[before].text in ("a", "the", "fur", "furry", "has"):
        before -= 1
    return before > 0 and spans[before].text == "with" and spans[before - 1].thing == "upper"
