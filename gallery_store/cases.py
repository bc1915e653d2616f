"""Cases that are conversations: their steps as they were done, their photos, and what they are called."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from gallery_store.audit import ensure_case
from gallery_store.case_messages import CaseMessages, MessageId, settle
from gallery_store.case_photos import add_photos, of_photo, short_title
from gallery_store.case_shares import Shares, is_open_to, require_access, require_owner, shared_with
from gallery_store.database import Database, now_text, time_of
from gallery_store.errors import GalleryError
from gallery_store.schema import (
    case_shares,
    cases,
    conversation_messages,
    conversation_photos,
    conversation_steps,
    conversations,
)

WENT_ON = "the case went on elsewhere meanwhile: look at it, and do your step again"


class CaseWentOn(GalleryError):
    """Somebody else added a step to the case meanwhile."""


@dataclass(frozen=True)
class CaseRecord:
    """id: nobody can guess it. user: its owner. changed: at its last step, UTC, aware. turns: those not taken back.
    confirmed: crops. shared: users who may open it besides, by name.
    """

    id: str
    user: str
    title: str
    changed: datetime
    is_closed: bool
    turns: int
    confirmed: int
    shared: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeptStep:
    """data: JSON. ranking: JSON; None where it is that of the step before."""

    data: str
    ranking: str | None = None


@dataclass(frozen=True)
class KeptCase:
    """steps: the JSON of each, in order. ranking: JSON, the last that there is. times: of the steps, UTC, aware. users:
    who did each.
    """

    steps: tuple[str, ...]
    ranking: str | None
    times: tuple[datetime, ...] = ()
    users: tuple[str, ...] = ()


class Cases:
    """Conversations of one gallery. Each method raises GalleryError where the database cannot be used.

    A case is its user's, and theirs with whom it is shared: for anybody else it is not there, and KeyError says so.
    messages: those that were sent. shares: with whom cases are shared.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self.messages = CaseMessages(database)
        self.shares = Shares(database)

    def add_step(
        self,
        case: str,
        user: str,
        number: int,
        step: KeptStep,
        *,
        title: str,
        turns: int,
        confirmed: int,
        photos: Mapping[str, bytes] | None = None,
        board: Iterable[int] = (),
        answers: Iterable[MessageId] = (),
    ) -> None:
        """Write step `number`, 1 for the first, with photos by name; on disk when this returns.

        title: what a new case is called. board: ids of the crops that were confirmed or ruled out. answers: messages
        that the step came of, which are settled with it. A closed case is open again. Raises CaseWentOn where the case
        has that step.
        """
        with self._database.writing() as connection:
            ensure_case(connection, case, user)
            require_access(connection, case, user)
            last = connection.execute(_last_number(case)).scalar() or 0
            if last != number - 1:
                raise CaseWentOn(WENT_ON)
            now = now_text()
            values = {"changed": now, "turns": turns, "confirmed": confirmed, "board": json.dumps([*board])}
            changed = conversations.update().where(conversations.c.case == case).values(values)
            if not connection.execute(changed).rowcount:
                connection.execute(
                    conversations.insert().values(case=case, title=short_title(title), **values)
                )
            connection.execute(cases.update().where(cases.c.name == case).values(closed=None))
            row = {"case": case, "number": number, "time": now, "data": step.data, "ranking": step.ranking}
            connection.execute(conversation_steps.insert().values(**row, user_id=user))
            add_photos(connection, case, photos or {})
            settle(connection, answers)

    def last_step(self, case: str, user: str) -> int:
        """The number of its last step; 0 for none yet."""
        with self._database.reading() as connection:
            require_access(connection, case, user)
            return connection.execute(_last_number(case)).scalar() or 0

    def read(self, case: str, user: str) -> KeptCase:
        """All its steps; none where its first message is not answered yet."""
        at = conversation_steps.c
        with self._database.reading() as connection:
            require_access(connection, case, user)
            owner = connection.execute(_owner_of(case)).scalar()
            chosen = sa.select(at.data, at.time, at.user_id).where(at.case == case).order_by(at.number)
            steps = connection.execute(chosen).all()
            ranked = sa.select(at.ranking).where(at.case == case, at.ranking.is_not(None))
            ranking = connection.execute(ranked.order_by(at.number.desc()).limit(1)).scalar()
        if owner is None:
            raise KeyError(case)
        times = tuple(moment for step in steps if (moment := time_of(step.time)) is not None)
        users = tuple(step.user_id or owner for step in steps)
        return KeptCase(tuple(step.data for step in steps), ranking, times, users)

    def ranking_before(self, case: str, number: int) -> str | None:
        """What stood on the screen before step `number`: JSON; None where nothing did."""
        at = conversation_steps.c
        earlier = sa.select(at.ranking).where(at.case == case, at.ranking.is_not(None), at.number < number)
        with self._database.reading() as connection:
            return connection.execute(earlier.order_by(at.number.desc()).limit(1)).scalar()

    def photo(self, case: str, name: str) -> bytes | None:
        """The bytes of a photo; None where it is not kept."""
        with self._database.reading() as connection:
            found = connection.execute(of_photo(case, name)).scalar()
        return None if found is None else bytes(found)

    def listed(self, user: str | None, most: int | None = 100) -> list[CaseRecord]:
        """The user's cases and those shared with them, the last that went on first; one without a step as long as a
        message of it waits for its answer. user: None for everybody's. most: None for all.
        """
        chosen = _records().limit(most)
        if user is not None:
            chosen = chosen.where(is_open_to(user), _says_something())
        with self._database.reading() as connection:
            found = connection.execute(chosen).mappings().all()
            shared = shared_with(connection, [row["case"] for row in found])
        return [_record(row, shared.get(row["case"], ())) for row in found]

    def record(self, case: str) -> CaseRecord:
        """One case, whosever it is."""
        with self._database.reading() as connection:
            row = connection.execute(_records().where(conversations.c.case == case)).mappings().first()
            shared = shared_with(connection, [case])
        if row is None:
            raise KeyError(case)
        return _record(row, shared.get(case, ()))

    def photo_names(self) -> set[str]:
        """Of all photos that are kept."""
        with self._database.reading() as connection:
            return set(connection.execute(sa.select(conversation_photos.c.name).distinct()).scalars())

    def erase(self, case: str) -> bool:
        """Remove its name, steps, messages, photos and shares, whosever it is; -> whether it was there.

        The audit's rows stay.
        """
        with self._database.writing() as connection:
            for table in (conversation_photos, conversation_messages, conversation_steps, case_shares):
                connection.execute(table.delete().where(table.c.case == case))
            return bool(
                connection.execute(conversations.delete().where(conversations.c.case == case)).rowcount
            )

    def rename(self, case: str, user: str, title: str) -> None:
        """Call it otherwise, as its owner may; a blank title changes nothing."""
        if not (words := short_title(title)):
            return
        with self._database.writing() as connection:
            require_owner(connection, case, user)
            connection.execute(conversations.update().where(conversations.c.case == case).values(title=words))

    def close(self, case: str, user: str, *, closed: bool = True) -> None:
        """Put it among those that are done, or back, as its owner may."""
        with self._database.writing() as connection:
            require_owner(connection, case, user)
            values = {"closed": now_text() if closed else None}
            connection.execute(cases.update().where(cases.c.name == case).values(values))


