"""The functions that programs call, with gradio_client: the same steps as the buttons of the page."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

from app.chat.sightings import Direction
from app.filter_steps import filter_by, read_change
from app.refused import Refused
from app.service import ChatService
from app.session import StepResult
from app.sharing import share, unshare
from app.ui.edge import refusal_as_error, session_of
from app.uploads import Uploads
from gallery_store.cases import CaseRecord

# What each function but /give_reason, /select, /cases, /share_case, /unshare_case and /sightings returns: reply,
# candidates, status.
Returned = tuple[str, list, dict]


def add_api(service: ChatService, uploads: Uploads, queue: dict[str, Any]) -> None:
    """Add /chat, /search_with, /confirm, /reject, /undo, /redo, /reset, /give_reason, /select, /cases, /open_case,
    /share_case, /unshare_case, /around, /filters, /note, /take_off and /sightings to the page.

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

    def filters(change: dict, request: gr.Request) -> Returned:
        return _returned(filter_by(session_of(service, request), read_change(change)))

    def around(image_id: int, direction: str, minutes: int, request: gr.Request) -> Returned:
        session = session_of(service, request)
        return _returned(session.around(image_id, _direction(direction), _minutes(minutes)))

    def note(image_id: int, text: str, request: gr.Request) -> Returned:
        return _returned(session_of(service, request).note(image_id, _words(text)))

    def take_off(image_id: int, request: gr.Request) -> Returned:
        return _returned(session_of(service, request).take_off(image_id))

    def sightings(request: gr.Request) -> dict:
        board = session_of(service, request).board
        return {
            "confirmed": list(map(asdict, board.confirmed)),
            "ruled_out": list(map(asdict, board.rejected)),
        }

    def undo(request: gr.Request) -> Returned:
        return _returned(session_of(service, request).undo())

    def redo(request: gr.Request) -> Returned:
        return _returned(session_of(service, request).redo())

    def cases(request: gr.Request) -> list:
        user = session_of(service, request).user
        return [_as_json(case) for case in service.cases_of(user)]

    def open_case(case: str, request: gr.Request) -> Returned:
        session = session_of(service, request)
        result = session.open_case(str(case))
        if notice := session.notice:
            raise Refused(notice)
        return _returned(result)

    def share_case(user: str, request: gr.Request) -> list:
        return list(share(session_of(service, request), _words(user)))

    def unshare_case(user: str, request: gr.Request) -> list:
        return list(unshare(session_of(service, request), _words(user)))

    def reset(request: gr.Request) -> Returned:
        return _returned(session_of(service, request).abandon())

    def give_reason(reason: str, request: gr.Request) -> str:
        session = session_of(service, request)
        session.keep_reason(_words(reason))
        return session.conversation.reason

    def select(image_id: int, request: gr.Request) -> str:
        return session_of(service, request).select(image_id)

    of_board = (around, note, take_off, sightings)
    for function in (
        chat,
        search_with,
        confirm,
        reject,
        undo,
        redo,
        reset,
        give_reason,
        select,
        cases,
        open_case,
        filters,
        share_case,
        unshare_case,
        *of_board,
    ):
        gr.api(refusal_as_error()(function), **queue)


def _direction(given: Any) -> Direction:
    if given not in ("before", "after"):
        raise Refused(f"The direction is “before” or “after”, not {str(given)[:40]!r}.")
    return given


def _minutes(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int | float) or given != given // 1:
        raise Refused(f"Minutes are a whole number, not {str(given)[:40]!r}.")
    return int(given)


def _words(given: Any) -> str:
    """What a program sends for words, whatever it is."""
    return "" if given is None else str(given)


def _as_json(case: CaseRecord) -> dict[str, Any]:
    """`changed` is ISO 8601, UTC."""
    return {**asdict(case), "changed": case.changed.isoformat()}


def _returned(result: StepResult) -> Returned:
    return result.reply, [card.as_json() for card in result.cards], result.status
