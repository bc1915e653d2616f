"""The functions that programs call, with gradio_client: the same steps as the buttons of the page."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.service import ChatService
from app.session import StepResult
from app.ui.edge import refusal_as_error, session_of
from app.uploads import Uploads

# What each function but /select returns: reply, candidates, status.
Returned = tuple[str, list, dict]


def add_api(service: ChatService, uploads: Uploads, queue: dict[str, Any]) -> None:
    """Add /chat, /search_with, /confirm, /reject, /undo, /reset and /select to the page being built.

    A client keeps its conversation. What cannot be done comes back as one sentence, the client's error.
    """

    def chat(message: dict, request: gr.Request) -> Returned:
        text, files = uploads.files_of(message)
        return _returned(session_of(service, request).say(text, files))

    def search_with(image_id: int, request: gr.Request) -> Returned:
        return _returned(session_of(service, request).search_with(image_id))

    def confirm(image_id: int, request: gr.Request) -> Returned:
        return _returned(session_of(service, request).confirm(image_id))

    def reject(image_id: int, request: gr.Request) -> Returned:
        return _returned(session_of(service, request).reject(image_id))

    def undo(request: gr.Request) -> Returned:
        return _returned(session_of(service, request).undo())

    def reset(request: gr.Request) -> Returned:
        return _returned(session_of(service, request).start_over())

    def select(image_id: int, request: gr.Request) -> str:
        return session_of(service, request).select(image_id)

    for function in (chat, search_with, confirm, reject, undo, reset, select):
        gr.api(refusal_as_error()(function), **queue)


def _returned(result: StepResult) -> Returned:
    return result.reply, [card.as_json() for card in result.cards], result.status
