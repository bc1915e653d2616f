"""Pictures in an object storage: what a gallery does with a folder, it does with a storage, and what fails is said."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from gallery_store.__main__ import main
from gallery_store.copying import copy_gallery
from gallery_store.crops import Filters
from gallery_store.decoding import PictureError, open_picture
from gallery_store.export import export_pictures
from gallery_store.importer import import_crops
from gallery_store.imports import undo_import
from gallery_store.object_storage import ObjectStorage
from gallery_store.picture_cache import PictureCache
from gallery_store.reindex import reindex
from gallery_store.shown import original
from gallery_store.store import GalleryError, GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, all_crops, write_pictures
from tests.test_gallery_copying import check_same, quiet
from tests.test_gallery_kill import killed

NAMES = [f"{n}.png" for n in range(6)]


@pytest.fixture
def pictures(tmp_path):
    return write_pictures(tmp_path / "in", NAMES)


@pytest.fixture
def store(gallery, storage, pictures):
    with GalleryStore.open(gallery, pictures=storage) as store:
        import_crops(store, PixelEncoder(), pictures)
        yield store


def objects(store: GalleryStore) -> set[str]:
    """All that lies in the gallery's prefix, the mark too."""
    return set(ObjectStorage(store.pictures.url).names())


def forget(store: GalleryStore) -> None:
    shutil.rmtree(store.cache, ignore_errors=True)


def test_pictures_lie_in_the_storage_and_are_read_from_it(store, gallery, storage, pictures):
    crops = all_crops(store)
    names = {f"{crop.sha256[:2]}/{crop.sha256}.png" for crop in crops}
    assert len(names) == 6 and objects(store) == names | {"gallery.json"}
    assert set(store.pictures.names()) == names and store.pictures.url == f"{storage}/{store.media.name}"
    assert not store.media.exists() and not store.cache.exists()
    for crop in crops:
        assert original(crop)[0] == (pictures / crop.path).read_bytes()
        assert np.array_equal(open_picture(crop.file), open_picture(pictures / crop.path))
        assert str(crop.file) == f"{store.pictures.url}/{crop.sha256[:2]}/{crop.file.name}"
        assert crop.file.suffix == ".png" and crop.file.local().read_bytes() == crop.file.read()
    assert store.thumbnail(1).is_file() and verify(store).ok and verify(store, quick=True).ok
    again = import_crops(store, PixelEncoder(), pictures)
    assert (again.added, again.unchanged) == (0, 6)
    with GalleryStore.open(gallery) as later:  # the storage is the gallery's own, and needs no naming
        assert later.storage == storage and verify(later).ok
        assert later.count_pictures(100).missing == 0
    with GalleryStore.open(gallery, pictures=f"{storage}/") as later:
        assert later.storage == storage


def test_what_another_machine_deleted_leaves_its_copies_by_verify(store):
    kept, gone = store.crops([1, 2])
    assert kept.file.read() and gone.file.read()
    data = gone.file.local().read_bytes()
    store.delete([2])
    PictureCache(store.cache).put(gone.file.at, data)  # as on a machine that read it before
    assert verify(store).collected == 1
    assert not gone.file.pictures.cached_at(gone.file.at).exists()
    assert kept.file.pictures.cached_at(kept.file.at).exists() and verify(store).collected == 0


def test_one_storage_for_good(store, gallery, storage, tmp_path):
    with pytest.raises(GalleryError, match=rf"keeps its pictures in {storage}, not in memory://else: leave"):
        GalleryStore.open(gallery, pictures="memory://else")
    with GalleryStore.open(tmp_path / "folder.db"):
        pass
    with pytest.raises(GalleryError, match=r"keeps its pictures in .*folder\.\w+\.media, not in memory://x:"):
        GalleryStore.open(tmp_path / "folder.db", pictures="memory://x")
    for wrong, why in (
        ("s3://", "names no storage"),
        ("pictures", "names no storage"),
        ("s3://key:secret@bucket/x", "keys belong in the environment"),
        ("nothing://bucket/x", "cannot be kept in nothing://bucket/x"),
    ):
        with pytest.raises(GalleryError, match=why) as said:
            GalleryStore.open(tmp_path / "new.db", pictures=wrong)
        assert "secret" not in str(said.value)


