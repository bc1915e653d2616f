"""A session as the page shows it: one update for each component, in the order of screen.py's `view`."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from app.chat import conversation as chat
from app.ui.cards import grid_html, thumbnail_url
from app.ui.desk import Desk
from app.ui.jobs import Job
from app.ui.panel import Sought, chips_html, selected_html
from app.ui.sessions import Session
from app.ui.transcript import history

# chatbot, chips, candidates, selected, search-with-this, confirm, reject, undo, stop, cropper
Updates = list[Any]


def full_view(desk: Desk, session: Session) -> Updates:
    """Everything, after a step."""
    ranking, selected = session.ranking, session.selected
    more = max(0, min(len(ranking.candidates), desk.most_listed) - len(session.cards)) if ranking else 0
    chosen = gr.Button(interactive=selected is not None)
    return [
        history(desk, session),
        chips_html([(chip.key, chip.label, chip.kind) for chip in chat.chips(session.conversation)]),
        grid_html(session.cards, ranking, selected.image_id if selected else None, more),
        selected_html(selected, sought(desk, session), session.compared, desk.kin(session)),
        chosen,
        chosen,
        chosen,
        gr.Button(interactive=bool(session.conversation.turns)),
        gr.Button(interactive=False),
        gr.HTML(cropper_html(desk, session.photo), visible=session.photo is not None),
    ]


def working_view(desk: Desk, session: Session, job: Job | None) -> Updates:
    """What changes while a step is being done: the conversation and how far it is."""
    off, same = gr.Button(interactive=False), gr.skip()
    return [
        history(desk, session, pending=progress_words(job)),
        same,
        same,
        same,
        off,
        off,
        off,
        off,
        gr.Button(interactive=True),
        same,
    ]


def progress_words(job: Job | None) -> str:
    """ "Reading candidates, 32 of 64", or "Searching" before the model reads."""
    if job is None or job.stage != "rerank" or not job.total:
        return "Searching…"
    return f"Reading candidates, {job.done} of {job.total}…"


def sought(desk: Desk, session: Session) -> Sought:
    """The query beside the selected candidate."""
    query = chat.to_query(session.conversation)
    ids = [reference.image_id for reference in query.references if reference.image_id is not None]
    crops = {crop.id: crop for crop in desk.store.crops(ids)}
    pictures = tuple(
        desk.uploads.data_uri(reference.file)
        if reference.file is not None
        else thumbnail_url(crops[reference.image_id or 0])
        for reference in query.references
    )
    words = ", ".join(
        chip.label for chip in chat.chips(session.conversation) if chip.kind in ("wanted", "unwanted", "text")
    )
    return Sought(pictures, words)


def cropper_html(desk: Desk, photo: Path | None) -> str:
    """A photo under a box that can be moved and resized; "" without one. Refused when it is no picture."""
    if photo is None:
        return ""
    return (
        '<div class="cr-title"><h2>Crop the photo to the person</h2></div>'
        f'<div class="cr-crop"><img src="{desk.uploads.data_uri(photo)}" alt="{escape(photo.name)}">'
        '<div class="cr-crop-box" tabindex="0" role="group" data-box="0.3,0.05,0.7,0.95" '
        'style="left:30%;top:5%;width:40%;height:90%" '
        'aria-label="Part of the photo. Arrow keys move it, Shift and arrow keys resize it.">'
        "<i></i></div></div>"
        '<div class="cr-crop-buttons">'
        '<button type="button" class="cr-plain is-primary" data-crop="part">Search with this part</button>'
        '<button type="button" class="cr-plain" data-crop="whole">Use the whole photo</button>'
        '<button type="button" class="cr-plain" data-crop="cancel">Cancel</button></div>'
    )
