"""reindex switches to another encoder all at once or not at all, and loses no crop."""

from __future__ import annotations

import numpy as np
import pytest

from gallery_store import reindex as reindexing
from gallery_store.crops import Filters
from gallery_store.importer import import_crops
from gallery_store.reindex import reindex
from gallery_store.store import EncoderMismatch, GalleryError, GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, picture, run_sql, write_pictures


@pytest.fixture
def store(tmp_path, gallery):
    with GalleryStore.open(gallery) as store:
        import_crops(store, PixelEncoder(), write_pictures(tmp_path / "in", [f"{n}.png" for n in range(5)]))
        assert verify(store).ok
        yield store


def test_reindex_switches_at_once_and_others_notice(store, gallery):
    new = PixelEncoder("new", "2", dim=10, seed=4)
    with GalleryStore.open(gallery) as app:
        app.require_encoder("pixels", "1")
        ids = app.matching(Filters())
        seen: list[tuple[int, int]] = []
        done = reindex(store, new, progress=lambda *at: seen.append(at))
        assert (done.encoded, done.switched, seen) == (5, True, [(5, 5)])
        assert store.encoder() == ("new", "2") and verify(store).ok
        crops = store.crops(ids.tolist())
        expected = new.encode_images([picture(int(crop.path[0])) for crop in crops])
        assert np.abs(store.vectors(ids) - expected).max() < 1e-3
        with pytest.raises(EncoderMismatch, match="reindex"):
            store.require_encoder("pixels", "1")
        assert app.refresh() is True  # and its old query vectors are refused, not compared
        with pytest.raises(EncoderMismatch, match=r"new \(2\), not by pixels \(1\)"):
            app.similarities(np.ones((1, 24), np.float32))
        app.require_encoder("new", "2")
        assert app.similarities(np.ones((1, 10), np.float32)).shape == (1, 5)
    assert reindex(store, new).encoded == 0


def test_half_a_reindex_changes_nothing_yet_and_is_taken_up(store, tmp_path, monkeypatch):
    monkeypatch.setattr(reindexing, "BATCH", 2)
    new = PixelEncoder("new", "2", seed=4)
    assert reindex(store, new, stop=lambda: True) == reindexing.Reindexed(2, False)
    assert store.encoder() == ("pixels", "1") and verify(store).ok
    with pytest.raises(EncoderMismatch):
        import_crops(store, new, tmp_path / "in")
    import_crops(store, PixelEncoder(), write_pictures(tmp_path / "more", ["x.png"], first_seed=40))
    assert len(store.matching(Filters())) == 6
    assert reindex(store, new) == reindexing.Reindexed(4, True)
    assert verify(store).ok
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM vectors").scalar() == 6


def test_a_crop_imported_at_the_last_moment_is_not_left_without_a_vector(store, tmp_path, monkeypatch):
    missing = reindexing._missing
    more = [write_pictures(tmp_path / "more", ["x.png"], first_seed=40)]

    def missing_then_import(*arguments):
        found = missing(*arguments)
        if not found and more:
            import_crops(store, PixelEncoder(), more.pop())
        return found

    monkeypatch.setattr(reindexing, "_missing", missing_then_import)
    assert reindex(store, PixelEncoder("new", "2", seed=4)) == reindexing.Reindexed(6, True)
    assert verify(store).ok and store.count() == 6


def test_reindex_with_a_lost_picture_keeps_the_old_encoder(store):
    store.crops([3])[0].file.unlink()
    with pytest.raises(GalleryError, match=r"crop 3 \(2\.png\).*does not exist.*delete --id 3"):
        reindex(store, PixelEncoder("new", "2", seed=4))
    assert store.encoder() == ("pixels", "1") and len(store.vectors([1, 2, 3, 4, 5])) == 5


def test_reindex_with_the_same_encoder_mends_missing_vectors(store):
    before = store.vectors([2])
    run_sql(store, "DELETE FROM vectors WHERE crop_id = 2")
    assert reindex(store, PixelEncoder()) == reindexing.Reindexed(1, False)
    assert verify(store).ok and np.array_equal(store.vectors([2]), before)


def test_reindex_of_an_empty_gallery_does_nothing(tmp_path):
    with GalleryStore.open(tmp_path / "e.db") as store:
        assert reindex(store, PixelEncoder()) == reindexing.Reindexed(0, False)
        assert store.encoder() is None
