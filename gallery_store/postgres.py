"""A gallery in a PostgreSQL database with pgvector: connections, the one writer, vectors as halfvec, clear errors.

Writers take one lock for the length of a transaction, so that crops become visible in the order of their ids, which
the index in memory relies on, and so that tables are made once. Encoding and decoding happen outside it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy import URL, Connection, Engine, event

from gallery_store import rows
from gallery_store.database import Database
from gallery_store.dialects import Packed
from gallery_store.errors import GalleryError, GalleryLocked, GalleryReadOnly, NoGallery, first_line
from gallery_store.location import is_url, location_shown

_LOCK = 0x43686174526549  # of the one writer; any number that other programs do not take
_CONNECT_SECONDS = 10
PICTURES = (
    "pictures"  # the URL's option, and the setting that keeps it: in which folder that of the pictures lies
)
_DEFAULT_PICTURES = "data"
_MISSING_DRIVER = "a gallery on PostgreSQL needs psycopg: `pip install -r requirements-scale.txt`"
_EXTENSION = "CREATE EXTENSION vector"


class PostgresDatabase(Database):
    """Opening makes the tables, unless must_exist. busy_seconds: how long to wait for another writer. read_only:
    whether the user may not write, the server is a standby, or the folder of pictures cannot be written.

    database: its name on the server. identity: tells it from any other, also from a copy of it. folder: in which the
    folder of its pictures lies: as the URL says, as it was when the gallery was made, or "data" where one stands then.
    """

    takes_nul = False

    def __init__(self, url: URL, busy_seconds: float = 10.0, *, must_exist: bool = False) -> None:
        self.name = location_shown(url.render_as_string(hide_password=False))
        self.database, self._user = url.database or url.username or "", url.username or ""
        named = url.query.get(PICTURES)
        if named and is_url(str(named)):
            raise GalleryError(
                f"{PICTURES} in the URL of a gallery names a folder of this machine: name a storage by --pictures"
            )
        self.read_only = False
        engine = _make_engine(url.difference_update_query([PICTURES]), busy_seconds)
        super().__init__(
            engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True),
            engine.execution_options(isolation_level="READ COMMITTED", chatreid_write=True),
            engine.dialect.loaded_dbapi.Error,
        )
        try:
            with self.reading() as connection:
                names = self._table_names(connection)
                self.identity = connection.exec_driver_sql(_IDENTITY).scalar_one()
                self.read_only = self._cannot_write(connection, "crops" in names)
            if must_exist and not names:
                raise NoGallery(self.name)
            self._migrate()
            engine.dispose()  # connections learn the type of vectors when they are made, and these may be older
            self.folder = self._folder(Path(str(named)).expanduser().absolute() if named else None)
            self.read_only |= self.folder.exists() and not os.access(self.folder, os.W_OK)
        except BaseException:
            self.close()
            raise

    def _cannot_write(self, connection: Connection, has_tables: bool) -> bool:
        if connection.exec_driver_sql("SELECT pg_is_in_recovery()").scalar_one():
            return True
        may = "SELECT has_table_privilege('crops', 'INSERT')"
        return has_tables and not connection.exec_driver_sql(may).scalar_one()

    def _folder(self, named: Path | None) -> Path:
        with self.reading() as connection:
            kept = rows.setting(connection, PICTURES)
        if kept is None and not self.read_only:
            with self.writing() as connection:
                kept = rows.setting(connection, PICTURES)  # again: another process may have been first
                if kept is None:
                    kept = str(named or Path(_DEFAULT_PICTURES).absolute())
                    rows.set_setting(connection, PICTURES, kept)
        return named or Path(kept or _DEFAULT_PICTURES).absolute()

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """A connection on which each statement is a transaction of its own, without the writers' lock. Raises as
        `reading`."""
        alone = {"isolation_level": "AUTOCOMMIT", "chatreid_write": False}
        with self._clear_errors(), self._writer.connect().execution_options(**alone) as connection:
            yield connection

    def require_writable(self) -> None:
        if self.read_only:
            raise GalleryReadOnly(
                f"the gallery {self.name} can be looked at and not changed: connect as a user who may write its "
                "tables, to a server that is no standby, with a folder of pictures that can be written"
            )

    def faults(self) -> Iterator[str]:
        """None: the server refuses rows that belong to nothing, and keeps checksums of its pages."""
        yield from ()

    def _check_identity(self) -> None:
        """The server answers for it: a database that is dropped ends its connections."""

    def _table_names(self, connection: Connection) -> set[str]:
        return set(sa.inspect(connection).get_table_names())

    def _before_first(self, connection: Connection) -> None:
        if connection.exec_driver_sql("SELECT to_regtype('halfvec') IS NULL").scalar_one():
            connection.exec_driver_sql(_EXTENSION)

    def _named(self, problem: BaseException) -> GalleryError:
        text, state = first_line(problem), getattr(problem, "sqlstate", None) or ""
        if state == "55P03":  # lock_timeout
            return GalleryLocked(
                f"the gallery {self.name} is being written by another program: wait and try again"
            )
        return GalleryError(f"the gallery {self.name} {self._what_is_wrong(text, state)}")

    def _what_is_wrong(self, text: str, state: str) -> str:
        create = f"let an administrator of the server run `{_EXTENSION}` in the database {self.database}"
        if "extension" in text and ("not available" in text or state in ("0A000", "58P01")):
            return (
                f"needs pgvector, which its server lacks: install pgvector 0.7 or newer there, and {create}"
            )
        if '"halfvec"' in text or ("extension" in text and state == "42710"):
            return "needs pgvector 0.7 or newer: update it on the server, and `ALTER EXTENSION vector UPDATE`"
        if state == "42501" and "extension" in text:
            return f"needs pgvector, and its user may not create it: {create}"
        if state == "42501" or "permission denied" in text:
            return (
                f"cannot be used by the user {self._user} ({text}): grant the rights, as by "
                f"`ALTER DATABASE {self.database} OWNER TO {self._user}`"
            )
        if "password" in text or "no pg_hba.conf entry" in text or state in ("28P01", "28000"):
            return (
                f"does not let the user {self._user} in: check the name and the password (in the URL, PGPASSWORD or "
                "~/.pgpass), and the server's pg_hba.conf"
            )
        if "does not exist" in text and ("database" in text or "role" in text) and "FATAL" in text:
            return f"is not there ({_reason(text)}): make it, as by `createdb {self.database}`"
        if state == "42P01":
            return f"has lost tables while it was open ({text}): bring them back from a dump, and start again"
        if state in ("53100", "53200"):
            return f"has no room on its server ({text}): make room, and try again"
        if state == "53300":
            return f"has too many connections ({text}): close some, or raise max_connections on the server"
        if not state or state.startswith(("08", "57P")):
            return (
                f"cannot be reached ({_reason(text)}): see whether the server runs, and check host and port"
            )
        return f"failed: {text}"


def _reason(text: str) -> str:
    """What libpq says at the end, after where it connected to."""
    return text.rpartition("failed: ")[2]


_IDENTITY = """
SELECT concat_ws('/', CASE WHEN has_function_privilege('pg_control_system()', 'EXECUTE')
THEN (SELECT system_identifier FROM pg_control_system())::text END, oid, current_schema())
FROM pg_database WHERE datname = current_database()
"""


def _make_engine(url: URL, busy_seconds: float) -> Engine:
    # Names of the driver would only mislead: one of them is supported.
    url = url.set(drivername="postgresql+psycopg")
    connect_args = {} if "connect_timeout" in url.query else {"connect_timeout": _CONNECT_SECONDS}
    try:
        # pre-ping: a server that was started again costs nothing. Of a server's 100 connections each process has few.
        engine = sa.create_engine(
            url,
            connect_args=connect_args,
            pool_pre_ping=True,
            pool_size=4,
            max_overflow=12,
            use_native_hstore=False,
        )
    except ImportError:
        raise GalleryError(_MISSING_DRIVER) from None
    milliseconds = max(1, round(busy_seconds * 1000))

    @event.listens_for(engine, "connect")
    def configure(raw: Any, _record: Any) -> None:
        _register_halfvec(raw)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("chatreid_write"):
            connection.exec_driver_sql(
                f"SET LOCAL lock_timeout = {milliseconds}; "
                "SET LOCAL synchronous_commit = on; "  # what was acknowledged survives a power cut as well
                f"SELECT pg_advisory_xact_lock({_LOCK})"
            )

    return engine


def _register_halfvec(raw: Any) -> None:
    """Let a connection read halfvec as packed bytes, and write Packed as halfvec."""
    from psycopg.adapt import Dumper, Loader
    from psycopg.pq import Format
    from psycopg.types import TypeInfo

    info = TypeInfo.fetch(raw, "halfvec")
    if info is None:  # before the extension is made
        return

    class ToHalfvec(Dumper):
        format, oid = Format.BINARY, info.oid

        def dump(self, obj: Packed) -> bytes:
            return struct.pack(">HH", len(obj) // 2, 0) + np.frombuffer(obj, "<f2").astype(">f2").tobytes()

    class FromBinary(Loader):
        format = Format.BINARY

        def load(self, data: Any) -> bytes:
            return np.frombuffer(data, ">f2", offset=4).astype("<f2").tobytes()

    class FromText(Loader):
        def load(self, data: Any) -> bytes:
            return np.fromstring(bytes(data)[1:-1].decode(), "<f4", sep=",").astype("<f2").tobytes()

    raw.adapters.register_dumper(Packed, ToHalfvec)
    raw.adapters.register_loader(info.oid, FromBinary)
    raw.adapters.register_loader(info.oid, FromText)
