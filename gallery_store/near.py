"""The search for the nearest vectors inside PostgreSQL, by pgvector: exact, or by an HNSW index.

Filters go first. Where few crops pass them their vectors are compared one by one, which is exact. Where many do, the
index gives crops in the order of their likeness, and those that pass are taken until there are enough; where it ends
before that, all are compared.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np
import sqlalchemy as sa
from sqlalchemy import Connection

from gallery_store.console import Progress
from gallery_store.dialects import rows_by_driver
from gallery_store.errors import GalleryError
from gallery_store.postgres import PostgresDatabase
from gallery_store.rows import EncoderId
from gallery_store.schema import encoders
from gallery_store.vectors import Vectors

EXACT_BELOW = 50_000  # crops that pass the filters: so many are compared in a few tenths of a second
EXACT_SHARE = 0.1  # of a gallery: the index would show ten crops for each that passes
_FEW_LEFT_OUT = 1000  # crops: all are compared, and so many more are taken
_OVER = 1.3  # times as many are asked for as should do
_EF_CONSTRUCTION = 200  # with pgvector's 64 one in a hundred of the best was missed
_EF_SEARCH = 1000  # the most that pgvector takes
_ITERATIVE = "relaxed_order"  # goes on until there are enough; strict order would leave some out
_MOST_SCANNED = 100_000  # crops, by the index in one search
_AT_ONCE = 5000
_MEMORY = 2 << 30  # bytes, the most that the making of an index asks for
_LOCK = 0x4368617452654E  # of who makes one
_PREFIX = "vectors_near_"
_ENCODERS = sa.select(encoders.c.name, encoders.c.version)
_GOES_ON = (
    "(SELECT string_to_array(extversion, '.')::int[] >= '{0,8}' FROM pg_extension WHERE extname = 'vector')"
)
_PROGRESS = "SELECT tuples_done FROM pg_stat_progress_create_index WHERE relid = 'vectors'::regclass"


class DatabaseVectors:
    """One encoder's vectors of a gallery in PostgreSQL. dim: their numbers."""

    def __init__(self, database: PostgresDatabase, encoder: EncoderId, dim: int) -> None:
        self._database, self._encoder, self._dim = database, encoder, dim

    @classmethod
    def of(cls, database: PostgresDatabase, connection: Connection, encoder: EncoderId) -> DatabaseVectors:
        """Of an encoder whose vectors are there."""
        dim = "SELECT vector_dims(data) FROM vectors WHERE encoder = %s AND version = %s LIMIT 1"
        return cls(database, encoder, connection.exec_driver_sql(dim, encoder).scalar() or 0)

    def read(self, ids: np.ndarray) -> Vectors:
        """The vectors of `ids`, int64 (n,), in their order. KeyError names the first that is not there."""
        found: dict[int, bytes] = {}
        # As the server sends them, to be turned all at once.
        statement = f"SELECT crop_id, halfvec_send(data) {self._of} AND crop_id = ANY(?::bigint[])"
        with self._database.reading() as connection:
            for start in range(0, len(ids), _AT_ONCE):
                found.update(rows_by_driver(connection, statement, (_array(ids[start : start + _AT_ONCE]),)))
        for crop_id in ids.tolist() if len(found) < len(ids) else ():
            if crop_id not in found:
                raise KeyError(f"crop {crop_id} is not in the gallery")
        sent = np.frombuffer(b"".join(found[crop_id] for crop_id in ids.tolist()), ">f2")
        return Vectors(sent.reshape(len(ids), self._dim + 2)[:, 2:])  # their length and two bytes go before

    def nearest(
        self, row: np.ndarray, ids: np.ndarray, total: int, most: int, *, exact: bool = False
    ) -> np.ndarray:
        """int64 (at most `most`,): those of `ids` with the greatest products with `row`, float32 (dim,).

        ids: ascending. total: how many crops the gallery has. exact: by no index, as where none serves.
        """
        unit = row / max(float(np.linalg.norm(row)), 1e-12)
        probe = "[" + ",".join(f"{number:.5g}" for number in unit) + "]"
        with self._database.reading() as connection:
            connection.exec_driver_sql("SET LOCAL jit = off")
            by_index = (
                not exact and len(ids) > max(EXACT_BELOW, EXACT_SHARE * total) and self.has_index(connection)
            )
            if by_index and len(found := self._by_index(connection, probe, ids, total, most)) == most:
                return found
            return self._exact(connection, probe, ids, total, most)

    def _exact(
        self, connection: Connection, probe: str, ids: np.ndarray, total: int, most: int
    ) -> np.ndarray:
        left_out = total - len(ids)
        if left_out <= _FEW_LEFT_OUT:
            statement = f"SELECT crop_id {self._of} ORDER BY data <#> ?::halfvec LIMIT ?"
            found = rows_by_driver(connection, statement, (probe, most + left_out))
        else:
            statement = f"SELECT crop_id {self._of} AND crop_id = ANY(?::bigint[]) ORDER BY data <#> ?::halfvec LIMIT ?"
            found = rows_by_driver(connection, statement, (_array(ids), probe, most))
        return _among(found, ids)[:most]

    def _by_index(
        self, connection: Connection, probe: str, ids: np.ndarray, total: int, most: int
    ) -> np.ndarray:
        wanted = round(_OVER * most * total / len(ids))
        connection.exec_driver_sql(
            "SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; "  # the planner would rather read all
            f"SET LOCAL hnsw.ef_search = {min(_EF_SEARCH, max(wanted, 40))}; "
            f"SET LOCAL hnsw.iterative_scan = {_ITERATIVE}; "
            f"SET LOCAL hnsw.max_scan_tuples = {_MOST_SCANNED}"
        )
        statement = f"SELECT crop_id {self._of} ORDER BY {self._indexed} <#> ?::halfvec LIMIT ?"
        found = _among(rows_by_driver(connection, statement, (probe, wanted)), ids)[:most]
        if len(found) < most:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on")
        return found

    # The index

    @property
    def index_name(self) -> str:
        """Of the index in the database."""
        return _index_name(self._encoder)

    @property
    def _of(self) -> str:
        # As literals: the planner must see that the index is of these rows.
        name, version = map(_literal, self._encoder)
        return f"FROM vectors WHERE encoder = {name} AND version = {version}"

    @property
    def _indexed(self) -> str:
        return f"(data::halfvec({self._dim}))"

    def has_index(self, connection: Connection) -> bool:
        """Whether it is there, and whole."""
        valid = f"SELECT indisvalid AND {_GOES_ON} FROM pg_index WHERE indexrelid = to_regclass(%s)"
        return bool(connection.exec_driver_sql(valid, (self.index_name,)).scalar())

    def is_indexed(self) -> bool:
        """Whether the index is there, and whole."""
        with self._database.reading() as connection:
            return self.has_index(connection)

    def make_index(self, progress: Progress) -> bool:
        """Make it, unless it is there; imports and searches go on meanwhile. -> whether it was made.

        One that a killed process began is made anew, and those of encoders that the gallery has no more go.
        progress: called with (done, all) vectors. Raises GalleryError.
        """
        if self.is_indexed():
            return False
        self._database.require_writable()
        with self._database.outside_transactions() as connection, _turn(connection):
            if not connection.exec_driver_sql(f"SELECT {_GOES_ON}").scalar_one():
                raise GalleryError(
                    f"an index for the search in {self._database.name} needs pgvector 0.8 or newer: update it on the "
                    "server, and `ALTER EXTENSION vector UPDATE`"
                )
            if self.has_index(connection):  # another process was first
                return False
            for name in _unneeded(connection):
                connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
            count = connection.exec_driver_sql(f"SELECT count(*) {self._of}").scalar_one()
            memory = min(_MEMORY, max(64 << 20, round(1.5 * count * (2 * self._dim + 300))))
            connection.exec_driver_sql(f"SET maintenance_work_mem = '{memory >> 10}kB'")
            try:
                with _reporting(self._database, count, progress):
                    connection.exec_driver_sql(
                        f"CREATE INDEX CONCURRENTLY {self.index_name} ON vectors USING hnsw "
                        f"({self._indexed} halfvec_ip_ops) WITH (ef_construction = {_EF_CONSTRUCTION}) "
                        f"WHERE{self._of.partition('WHERE')[2]}"
                    )
            finally:
                connection.exec_driver_sql("RESET maintenance_work_mem")
        return True


