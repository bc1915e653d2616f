"""What the page's events do: each finds its session, lets it do one step, and shows the result."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app.chat.sightings import Direction
from app.filter_steps import filter_by, read_change
from app.refused import ReasonNeeded, Refused
from app.sending import answer, give_back, send
from app.service import ChatService
from app.session import ChatSession
from app.stacks import group
from app.ui.background import BackgroundWork
from app.ui.cropper import EMPTY, CropperHandlers
from app.ui.edge import events_of, session_of, user_of
from app.ui.html import sent_html
from app.ui.view import Updates, View
from app.waiting import Sent
from gallery_store.console import StepProgress
from gallery_store.errors import GalleryError, first_line

Step = Callable[[ChatSession, StepProgress], Any]
_TICK = 0.3  # seconds
NOTHING_KEPT = "No step of this case is kept yet."
ONLY_OWNER = "Only its owner may rename or close a case."
GIVEN_BACK = "ChatReID was started anew before this was answered. Please send it again."
FAULT = "This step failed by a fault of ChatReID's own ({}: {}); its log says where."


class Handlers:
    """The handlers of one page. Those that search are generators: they show progress, then the answer."""

    def __init__(self, service: ChatService, view: View) -> None:
        self.service = service
        self.view = view
        self.uploads = view.uploads
        self.cropper = CropperHandlers(service, view, self.add)

    # The case

    def open(self, request: gr.Request) -> Updates:
        """The page was loaded, perhaps by the address of a case."""
        session = session_of(self.service, request)
        if not session.case and not session.notice:
            return self.view.only_cases(session)  # what is typed already is not touched
        return self.view.opened(session)

    def rename_case(self, event: gr.EventData, request: gr.Request) -> Updates:
        title = str(event._data.get("title", ""))
        return self.on_case(
            request, lambda session: self.service.store.cases.rename(session.case, session.user, title)
        )

    def close_case(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Put the case among the closed ones, or back."""
        closed = bool(event._data.get("closed"))
        return self.on_case(
            request, lambda session: self.service.store.cases.close(session.case, session.user, closed=closed)
        )

    def on_case(self, request: gr.Request, change: Callable[[ChatSession], object]) -> Updates:
        """Something that its owner does with the case as a whole."""
        session = session_of(self.service, request)

        def do() -> None:
            try:
                change(session)
            except KeyError:
                raise Refused(ONLY_OWNER if session.case else NOTHING_KEPT) from None
            except GalleryError as problem:
                raise Refused(f"The case cannot be changed now: {problem}.") from problem

        return self._at_once(session, do)

    # A message: shown at once by `announce`, answered by `answer` when its turn comes

    def announce(self, message: Any, request: gr.Request) -> Updates:
        """A message was sent; the field is free for the next one, unless a photo of it must be cut first."""
        self._sending_in(request)
        if (undecided := self.cropper.hold(message, request)) is not None:
            return undecided
        return {**self._announced(message, request), self.view.components.message: EMPTY}

    def announce_example(self, chosen: gr.SelectData, request: gr.Request) -> Updates:
        return self._announced({"text": str(chosen.value.get("text", ""))}, request)

    def announce_answer(self, event: gr.EventData, request: gr.Request) -> Updates:
        """A button under a question: the same as sending its words, and nothing that is being typed goes with it."""
        return self._announced({"text": str(event._data.get("text", ""))}, request)

    def announce_undo(self, request: gr.Request) -> Updates:
        return self.add(request, Sent(step="undo"))

    def announce_redo(self, request: gr.Request) -> Updates:
        return self.add(request, Sent(step="redo"))

    def announce_start_over(self, request: gr.Request) -> Updates:
        """What was held for want of a reason is given back; the page has emptied the field of the reason."""
        session = self._sending_in(request)
        held = session.waiting.withdraw() if session.waiting.is_held else ()
        shown = self.add(request, Sent(step="start-over"))
        if texts := [message.text for message in held if message.text.strip()]:
            kept = tuple(one for message in held for one in message.kept)
            give_back(session, Sent("\n".join(texts), kept=kept))
        return shown

    def _announced(self, message: Any, request: gr.Request) -> Updates:
        try:
            text, files = self.uploads.files_of(message)
        except Refused as problem:
            session = session_of(self.service, request)
            session.notice, session.given_back = str(problem), None
            return self.view.working(session, None)
        return self.add(request, Sent(text, self._sending_in(request).cropping.sent(files)))

    def add(self, request: gr.Request, sent: Sent) -> Updates:
        session = self._sending_in(request)
        session.notice, session.given_back = "", None
        was_begun = session.case
        send(session, sent)
        # A case that begins with this message is named in the page's address from now on.
        begun = self.view.only_cases(session) if session.case != was_begun else {}
        return {**begun, **self.view.working(session, None)}

    def _sending_in(self, request: gr.Request) -> ChatSession:
        """The session of a page that sends something. Where the app was started anew under an open page, or that was
        idle for too long, what was not answered then was given back to nobody: it stands in line first.
        """
        is_open = self.service.is_open(user_of(request), request.session_hash or "")
        session = session_of(self.service, request)
        if not is_open and session.given_back is not None:
            session.waiting.add(session.given_back)
            session.owed, session.owed_photos = (), None
        return session

    def answer(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        """All that waits, in its order: nothing is left over where a call is lost on the way."""
        session = session_of(self.service, request)
        of_case = session.keeper
        yield from self._answer(session, reason)
        # The reason was given for a case: what waits behind Start over does not take it along.
        while session.waiting.later and not session.waiting.is_held:
            yield from self._answer(session, reason if session.keeper is of_case else "")

    def reason_given(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        """The field was left, or Enter pressed in it. A case keeps its reason where the field is empty."""
        session, at = session_of(self.service, request), self.view.components
        try:
            session.keep_reason(reason)
        except Refused as problem:
            session.notice = str(problem)
            yield self.view.opened(session)
            return
        if session.waiting.is_held and session.has_reason:
            yield from self.answer(reason, request)
        yield {at.reason: self.view.reason(session), at.sent: sent_html(session)}

    def _answer(self, session: ChatSession, reason: str) -> Iterator[Updates]:
        message = session.waiting.begin()
        if message is None:
            yield self.view.full(session)
            return

        def do(session: ChatSession, progress: StepProgress) -> None:
            try:
                answer(session, message, progress)
            except ReasonNeeded:
                session.waiting.hold()
            except Exception:
                if message.step == "say" and session.waiting.in_hand is not None:  # it came to no step
                    give_back(session, message)
                raise
            finally:
                session.waiting.answered()

        yield from self._run(session, reason, do)

    def go_on(self, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """The page was reloaded while a step was being done, or messages waited: what was sent is answered here.

        Where the app was started anew meanwhile, those messages are given back to be sent again.
        """
        user, tab = user_of(request), str(event._data.get("tab", ""))
        session = self.service.go_on_in(user, request.session_hash or "", tab)
        if session is not None:
            session.given_back = None  # it stands in the field already
        else:
            session = session_of(self.service, request)
            texts = [str(text) for text in event._data.get("waiting") or () if text]
            if texts and session.given_back is None:  # of a gallery that keeps no messages
                session.given_back = Sent("\n".join(texts))
                session.notice = GIVEN_BACK
        yield self.view.opened(session) | self.view.working(session, None)
        with events_of(session):  # those of the page that is gone end first
            while not session.lock.acquire(blocking=False):
                time.sleep(_TICK)
                yield self.view.working(session, None)
            session.lock.release()
            while session.waiting.later and not session.waiting.is_held:
                yield from self._answer(
                    session, ""
                )  # the field of a new page may show that of the case before
            yield self.view.full(session)

    # The other steps of a conversation

    def search_with(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_selected(request, reason, ChatSession.search_with)

    def confirm(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_selected(request, reason, ChatSession.confirm)

    def reject(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_selected(request, reason, ChatSession.reject)

    def before(self, reason: str, minutes: float, request: gr.Request) -> Iterator[Updates]:
        yield from self._around(request, reason, "before", minutes)

    def after(self, reason: str, minutes: float, request: gr.Request) -> Iterator[Updates]:
        yield from self._around(request, reason, "after", minutes)

    def _around(
        self, request: gr.Request, reason: str, direction: Direction, minutes: float
    ) -> Iterator[Updates]:
        def step(session: ChatSession, image_id: int, progress: StepProgress) -> None:
            session.around(image_id, direction, int(minutes or 0), progress)

        yield from self._on_selected(request, reason, step)

    def use_model_reading(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._run(session_of(self.service, request), reason, ChatSession.use_model_reading)

    def remove_chip(self, event: gr.EventData, reason: str, request: gr.Request) -> Iterator[Updates]:
        key, session = str(event._data.get("key", "")), session_of(self.service, request)
        yield from self._run(session, reason, lambda session, progress: session.remove_chip(key, progress))

    def set_filters(self, event: gr.EventData, reason: str, request: gr.Request) -> Iterator[Updates]:
        """Cameras, days and hours, as far as they were changed on the bar; page/filters.js sends them."""
        sent, session = dict(event._data), session_of(self.service, request)
        yield from self._run(
            session, reason, lambda session, progress: filter_by(session, read_change(sent), progress)
        )

    # The board

    def search_sighting(self, event: gr.EventData, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_sighting(event, request, reason, ChatSession.search_with)

    def take_off(self, event: gr.EventData, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_sighting(event, request, reason, ChatSession.take_off)

    def note(self, event: gr.EventData, request: gr.Request) -> Updates:
        session, sent = session_of(self.service, request), event._data
        return self._at_once(session, lambda: session.note(sent.get("image_id"), str(sent.get("text", ""))))

    def _on_sighting(
        self, event: gr.EventData, request: gr.Request, reason: str, step: Callable[..., Any]
    ) -> Iterator[Updates]:
        image_id, session = event._data.get("image_id"), session_of(self.service, request)
        yield from self._run(session, reason, lambda session, progress: step(session, image_id, progress))

    # What needs no search

    def choose(self, event: gr.EventData, request: gr.Request) -> Updates:
        session = session_of(self.service, request)
        return self._at_once(session, lambda: session.select(event._data.get("image_id")))

    def more(self, request: gr.Request) -> Iterator[Updates]:
        yield from self._run(session_of(self.service, request), "", ChatSession.show_more)

    def order(self, event: gr.EventData, request: gr.Request) -> Updates:
        """By fit, or by time with the earliest or the latest first."""
        order, session = event._data.get("order"), session_of(self.service, request)
        by_time = order in ("earliest", "latest")
        return self._at_once(session, lambda: session.order(by_time=by_time, latest_first=order == "latest"))

    def group(self, event: gr.EventData, request: gr.Request) -> Updates:
        by_person, session = bool(event._data.get("by_person")), session_of(self.service, request)
        return self._at_once(session, lambda: group(session, by_person=by_person))

    def stop(self, request: gr.Request) -> None:
        session_of(self.service, request).stop.set()

    # How they are done

    def _on_selected(self, request: gr.Request, reason: str, step: Callable[..., Any]) -> Iterator[Updates]:
        session = session_of(self.service, request)
        selected = session.selected

        def do(session: ChatSession, progress: StepProgress) -> None:
            session.require_seen()
            if selected is None:
                raise Refused("Choose a candidate first.")
            step(session, selected.image_id, progress)

        yield from self._run(session, reason, do)

    def _run(self, session: ChatSession, reason: str, step: Step) -> Iterator[Updates]:
        """A step that was begun is done to its end, and kept, also where its tab is gone. One that fails changes
        nothing, and a sentence says so.
        """
        session.notice = ""
        if reason.strip():
            session.give_reason(reason)

        def do(progress: StepProgress) -> None:
            try:
                step(session, progress)
            except Refused as problem:
                session.notice = str(problem)
            except Exception as problem:
                traceback.print_exception(problem)
                session.notice = FAULT.format(type(problem).__name__, first_line(problem))

        for running in BackgroundWork(do).ticks():
            yield self.view.working(session, running)
        yield self.view.full(session)

    def _at_once(self, session: ChatSession, step: Callable[[], Any]) -> Updates:
        session.notice = ""
        try:
            step()
        except Refused as problem:
            session.notice = str(problem)
        return self.view.full(session)
