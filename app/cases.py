"""What a session shows, kept as its case goes on, and brought back as it was left."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.case_steps import NO_CASE, CaseState, Screen
from app.chat import conversation as chat
from app.pointed import ordered
from app.refused import Refused
from app.retrieval.comparison import Comparison
from gallery_store.cases import CaseWentOn

if TYPE_CHECKING:
    from app.session import ChatSession


def keep(session: ChatSession, *, answered: bool = False) -> None:
    """Write what a step came to. Refused where the case went on elsewhere meanwhile, which is shown then, or is not the
    user's any more: then a new one begins.

    answered: the message in hand is a step now.
    """
    if answered and session.answering is not None:
        session.settling = (*session.settling, *session.answering.kept)
        session.answering = None
    try:
        session.not_kept = session.keeper.save(_state_of(session), session.settling)
        if not session.not_kept:
            session.settling = ()
    except CaseWentOn as problem:
        session.settling = ()
        try:
            bring_back(session, session.case)
        except Refused:
            session.start_over()
            raise
        raise Refused(f"{str(problem).capitalize()}.") from problem


def require_case(session: ChatSession) -> None:
    """Refused where the case is not the user's any more, as when its owner shares it no longer: a new one begins."""
    if not session.keeper.is_lost():
        return
    session.start_over()
    raise Refused(NO_CASE)


def catch_up(session: ChatSession) -> None:
    """Show what was done in the case elsewhere, as in another tab; not while a step is being done here."""
    if not session.lock.acquire(blocking=False):
        return
    try:
        if session.keeper.went_on():
            bring_back(session, session.case)
            session.unseen = True
    except Refused as problem:
        session.notice = str(problem)
    finally:
        session.lock.release()


def bring_back(session: ChatSession, case: str) -> None:
    """Show the case as it was left. Refused where it cannot be; the session is as it was then."""
    loaded = session.keeper.load(case)
    state = loaded.state
    screen, ranking, query = state.screen, state.ranking, chat.to_query(state.conversation)
    if ranking is not None:
        ranking = replace(ranking, candidates=session.service.still_there(ranking.candidates))
    first = ranking.candidates[: screen.shown] if ranking else ()
    cards = session.service.cards(first, session.service.crops_of(first))
    session.show(state.conversation, query, ranking, ())
    session.by_time, session.latest_first = screen.by_time, screen.latest_first
    session.by_person = screen.by_person
    session.cards, session.other = ordered(session, cards), screen.other
    session.selected = next((card for card in session.cards if card.image_id == screen.selected), None)
    session.compared = screen.compared if session.selected else Comparison()
    session.not_kept = ""
    session.keeper.showing(_state_of(session), loaded)


def _state_of(session: ChatSession) -> CaseState:
    screen = Screen(
        len(session.cards),
        session.selected.image_id if session.selected else None,
        session.compared,
        session.other,
        session.by_time,
        session.latest_first,
        session.by_person,
    )
    return CaseState(session.conversation, session.ranking, screen)
