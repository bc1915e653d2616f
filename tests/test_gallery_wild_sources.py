"""Zips, manifests and folders as Windows, macOS and spreadsheets make them. Cases of tests/data/wild by their names."""

from __future__ import annotations

import os
import unicodedata
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallery_store.importer import import_crops
from gallery_store.sources import read_source
from gallery_store.store import GalleryStore
from gallery_store.written_times import day_first, read_time
from tests.gallery_tools import PixelEncoder, all_crops, picture, write_manifest, write_pictures

WILD = Path(__file__).parent / "data" / "wild"
PARIS = ZoneInfo("Europe/Paris")
TEN, ELEVEN = (datetime(2026, 5, 12, hour, tzinfo=UTC) for hour in (8, 9))  # in Paris, two hours later


@pytest.fixture
def store(tmp_path):
    with GalleryStore.open(tmp_path / "g.db", zone="Europe/Paris") as store:
        yield store


def imported(store: GalleryStore, source: Path) -> list[tuple]:
    """(path, camera, time) of all crops after an import in which nothing is rejected."""
    report = import_crops(store, PixelEncoder(), source)
    assert report.rejected == ()
    return [(crop.path, crop.camera, crop.time) for crop in all_crops(store)]


@pytest.mark.parametrize(
    ("case", "names"),
    [
        ("zip-backslash/win.zip", ["crops/a.png", "crops/b.png"]),
        ("zip-wrapped/site.zip", ["a.png", "b.png"]),
        ("zip-mac/mac.zip", ["Südtür_1.png", "Nordtor_2.png"]),
        ("zip-nfd/nfd.zip", ["Südtür_1.png", "Nordtor_2.png"]),
        ("csv-semicolon", ["a.png", "b.png"]),
        ("csv-tab", ["a.png", "b.png"]),
        ("csv-backslash", ["crops/a.png", "crops/b.png"]),
        ("csv-nfd", ["Südtür_1.png", "Nordtor_2.png"]),
        ("csv-times", ["a.png", "b.png"]),
    ],
)
def test_the_wild_cases_keep_paths_cameras_and_times(store, case, names):
    expected = [(names[0], "1", TEN), (names[1], "2", ELEVEN)]
    assert imported(store, WILD / case) == expected


def test_csv_unlisted_pictures_are_counted(store):
    beside = import_crops(store, PixelEncoder(), WILD / "csv-unlisted" / "manifest.csv")
    report = import_crops(store, PixelEncoder(), WILD / "csv-unlisted")
    assert (beside.added, report.unchanged) == (1, 1) and set(report.notes) == set(beside.notes)
    assert "pictures beside the manifest manifest.csv that it does not list, left out: 1" in report.notes


def test_jfif_jpe_and_mpo_are_taken_from_a_folder(store):
    report = import_crops(store, PixelEncoder(), WILD / "jfif")
    assert (report.ignored, report.rejected) == (0, ())
    # Their first pictures are one, so that crops of no camera and no time may be one too.
    assert report.added + report.unchanged == 3 and report.added >= 1


def zip_of(file: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data)
    return file


def png(folder: Path, seed: int) -> bytes:
    folder.mkdir(exist_ok=True)
    picture(seed).save(folder / "x.png")
    return (folder / "x.png").read_bytes()


@pytest.mark.parametrize(
    "name", ["Manifest.csv", "MANIFEST.CSV", "./manifest.csv", "a/b/Manifest.csv", "a\\manifest.csv"]
)
def test_a_manifest_in_any_case_and_a_wrapped_one(store, tmp_path, name):
    folder = name.replace("\\", "/").rpartition("/")[0]
    file = zip_of(
        tmp_path / "z.zip",
        (f"{folder}/p/1.png" if folder else "p/1.png", png(tmp_path / "i", 1)),
        (name, b"path,camera\nP\\1.PNG,7\n"),
    )
    report = import_crops(store, PixelEncoder(), file)
    assert report.rejected == () and [crop.camera for crop in all_crops(store)] == ["7"]


def test_several_manifests_and_pictures_outside_are_said(store, tmp_path):
    one, two = png(tmp_path / "i", 1), png(tmp_path / "i", 2)
    file = zip_of(
        tmp_path / "z.zip",
        ("a/1.png", one), ("a/manifest.csv", b"path,camera\n1.png,7\n"), ("2.png", two),
    )  # fmt: skip
    report = import_crops(store, PixelEncoder(), file)
    assert report.added == 2 and any(note.startswith("a/manifest.csv was not read") for note in report.notes)


def test_of_two_members_of_one_name_the_last_is_kept_and_it_is_said(store, tmp_path):
    one, two = png(tmp_path / "i", 1), png(tmp_path / "i", 2)
    report = import_crops(store, PixelEncoder(), zip_of(tmp_path / "z.zip", ("a.png", one), ("./a.png", two)))
    assert report.added == 1 and all_crops(store)[0].file.read_bytes() == two
    assert [(refused.path, "several files" in refused.reason) for refused in report.rejected] == [
        ("a.png", True)
    ]


