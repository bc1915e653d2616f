"""What the cropper's events do: a photo of a whole scene waits in the message until its person was shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr

from app.refused import Refused
from app.service import ChatService
from app.session import ChatSession
from app.ui.edge import session_of
from app.ui.view import Updates, View
from app.waiting import Sent

EMPTY: dict[str, Any] = {"text": "", "files": []}  # the field of the message


class CropperHandlers:
    """add: puts what was sent into the queue of a session, and shows it."""

    def __init__(self, service: ChatService, view: View, add: Callable[[gr.Request, Sent], Updates]) -> None:
        self.service = service
        self.view = view
        self.uploads = view.uploads
        self._add = add

    def attached(self, message: Any, request: gr.Request) -> Updates:
        """A photo was added to the message, or taken out of it."""
        session = session_of(self.service, request)
        self._look_at(session, self._content(message)[1])
        return {self.view.components.cropper: self.view.cropper(session)}

    def choose(self, file: Any, request: gr.Request) -> Updates:
        """A photo was chosen to be cut, whatever it shows."""
        session = session_of(self.service, request)
        session.notice = ""
        try:
            _, files = self.uploads.files_of({"files": [file] if file else []})
            if files:
                self.uploads.preview(files[0])  # refuses what is no picture
                session.cropping.take(files[0])
        except Refused as problem:
            session.notice = str(problem)
        return self.view.full(session)

    def hold(self, message: Any, request: gr.Request) -> Updates | None:
        """A message is about to be sent: None where it may be, else the cropper with its first undecided photo."""
        session = session_of(self.service, request)
        photo = self._look_at(session, self._content(message)[1])
        if photo is None:
            return None
        session.given_back = None
        session.notice = (
            f"“{photo.name}” may show more than the person. Draw a box around the person, or choose the whole photo; "
            "your message waits in its field."
        )
        return {
            **self.view.working(session, None),
            self.view.components.cropper: self.view.cropper(session),
        }

    def cancel(self, message: Any, request: gr.Request) -> Updates:
        """The photo is not searched with: it leaves the message too."""
        session, at = session_of(self.service, request), self.view.components
        photo = session.cropping.photo
        session.cropping.close()
        text, files = self._content(message)
        if photo not in files:
            return {at.cropper: self.view.cropper(session)}
        files.remove(photo)
        self._look_at(session, files)
        return {at.cropper: self.view.cropper(session), at.message: _field(text, files)}

    def announce(self, event: gr.EventData, message: Any, request: gr.Request) -> Updates:
        """The part in the box was chosen, or the whole: it is sent with the words of the message, as soon as no
        other photo of it is undecided.
        """
        session, at = session_of(self.service, request), self.view.components
        photo, cropping = session.cropping.photo, session.cropping
        if photo is None:  # of another tab's case, or sent twice
            return self.view.working(session, None)
        try:
            is_whole = event._data.get("choice") == "whole"
            part = photo if is_whole else self.uploads.crop(photo, sides_of(event._data.get("box")))
            text, files = self.uploads.files_of(message)
        except Refused as problem:
            session.notice, session.given_back = str(problem), None
            return self.view.working(session, None)
        cropping.decide(part)
        if photo not in files:
            files.append(photo)
        if self._look_at(session, files) is not None:
            return {at.cropper: self.view.cropper(session), at.message: _field(text, files)}
        shown = self._add(request, Sent(text, cropping.sent(files)))
        return {**shown, at.message: EMPTY, at.cropper: self.view.cropper(session)}

    def _look_at(self, session: ChatSession, files: list[Path]) -> Path | None:
        """The photo of the message that must be cut next."""
        return session.cropping.photo if session.cropping.look_at(files, self.uploads.shows_scene) else None

    def _content(self, message: Any) -> tuple[str, list[Path]]:
        """What is malformed has no photos here, and is refused as it is sent."""
        try:
            return self.uploads.files_of(message)
        except Refused:
            return "", []


def _field(text: str, files: list[Path]) -> dict[str, Any]:
    return {"text": text, "files": [str(file) for file in files]}


def sides_of(box: Any) -> tuple[float, float, float, float]:
    """Left, top, right and bottom from what the browser sent: four finite numbers, or Refused."""
    try:
        left, top, right, bottom = (float(side) for side in box)
    except (TypeError, ValueError):
        raise Refused("The part of the photo was not understood; please draw it again.") from None
    if not all(math.isfinite(side) for side in (left, top, right, bottom)):
        raise Refused("The part of the photo was not understood; please draw it again.")
    return left, top, right, bottom
