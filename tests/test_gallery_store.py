"""The store as colleagues use it: opening, following other processes, crops, thumbnails, audit, deletion."""

from __future__ import annotations

import re
import sqlite3
import threading
from datetime import UTC, datetime

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from gallery_store.crops import Filters
from gallery_store.importer import import_crops
from gallery_store.migrations import LATEST
from gallery_store.schema import metadata
from gallery_store.store import EncoderMismatch, GalleryError, GalleryLocked, GalleryStore, GalleryTooNew
from tests.gallery_tools import PixelEncoder, picture, write_pictures

NAMES = ["0001_c1s1_000001_00.jpg", "0001_c2s1_000044_00.jpg", "0002_c1s1_000100_01.png"]


@pytest.fixture
def store(tmp_path, gallery):
    with GalleryStore.open(gallery) as store:
        import_crops(store, PixelEncoder(), write_pictures(tmp_path / "in", NAMES))
        yield store


def test_opening_makes_the_tables_of_today(tmp_path):
    with GalleryStore.open(tmp_path / "new" / "g.db") as store, store.database.reading() as connection:
        inspector = sa.inspect(connection)
        assert set(inspector.get_table_names()) - {"schema_migrations", "sqlite_sequence"} == set(
            metadata.tables
        )
        for name, table in metadata.tables.items():
            found = {c["name"]: (str(c["type"]), c["nullable"]) for c in inspector.get_columns(name)}
            wanted = {c.name: (c.type.compile(connection.dialect), c.nullable) for c in table.columns}
            assert found == wanted
        pragmas = {
            p: connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "foreign_keys")
        }
        assert pragmas == {"journal_mode": "wal", "foreign_keys": 1}
        assert re.fullmatch(r"g\.[0-9a-f]{8}\.media", store.media.name)
        assert store.media.parent == store.thumbs.parent == tmp_path / "new"
    for _ in range(2):
        with GalleryStore.open(f"sqlite:///{tmp_path}/new/g.db") as store:
            assert store.location == str(tmp_path / "new" / "g.db") and store.count() == 0


def test_the_zone_is_kept_from_creation(tmp_path):
    with GalleryStore.open(tmp_path / "g.db", zone="Europe/Paris") as store:
        assert store.zone.key == "Europe/Paris"
    with GalleryStore.open(tmp_path / "g.db") as store:
        assert store.zone.key == "Europe/Paris"
    with pytest.raises(GalleryError, match=r"Europe/Paris, not Asia/Tokyo"):
        GalleryStore.open(tmp_path / "g.db", zone="Asia/Tokyo")
    for wrong in ("Mars/Base", "../etc", ""):
        with pytest.raises(GalleryError, match="not a time zone"):
            GalleryStore.open(tmp_path / "other.db", zone=wrong)
    with GalleryStore.open(tmp_path / "utc.db") as store:
        assert store.zone.key == "UTC"


def test_what_is_not_a_gallery_is_refused(tmp_path):
    (tmp_path / "text.db").write_text("hello " * 1000)
    with sqlite3.connect(tmp_path / "foreign.db") as foreign:
        foreign.execute("CREATE TABLE recipes (name TEXT)")
    foreign.close()
    for location, reason in [
        (tmp_path, "folder"),
        ("", "empty"),
        ("sqlite://", "memory"),
        ("mysql://host/db", "mysql are not supported"),
        (tmp_path / "text.db", "not a readable SQLite file"),
        (tmp_path / "foreign.db", "another program"),
        (tmp_path / "text.db" / "g.db", "cannot be made"),
    ]:
        with pytest.raises(GalleryError, match=reason):
            GalleryStore.open(location)


def test_a_newer_gallery_is_refused_and_left_alone(store, gallery):
    with store.database.writing() as connection:
        connection.exec_driver_sql(f"INSERT INTO schema_migrations VALUES ({LATEST + 1}, 'future', '')")
    with pytest.raises(GalleryTooNew, match=f"schema {LATEST + 1}.*knows {LATEST}: update ChatReID"):
        GalleryStore.open(gallery)


