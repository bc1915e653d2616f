"""reindex switches to another encoder all at once or not at all, and loses no crop."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest

from gallery_store import reindex as reindexing
from gallery_store.crops import Filters
from gallery_store.importer import import_crops
from gallery_store.reindex import reindex
from gallery_store.store import EncoderMismatch, GalleryError, GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, picture, run_sql, write_pictures
from tests.test_gallery_index import add


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
    switch = reindexing._switch
    more = [write_pictures(tmp_path / "more", ["x.png"], first_seed=40)]

    def import_then_switch(*arguments):
        if more:
            import_crops(store, PixelEncoder(), more.pop())
        return switch(*arguments)

    monkeypatch.setattr(reindexing, "_switch", import_then_switch)
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


@pytest.fixture(params=["clip", "reid"])
def damageable(request, store):
    """(the encoder, its role), and vectors of five crops by it."""
    role = request.param
    encoder = PixelEncoder() if role == "clip" else PixelEncoder("reid", "9", seed=5)
    if role == "reid":
        reindex(store, encoder, role=role)
    return encoder, role


def test_a_damaged_vector_whose_picture_is_gone_costs_one_crop_before_and_after(store, gallery, damageable):
    encoder, role = damageable
    run_sql(store, f"UPDATE vectors SET data = zeroblob(48) WHERE crop_id = 2 AND encoder = '{encoder.name}'")
    file = store.crops([2])[0].file
    data = file.read_bytes()
    file.unlink()
    with pytest.raises(GalleryError, match=r"crop 2 \(1\.png\) cannot be encoded anew"):
        reindex(store, encoder, role=role)
    with GalleryStore.open(gallery) as app:
        app.require_encoder(encoder.name, encoder.version, role)
        assert app.set_aside() == (2,) and app.matching(Filters()).tolist() == [1, 3, 4, 5]
        assert app.vectors([1, 3], role).shape == (2, 24)
        file.write_bytes(data)
        # Stopped before the switch: the app takes in what was written all the same.
        assert reindex(store, encoder, role=role, stop=lambda: True) == reindexing.Reindexed(1, False)
        assert app.refresh() and app.set_aside() == () and verify(app).ok
        assert np.abs(app.vectors([2], role) - encoder.encode_images([picture(1)])).max() < 1e-3


def test_crops_without_a_vector_are_set_aside_until_they_have_one(store, gallery, damageable):
    encoder, role = damageable
    run_sql(store, f"DELETE FROM vectors WHERE encoder = '{encoder.name}' AND crop_id IN (1, 4)")
    with GalleryStore.open(gallery) as app:
        app.require_encoder(encoder.name, encoder.version, role)
        assert app.set_aside() == (1, 4) and app.matching(Filters()).tolist() == [2, 3, 5]
        assert np.abs(app.vectors([5], role) - encoder.encode_images([picture(4)])).max() < 1e-3
        with pytest.raises(KeyError, match="crop 4"):
            app.vectors([4], role)
        run_sql(store, f"DELETE FROM vectors WHERE encoder = '{encoder.name}'")
    with GalleryStore.open(gallery) as app:
        app.require_encoder(encoder.name, encoder.version, role)
        assert app.set_aside() == (1, 2, 3, 4, 5) and not len(app.matching(Filters()))
        assert reindex(store, encoder, role=role) == reindexing.Reindexed(5, False)
        assert app.refresh() and app.set_aside() == () and app.vectors([1, 5], role).shape == (2, 24)


def test_crops_that_another_process_deletes_meanwhile_are_passed_over(store, gallery, monkeypatch):
    monkeypatch.setattr(reindexing, "BATCH", 2)
    fit = reindexing.fitted

    def delete_then_fit(*arguments):
        """One of this batch, one of the next, and all of the last."""
        with GalleryStore.open(gallery) as other:
            other.delete([2, 4, 5])
        return fit(*arguments)

    monkeypatch.setattr(reindexing, "fitted", delete_then_fit)
    assert reindex(store, PixelEncoder("new", "2", seed=4)) == reindexing.Reindexed(2, True)
    assert verify(store).ok and store.matching(Filters()).tolist() == [1, 3]


def test_the_work_grows_as_the_gallery_does(tmp_path, monkeypatch):
    """SQLite's own steps are counted: each crop is looked at as often in a large gallery as in a small one."""
    monkeypatch.setattr(reindexing, "BATCH", 4)
    monkeypatch.setattr(reindexing, "picture_bytes", lambda crop: b"", raising=False)
    monkeypatch.setattr(reindexing, "open_picture", lambda *_, **options: picture(1))

    def steps_for(count: int) -> int:
        with GalleryStore.open(tmp_path / f"{count}.db") as store:
            add(store, [{}] * count, dim=24)
            reading, taken = store.database.reading, [0]

            def step() -> int:
                taken[0] += 1
                return 0

            @contextmanager
            def counted():
                with reading() as connection:
                    raw = connection.connection.dbapi_connection
                    raw.set_progress_handler(step, 10)
                    yield connection
                    raw.set_progress_handler(None, 10)

            monkeypatch.setattr(store.database, "reading", counted)
            shown: list[tuple[int, int]] = []
            new = PixelEncoder("new", "2", seed=4)
            assert reindex(store, new, progress=lambda *at: shown.append(at)) == (
                reindexing.Reindexed(count, True)
            )
            assert shown == [(done, count) for done in range(4, count + 1, 4)]
            return taken[0]

    assert steps_for(400) < 10 * steps_for(48)


def test_a_linked_picture_that_was_changed_is_not_encoded(store, tmp_path):
    folder = write_pictures(tmp_path / "linked", ["latest.png"], first_seed=50)
    import_crops(store, PixelEncoder(), folder, link=True)
    picture(51).save(folder / "latest.png")
    with pytest.raises(
        GalleryError, match=r"crop 6 .* cannot be encoded anew: it was changed since the import"
    ):
        reindex(store, PixelEncoder("new", "2", seed=4))
    assert store.encoder() == ("pixels", "1") and len(store.vectors([6])) == 1