def _last_number(case: str) -> sa.Select:
    return sa.select(sa.func.max(conversation_steps.c.number)).where(conversation_steps.c.case == case)


def _owner_of(case: str) -> sa.Select:
    """None where it was never begun, or was erased."""
    joined = conversations.join(cases, cases.c.name == conversations.c.case)
    return sa.select(cases.c.user_id).select_from(joined).where(conversations.c.case == case)


def _says_something() -> sa.ColumnElement[bool]:
    """Whether a conversation has a step, or a message that is to become one."""
    of_step, of_message = conversation_steps.c, conversation_messages.c
    has_step = sa.exists().where(of_step.case == conversations.c.case)
    waits = sa.exists().where(of_message.case == conversations.c.case, of_message.settled.is_(None))
    return has_step | waits


def _records() -> sa.Select:
    """All cases, the last that went on first."""
    at = conversations.c
    return (
        sa.select(at.case, at.title, at.changed, at.turns, at.confirmed, cases.c.closed, cases.c.user_id)
        .join(cases, cases.c.name == conversations.c.case)
        .order_by(conversations.c.changed.desc(), conversations.c.case)
    )


def _record(row: sa.RowMapping, shared: tuple[str, ...]) -> CaseRecord:
    changed = time_of(row["changed"])
    assert changed is not None
    return CaseRecord(
        row["case"],
        row["user_id"],
        row["title"],
        changed,
        row["closed"] is not None,
        row["turns"],
        row["confirmed"],
        shared,
    )