def test_a_locked_gallery_says_so(tmp_path):
    file = tmp_path / "g.db"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("CREATE TABLE x (y)")
    other.execute("DROP TABLE x")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(GalleryLocked, match=r"g\.db is locked by another program"):
        GalleryStore.open(file, busy_seconds=0.1)
    other.execute("ROLLBACK")
    with GalleryStore.open(file, busy_seconds=0.1) as store:
        other.execute("BEGIN IMMEDIATE")
        assert store.count() == 0  # readers go on beside a writer
        with pytest.raises(GalleryLocked, match="wait and try again"):
            store.record_search(user="a", reason="", query={}, shown=[], seconds=0)
        other.execute("ROLLBACK")
        assert store.record_search(user="a", reason="", query={}, shown=[], seconds=0) == 1
    other.close()


def test_crops_come_in_the_order_asked_with_all_that_is_known(store):
    by_path = store.ids_by_path([*NAMES, "nowhere.jpg"])
    assert set(by_path) == set(NAMES)
    ids = [by_path[name][0] for name in NAMES]
    third, first, again = store.crops([ids[2], ids[0], ids[2]])
    assert third == again and (third.path, first.path) == (NAMES[2], NAMES[0])
    assert (first.person, first.camera, first.frame, first.time, first.tags) == ("0001", "1", 1, None, ())
    assert (first.width, first.height) == (32, 64) and first.file.is_file()
    assert first.file.parent.parent == store.media and first.file.name == f"{first.sha256}.jpg"
    assert third.file.suffix == ".png"
    with pytest.raises(KeyError, match="crop 99"):
        store.crops([ids[0], 99])
    assert store.crops([]) == []


def test_more_crops_than_sqlite_takes_parameters(store):
    ids = [1, 2, 3] * 20_000
    assert [crop.id for crop in store.crops(ids)] == ids
    assert store.ids_by_path([f"{n}.jpg" for n in range(40_000)]) == {}


def test_another_process_is_followed_by_refresh(store, tmp_path, gallery):
    with GalleryStore.open(gallery) as other:
        assert len(other.matching(Filters())) == 3 and other.refresh() is False
        import_crops(store, PixelEncoder(), write_pictures(tmp_path / "more", ["a.jpg"], first_seed=50))
        assert len(store.matching(Filters())) == 4  # its own import is seen at once
        assert len(other.matching(Filters())) == 3
        assert other.refresh() is True and other.refresh() is False
        assert len(other.matching(Filters())) == 4
        assert np.array_equal(other.vectors([4]), store.vectors([4]))
        store.delete([1])
        assert other.refresh() is True and other.matching(Filters()).tolist() == [2, 3, 4]
        store.delete([4])  # the last one, and another takes its place in number but not in id
        import_crops(store, PixelEncoder(), write_pictures(tmp_path / "last", ["b.jpg"], first_seed=60))
        assert other.refresh() is True and other.matching(Filters()).tolist() == [2, 3, 5]
        assert store.refresh() is True and store.refresh() is False


def test_thumbnails_are_small_and_made_once(tmp_path, gallery):
    (tmp_path / "in").mkdir()
    picture(1, 600, 1500).save(tmp_path / "in" / "big.png")
    with GalleryStore.open(gallery) as store:
        import_crops(store, PixelEncoder(), tmp_path / "in")
        file = store.thumbnail(1)
        with Image.open(file) as image:
            assert image.format == "JPEG" and image.size == (154, 384)
        assert file.is_relative_to(store.thumbs) and store.thumbs.parent == tmp_path
        made = file.stat().st_mtime_ns
        assert store.thumbnail(1) == file and file.stat().st_mtime_ns == made
        file.unlink()
        store.crops([1])[0].file.unlink()
        with pytest.raises(GalleryError, match=r"crop 1 \(big\.png\).*does not exist"):
            store.thumbnail(1)
        with pytest.raises(KeyError):
            store.thumbnail(2)


