"""A gallery on PostgreSQL: what differs from a file. The tests of the gallery run on it as well; see conftest."""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import numpy as np
import psycopg
import pytest
import sqlalchemy as sa

from gallery_store.__main__ import main
from gallery_store.crops import Filters
from gallery_store.errors import GalleryError, GalleryLocked, GalleryReadOnly, NoGallery
from gallery_store.importer import import_crops
from gallery_store.index import pack
from gallery_store.migrations import LATEST
from gallery_store.schema import metadata, vectors
from gallery_store.store import GalleryStore
from gallery_store.verify import verify
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import PixelEncoder, all_crops, write_manifest, write_pictures
from tests.postgres_server import LOCKED_USER
from tests.test_gallery_kill import ROOT
from training.calibration.audit import judged_in
from training.calibration.searches import CalibrationError, records_of_gallery
from training.commands.calibrate import add_arguments

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.filterwarnings("ignore:Did not recognize type 'halfvec'"),
]
PASSWORD = "hunter2/§"


@pytest.fixture
def url(postgres, tmp_path):
    with postgres.database(tmp_path) as url:
        yield url


@pytest.fixture
def as_user(postgres, url):
    """The same gallery, by a user without rights, who has a password."""
    postgres.run(f"DROP ROLE IF EXISTS {LOCKED_USER}")
    postgres.run(f"CREATE ROLE {LOCKED_USER} LOGIN PASSWORD '{PASSWORD}'")
    yield changed(url, username=LOCKED_USER, password=PASSWORD)
    sql(url, f"DROP OWNED BY {LOCKED_USER}")
    postgres.run(f"DROP ROLE {LOCKED_USER}")


def changed(url: str, **parts) -> str:
    return sa.make_url(url).set(**parts).render_as_string(hide_password=False)


def sql(url: str, statement: str) -> None:
    """Run a statement on the gallery's database, as its administrator."""
    bare = sa.make_url(changed(url, drivername="postgresql")).difference_update_query(["pictures"])
    with psycopg.connect(bare.render_as_string(hide_password=False)) as connection:
        connection.execute(statement)


def imported(url: str, folder: Path, count: int = 4, **options) -> GalleryStore:
    store = GalleryStore.open(url)
    import_crops(
        store, PixelEncoder(), write_pictures(folder / "in", [f"{n}.png" for n in range(count)]), **options
    )
    return store


def test_tables_are_those_of_the_schema_and_vectors_are_halfvec(url):
    with GalleryStore.open(url) as store, store.database.reading() as connection:
        inspector = sa.inspect(connection)
        assert set(inspector.get_table_names()) - {"schema_migrations"} == set(metadata.tables)
        for name, table in metadata.tables.items():
            found = {column["name"]: column["nullable"] for column in inspector.get_columns(name)}
            assert found == {column.name: column.nullable for column in table.columns}
        kind = (
            "SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'vectors'::regclass"
        )
        assert connection.exec_driver_sql(f"{kind} AND attname = 'data'").scalar() == "halfvec"


def test_vectors_come_back_bit_for_bit_by_both_ways(url, tmp_path):
    rng = np.random.default_rng(2)
    wanted = rng.normal(size=(4, 301)).astype("<f2")
    wanted[0, :4] = [6e-8, -6e-8, 65504, -0.0]  # the smallest and the largest that float16 has
    with imported(url, tmp_path) as store:
        with store.database.writing() as connection:
            for crop_id, row in enumerate(wanted, 1):
                values = {"crop_id": crop_id, "encoder": "wide", "version": "1", "data": pack(row)}
                connection.execute(vectors.insert().values(**values))
        with store.database.reading() as connection:
            chosen = sa.select(vectors.c.data).where(vectors.c.encoder == "wide").order_by(vectors.c.crop_id)
            assert [row.data for row in connection.execute(chosen)] == [row.tobytes() for row in wanted]
            cursor = connection.connection.cursor(binary=True)
            cursor.execute("SELECT data FROM vectors WHERE encoder = 'wide' ORDER BY crop_id")
            assert [data for (data,) in cursor.fetchall()] == [row.tobytes() for row in wanted]


