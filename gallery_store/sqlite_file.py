"""A gallery in one SQLite file: connections, whether the file is still the one that was opened, and clear errors."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, event

from gallery_store.database import Database
from gallery_store.errors import GalleryError, GalleryLocked, GalleryReadOnly
from gallery_store.held_files import HeldFile


class SqliteDatabase(Database):
    """Opening makes the file. busy_seconds: how long to wait for another program's lock. read_only: whether the file
    or its folder cannot be written.
    """

    def __init__(self, file: Path, busy_seconds: float = 10.0) -> None:
        self.file, self.name = file, str(file)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise GalleryError(f"the folder of {file} cannot be made: {problem.strerror}") from None
        self.read_only = file.exists() and not all(
            os.access(p, os.W_OK) for p in (file, file.resolve().parent)
        )
        self._held: HeldFile | None = None
        self._gallery = 0  # the application id, of each gallery its own; 0 while it is in the log alone
        engine = _make_engine(file, busy_seconds, self.read_only)
        super().__init__(engine, engine.execution_options(chatreid_write=True), sqlite3.Error)
        try:
            self._migrate()
            self._held = HeldFile(file)
        except OSError as problem:
            self.close()
            raise GalleryError(f"{file} cannot be read: {problem.strerror}") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        super().close()
        if self._held is not None:
            self._held.close()
            self._held = None

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
        if self.read_only:
            raise GalleryReadOnly(
                f"the gallery {self.file} lies where nothing can be written, so it can be looked at and not changed: "
                "give yourself the right to write it and its folder, or copy both"
            )

    def faults(self) -> Iterator[str]:
        with self.reading() as connection:
            for (text,) in connection.exec_driver_sql("PRAGMA quick_check"):
                if text != "ok":
                    yield f"the database file is damaged: {text}"
            for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
                yield f"row {row[1]} of table {row[0]} belongs to nothing in {row[2]}"

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

    def _named(self, problem: BaseException) -> GalleryError:
        text = str(problem)
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

    def _before_first(self, connection: Connection) -> None:
        """Nothing: a file has all it needs."""

    def _table_names(self, connection: Connection) -> set[str]:
        return set(connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type='table'").scalars())


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
