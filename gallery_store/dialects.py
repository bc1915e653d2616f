"""Where SQLite and PostgreSQL want other words: upserts, the driver's own rows, and how a vector is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite


def insert(connection: Connection, table: sa.Table) -> Any:
    """An INSERT that knows `on_conflict_do_update` and `on_conflict_do_nothing`."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # here: a gallery in a file does without

        return postgresql.insert(table)
    return sqlite.insert(table)


def rows_by_driver(connection: Connection, statement: str, parameters: Sequence[Any]) -> list[tuple]:
    """All rows of a SELECT that has ? for each parameter; vectors come packed (see index.pack).

    By the driver alone: SQLAlchemy's rows cost many times as much.
    """
    if connection.dialect.name == "sqlite":
        cursor = connection.connection.cursor()
    else:
        cursor = connection.connection.cursor(binary=True)
        statement = statement.replace("?", "%s")
    try:
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
    finally:
        cursor.close()


def last_id_given(connection: Connection, table: sa.Table) -> int:
    """The largest id that this table ever gave, also to a row that is gone; 0 for none."""
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,))
        return int(found.scalar() or 0)
    sequence = connection.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, "id"))).scalar_one()
    return connection.exec_driver_sql(
        f"SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM {sequence}"
    ).scalar_one()


def set_last_id_given(connection: Connection, table: sa.Table, last: int) -> None:
    """Let the table give ids above `last` from now on. For a table to which rows were added under ids of their own."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("DELETE FROM sqlite_sequence WHERE name = ?", (table.name,))
        connection.exec_driver_sql("INSERT INTO sqlite_sequence VALUES (?, ?)", (table.name, last))
        return
    sequence = sa.func.pg_get_serial_sequence(table.name, "id")
    connection.execute(sa.select(sa.func.setval(sequence, last + 1, sa.false())))


class Packed(bytes):
    """A packed vector on its way into a column of type halfvec; see postgres."""


class _Halfvec(sa.types.UserDefinedType):
    """pgvector's float16 vector of any length; from and to the packed bytes that SQLite keeps as they are."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "HALFVEC"

    def bind_processor(self, dialect: sa.Dialect) -> Callable[[bytes | None], Packed | None]:
        return lambda data: None if data is None else Packed(data)


PACKED_VECTOR = sa.LargeBinary().with_variant(_Halfvec(), "postgresql")
