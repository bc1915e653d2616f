"""Why a candidate fits: what is wanted against what the model reads in the crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.apply import is_absent
from app.chat.chips import thing_label
from app.chat.values import Known, Shown, parts_of, thing_of
from app.model.vocabulary import Attribute


@dataclass(frozen=True)
class Fit:
    """Labels of wanted things ("red jacket") that the model reads, that it reads otherwise, and that it does
    not read at all; `against`: excluded things that it reads. text: one sentence, "" where nothing was read.
    """

    shows: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    text: str = ""

    @staticmethod
    def absent(kind: str, unwanted: Sequence[Attribute]) -> bool:
        """True when every value of the kind is excluded."""
        return is_absent(kind, unwanted)

    @staticmethod
    def wanted_labels(known: Known) -> tuple[str, ...]:
        """The wanted things in words, as in `shows` and `differs`."""
        return tuple(thing_label(thing, parts) for thing, parts in _things(known))


def fit_of(known: Known, shown: Shown) -> Fit:
    """Compare one candidate with what is wanted and what is not."""
    if not shown.readings:
        return Fit()
    shows, differs, unread, instead = [], [], [], []
    for thing, wanted in _things(known):
        label = thing_label(thing, wanted)
        read = [shown.read(attribute.kind) for attribute in wanted]
        if all(value is None for value in read):
            unread.append(label)
        elif all(value is None or value == attribute for value, attribute in zip(read, wanted, strict=True)):
            shows.append(label)
        else:
            differs.append(label)
            instead.append(f"{_seen(thing, wanted, shown)} instead of {label}")
    against = tuple(
        thing_label(attribute.kind, [attribute])
        for attribute in known.unwanted
        if shown.read(attribute.kind) == attribute
    )
    excluded_fine = [
        f"no {kind}"
        for kind in dict.fromkeys(attribute.kind for attribute in known.unwanted)
        if is_absent(kind, known.unwanted) and (seen := shown.read(kind)) is not None and seen.value == "none"
    ]
    said = []
    if shows or excluded_fine:
        said.append(f"the model reads {_and([*shows, *excluded_fine])}")
    if instead:
        said.append(("but " if said else "the model reads ") + _and(instead))
    if against:
        said.append(("but also " if said else "the model reads ") + f"{_and(against)}, which you excluded")
    if unread:
        said.append(f"{_and(unread)} cannot be made out")
    if not said:  # a picture alone: what is seen in the candidate
        labels = [thing_label(thing, parts) for thing, parts in _read_things(shown)][:4]
        said = [f"the model reads {_and(labels)}"] if labels else []
    text = "; ".join(said) + "." if said else ""
    return Fit(tuple(shows), tuple(differs), tuple(unread), against, text)


def _things(known: Known) -> list[tuple[str, list[Attribute]]]:
    return [
        (thing, [attribute for attribute in known.wanted if attribute.kind in parts_of(thing)])
        for thing in dict.fromkeys(thing_of(attribute.kind) for attribute in known.wanted)
    ]


def _read_things(shown: Shown) -> list[tuple[str, list[Attribute]]]:
    read = [reading.attribute for reading in shown.readings if reading.attribute.value != "none"]
    return [
        (thing, [attribute for attribute in read if attribute.kind in parts_of(thing)])
        for thing in dict.fromkeys(thing_of(attribute.kind) for attribute in read)
    ]


def _seen(thing: str, wanted: Sequence[Attribute], shown: Shown) -> str:
    """What is read of a thing, in as much detail as was wanted."""
    kinds = {thing, *(attribute.kind for attribute in wanted)}
    read = [reading.attribute for reading in shown.readings if reading.attribute.kind in kinds]
    if any(attribute.value == "none" for attribute in read):
        return f"no {thing}"
    return thing_label(thing, read)


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
