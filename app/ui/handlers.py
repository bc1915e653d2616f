"""What the page's events do: each finds its session, lets the desk do one step, and shows the result."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from app.ui.desk import Desk
from app.ui.jobs import Job
from app.ui.refused import Refused
from app.ui.sessions import Session
from app.ui.view import Updates, cropper_html, full_view, working_view

Work = Callable[[Session, Callable[[str, int, int], None]], Any]


class Handlers:
    """The handlers of one page. Those that search are generators: they show progress, then the answer."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    # A message: shown at once by `announce`, answered by `answer` when its turn comes

    def announce(self, message: Any, request: gr.Request) -> list[Any]:
        session = self.desk.session(request)
        session.notice = ""
        try:
            text, files = self.desk.uploads.files_of(message)
            session.waiting = (text, tuple(files))
        except Refused as problem:
            session.waiting, session.notice = None, problem.message
        return [{"text": "", "files": []}, *working_view(self.desk, session, None)]

    def announce_example(self, chosen: gr.SelectData, request: gr.Request) -> list[Any]:
        return self.announce({"text": str(chosen.value.get("text", ""))}, request)

    def answer(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        session = self.desk.session(request)
        text, files = session.waiting or ("", ())
        if session.waiting is None:
            yield full_view(self.desk, session)
            return
        yield from self._run(request, reason, lambda s, tell: self.desk.say(s, text, files, tell))

    # The other steps of a conversation

    def search_with(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_selected(request, reason, self.desk.search_with)

    def confirm(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_selected(request, reason, self.desk.confirm)

    def reject(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._on_selected(request, reason, self.desk.reject)

    def undo(self, reason: str, request: gr.Request) -> Iterator[Updates]:
        yield from self._run(request, reason, lambda s, tell: self.desk.undo(s, tell))

    def remove_chip(self, event: gr.EventData, reason: str, request: gr.Request) -> Iterator[Updates]:
        key = str(event._data.get("key", ""))
        yield from self._run(request, reason, lambda s, tell: self.desk.remove_chip(s, key, tell))

    def crop(self, event: gr.EventData, reason: str, request: gr.Request) -> Iterator[Updates]:
        """Search with the photo that stands in the cropper, or with the part of it inside the box."""
        choice, box = event._data.get("choice"), event._data.get("box")
        session = self.desk.session(request)
        photo, session.photo = session.photo, None
        if photo is None or choice == "cancel":
            yield full_view(self.desk, session)
            return

        def work(s: Session, tell: Callable[[str, int, int], None]) -> None:
            self.desk.say(
                s, "", [photo if choice == "whole" else self.desk.uploads.crop(photo, _box(box))], tell
            )

        yield from self._run(request, reason, work)

    # What needs no search

    def choose(self, event: gr.EventData, request: gr.Request) -> Updates:
        session = self.desk.session(request)
        return self._quietly(session, lambda: self.desk.select(session, event._data.get("image_id")))

    def more(self, request: gr.Request) -> Updates:
        session = self.desk.session(request)
        return self._quietly(session, lambda: self.desk.show_more(session))

    def start_over(self, request: gr.Request) -> Updates:
        session = self.desk.session(request)
        return self._quietly(session, lambda: self.desk.start_over(session))

    def show_cropper(self, file: Any, request: gr.Request) -> Updates:
        session = self.desk.session(request)

        def show() -> None:
            _, files = self.desk.uploads.files_of({"files": [file] if file else []})
            if files:
                cropper_html(self.desk, files[0])  # refuses what is no picture
                session.photo = files[0]

        return self._quietly(session, show)

    def stop(self, request: gr.Request) -> None:
        self.desk.session(request).stop.set()

    # How they are done

    def _on_selected(self, request: gr.Request, reason: str, step: Callable[..., Any]) -> Iterator[Updates]:
        selected = self.desk.session(request).selected

        def work(session: Session, tell: Callable[[str, int, int], None]) -> None:
            if selected is None:
                raise Refused("Choose a candidate first.")
            step(session, selected.image_id, tell)

        yield from self._run(request, reason, work)

    def _run(self, request: gr.Request, reason: str, work: Work) -> Iterator[Updates]:
        session = self.desk.session(request)
        session.notice = ""
        self.desk.give_reason(session, reason)
        job = Job(lambda tell: work(session, tell))
        try:
            for running in job.ticks():
                yield working_view(self.desk, session, running)
        except Refused as problem:
            session.notice = problem.message
        except GeneratorExit:  # the tab is gone: nobody waits for the rest
            session.stop.set()
            raise
        session.waiting = None
        yield full_view(self.desk, session)

    def _quietly(self, session: Session, work: Callable[[], Any]) -> Updates:
        session.notice = ""
        try:
            work()
        except Refused as problem:
            session.notice = problem.message
        return full_view(self.desk, session)


def _box(box: Any) -> tuple[float, float, float, float]:
    """Four finite numbers from what the browser sent, or Refused."""
    try:
        left, top, right, bottom = (float(side) for side in box)
    except (TypeError, ValueError):
        raise Refused("The part of the photo was not understood; please draw it again.") from None
    if not all(math.isfinite(side) for side in (left, top, right, bottom)):
        raise Refused("The part of the photo was not understood; please draw it again.")
    return left, top, right, bottom
