"""A copy is the gallery, crop for crop, however often it was interrupted, and is refused until it is."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa

from gallery_store import copying
from gallery_store.__main__ import main
from gallery_store.copying import Copied, copy_gallery
from gallery_store.crops import Filters
from gallery_store.importer import import_crops
from gallery_store.reindex import reindex
from gallery_store.schema import metadata
from gallery_store.store import GalleryError, GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, picture, run_sql, write_manifest, write_pictures
from tests.test_gallery_kill import killed

REID = PixelEncoder("reid", "9", dim=12, seed=5)


@pytest.fixture
def source(tmp_path):
    """Eleven crops with all that is known of crops, two of them gone; vectors by two encoders; cases and an audit."""
    folder = write_pictures(tmp_path / "in", [f"{n:02}.png" for n in range(12)])
    lines = [f"{n:02}.png,c{n % 3},2026-05-12T10:{n:02}:00,P{n % 4},,tall;red" for n in range(0, 12, 2)]
    write_manifest(folder / "list.csv", "path,camera,time,person,clothes,tags", *lines)
    with GalleryStore.open(tmp_path / "from" / "g.db", zone="Europe/Paris") as store:
        import_crops(store, PixelEncoder(), folder / "list.csv", user="Ana", case="c-7")
        import_crops(store, PixelEncoder(), folder)
        (folder / "linked").mkdir()
        picture(50).save(folder / "linked" / "x.png")
        import_crops(store, PixelEncoder(), folder / "linked", link=True)
        reindex(store, REID, role="reid")
        assert store.count() == 13 and store.delete([3, 13]) == 2
        for n in range(3):
            store.record_search(
                user="Ben", reason="r", query={"n": n}, shown=[1, 13], seconds=0.5, case="c-7"
            )
        yield store


def quiet(step: str, done: int, total: int) -> None:
    """No progress."""


def copied(source: GalleryStore, place: Path | str, stop=lambda: False) -> Copied:
    with GalleryStore.open(place, as_copy=True) as target:
        return copy_gallery(source, target, quiet, stop)


def told(store: GalleryStore) -> dict[str, list]:
    """Everything in the tables but what belongs to the place."""
    with store.database.reading() as connection:
        found = {
            name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))]
            for name, table in metadata.tables.items()
        }
    found["gallery"] = [row for row in found["gallery"] if row[0] not in ("media", "pictures")]
    return {name: sorted(rows, key=repr) for name, rows in found.items()}


def check_same(source: GalleryStore, place: Path | str) -> None:
    with GalleryStore.open(place) as copy:
        assert told(copy) == told(source) and verify(copy).ok
        assert set(copy.pictures.names()) == set(source.pictures.names())
        ids = source.matching(Filters())
        for role, encoder in (("clip", ("pixels", "1")), ("reid", ("reid", "9"))):
            for store in (source, copy):
                store.require_encoder(*encoder, role)
            assert np.array_equal(copy.vectors(ids, role), source.vectors(ids, role))


def test_a_copy_has_everything_and_gives_no_id_again(source, gallery, tmp_path):
    assert copied(source, gallery) == Copied(crops=11, searches=3, written=11, mended=0)
    check_same(source, gallery)
    with GalleryStore.open(gallery) as copy:
        assert copied(copy, tmp_path / "back.db").written == 11
        check_same(copy, tmp_path / "back.db")
        assert copy.media != source.media and copy.zone.key == "Europe/Paris"
        more = write_pictures(tmp_path / "more", ["y.png"], first_seed=90)
        import_crops(copy, PixelEncoder(), more, reid=REID)
        assert copy.matching(Filters()).tolist()[-1] > 13  # 13 was given to a crop that is gone
        assert copy.record_search(user="a", reason="", query={}, shown=[], seconds=0) == 4
        assert copy.delete([1]) == 1
    assert verify(source).ok


def test_a_copy_that_was_stopped_is_refused_and_goes_on_over_what_changed(source, gallery, monkeypatch):
    monkeypatch.setattr(copying, "_PAGE", 3)
    pages = iter([False, True])
    stopped = copied(source, gallery, lambda: next(pages))
    assert (stopped.written, stopped.stopped) == (6, True)
    with pytest.raises(GalleryError, match="is an unfinished copy: run the same"):
        GalleryStore.open(gallery)
    # Meanwhile: a crop goes, one takes its sighting, one is corrected, and there is another search.
    with source.database.reading() as connection:
        sha, key, when = connection.exec_driver_sql(
            "SELECT sha256, camera_key, time FROM crops WHERE id = 5"
        ).one()
    source.delete([5])
    run_sql(source, f"UPDATE crops SET sha256 = '{sha}', camera_key = '{key}', time = '{when}' WHERE id = 1")
    run_sql(source, "UPDATE crops SET file = (SELECT file FROM crops WHERE id = 1) WHERE id = 1")
    run_sql(source, "UPDATE crops SET person = 'somebody' WHERE id = 2")
    source.record_search(user="Ben", reason="", query={}, shown=[], seconds=1)
    lost = source.crops([1])[0].file  # its row now tells of other bytes than it has
    again = copied(source, gallery)
    assert (again.crops, again.searches, again.written, again.stopped) == (10, 4, 5, False)
    assert again.mended == 2 and [p for p in again.problems if str(lost) in p and "has changed" in p]
    with GalleryStore.open(gallery) as copy:
        assert told(copy) == told(source)


def test_what_the_gallery_lacks_is_named_and_the_rest_is_copied(source, tmp_path):
    run_sql(source, "UPDATE vectors SET data = zeroblob(48) WHERE crop_id = 2 AND encoder = 'pixels'")
    gone, changed = (crop.file for crop in source.crops([4, 6]))
    gone.unlink()
    picture(77).save(changed)
    done = copied(source, tmp_path / "copy.db")
    assert (done.crops, done.mended) == (11, 0) and len(done.problems) == 3
    text = "\n".join(sorted(done.problems))
    assert "crop 2 " in text and "clip vector is damaged" in text
    assert "crop 4 " in text and "does not exist" in text and "crop 6 " in text and "has changed" in text
    with GalleryStore.open(tmp_path / "copy.db") as copy:
        assert len(verify(copy).problems) == 3 and len(copy.matching(Filters())) == 10


def test_a_copy_is_compared_with_the_gallery(source, tmp_path, monkeypatch):
    """What a disk, or anybody, did to the copy before it was finished is found and mended."""
    monkeypatch.setattr(copying, "_PAGE", 4)
    pages = iter([False, False, True])
    place = tmp_path / "copy" / "c.db"
    assert copied(source, place, lambda: next(pages)).stopped
    with GalleryStore.open(place, as_copy=True) as target:
        target.crops([2])[0].file.write_bytes(b"torn")
        run_sql(target, "UPDATE crops SET width = 1 WHERE id = 6")
        run_sql(target, "DELETE FROM tags WHERE crop_id = 1")
        run_sql(target, "DELETE FROM vectors WHERE crop_id = 7 AND encoder = 'reid'")
    assert copied(source, place).mended == 3
    check_same(source, place)


def test_only_into_a_new_gallery(source, tmp_path):
    with GalleryStore.open(tmp_path / "other.db") as other:
        import_crops(other, PixelEncoder(), tmp_path / "in" / "01.png")
    for place in (tmp_path / "other.db", source.location):
        with pytest.raises(GalleryError, match=r"holds something already.*name a new one"):
            copied(source, place)
    assert source.count() == 11
    with GalleryStore.open(tmp_path / "other.db") as other:
        assert other.count() == 1
        stopped = copied(other, tmp_path / "copy.db", lambda: True)
        assert stopped.stopped
    with pytest.raises(GalleryError, match="unfinished copy of another gallery"):
        copied(source, tmp_path / "copy.db")
    copied(source, tmp_path / "whole.db")
    with pytest.raises(GalleryError, match="holds something already"):
        copied(source, tmp_path / "whole.db")


def test_the_command(source, gallery, capsys):
    source.close()
    assert main(["copy", source.location, str(gallery), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["crops"], result["searches"], result["written"]) == (11, 3, 11)
    assert main(["copy", source.location, str(gallery)]) == 2
    assert "name a new one" in capsys.readouterr().err
    assert main(["copy", f"{source.location}.no", str(gallery)]) == 2
    assert "there is no gallery" in capsys.readouterr().err


_COPY = """
import sys
from gallery_store import copying
from gallery_store.store import GalleryStore
copying._PAGE = 2
print("ready", flush=True)
with GalleryStore.open(sys.argv[1]) as source, GalleryStore.open(sys.argv[2], as_copy=True) as to:
    copying.copy_gallery(source, to, lambda *at: print(*at, flush=True))
print("done", flush=True)
"""


@pytest.mark.slow
def test_a_copy_killed_again_and_again(source, gallery):
    rng = random.Random(4)
    interrupted = 0
    for attempt in range(4):
        lines = killed(_COPY, source.location, gallery, lines=attempt, after=rng.uniform(0, 0.05))
        interrupted += "done" not in lines
        if "done" in lines:
            break
        try:
            with GalleryStore.open(gallery, must_exist=True) as begun:  # killed before it was marked
                assert not begun.count()
        except GalleryError as refused:
            assert "unfinished copy" in str(refused) or "there is no gallery" in str(refused)
    assert interrupted >= 2, "the kills came too late, or too early, to mean anything"
    copied(source, gallery)
    check_same(source, gallery)
