"""A case that its owner shares with another user, who may then open it, go on in it and export it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from app.refused import Refused
from gallery_store.errors import GalleryError

if TYPE_CHECKING:
    from app.session import ChatSession

NO_USERS = "There is nobody to share with: ChatReID asks for no login here, or has one user only."


def share(session: ChatSession, user: str) -> tuple[str, ...]:
    """Share the session's case with a user of this app; -> all that it is shared with, by name. Refused otherwise."""
    service, user = session.service, user.strip()
    if not service.can_share:
        raise Refused(NO_USERS)
    if user == session.user:
        raise Refused("The case is yours already.")
    if user not in service.users:
        raise Refused(f"There is no user “{user[:40]}” here: give the name that they log in with.")
    return _change(session, user, is_shared=True)


def unshare(session: ChatSession, user: str) -> tuple[str, ...]:
    """Share it no longer, also with somebody who is no user any more; their steps stay. Refused as `share`."""
    return _change(session, user.strip(), is_shared=False)


def _change(session: ChatSession, user: str, *, is_shared: bool) -> tuple[str, ...]:
    shares, case = session.service.store.cases.shares, session.case
    try:
        change = shares.add if is_shared else shares.remove
        change(case, session.user, user, session.conversation.reason)
        return shares.of(case)
    except KeyError:
        sentence = "Only its owner may share a case." if case else "No step of this case is kept yet."
        raise Refused(sentence) from None
    except ValueError as problem:
        raise Refused(f"{str(problem).capitalize()}.") from None
    except GalleryError as problem:
        raise Refused(f"The case cannot be shared now: {problem}.") from problem
