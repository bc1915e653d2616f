"""The conversation as the chat shows it: what the operator said or did, and each reply."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.chat.chips import chips_of
from app.chat.conversation import Turn
from app.chat.search_state import SearchState

if TYPE_CHECKING:
    from app.ui.desk import Desk
    from app.ui.sessions import Session


def history(desk: Desk, session: Session, pending: str = "") -> list[dict[str, Any]]:
    """Messages for gr.Chatbot. `pending`: how far the step that is being done has come."""
    messages: list[dict[str, Any]] = []
    before = SearchState()
    for turn in session.conversation.turns:
        messages += _said(desk, _words_of(turn, before), turn.photos)
        before = turn.after
        if turn.reply:
            messages.append({"role": "assistant", "content": turn.reply})
    if session.waiting is not None:
        messages += _said(desk, *session.waiting)
    if session.notice:
        messages.append({"role": "assistant", "content": session.notice})
    if pending:
        messages.append({"role": "assistant", "content": f"*{pending}*"})
    return messages


def _words_of(turn: Turn, before: SearchState) -> str:
    """What the operator said, or did with a button, in words."""
    if turn.action == "search-with":
        return f"Search with crop {turn.image_id}"
    if turn.action == "confirm":
        return f"Crop {turn.image_id} is the one"
    if turn.action == "reject":
        return f"Not crop {turn.image_id}"
    if turn.action == "remove-chip":
        label = next((chip.label for chip in chips_of(before) if chip.key == turn.chip), "")
        return f"Remove {label}".strip()
    return turn.text


def _said(desk: Desk, text: str, photos: tuple[Path, ...]) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = []
    for photo in photos:
        preview = desk.uploads.preview_if_any(photo)
        if preview is not None:
            said.append(
                {"role": "user", "content": {"path": str(preview), "alt_text": f"Photo {photo.name}"}}
            )
    if text.strip():
        said.append({"role": "user", "content": text})
    return said
