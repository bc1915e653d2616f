"""What messages do with the candidates on the screen, by their numbers there, and the order in which those stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from app.cards import Card
from app.chat import conversation as chat
from app.chat.results import Pointing
from app.talk import Answer, answer_on

if TYPE_CHECKING:
    from app.session import ChatSession, StepResult
    from gallery_store.console import StepProgress

_NO_TIME = datetime.min.replace(tzinfo=UTC)

NO_CANDIDATES = "No candidates are on the screen. Describe somebody, or drop a photo."
UNCLEAR = "Which candidate do you mean? Say “number 2”, “not 1 and 2”, “search with 3” or “compare 1 and 3”."


def point(session: ChatSession, pointing: Pointing, text: str, progress: StepProgress | None) -> StepResult:
    """Do what a message asks of candidates. Refused as the session's own steps are."""
    with session.lock:
        if not session.cards:
            return session.tell(text, NO_CANDIDATES)
        if pointing.action in ("more", "by-time", "by-time-back", "by-fit", "reverse"):
            return _list_otherwise(session, pointing.action, text, progress)
        session.require_seen()
        cards, problem = _pointed(session, pointing)
        if pointing.action == "unclear":
            problem = pointing.sentence or UNCLEAR
        against, missing = _pointed(session, replace(pointing, places=pointing.against))
        if problem := problem or missing:
            return session.tell(text, problem)
        if pointing.action in ("search-with", "confirm", "reject"):
            facts, ids = session.service.facts(), [card.image_id for card in cards]
            no = [card.image_id for card in against]
            seen = {card.image_id: card.place for card in cards}
            return session.step(
                lambda talk: chat.say_of(talk, text, pointing.action, ids, facts, pointing.rest, no, seen),
                progress,
            )
        if pointing.action == "select":
            return session.tell(text, session.select(cards[0].image_id))
        with session.stop_used_up():
            return session.tell(text, answer_on(session, pointing, text, cards, progress))


def _pointed(session: ChatSession, pointing: Pointing) -> tuple[list[Card], str]:
    """The cards that are meant; or the sentence that says which are not there."""
    if pointing.every:
        return list(session.cards), ""
    cards: list[Card] = []
    for place in pointing.places:
        if place == 0 and session.selected is None:
            return [], "Select a candidate first, or say its number: “number 2”."
        if abs(place) > len(session.cards):
            return [], f"There is no number {place}: {len(session.cards)} candidates are on the screen."
        chosen = session.cards[place - 1 if place > 0 else place] if place else session.selected
        assert chosen is not None
        cards.append(chosen)
    return cards, ""


def _list_otherwise(
    session: ChatSession, action: str, text: str, progress: StepProgress | None
) -> StepResult:
    """The same candidates: more of them, or in another order."""
    if action == "reverse":
        action = "by-time" if session.by_time and session.latest_first else "by-time-back"
    if action == "more":
        leave_out_deleted(session)
    if action == "more" and not session.remaining:
        return session.tell(text, "There are no more candidates.")
    if action == "more":
        had = len(session.cards)
        session.show_more(progress)
        shown, all_of_them = len(session.cards), f"{len(session.cards) + session.remaining:,}"
        if not session.by_time:
            return session.tell(
                text, f"Here are candidates {had + 1} to {shown} of {all_of_them}.", first=had
            )
        answer = f"Here are {shown - had} more; all {shown} stand by time. There are {all_of_them} in all."
    else:
        session.order(by_time=action != "by-fit", latest_first=action == "by-time-back")
        answer = f"The {len(session.cards)} candidates on the screen stand {order_in_words(session)}."
    return session.tell(text, Answer(answer))


def leave_out_deleted(session: ChatSession) -> None:
    """Of the candidates that follow those on the screen, the ones whose crops were deleted since are not listed."""
    ranking, shown = session.ranking, len(session.cards)
    if ranking is None:
        return
    following = ranking.candidates[shown:]
    there = session.service.still_there(following)
    if gone := len(following) - len(there):
        candidates = (*ranking.candidates[:shown], *there)
        session.ranking = replace(ranking, candidates=candidates, searched=ranking.searched - gone)


def order_in_words(session: ChatSession) -> str:
    """ "by time, the latest first"."""
    if not session.by_time:
        return "by how well they fit"
    return f"by time, the {'latest' if session.latest_first else 'earliest'} first"


def ordered(session: ChatSession, cards: Sequence[Card]) -> tuple[Card, ...]:
    """As they are numbered on the screen: by time, those without one last, or best first."""
    listed = session.ranking.candidates if session.ranking else ()
    rank = {candidate.image_id: place for place, candidate in enumerate(listed)}

    def key(card: Card) -> tuple[bool, timedelta, int]:
        if not session.by_time or card.time is None:
            return True, timedelta(), rank[card.image_id]
        since = card.time - _NO_TIME
        return False, -since if session.latest_first else since, rank[card.image_id]

    return tuple(sorted(cards, key=key))
