"""One conversation over the engine, step by step, without a screen: the page, the API and the dialogue benchmark
share it.

A step is done whole or not at all: the session changes only after its search has succeeded.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.asked import answer_of_list
from app.cards import Card
from app.case_steps import CaseKeeper, new_id
from app.cases import bring_back, keep
from app.chat import board as boards
from app.chat import conversation as chat
from app.chat.board import Board, Sighting
from app.chat.commands import command_in
from app.chat.conversation import Conversation
from app.chat.list_questions import read_list_question
from app.chat.model_questions import about_selected
from app.chat.questions import Question
from app.chat.reply import compare_text, reply
from app.chat.results import read_pointing
from app.chat.sightings import MOST_MINUTES, Direction, around
from app.chat.two_readings import OtherReading
from app.cropping import Cropping
from app.in_line import in_line
from app.in_order import InOrder
from app.pointed import leave_out_deleted, ordered, point
from app.query_json import query_json, question_json
from app.refused import Refused
from app.retrieval.comparison import SURE_ENOUGH, Comparison, compare
from app.retrieval.query import Query, Reference, as_known
from app.retrieval.ranking import Ranking
from app.second_reading import USE_IT, read_again
from app.taken_back import taken_back
from app.talk import Answer
from app.waiting import Sent, Waiting
from gallery_store.cases import WENT_ON
from gallery_store.console import StepProgress
from gallery_store.crops import Crop
from gallery_store.database import storable

if TYPE_CHECKING:
    from app.service import ChatService
    from gallery_store.case_messages import MessageId

PAGE_OF_CARDS = 12
# First candidates whose attributes the reply speaks of; more where the search has read them already.
READ_FOR_REPLY, KNOWN_FOR_REPLY = 3, 12
MOST_REASON = 200  # characters

STARTED_OVER = "Started over. Whom are you looking for?"
UNDONE = "Took the last step back."
REDONE = "Did it again."
NOTHING_SOUGHT = "Nothing is looked for now. Describe somebody, or drop a photo."
NOTHING_TO_UNDO = "There is nothing to take back."
NOTHING_TO_REDO = "There is nothing to do again."
NOTHING_CHANGED = "That changed nothing."


@dataclass(frozen=True)
class StepResult:
    """What a step came to: the reply (Markdown), up to 12 candidates best first, and the figures."""

    reply: str
    cards: tuple[Card, ...]
    status: dict[str, Any]


@dataclass(eq=False)
class ChatSession:
    """One conversation, and what its tab shows. Its steps hold `lock`; `stop` may be set at any time.

    The steps raise Refused with one sentence, and then change nothing.
    """

    service: ChatService
    user: str
    conversation: Conversation = field(init=False)
    query: Query = field(default_factory=Query)  # what the conversation comes to
    ranking: Ranking | None = None
    cards: tuple[Card, ...] = ()  # those that are shown, best first
    selected: Card | None = None
    compared: Comparison = field(default_factory=Comparison)  # the query with the selected candidate
    waiting: Waiting = field(default_factory=Waiting)  # messages that were sent and are not answered yet
    given_back: Sent | None = None  # a message that was refused, to be mended and sent again
    owed: tuple[MessageId, ...] = ()  # those that were given back; the next that is sent settles them
    owed_photos: Sent | None = None  # of them, one whose photos go with its words
    answering: Sent | None = None  # the message that the step under way comes of
    settling: tuple[MessageId, ...] = ()  # messages that are steps, to be settled with what is written next
    notice: str = ""  # a sentence about a step that was refused; shown once, no part of the conversation
    speaking: str = ""  # Markdown: an answer of which the model is still writing its own words
    other: OtherReading | None = None  # what the model reads in the last message, where it differs
    cropping: Cropping = field(default_factory=Cropping)
    by_time: bool = False  # the cards stand in the order of time, not of fit
    latest_first: bool = False  # of the order of time
    by_person: bool = False  # the cards stand in stacks, as far as the search knows any; see app.stacks
    stop: threading.Event = field(default_factory=threading.Event)
    lock: InOrder = field(default_factory=InOrder)
    events: InOrder = field(default_factory=InOrder)  # of its page, one after the other
    unseen: bool = False  # what was done elsewhere came onto this screen, and was not given to its page yet
    used: float = 0.0  # the service's clock at its last use, seconds
    # Judgements that the next search's row says are ended.
    untold: dict[str, list[int]] = field(default_factory=dict)
    not_kept: str = ""  # a sentence about the last step, where the gallery could not be written
    tab: str = field(
        default_factory=new_id
    )  # by which its tab finds it again after a reload; nobody can guess it

    def __post_init__(self) -> None:
        self.conversation, self.keeper = self._new_case()

    def _new_case(self) -> tuple[Conversation, CaseKeeper]:
        case = new_id() if self.service.keeps_cases else None
        return Conversation(case=case), CaseKeeper(self.service, self.user)

    # Steps

    def say(self, text: str, photos: Sequence[Path] = (), progress: StepProgress | None = None) -> StepResult:
        """A message with any photos. Photos that cannot be used are named, and the rest goes on."""
        with self.lock:
            return self._say(text, photos, progress)

    def _say(self, text: str, photos: Sequence[Path], progress: StepProgress | None) -> StepResult:
        if not photos:
            if command_in(text) == "redo":
                return self.redo(progress)
            pointing = read_pointing(text, len(self.cards))
            if pointing is None and self.cards:
                if (question := read_list_question(text)) is not None:
                    return self.tell(text, answer_of_list(self, question))
                pointing = about_selected(text)
                if pointing is not None and not self.selected:
                    pointing = replace(pointing, places=(1,))
            if pointing is not None:
                return point(self, pointing, text, progress)
        usable, problems = self.service.usable(photos)
        if problems and not usable and not text.strip():
            raise Refused(" ".join(problems))
        if self.other is not None and text.strip().rstrip(".").casefold() == USE_IT:
            return self.use_model_reading(progress)
        facts, had, before = self.service.facts(), len(self.conversation.turns), self.conversation.known
        with self.stop_used_up():
            result = self.step(
                lambda conversation: chat.say(conversation, text, facts, usable), progress, problems
            )
            asked = self.service.reads_messages and not photos and not result.status["stopped"]
            if not asked or len(self.conversation.turns) <= had:
                return result
            came_to = read_again(self, before, progress)
            keep(self)
            words = str(self.other or "")
            return replace(
                result,
                reply="\n\n".join(filter(None, (result.reply, words))),
                status=result.status | {"model_reading": came_to, "own_words": words},
            )

    def use_model_reading(self, progress: StepProgress | None = None) -> StepResult:
        """What the model read in the last message holds, in place of what the chat did."""
        self.require_seen()
        other = self.other
        if other is None:
            raise Refused("The model read nothing else in the last message.")
        return self.step(lambda conversation: chat.reread(conversation, other.understood), progress)

    def search_with(self, image_id: Any, progress: StepProgress | None = None) -> StepResult:
        """The crop stands for the person from now on, instead of the words before."""
        crop_id, place = self._sighting(image_id)
        return self.step(lambda conversation: chat.search_with(conversation, crop_id, place), progress)

    def around(
        self, image_id: Any, direction: Direction, minutes: int, progress: StepProgress | None = None
    ) -> StepResult:
        """The person of this crop, so many minutes before or after it, on other cameras."""
        crop_id, place = self._sighting(image_id)
        (crop,) = self.service.crops_of_ids([crop_id])
        if crop.time is None:
            raise Refused("This picture has no time: nothing can be searched before or after it.")
        if not 1 <= minutes <= MOST_MINUTES:
            raise Refused(f"Give 1 to {MOST_MINUTES:,} minutes.")
        moment, camera = crop.time.astimezone(self.service.store.zone).replace(tzinfo=None), crop.camera
        return self.step(
            lambda talk: around(talk, crop_id, camera, moment, direction, minutes, place), progress
        )

    def confirm(self, image_id: Any, progress: StepProgress | None = None) -> StepResult:
        """The crop shows the person: it joins the pictures that are searched with."""
        crop_id, place = self._sighting(image_id)
        return self.step(lambda conversation: chat.confirm(conversation, crop_id, place), progress)

    def _sighting(self, image_id: Any) -> tuple[int, str]:
        """A crop's id, and where and when it was seen, in words. Refused where there is no such crop."""
        crop_id = self.service.crop_id(image_id)
        return crop_id, self.service.place_of(crop_id)

    def reject(self, image_id: Any, progress: StepProgress | None = None) -> StepResult:
        """The crop shows somebody else: it is not listed again."""
        crop_id = self.service.crop_id(image_id)
        return self.step(lambda conversation: chat.reject(conversation, crop_id), progress)

    @property
    def board(self) -> Board:
        """The sightings of the case: what was confirmed and what was ruled out, whatever is looked for now."""
        return boards.board_of(self.conversation.turns)

    def note(self, image_id: Any, words: str) -> StepResult:
        """The operator's words about a sighting; blank ones take an earlier note away."""
        with self.lock:
            sighting, shown = self._on_board(image_id), [card.image_id for card in self.cards]
            self.conversation = boards.with_note(self.conversation, sighting.image_id, words, shown)
            keep(self)
            return self._result(str(self.conversation.turns[-1].reply))

    def take_off(self, image_id: Any, progress: StepProgress | None = None) -> StepResult:
        """The board without a sighting; a crop that was searched with or ruled out is not any more."""
        crop_id = self._on_board(image_id).image_id
        return self.step(lambda conversation: boards.taken_off(conversation, crop_id), progress)

    def _on_board(self, image_id: Any) -> Sighting:
        judged = (*self.board.confirmed, *self.board.rejected)
        found = next((one for one in judged if str(one.image_id) == str(image_id)), None)
        if found is None:
            raise Refused("This crop is not on the board any more.")
        return found

    def remove_chip(self, key: str, progress: StepProgress | None = None) -> StepResult:
        """Take away one thing that was understood, by its chip's key."""
        return self.step(lambda conversation: chat.remove_chip(conversation, key), progress)

    def undo(self, progress: StepProgress | None = None) -> StepResult:
        """Take the last step back, whatever it was."""
        with self.lock:
            self.require_seen()
            return self.step(chat.undo, progress)

    def redo(self, progress: StepProgress | None = None) -> StepResult:
        """Do again what was taken back last, if nothing was done since."""
        with self.lock:
            self.require_seen()
            return self.step(chat.redo, progress)

    def require_seen(self) -> None:
        """Before a step that means what stands on the screen, such as a number or Undo. Refused where the page shows
        something else, for the case went on elsewhere.
        """
        if self.unseen:
            self.unseen = False
            raise Refused(f"{WENT_ON.capitalize()}.")

    def start_over(self) -> StepResult:
        """Begins a new case, without candidates and without a reason; the one before is kept as it is."""
        with self.lock, self.stop_used_up():
            conversation, self.keeper = self._new_case()
            self.show(conversation, Query(), None, ())
            self.notice, self.cropping, self.not_kept, self.untold = "", Cropping(), "", {}
            return self._result(STARTED_OVER)

    def abandon(self) -> StepResult:
        """Starts over at once: what is being searched, or waits to be, nobody waits for any more."""
        self.stop.set()
        return self.start_over()

    # The case

    @property
    def case(self) -> str:
        """The id by which its user finds the case again; "" where nothing of it is kept."""
        return self.keeper.case

    @property
    def has_reason(self) -> bool:
        """Whether it was said why this person is looked for."""
        return self.conversation.reason != chat.NO_REASON

    @property
    def is_busy(self) -> bool:
        """Whether a step is being done, or waits to be."""
        if self.waiting.unanswered or not self.lock.acquire(blocking=False):
            return True
        self.lock.release()
        return False

    def open_case(self, case: str) -> StepResult:
        """Go on with a case as it was left. Where the user has no such case a new one begins, and `notice` says so."""
        with self.lock:
            self.start_over()
            try:
                bring_back(self, case)
            except Refused as problem:
                self.notice = str(problem)
                return self._result(self.notice)
            last = self.conversation.last
            return self._result((last.reply if last else None) or NOTHING_SOUGHT)

    # What needs no search

    def give_reason(self, reason: str) -> None:
        """The reason that the searches of this case are recorded with. Where nothing can be read it stays as it was."""
        words = " ".join(reason.split())[:MOST_REASON]
        if not any(sign.isprintable() and sign != " " for sign in words):
            return
        with self.lock:
            self.conversation = replace(self.conversation, reason=storable(words))

    def keep_reason(self, reason: str) -> None:
        """The same, kept at once and not with the next step. Refused where the case went on elsewhere meanwhile."""
        with self.lock:
            self.give_reason(reason)
            keep(self)

    def select(self, image_id: Any) -> str:
        """Put one of the candidates beside the query; returns the comparison in words.

        Any crop of the gallery can be compared, but only a candidate of the last search is shown. What the model reads
        of a crop tells as much as a search: ReasonNeeded as for one.
        """
        self.service.permit(self)
        crop_id = self.service.crop_id(image_id)
        with self.lock:
            candidate, *references = [
                [reading.attribute for reading in readings if reading.confidence >= SURE_ENOUGH]
                for readings in self.service.read([Reference(image_id=crop_id), *self.query.references])
            ]
            compared = compare(as_known(self.query, self.service.engine.kinds), references, candidate)
            card = next((card for card in self.cards if card.image_id == crop_id), None)
            if card is not None:
                self.selected, self.compared = card, compared
                keep(self)
            return compare_text(compared, "the query", "the candidate")

    def show_more(self, progress: StepProgress | None = None) -> None:
        """The next 12 candidates of the last search; where it keeps no more, those that follow are searched for."""
        with self.lock, self.stop_used_up():
            if self.ranking is not None and self.remaining:
                self.service.permit(self)
                leave_out_deleted(self)
                begin = len(self.cards)
                if begin + PAGE_OF_CARDS > len(self.ranking.candidates) < self.ranking.searched:
                    self.ranking = self.service.longer(self.query, self.ranking, self, progress)
                candidates = self.ranking.candidates[begin : begin + PAGE_OF_CARDS]
                more = self.service.cards(candidates, self.service.crops_of(candidates))
                self.cards = ordered(self, (*self.cards, *more))
                keep(self)

    def order(self, *, by_time: bool, latest_first: bool = False) -> None:
        """The candidates on the screen by time, or by how well they fit; which of them are shown stays as it is."""
        with self.lock:
            self.by_time, self.latest_first = by_time, latest_first
            self.cards = ordered(self, self.cards)
            keep(self)

    @property
    def question(self) -> Question | None:
        """What the chat has asked and may still be answered."""
        return self.conversation.last.question if self.conversation.last else None

    @property
    def remaining(self) -> int:
        """Crops that the last search found, best first, and that are not shown yet."""
        found = max(len(self.ranking.candidates), self.ranking.searched) if self.ranking else 0
        return max(0, found - len(self.cards))

    def judged_together(self) -> tuple[Card, ...]:
        """The candidates that the selected one was judged together with, as far as they are still there."""
        if self.selected is None or self.ranking is None:
            return ()
        by_id = {candidate.image_id: candidate for candidate in self.ranking.candidates}
        cards: list[Card] = []
        for image_id in by_id[self.selected.image_id].same_outfit:
            if (candidate := by_id.get(image_id)) is None:
                continue  # beyond what is listed
            try:
                cards += self.service.cards([candidate], self.service.crops_of([candidate]))
            except Refused:
                continue  # deleted since the search, or the gallery cannot be read
        return tuple(cards)

    def tell(self, text: str, answer: str | Answer, first: int = 0) -> StepResult:
        """A message that is answered from what is on the screen: what is looked for stays as it is.

        first: the place, from 0, of the first candidate that a program gets.
        """
        answer = Answer(answer) if isinstance(answer, str) else answer
        self.other = None
        talk = chat.told(self.conversation, text, answer.text, answer.own_words)
        self.conversation = chat.answered(talk, answer.text, [card.image_id for card in self.cards])
        keep(self, answered=True)
        self.waiting.answered()
        return self._result(answer.whole, first, answer.own_words)

    # How a step is done

    def step(
        self,
        change: Callable[[Conversation], Conversation],
        progress: StepProgress | None,
        problems: Sequence[str] = (),
    ) -> StepResult:
        """problems: sentences that stand before the reply."""
        began = time.perf_counter()
        place = in_line(self.service.engine, self.stop.is_set, progress=progress)
        with self.lock, self.stop_used_up(), place:
            before, changed = self.conversation, change(self.conversation)
            if changed.turns == before.turns:
                nothing = NOTHING_TO_REDO if change is chat.redo else NOTHING_TO_UNDO
                return self._result(NOTHING_CHANGED if before.turns and change is not chat.redo else nothing)
            is_undo, is_redo = len(changed.turns) < len(before.turns), change is chat.redo
            direct = None if is_undo else chat.direct_answer(changed)
            query = chat.to_query(changed)
            ended = taken_back(before, changed, self.untold)
            ranking: Ranking | None = None
            cards: tuple[Card, ...] = ()
            crops: list[Crop] = []
            if direct is not None and not query.is_empty:
                ranking, cards = self.ranking, self.cards
            elif not query.is_empty:
                ranking = self.service.search(query, self, progress, ended)
                candidates = ranking.candidates[:PAGE_OF_CARDS]
                crops = self.service.crops_of(candidates)
                cards = self.service.cards(candidates, crops)
            if is_redo:
                text = " ".join(filter(None, (REDONE, changed.turns[-1].reply)))
            elif is_undo:
                # Answers about candidates ("Here are candidates 13 to 24.") speak of a screen that is gone.
                searched = [
                    turn for turn in changed.turns if turn.direct is None or turn.declined or query.is_empty
                ]
                last = searched[-1].reply if searched else None
                text = " ".join([UNDONE, last or NOTHING_SOUGHT])
            else:
                question = None
                if ranking is not None and (direct is None or (changed.last and changed.last.declined)):
                    question = self.service.question(changed, ranking, self.stop.is_set)
                if direct is None:
                    answer = self._reply(changed, query, ranking, crops, progress, question)
                else:
                    answer = f"{direct} {question.text}" if question else direct
                text = "\n\n".join([*problems, answer])
                changed = chat.answered(changed, text, [card.image_id for card in cards], question)
            if ranking is not None and ranking is not self.ranking:
                # What is shown is how long the operator waited: the reading for the reply is part of it.
                ranking = replace(
                    ranking, timings=replace(ranking.timings, total=time.perf_counter() - began)
                )
            is_new = ranking is not None and ranking is not self.ranking
            self.show(changed, query, ranking, cards)
            keep(self, answered=True)
            self.untold = {} if is_new else ended  # a row of the audit has it; else that of the next search
            self.waiting.answered()
            return self._result(text)

    def _reply(
        self,
        conversation: Conversation,
        query: Query,
        ranking: Ranking | None,
        crops: Sequence[Crop],
        progress: StepProgress | None,
        question: Question | None,
    ) -> str:
        """crops: those of the first candidates; the model reads the first few, for the reply to speak of."""
        if ranking is None:
            return NOTHING_SOUGHT
        first = crops[: KNOWN_FOR_REPLY if self.service.engine.reads_attributes else READ_FOR_REPLY]
        if progress is not None and first:
            progress("reply", 0, len(first))
        top = self.service.shown(first, ranking.candidates[: len(first)], self.stop.is_set)
        nothing_fits = ranking.no_match or not ranking.candidates
        hidden = self.service.hidden(conversation, query) if nothing_fits else {}
        return reply(conversation, ranking, top, hidden=hidden, question=question)

    def show(
        self, conversation: Conversation, query: Query, ranking: Ranking | None, cards: tuple[Card, ...]
    ) -> None:
        self.by_time = self.by_time and ranking is self.ranking
        self.conversation, self.query, self.ranking, self.cards = conversation, query, ranking, cards
        self.selected, self.compared, self.other = None, Comparison(), None

    def _result(self, text: str, first: int = 0, own_words: str = "") -> StepResult:
        ranking, self.unseen = self.ranking, False
        status = {
            "nobody_fits": bool(ranking and ranking.no_match),
            "searched": ranking.searched if ranking else 0,
            "scored": ranking.scored if ranking else 0,
            "seconds": round(ranking.timings.total, 3) if ranking else 0.0,
            "ranker": self.service.engine.ranker.name,
            "prefiltered_by": ranking.prefiltered_by if ranking else "",
            "calibrated": bool(ranking and ranking.calibrated),
            "photographs": bool(ranking and ranking.photographs),
            "very_picture": [c.image_id for c in ranking.candidates if c.very_picture] if ranking else [],
            "unchecked": ranking.unchecked if ranking else "",
            "unreadable": len(ranking.unreadable) if ranking else 0,
            "set_aside": ranking.set_aside if ranking else 0,
            "delayed": bool(ranking and ranking.delayed),
            "stopped": bool(ranking and ranking.stopped),
            "own_words": own_words,
            "model_reading": "",
            "question": question_json(self.question),
            "query": query_json(self.query),
            "case": self.case,
            "not_kept": self.not_kept,
        }
        return StepResult(text, self.cards[first : first + PAGE_OF_CARDS], status)

    @contextmanager
    def stop_used_up(self) -> Iterator[None]:
        """A stop counts for the step that runs, or waits to run, when it is asked for; not for the next one."""
        try:
            yield
        finally:
            self.stop.clear()
