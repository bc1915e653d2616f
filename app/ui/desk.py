"""The operator's desk: one step of one conversation, whoever asked for it, the page or a program.

A step is done whole or not at all: the session changes only after the search has succeeded.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import gradio as gr

from app.chat import conversation as chat
from app.chat.chips import hidden_by
from app.chat.conversation import Conversation
from app.chat.reply import compare_text, reply
from app.chat.search_state import GalleryFacts, ShownCandidate
from app.model.answers import AttributeReading
from app.model.checkpoint import ModelError
from app.retrieval.comparison import SURE_ENOUGH, Comparison
from app.retrieval.engine import Engine
from app.retrieval.query import Query, Reference, RetrievalError
from app.retrieval.ranking import Ranking
from app.ui.cards import Card, make_cards
from app.ui.comparing import compare
from app.ui.querying import query_json
from app.ui.refused import Refused
from app.ui.sessions import PAGE_OF_CARDS, Session, Sessions
from app.ui.uploads import Uploads
from gallery_store.errors import GalleryError

MOST_LISTED = 200  # candidates of one search that can be looked through
READ_FOR_REPLY = 3  # first candidates whose attributes the reply speaks of
LOCAL_USER = "local"
MOST_REASON = 200  # characters

UNDONE = "Took the last step back."
NOTHING_SOUGHT = "Nothing is looked for now. Describe somebody, or drop a photo."
NOTHING_TO_UNDO = "There is nothing to take back."
NOTHING_CHANGED = "That changed nothing."

Change = Callable[[Conversation], Conversation]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Answer:
    """What a step came to: the reply (Markdown), up to 12 candidates best first, and the figures."""

    reply: str
    cards: tuple[Card, ...]
    status: dict[str, Any]


class Desk:
    """All open conversations over one engine. Thread-safe; one search runs at a time."""

    def __init__(self, engine: Engine, uploads: Uploads, *, session_hours: float = 12.0) -> None:
        self.engine = engine
        self.store = engine.store
        self.uploads = uploads
        self.sessions = Sessions(session_hours)
        self._searching = threading.Lock()

    def session(self, request: gr.Request) -> Session:
        """The conversation of the tab or client that sends this request."""
        return self.sessions.get(request.username or LOCAL_USER, request.session_hash or "")

    @property
    def most_listed(self) -> int:
        return MOST_LISTED

    def give_reason(self, session: Session, reason: str) -> None:
        """The reason that the searches of this conversation are recorded with."""
        with session.lock:
            words = " ".join(reason.split())[:MOST_REASON] or "not stated"
            session.conversation = replace(session.conversation, reason=words)

    def facts(self) -> GalleryFacts:
        """What the gallery has to choose from, for the understanding of filters."""
        self.store.refresh()
        return GalleryFacts(
            cameras=tuple(self.store.cameras()),
            days=tuple(self.store.days()),
            today=datetime.now(self.store.zone).date(),
        )

    # Steps

    def say(
        self, session: Session, text: str, files: Sequence[Path], progress: Progress | None = None
    ) -> Answer:
        """A message with any photos. Photos that cannot be used are named, and the rest goes on."""
        usable, problems = [], []
        for file in files:
            try:
                self.uploads.preview(file)
                usable.append(file)
            except Refused as problem:
                problems.append(str(problem.message))
        if problems and not usable and not text.strip():
            raise Refused(" ".join(problems))
        facts = self.facts()
        return self._step(
            session, lambda conversation: chat.say(conversation, text, facts, usable), progress, problems
        )

    def search_with(self, session: Session, image_id: Any, progress: Progress | None = None) -> Answer:
        crop_id = self.known(image_id)
        return self._step(session, lambda conversation: chat.search_with(conversation, crop_id), progress)

    def confirm(self, session: Session, image_id: Any, progress: Progress | None = None) -> Answer:
        crop_id = self.known(image_id)
        return self._step(session, lambda conversation: chat.confirm(conversation, crop_id), progress)

    def reject(self, session: Session, image_id: Any, progress: Progress | None = None) -> Answer:
        crop_id = self.known(image_id)
        return self._step(session, lambda conversation: chat.reject(conversation, crop_id), progress)

    def remove_chip(self, session: Session, key: str, progress: Progress | None = None) -> Answer:
        return self._step(session, lambda conversation: chat.remove_chip(conversation, key), progress)

    def undo(self, session: Session, progress: Progress | None = None) -> Answer:
        return self._step(session, chat.undo, progress)

    def start_over(self, session: Session) -> Answer:
        """Clears the conversation, its candidates and its reason."""
        with session.lock:
            session.conversation = Conversation()
            _clear_results(session)
            return Answer("Started over. Whom are you looking for?", (), self._status(session))

    def select(self, session: Session, image_id: Any) -> str:
        """Put one of the candidates beside the query; returns the comparison in words.

        Any crop of the gallery can be compared, but only a candidate of the last search is shown.
        """
        crop_id = self.known(image_id)
        with session.lock:
            compared = self._compare(chat.to_query(session.conversation), crop_id)
            card = next((card for card in session.cards if card.image_id == crop_id), None)
            if card is not None:
                session.selected, session.compared = card, compared
            return compare_text(compared, "the query", f"crop {crop_id}")

    def kin(self, session: Session) -> tuple[Card, ...]:
        """The candidates that the selected one was judged together with, as far as they are still there."""
        if session.selected is None or session.ranking is None:
            return ()
        by_id = {candidate.image_id: candidate for candidate in session.ranking.candidates}
        found: list[Card] = []
        for image_id in by_id[session.selected.image_id].same_outfit:
            if (candidate := by_id.get(image_id)) is None:
                continue  # beyond what is listed
            try:
                found += make_cards([candidate], self.store.crops([image_id]), self.store.zone)
            except KeyError:
                continue  # deleted since the search
        return tuple(found)

    def show_more(self, session: Session) -> None:
        """The next 12 candidates of the last search."""
        with session.lock:
            if session.ranking is not None:
                session.limit = min(session.limit + PAGE_OF_CARDS, MOST_LISTED)
                session.cards = self._cards(session.ranking, session.limit)

    def known(self, image_id: Any) -> int:
        """The image id, if the gallery has that crop; else Refused."""
        number = (
            image_id if isinstance(image_id, int | float) and not isinstance(image_id, bool) else math.nan
        )
        if isinstance(image_id, str) and image_id.strip().isdigit():
            number = int(image_id)
        if not math.isfinite(number) or number != int(number):
            raise Refused(f"An image id is a whole number, not {str(image_id)[:40]!r}.")
        try:
            self.store.crops([int(number)])
        except (KeyError, OverflowError):
            raise Refused(f"There is no crop {int(number)} in the gallery.") from None
        return int(number)

    # How a step is done

    def _step(
        self, session: Session, change: Change, progress: Progress | None, problems: Sequence[str] = ()
    ) -> Answer:
        with session.lock, _stop_used_up(session):
            before, changed = session.conversation, change(session.conversation)
            if changed.turns == before.turns:
                text = NOTHING_CHANGED if before.turns else NOTHING_TO_UNDO
                return Answer(text, session.cards[:PAGE_OF_CARDS], self._status(session))
            undone = len(changed.turns) < len(before.turns)
            direct = None if undone else chat.direct_answer(changed)
            query = chat.to_query(changed)
            ranking: Ranking | None = None
            cards: tuple[Card, ...] = ()
            if query.is_empty:
                pass
            elif direct is not None:
                ranking, cards = session.ranking, session.cards[:PAGE_OF_CARDS]
            else:
                ranking = self._search(query, session, progress)
                cards = self._cards(ranking, PAGE_OF_CARDS)
            if undone:
                last = changed.turns[-1].reply if changed.turns else None
                text = " ".join([UNDONE, last or NOTHING_SOUGHT])
            else:
                said = direct if direct is not None else self._reply(changed, ranking, cards)
                text = "\n\n".join([*problems, said])
                changed = chat.answered(changed, text, [card.image_id for card in cards])
            session.conversation = changed
            session.ranking, session.cards, session.limit = ranking, cards, PAGE_OF_CARDS
            session.selected, session.compared = None, Comparison()
            return Answer(text, cards, self._status(session))

    def _reply(self, conversation: Conversation, ranking: Ranking | None, cards: Sequence[Card]) -> str:
        if ranking is None:
            return NOTHING_SOUGHT
        hidden = self._hidden(conversation) if ranking.no_match or not ranking.candidates else {}
        return reply(conversation, ranking, self._shown(ranking, cards), hidden=hidden)

    def _hidden(self, conversation: Conversation) -> dict[str, int]:
        """For each filter, how many more crops would pass without it."""
        query = chat.to_query(conversation)
        passing = len(self.store.matching(query.filters, exclude=query.rejected))
        return {
            label: len(self.store.matching(without.filters, exclude=query.rejected)) - passing
            for label, without in hidden_by(conversation.known)
        }

    def _search(self, query: Query, session: Session, progress: Progress | None) -> Ranking:
        """Search, and leave the audit row. Waits while another search runs."""
        try:
            with self._searching:
                ranking = self.engine.search(
                    query, limit=MOST_LISTED, progress=progress, stop=session.stop.is_set
                )
        except (RetrievalError, ModelError, GalleryError) as problem:
            raise Refused(_sentence(problem)) from problem
        self.store.record_search(
            user=session.user,
            reason=session.conversation.reason,
            query=query_json(query),
            shown=[candidate.image_id for candidate in ranking.candidates[:PAGE_OF_CARDS]],
            seconds=ranking.timings.total,
            case=session.conversation.case,
        )
        return ranking

    def _cards(self, ranking: Ranking, limit: int) -> tuple[Card, ...]:
        candidates = ranking.candidates[:limit]
        crops = self.store.crops([candidate.image_id for candidate in candidates])
        return make_cards(candidates, crops, self.store.zone)

    def _status(self, session: Session) -> dict[str, Any]:
        query, ranking = chat.to_query(session.conversation), session.ranking
        return {
            "nobody_fits": bool(ranking and ranking.no_match),
            "searched": ranking.searched if ranking else 0,
            "scored": ranking.scored if ranking else 0,
            "seconds": round(ranking.timings.total, 3) if ranking else 0.0,
            "calibrated": bool(ranking and ranking.calibrated),
            "stopped": bool(ranking and ranking.stopped),
            "query": query_json(query),
        }

    def _shown(self, ranking: Ranking | None, cards: Sequence[Card]) -> list[ShownCandidate]:
        """The first candidates with what the model reads in them, for the reply to speak of."""
        if ranking is None or not cards:
            return []
        first = ranking.candidates[:READ_FOR_REPLY]
        crops = self.store.crops([candidate.image_id for candidate in first])
        readings = self._read([Reference(image_id=crop.id) for crop in crops])
        return [
            ShownCandidate(crop, candidate, read)
            for crop, candidate, read in zip(crops, first, readings, strict=True)
        ]

    def _read(self, references: Sequence[Reference]) -> list[tuple[AttributeReading, ...]]:
        """What the model reads in each picture; nothing in one that has vanished."""
        with self._searching:
            try:
                return [tuple(read) for read in self.engine.read(references)]
            except RetrievalError:
                if len(references) == 1:
                    return [()]
        return [self._read([reference])[0] for reference in references]

    def _compare(self, query: Query, crop_id: int) -> Comparison:
        candidate, *references = [
            [reading.attribute for reading in found if reading.confidence >= SURE_ENOUGH]
            for found in self._read([Reference(image_id=crop_id), *query.references])
        ]
        return compare(query, references, candidate)


@contextmanager
def _stop_used_up(session: Session) -> Iterator[None]:
    """A stop counts for the step that runs, or waits to run, when it is asked for; not for the next one."""
    try:
        yield
    finally:
        session.stop.clear()


def _sentence(problem: Exception) -> str:
    text = str(problem)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _clear_results(session: Session) -> None:
    session.ranking, session.cards, session.limit = None, (), PAGE_OF_CARDS
    session.selected, session.compared, session.waiting, session.notice = None, Comparison(), None, ""
    session.photo = None
