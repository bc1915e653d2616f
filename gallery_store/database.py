"""The SQLite file behind a gallery: connections, transactions, migrations, and errors one can act on."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from gallery_store.errors import GalleryError, GalleryLocked, GalleryReadOnly, GalleryTooNew
from gallery_store.held_files import HeldFile
from gallery_store.migrations import LATEST, MIGRATIONS, READABLE

_schema = sa.Table(
    "schema_migrations",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("applied", sa.String, nullable=False),
)


def file_of(location: str | Path) -> Path:
    """The gallery's file, absolute; `location` is a path or a URL like "sqlite:///data/gallery.db".

    Raises GalleryError for another database, a folder, or no name.
    """
    text = str(location)
    if "://" in text:
        try:
            url = make_url(text)
        except ArgumentError:
            raise GalleryError(f"{text!r} is not a database URL") from None
        if url.get_backend_name() != "sqlite":
            raise GalleryError(f"galleries on {url.get_backend_name()} are not supported: name a SQLite file")
        text = url.database or ""
        if text in ("", ":memory:"):
            raise GalleryError("a gallery in memory would be lost: name a file")
    if not text.strip():
        raise GalleryError("the gallery's file name is empty")
    file = Path(text).expanduser().absolute()
    if file.is_dir():
        raise GalleryError(f"{file} is a folder: name the gallery's file, such as {file / 'gallery.db'}")
    return file


class Database:
    """Transactions on one SQLite file, from any thread. Opening makes the file and brings its tables up to date.

    busy_seconds: how long to wait for another program's lock. read_only: whether the file or its folder cannot be
    written; then nothing is, and what cannot be read without a write is refused. Raises GalleryError; GalleryTooNew;
    GalleryLocked; GalleryReadOnly.
    """

    def __init__(self, file: Path, busy_seconds: float = 10.0) -> None:
        self.file = file
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise GalleryError(f"the folder of {file} cannot be made: {problem.strerror}") from None
        self.read_only = file.exists() and not all(
            os.access(p, os.W_OK) for p in (file, file.resolve().parent)
        )
        self._held: HeldFile | None = None
        self._gallery = (
            0  # the application id, which each gallery has of its own; 0 while it is in the log alone
        )
        self._reader = _make_engine(file, busy_seconds, self.read_only)
        self._writer = self._reader.execution_options(chatreid_write=True)
        try:
            self._migrate()
            self._held = HeldFile(file)
        except OSError as problem:
            self.close()
            raise GalleryError(f"{file} cannot be read: {problem.strerror}") from None
        except BaseException:
            self.close()
            raise

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent snapshot. Raises GalleryError where the file is not the one that was opened any more."""
        self._check_identity()
        with self._clear_errors(), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """The one writer; commits at the end, rolls back on an exception. Raises as `reading`; GalleryReadOnly."""
        self.require_writable()
        self._check_identity()
        with self._clear_errors(), self._writer.begin() as connection:
            yield connection
            self._check_identity()  # what goes into a file that was removed is lost

    def give_identity(self) -> None:
        """Give the file an application id, which tells it from other galleries, unless it has one."""
        with self.reading() as connection:
            if connection.exec_driver_sql("PRAGMA application_id").scalar():
                return
        with self.writing() as connection:
            if not connection.exec_driver_sql("PRAGMA application_id").scalar():
                connection.exec_driver_sql(f"PRAGMA application_id = {1 + secrets.randbelow(2**31 - 1)}")
        with self._clear_errors():
            raw = self._reader.raw_connection()
            try:
                raw.cursor().execute("PRAGMA wal_checkpoint(PASSIVE)").close()
            finally:
                raw.close()

    def require_writable(self) -> None:
        """Raise GalleryReadOnly where nothing can be written."""
        if self.read_only:
            raise GalleryReadOnly(
                f"the gallery {self.file} lies where nothing can be written, so it can be looked at and not changed: "
                "give yourself the right to write it and its folder, or copy both"
            )

    def close(self) -> None:
        """Close all connections."""
        self._reader.dispose()
        if self._held is not None:
            self._held.close()
            self._held = None

    def _check_identity(self) -> None:
        """SQLite goes on in a file that was removed or replaced, and finds no tables in one that was emptied."""
        if self._held is None or self._is_same(self._held):
            return
        raise GalleryError(
            f"the gallery {self.file} was {self._what_happened()} while it was open: bring the file back, and start "
            "again"
        )

    def _is_same(self, held: HeldFile) -> bool:
        try:
            status = self.file.stat()
        except OSError:
            return False
        if (status.st_dev, status.st_ino) != held.key or not status.st_size:
            return False
        gallery = int.from_bytes(held.header()[68:72], "big")
        if self._gallery and gallery and gallery != self._gallery:
            return False
        self._gallery = gallery or self._gallery
        return True

    def _what_happened(self) -> str:
        if not self.file.exists():
            return "removed"
        return "replaced" if self.file.stat().st_size else "emptied"

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except (DBAPIError, sqlite3.Error) as problem:  # the latter from raw cursors
            raise self._named(str(getattr(problem, "orig", problem))) from problem

    def _named(self, text: str) -> GalleryError:
        if "locked" in text or "busy" in text:
            return GalleryLocked(
                f"the gallery {self.file} is locked by another program: close that one, or wait and try again"
            )
        if "not a database" in text or "malformed" in text:
            return GalleryError(f"{self.file} is not a readable SQLite file ({text}): restore it from a copy")
        if "unable to open" in text and self.read_only:
            return GalleryError(
                f"the gallery {self.file} cannot be looked at where nothing can be written, for its last changes are "
                f"still in {self.file}-wal: copy both to another folder, and open the copy"
            )
        if "unable to open" in text or "readonly" in text:
            return GalleryError(
                f"the gallery {self.file} cannot be opened for writing ({text}): check its rights"
            )
        if "disk is full" in text:
            return GalleryError(f"the disk of the gallery {self.file} is full: make room, and try again")
        return GalleryError(f"the gallery {self.file} failed: {text}")

    def _migrate(self) -> None:
        with self.reading() as connection:
            number = self._schema_number(connection)
        if number == LATEST or (self.read_only and number >= READABLE):
            return
        with self.writing() as connection:
            number = self._schema_number(connection)  # again: another process may have been first
            if number == 0:
                _schema.create(connection, checkfirst=True)
            for step, name, upgrade in MIGRATIONS[number:]:
                upgrade(connection)
                connection.execute(_schema.insert().values(number=step, name=name, applied=now_text()))

    def _schema_number(self, connection: Connection) -> int:
        names = set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='table'").scalars())
        if _schema.name not in names:
            if names:
                raise GalleryError(f"{self.file} is a database of another program: name another file")
            return 0
        number = connection.execute(sa.select(sa.func.max(_schema.c.number))).scalar() or 0
        if number > LATEST:
            raise GalleryTooNew(
                f"the gallery {self.file} has schema {number} and this version of ChatReID knows {LATEST}: "
                "update ChatReID"
            )
        return number


