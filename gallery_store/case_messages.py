"""Messages as operators sent them, kept before anything is done with them, until each is settled."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store.audit import ensure_case
from gallery_store.case_photos import add_photos, short_title
from gallery_store.case_shares import require_access
from gallery_store.database import Database, now_text
from gallery_store.schema import conversation_messages, conversations

MessageId = tuple[str, int]  # case, number: 1 for its first


@dataclass(frozen=True)
class KeptMessage:
    """photos: names of those of the case."""

    id: MessageId
    text: str
    photos: tuple[str, ...]


class CaseMessages:
    """The messages of all cases. A message is settled once it is a step, or the next one has taken its place.

    Each method raises GalleryError where the database cannot be used, KeyError where the user has no such case.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self,
        case: str,
        user: str,
        text: str,
        photos: Mapping[str, bytes],
        *,
        title: str,
        instead_of: Iterable[MessageId] = (),
    ) -> MessageId:
        """Keep a message; on disk when this returns. A case begins with its first: `title` is what it is called then.

        photos: by name. instead_of: earlier ones, which are settled.
        """
        with self._database.writing() as connection:
            ensure_case(connection, case, user)
            require_access(connection, case, user)
            now, at = now_text(), conversation_messages.c
            begun = sa.select(conversations.c.case).where(conversations.c.case == case)
            if connection.execute(begun).first() is None:
                values = {"title": short_title(title), "changed": now, "turns": 0, "confirmed": 0}
                connection.execute(conversations.insert().values(case=case, **values))
            last = connection.execute(sa.select(sa.func.max(at.number)).where(at.case == case)).scalar() or 0
            row = {"case": case, "number": last + 1, "time": now, "user_id": user, "text": text}
            connection.execute(conversation_messages.insert().values(**row, photos=json.dumps([*photos])))
            add_photos(connection, case, photos)
            settle(connection, instead_of)
        return case, last + 1

    def settle(self, messages: Iterable[MessageId]) -> None:
        """Those that came to no step."""
        with self._database.writing() as connection:
            settle(connection, messages)

    def unsettled(self, case: str, user: str) -> tuple[KeptMessage, ...]:
        """Those that this user sent in the case and that are not settled, in their order."""
        at = conversation_messages.c
        mine = sa.select(at.number, at.text, at.photos).where(
            at.case == case, at.user_id == user, at.settled.is_(None)
        )
        with self._database.reading() as connection:
            require_access(connection, case, user)
            found = connection.execute(mine.order_by(at.number)).all()
        return tuple(
            KeptMessage((case, row.number), row.text, tuple(json.loads(row.photos))) for row in found
        )


def settle(connection: Connection, messages: Iterable[MessageId]) -> None:
    """Mark them as settled, unless they are."""
    at = conversation_messages.c
    for case, number in messages:
        one = conversation_messages.update().where(at.case == case, at.number == number, at.settled.is_(None))
        connection.execute(one.values(settled=now_text()))
