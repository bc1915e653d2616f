"""How a message changes what is known: the one place where adding, replacing, excluding and dropping meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.chat.values import Known, Understood, parts_of, thing_of
from app.model.vocabulary import COLOUR_OF, KINDS, Attribute
from app.retrieval.query import Reference

MAX_TEXT = 300  # characters of free words kept; CLIP reads no more than that
MAX_REFERENCES = 12


def apply(known: Known, message: Understood, photos: Sequence[Reference] = ()) -> Known:
    """The state after a message and its photos. Photos stand for the person: they replace the earlier words
    and pictures, unless the message says that they join them.
    """
    if message.intent == "reset":
        return Known()
    if message.intent != "search":
        return known
    if photos and not message.adds_photos:
        known = replace(known, wanted=(), unwanted=(), text=(), references=(), confirmed=())
    references = (*known.references, *(photo for photo in photos if photo not in known.references))
    wanted = _without_dropped(known.wanted, message)
    unwanted = _without_dropped(known.unwanted, message)
    wanted = _restated(wanted, message)

    said = {attribute.kind: attribute for attribute in message.wanted}
    excluded = [attribute for attribute in message.unwanted if attribute.kind not in said]
    absent = {kind for kind in KINDS if is_absent(kind, excluded)}
    gone = {part for kind in absent for part in parts_of(kind)}
    wanted = tuple(
        attribute
        for attribute in wanted
        if attribute.kind not in said and attribute.kind not in gone and attribute not in excluded
    )
    wanted = (*wanted, *(attribute for attribute in said.values() if attribute.kind not in gone))
    # A colour that is said of a thing says that the thing is there: "a red bag" after "no bag".
    present = {thing_of(kind) for kind in said} | set(message.freed)
    freed = set(said) | {kind for kind in present if kind in KINDS and is_absent(kind, unwanted)}
    unwanted = tuple(
        attribute for attribute in unwanted if attribute.kind not in freed and attribute not in excluded
    )
    unwanted = (*unwanted, *excluded)
    return replace(
        known,
        wanted=wanted,
        unwanted=unwanted,
        text=_text(known.text, message),
        references=references[-MAX_REFERENCES:],
        filters=message.filters,
        other_clothes=known.other_clothes if message.other_clothes is None else message.other_clothes,
    )


def is_absent(kind: str, unwanted: Sequence[Attribute]) -> bool:
    """True when every value of a kind that can be absent is excluded: "no hat"."""
    values = KINDS[kind]
    if "none" not in values:
        return False
    return {value for value in values if value != "none"} <= {a.value for a in unwanted if a.kind == kind}


def absence(kind: str) -> tuple[Attribute, ...]:
    """All values of a kind but "none": what "no hat" excludes."""
    return tuple(Attribute(kind, value) for value in KINDS[kind] if value != "none")


def _without_dropped(attributes: tuple[Attribute, ...], message: Understood) -> tuple[Attribute, ...]:
    whole = {part for kind in message.dropped for part in (parts_of(kind) if kind in COLOUR_OF else (kind,))}
    said = {attribute.kind for attribute in message.wanted}
    for attribute in message.dropped_values:
        # "forget the backpack" takes its colour along; "a coat instead of the jacket" keeps it
        if attribute in attributes and attribute.kind not in said:
            whole.update(part for part in parts_of(attribute.kind) if part != attribute.kind)
    return tuple(a for a in attributes if a.kind not in whole and a not in message.dropped_values)


def _restated(wanted: tuple[Attribute, ...], message: Understood) -> tuple[Attribute, ...]:
    """A thing named anew, in another colour or after "the same person, but now", is another thing: what was
    known of the old one's colour and pattern no longer holds. "Actually it was a coat" keeps them.
    """
    said = {attribute.kind for attribute in message.wanted}
    stale: set[str] = set()
    for thing in COLOUR_OF:
        named, coloured = thing in said, COLOUR_OF[thing] in said
        if thing != "hair" and ((named and coloured) or (message.refers_back and named)):
            stale.update(parts_of(thing))
    return tuple(attribute for attribute in wanted if attribute.kind not in stale)


def _text(text: tuple[str, ...], message: Understood) -> tuple[str, ...]:
    kept = [phrase for phrase in text if not any(word in phrase.split() for word in message.dropped_text)]
    kept += [phrase for phrase in message.text if phrase not in kept]
    while len(kept) > 1 and len("; ".join(kept)) > MAX_TEXT:  # the newest words are the ones meant
        kept.pop(0)
    return tuple(phrase[:MAX_TEXT] for phrase in kept)
