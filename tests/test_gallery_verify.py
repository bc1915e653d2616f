"""verify finds each kind of disagreement, and tidies what kills leave."""

from __future__ import annotations

from pathlib import Path

import pytest

from gallery_store.crops import Filters
from gallery_store.importer import import_crops
from gallery_store.store import GalleryError, GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, picture, run_sql, write_pictures


@pytest.fixture
def store(tmp_path, gallery):
    with of_five(gallery, tmp_path) as store:
        yield store


@pytest.fixture
def in_file(tmp_path):
    with of_five(tmp_path / "g.db", tmp_path) as store:
        yield store


def of_five(gallery: str | Path, folder: Path) -> GalleryStore:
    store = GalleryStore.open(gallery)
    import_crops(store, PixelEncoder(), write_pictures(folder / "in", [f"{n}.png" for n in range(5)]))
    assert verify(store).ok
    return store


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DELETE FROM vectors WHERE crop_id = 2", "it has no vector"),
        ("UPDATE vectors SET data = zeroblob(48) WHERE crop_id = 2", "not of length 1"),
        ("UPDATE vectors SET data = x'003c' WHERE crop_id = 2", "different lengths: [1, 24]"),
        ("UPDATE vectors SET version = 'old' WHERE crop_id = 2", "it has no vector"),
    ],
)
def test_damaged_vectors_are_found(store, damage, problem):
    check_damage(store, damage, problem)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("UPDATE vectors SET data = x'00' WHERE crop_id = 2", "its vector is cut off"),
        (
            "UPDATE vectors SET data = CAST(x'007e' || substr(data, 3) AS BLOB) WHERE crop_id = 2",
            "not of length 1",
        ),
    ],
)
def test_damage_that_a_blob_can_have_is_found(in_file, damage, problem):
    check_damage(in_file, damage, problem)


def check_damage(store: GalleryStore, damage: str, problem: str) -> None:
    run_sql(store, damage)
    found = verify(store)
    assert not found.ok and found.crops == 5 and len(found.problems) == 1
    assert problem in found.problems[0]


def test_vectors_that_differ_in_length_cannot_be_searched(store):
    run_sql(store, "UPDATE vectors SET data = x'003c' WHERE crop_id = 2")
    with pytest.raises(GalleryError, match="verify"):
        store.matching(Filters())


def test_orphans_are_found(in_file):
    with in_file.database.reading() as connection:
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        connection.exec_driver_sql("INSERT INTO tags VALUES (99, 'x', 0)")
        connection.exec_driver_sql("PRAGMA foreign_keys = ON")
        connection.exec_driver_sql("BEGIN")
    assert verify(in_file).problems == ("row 1 of table tags belongs to nothing in crops",)


def test_lost_and_changed_pictures_are_found(store):
    lost, changed = (crop.file for crop in store.crops([2, 4]))
    lost.unlink()
    picture(77).save(changed)
    first, second = verify(store).problems
    assert first.startswith("crop 2 (1.png)") and first.endswith("does not exist")
    assert second.startswith("crop 4 (3.png)") and second.endswith("has changed")
    assert len(verify(store, quick=True).problems) == 1


def test_leftovers_are_removed_and_nothing_else(store):
    thumb = store.thumbnail(1)
    before = set(store.pictures.names())
    store.pictures.put("ab/" + "ab" * 32 + ".jpg", b"stray")
    store.thumbnails.put("cd/" + "cd" * 32 + ".jpg", b"stray")
    assert verify(store).collected == 2
    assert set(store.pictures.names()) == before and thumb.is_file()
    assert list(store.thumbnails.names()) == [f"{thumb.parent.name}/{thumb.name}"]
