"""The sightings of a case: which crops were called the person sought and which were ruled out, read off its turns.

What is searched with changes from step to step; what was confirmed stands until it is rejected, or removed by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from app.chat.conversation import Conversation, Turn, answered
from app.chat.search_state import SearchState

NOTE, TAKE_OFF = "note", "take-off"  # actions of turns
MOST_NOTE = 300  # characters


@dataclass(frozen=True)
class Sighting:
    """A crop that somebody judged. turn: place of the turn that did, from 0. note: the operator's words about it."""

    image_id: int
    turn: int
    note: str = ""


@dataclass(frozen=True)
class Board:
    """confirmed, rejected: each crop once, in the order in which that was said; no crop is in both."""

    confirmed: tuple[Sighting, ...] = ()
    rejected: tuple[Sighting, ...] = ()

    def of(self, image_id: int) -> Sighting | None:
        """The sighting of a crop; None where nobody judged it."""
        return next((one for one in (*self.confirmed, *self.rejected) if one.image_id == image_id), None)


def board_of(turns: Sequence[Turn]) -> Board:
    """What the turns come to. The last word about a crop counts; "start over" ends a search, and takes nothing back."""
    confirmed: dict[int, Sighting] = {}
    rejected: dict[int, Sighting] = {}
    notes: dict[int, str] = {}
    before = SearchState()
    for place, turn in enumerate(turns):
        after = turn.after
        for image_id in after.confirmed:
            if image_id not in before.confirmed:
                rejected.pop(image_id, None)
                confirmed.setdefault(image_id, Sighting(image_id, place))
        for image_id in after.rejected:
            if image_id not in before.rejected:
                confirmed.pop(image_id, None)
                rejected.setdefault(image_id, Sighting(image_id, place))
        if not (turn.understood is not None and turn.understood.clears):
            for image_id in set(before.rejected) - set(after.rejected):
                rejected.pop(image_id, None)
        if turn.image_id is not None and turn.action == TAKE_OFF:
            confirmed.pop(turn.image_id, None)
            rejected.pop(turn.image_id, None)
        if turn.image_id is not None and turn.action == NOTE:
            notes[turn.image_id] = turn.text
        before = after

    def noted(some: dict[int, Sighting]) -> tuple[Sighting, ...]:
        return tuple(replace(one, note=notes.get(one.image_id, "")) for one in some.values())

    return Board(noted(confirmed), noted(rejected))


def with_note(conversation: Conversation, image_id: int, words: str, shown: Sequence[int]) -> Conversation:
    """The conversation with a note on a sighting; blank words take an earlier one away. shown: as Turn has it."""
    whole = " ".join(words.split())
    words = whole[:MOST_NOTE].strip()
    reply = "The note is kept with the sighting." if words else "The note is taken away."
    if len(whole) > MOST_NOTE:
        reply = f"The note is long: its first {MOST_NOTE} characters are kept with the sighting."
    turn = Turn(NOTE, conversation.known, text=words, image_id=image_id, direct=reply)
    longer = replace(conversation, turns=(*conversation.turns, turn), undone=())
    return answered(longer, reply, shown)


def taken_off(conversation: Conversation, image_id: int) -> Conversation:
    """The conversation without a sighting. Where the crop was searched with or ruled out, it is not any more."""
    known = conversation.known
    after = replace(
        known,
        references=tuple(one for one in known.references if one.image_id != image_id),
        confirmed=tuple(other for other in known.confirmed if other != image_id),
        rejected=tuple(other for other in known.rejected if other != image_id),
    )
    direct = "It is taken off the board; the search is as it was." if after == known else None
    turn = Turn(TAKE_OFF, after, image_id=image_id, direct=direct)
    return replace(conversation, turns=(*conversation.turns, turn), undone=())
