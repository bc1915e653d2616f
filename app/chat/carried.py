"""Clothes that are carried and not worn: "a jacket over his arm", "carrying a red coat"."""

from __future__ import annotations

from collections.abc import Sequence

from app.chat.lexicon import Entry, Span
from app.chat.words import listed

_WORN = frozenset({"upper", "lower", "shoes", "hat"})
_CARRYING = frozenset(listed("carrying carries carried holding holds held clutching"))
_DETERMINERS = frozenset(listed("a an the his her their one both some"))
_BESIDE = frozenset(listed("big small large folded spare second extra pair of"))
_HUNG = frozenset(
    listed("tied draped slung folded wrapped carried thrown knotted held hung hanging bundled rolled up and")
)
_KNOTTED = frozenset({"tied", "knotted", "wrapped"})
_AT = frozenset(listed("over on in under across round around about"))
_OFF_THE_BODY = frozenset(listed("arm arms forearm hand hands bag backpack"))
_HIPS = frozenset(listed("waist hip hips"))
_SHOULDERS = frozenset(listed("shoulder shoulders neck"))


def set_apart(spans: Sequence[Span]) -> list[str]:
    """Take what is carried out of the clothes, and return it in words. In place."""
    phrases = []
    for position, span in enumerate(spans):
        if span.thing not in _WORN or span.mode != "+":
            continue
        end = _hung_until(spans, position)
        verb = _carrying(spans, position)
        if end == position + 1 and verb is None:
            continue
        start = _start(spans, position) if verb is None else verb
        phrases.append(" ".join(other.text for other in spans[start:end]))
        for at, other in enumerate(spans[start:end], start=start):
            there = at > position and other.thing is not None  # "a coat folded over her bag"
            if not there and other.text not in _DETERMINERS:  # "over his arm" says who
                other.entry, other.used = Entry("function"), True
    return phrases


def _start(spans: Sequence[Span], noun: int) -> int:
    """Where the words that describe a noun begin."""
    start = noun
    while start > 0 and _describes(spans[start - 1]):
        start -= 1
    while start < noun and spans[start].text in ("and", "of", "with", "a", "an", "the"):
        start += 1
    return start


def _describes(span: Span) -> bool:
    attribute = span.entry.attribute
    of_top = attribute is not None and attribute.kind.startswith("upper_")
    return of_top or span.role in ("colour", "shade") or span.text in _DETERMINERS | _BESIDE


def _hung_until(spans: Sequence[Span], noun: int) -> int:
    """One past the words that say that a noun hangs somewhere, "tied round his waist"; `noun` + 1 where none do."""
    at = noun + 1
    while at < len(spans) and spans[at].text in _HUNG:
        at += 1
    how = {span.text for span in spans[noun + 1 : at]}
    if at >= len(spans) or spans[at].text not in _AT:
        return noun + 1
    is_over = spans[at].text == "over"
    at += 1
    while at < len(spans) and spans[at].text in _DETERMINERS:
        at += 1
    place = spans[at].text if at < len(spans) else ""
    hangs = place in _OFF_THE_BODY or (
        place in _HIPS and spans[noun].thing == "upper"
    )  # trousers are worn there
    hangs = hangs or (place in _SHOULDERS and (bool(how & _KNOTTED) or (is_over and bool(how))))
    return at + 1 if hangs else noun + 1


def _carrying(spans: Sequence[Span], noun: int) -> int | None:
    """ "Carrying a red jacket": where the verb stands whose object a noun is, or None."""
    before = noun - 1
    while before >= 0 and _describes(spans[before]):
        before -= 1
    following = spans[noun + 1] if noun + 1 < len(spans) else None
    if following is not None and following.thing is not None:
        return None  # "carrying a suit bag"
    return before if before >= 0 and spans[before].text in _CARRYING else None