def _among(found: list[tuple], ids: np.ndarray) -> np.ndarray:
    """Those rows' ids that are among `ids`, in their order."""
    shown = np.array([crop_id for (crop_id,) in found], np.int64)
    places = np.searchsorted(ids, shown)
    return shown[(places < len(ids)) & (ids[np.minimum(places, len(ids) - 1)] == shown)]


def _array(ids: np.ndarray) -> str:
    """As PostgreSQL reads an array; the driver's own way takes a hundred times as long."""
    return "{" + ",".join(map(str, ids.tolist())) + "}"


def _literal(text: str) -> str:
    """Any text as a literal without quotes, percent and question marks."""
    plain = (c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in text)
    return f"E'{''.join(plain)}'"


def _index_name(encoder: EncoderId) -> str:
    return _PREFIX + hashlib.sha256("\0".join(encoder).encode()).hexdigest()[:12]


def _unneeded(connection: Connection) -> list[str]:
    """Names of indexes that are not whole, or of encoders that the gallery has no more."""
    in_use = [_index_name((name, version)) for name, version in connection.execute(_ENCODERS)]
    found = connection.exec_driver_sql(
        "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = 'vectors'::regclass AND starts_with(c.relname, %s)",
        (_PREFIX,),
    )
    return [name for name, is_whole in found if not is_whole or name not in in_use]


@contextmanager
def _turn(connection: Connection) -> Iterator[None]:
    """One process makes indexes at a time. Asked for again and again: who waited in a statement would be waited for."""
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_LOCK})").scalar_one():
        time.sleep(1)
    try:
        yield
    finally:
        connection.exec_driver_sql(f"SELECT pg_advisory_unlock({_LOCK})")


@contextmanager
def _reporting(database: PostgresDatabase, count: int, progress: Progress) -> Iterator[None]:
    """Tells how far the index that is being made is, once a second."""
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(1):
            with suppress(GalleryError), database.reading() as connection:
                done = connection.exec_driver_sql(_PROGRESS).scalar() or 0
                progress(min(done, count - 1), count)

    watcher = threading.Thread(target=look, daemon=True)
    progress(0, count)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
    progress(count, count)
