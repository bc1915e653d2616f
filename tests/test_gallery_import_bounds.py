"""Imports have bounds, and Stop is heard while they read, decode and encode."""

from __future__ import annotations

import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallery_store import importer, sources
from gallery_store.importer import import_crops
from gallery_store.items import SourceError
from gallery_store.pace import Pace
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder, write_manifest, write_pictures


@pytest.fixture
def store(tmp_path):
    with GalleryStore.open(tmp_path / "g.db") as store:
        yield store


def zipped(file: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in members.items():
            archive.writestr(name.replace("_", "."), data)
    return file


def test_a_manifest_that_unpacks_to_hundreds_of_times_its_size_is_refused(store, tmp_path):
    bomb = zipped(tmp_path / "bomb.zip", manifest_csv=b"path\n" + b"a.png\n" * 5_000_000)
    assert bomb.stat().st_size < 50_000
    with pytest.raises(SourceError, match="would unpack to 28 MB"):
        import_crops(store, PixelEncoder(), bomb)


def test_a_zip_that_unpacks_to_hundreds_of_times_its_size_is_refused(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "_FREE_INFLATION", 1 << 20)
    with pytest.raises(SourceError, match=r"would unpack to 2 MB, .* times its size"):
        import_crops(
            store, PixelEncoder(), zipped(tmp_path / "bomb.zip", a_bmp=bytes(1 << 20), b_bmp=bytes(1 << 20))
        )
    pictures = write_pictures(tmp_path / "in", ["a.png", "b.png"])
    with zipfile.ZipFile(tmp_path / "good.zip", "w") as archive:
        for file in pictures.iterdir():
            archive.write(file, file.name)
    assert import_crops(store, PixelEncoder(), tmp_path / "good.zip").added == 2


def test_a_manifest_has_so_many_rows_and_no_more(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_ROWS", 3)
    write_pictures(tmp_path / "in", ["a.png"])
    manifest = tmp_path / "in" / "m.csv"
    write_manifest(manifest, "path", *["a.png"] * 3)
    assert import_crops(store, PixelEncoder(), manifest).added == 1
    write_manifest(manifest, "path", *["a.png"] * 4)
    with pytest.raises(SourceError, match="more than 3 rows"):
        import_crops(store, PixelEncoder(), manifest)


def test_a_manifest_of_nothing_but_refused_rows_is_refused_with_the_first(store, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "MOST_REFUSED_ROWS", 5)
    manifest = write_manifest(tmp_path / "m.csv", "path", *["notes.txt"] * 7)
    with pytest.raises(SourceError, match=r"more than 5 rows that cannot be used; the first: notes\.txt"):
        import_crops(store, PixelEncoder(), manifest)


@pytest.mark.parametrize("pattern", [None, r"(?P<camera>\w+)/"])
def test_names_of_more_than_a_thousand_characters_are_refused_unread(store, tmp_path, pattern):
    file = write_pictures(tmp_path / "in", ["a.png"]) / "a.png"
    long = "20260512-140520" + "_" * 60_000 + "/x.png"
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name in (long, "door/" + "x" * 991 + ".png", "door/" + "x" * 992 + ".png", "y" * 60_000):
            archive.write(file, name)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr(long, b"")
    report = import_crops(store, PixelEncoder(), tmp_path / "in.zip", pattern=pattern)
    assert (report.added, report.ignored) == (1, 1)
    told = {(one.path, one.reason) for one in report.rejected}
    assert told == {
        (f"{long[:100]}…", "its name has more than 1,000 characters"),
        (f"{long[:100]}…", "the archive has several files of this name; the last one was taken"),
        (f"door/{'x' * 95}…", "its name has more than 1,000 characters"),
    }


def test_words_of_more_than_a_thousand_characters_are_refused_with_their_row(store, tmp_path):
    write_pictures(tmp_path / "in", ["a.png", "b.png", "c.png", "d.png"])
    long = "cam " * 300
    manifest = write_manifest(
        tmp_path / "in" / "m.csv", "path,camera,person",
        f"a.png,{long},", f"b.png,1,{long}", "c.png,1,2", "d" * 1001 + ".png,,",
    )  # fmt: skip
    report = import_crops(store, PixelEncoder(), manifest)
    assert report.added == 1 and [one.reason for one in report.rejected] == [
        "its name has more than 1,000 characters",
        "its camera has more than 1,000 characters",
        "its person has more than 1,000 characters",
    ]
    with pytest.raises(SourceError, match="the camera's name has more than 1,000"):
        import_crops(store, PixelEncoder(), tmp_path / "in" / "a.png", camera=long)


@pytest.mark.parametrize("kind", ["folder", "zip", "manifest", "zip with a manifest"])
def test_stop_is_heard_while_a_source_is_read(store, tmp_path, kind):
    names = [f"{n:02}/{n:02}.png" for n in range(40)]
    folder = write_pictures(tmp_path / "in", names)
    if kind != "zip" and "manifest" in kind:
        write_manifest(folder / "manifest.csv", "path", *names)
    source = folder
    if kind.startswith("zip"):
        source = tmp_path / "in.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for file in sorted(folder.rglob("*.*")):
                archive.write(file, file.relative_to(folder).as_posix())
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked > 20

    report = import_crops(store, PixelEncoder(), source, stop=stop)
    assert report.stopped and (report.added, report.unchanged, report.rejected) == (0, 0, ())
    assert asked == 21  # of forty
    assert import_crops(store, PixelEncoder(), source).added == 40


def test_stop_is_heard_while_pictures_are_decoded(store, tmp_path, monkeypatch):
    source = write_pictures(tmp_path / "in", ["a.png", "b.png"])
    decoding, heard = threading.Event(), threading.Event()
    decode = importer.decode

    def slow(*args, **options):
        decoding.set()
        assert heard.wait(60)  # until somebody has asked
        return decode(*args, **options)

    def stop() -> bool:
        if decoding.is_set():
            heard.set()
        return decoding.is_set()

    monkeypatch.setattr(importer, "decode", slow)
    report = import_crops(store, PixelEncoder(), source, stop=stop)
    assert report.stopped and report.added == 0 and heard.is_set() and store.count() == 0


class Clock:
    """Stands for `time` in the importer: a second passes for each picture that is encoded."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_a_slow_encoder_gets_few_at_a_time_and_all_are_imported(store, tmp_path, monkeypatch):
    clock, sizes = Clock(), []
    monkeypatch.setattr(importer, "time", clock)

    class Slow(PixelEncoder):
        def encode_images(self, images, batch_size=64):
            sizes.append(len(images))
            clock.now += len(images) * self.seconds
            return super().encode_images(images)

    encoder = Slow()
    encoder.seconds = 1.0
    assert (
        import_crops(
            store, encoder, write_pictures(tmp_path / "slow", [f"{n:02}.png" for n in range(20)])
        ).added
        == 20
    )
    assert set(sizes[2:]) == {1} and sum(sizes) == 20  # one batch is prepared ahead
    sizes.clear()
    encoder.seconds = 0.001
    quick = write_pictures(tmp_path / "quick", [f"{n:03}.png" for n in range(200)], first_seed=100)
    assert import_crops(store, encoder, quick).added == 200
    assert max(sizes) == importer.BATCH


@given(st.lists(st.floats(1e-5, 100), min_size=1, max_size=30), st.integers(1, 64))
def test_a_pace_follows_what_was_measured(seconds_each, most):
    pace = Pace(most, first=4, seconds=0.5)
    for each in seconds_each:
        before = pace.size
        pace.took(before, before * each)
        assert 1 <= pace.size <= min(most, 2 * before)
        assert pace.size == 1 or pace.size * each <= 0.5 + 1e-9
    for _ in range(8):
        pace.took(pace.size, 0.0)
    assert pace.size == most
