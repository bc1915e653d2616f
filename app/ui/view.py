"""A session as the page shows it: an update for each component that changes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from app import second_reading
from app.cards import original_url, thumbnail_url
from app.chat.board import NOTE, TAKE_OFF
from app.chat.chips import ALL_FILTERS, Chip, chips_of
from app.chat.conversation import Turn
from app.chat.model_words import unmarked
from app.chat.search_state import SearchState
from app.in_line import STAGE as LINE
from app.refused import ReasonNeeded, Refused
from app.session import ChatSession
from app.stacks import is_grouped, stacks_of
from app.talk import STAGE
from app.ui.background import BackgroundWork
from app.ui.board import board_html
from app.ui.edge import refusal_as_error
from app.ui.filter_bar import filters_html
from app.ui.html import (
    Sought,
    answers_html,
    candidates_html,
    cases_html,
    chips_html,
    cropper_html,
    selected_html,
    sent_html,
)
from app.uploads import CROPPER_SIDE, Uploads
from gallery_store.errors import GalleryError

WAITS = "*Waits for its turn…*"
ASKS_REASON = f"{ReasonNeeded()} Please write it in the field **Reason**; then this goes on."
Updates = dict[Any, Any]  # component -> its new value, or its new properties


@dataclass(frozen=True)
class Components:
    """The components of the search tab that handlers change."""

    message: gr.MultimodalTextbox
    chatbot: gr.Chatbot
    answers: gr.HTML
    chips: gr.HTML
    candidates: gr.HTML
    selected: gr.HTML
    search_with: gr.Button
    confirm: gr.Button
    reject: gr.Button
    before: gr.Button
    after: gr.Button
    undo: gr.Button
    stop: gr.Button
    cropper: gr.HTML
    use_reading: gr.Button
    redo: gr.Button
    cases: gr.HTML
    sent: gr.HTML
    reason: gr.Textbox
    board: gr.HTML
    filters: gr.HTML

    @property
    def of_a_step(self) -> list[Any]:
        """All but the message and the reason, which may be typed on while a step is being done."""
        typed = (self.message, self.reason)
        return [component for component in vars(self).values() if component not in typed]

    @property
    def of_a_case(self) -> list[Any]:
        """All that changes with the case."""
        return [*self.of_a_step, self.reason]


class View:
    """What each component shows of a session."""

    def __init__(self, components: Components, uploads: Uploads) -> None:
        self.components = components
        self.uploads = uploads

    def only_cases(self, session: ChatSession) -> Updates:
        """The list of cases, of a page that shows none yet."""
        at = self.components
        return {
            at.cases: cases_html(session),
            at.sent: sent_html(session),
            at.filters: filters_html(session),
        }

    def opened(self, session: ChatSession) -> Updates:
        """Another case than before: its reason too."""
        return {**self.full(session), self.components.reason: self.reason(session)}

    def reason(self, session: ChatSession) -> str:
        """As it stands in its field."""
        return session.conversation.reason if session.has_reason else ""

    @refusal_as_error()
    def full(self, session: ChatSession) -> Updates:
        """Everything but the message being typed, after a step."""
        at, selected, session.unseen = self.components, session.selected, False
        chips = chips_of(session.conversation.known, session.service.engine.kinds)
        on_selected = gr.Button(interactive=selected is not None)
        in_time = gr.Button(interactive=selected is not None and selected.time is not None)
        return {
            at.chatbot: self.history(session),
            at.answers: answers_html(session.question),
            at.chips: chips_html(chips),
            at.candidates: candidates_html(
                session.cards,
                session.ranking,
                selected.image_id if selected else None,
                session.remaining,
                _order(session),
                stacks_of(session),
                is_grouped(session),
            ),
            at.selected: selected_html(
                selected,
                self._sought(session, chips),
                session.compared,
                session.judged_together(),
            ),
            at.search_with: on_selected,
            at.confirm: on_selected,
            at.reject: on_selected,
            at.before: in_time,
            at.after: in_time,
            **self._undo_and_redo(session),
            at.cases: cases_html(session),
            at.board: board_html(session),
            at.filters: filters_html(session),
            at.stop: gr.Button(interactive=bool(session.waiting.later) and not session.waiting.is_held),
            at.sent: sent_html(session),
            at.use_reading: gr.Button(visible=session.other is not None),
            at.cropper: self.cropper(session),
        }

    def working(self, session: ChatSession, work: BackgroundWork | None) -> Updates:
        """While a step is being done: the conversation, and how far it is. Undo and Redo wait their turn as messages
        do.
        """
        at, off = self.components, gr.Button(interactive=False)
        return {
            at.chatbot: self.history(session, pending=progress_words(work)),
            at.answers: answers_html(None),
            **dict.fromkeys((at.search_with, at.confirm, at.reject, at.before, at.after), off),
            **self._undo_and_redo(session),
            at.stop: gr.Button(interactive=True),
            at.sent: sent_html(session, is_busy=True),
            at.use_reading: gr.Button(visible=False),
        }

    def _undo_and_redo(self, session: ChatSession) -> Updates:
        at, talk = self.components, session.conversation
        return {
            at.undo: gr.Button(interactive=bool(talk.turns or session.waiting.unanswered)),
            at.redo: gr.Button(interactive=bool(talk.undone)),
        }

    def cropper(self, session: ChatSession) -> Any:
        """The photo that is being cropped, under a box; nothing where none is."""
        photo, uploads = session.cropping.photo, self.uploads
        if photo is None:
            return gr.HTML("", visible=False)
        try:
            picture, size = uploads.data_uri(photo, CROPPER_SIDE), uploads.size_of(photo)
        except Refused:  # it was there when it was chosen; uploads are removed a day after they came
            session.cropping.close()
            return gr.HTML("", visible=False)
        attached = session.cropping.is_attached
        return gr.HTML(cropper_html(picture, photo.name, size, is_attached=attached), visible=True)

    def history(self, session: ChatSession, pending: str = "") -> list[dict[str, Any]]:
        """Messages for gr.Chatbot: what the operator said or did, and each reply.

        pending: how far the step that is being done has come.
        """
        messages: list[dict[str, Any]] = []
        before = SearchState()
        makers = session.keeper.makers
        is_shared = len({session.user, *makers}) > 1
        for place, turn in enumerate(session.conversation.turns):
            by = makers[place] if is_shared and place < len(makers) else ""
            messages += self._user_messages(_turn_in_words(turn, before), turn.photos, by)
            before = turn.after
            if words := "\n\n".join(filter(None, (turn.reply, turn.own_words))):
                messages.append({"role": "assistant", "content": words})
        in_hand, later = session.waiting.in_hand, session.waiting.later
        if session.notice and session.given_back is not None:
            messages += self._user_messages(session.given_back.text, session.given_back.photos)
        if session.notice:
            messages.append({"role": "assistant", "content": session.notice})
        if in_hand is not None:
            messages += self._user_messages(in_hand.text, in_hand.photos)
        if pending and (in_hand or not later):
            messages.append({"role": "assistant", "content": session.speaking or f"*{pending}*"})
        for place, sent in enumerate(later):
            messages += self._user_messages(sent.text, sent.photos)
            if sent.step != "say":
                continue
            is_asked = session.waiting.is_held and not place
            messages.append({"role": "assistant", "content": ASKS_REASON if is_asked else WAITS})
        return messages

    def _user_messages(self, text: str, photos: tuple[Path, ...], by: str = "") -> list[dict[str, Any]]:
        """by: who said or did it, where a case is of several."""
        messages: list[dict[str, Any]] = []
        for photo in photos:
            preview = self.uploads.preview_if_any(photo)
            if preview is not None:
                content = {"path": str(preview), "alt_text": f"Photo {photo.name}"}
                messages.append({"role": "user", "content": content})
        if text.strip() or by:
            words = [f"*{_as_written(by)}*" if by else "", _as_written(text)]
            messages.append({"role": "user", "content": "\n\n".join(filter(None, words))})
        return messages

    def _sought(self, session: ChatSession, chips: tuple[Chip, ...]) -> Sought:
        """The query beside the selected candidate."""
        references = session.query.references
        ids = [reference.image_id for reference in references if reference.image_id is not None]
        try:
            crops = {crop.id: crop for crop in session.service.store.crops(ids)}
        except (KeyError, GalleryError):  # deleted, or the gallery cannot be read: the notice says so
            crops = {}
        there = [one for one in references if one.file is not None or one.image_id in crops]
        pictures, originals = (
            tuple(
                self.uploads.data_uri(one.file) if one.file is not None else url_of(crops[one.image_id or 0])
                for one in there
            )
            for url_of in (thumbnail_url, original_url)
        )
        words = ", ".join(chip.label for chip in chips if chip.kind in ("wanted", "unwanted", "text"))
        return Sought(pictures, words, originals)


def progress_words(work: BackgroundWork | None) -> str:
    """ "Reading candidates, 32 of 64", or "Searching" before the model reads."""
    doing = {
        "rerank": "Reading candidates,",
        "choose": "Comparing candidates, question",
        "attributes": "Reading what candidates wear,",
    }
    if work is not None and work.stage == second_reading.STAGE:
        return "The model reads your message…"
    if work is not None and work.stage == STAGE:
        return "The model is writing…"
    if work is not None and work.stage == LINE and work.done:
        return f"{work.done} {'search' if work.done == 1 else 'searches'} before yours…"
    if work is not None and work.stage == "reply":
        return "Reading the first candidates…"
    if work is None or work.stage not in doing or not work.total:
        return "Searching…"
    return f"{doing[work.stage]} {work.done} of {work.total}…"


def _as_written(text: str) -> str:
    """Markdown that reads as these lines do: nothing in them becomes a link, a list, a picture or HTML."""
    lines = (re.sub(r"^(\d*)([-=.])", r"\1\\\2", unmarked(line)) for line in text.strip().splitlines())
    return re.sub(r"(?=://)|(?<=\bwww)(?=\.)", r"\\", "\n".join(lines), flags=re.IGNORECASE)


def _order(session: ChatSession) -> str:
    """As ORDERS names it: what was asked for, else as the search came out."""
    if session.by_time:
        return "latest" if session.latest_first else "earliest"
    return "earliest" if session.ranking is not None and session.ranking.ranker is None else "fit"


def _turn_in_words(turn: Turn, before: SearchState) -> str:
    """What the operator said, or did with a button."""
    if turn.action == "search-with":
        return f"Search with the person{_place(turn)}"
    if turn.action == "confirm":
        return f"This is the one{_place(turn)}"
    if turn.action == "reject":
        return "Not this one"
    if turn.chip == ALL_FILTERS:
        return "Drop the filters"
    if turn.action == NOTE:
        return f"Note on a sighting: “{turn.text}”" if turn.text else "Take the note away"
    if turn.action == TAKE_OFF:
        return "Take it off the board"
    if turn.action == "remove-chip":
        label = next((chip.label for chip in chips_of(before) if chip.key == turn.chip), "")
        return f"Remove {label}".strip()
    return turn.text


def _place(turn: Turn) -> str:
    """ ": camera 3, 14:05:20", of the picture that a turn chose; "" where it is not known."""
    chosen = (one.place for one in turn.after.references if one.image_id == turn.image_id)
    return f": {place}" if (place := next(chosen, "")) else ""
