"""The audit: who searched for what, when and why, and what they were shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store.database import now_text, storable, time_of
from gallery_store.schema import cases, searches


@dataclass(frozen=True)
class SearchRecord:
    """time: UTC, aware. query: as the caller described it. shown: crop ids, best first (some may be gone since).

    seconds: how long the search took. case: the case's name, None for none.
    """

    id: int
    time: datetime
    user: str
    reason: str
    query: dict[str, Any]
    shown: tuple[int, ...]
    seconds: float
    case: str | None


def record(
    connection: Connection,
    user: str,
    reason: str,
    query: dict[str, Any],
    shown: Sequence[int],
    seconds: float,
    case: str | None,
) -> int:
    """Add one row; -> its id. query: JSON-ready, other values as their str. seconds: how long the search took."""
    ensure_case(connection, case, user)
    inserted = connection.execute(
        searches.insert().values(
            time=now_text(),
            user_id=user,
            case=case,
            reason=storable(reason),
            query=storable(json.dumps(query, ensure_ascii=False, sort_keys=True, default=str)),
            shown=json.dumps([int(crop_id) for crop_id in shown]),
            seconds=float(seconds),
        )
    )
    return int(inserted.inserted_primary_key[0])  # type: ignore[index]


def latest(connection: Connection, limit: int) -> list[SearchRecord]:
    """The last `limit` searches, newest first."""
    newest = connection.execute(sa.select(searches).order_by(searches.c.id.desc()).limit(limit))
    return [_search_record(row) for row in newest.mappings()]


def of_case(connection: Connection, case: str) -> list[SearchRecord]:
    """All searches of a case, the first one first."""
    rows = connection.execute(sa.select(searches).where(searches.c.case == case).order_by(searches.c.id))
    return [_search_record(row) for row in rows.mappings()]


def _search_record(row: Any) -> SearchRecord:
    moment = time_of(row["time"])
    assert moment is not None
    return SearchRecord(
        id=row["id"],
        time=moment,
        user=row["user_id"],
        reason=row["reason"],
        query=json.loads(row["query"]),
        shown=tuple(json.loads(row["shown"])),
        seconds=row["seconds"],
        case=row["case"],
    )


def ensure_case(connection: Connection, case: str | None, user: str) -> None:
    """Add the case to the table if it is named and new."""
    if case is None or connection.execute(sa.select(cases.c.name).where(cases.c.name == case)).first():
        return
    connection.execute(cases.insert().values(name=case, user_id=user, opened=now_text()))
