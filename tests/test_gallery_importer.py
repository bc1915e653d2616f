"""An import loses nothing: vectors, links, stops, what is there already, and the order of writing."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from gallery_store import files, importer, media
from gallery_store.importer import Rejected, import_crops
from gallery_store.media import MediaWriter
from gallery_store.store import GalleryError, GalleryStore
from tests.gallery_tools import PixelEncoder, all_crops, picture, write_manifest, write_pictures


@pytest.fixture
def store(gallery):
    with GalleryStore.open(gallery, zone="Europe/Paris") as store:
        yield store


def test_vectors_are_those_of_the_pictures(store, tmp_path):
    source = write_pictures(tmp_path / "in", [f"{n:03}.png" for n in range(150)])
    assert import_crops(store, PixelEncoder(), source).added == 150
    crops = all_crops(store)
    expected = PixelEncoder().encode_images([picture(int(crop.path[:3])) for crop in crops])
    assert np.abs(store.vectors([crop.id for crop in crops]) - expected).max() < 1e-3


def test_the_same_picture_twice_is_one_crop_and_from_two_cameras_two(store, tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for name in ("0001_c1s1_000001_00.png", "copy.png", "0001_c2s1_000001_00.png", "0007_c1s2_000009_00.png"):
        picture(1).save(source / name)
    report = import_crops(store, PixelEncoder(), source)
    assert (report.added, report.unchanged) == (3, 1)  # camera 1, camera 2, and no camera
    assert import_crops(store, PixelEncoder(), source, camera="Cam-02").unchanged == 4
    assert import_crops(store, PixelEncoder(), source, camera="5").added == 1
    assert len(list(store.pictures.names())) == 1


def test_a_camera_from_the_caller_goes_before_the_name_but_not_before_a_manifest(store, tmp_path):
    write_pictures(tmp_path / "in", ["0002_c1s1_000451_03.jpg", "b.jpg"])
    manifest = write_manifest(
        tmp_path / "in" / "list.csv", "path,camera", "0002_c1s1_000451_03.jpg,", "b.jpg,Gate"
    )
    import_crops(store, PixelEncoder(), manifest, camera=" Lobby ")
    assert [crop.camera for crop in all_crops(store)] == ["Lobby", "Gate"]


def test_links_refer_to_the_pictures_where_they_are(store, tmp_path, monkeypatch):
    source = write_pictures(tmp_path / "in", ["a.jpg", "sub/b.jpg"])
    monkeypatch.chdir(tmp_path)
    assert import_crops(store, PixelEncoder(), Path("in"), link=True).added == 2
    assert [crop.file for crop in all_crops(store)] == [source / "a.jpg", source / "sub" / "b.jpg"]
    assert not list(store.pictures.names())
    store.delete([1])
    assert (source / "a.jpg").is_file()  # not ours to remove


def test_an_import_can_be_stopped_and_goes_on_later(store, tmp_path, monkeypatch):
    monkeypatch.setattr(importer, "BATCH", 10)
    source = write_pictures(tmp_path / "in", [f"{n:02}.jpg" for n in range(45)])
    done: list[int] = []

    def progress(count: int, total: int) -> None:
        done.append(count)
        assert total == 45 and store.count() == count  # what is reported is on disk

    report = import_crops(
        store, PixelEncoder(), source, progress=progress, stop=lambda: bool(done) and done[-1] >= 20
    )
    added = report.added
    assert report.stopped and 20 <= added == done[-1] < 30  # a batch is 10 at the most
    report = import_crops(store, PixelEncoder(), source)
    assert (report.added, report.unchanged, report.stopped) == (45 - added, added, False)


def test_who_imported_and_for_which_case_is_kept(store, tmp_path):
    import_crops(store, PixelEncoder(), write_pictures(tmp_path / "in", ["a.jpg"]), user="Ana", case="c-7")
    with store.database.reading() as connection:
        assert connection.exec_driver_sql('SELECT user_id, "case" FROM crops').all() == [("Ana", "c-7")]
        assert connection.exec_driver_sql("SELECT name, user_id FROM cases").all() == [("c-7", "Ana")]


def test_a_picture_collected_during_the_import_is_written_again(store, tmp_path, monkeypatch):
    """Another process may take a published file for a stray before its row is there."""
    source = write_pictures(tmp_path / "in", ["a.jpg"])
    publish = MediaWriter.publish
    collected: list[str] = []

    def publish_and_lose(writer, staged):
        publish(writer, staged)
        if not collected:
            collected.extend(store.pictures.names())
            for name in collected:
                store.pictures.remove(name)

    monkeypatch.setattr(MediaWriter, "publish", publish_and_lose)
    assert import_crops(store, PixelEncoder(), source).added == 1
    assert len(collected) == 1
    assert all_crops(store)[0].file.read_bytes() == (source / "a.jpg").read_bytes()


@pytest.mark.parametrize("count", [2, 10])
def test_pictures_are_on_disk_before_they_have_names_and_names_before_rows(
    store, tmp_path, monkeypatch, count
):
    source = write_pictures(tmp_path / "in", [f"{n}.jpg" for n in range(count)])
    steps: list[str] = []

    def flush(paths):
        assert len(paths) == count and all(path.stat().st_size for path in paths)
        assert not list(store.pictures.names())
        steps.append("bytes")
        files.flush(paths)

    def flush_names(named):
        named = list(named)
        assert len(named) == count and all(file.is_file() for file in named)
        assert store.count() == 0
        steps.append("names")
        files.flush_names(named)

    monkeypatch.setattr(media, "flush", flush)
    monkeypatch.setattr(media, "flush_names", flush_names)
    monkeypatch.setattr(importer, "FIRST_BATCH", count)
    import_crops(store, PixelEncoder(), source)
    assert steps == ["bytes", "names"] and store.count() == count
    assert not list(store.media.glob(".writing/*"))


def test_a_torn_file_under_a_good_name_is_written_anew(store, tmp_path):
    source = write_pictures(tmp_path / "in", ["a.jpg"])
    import_crops(store, PixelEncoder(), source)
    file = all_crops(store)[0].file
    data = file.read_bytes()
    store.delete([1])
    file.write_bytes(data[:10])
    import_crops(store, PixelEncoder(), source)
    assert file.read_bytes() == data


def test_a_full_or_forbidden_disk_is_one_error(store, tmp_path):
    (store.media / ".writing").write_text("in the way")
    with pytest.raises(GalleryError, match=r"\.\w+\.media cannot be written"):
        import_crops(store, PixelEncoder(), write_pictures(tmp_path / "in", ["a.jpg"]))
    assert store.count() == 0


@pytest.mark.skipif(os.name != "posix", reason="names in bytes")
def test_a_name_that_is_not_text_is_rejected(store, tmp_path):
    write_pictures(tmp_path / "in", ["good.jpg"])
    odd = os.fsencode(tmp_path / "in") + b"/\xff.jpg"
    with open(odd, "wb") as file:
        file.write((tmp_path / "in" / "good.jpg").read_bytes())
    report = import_crops(store, PixelEncoder(), tmp_path / "in")
    assert report.added == 1 and report.rejected == (Rejected("\\udcff.jpg", "its name is not valid UTF-8"),)
