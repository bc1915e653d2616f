"""One conversation: the steps that the operator took, and what they add up to.

Append-only: each turn holds the whole of what was known after it, so that undo is slicing and a query is
read off the last turn. Pure functions; nothing here searches.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.chat.chips import Chip, chips_of, without_chip
from app.chat.commands import after_start_over, after_undo
from app.chat.complaints import COMPARED, compares
from app.chat.intents import direct_answer_to
from app.chat.questions import Question, asked_in, declined_kinds, only_declines
from app.chat.search_state import GalleryFacts, ParsedMessage, SearchState, apply, crowded_out, photo
from app.chat.understanding import understand
from app.model.vocabulary import and_list
from app.retrieval.query import Query, Reference

NO_REASON = "not stated"
MAX_KEPT = 2_000  # characters of a message that a conversation keeps
TAKEN_BACK = "I took the last step back first."
LEFT_OPEN = "All right, that stays open."


@dataclass(frozen=True)
class Turn:
    """One step. `after` is all that was known once it was done; `reply` and `shown` follow the search.

    action: "say", "search-with", "confirm", "reject", "before", "after", "remove-chip", "filters", "note" or
    "take-off". image_id: of a click. chip: the key of a removed chip. understood: what a message said. direct: the
    answer to a message that needs no search. shown: image ids, best first. asked: the kind of attribute that the reply
    asked about. question: what it asked, where that may still be answered. declined: kinds that the message says are
    not known. own_words: what the
    model wrote, as Markdown; it stands below the reply, and nothing is ever understood from it.
    """

    action: str
    after: SearchState
    text: str = ""
    photos: tuple[Path, ...] = ()
    image_id: int | None = None
    chip: str | None = None
    understood: ParsedMessage | None = None
    direct: str | None = None
    reply: str | None = None
    shown: tuple[int, ...] = ()
    asked: str | None = None
    own_words: str = ""
    question: Question | None = None
    declined: tuple[str, ...] = ()


@dataclass(frozen=True)
class Conversation:
    """undone: turns that were taken back and can be had again, the last one last. reason: why this person is looked
    for, asked once. case: name of the case that it belongs to, if any.
    """

    turns: tuple[Turn, ...] = ()
    undone: tuple[Turn, ...] = ()
    reason: str = NO_REASON
    case: str | None = None

    @property
    def known(self) -> SearchState:
        """All that is understood by now."""
        return self.turns[-1].after if self.turns else SearchState()

    @property
    def last(self) -> Turn | None:
        """The last turn, if there is one."""
        return self.turns[-1] if self.turns else None


def say(
    conversation: Conversation, text: str, gallery: GalleryFacts, photos: Sequence[Path] = ()
) -> Conversation:
    """The conversation after a message, perhaps with photos. The message "undo" takes the last turn back, and
    "redo" does it again; "start over" is a turn like any other, so that it can be undone.

    A message that needs no search ("hello", "who is she?", an empty one) leaves what is known as it was and
    carries its answer: see `direct_answer`.
    """
    said = after_undo(text) if conversation.turns and not photos and after_start_over(text) is None else None
    if said is not None:
        return _corrected(conversation, text, said, gallery)
    state = conversation.known
    asked = conversation.last.asked if conversation.last else None
    declined = () if photos else declined_kinds(text, asked)
    if declined and only_declines(text):
        nothing = ParsedMessage(intent="nothing", filters=state.filters)
        left_open = Turn(
            "say", state, text=text[:MAX_KEPT], understood=nothing, direct=LEFT_OPEN, declined=declined
        )
        return with_turn(conversation, left_open)
    understood = understand(text, state, gallery, asked=asked, with_photo=bool(photos))
    if understood.intent == "undo":
        return undo(conversation)
    if understood.intent == "redo":
        return redo(conversation)
    if understood.clears:
        state = SearchState()
    if lost := crowded_out(state, understood):
        note = f"{and_list([f'“{phrase}”' for phrase in lost])} made room for your newer words."
        understood = replace(understood, notes=(*understood.notes, note))
    after = apply(state, understood, [photo(path) for path in photos])
    turn = Turn(
        "say",
        after,
        text=text[:MAX_KEPT],
        photos=tuple(Path(path) for path in photos),
        understood=understood,
        direct=LEFT_OPEN
        if declined and understood.intent == "nothing"
        else direct_answer_to(understood, after, gallery),
        declined=declined,
    )
    return with_turn(conversation, turn)


def _corrected(conversation: Conversation, text: str, said: str, gallery: GalleryFacts) -> Conversation:
    """The conversation with `said` in place of its last turn, which can be had back: "scratch that, it was a cap"."""
    turn = say(replace(conversation, turns=conversation.turns[:-1]), said, gallery).last
    if turn is None or turn.understood is None or turn.understood.intent != "search":
        return undo(conversation)
    understood = replace(turn.understood, notes=(TAKEN_BACK, *turn.understood.notes))
    return with_turn(conversation, replace(turn, text=text[:MAX_KEPT], understood=understood))


def say_of(
    conversation: Conversation,
    text: str,
    action: str,
    image_ids: Sequence[int],
    gallery: GalleryFacts,
    rest: str = "",
    against: Sequence[int] = (),
    places: Mapping[int, str] | None = None,
) -> Conversation:
    """The conversation after a message that acts on candidates, as the buttons do: one turn, whatever their number.

    action: "search-with", "confirm" or "reject". rest: what the message says of the person besides: "more like 3, but
    with a hat", "not 3, she had a hat". against: image ids that it rejects besides, of "confirm". places: image id ->
    where and when it was seen, as Reference has it.
    """
    state, understood = conversation.known, None
    if action == "search-with":
        state = searched_with(state, image_ids)
        if rest:
            understood = understand(f"the same person but {rest}", state, gallery)
            state = apply(state, understood)
    else:
        for image_id in image_ids:
            state = (_confirmed if action == "confirm" else _rejected)(state, image_id)
        for image_id in against:
            state = _rejected(state, image_id)
        if compares(rest):
            understood = ParsedMessage(
                intent="nothing", filters=state.filters, notes=(COMPARED.format(rest),)
            )
        elif rest:
            understood = understand(rest, state, gallery)
            state = state if understood.clears else apply(state, understood)
    named = places or {}
    seen = tuple(replace(one, place=named.get(one.image_id or 0, one.place)) for one in state.references)
    state = replace(state, references=seen)
    return with_turn(conversation, Turn("say", state, text=text[:MAX_KEPT], understood=understood))


def with_own_words(conversation: Conversation, own_words: str) -> Conversation:
    """The conversation with more below its last reply, as Turn has it."""
    *earlier, last = conversation.turns
    return replace(conversation, turns=(*earlier, replace(last, own_words=own_words)))


def told(conversation: Conversation, text: str, answer: str, own_words: str = "") -> Conversation:
    """The conversation after a message that is answered by what is on the screen; nothing else changes.

    own_words: as Turn has it.
    """
    state = conversation.known
    return with_turn(
        conversation, Turn("say", state, text=text[:MAX_KEPT], direct=answer, own_words=own_words)
    )


def reread(conversation: Conversation, understood: ParsedMessage) -> Conversation:
    """The conversation with its last message understood in another way."""
    *earlier, last = conversation.turns
    known = earlier[-1].after if earlier else SearchState()
    turn = Turn("say", apply(known, understood), text=last.text, understood=understood)
    return replace(conversation, turns=(*earlier, turn), undone=())


def search_with(conversation: Conversation, image_id: int, place: str = "") -> Conversation:
    """The crop becomes the only picture of the person and stands for the words; filters and rejections
    stay. place: as Reference has it.
    """
    after = searched_with(conversation.known, [image_id], place)
    return with_turn(conversation, Turn("search-with", after, image_id=image_id))


def searched_with(state: SearchState, image_ids: Sequence[int], place: str = "") -> SearchState:
    """What is known once these crops stand for the person, instead of the words and pictures before."""
    return replace(
        state,
        wanted=(),
        unwanted=(),
        text=(),
        words=(),
        companions=(),
        references=tuple(Reference(image_id=image_id, place=place) for image_id in dict.fromkeys(image_ids)),
        rejected=tuple(other for other in state.rejected if other not in image_ids),
        confirmed=tuple(other for other in state.confirmed if other in image_ids),
    )


def confirm(conversation: Conversation, image_id: int, place: str = "") -> Conversation:
    """ "This is the one": the crop joins the pictures of the person; the words stay. place: as Reference has it."""
    after = _confirmed(conversation.known, image_id, place)
    return with_turn(conversation, Turn("confirm", after, image_id=image_id))


def _confirmed(state: SearchState, image_id: int, place: str = "") -> SearchState:
    crop = Reference(image_id=image_id, place=place)
    return replace(
        state,
        references=(*(other for other in state.references if other != crop), crop),
        rejected=tuple(other for other in state.rejected if other != image_id),
        confirmed=(*(other for other in state.confirmed if other != image_id), image_id),
    )


def reject(conversation: Conversation, image_id: int) -> Conversation:
    """ "Not this one": the crop is not shown again in this conversation."""
    return with_turn(conversation, Turn("reject", _rejected(conversation.known, image_id), image_id=image_id))


def _rejected(state: SearchState, image_id: int) -> SearchState:
    return replace(
        state,
        references=tuple(other for other in state.references if other.image_id != image_id),
        rejected=(*(other for other in state.rejected if other != image_id), image_id),
        confirmed=tuple(other for other in state.confirmed if other != image_id),
    )


def remove_chip(conversation: Conversation, chip_key: str) -> Conversation:
    """The conversation without what a chip stands for. A chip that is no longer there (a second click)
    changes nothing and adds no turn.
    """
    after = without_chip(conversation.known, chip_key)
    if after is None:
        return conversation
    return with_turn(conversation, Turn("remove-chip", after, chip=chip_key))


def answered(
    conversation: Conversation, reply: str, shown: Sequence[int] = (), question: Question | None = None
) -> Conversation:
    """Complete the last turn with what was answered, which crops were shown, best first, and what was asked."""
    if not conversation.turns:
        return conversation
    turn, asked = conversation.turns[-1], question.kind if question else asked_in(reply)
    if asked is None and len(conversation.turns) > 1 and _leaves_waiting(turn):
        asked, question = conversation.turns[-2].asked, conversation.turns[-2].question
    ids = tuple(int(image) for image in shown)
    done = replace(turn, reply=reply, shown=ids, asked=asked, question=question)
    return replace(conversation, turns=(*conversation.turns[:-1], done))


def _leaves_waiting(turn: Turn) -> bool:
    """Whether a turn leaves the question before it to be answered still: it was answered without a search."""
    reset = turn.understood is not None and turn.understood.clears
    return turn.direct is not None and not turn.declined and not reset


def asked_before(conversation: Conversation) -> frozenset[str]:
    """The kinds that were asked about or declined for the person sought: since the last "start over"."""
    kinds: set[str] = set()
    for turn, reply_before in zip(conversation.turns, (None, *conversation.turns), strict=False):
        if turn.understood is not None and turn.understood.clears:
            kinds.clear()
        elif reply_before is not None and reply_before.asked:
            kinds.add(reply_before.asked)
        kinds.update(turn.declined)
    return frozenset(kinds)


def undo(conversation: Conversation) -> Conversation:
    """Take back the last turn, whatever it was; an empty conversation stays empty."""
    taken_back = conversation.turns[-1:]
    return replace(conversation, turns=conversation.turns[:-1], undone=(*conversation.undone, *taken_back))


def redo(conversation: Conversation) -> Conversation:
    """The turn that was taken back last, as it was; nothing where there is none, or something was done since."""
    again = conversation.undone[-1:]
    return replace(conversation, turns=(*conversation.turns, *again), undone=conversation.undone[:-1])


def to_query(conversation: Conversation) -> Query:
    """What the engine is to search for now."""
    state = conversation.known
    return Query(
        wanted=state.wanted,
        unwanted=state.unwanted,
        text=", ".join(state.text),
        company=", ".join(state.company),
        words=state.words,
        references=state.references,
        filters=state.filters,
        rejected=frozenset(state.rejected),
        confirmed=frozenset(state.confirmed),
        other_clothes=state.other_clothes,
    )


def chips(conversation: Conversation) -> tuple[Chip, ...]:
    """What is understood, one chip each; `remove_chip` takes one away by its key."""
    return chips_of(conversation.known)


def direct_answer(conversation: Conversation) -> str | None:
    """The answer to the last turn where no search is needed, else None. An empty conversation is greeted."""
    if conversation.last is None:
        return direct_answer_to(ParsedMessage(intent="greeting"), SearchState(), GalleryFacts())
    if conversation.last.direct is None and conversation.known.is_empty:
        return "Nothing is looked for now. Describe a person, or drop a photo."
    return conversation.last.direct


def with_turn(conversation: Conversation, turn: Turn) -> Conversation:
    return replace(conversation, turns=(*conversation.turns, turn), undone=())
