"""What is exported: pictures that import again as they were, and vectors that other programs read."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow.parquet as pq
import pytest

from gallery_store import export
from gallery_store.crops import Filters
from gallery_store.errors import GalleryError
from gallery_store.export import export_pictures, export_vectors
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder, all_crops, write_manifest, write_pictures


def silent(done: int, total: int) -> None:
    assert 0 <= done <= total


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "AT_ONCE", 2)  # the last part is smaller
    folder = write_pictures(tmp_path / "in", ["0002_c1s1_000451_03.jpg", "-1_c2s1_000002_00.jpg", "c,ö.png"])
    write_pictures(tmp_path / "more", ["a.jpg"], first_seed=9)
    manifest = write_manifest(
        tmp_path / "more" / "list.csv",
        "path,camera,time,person,clothes,tags",
        'a.jpg,"front, door",2025-07-01T14:05:06,17,17-b,night;Tall',
    )
    with GalleryStore.open(tmp_path / "gallery.db", zone="Europe/Paris") as made:
        for source in (folder, manifest):
            import_crops(made, PixelEncoder(), source)
        yield made


def facts(store):
    return [
        (
            crop.sha256,
            crop.camera,
            crop.time,
            crop.person,
            crop.clothes,
            set(crop.tags),
            crop.width,
            crop.height,
        )
        for crop in all_crops(store)
    ]


def test_pictures_import_again_as_they_were(store, tmp_path):
    out = tmp_path / "out"
    assert export_pictures(store, out, silent) == export.Exported(4)
    assert (out / "manifest.csv").read_text("utf-8").splitlines()[0].startswith("path,camera,time,person")
    with GalleryStore.open(tmp_path / "again.db", zone="Asia/Tokyo") as again:
        report = import_crops(again, PixelEncoder(), out)
        assert (report.added, report.rejected) == (4, ())
        assert facts(again) == facts(store)
        assert facts(again)[-1][2] == datetime(2025, 7, 1, 12, 5, 6, tzinfo=UTC)
        for before, after in zip(all_crops(store), all_crops(again), strict=True):
            assert before.file.read_bytes() == after.file.read_bytes()
            vectors = store.vectors([before.id]), again.vectors([after.id])
            np.testing.assert_array_equal(*vectors)


def test_a_folder_that_is_there_is_left_alone(store, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(GalleryError, match="name a new folder"):
        export_pictures(store, tmp_path / "out", silent)
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_an_export_that_fails_leaves_nothing(store, tmp_path, monkeypatch):
    copies = []

    def full(source, target):
        copies.append(target)
        if len(copies) == 3:
            raise OSError(28, "No space left on device", str(target))
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr(export.shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space"):
        export_pictures(store, tmp_path / "out", silent)
    assert len(copies) == 3 and not (tmp_path / "out").exists() and not list(tmp_path.glob(".out*"))


def test_lost_pictures_are_named(store, tmp_path):
    lost = all_crops(store)[1]
    lost.file.unlink()
    assert export_pictures(store, tmp_path / "out", silent) == export.Exported(3, (lost.id,))
    assert f"pictures/{lost.id}." not in (tmp_path / "out" / "manifest.csv").read_text("utf-8")


def test_a_linked_file_that_was_changed_is_not_exported_in_place_of_what_was_imported(tmp_path):
    folder = write_pictures(tmp_path / "in", ["a.png", "b.png"])
    with GalleryStore.open(tmp_path / "linked.db") as store:
        import_crops(store, PixelEncoder(), folder, link=True)
        changed, same = all_crops(store)
        changed.file.write_bytes(b"somebody else")
        assert export_pictures(store, tmp_path / "out", silent) == export.Exported(1, (changed.id,))
        assert [file.name for file in (tmp_path / "out" / "pictures").iterdir()] == [f"{same.id}.png"]


def test_vectors_are_the_gallerys_own(store, tmp_path):
    assert export_vectors(store, tmp_path / "v.parquet", silent) == export.Exported(4)
    table = pq.read_table(tmp_path / "v.parquet")
    crops = all_crops(store)
    assert table["id"].to_pylist() == [crop.id for crop in crops]
    assert table["camera"].to_pylist() == [crop.camera for crop in crops]
    assert table["time"].to_pylist()[-1] == crops[-1].time and table["time"].to_pylist()[0] is None
    vectors = np.array(table["vector"].to_pylist(), np.float32)
    np.testing.assert_array_equal(vectors, store.vectors(store.matching(Filters())))
    assert table.schema.metadata[b"encoder"] == b"pixels@1" and "reid_vector" not in table.column_names


def test_the_reid_encoders_vectors_stand_beside(tmp_path):
    reid = PixelEncoder("reid", "7", dim=8, seed=4)
    folder = write_pictures(tmp_path / "in", ["a.jpg", "b.jpg"])
    with GalleryStore.open(tmp_path / "gallery.db") as made:
        import_crops(made, PixelEncoder(), folder, reid=reid)
    with GalleryStore.open(tmp_path / "gallery.db") as made:
        export_vectors(made, tmp_path / "v.parquet", silent)
        table = pq.read_table(tmp_path / "v.parquet")
        vectors = np.array(table["reid_vector"].to_pylist(), np.float32)
        np.testing.assert_array_equal(vectors, made.vectors([1, 2], "reid"))
        assert vectors.shape == (2, 8) and table.schema.metadata[b"reid_encoder"] == b"reid@7"


def test_an_empty_gallery_has_no_vectors(tmp_path):
    with GalleryStore.open(tmp_path / "gallery.db") as made:
        with pytest.raises(GalleryError, match="import crops first"):
            export_vectors(made, tmp_path / "v.parquet", silent)
        assert export_pictures(made, tmp_path / "out", silent) == export.Exported(0)