def test_scores_are_those_of_a_file(url, tmp_path):
    query = np.eye(3, 24, dtype=np.float32)
    with imported(url, tmp_path, 30) as ours, GalleryStore.open(tmp_path / "g.db") as theirs:
        import_crops(theirs, PixelEncoder(), tmp_path / "in")
        assert np.array_equal(ours.similarities(query), theirs.similarities(query))
        assert [crop.sha256 for crop in all_crops(ours)] == [crop.sha256 for crop in all_crops(theirs)]


def test_many_openings_at_once_make_the_tables_once(url):
    opened, faults = [], []

    def open_it() -> None:
        try:
            opened.append(GalleryStore.open(url))
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults and len({store.media for store in opened}) == 1
    with opened[0].database.reading() as connection:
        assert connection.exec_driver_sql(
            "SELECT number FROM schema_migrations ORDER BY 1"
        ).scalars().all() == list(range(1, LATEST + 1))
    for store in opened:
        store.close()


WRITER = """
import sys
from pathlib import Path
from gallery_store import importer
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder
importer.BATCH = 5
with GalleryStore.open(sys.argv[1]) as store:
    print(import_crops(store, PixelEncoder(), Path(sys.argv[2])).added)
"""


def test_processes_that_import_at_once_are_followed_without_a_gap(url, tmp_path):
    """The index reads the crops above the last id that it knows: none may become visible below it."""
    shared = [f"same{n}.png" for n in range(6)]  # in both folders: they are one crop each
    for n, name in enumerate("ab"):
        write_pictures(tmp_path / name, shared)
        write_pictures(tmp_path / name, [f"{name}{i:02}.png" for i in range(60)], first_seed=100 + 60 * n)
    with GalleryStore.open(url) as app:
        commands = [[sys.executable, "-c", WRITER, url, str(tmp_path / name)] for name in "ab"]
        running = [
            subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for command in commands
        ]
        changes = 0
        while any(process.poll() is None for process in running):
            changes += app.refresh()
        added = [int(process.communicate()[0]) for process in running]
        app.refresh()
        assert sum(added) == 126 == app.count() and changes > 1
        with app.database.reading() as connection:
            ids = connection.exec_driver_sql("SELECT id FROM crops ORDER BY id").scalars().all()
        assert app.matching(Filters()).tolist() == ids
        assert verify(app).ok


def test_another_writer_is_waited_for_and_named(url):
    with GalleryStore.open(url) as store, GalleryStore.open(url, busy_seconds=0.2) as other:
        with store.database.writing():
            assert other.count() == 0  # readers go on beside a writer
            with pytest.raises(GalleryLocked, match="being written by another program: wait"):
                other.record_search(user="a", reason="", query={}, shown=[], seconds=0)
        assert other.record_search(user="a", reason="", query={}, shown=[], seconds=0) >= 1


@contextmanager
def beside_its_copy(postgres, url: str, pictures: Path) -> Iterator[tuple[GalleryStore, GalleryStore]]:
    """A gallery of four crops, and the copy of its database that is opened first: what one deletes the other keeps."""
    name = sa.make_url(url).database
    postgres.run(f"CREATE DATABASE {name}_copy TEMPLATE {name}")
    try:
        with (
            GalleryStore.open(postgres.url(f"{name}_copy", pictures)) as copy,
            GalleryStore.open(url) as store,
        ):
            yield store, copy
            assert verify(copy).ok and copy.delete([1, 2]) == 2 and store.delete([3]) == 1
            assert verify(store).ok and verify(copy).ok
            assert (store.count(), len(list(store.pictures.names()))) == (3, 3)
            assert (copy.count(), len(list(copy.pictures.names()))) == (2, 2)
    finally:
        postgres.run(f"DROP DATABASE {name}_copy WITH (FORCE)")


def test_a_copy_of_the_database_takes_pictures_of_its_own(postgres, url, tmp_path):
    with imported(url, tmp_path) as store:
        media = store.media
    with beside_its_copy(postgres, url, tmp_path) as (store, copy):
        assert store.media == media != copy.media