def test_lost_damaged_and_forgotten_pictures_are_found(store):
    lost, damaged = (crop.file for crop in store.crops([2, 4]))
    storage = ObjectStorage(store.pictures.url)
    storage.remove(lost.at)
    storage.write(damaged.at, b"something else")
    stray = "ab/" + "ab" * 32 + ".jpg"
    storage.write(stray, b"stray")
    found = verify(store)
    assert [problem.partition(": ")[2] for problem in found.problems] == [
        f"its picture {lost}: the file does not exist",
        f"its picture {damaged} has changed",
    ]
    assert found.collected == 1 and stray not in objects(store)
    assert [lost.name in problem for problem in verify(store, quick=True).problems] == [True]
    assert store.count_pictures(100).missing == 1
    assert store.absent(store.crops([1, 2, 3])) == {2}


def test_what_is_deleted_goes_from_the_storage_and_the_cache(store):
    kept, gone = store.crops([1, 2])
    assert kept.file.read() and gone.file.read()
    assert store.delete([2]) == 1
    with pytest.raises(PictureError, match="does not exist"):
        gone.file.read()
    assert gone.file.at not in objects(store) and kept.file.at in objects(store)
    undo_import(store, 1, "Ana")
    assert objects(store) == {"gallery.json"} and store.count() == 0


def test_what_was_lost_is_brought_back_by_the_next_import(store, pictures):
    (crop,) = store.crops([3])
    ObjectStorage(store.pictures.url).remove(crop.file.at)
    report = import_crops(store, PixelEncoder(), pictures)
    assert (report.mended, report.unchanged) == (1, 5) and verify(store).ok


def test_copies_to_a_storage_and_back(gallery, storage, pictures, tmp_path):
    stops = iter([True, False, True])
    with GalleryStore.open(tmp_path / "from.db") as source:
        import_crops(source, PixelEncoder(), pictures)
        reindex(source, PixelEncoder("reid", "9", dim=12, seed=5), role="reid")
        for named in (storage, "", ""):  # stopped, and taken up without naming the storage again
            with GalleryStore.open(gallery, as_copy=True, pictures=named) as target:
                done = copy_gallery(source, target, quiet, lambda: next(stops, False))
                assert target.storage == storage
        assert not done.stopped and not done.problems
        check_same(source, gallery)
    with GalleryStore.open(gallery) as stored, GalleryStore.open(tmp_path / "back.db", as_copy=True) as back:
        assert not copy_gallery(stored, back, quiet).problems and not back.storage
        ObjectStorage(stored.pictures.url).write(stored.crops([1])[0].file.at, b"changed")
        forget(stored)
        with GalleryStore.open(tmp_path / "again.db", as_copy=True) as again:
            (problem,) = copy_gallery(stored, again, quiet).problems
    assert "has changed, and was left out" in problem
    with GalleryStore.open(tmp_path / "back.db") as back:
        assert verify(back).ok and back.count() == 6


def test_a_copy_of_the_file_takes_a_prefix_of_its_own(storage, pictures, tmp_path):
    with GalleryStore.open(tmp_path / "g.db", pictures=storage) as store:
        import_crops(store, PixelEncoder(), pictures)
        url = store.pictures.url
    shutil.copy(tmp_path / "g.db", tmp_path / "copy.db")
    with GalleryStore.open(tmp_path / "g.db") as store:
        assert store.delete([1]) == 1  # the copy was not opened yet, and needs it
        assert store.pictures.url == url and len(objects(store)) == 7
        with GalleryStore.open(tmp_path / "copy.db") as copy:
            assert copy.pictures.url != url and copy.storage == storage
            assert verify(copy).ok and copy.count() == 6 and copy.delete([2, 3]) == 2
        assert verify(store).ok and store.count() == 5
    (tmp_path / "g.db").rename(tmp_path / "renamed.db")
    with GalleryStore.open(tmp_path / "renamed.db") as renamed:
        assert renamed.pictures.url == url and verify(renamed).ok


