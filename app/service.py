"""The engine behind all open conversations: whose they are, what each asks of it, and the audit."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.candidate_looks import candidate_looks, wants_question
from app.cards import Card, make_cards
from app.cases import catch_up, require_case
from app.chat.chips import hidden_by
from app.chat.conversation import Conversation, asked_before, to_query
from app.chat.questions import Question, most_telling, open_questions
from app.chat.search_state import GalleryFacts, ShownCandidate
from app.in_line import MOST_WAITING, in_line
from app.model.answers import AttributeReading
from app.model.checkpoint import ModelError
from app.model.line import never
from app.model.message_reading import (
    MOST_MESSAGE,
    MOST_TOKENS,
    MessageReading,
    parse_reading,
    reading_prompt,
    reading_schema,
)
from app.open_sessions import OpenSessions
from app.query_json import engine_json, query_json
from app.refused import ReasonNeeded, Refused
from app.retrieval.engine import Engine
from app.retrieval.query import Query, Reference, RetrievalError
from app.retrieval.ranking import Candidate, Ranking
from app.sending import hand_back
from app.session import PAGE_OF_CARDS, ChatSession
from app.talk import MOST_WRITTEN
from app.uploads import Uploads
from gallery_store.cases import CaseRecord
from gallery_store.console import StepProgress
from gallery_store.crops import Crop, Filters
from gallery_store.encoder import EncoderError
from gallery_store.errors import GalleryError

if TYPE_CHECKING:
    from app.chat.model_questions import ModelTask
    from app.model.generation import WrittenAnswer
    from app.model.prompts import Message
    from gallery_store.case_messages import MessageId

MOST_LISTED = (
    200  # candidates of one search that are kept; those that follow are searched for when they are asked for
)

_FAILED = (
    ModelError,
    EncoderError,
)  # of a model or an encoder that cannot answer, such as one whose Ray went away


@contextmanager
def _gallery_refused() -> Iterator[None]:
    """A gallery that is locked, full, read-only, replaced or gone costs one step and not the app."""
    try:
        yield
    except GalleryError as problem:
        raise Refused(_sentence(problem)) from problem


class ChatService:
    """All open conversations over one engine. Thread-safe; those of several operators search in turns.

    Args:
        uploads: checks photos; None where none come.
        session_hours: a conversation that was idle for longer is forgotten.
        most_listed: candidates that a search keeps at once. today: the date that "yesterday" is understood by; None
            takes the gallery's own now. audited: each search leaves a row in the gallery's audit.
        model_reads: a model that talks freely reads each message too. needs_reason: nothing is searched, nor asked of
            the model, for a case without a reason. users: names of those who log in; none where nobody does. ask: which
            of the open questions the chat puts.
        clock: seconds, for the idle time.
    """

    def __init__(
        self,
        engine: Engine,
        uploads: Uploads | None = None,
        *,
        session_hours: float = 12.0,
        most_listed: int = MOST_LISTED,
        today: date | None = None,
        audited: bool = True,
        model_reads: bool = False,
        needs_reason: bool = False,
        users: Collection[str] = (),
        ask: Callable[[Sequence[Question]], Question | None] = most_telling,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.engine = engine
        self.store = engine.store
        self._uploads = uploads
        self._most_listed = most_listed
        self._today = today
        self._audited = audited
        self.reads_messages = model_reads and engine.talks_freely
        self.needs_reason = needs_reason
        self.users = frozenset(users)
        self._ask = ask
        self._open = OpenSessions(lambda user: ChatSession(self, user), session_hours * 3600, clock)

    @property
    def keeps_cases(self) -> bool:
        """Whether conversations are written to the gallery."""
        return self._audited and not self.store.read_only

    @property
    def can_share(self) -> bool:
        """Whether a case may be shared: there is somebody else who logs in."""
        return self.keeps_cases and len(self.users) > 1

    def get(self, user: str, session_hash: str, case: str = "") -> ChatSession:
        """The session of this user's tab, a new one if there is none yet or it was idle for too long.

        Neither another tab nor another login finds it. It shows what another tab did in its case meanwhile.

        case: the id of the case that a new one goes on with; where there is none its notice says so.
        """
        session, is_new = self._open.find(user, session_hash)
        if is_new and case:
            session.open_case(case)
            hand_back(session)
        elif not is_new:
            catch_up(session)
        return session

    def is_open(self, user: str, session_hash: str) -> bool:
        """Whether this tab has a conversation already, and was not idle for too long."""
        return self._open.has(user, session_hash)

    def held_messages(self, user: str) -> frozenset[MessageId]:
        """Those that one of the user's conversations here is answering, or will."""
        waiting = (message for session in self._open.of(user) for message in session.waiting.unanswered)
        return frozenset(one for message in waiting for one in message.kept)

    def go_on_in(self, user: str, session_hash: str, tab: str) -> ChatSession | None:
        """The session that this tab had before it was reloaded, with what it does and what waits in it; None where it
        is forgotten, or the app was started anew since.
        """
        return self._open.move(user, session_hash, tab)

    @_gallery_refused()
    def facts(self) -> GalleryFacts:
        """What the gallery has to choose from, for the understanding of filters."""
        self.store.refresh()
        now = None if self._today else datetime.now(self.store.zone).replace(tzinfo=None)
        return GalleryFacts(
            cameras=tuple(self.store.cameras()),
            days=tuple(self.store.days()),
            today=now.date() if now else self._today or date.min,
            now=now,
            hours=tuple(self.store.hours()),
        )

    def usable(self, photos: Sequence[Path]) -> tuple[list[Path], list[str]]:
        """The photos that can be searched with, and a sentence for each of the others."""
        if self._uploads is None:
            return [], ["Photos are not taken here."] if photos else []
        usable, problems = [], []
        for given in photos:
            try:
                photo = self._uploads.keep(given) if self.keeps_cases else given
                self._uploads.preview(photo)
                usable.append(photo)
            except Refused as problem:
                problems.append(str(problem))
        return usable, problems

    @_gallery_refused()
    def cases_of(self, user: str) -> list[CaseRecord]:
        """The user's cases and those shared with them, the last that went on first; none where the gallery cannot be
        written.
        """
        return self.store.cases.listed(user) if self.keeps_cases else []

    def name_of_photo(self, photo: Path) -> Path:
        """The name by which a case keeps one of its photos."""
        return photo.relative_to(self._uploads.of_cases) if self._uploads else photo

    def kept_photo(self, case: str, name: Path) -> Path:
        """Where a photo of a case lies, brought back from the gallery if need be; nothing lies there if it is lost."""
        if self._uploads is None:
            return name
        file = self._uploads.of_cases / name
        if not file.exists() and (data := self.store.cases.photo(case, name.as_posix())) is not None:
            self._uploads.put(name, data)
        return file

    @_gallery_refused()
    def crop_id(self, image_id: Any) -> int:
        """An image id as a page or a client sends it, if the gallery has that crop; else Refused."""
        number = (
            image_id if isinstance(image_id, int | float) and not isinstance(image_id, bool) else math.nan
        )
        if isinstance(image_id, str) and image_id.strip().isdecimal():
            number = int(image_id)
        if not math.isfinite(number) or number != int(number):
            raise Refused(f"An image id is a whole number, not {str(image_id)[:40]!r}.")
        try:
            self.store.crops([int(number)])
        except (KeyError, OverflowError):
            raise Refused(f"There is no crop {int(number)} in the gallery.") from None
        return int(number)

    @_gallery_refused()
    def search(
        self,
        query: Query,
        session: ChatSession,
        progress: StepProgress | None,
        taken_back: Mapping[str, list[int]],
    ) -> Ranking:
        """Search, and leave the audit row. Refused when it cannot be done, ReasonNeeded where a reason is lacking.

        taken_back: judgements that were ended (app.taken_back); the audit keeps them with the search that followed.
        """
        self.permit(session)
        ranking = self._searched(query, self._most_listed, session, progress)
        if self._audited:
            self.store.record_search(
                user=session.user,
                reason=session.conversation.reason,
                query=query_json(query)
                | ({"taken_back": taken_back} if taken_back else {})
                | _not_judged(ranking)
                | {"engine": engine_json(self.engine, query)},
                shown=[candidate.image_id for candidate in ranking.candidates[:PAGE_OF_CARDS]],
                seconds=ranking.timings.total,
                case=session.conversation.case,
            )
        return ranking

    def permit(self, session: ChatSession) -> None:
        """Before anything of the gallery is shown to this conversation or read for it. ReasonNeeded where its case
        lacks the reason; Refused where the case is not its user's any more, and a new one begins.
        """
        require_case(session)
        if self.needs_reason and not session.has_reason:
            raise ReasonNeeded

    @_gallery_refused()
    def longer(
        self, query: Query, ranking: Ranking, session: ChatSession, progress: StepProgress | None
    ) -> Ranking:
        """The same list with the candidates that follow, as many again as a search keeps; the audit has no row of it.

        Refused as `search`. Those that are listed stay where they are, whatever was imported meanwhile.
        """
        listed = {candidate.image_id for candidate in ranking.candidates}
        found = self._searched(query, len(listed) + self._most_listed, session, progress)
        if found.stopped:  # the model's part is cut short, and with it the order
            return ranking
        further = [candidate for candidate in found.candidates if candidate.image_id not in listed]
        candidates = (*ranking.candidates, *further)
        return replace(
            ranking,
            candidates=candidates,
            searched=max(found.searched, len(candidates)) if further else len(candidates),
        )

    def _searched(
        self, query: Query, limit: int, session: ChatSession, progress: StepProgress | None
    ) -> Ranking:
        stop = session.stop.is_set
        try:
            with in_line(self.engine, stop, progress=progress):
                return self.engine.search(query, limit=limit, progress=progress, stop=stop)
        except (RetrievalError, *_FAILED) as problem:
            raise Refused(_sentence(problem)) from problem

    @_gallery_refused()
    def ask_model(
        self,
        task: ModelTask,
        messages: list[Message],
        crop_ids: Sequence[int],
        session: ChatSession,
        said: Callable[[str], None],
    ) -> WrittenAnswer:
        """What the model writes about these crops, and the audit row.

        said: called with the text so far. Refused when the model is busy for too long, a picture is gone, or it fails.
        """
        self.permit(session)
        began, stop = time.monotonic(), session.stop.is_set
        pictures = [Reference(image_id=crop_id) for crop_id in crop_ids]
        try:
            with in_line(self.engine, stop, MOST_WAITING):
                written = self.engine.write(messages, pictures, limit=MOST_WRITTEN, said=said, stop=stop)
        except (RetrievalError, *_FAILED) as problem:
            raise Refused(_sentence(problem)) from problem
        if self._audited:
            asked = {
                "task": task.kind,
                "question": task.question,
                "answer": written.text,
                "ended": written.ended,
            }
            self.store.record_search(
                user=session.user,
                reason=session.conversation.reason,
                query={"asked_model": asked},
                shown=crop_ids,
                seconds=time.monotonic() - began,
                case=session.conversation.case,
            )
        return written

    def read_message(self, text: str, session: ChatSession) -> MessageReading | None:
        """What the model reads in a message; None where it fails, is stopped or too long, or fills in no whole form."""
        if len(text) > MOST_MESSAGE:
            return None
        stop = session.stop.is_set
        try:
            with in_line(self.engine, stop, MOST_WAITING):
                written = self.engine.write(
                    reading_prompt(text), [], limit=MOST_TOKENS, stop=stop, schema=reading_schema()
                )
        except (Refused, ModelError):
            return None
        return parse_reading(written.text) if written.ended else None

    @_gallery_refused()
    def read(
        self, pictures: Sequence[Reference], stop: Callable[[], bool] = never
    ) -> list[tuple[AttributeReading, ...]]:
        """What the model reads in each picture; nothing in one that has vanished, or that `stop` came before. Refused
        where the model fails.
        """
        if stop():
            return [() for _ in pictures]
        try:
            with in_line(self.engine, stop):
                return [tuple(readings) for readings in self.engine.read(pictures, stop=stop)]
        except RetrievalError:
            if len(pictures) == 1:
                return [()]
        except Refused:
            return [() for _ in pictures]
        except _FAILED as problem:
            raise Refused(_sentence(problem)) from problem
        return [self.read([picture], stop)[0] for picture in pictures]

    def shown(
        self, crops: Sequence[Crop], candidates: Sequence[Candidate], stop: Callable[[], bool] = never
    ) -> list[ShownCandidate]:
        """Candidates, their crops first, with what the model reads in each, as in `read`."""
        readings = self.read([Reference(image_id=crop.id) for crop in crops], stop) if crops else []
        return [
            ShownCandidate(*one, self.engine.kinds) for one in zip(crops, candidates, readings, strict=True)
        ]

    @_gallery_refused()
    def question(
        self, conversation: Conversation, ranking: Ranking, stop: Callable[[], bool] = never
    ) -> Question | None:
        """What to ask after the last turn, whose candidates these are; None where nothing is worth an answer. Refused
        where the model fails.
        """
        if not wants_question(conversation, ranking):
            return None
        try:
            with in_line(self.engine, stop):
                looks = candidate_looks(self.engine, to_query(conversation), ranking, stop)
        except (Refused, RetrievalError, KeyError):  # stopped, or a picture has gone since the search
            return None
        except _FAILED as problem:
            raise Refused(_sentence(problem)) from problem
        return self._ask(open_questions(conversation.known, looks, asked_before(conversation)))

    @_gallery_refused()
    def crops_of(self, candidates: Sequence[Candidate]) -> list[Crop]:
        """The candidates' crops, in their order. Refused where one was deleted since."""
        try:
            return self.store.crops([candidate.image_id for candidate in candidates])
        except KeyError:
            raise Refused("A picture of this list is not in the gallery any more: search again.") from None

    @_gallery_refused()
    def crops_of_ids(self, ids: Sequence[int]) -> list[Crop]:
        """KeyError for one that was deleted."""
        return self.store.crops(list(ids))

    def place_of(self, crop_id: int) -> str:
        """Where and when a crop was seen, as its card says it; KeyError where it was deleted."""
        (card,) = self.cards([Candidate(crop_id, 0.0, None, None)], self.crops_of_ids([crop_id]))
        return card.place

    @_gallery_refused()
    def still_there(self, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        """Those whose crops were not deleted since."""
        self.store.refresh()
        there = self.passing(Filters())
        return tuple(candidate for candidate in candidates if candidate.image_id in there)

    @_gallery_refused()
    def cards(self, candidates: Sequence[Candidate], crops: Sequence[Crop]) -> tuple[Card, ...]:
        """The candidates as they are shown; `crops` are theirs. They say the day if the gallery has more than one."""
        zone, span = self.store.zone, self.store.time_span()
        days = {moment.astimezone(zone).date() for moment in span or ()}
        return make_cards(candidates, crops, zone, with_day=len(days) > 1)

    @_gallery_refused()
    def passing(self, filters: Filters) -> frozenset[int]:
        """Ids of all crops that pass filters."""
        return frozenset(int(image_id) for image_id in self.store.matching(filters))

    @_gallery_refused()
    def hidden(self, conversation: Conversation, query: Query) -> dict[str, int]:
        """For each filter, how many more crops would pass without it."""
        passing = len(self.store.matching(query.filters, exclude=query.rejected))
        return {
            label: len(self.store.matching(without.filters, exclude=query.rejected)) - passing
            for label, without in hidden_by(conversation.known)
        }


def _not_judged(ranking: Ranking) -> dict[str, Any]:
    """For the audit: unreadable (crop ids) and set_aside (how many), as Ranking has them; nothing where all is well."""
    lost: dict[str, Any] = {"unreadable": sorted(ranking.unreadable), "set_aside": ranking.set_aside}
    return {name: value for name, value in lost.items() if value}


def _sentence(problem: Exception) -> str:
    text = str(problem)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
