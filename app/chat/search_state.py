"""What one conversation deals in: the gallery's facts, what a message says, what is looked for after it, and
the candidates on the screen. `apply` alone changes what is looked for: by adding, replacing, excluding, dropping.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from app.chat.lexicon import spans_of
from app.chat.message_tokens import tokenise
from app.model.vocabulary import ALL_KINDS, COLOUR_OF, Attribute, Kinds, is_absent, kinds_of, thing_of
from app.retrieval.query import Reference
from app.retrieval.ranking import Candidate
from gallery_store.crops import Crop, Filters

if TYPE_CHECKING:
    from app.model.answers import AttributeReading

SURE = 0.5  # confidence from which a reading is told to the operator
MAX_TEXT = 300  # characters of free words kept; CLIP reads no more than that
MAX_REFERENCES = 12


@dataclass(frozen=True)
class GalleryFacts:
    """What the gallery has to choose from: the names of its cameras, its local days and hours of the day, 0..23, and
    the local date and, where known, the time now, naive.
    """

    cameras: tuple[str, ...] = ()
    days: tuple[date, ...] = ()
    today: date = date.min
    now: datetime | None = None
    hours: tuple[int, ...] = ()


@dataclass(frozen=True)
class Companion:
    """Somebody who is with the person sought, and is not looked for.

    who: as the message called them, with what it said of them at once: "a woman in a green dress". relation: how they
    stand to the person sought: "with", "behind". more: what was said of them later. noun: what names them again,
    "mother". gender: "man", "woman" or "".
    """

    who: str
    relation: str = "with"
    more: tuple[str, ...] = ()
    noun: str = ""
    gender: str = ""

    @property
    def in_words(self) -> str:
        """ "his mother, a red coat"."""
        return ", ".join((self.who, *self.more))


@dataclass(frozen=True)
class SearchState:
    """All that has been understood, after one step. `wanted` has one value of each kind, oldest first."""

    wanted: tuple[Attribute, ...] = ()
    unwanted: tuple[Attribute, ...] = ()
    text: tuple[str, ...] = ()  # free phrases that the attributes do not cover
    references: tuple[Reference, ...] = ()
    filters: Filters = field(default_factory=Filters)
    rejected: tuple[int, ...] = ()  # image ids, in the order of rejection
    confirmed: tuple[int, ...] = ()
    other_clothes: bool = False  # the person may wear others than in the pictures
    words: tuple[tuple[str, str], ...] = ()  # kind of a wanted thing -> how the operator called it
    companions: tuple[Companion, ...] = ()

    @property
    def company(self) -> tuple[str, ...]:
        """Who is with the person: "with his mother, a red coat"."""
        return tuple(f"{companion.relation} {companion.in_words}" for companion in self.companions)

    @property
    def free_words(self) -> tuple[str, ...]:
        """All that goes to CLIP and the model in words of its own: free phrases, and who is with the person."""
        return (*self.text, *self.company)

    def value(self, kind: str) -> str | None:
        """The wanted value of a kind, or None."""
        return next((attribute.value for attribute in self.wanted if attribute.kind == kind), None)

    @property
    def is_empty(self) -> bool:
        """Neither words nor pictures nor filters."""
        known = self.wanted or self.unwanted or self.free_words or self.references
        return not known and self.filters.is_empty


@dataclass(frozen=True)
class ParsedMessage:
    """What one message says.

    intent: "search", or one that is answered without a search: "empty", "greeting", "thanks", "yes", "no",
    "help", "identity", "question", "unanswered", "off-topic", "other-language", "not-this-one",
    "complaint" about the candidates, "undo", "redo"; "reset" clears everything.
    starts_over: it clears everything first, and then describes the next person.
    wanted, unwanted: what it states of the person; dropped: kinds it takes back ("forget the hat": "hat").
    dropped_values: single values it takes back ("no longer the backpack"). freed: kinds whose exclusion it
    lifts without naming a value ("with a bag"). text: phrases outside the vocabulary, passed on as free
    words. words: kind of a wanted thing -> how the message calls it, where the vocabulary calls it otherwise.
    companions: those that are known after the message.
    filters: those that hold after the message. unused: words it cannot use. corrections: (typed, read).
    notes: whole sentences on how words were taken. refers_back: "the same person, but now ...".
    adds_photos: the photos of this message join the earlier ones. other_clothes: whether the person may wear others
    than in the pictures; None where it says nothing of that.
    """

    intent: str = "search"
    wanted: tuple[Attribute, ...] = ()
    unwanted: tuple[Attribute, ...] = ()
    dropped: tuple[str, ...] = ()
    dropped_values: tuple[Attribute, ...] = ()
    dropped_text: tuple[str, ...] = ()
    freed: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    words: tuple[tuple[str, str], ...] = ()
    companions: tuple[Companion, ...] = ()
    filters: Filters = field(default_factory=Filters)
    refers_back: bool = False
    adds_photos: bool = False
    other_clothes: bool | None = None
    unused: tuple[str, ...] = ()
    corrections: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    question: str | None = None
    starts_over: bool = False

    @property
    def clears(self) -> bool:
        """Whether what was known before holds no more."""
        return self.starts_over or self.intent == "reset"


@dataclass(frozen=True)
class ShownCandidate:
    """A candidate on the screen, with what the model reads in it; no readings where it was not asked.

    kinds: that the model knows, with their values.
    """

    crop: Crop
    candidate: Candidate
    readings: Sequence[AttributeReading] = ()
    kinds: Kinds = field(default_factory=lambda: ALL_KINDS)

    def read(self, kind: str) -> Attribute | None:
        """What the model reads of a kind, or None where it reads nothing or is not sure of it."""
        return next((attribute for attribute in self.sure if attribute.kind == kind), None)

    @property
    def sure(self) -> tuple[Attribute, ...]:
        """The attributes that the model reads more surely than not."""
        return tuple(reading.attribute for reading in self.readings if reading.confidence >= SURE)


def photo(path: str | Path) -> Reference:
    """A picture that the operator brought, as a reference."""
    return Reference(file=Path(path))


def apply(state: SearchState, message: ParsedMessage, photos: Sequence[Reference] = ()) -> SearchState:
    """The state after a message and its photos. Photos stand for the person: they replace the earlier words
    and pictures, unless the message says that they join them.
    """
    if message.clears:
        state = SearchState()
    if message.intent != "search":
        return state
    companions = message.companions
    if photos and not message.adds_photos:
        companions = tuple(companion for companion in companions if companion not in state.companions)
        state = replace(state, wanted=(), unwanted=(), text=(), words=(), references=(), confirmed=())
    references = (*state.references, *(photo for photo in photos if photo not in state.references))
    wanted = _without_dropped(state.wanted, message)
    unwanted = _without_dropped(state.unwanted, message)
    wanted = _restated(wanted, message)

    stated = {attribute.kind: attribute for attribute in message.wanted}
    excluded = [attribute for attribute in message.unwanted if attribute.kind not in stated]
    absent = {kind for kind in ALL_KINDS if is_absent(kind, excluded)}
    absent_kinds = {part for kind in absent for part in kinds_of(kind)}
    wanted = tuple(
        attribute
        for attribute in wanted
        if attribute.kind not in stated and attribute.kind not in absent_kinds and attribute not in excluded
    )
    wanted = (*wanted, *(attribute for attribute in stated.values() if attribute.kind not in absent_kinds))
    # A colour that is said of a thing says that the thing is there: "a red bag" after "no bag".
    present = {thing_of(kind) for kind in stated} | set(message.freed)
    freed = set(stated) | {kind for kind in present if kind in ALL_KINDS and is_absent(kind, unwanted)}
    unwanted = tuple(
        attribute for attribute in unwanted if attribute.kind not in freed and attribute not in excluded
    )
    unwanted = (*unwanted, *excluded)
    return replace(
        state,
        wanted=wanted,
        unwanted=unwanted,
        text=_text([phrase for phrase in state.text if not _withdrawn(phrase, wanted, message)], message),
        words=_words(state, wanted, message),
        companions=companions,
        references=references[-MAX_REFERENCES:],
        filters=message.filters,
        other_clothes=state.other_clothes if message.other_clothes is None else message.other_clothes,
    )


def _without_dropped(attributes: tuple[Attribute, ...], message: ParsedMessage) -> tuple[Attribute, ...]:
    whole = {part for kind in message.dropped for part in (kinds_of(kind) if kind in COLOUR_OF else (kind,))}
    stated_kinds = {attribute.kind for attribute in message.wanted}
    for attribute in message.dropped_values:
        # "forget the backpack" takes its colour along; "a coat instead of the jacket" keeps it
        if attribute in attributes and attribute.kind not in stated_kinds:
            whole.update(part for part in kinds_of(attribute.kind) if part != attribute.kind)
    return tuple(a for a in attributes if a.kind not in whole and a not in message.dropped_values)


def _restated(wanted: tuple[Attribute, ...], message: ParsedMessage) -> tuple[Attribute, ...]:
    """A thing named anew, in another colour or after "the same person, but now", is another thing: what was
    known of the old one's colour and pattern no longer holds. "Actually it was a coat" keeps them.
    """
    stated_kinds = {attribute.kind for attribute in message.wanted}
    stale: set[str] = set()
    for thing in COLOUR_OF:
        named, coloured = thing in stated_kinds, COLOUR_OF[thing] in stated_kinds
        if thing != "hair" and ((named and coloured) or (message.refers_back and named)):
            stale.update(kinds_of(thing))
    return tuple(attribute for attribute in wanted if attribute.kind not in stale)


def _words(
    state: SearchState, wanted: Sequence[Attribute], message: ParsedMessage
) -> tuple[tuple[str, str], ...]:
    """How things were called, as long as all that was read from it still holds; and how they are called now."""
    kept = {
        thing: words
        for thing, words in state.words
        if all(attribute in wanted for attribute in state.wanted if attribute.kind in kinds_of(thing))
    }
    for thing, words in message.words:
        if any(attribute.kind in kinds_of(thing) for attribute in wanted):
            before = kept.get(thing, "")
            if not set(words.split()) <= set(before.replace(",", "").split()):
                kept[thing] = f"{before}, {words}" if before else words
    return tuple((thing, words[-MAX_TEXT:]) for thing, words in kept.items())


def _withdrawn(phrase: str, wanted: Sequence[Attribute], message: ParsedMessage) -> bool:
    """Whether a message takes back earlier free words: it says the contrary, drops or excludes the thing that they
    name, or says anew of that very thing what it is like.
    """
    if f"no {phrase}" in message.text or phrase.removeprefix("no ") in message.text:
        return phrase not in message.text
    stated = {thing_of(attribute.kind) for attribute in message.wanted}
    gone = {*message.dropped, *(attribute.kind for attribute in message.dropped_values)} - stated
    gone |= {attribute.kind for attribute in message.unwanted if is_absent(attribute.kind, message.unwanted)}
    for span in spans_of(tokenise(phrase)):
        if span.thing in gone:
            return True
        if span.thing in stated and (span.entry.attribute is None or span.entry.attribute in wanted):
            return True
    return False


def crowded_out(state: SearchState, message: ParsedMessage) -> tuple[str, ...]:
    """Free words known before a message, or said by it, that MAX_TEXT leaves no room for after it."""
    return _fitting(_phrases(state.text, message))[1] if message.intent == "search" else ()


def _text(text: Sequence[str], message: ParsedMessage) -> tuple[str, ...]:
    return _fitting(_phrases(text, message))[0]


def _phrases(text: Sequence[str], message: ParsedMessage) -> list[str]:
    kept = [phrase for phrase in text if not any(word in phrase.split() for word in message.dropped_text)]
    return kept + [phrase for phrase in message.text if phrase not in kept]


def _fitting(phrases: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What fits of free phrases, the newest being the ones meant, and what does not."""
    first = 0
    while first < len(phrases) - 1 and len("; ".join(phrases[first:])) > MAX_TEXT:
        first += 1
    return tuple(phrase[:MAX_TEXT] for phrase in phrases[first:]), tuple(phrases[:first])