def test_a_storage_that_goes_away_in_mid_import_loses_nothing(store, pictures, monkeypatch):
    more = write_pictures(pictures.parent / "more", NAMES, first_seed=50)
    write, sent = ObjectStorage.write, []

    def failing(self, name, data):
        sent.append(name)
        if len(sent) > 3:
            raise self._named(ConnectionError("the line is cut"))
        write(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(ObjectStorage, "write", failing)
        with pytest.raises(GalleryError, match=r"cannot be reached \(the line is cut\): see whether"):
            import_crops(store, PixelEncoder(), more)
    assert store.count() < 12
    again = import_crops(store, PixelEncoder(), more)
    assert store.count() == 12 and again.taken == 6 and verify(store).ok and len(objects(store)) == 13


def test_a_storage_that_cannot_be_reached_is_said_and_nothing_is_removed(store, monkeypatch):
    storage, asked = store.pictures._storage, []
    before = objects(store)

    def away(*_, **__):
        asked.append(1)
        raise ConnectionError("no route")

    with monkeypatch.context() as patch:
        patch.setattr(storage._system, "cat_file", away)
        assert store.absent(all_crops(store)) == {1, 2, 3, 4, 5, 6}
        assert store.absent(all_crops(store)) and len(asked) <= 6  # it is not asked again for a while
        with pytest.raises(GalleryError, match=r"cannot be shown: the pictures in .* cannot be reached"):
            original(store.crops([1])[0])
        with pytest.raises(GalleryError, match="cannot be reached"):
            verify(store)
    assert objects(store) == before
    storage._away_until = 0.0
    assert store.absent(all_crops(store)) == set() and verify(store).ok


def test_every_picture_of_an_export_is_there(store, pictures, tmp_path):
    done = export_pictures(store, tmp_path / "out", lambda done, total: None)
    assert (done.crops, done.missing) == (6, ())
    for crop in all_crops(store):
        assert (tmp_path / "out" / "pictures" / f"{crop.id}.png").read_bytes() == crop.file.read()


def test_the_commands_take_a_storage(gallery, storage, pictures, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("gallery_store.cli._clip", lambda options: PixelEncoder())
    named = ["--gallery", str(gallery)]
    assert main(["import", str(pictures), "--pictures", storage, *named]) == 0
    capsys.readouterr()
    assert main(["stats", "--json", *named]) == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == storage
    assert main(["copy", str(gallery), str(tmp_path / "c.db"), "--pictures", f"{storage}/copy"]) == 0
    with GalleryStore.open(tmp_path / "c.db") as copy:
        assert copy.storage == f"{storage}/copy" and verify(copy).ok
    monkeypatch.setenv("CHATREID_PICTURES", "memory://elsewhere")
    assert main(["import", str(pictures), *named]) == 2
    assert "not in memory://elsewhere" in capsys.readouterr().err


def test_a_cache_keeps_its_bounds_and_notices_damage(tmp_path):
    cache = PictureCache(tmp_path / "cache", most_bytes=1000)
    data = {name_of(bytes([n]) * 300): bytes([n]) * 300 for n in range(5)}
    for moment, (name, some) in enumerate(data.items()):
        cache.put(name, some)
        set_read(cache, name, moment)
    first, *_, last = data
    assert cache.get(first) is None and cache.get(last) == data[last]
    assert sum(file.stat().st_size for file in cache.folder.rglob("*.jpg")) <= 1000
    (cache.folder / last).write_bytes(b"torn")
    assert cache.get(last) is None and not cache.has(last)
    (tmp_path / "cache2").write_text("in the way")
    PictureCache(tmp_path / "cache2").put(last, b"x")  # a copy that cannot be kept is no fault


def name_of(data: bytes) -> str:
    import hashlib

    digest = hashlib.sha256(data).hexdigest()
    return f"{digest[:2]}/{digest}.jpg"


def set_read(cache: PictureCache, name: str, moment: int) -> None:
    import os

    if cache.has(name):
        os.utime(cache.folder / name, (moment, moment))


_IMPORT = """
import sys
from pathlib import Path
from gallery_store import importer
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder
importer.BATCH = 8
print("ready", flush=True)
with GalleryStore.open(sys.argv[1], pictures=sys.argv[2]) as store:
    import_crops(store, PixelEncoder(), Path(sys.argv[3]), progress=lambda done, _: print(store.count(), flush=True))
print("done", flush=True)
"""


@pytest.mark.slow
def test_a_killed_import_leaves_no_row_without_its_picture(gallery, tmp_path):
    source = write_pictures(tmp_path / "in", [f"{n:03}.png" for n in range(120)])
    url = f"file://{tmp_path}/storage"
    for lines in (2, 4):
        written = killed(_IMPORT, gallery, url, source, lines=lines, after=0.02)
        with GalleryStore.open(gallery) as store:
            acknowledged = max(int(line) for line in written if line != "done")
            found = verify(store)
            assert found.ok and found.crops >= acknowledged and store.storage == url
            assert len(list(store.pictures.names())) == found.crops  # strays are gone
    with GalleryStore.open(gallery) as store:
        import_crops(store, PixelEncoder(), source)
        assert store.count() == 120 and verify(store).ok
        assert len(store.matching(Filters())) == 120 and len(list(store.pictures.names())) == 120
