"""The candidates on the screen by person: one stack for those that likely show the same one, under their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.cards import Card
from app.cases import keep

if TYPE_CHECKING:
    from app.session import ChatSession


@dataclass(frozen=True)
class NumberedCard:
    """A candidate, and its number on the screen, as the chat calls it."""

    number: int
    card: Card


@dataclass(frozen=True)
class Stack:
    """The first of these in the order of the screen, on top; and the rest, in that order."""

    top: NumberedCard
    rest: tuple[NumberedCard, ...] = ()

    def has(self, image_id: int | None) -> bool:
        """Whether this crop lies below the top."""
        return any(one.card.image_id == image_id for one in self.rest)

    @property
    def numbers(self) -> str:
        """Those below the top, as they are read out: "2, 5 and 7"."""
        *most, last = (str(one.number) for one in self.rest)
        return f"{', '.join(most)} and {last}" if most else last


def stacks_of(session: ChatSession) -> tuple[Stack, ...]:
    """What is on the screen, by person where that is asked for, else each card alone."""
    leads = {}
    if is_grouped(session) and session.ranking is not None:
        leads = {one.image_id: one.lead for one in session.ranking.candidates if one.lead is not None}
    return stacks(session.cards, leads)


def is_grouped(session: ChatSession) -> bool:
    """Whether the screen is by person. Asked for once it stays so, also for searches in which nothing tells."""
    return session.by_person and session.ranking is not None and session.ranking.knows_stacks


def stacks(cards: Sequence[Card], leads: Mapping[int, int]) -> tuple[Stack, ...]:
    """cards: as they are numbered. leads: image id -> that of a better candidate of the same stack."""
    by_person: dict[int, list[NumberedCard]] = {}
    for number, card in enumerate(cards, start=1):
        best = card.image_id
        while (lead := leads.get(best)) is not None:
            best = lead
        by_person.setdefault(best, []).append(NumberedCard(number, card))
    return tuple(Stack(top, tuple(rest)) for top, *rest in by_person.values())


def group(session: ChatSession, *, by_person: bool) -> None:
    """The screen by person, or each candidate alone; which are shown, and their numbers, stay as they are."""
    with session.lock:
        session.by_person = by_person
        keep(session)
