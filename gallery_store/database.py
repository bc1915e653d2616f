"""The database behind a gallery: transactions, migrations, and times as text; see sqlite_file and postgres."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from gallery_store.errors import GalleryError, GalleryTooNew
from gallery_store.migrations import LATEST, MIGRATIONS, READABLE

_schema = sa.Table(
    "schema_migrations",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("name", sa.String, nullable=False),
    sa.Column("applied", sa.String, nullable=False),
)


def storable(text: str) -> str:
    """As any database takes it: without NUL, and without halves of pairs of surrogates, which a program may send."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


class Database(ABC):
    """Transactions on one gallery's database, from any thread. Opening brings its tables up to date.

    name: the file, or the URL without its password, as messages and commands name it. read_only: whether nothing can be
    written; then nothing is, and what cannot be read without a write is refused. Raises GalleryError; GalleryTooNew;
    GalleryLocked; GalleryReadOnly.
    """

    name: str
    read_only: bool
    takes_nul = True  # in a text

    def __init__(self, reader: Engine, writer: Engine, of_driver: type[Exception]) -> None:
        """of_driver: what raw cursors raise."""
        self._reader, self._writer = reader, writer
        self._errors = (DBAPIError, of_driver)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent snapshot. Raises GalleryError where the database is not the one that was opened any more."""
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

    @abstractmethod
    def require_writable(self) -> None:
        """Raise GalleryReadOnly where nothing can be written."""

    @abstractmethod
    def faults(self) -> Iterator[str]:
        """What the database itself finds wrong with its tables: one sentence each."""

    def close(self) -> None:
        """Close all connections."""
        self._reader.dispose()

    @abstractmethod
    def _check_identity(self) -> None:
        """Raise GalleryError where the database is not the one that was opened."""

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except self._errors as problem:
            raise self._named(getattr(problem, "orig", None) or problem) from problem

    @abstractmethod
    def _named(self, problem: BaseException) -> GalleryError:
        """A driver's error as a sentence that names the gallery and the mend."""

    @abstractmethod
    def _table_names(self, connection: Connection) -> set[str]: ...

    @abstractmethod
    def _before_first(self, connection: Connection) -> None:
        """What must be there before the first tables."""

    def _migrate(self) -> None:
        with self.reading() as connection:
            number = self._schema_number(connection)
        if number == LATEST or (self.read_only and number >= READABLE):
            return
        with self.writing() as connection:
            number = self._schema_number(connection)  # again: another process may have been first
            if number == 0:
                self._before_first(connection)
                _schema.create(connection, checkfirst=True)
            for step, name, upgrade in MIGRATIONS[number:]:
                upgrade(connection)
                connection.execute(_schema.insert().values(number=step, name=name, applied=now_text()))

    def _schema_number(self, connection: Connection) -> int:
        names = self._table_names(connection)
        if _schema.name not in names:
            if names:
                raise GalleryError(f"{self.name} is a database of another program: name another one")
            return 0
        number = connection.execute(sa.select(sa.func.max(_schema.c.number))).scalar() or 0
        if number > LATEST:
            raise GalleryTooNew(
                f"the gallery {self.name} has schema {number} and this version of ChatReID knows {LATEST}: "
                "update ChatReID"
            )
        return number


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
