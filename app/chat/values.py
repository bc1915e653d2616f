"""What the conversation has understood so far, and what one message says. Frozen values, no behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

from app.model.vocabulary import COLOUR_OF, Attribute
from app.retrieval.query import Reference
from app.retrieval.ranking import Candidate
from gallery_store.crops import Crop, Filters


@dataclass(frozen=True)
class GalleryFacts:
    """What the gallery has to choose from: the names of its cameras, its local days, and the local date
    now.
    """

    cameras: tuple[str, ...] = ()
    days: tuple[date, ...] = ()
    today: date = date.min


@dataclass(frozen=True)
class Known:
    """All that has been understood, after one step. `wanted` has one value of each kind, oldest first."""

    wanted: tuple[Attribute, ...] = ()
    unwanted: tuple[Attribute, ...] = ()
    text: tuple[str, ...] = ()  # free phrases that the attributes do not cover
    references: tuple[Reference, ...] = ()
    filters: Filters = field(default_factory=Filters)
    rejected: tuple[int, ...] = ()  # image ids, in the order of rejection
    confirmed: tuple[int, ...] = ()
    other_clothes: bool = False  # the person may wear others than in the pictures

    def value(self, kind: str) -> str | None:
        """The wanted value of a kind, or None."""
        return next((attribute.value for attribute in self.wanted if attribute.kind == kind), None)

    @property
    def is_empty(self) -> bool:
        """Neither words nor pictures nor filters."""
        return not (self.wanted or self.unwanted or self.text or self.references) and self.filters.is_empty


@dataclass(frozen=True)
class Understood:
    """What one message says.

    intent: "search", or one that is answered without a search: "empty", "greeting", "thanks", "yes", "no",
    "help", "identity", "off-topic", "not-this-one", "undo"; "reset" clears everything.
    wanted, unwanted: what it states of the person; dropped: kinds it takes back ("forget the hat": "hat").
    dropped_values: single values it takes back ("no longer the backpack"). freed: kinds whose exclusion it
    lifts without naming a value ("with a bag"). text: phrases outside the vocabulary, passed on as free
    words.
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
    filters: Filters = field(default_factory=Filters)
    filters_changed: bool = False
    refers_back: bool = False
    adds_photos: bool = False
    other_clothes: bool | None = None
    unused: tuple[str, ...] = ()
    corrections: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    question: str | None = None

    @property
    def changes_words(self) -> bool:
        """True when it says anything of the person."""
        return bool(
            self.wanted
            or self.unwanted
            or self.dropped
            or self.dropped_values
            or self.dropped_text
            or self.freed
            or self.text
        )


class Reading(Protocol):
    """What the model reads in one crop: an attribute, and its confidence 0..1 (app.model's
    AttributeReading).
    """

    @property
    def attribute(self) -> Attribute: ...

    @property
    def confidence(self) -> float: ...


class Comparison(Protocol):
    """What two pictures have in common, and what one alone shows (the engine's Comparison)."""

    @property
    def common(self) -> tuple[Attribute, ...]: ...

    @property
    def only_first(self) -> tuple[Attribute, ...]: ...

    @property
    def only_second(self) -> tuple[Attribute, ...]: ...


SURE = 0.5  # confidence from which a reading is told to the operator


@dataclass(frozen=True)
class Shown:
    """A candidate on the screen, with what the model reads in it; no readings where it was not asked."""

    crop: Crop
    candidate: Candidate
    readings: Sequence[Reading] = ()

    def read(self, kind: str) -> Attribute | None:
        """What the model reads of a kind, or None where it reads nothing or is not sure of it."""
        return next((attribute for attribute in self.sure if attribute.kind == kind), None)

    @property
    def sure(self) -> tuple[Attribute, ...]:
        """The attributes that the model reads more surely than not."""
        return tuple(reading.attribute for reading in self.readings if reading.confidence >= SURE)


def thing_of(kind: str) -> str:
    """The kind of thing that a kind belongs to: "upper_colour" and "upper_pattern" -> "upper"."""
    if kind == "upper_pattern":
        return "upper"
    return next((thing for thing, colour in COLOUR_OF.items() if colour == kind), kind)


def parts_of(thing: str) -> tuple[str, ...]:
    """A kind of thing with its colour and pattern: "upper" -> ("upper", "upper_colour", "upper_pattern")."""
    parts = [thing]
    if thing in COLOUR_OF:
        parts.append(COLOUR_OF[thing])
    if thing == "upper":
        parts.append("upper_pattern")
    return tuple(parts)


def photo(path: str | Path) -> Reference:
    """A picture that the operator brought, as a reference."""
    return Reference(file=Path(path))
