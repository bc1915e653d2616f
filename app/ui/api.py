"""The functions that programs call, with gradio_client: the same steps as the buttons of the page."""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.ui.desk import Answer, Desk

# What each function but /select returns: reply, candidates, status.
Result = tuple[str, list, dict]


def add_api(desk: Desk, queue: dict[str, Any]) -> None:
    """Add /chat, /search_with, /confirm, /reject, /undo, /reset and /select to the page being built.

    A client keeps its conversation. What cannot be done comes back as one sentence, the client's error.
    """

    def chat(message: dict, request: gr.Request) -> Result:
        text, files = desk.uploads.files_of(message)
        return _result(desk.say(desk.session(request), text, files))

    def search_with(image_id: int, request: gr.Request) -> Result:
        return _result(desk.search_with(desk.session(request), image_id))

    def confirm(image_id: int, request: gr.Request) -> Result:
        return _result(desk.confirm(desk.session(request), image_id))

    def reject(image_id: int, request: gr.Request) -> Result:
        return _result(desk.reject(desk.session(request), image_id))

    def undo(request: gr.Request) -> Result:
        return _result(desk.undo(desk.session(request)))

    def reset(request: gr.Request) -> Result:
        return _result(desk.start_over(desk.session(request)))

    def select(image_id: int, request: gr.Request) -> str:
        return desk.select(desk.session(request), image_id)

    for function in (chat, search_with, confirm, reject, undo, reset, select):
        gr.api(function, **queue)


def _result(answer: Answer) -> Result:
    return answer.reply, [card.as_json() for card in answer.cards], answer.status