def test_the_folder_of_pictures_is_kept_from_creation(postgres, url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bare = sa.make_url(url).difference_update_query(["pictures"]).render_as_string(hide_password=False)
    with GalleryStore.open(bare) as store:
        media = store.media
        assert media.parent == tmp_path / "data"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with GalleryStore.open(bare) as store:
        assert store.media == media
    (tmp_path / "data").rename(tmp_path / "mounted")  # as on another machine
    with GalleryStore.open(postgres.url(sa.make_url(url).database, tmp_path / "mounted")) as store:
        assert store.media == tmp_path / "mounted" / media.name


@contextmanager
def looked_at(as_user: str, url: str, pictures: Path) -> Iterator[GalleryStore]:
    """The gallery as who may only read it has it: shown, checked, and not changed."""
    sql(url, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {LOCKED_USER}")
    with GalleryStore.open(as_user) as store:
        assert store.read_only and store.thumbnail(1).is_file() and verify(store).ok
        assert pictures not in (store.cache.parent, store.thumbs.parent)
        with pytest.raises(GalleryReadOnly, match="can be looked at and not changed"):
            store.delete([1])
        yield store


def test_who_may_only_read_looks_at_the_gallery(as_user, url, tmp_path):
    imported(url, tmp_path).close()
    with looked_at(as_user, url, tmp_path) as store:
        assert len(store.matching(Filters())) == 4
        store.keep_audit_in(tmp_path / "audit.db")
        store.record_search(user="a", reason="r", query={}, shown=[1], seconds=0)
        assert store.searches()[0].query["gallery"] == store.location
        assert LOCKED_USER in store.location and PASSWORD not in store.location


def test_a_folder_of_pictures_that_cannot_be_written_is_looked_at(url, tmp_path, monkeypatch):
    imported(url, tmp_path).close()
    may = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path and may(path, mode))
    with GalleryStore.open(url) as store:
        assert store.read_only and store.thumbnail(1).is_file() and verify(store).ok
        with pytest.raises(GalleryReadOnly, match="with a folder of pictures that can be written"):
            import_crops(store, PixelEncoder(), tmp_path / "in")


def test_the_command_line_works_by_url_and_never_tells_the_password(
    as_user, url, tmp_path, monkeypatch, capfd, caplog
):
    caplog.set_level(logging.DEBUG)
    sql(url, f"CREATE EXTENSION vector; GRANT ALL ON SCHEMA public TO {LOCKED_USER}")
    one, two = make_clip_folder(tmp_path / "one"), make_clip_folder(tmp_path / "two", seed=1)
    source = write_pictures(tmp_path / "in", ["0001_c1s1_000001_00.jpg", "0002_c3s1_000100_01.jpg"])
    monkeypatch.setenv("CHATREID_CLIP", str(one))
    said = ""

    def run(*arguments: object, status: int = 0) -> str:
        nonlocal said
        assert main([str(argument) for argument in arguments]) == status
        out, err = capfd.readouterr()
        said += out + err
        return out

    named = ("--gallery", as_user, "--json")
    run("verify", *named, status=2)
    assert "there is no gallery" in said
    assert json.loads(run("import", source, *named, "--zone", "Europe/Paris"))["added"] == 2
    stats = json.loads(run("stats", *named))
    assert (stats["crops"], stats["cameras"], stats["zone"]) == (2, {"1": 1, "3": 1}, "Europe/Paris")
    assert json.loads(run("verify", *named)) == {"ok": True, "crops": 2, "problems": [], "collected": 0}
    run("import", source, *named, "--clip", two, status=2)
    assert json.loads(run("reindex", *named, "--clip", two))["switched"] is True
    run("export", "--to", tmp_path / "out", *named)
    assert json.loads(run("delete", "--camera", "3", "--yes", *named)) == {"deleted": 1}
    run("delete", "--camera", "9", "--yes", *named, status=3)
    monkeypatch.setenv("CHATREID_GALLERY", as_user)
    with pytest.raises(SystemExit):
        main(["stats", "--help"])
    said += capfd.readouterr().out + caplog.text
    assert "***" in said and LOCKED_USER in said and PASSWORD not in said and quote(PASSWORD, "") not in said
    with GalleryStore.open(as_user) as store, store.database.reading() as connection:
        kept = [str(connection.execute(sa.select(table)).all()) for table in metadata.tables.values()]
        assert "hunter2" not in "".join(kept)


def told(url: str, **options) -> str:
    """What opening says, in one sentence, without the password."""
    with pytest.raises(GalleryError) as refused:
        GalleryStore.open(url, **options)
    said = str(refused.value)
    assert "hunter2" not in said and "\n" not in said
    return said


def test_each_failure_is_a_sentence_with_its_mend_and_never_a_password(as_user, url, monkeypatch):
    gone = sa.make_url(as_user).difference_update_query(["host"]).set(host="127.0.0.1", port=1)
    assert "cannot be reached (Connection refused)" in told(gone.render_as_string(hide_password=False))
    assert "createdb no_such" in told(changed(as_user, database="no_such"))
    sql(url, f"REVOKE CONNECT ON DATABASE {sa.make_url(url).database} FROM PUBLIC")
    assert f"cannot be used by the user {LOCKED_USER}" in told(as_user)
    sql(url, f"GRANT CONNECT ON DATABASE {sa.make_url(url).database} TO PUBLIC")
    assert 'role "nobody" does not exist' in told(changed(url, username="nobody"))
    wrong = told(changed(as_user, password="hunter2/wrong"))
    assert f"does not let the user {LOCKED_USER} in: check the name and the password" in wrong
    assert "is not a database URL" in told(f"postgresql+psycopg://u:{PASSWORD}@h:port/x")
    with pytest.raises(NoGallery, match=r"there is no gallery postgresql.*import PATH --gallery postgresql"):
        GalleryStore.open(url, must_exist=True)
    # Before there are tables: the extension, then the right to make them.
    assert "needs pgvector, and its user may not create it" in told(as_user)
    for statement, said in (
        ("CREATE EXTENSION no_such_extension", "needs pgvector, which its server lacks: install"),
        ("CREATE EXTENSION plpgsql", "needs pgvector 0.7 or newer"),
    ):
        with monkeypatch.context() as patched:
            patched.setattr("gallery_store.postgres._EXTENSION", statement)
            assert said in told(url)
    sql(url, "CREATE EXTENSION vector")
    assert f"OWNER TO {LOCKED_USER}" in told(as_user)
    sql(url, "CREATE TABLE recipes (name text)")
    assert "is a database of another program" in told(url)


def test_what_postgres_cannot_keep_is_one_rejected_picture(url, tmp_path):
    folder = write_pictures(tmp_path / "in", ["a.png", "b.png"])
    write_manifest(folder / "list.csv", "path,person,tags", "a.png,P\0,tall", "b.png,P2,red")
    with GalleryStore.open(url) as store:
        report = import_crops(store, PixelEncoder(), folder / "list.csv")
        assert report.added == 1 and [refused.path for refused in report.rejected] == ["a.png"]
        assert "NUL" in report.rejected[0].reason


def test_calibration_takes_a_url(as_user, url, tmp_path):
    sql(url, f"CREATE EXTENSION vector; GRANT ALL ON SCHEMA public TO {LOCKED_USER}")
    imported(as_user, tmp_path).close()
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    chosen = parser.parse_args(["--model", "m", "--clip", "c", "--gallery", as_user, "--from-audit", as_user])
    for read, said in ((records_of_gallery, "says whom it shows"), (judged_in, "was confirmed or rejected")):
        with pytest.raises(CalibrationError, match=said) as refused:
            read(chosen.gallery)
        assert LOCKED_USER in str(refused.value) and "hunter2" not in str(refused.value)
    named = write_pictures(tmp_path / "named", ["0001_c1s1_000001_00.jpg", "0001_c2s1_000001_00.jpg"], 70)
    with GalleryStore.open(chosen.from_audit) as store:
        import_crops(store, PixelEncoder(), named)
    assert {record.person for record in records_of_gallery(chosen.gallery)} == {"0001"}


def test_a_server_that_was_away_is_used_again(postgres, url, tmp_path):
    with imported(url, tmp_path) as store:
        name = sa.make_url(url).database
        postgres.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert store.count() == 4 and store.delete([1]) == 1
        store.refresh()
        assert store.matching(Filters()).tolist() == [2, 3, 4]
