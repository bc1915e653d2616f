"""Filters that are set by hand: what a page or a program sends for them, read and made a step of the case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date, time
from typing import TYPE_CHECKING, Any

from app.chat.conversation import Conversation
from app.chat.filter_bar import FilterChange, set_filters
from app.refused import Refused
from app.session import PAGE_OF_CARDS

if TYPE_CHECKING:
    from app.session import ChatSession, StepResult
    from gallery_store.console import StepProgress

MOST_NAMES = 1_000  # cameras in one change
PARTS = tuple(part.name for part in fields(FilterChange))


def filter_by(session: ChatSession, change: FilterChange, progress: StepProgress | None = None) -> StepResult:
    """The same search under these filters. Refused as the session's own steps, and for what the gallery has not."""
    facts = session.service.facts()

    def changed(talk: Conversation) -> Conversation:
        try:
            return set_filters(talk, change, facts)
        except ValueError as problem:
            raise Refused(str(problem)) from problem

    with session.lock:
        by_time, latest_first = session.by_time, session.latest_first
        result = session.step(changed, progress)
        if not by_time or session.by_time or session.ranking is None:
            return result
        session.order(by_time=True, latest_first=latest_first)  # the same question: in the same order
        return replace(result, cards=session.cards[:PAGE_OF_CARDS])


def read_change(sent: Any) -> FilterChange:
    """A change as JSON: `cameras` and `not_cameras`, lists of names; `days`, the first and the last one, as
    ["2026-05-12", ""]; `hours`, from and until, as ["14:00", "16:00"]. null, or what is not there, stays as it is;
    "" leaves a side open, and "24:00" is the end of the day. Refused, in one sentence, for anything else.
    """
    if not isinstance(sent, Mapping) or not set(sent) <= {*PARTS}:
        raise Refused(f"Give the change as an object that has some of {', '.join(PARTS)}, and nothing else.")
    return FilterChange(
        _names(sent.get("cameras")),
        _names(sent.get("not_cameras")),
        _pair(sent.get("days"), _day, "Give days as a first and a last one, such as 2026-05-12."),
        _pair(sent.get("hours"), _time, "Give hours as from and until, such as 14:00 and 16:30."),
    )


def _names(sent: Any) -> tuple[str, ...] | None:
    if sent is None:
        return None
    if not isinstance(sent, list) or len(sent) > MOST_NAMES:
        raise Refused("Give cameras as a list of their names.")
    # Half a pair of surrogates, which a program may send, could not be sent back in the sentence that names it.
    return tuple(str(name)[:200].encode("utf-8", "replace").decode() for name in sent)


def _pair(sent: Any, read: Any, problem: str) -> Any:
    if sent is None:
        return None
    if not isinstance(sent, Sequence) or isinstance(sent, str) or len(sent) != 2:
        raise Refused(problem)
    try:
        return tuple(read(str(one)) if one not in (None, "") else None for one in sent)
    except ValueError:
        raise Refused(problem) from None


def _day(text: str) -> date:
    return date.fromisoformat(text)


def _time(text: str) -> time:
    """Seconds are cut off: no chip shows them."""
    if text in ("24:00", "24:00:00"):
        return time()
    moment = time.fromisoformat(f"0{text}" if text[1:2] == ":" else text)
    if moment.tzinfo is not None:
        raise ValueError
    return time(moment.hour, moment.minute)