def test_the_audit_keeps_what_was_searched(store):
    before = datetime.now(UTC)
    first = store.record_search(
        user="Ana",
        reason="case 7",
        query={"wanted": ["Rote Jacke", "ü"]},
        shown=[3, np.int64(1)],
        seconds=0.5,
    )
    second = store.record_search(user="Ben", reason="", query={}, shown=(), seconds=1, case="c-7")
    newest, oldest = store.searches()
    assert (newest.id, newest.case, newest.user, newest.shown) == (second, "c-7", "Ben", ())
    assert (oldest.id, oldest.user, oldest.reason, oldest.shown, oldest.seconds, oldest.case) == (
        first, "Ana", "case 7", (3, 1), 0.5, None
    )  # fmt: skip
    assert oldest.query == {"wanted": ["Rote Jacke", "ü"]}
    assert before <= oldest.time <= newest.time <= datetime.now(UTC)
    assert [record.id for record in store.searches(limit=1)] == [second]
    store.delete([1, 3])
    assert store.searches()[1].shown == (3, 1)


def test_the_audit_takes_words_that_no_database_does(store):
    store.record_search(
        user="Ana", reason="case\0 7\ud800", query={"text": "red\udfff \0"}, shown=(), seconds=0
    )
    (kept,) = store.searches()
    assert (kept.reason, kept.query) == ("case  7?", {"text": "red? \0"})


def test_deletion_takes_everything_and_ids_never_come_back(store, tmp_path):
    crop, thumb = store.crops([3])[0], store.thumbnail(3)
    assert store.delete([3, 3, 77]) == 1
    assert not crop.file.exists() and not thumb.exists()
    assert store.matching(Filters()).tolist() == [1, 2] and store.count() == 2
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT crop_id FROM vectors ORDER BY 1").scalars().all() == [1, 2]
    report = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert (report.added, report.unchanged) == (1, 2)
    assert store.matching(Filters()).tolist() == [1, 2, 4]


def test_a_picture_goes_with_its_last_crop_only(store, tmp_path):
    import_crops(store, PixelEncoder(), tmp_path / "in" / NAMES[0], camera="9")
    first, again = store.crops([1, 4])
    assert first.sha256 == again.sha256 and first.file == again.file and again.camera == "9"
    store.delete([1])
    assert again.file.is_file()
    store.delete([4])
    assert not again.file.exists()


def test_an_empty_gallery_takes_any_encoder(store, tmp_path):
    store.require_encoder("pixels", "1")
    with pytest.raises(
        EncoderMismatch, match=r"indexed by pixels \(1\), not by other \(2\).*reindex --gallery"
    ):
        store.require_encoder("other", "2")
    with pytest.raises(EncoderMismatch):
        import_crops(store, PixelEncoder("other", "2"), tmp_path / "in")
    store.delete([1, 2, 3])
    assert store.encoder() is None
    import_crops(store, PixelEncoder("other", "2", dim=7), tmp_path / "in")
    with pytest.raises(EncoderMismatch, match=r"not by pixels"):  # what it was asked to answer for
        store.vectors([4])
    store.require_encoder("other", "2")
    assert store.encoder() == ("other", "2") and store.vectors(store.matching(Filters())).shape == (3, 7)


def test_threads_may_ask_while_others_write(store, tmp_path):
    source = write_pictures(tmp_path / "more", [f"{n}.jpg" for n in range(150)], first_seed=100)
    faults: list[BaseException] = []
    done = threading.Event()
    query = store.vectors([1])

    def ask() -> None:
        seen = 0
        try:
            while not done.is_set():
                store.refresh()
                ids = store.matching(Filters())
                assert len(ids) >= seen
                seen = len(ids)
                assert store.similarities(query, ids)[0, 0] == pytest.approx(1, abs=1e-5)
                store.thumbnail(int(ids[-1]))
                store.record_search(user="t", reason="", query={}, shown=ids[:2], seconds=0)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    import_crops(store, PixelEncoder(), source)
    done.set()
    for thread in threads:
        thread.join()
    assert not faults and store.count() == 153
