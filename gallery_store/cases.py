"""Cases that are conversations: their steps as they were done, their photos, and what they are called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store.audit import ensure_case
from gallery_store.database import Database, now_text, time_of
from gallery_store.errors import GalleryError
from gallery_store.schema import cases, conversation_photos, conversation_steps, conversations

MOST_TITLE = 80  # characters


class CaseWentOn(GalleryError):
    """Somebody else added a step to the case meanwhile."""


@dataclass(frozen=True)
class CaseRecord:
    """id: nobody can guess it. changed: at its last step, UTC, aware. turns: those not taken back. confirmed: crops."""

    id: str
    user: str
    title: str
    changed: datetime
    is_closed: bool
    turns: int
    confirmed: int


@dataclass(frozen=True)
class KeptStep:
    """data: JSON. ranking: JSON; None where it is that of the step before."""

    data: str
    ranking: str | None = None


@dataclass(frozen=True)
class KeptCase:
    """steps: the JSON of each, in order. ranking: JSON, the last that there is. times: of the steps, UTC, aware."""

    steps: tuple[str, ...]
    ranking: str | None
    times: tuple[datetime, ...] = ()


class Cases:
    """Conversations of one gallery. Each method raises GalleryError where the database cannot be used.

    A case is its user's: for anybody else it is not there, and KeyError says so.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

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
    ) -> None:
        """Write step `number`, 1 for the first, with photos by name; on disk when this returns.

        title: what a new case is called. A closed case is open again. Raises CaseWentOn where the case has that step.
        """
        with self._database.writing() as connection:
            ensure_case(connection, case, user)
            self._require(connection, case, user)
            last = connection.execute(_last_number(case)).scalar() or 0
            if last != number - 1:
                raise CaseWentOn("the case went on elsewhere meanwhile: look at it, and do your step again")
            now = now_text()
            values = {"changed": now, "turns": turns, "confirmed": confirmed}
            changed = conversations.update().where(conversations.c.case == case).values(values)
            if not connection.execute(changed).rowcount:
                connection.execute(conversations.insert().values(case=case, title=_short(title), **values))
            connection.execute(cases.update().where(cases.c.name == case).values(closed=None))
            row = {"case": case, "number": number, "time": now, "data": step.data, "ranking": step.ranking}
            connection.execute(conversation_steps.insert().values(row))
            for name, data in (photos or {}).items():
                there = _of_photo(case, name).with_only_columns(conversation_photos.c.name)
                if connection.execute(there).first() is None:
                    connection.execute(conversation_photos.insert().values(case=case, name=name, data=data))

    def last_step(self, case: str, user: str) -> int:
        """The number of its last step."""
        with self._database.reading() as connection:
            self._require(connection, case, user)
            return connection.execute(_last_number(case)).scalar() or 0

    def read(self, case: str, user: str) -> KeptCase:
        """All its steps."""
        at = conversation_steps.c
        with self._database.reading() as connection:
            self._require(connection, case, user)
            chosen = sa.select(at.data, at.time).where(at.case == case).order_by(at.number)
            steps = connection.execute(chosen).all()
            ranked = sa.select(at.ranking).where(at.case == case, at.ranking.is_not(None))
            ranking = connection.execute(ranked.order_by(at.number.desc()).limit(1)).scalar()
        if not steps:
            raise KeyError(case)
        times = tuple(moment for step in steps if (moment := time_of(step.time)) is not None)
        return KeptCase(tuple(step.data for step in steps), ranking, times)

    def ranking_before(self, case: str, number: int) -> str | None:
        """What stood on the screen before step `number`: JSON; None where nothing did."""
        at = conversation_steps.c
        earlier = sa.select(at.ranking).where(at.case == case, at.ranking.is_not(None), at.number < number)
        with self._database.reading() as connection:
            return connection.execute(earlier.order_by(at.number.desc()).limit(1)).scalar()

    def photo(self, case: str, name: str) -> bytes | None:
        """The bytes of a photo; None where it is not kept."""
        with self._database.reading() as connection:
            found = connection.execute(_of_photo(case, name)).scalar()
        return None if found is None else bytes(found)

    def listed(self, user: str | None, most: int | None = 100) -> list[CaseRecord]:
        """The user's cases, the last that went on first. user: None for everybody's. most: None for all."""
        whose = sa.true() if user is None else cases.c.user_id == user
        chosen = _records().where(whose).limit(most)
        with self._database.reading() as connection:
            return [_record(row) for row in connection.execute(chosen).mappings()]

    def record(self, case: str) -> CaseRecord:
        """One case, whosever it is."""
        with self._database.reading() as connection:
            row = connection.execute(_records().where(conversations.c.case == case)).mappings().first()
        if row is None:
            raise KeyError(case)
        return _record(row)

    def photo_names(self) -> set[str]:
        """Of all photos that are kept."""
        with self._database.reading() as connection:
            return set(connection.execute(sa.select(conversation_photos.c.name).distinct()).scalars())

    def erase(self, case: str) -> bool:
        """Remove its name, steps and photos, whosever it is; -> whether it was there. The audit's rows stay."""
        with self._database.writing() as connection:
            for table in (conversation_photos, conversation_steps):
                connection.execute(table.delete().where(table.c.case == case))
            return bool(
                connection.execute(conversations.delete().where(conversations.c.case == case)).rowcount
            )

    def rename(self, case: str, user: str, title: str) -> None:
        """Call it otherwise; a blank title changes nothing."""
        if not (words := _short(title)):
            return
        with self._database.writing() as connection:
            self._require(connection, case, user)
            connection.execute(conversations.update().where(conversations.c.case == case).values(title=words))

    def close(self, case: str, user: str, *, closed: bool = True) -> None:
        """Put it among those that are done, or back."""
        with self._database.writing() as connection:
            self._require(connection, case, user)
            values = {"closed": now_text() if closed else None}
            connection.execute(cases.update().where(cases.c.name == case).values(values))

    @staticmethod
    def _require(connection: Connection, case: str, user: str) -> None:
        owner = connection.execute(sa.select(cases.c.user_id).where(cases.c.name == case)).scalar()
        if owner != user:
            raise KeyError(case)


def _short(title: str) -> str:
    printable = "".join(sign if sign.isprintable() else " " for sign in title)
    return " ".join(printable.split())[:MOST_TITLE].strip()


def _last_number(case: str) -> sa.Select:
    return sa.select(sa.func.max(conversation_steps.c.number)).where(conversation_steps.c.case == case)


def _of_photo(case: str, name: str) -> sa.Select:
    at = conversation_photos.c
    return sa.select(at.data).where(at.case == case, at.name == name)


def _records() -> sa.Select:
    """All cases, the last that went on first."""
    return (
        sa.select(conversations, cases.c.closed, cases.c.user_id)
        .join(cases, cases.c.name == conversations.c.case)
        .order_by(conversations.c.changed.desc(), conversations.c.case)
    )


def _record(row: sa.RowMapping) -> CaseRecord:
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
    )
