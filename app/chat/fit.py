"""Why a candidate fits: what is wanted against what the model reads in the crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.chat.apply import is_absent
from app.chat.chips import thing_label, things_in, with_article
from app.chat.values import Known, Shown
from app.model.vocabulary import Attribute


@dataclass(frozen=True)
class Fit:
    """Labels of wanted things ("red jacket") that the model reads, that it reads otherwise, and that it does
    not read at all; `against`: excluded things that it reads. text: all but `unread` as a clause; "" where
    nothing was read.
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
        return tuple(thing_label(thing, parts) for thing, parts in things_in(known.wanted))


def fit_of(known: Known, shown: Shown) -> Fit:
    """Compare one candidate with what is wanted and what is not."""
    if not shown.sure:
        return Fit()
    shows, differs, unread, instead = [], [], [], []
    for thing, wanted in things_in(known.wanted):
        label = thing_label(thing, wanted)
        read = [shown.read(attribute.kind) for attribute in wanted]
        if all(value is None for value in read):
            unread.append(label)
        elif all(value is None or value == attribute for value, attribute in zip(read, wanted, strict=True)):
            shows.append(label)
        else:
            differs.append(label)
            instead.append(f"{with_article(_seen(thing, wanted, shown))} instead of {with_article(label)}")
    against = tuple(
        thing_label(attribute.kind, [attribute])
        for attribute in known.unwanted
        if shown.read(attribute.kind) == attribute
    )
    shows += [
        f"no {kind}"
        for kind in dict.fromkeys(attribute.kind for attribute in known.unwanted)
        if is_absent(kind, known.unwanted) and (seen := shown.read(kind)) is not None and seen.value == "none"
    ]
    said = []
    if shows:
        said.append(and_list(shows))
    wrong = [*instead, *(f"{with_article(label)} that you excluded" for label in against)]
    if wrong:
        said.append(("but " if said else "") + and_list(wrong))
    if not said and not unread:  # a picture alone: what is seen in the candidate
        labels = [thing_label(thing, parts) for thing, parts in _read_things(shown)][:4]
        said = [and_list(labels)] if labels else []
    return Fit(tuple(shows), tuple(differs), tuple(unread), against, ", ".join(said))


def _read_things(shown: Shown) -> list[tuple[str, list[Attribute]]]:
    return things_in([attribute for attribute in shown.sure if attribute.value != "none"])


def _seen(thing: str, wanted: Sequence[Attribute], shown: Shown) -> str:
    """What is read of a thing, in as much detail as was wanted."""
    kinds = {thing, *(attribute.kind for attribute in wanted)}
    read = [attribute for attribute in shown.sure if attribute.kind in kinds]
    if any(attribute.value == "none" for attribute in read):
        return f"no {thing}"
    return thing_label(thing, read)


def and_list(words: Sequence[str]) -> str:
    """ "a, b and c"."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
