"""Whose a case is: its owner's, and theirs with whom the owner shares it. For anybody else it is not there."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store import audit
from gallery_store.database import Database, now_text
from gallery_store.dialects import insert
from gallery_store.schema import case_shares, cases

MOST_SHARES = 100  # users, of one case


class Shares:
    """Who may open, go on with and export a case besides its owner. Each method raises GalleryError where the
    database cannot be used, and KeyError where the case is not this owner's. A change and its row of the audit, with
    the reason of who made it, are one transaction.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, case: str, owner: str, user: str, reason: str = "") -> bool:
        """Share it with a user; -> whether it was not before. ValueError where it is shared with too many."""
        with self._database.writing() as connection:
            require_owner(connection, case, owner)
            if user == owner or user in (had := shared_with(connection, [case]).get(case, ())):
                return False
            if len(had) >= MOST_SHARES:
                raise ValueError(f"a case is shared with {MOST_SHARES} users at most")
            values = {"case": case, "user_id": user, "since": now_text()}
            connection.execute(insert(connection, case_shares).values(values).on_conflict_do_nothing())
            audit.record(connection, owner, reason, {"shared": {"with": user}}, (), 0.0, case)
            return True

    def remove(self, case: str, owner: str, user: str, reason: str = "") -> bool:
        """Share it with this user no longer; -> whether it was. Their steps stay."""
        with self._database.writing() as connection:
            require_owner(connection, case, owner)
            gone = case_shares.delete().where(case_shares.c.case == case, case_shares.c.user_id == user)
            if not connection.execute(gone).rowcount:
                return False
            audit.record(connection, owner, reason, {"unshared": {"with": user}}, (), 0.0, case)
            return True

    def of(self, case: str) -> tuple[str, ...]:
        """The users, in the order of their names."""
        with self._database.reading() as connection:
            return shared_with(connection, [case]).get(case, ())


def shared_with(connection: Connection, named: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Case -> users, in the order of their names; a case that is not shared is left out.

    So are all of a gallery that cannot be written and is older than shares.
    """
    if not sa.inspect(connection).has_table(case_shares.name):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    chosen = sa.select(case_shares.c.case, case_shares.c.user_id).where(case_shares.c.case.in_(named))
    for row in connection.execute(chosen.order_by(case_shares.c.user_id)):
        found[row.case] = (*found.get(row.case, ()), row.user_id)
    return found


def is_open_to(user: str) -> sa.ColumnElement[bool]:
    """Whether a row of the table `cases` is a case that this user may open."""
    at = case_shares.c
    is_shared = sa.exists().where(at.case == cases.c.name, at.user_id == user)
    return (cases.c.user_id == user) | is_shared


def require_access(connection: Connection, case: str, user: str) -> None:
    """Raise KeyError where the user has no such case, neither of their own nor shared."""
    chosen = sa.select(cases.c.name).where(cases.c.name == case, is_open_to(user))
    if connection.execute(chosen).first() is None:
        raise KeyError(case)


def require_owner(connection: Connection, case: str, user: str) -> None:
    """Raise KeyError where it is not this user's own case."""
    owner = connection.execute(sa.select(cases.c.user_id).where(cases.c.name == case)).scalar()
    if owner != user:
        raise KeyError(case)