@pytest.mark.parametrize(
    ("data", "cameras"),
    [
        ("sep=;\r\npath;camera\r\na.png;1,5\r\n".encode("utf-8-sig"), ["1,5"]),
        (b'"sep=|"\npath|camera\na.png|x\n', ["x"]),
        ("path\tcamera\r\na.png\tTür\r\n".encode("utf-16"), ["Tür"]),
        (b'path;camera;tags\na.png;3;"x;y"\n', ["3"]),
        (b"\xef\xbb\xbfPath,Camera\na.png,2\n", ["2"]),
        (b"note;a,path,b;c,camera\nq,a.png,z,4\n", ["4"]),
    ],
)
def test_what_sets_cells_apart_and_how_text_is_encoded(store, tmp_path, data, cameras):
    write_pictures(tmp_path / "in", ["a.png"])
    (tmp_path / "in" / "list.csv").write_bytes(data)
    imported(store, tmp_path / "in" / "list.csv")
    assert [crop.camera for crop in all_crops(store)] == cameras


@pytest.mark.parametrize(
    "text",
    [
        "12.05.2026 14:05", "12.5.2026 14:05:00", "2026:05:12 14:05:00", "2026/05/12 2:05 PM", "12/05/2026 14:05",
        "12-05-2026 02:05 p.m.", "2026-05-12 14:05", "1778587500", "1778587500000", "46154,586805556",
        "46154.586805556",
    ],
)  # fmt: skip
def test_one_moment_in_many_spellings(text):
    assert read_time(text, PARIS, days_first=True) == datetime(2026, 5, 12, 12, 5, tzinfo=UTC)


def test_days_and_months_are_told_by_all_the_rows_or_refused():
    assert read_time("5/12/2026 2:05 PM", PARIS, False).day == 12
    assert (day_first(["1/2/2026", "13/2/2026"]), day_first(["1/2/2026", "2/13/2026"])) == (True, False)
    assert day_first(["13/2/2026", "2/13/2026"]) is day_first(["1/2/2026", "", "x"]) is None
    assert read_time("5/5/2026", PARIS).month == 5 and read_time("2/13/2026", PARIS).day == 12  # 23:00 UTC
    with pytest.raises(ValueError, match="may be two days"):
        read_time("5/12/2026", PARIS)
    for text in ("31.02.2026", "12.05.2026 25:00", "12.05.2026 13:00 PM", "1/2/26", "0/0/2026"):
        with pytest.raises(ValueError, match="time"):
            read_time(text, PARIS)


@given(
    st.datetimes(datetime(1970, 1, 2), datetime(2199, 1, 1)).map(lambda moment: moment.replace(microsecond=0))
)
def test_what_is_written_is_read(moment):
    for form in ("%d.%m.%Y %H:%M:%S", "%Y:%m:%d %H:%M:%S", "%d/%m/%Y %I:%M:%S %p", "%Y-%m-%dT%H:%M:%S"):
        assert read_time(moment.strftime(form), ZoneInfo("UTC"), True) == moment.replace(tzinfo=UTC)


def test_slashed_days_of_a_manifest_are_told_by_its_other_rows(store, tmp_path):
    write_pictures(tmp_path, ["a.png", "b.png"])
    manifest = write_manifest(
        tmp_path / "m.csv", "path,time", "a.png,5/6/2026 10:00", "b.png,5/13/2026 10:00"
    )
    assert [crop[2].month for crop in imported(store, manifest)] == [5, 5]
    manifest.write_text("path\ttime\na.png\t13/6/2026 10:00\nb.png\t5/6/2026 10:00\n", "utf-16")
    assert [item.time.month for item in read_source(manifest, PARIS).items if item.time] == [6, 6]
    write_manifest(manifest, "path,time", "a.png,5/6/2026 10:00")
    report = import_crops(store, PixelEncoder(), manifest)
    assert "may be two days" in report.rejected[0].reason


def test_a_folder_of_names_taken_apart_keeps_them_composed(store, tmp_path):
    write_pictures(tmp_path / "in", [unicodedata.normalize("NFD", "Tür.png")])
    assert imported(store, tmp_path / "in")[0][0] == "Tür.png"


def test_a_folder_that_cannot_be_listed_is_one_rejected_line(store, tmp_path, monkeypatch):
    folder = write_pictures(tmp_path / "in", ["a.png", "locked/b.png", "z/c.png"])
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = import_crops(store, PixelEncoder(), folder)
    assert report.added == 2
    assert [(refused.path, refused.reason) for refused in report.rejected] == [
        ("locked", "the folder cannot be read (Permission denied)")
    ]


def test_linked_folders_are_followed_once_and_loops_are_cut(store, tmp_path):
    folder = write_pictures(tmp_path / "in", ["b/one.png"])
    write_pictures(tmp_path / "elsewhere", ["two.png"], first_seed=5)
    (folder / "self").symlink_to("self")
    (folder / "gone").symlink_to("nowhere")
    (folder / "a").symlink_to("b")  # before it by name: the folder itself is read, not the link
    (folder / "b" / "loop").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path / "elsewhere")
    (folder / "out2").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    report = import_crops(store, PixelEncoder(), folder)
    assert [crop.path for crop in all_crops(store)] == ["b/one.png", "out/two.png"]
    assert "linked folders, followed: 1" in report.notes
    assert "links to folders that were read already, left out: 4" in report.notes


def test_a_manifest_one_folder_down_on_disk(tmp_path):
    write_pictures(tmp_path / "in", ["site/a.png", "site/b.png"])
    write_manifest(tmp_path / "in" / "site" / "Manifest.csv", "path,camera", "a.png,9")
    source = read_source(tmp_path / "in", PARIS)
    assert [(item.path, item.camera) for item in source.items] == [("a.png", "9")]
    assert source.notes == (
        "pictures beside the manifest site/Manifest.csv that it does not list, left out: 1",
    )
