"""Messages on their way: each is kept in the gallery before it is shown as sent, and until it is a step of its case.

What a kill left unanswered is given back when the case is opened again.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.case_steps import photos_title, title_of
from app.cases import keep
from app.waiting import Sent
from gallery_store.database import storable
from gallery_store.errors import GalleryError

if TYPE_CHECKING:
    from app.session import ChatSession
    from gallery_store.console import StepProgress

NOT_ANSWERED = (
    "This was sent and is not answered. It stands in the message field again: please send it once more."
)
WITH_PHOTOS = "This was sent and is not answered. Please send it once more: its photos go along."


def send(session: ChatSession, message: Sent) -> None:
    """Put a message in line. It takes the place of what was given back before."""
    if message.step == "say":
        message = _kept(session, _with_photos_of_owed(session, message))
        session.owed, session.owed_photos = (), None
    session.waiting.add(message)


def _with_photos_of_owed(session: ChatSession, message: Sent) -> Sent:
    """Photos whose words were given back go with those words, unless there are others."""
    owed = session.owed_photos
    if owed is None or message.photos or owed.text.strip() not in message.text:
        return message
    return replace(message, photos=owed.photos)


def _kept(session: ChatSession, message: Sent) -> Sent:
    service, case = session.service, session.conversation.case
    if case is None or not service.keeps_cases or not (message.text.strip() or message.photos):
        return message
    usable, _ = service.usable(message.photos)
    try:
        kept = service.store.cases.messages.add(
            case,
            session.user,
            storable(message.text),
            {service.name_of_photo(photo).as_posix(): photo.read_bytes() for photo in usable},
            title=title_of(session.conversation.turns) or message.text.strip() or photos_title(usable),
            instead_of=session.owed,
        )
    except (GalleryError, OSError, KeyError) as problem:
        session.not_kept = f"This message is not kept before it is answered ({problem})."
        return message
    session.keeper.case = case
    return replace(message, kept=(kept,))


def answer(session: ChatSession, message: Sent, progress: StepProgress | None = None) -> None:
    """Do what a message in hand asks for. Refused as the steps are; then its words are given back."""
    with session.lock:
        session.answering = message
        try:
            if message.step == "say":
                session.say(message.text, message.photos, progress)
            elif message.step == "start-over":
                session.start_over()
            else:
                (session.undo if message.step == "undo" else session.redo)(progress)
            if session.answering is not None:  # it came to no step
                keep(session, answered=True)
        finally:
            session.answering = None


def give_back(session: ChatSession, message: Sent) -> None:
    """Into the message field, to be mended and sent again; it stays kept until something else is sent."""
    session.given_back = message
    session.owed = (*session.owed, *message.kept)


def hand_back(session: ChatSession) -> None:
    """What this user sent in the case and nobody answers any more, as after a kill."""
    service, case = session.service, session.conversation.case
    if case is None or not service.keeps_cases:
        return
    try:
        found = service.store.cases.messages.unsettled(case, session.user)
    except (GalleryError, KeyError):
        return
    held = service.held_messages(session.user)
    lost = [message for message in found if message.id not in held]
    if not lost:
        return
    named = dict.fromkeys(name for message in lost for name in message.photos)
    photos = tuple(service.kept_photo(case, Path(name)) for name in named)
    text = "\n".join(message.text for message in lost if message.text.strip())
    message = Sent(text, photos, kept=tuple(one.id for one in lost))
    give_back(session, message)
    session.owed_photos = message if photos else None
    session.notice = WITH_PHOTOS if photos else NOT_ANSWERED
