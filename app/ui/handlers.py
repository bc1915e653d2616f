"""What the page's events do: each finds its session, lets it do one step, and shows the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app.refused import Refused
from app.service import ChatService
from app.session import ChatSession
from app.ui.background import BackgroundWork
from app.ui.edge import session_of
from app.ui.view import Updates, View
from gallery_store.console import StepProgress
from gallery_store.errors import GalleryError

Step = Callable[[ChatSession, StepProgress], Any]


class Handlers:
    """The handlers of one page. Those that search are generators: they show progress, then the answer."""

    def __init__(self, service: ChatService, view: View) -> None:
        self.service = service
        self.view = view
        self.uploads = view.uploads

    # The case

    def open(self, request: gr.Request) -> Updates:
        """The page was loaded, perhaps by the address of a case."""
        session = session_of(self.service, request)
        if not session.case and not session.notice:
            return self.view.only_cases(session)  # what is typed already is not touched
        return self.view.opened(session)

    def rename_case(self, event: gr.EventData, request: gr.Request) -> Updates:
        title = str(event._data.get("title", ""))
        return self._on_case(
            request, lambda session: self.service.store.cases.rename(session.case, session.user, title)
        )

    def close_case(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Put the case among the closed ones, or back."""
        closed = bool(event._data.get("closed"))
        return self._on_case(
            request, lambda session: self.service.store.cases.close(session.case, session.user, closed=closed)
        )

    def _on_case(self, request: gr.Request, change: Callable[[ChatSession], None]) -> Updates:
        session = session_of(self.service, request)

        def do() -> None:
            try:
                change(session)
            except KeyError:
                raise Refused("No step of this case is kept yet.") from None
            except GalleryError as problem:
                raise Refused(f"The case cannot be changed now: {problem}.") from problem

        return self._at_once(session, do)

    # A message: shown at once by `announce`, answered by `answer` when its turn comes

    def announce(self, message: Any, request: gr.Request) -> Updates:
        session = session_of(self.service, request)
        session.notice = ""
        try:
            text, files = self.uploads.files_of(message)
            session.waiting = (text, tuple(files))
        except Refused as problem:
            session.waiting, session.notice = None, str(problem)
        return self.view.sent(session)

    def announce_example(self, chosen: gr.SelectData, request: gr.Request) -> Updates:
        return self.announce({"text": str(chosen.value.get("text", ""))}, request)

    def announce_answer(self, event: gr.EventData, request: gr.Request) -> Updates:
        """A button under a question: the same as typing its words."""
        return self.announce({"text": str(event._data.get("text", ""))}, request)

    def answer(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        session = session_of(self.service, request)
        if session.waiting is None:
            yield self.view.full(session)
            return
        text, files = session.waiting
        yield from self._run(session, reason, lambda session, progress: session.say(text, files, progress))

    # The other steps of a conversation

    def search_with(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_selected(request, reason, ChatSession.search_with)

    def confirm(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_selected(request, reason, ChatSession.confirm)

    def reject(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_selected(request, reason, ChatSession.reject)

    def undo(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._run(session_of(self.service, request), reason, ChatSession.undo)

    def redo(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._run(session_of(self.service, request), reason, ChatSession.redo)

    def use_model_reading(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._run(session_of(self.service, request), reason, ChatSession.use_model_reading)

    def remove_chip(self, event: gr.EventData, reason: str, request: gr.Request) -> Iterator[Updates]:
        key, session = str(event._data.get("key", "")), session_of(self.service, request)
        yield from self._run(session, reason, lambda session, progress: session.remove_chip(key, progress))

    def crop(self, event: gr.EventData, reason: str, request: gr.Request) -> Iterator[Updates]:
        """Search with the photo that stands in the cropper, or with the part of it inside the box."""
        choice, box = event._data.get("choice"), event._data.get("box")
        session = session_of(self.service, request)
        photo, session.photo = session.photo, None
        if photo is None or choice == "cancel":
            yield self.view.full(session)
            return

        def say_photo(session: ChatSession, progress: StepProgress) -> None:
            part = photo if choice == "whole" else self.uploads.crop(photo, sides_of(box))
            session.say("", [part], progress)

        yield from self._run(session, reason, say_photo)

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

    def more(self, request: gr.Request) -> Updates:
        session = session_of(self.service, request)
        return self._at_once(session, session.show_more)

    def start_over(self, request: gr.Request) -> Updates:
        session = session_of(self.service, request)
        session.start_over()
        return self.view.opened(session)

    def show_cropper(self, file: Any, request: gr.Request) -> Updates:
        session = session_of(self.service, request)

        def show() -> None:
            _, files = self.uploads.files_of({"files": [file] if file else []})
            if files:
                self.view.cropper(files[0])  # refuses what is no picture
                session.photo = files[0]

        return self._at_once(session, show)

    def stop(self, request: gr.Request) -> None:
        session_of(self.service, request).stop.set()

    # How they are done

    def _on_selected(self, request: gr.Request, reason: str, step: Callable[..., Any]) -> Iterator[Updates]:
        session = session_of(self.service, request)
        selected = session.selected

        def do(session: ChatSession, progress: StepProgress) -> None:
            if selected is None:
                raise Refused("Choose a candidate first.")
            step(session, selected.image_id, progress)

        yield from self._run(session, reason, do)

    def _run(self, session: ChatSession, reason: str, step: Step) -> Iterator[Updates]:
        session.notice = ""
        session.give_reason(reason)
        work = BackgroundWork(lambda progress: step(session, progress))
        try:
            for running in work.ticks():
                yield self.view.working(session, running)
        except Refused as problem:
            session.notice = str(problem)
        except GeneratorExit:  # the tab is gone: nobody waits for the rest
            session.stop.set()
            raise
        session.waiting = None
        yield self.view.full(session)

    def _at_once(self, session: ChatSession, step: Callable[[], Any]) -> Updates:
        session.notice = ""
        try:
            step()
        except Refused as problem:
            session.notice = str(problem)
        return self.view.full(session)


def sides_of(box: Any) -> tuple[float, float, float, float]:
    """Left, top, right and bottom from what the browser sent: four finite numbers, or Refused."""
    try:
        left, top, right, bottom = (float(side) for side in box)
    except (TypeError, ValueError):
        raise Refused("The part of the photo was not understood; please draw it again.") from None
    if not all(math.isfinite(side) for side in (left, top, right, bottom)):
        raise Refused("The part of the photo was not understood; please draw it again.")
    return left, top, right, bottom
