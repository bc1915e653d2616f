"""A gallery with re-ID vectors beside CLIP's: every crop has both or the gallery has none, whatever happens."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from gallery_store import reindex as reindexing
from gallery_store import rows
from gallery_store.crops import Filters
from gallery_store.database import now_text
from gallery_store.errors import EncoderMismatch, GalleryError, GalleryTooNew
from gallery_store.importer import import_crops
from gallery_store.index import pack
from gallery_store.migrations import LATEST, MIGRATIONS, m0001_first
from gallery_store.opening import open_database
from gallery_store.reindex import Reindexed, drop_reid, reindex
from gallery_store.store import GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, picture, run_sql, write_pictures
from tests.old_gallery import drop_what_came_since
from tests.reid_files import tiny_timm, write_torchscript
from tests.test_gallery_cli import NAMES, clips, run  # noqa: F401 (fixtures)
from tests.test_gallery_kill import killed

CLIP = PixelEncoder()
REID = PixelEncoder("reid", "9", dim=12, seed=5)
OTHER = PixelEncoder("other", "9", dim=12, seed=6)


def vectors_by(store: GalleryStore) -> dict[str, int]:
    with store.database.reading() as connection:
        counted = connection.exec_driver_sql("SELECT encoder, count(*) FROM vectors GROUP BY encoder")
        return {row[0]: row[1] for row in counted}


@pytest.fixture
def source(tmp_path):
    return write_pictures(tmp_path / "in", [f"{n}.png" for n in range(5)])


@pytest.fixture
def store(gallery, source):
    """Five crops, by CLIP alone."""
    with GalleryStore.open(gallery) as store:
        import_crops(store, CLIP, source)
        yield store


@pytest.fixture
def both(store):
    """Five crops, by CLIP and by the re-ID encoder."""
    assert reindex(store, REID, role="reid") == Reindexed(5, True)
    store.require_encoder("reid", "9", "reid")
    return store


def old_gallery(file, indexed: bool) -> None:
    """A gallery of schema 1, as the first migration and its programs left it."""
    with GalleryStore.open(file) as store:
        store.count()
    with closing(sqlite3.connect(file)) as raw:
        drop_what_came_since(raw, m0001_first.metadata)
        raw.execute("DELETE FROM gallery WHERE key = 'media'")
        raw.execute("DELETE FROM schema_migrations WHERE number > 1")
        if indexed:
            raw.executemany(
                "INSERT INTO gallery VALUES (?, ?)", [("encoder", "pixels"), ("encoder_version", "1")]
            )
            raw.execute(
                "INSERT INTO crops (sha256, camera, camera_key, time, path, file, linked, width, height, imported)"
                " VALUES ('ab', '', '', '', 'a.png', 'ab/ab.png', 0, 1, 1, ?)",
                (now_text(),),
            )
            raw.execute(
                "INSERT INTO vectors VALUES (1, 'pixels', '1', ?)",
                (pack(CLIP.encode_images([picture(0)])[0]),),
            )
        raw.commit()


def test_an_old_gallery_is_brought_up_to_date(tmp_path):
    old_gallery(tmp_path / "old.db", indexed=True)
    with closing(sqlite3.connect(tmp_path / "old.db")) as raw:
        tables = {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables - {"schema_migrations", "sqlite_sequence"} == set(m0001_first.metadata.tables)
    for _ in range(2):  # the second opening finds nothing to do
        with GalleryStore.open(tmp_path / "old.db") as store:
            assert (store.encoder(), store.encoder("reid"), store.count()) == (("pixels", "1"), None, 1)
            store.require_encoder("pixels", "1")
            assert store.similarities(CLIP.encode_images([picture(0)]))[0, 0] == pytest.approx(1, abs=1e-3)
            with store.database.reading() as connection:
                keys = connection.exec_driver_sql("SELECT key FROM gallery").scalars().all()
                assert "zone" in keys and not [key for key in keys if "encoder" in key]


def test_an_old_gallery_without_crops_takes_any_encoder_still(tmp_path, source):
    old_gallery(tmp_path / "old.db", indexed=False)
    with GalleryStore.open(tmp_path / "old.db") as store:
        assert store.encoder() is None
        assert import_crops(store, CLIP, source, reid=REID).added == 5
        assert (store.encoder(), store.encoder("reid")) == (("pixels", "1"), ("reid", "9"))


def test_a_migration_that_fails_leaves_the_old_gallery(tmp_path, monkeypatch):
    old_gallery(tmp_path / "old.db", indexed=True)
    with closing(sqlite3.connect(tmp_path / "old.db")) as raw:
        before = list(raw.iterdump())
    steps = list(MIGRATIONS)

    def fails(connection):
        steps[1][2](connection)
        raise RuntimeError("power cut")

    monkeypatch.setattr("gallery_store.database.MIGRATIONS", (steps[0], (2, "encoders", fails)))
    with pytest.raises(RuntimeError, match="power cut"):
        open_database(tmp_path / "old.db")
    monkeypatch.undo()
    with closing(sqlite3.connect(tmp_path / "old.db")) as raw:
        assert list(raw.iterdump()) == before
    with GalleryStore.open(tmp_path / "old.db") as store:
        assert store.encoder() == ("pixels", "1")


def test_programs_of_schema_1_are_kept_out(both, monkeypatch):
    """They would import crops without a re-ID vector."""
    monkeypatch.setattr("gallery_store.database.LATEST", 1)
    with pytest.raises(GalleryTooNew, match=f"schema {LATEST}"):
        GalleryStore.open(both.location)


def test_an_import_gives_each_crop_both_vectors(tmp_path, source):
    with GalleryStore.open(tmp_path / "new.db") as store:
        assert import_crops(store, CLIP, source, reid=REID).added == 5
        store.require_encoder("pixels", "1")
        store.require_encoder("reid", "9", "reid")
        pictures = [picture(int(crop.path[0])) for crop in store.crops([1, 2, 3, 4, 5])]
        ids = store.matching(Filters())
        assert np.abs(store.vectors(ids) - CLIP.encode_images(pictures)).max() < 1e-3
        by_reid = store.vectors(ids, "reid")
        assert by_reid.dtype == np.float32 and np.abs(by_reid - REID.encode_images(pictures)).max() < 1e-3
        one = REID.encode_images([pictures[2]])
        assert store.similarities(one, ids[::-1], "reid")[0] == pytest.approx((by_reid @ one[0])[::-1])
        assert int(store.similarities(one, role="reid")[0].argmax()) == 2
        with pytest.raises(ValueError, match="24 numbers, the gallery 12"):
            store.similarities(CLIP.encode_images(pictures), role="reid")
        assert verify(store).ok and vectors_by(store) == {"pixels": 5, "reid": 5}


def test_the_index_follows_crops_that_come_and_go(both, tmp_path):
    more = write_pictures(tmp_path / "more", ["7.png", "8.png"], first_seed=7)
    with GalleryStore.open(both.location) as app:
        app.require_encoder("reid", "9", "reid")
        assert app.vectors([1, 5], "reid").shape == (2, 12)
        import_crops(both, CLIP, more, reid=REID)
        assert app.refresh() is True
        wanted = REID.encode_images([picture(7), picture(8)])
        assert np.abs(app.vectors([6, 7], "reid") - wanted).max() < 1e-3
        both.delete([1, 6])
        app.refresh()
        assert app.similarities(wanted, role="reid").shape == (2, 5)
        assert np.abs(app.vectors([7], "reid") - wanted[1:]).max() < 1e-3


def test_crops_join_a_gallery_only_with_the_vectors_that_it_has(store, tmp_path):
    more = write_pictures(tmp_path / "more", ["7.png"], first_seed=7)
    with pytest.raises(EncoderMismatch, match=r"has no re-ID vectors: run .* reindex --gallery .*--reid"):
        import_crops(store, CLIP, more, reid=REID)
    reindex(store, REID, role="reid")
    with pytest.raises(
        EncoderMismatch, match=r"by reid \(9\), and new crops need them too: name.*--reid none"
    ):
        import_crops(store, CLIP, more)
    with pytest.raises(EncoderMismatch, match=r"by reid \(9\), not by other \(9\): run .*new encoder"):
        import_crops(store, CLIP, more, reid=OTHER)
    assert store.count() == 5 and verify(store).ok
    assert import_crops(store, CLIP, more, reid=REID).added == 1


def test_an_encoder_of_another_version_is_refused_as_clips_is(both, store):
    with pytest.raises(EncoderMismatch, match=r"re-ID vectors by reid \(9\), not by reid \(8\)"):
        both.require_encoder("reid", "8", "reid")
    with GalleryStore.open(both.location) as other:
        reindex(other, OTHER, role="reid")
    both.refresh()
    with pytest.raises(EncoderMismatch, match=r"by other \(9\), not by reid \(9\)"):
        both.similarities(REID.encode_images([picture(0)]), role="reid")
    assert both.similarities(CLIP.encode_images([picture(0)])).shape == (1, 5)  # CLIP's are as they were


def test_an_empty_gallery_takes_any_re_id_encoder(both, source):
    both.delete([1, 2, 3, 4, 5])
    assert both.encoder("reid") is None
    both.require_encoder("other", "9", "reid")
    assert both.similarities(np.ones((1, 12), np.float32), role="reid").shape == (1, 0)
    import_crops(both, CLIP, source, reid=OTHER)
    assert both.encoder("reid") == ("other", "9")


def test_reindexing_one_leaves_the_other(both):
    before, by_reid = both.vectors([1, 2, 3, 4, 5]), both.vectors([1, 2, 3, 4, 5], "reid")
    assert reindex(both, PixelEncoder("new", "2", seed=4)) == Reindexed(5, True)
    assert vectors_by(both) == {"new": 5, "reid": 5}
    assert np.array_equal(both.vectors([1, 2, 3, 4, 5], "reid"), by_reid)
    assert reindex(both, CLIP) == Reindexed(5, True)
    assert reindex(both, OTHER, role="reid") == Reindexed(5, True)
    assert vectors_by(both) == {"other": 5, "pixels": 5}
    assert np.array_equal(both.vectors([1, 2, 3, 4, 5]), before)
    assert reindex(both, OTHER, role="reid") == Reindexed(0, False)
    assert drop_reid(both) == 5
    assert vectors_by(both) == {"pixels": 5} and both.encoder("reid") is None and verify(both).ok


def test_half_a_reindex_changes_nothing_yet_and_is_taken_up(store, tmp_path, monkeypatch):
    monkeypatch.setattr(reindexing, "BATCH", 2)
    assert reindex(store, REID, role="reid", stop=lambda: True) == Reindexed(2, False)
    assert store.encoder("reid") is None and verify(store).ok
    with pytest.raises(EncoderMismatch, match="has no re-ID vectors"):
        store.require_encoder("reid", "9", "reid")
    import_crops(store, CLIP, write_pictures(tmp_path / "more", ["7.png"], first_seed=7))
    assert reindex(store, REID, role="reid") == Reindexed(4, True)
    assert verify(store).ok and vectors_by(store) == {"pixels": 6, "reid": 6}


def test_a_crop_imported_at_the_last_moment_is_not_left_without_a_vector(store, tmp_path, monkeypatch):
    switch = reindexing._switch
    more = [write_pictures(tmp_path / "more", ["7.png"], first_seed=7)]

    def import_then_switch(*arguments):
        if more:
            import_crops(store, CLIP, more.pop())
        return switch(*arguments)

    monkeypatch.setattr(reindexing, "_switch", import_then_switch)
    assert reindex(store, REID, role="reid") == Reindexed(6, True)
    assert verify(store).ok and vectors_by(store) == {"pixels": 6, "reid": 6}


def test_verify_and_a_search_say_which_vectors_are_missing_or_damaged(both):
    with both.database.writing() as connection:
        rows.note_rewrite(connection)
    run_sql(both, "DELETE FROM vectors WHERE crop_id = 2 AND encoder = 'reid'")
    run_sql(both, "UPDATE vectors SET data = x'0000' WHERE crop_id = 3 AND encoder = 'reid'")
    problems = " ".join(verify(both).problems)
    assert "crop 2 (1.png): it has no re-ID vector" in problems
    assert "crop 3 (2.png): its re-ID vector is not of length 1" in problems
    assert "re-ID vectors have different lengths: [1, 12]" in problems
    with GalleryStore.open(both.location) as app:
        app.require_encoder("reid", "9", "reid")
        with pytest.raises(GalleryError, match="vectors differ in length"):
            app.vectors([1], "reid")
    with both.database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM vectors WHERE crop_id = 3 AND encoder = 'reid'")
    assert reindex(both, REID, role="reid") == Reindexed(2, False)
    assert verify(both).ok


_REINDEX = """
import sys
from gallery_store import reindex
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder
reindex.BATCH = 8
print("ready", flush=True)
with GalleryStore.open(sys.argv[1]) as store:
    show = lambda done, total: print(done, flush=True)
    reindex.reindex(store, PixelEncoder("reid", "9", dim=12, seed=5), role="reid", progress=show)