def read_only_uri(file: Path) -> str:
    """A SQLite URI by which nothing is written, and no file is made beside the database as long as it has no log."""
    wal = file.with_name(f"{file.name}-wal")
    mode = "mode=ro" if wal.is_file() and wal.stat().st_size else "mode=ro&immutable=1"
    return f"file:{quote(str(file))}?{mode}"


def _make_engine(file: Path, busy_seconds: float, read_only: bool) -> Engine:
    url = sa.URL.create("sqlite", database=str(file))
    if read_only:
        name, _, options = read_only_uri(file).partition("?")
        query = dict(option.split("=") for option in options.split("&"))
        url = sa.URL.create("sqlite", database=name, query={**query, "uri": "true"})
    # isolation_level None: pysqlite would begin transactions late and leave tables' changes outside them.
    connect_args = {"isolation_level": None, "timeout": busy_seconds, "check_same_thread": False}
    engine = sa.create_engine(url, connect_args=connect_args, pool_size=8, max_overflow=24)

    @event.listens_for(engine, "connect")
    def configure(raw: Any, _record: Any) -> None:
        cursor = raw.cursor()
        cursor.execute("PRAGMA foreign_keys = ON")
        if not read_only and cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # what was acknowledged survives a power cut as well
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A write that begins as a read may fail with "locked" half-way, without any waiting.
        write = connection.get_execution_options().get("chatreid_write")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def now_text() -> str:
    """The time of now, as `time_text` writes it."""
    return time_text(datetime.now(UTC))


def time_text(moment: datetime | None) -> str:
    """How times are stored: "2025-03-04T14:05:06.000000Z", always UTC; '' for None."""
    if moment is None:
        return ""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def time_of(text: str) -> datetime | None:
    """A stored time, aware, in UTC; None for ''."""
    return datetime.fromisoformat(text) if text else None
