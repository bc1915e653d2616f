"""The part of the menu of cases that shares one; where nobody logs in it is not there."""

from __future__ import annotations

import gradio as gr

from app.sharing import share, unshare
from app.ui.handlers import Handlers
from app.ui.view import Updates


class Sharing:
    """What its form and its buttons do."""

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = handlers

    def share(self, event: gr.EventData, request: gr.Request) -> Updates:
        return self.handlers.on_case(
            request, lambda session: share(session, str(event._data.get("user", "")))
        )

    def unshare(self, event: gr.EventData, request: gr.Request) -> Updates:
        return self.handlers.on_case(
            request, lambda session: unshare(session, str(event._data.get("user", "")))
        )