print("done", flush=True)
"""

_IMPORT = """
import sys
from pathlib import Path
from gallery_store import importer
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder
importer.BATCH = 8
print("ready", flush=True)
with GalleryStore.open(sys.argv[1]) as store:
    reid = PixelEncoder("reid", "9", dim=12, seed=5)
    show = lambda done, total: print(done, flush=True)
    import_crops(store, PixelEncoder(), Path(sys.argv[2]), reid=reid, progress=show)
print("done", flush=True)
"""


@pytest.mark.slow
def test_a_reindex_killed_half_way_goes_on(tmp_path):
    file = tmp_path / "g.db"
    with GalleryStore.open(file) as store:
        import_crops(store, CLIP, write_pictures(tmp_path / "in", [f"{n:03}.png" for n in range(200)]))
    lines = killed(_REINDEX, file, lines=2, after=0)
    assert len(lines) >= 2 and "done" not in lines
    with GalleryStore.open(file) as store:
        assert verify(store).ok and store.encoder("reid") is None
        done = reindex(store, REID, role="reid")
        assert done.switched and 0 < done.encoded <= 200 - 8 * len(lines)
        assert vectors_by(store) == {"pixels": 200, "reid": 200} and verify(store).ok


@pytest.mark.slow
def test_an_import_killed_half_way_has_both_vectors_of_each_crop(tmp_path):
    source, file = write_pictures(tmp_path / "in", [f"{n:03}.png" for n in range(200)]), tmp_path / "g.db"
    lines = killed(_IMPORT, file, source, lines=3, after=0.02)
    assert "done" not in lines
    with GalleryStore.open(file) as store:
        had = store.count()
        assert 0 < had < 200 and verify(store).ok and vectors_by(store) == {"pixels": had, "reid": had}
        assert import_crops(store, CLIP, source, reid=REID).added == 200 - had
        assert vectors_by(store) == {"pixels": 200, "reid": 200}


@pytest.fixture
def reid_file(tmp_path):
    return write_torchscript(tmp_path / "market.pt", tiny_timm())


def test_the_command_line_computes_switches_and_drops_re_id_vectors(
    run,  # noqa: F811
    clips,  # noqa: F811
    reid_file,
    tmp_path,
    monkeypatch,
):
    source = write_pictures(tmp_path / "in", NAMES)
    run("import", source)
    assert json.loads(run("stats", "--json")[1])["reid"] is None
    monkeypatch.setenv("CHATREID_CLIP", str(clips[1]))  # --reid alone must not switch the CLIP to this one
    result = json.loads(run("reindex", "--reid", reid_file, "--json")[1])
    assert (result["encoded"], result["switched"], result["encoder"][0]) == (3, True, "one")
    assert result["reid"][0] == "market" == json.loads(run("stats", "--json")[1])["reid"][0]
    monkeypatch.setenv("CHATREID_CLIP", str(clips[0]))
    status, out, err = run("import", source)
    assert (status, out) == (2, "") and "new crops need them too" in err
    monkeypatch.setenv("CHATREID_REID", str(reid_file))
    assert run("import", source)[0] == 0 and run("verify")[0] == 0
    assert json.loads(run("reindex", "--json")[1])["encoded"] == 0
    result = json.loads(run("reindex", "--clip", clips[1], "--json")[1])
    assert (result["encoded"], result["encoder"][0], result["reid"][0]) == (3, "two", "market")
    status, out, _ = run("reindex", "--clip", clips[1])
    assert "is indexed by two" in out and "for queries by picture by market" in out
    result = json.loads(run("reindex", "--reid", "none", "--json")[1])
    assert (result["encoder"][0], result["reid"], result["switched"]) == ("two", None, True)
    assert run("import", source, "--clip", clips[1], "--reid", "none")[0] == 0
    assert run("verify")[0] == 0


def test_a_new_gallery_is_imported_with_both_by_the_command_line(run, reid_file, tmp_path):  # noqa: F811
    assert run("import", write_pictures(tmp_path / "in", NAMES), "--reid", reid_file)[0] == 0
    stats = json.loads(run("stats", "--json")[1])
    assert (stats["crops"], stats["encoder"][0], stats["reid"][0]) == (3, "one", "market")
    status, out, err = run("import", tmp_path / "in", "--reid", "resnet50")
    assert (status, out) == (2, "") and "names no re-ID encoder" in err and err.count("\n") == 1
