"""The operator's own words for a thing that an attribute was read from: "maroon jumper" for a red sweater."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from app.chat.labels import thing_label
from app.chat.lexicon import Span
from app.chat.pointing import target_of
from app.chat.qualities import shade_of
from app.chat.words import listed
from app.model.vocabulary import Attribute, kinds_of

_SAID_AFTER = frozenset(
    listed("in is was were are be could may might either more of a an rather very really quite kind sort")
)
_SIZES = frozenset({"big", "small", "large", "huge", "little", "tiny"})
_BETWEEN = frozenset({"and", "or", "coloured", "colored"})  # "red or orange", "dark-coloured"


def own_words(
    spans: Sequence[Span], wanted: Mapping[str, Attribute], message: str
) -> tuple[tuple[str, str], ...]:
    """(kind of thing, words) of each wanted thing whose words are not those of the vocabulary anyway.

    spans: of the message, with their modes. wanted: kind -> what they were read as. message: as typed, for its
    hyphens.
    """
    found: dict[str, str] = {}
    for position, span in enumerate(spans):
        thing = span.thing
        parts = [wanted[kind] for kind in kinds_of(thing) if kind in wanted] if thing else []
        named = span.entry.attribute  # of "tan shoes" only the colour is taken
        other_value = named is not None and wanted.get(named.kind, named) != named
        if thing is None or span.mode != "+" or not parts or other_value:
            continue
        words = as_typed(_phrase(spans, position), message)
        if not _plain(words) <= _plain(thing_label(thing, parts)):
            found[thing] = (
                f"{found[thing]}, {words}" if thing in found and words not in found[thing] else words
            )
    return tuple(found.items())


def shades_besides(spans: Sequence[Span], said: Sequence[str], wanted: Mapping[str, Attribute]) -> list[str]:
    """ "Dark red", of shades of a colour that neither the phrases `said` nor what is wanted of a garment has."""
    told = " ".join(said).replace("-", " ")
    shades = []
    for position, (span, colour) in enumerate(pairwise(spans), 1):
        if span.role != "shade" or not span.used or not span.mode == colour.mode == "+":
            continue
        if colour.role != "colour" and colour.text not in ("coloured", "colored"):
            continue
        target = target_of(spans, position) if colour.role == "colour" else position + 1
        noun = spans[target] if target is not None and target < len(spans) else None
        stated = shade_of(span, noun) if noun is not None else None
        if stated is None or wanted.get(stated[0].kind) != stated[0]:
            shades.append(f"{span.text} {colour.text}")
    return [shade for shade in shades if shade not in told]


def _phrase(spans: Sequence[Span], position: int) -> list[Span]:
    """The thing with the colours, shades and patterns right before it, or else said of it right after."""
    start = position
    while start > 0 and _describes(spans[start - 1], spans[position]):
        start -= 1
    while spans[start].text in _BETWEEN:
        start += 1
    return [*(spans[start:position] or _after(spans, position)), spans[position]]


def _after(spans: Sequence[Span], position: int) -> Sequence[Span]:
    """The colours of "the jacket could be red or orange"; none where they are another thing's."""
    start = position + 1
    while start < len(spans) and spans[start].text in _SAID_AFTER:
        start += 1
    end = start
    while end < len(spans) and _describes(spans[end], spans[position]):
        end += 1
    if start == position + 1 or (end < len(spans) and spans[end].role != "stop"):
        return ()
    return spans[start:end]


def _describes(span: Span, noun: Span) -> bool:
    if span.mode != noun.mode:
        return False
    attribute = span.entry.attribute
    own = attribute is not None and attribute.kind in kinds_of(noun.thing or "") and span.thing is None
    return own or span.role in ("colour", "shade") or span.text in _BETWEEN or span.text in _SIZES


def as_typed(phrase: Sequence[Span], message: str) -> str:
    """The words of spans, with the hyphens that `message` has between them."""
    words = " ".join(span.raw.casefold() if span.role == "age" else span.text for span in phrase).split()
    text, said = words[0], message.casefold()
    for before, word in pairwise(words):
        text += ("-" if f"{before}-{word}" in said else " ") + word
    return text


def _plain(words: str) -> set[str]:
    """Words without their plural, so that "jackets" says no more than "jacket"."""
    return {word.removesuffix("s") for word in words.replace("-", " ").split()}
