"""Names of data sets and plain ones tell person, camera and time; EXIF and a pattern of one's own do if asked."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gallery_store import cli
from gallery_store.__main__ import main
from gallery_store.crops import camera_key
from gallery_store.importer import import_crops, is_full_frame
from gallery_store.items import SourceError
from gallery_store.name_facts import NameFacts, NamePattern, facts_of
from gallery_store.sources import read_source
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.gallery_tools import PixelEncoder, all_crops, picture, write_manifest, write_pictures

PARIS = ZoneInfo("Europe/Paris")
LONG = 300_000
SEEN = datetime(2026, 5, 12, 12, 3, 22, tzinfo=UTC)  # 14:03:22 in Paris


@pytest.mark.parametrize(
    ("path", "person", "camera", "frame", "special"),
    [
        ("Market/0002_c1s1_000451_03.jpg", "0002", "1", 451, None),
        ("Market/-1_c3s2_000010_00.jpg", None, "3", 10, "junk"),
        ("Market/0000_c6s1_000002_01.jpg", None, "6", 2, "distractor"),
        ("Duke/0010_c02_f0046182.jpg", "0010", "2", 46182, None),
        ("Market/0002-c1s1-000451-03.jpg", "0002", "1", 451, None),
        ("Market/0002 c1s1 000451 03.jpg", "0002", "1", 451, None),
        ("Market/0002.c1s1.000451.03.jpg", "0002", "1", 451, None),
        ("Market/0002-C1S1-000451-03.jpg.jpg", "0002", "1", 451, None),
        ("Market/-1-c3s2-000010-00.jpg", None, "3", 10, "junk"),
        ("Market/0000-c6s1-000002-01.jpg", None, "6", 2, "distractor"),
        ("Duke/0000-c06-f000002.jpg", "0000", "6", 2, None),
        ("site/0002 c1 000451.jpg", "0002", "1", 451, None),
        ("RSTPReid/imgs/0000_c14_0022.jpg", "0000", "14", 22, None),
        ("MSMT17/train/0000/0000_000_01_0303morning_0015_0.jpg", "0000", "1", 15, None),
        ("MSMT17/test/0003_021_14_0302afternoon_1000_1_ex.jpg", "0003", "14", 1000, None),
        ("LTCC/train/000_1_c10_015833.png", "000", "10", 15833, None),
        ("prcc/rgb/train/001/A_cropped_rgb001.jpg", "001", "A", None, None),
        ("prcc/rgb/test/B/034/cropped_rgb012.jpg", "034", "B", None, None),
        ("cuhk03/detected/1_001_2_07.png", "1_001", "2", None, None),
        ("CUHK01/campus/0001002.png", "0001", "1", None, None),
        ("CUHK01/campus/0971003.png", "0971", "2", None, None),
        ("VIPeR/cam_a/000_45.bmp", "000", "a", None, None),
        ("MARS/bbox_train/0001/0001C1T0002F003.jpg", "0001", "1", 3, None),
        ("MARS/bbox_test/00-1/00-1C2T0001F003.jpg", None, "2", 3, "junk"),
        ("MARS/bbox_test/0000/0000C2T0001F003.jpg", None, "2", 3, "distractor"),
    ],
)
def test_names_of_the_fields_data_sets(path, person, camera, frame, special):
    facts = facts_of(path, PARIS)
    assert (facts.person, facts.camera, facts.frame, facts.special) == (person, camera, frame, special)
    assert facts.time is None


def test_names_of_rap_tell_camera_frame_and_when_the_recording_began():
    name = "RAP/CAM01-2014-02-15-20140215161032-20140215162620-tarid0-frame218-line1.png"
    began = datetime(2014, 2, 15, 15, 10, 32, tzinfo=UTC)
    assert facts_of(name, PARIS) == NameFacts(camera="1", time=began, frame=218)


@pytest.mark.parametrize(
    ("path", "person", "camera", "time"),
    [
        ("cam3_2026-05-12_14-03-22.jpg", None, "3", SEEN),
        ("Camera 03/20260512T140322.jpg", None, "3", SEEN),
        ("site/cam-entrance/2026.05.12 14.03.22.jpg", None, "entrance", SEEN),
        ("IMG_20260512_140322123.jpg", None, None, SEEN),
        ("person17_cam2_20260512140322.png", "17", "2", SEEN),
        ("c4/7.jpg", None, "4", None),
        ("20260512_140322_c5.jpg", None, "5", SEEN),
        ("20260512-c5-000451.jpg", None, "5", None),  # a date, and no person
        ("0002-c1_000451.jpg", None, "1", None),  # of two kinds of marks
        ("cam1_2026-13-12_14-03-22.jpg", None, "1", None),
        ("campaign2.jpg", None, None, None),
        ("campus2/IMG_0002.jpg", None, None, None),
        ("0001002.png", None, None, None),
        ("202605121403229999.jpg", None, None, None),
    ],
)
def test_plain_names_and_folders_of_cameras(path, person, camera, time):
    assert facts_of(path, PARIS) == NameFacts(person=person, camera=camera, time=time)


@pytest.mark.parametrize(
    "name",
    [
        "0000_000_01_0303morning_0015_" + "1" * LONG,
        "/cuhk01" * LONG + "/x.jpg",
        "cuhk01" * LONG + "/x.jpg",
        "cam" + "_" * LONG + "\n/x.jpg",
    ],
)
def test_a_name_is_read_in_as_long_as_it_is(name):
    """One that is gone over once more for each of its characters would never be read."""
    assert facts_of(name, PARIS).person is None


def test_a_camera_is_told_in_as_long_as_its_name_is():
    assert camera_key("cam " * LONG + "03") == camera_key("Camera 3") == "3"
    assert camera_key("cam camera: Cam-Front Door") == "front door" and camera_key("Camera cam") == "cam"


def test_a_frame_that_no_database_holds_is_none():
    name = "CAM01-2014-02-15-20140215161032-20140215162620-tarid0-frame{}-line1.png"
    assert facts_of(name.format("218"), PARIS).frame == 218
    assert facts_of(name.format("9" * 5000), PARIS).frame is None


@pytest.mark.parametrize("folder", ["CUHK01", "a/my cuhk01", "cuhk01-crops/x/cuhk01 y", "CUHK01/a/b/c"])
def test_cuhk01_is_told_by_a_folder_above(folder):
    is_told = " " not in folder
    facts = facts_of(f"{folder}/0001002.png", PARIS)
    assert (facts.person, facts.camera) == (("0001", "1") if is_told else (None, None))


@given(st.text(max_size=60))
def test_any_name_is_read_without_an_error(path):
    assert isinstance(facts_of(path, PARIS), NameFacts)


@pytest.fixture
def store(tmp_path):
    with GalleryStore.open(tmp_path / "g.db", zone="Europe/Paris") as store:
        yield store


def test_a_folder_a_camera_and_the_folder_imported_itself(store, tmp_path):
    folder = write_pictures(tmp_path / "in", ["cam1/a.png", "cam 2/b.png", "c.png"])
    report = import_crops(store, PixelEncoder(), folder)
    assert {crop.path: crop.camera for crop in all_crops(store)} == {
        "cam1/a.png": "1",
        "cam 2/b.png": "2",
        "c.png": None,
    }
    assert "of 3 pictures: 1 without a camera, 3 without a time, 3 without a person" in report.notes
    (one,) = read_source(folder / "cam1", PARIS).items
    assert one.camera == "1"


def test_times_by_name_exif_or_not_at_all_and_a_manifest_before_them(tmp_path):
    exif = Image.Exif()
    exif.get_ifd(0x8769)[36867] = "2025:01:02 03:04:05"
    folder = tmp_path / "in"
    folder.mkdir()
    picture(1).save(folder / "20260512_140322.jpg", exif=exif)
    picture(2).save(folder / "20260512_140323.jpg")
    zoned = Image.Exif()
    zoned.get_ifd(0x8769).update({36867: "2025:01:02 03:04:05", 36881: "-05:00"})
    picture(3).save(folder / "z.jpg", exif=zoned)

    def times(how: str) -> list[datetime | None]:
        return [item.time for item in read_source(folder, PARIS, times=how).items]

    by_name = [SEEN, SEEN.replace(second=23), None]
    assert times("name") == by_name and times("none") == [None] * 3
    assert times("exif") == [
        datetime(2025, 1, 2, 2, 4, 5, tzinfo=UTC), by_name[1], datetime(2025, 1, 2, 8, 4, 5, tzinfo=UTC)
    ]  # fmt: skip
    write_manifest(folder / "manifest.csv", "path,time", "20260512_140322.jpg,2024-01-01T00:00Z")
    assert times("exif") == times("none") == [datetime(2024, 1, 1, tzinfo=UTC)]


def test_a_pattern_of_ones_own(tmp_path):
    folder = write_pictures(tmp_path / "in", ["lobby/p7/12.05.2026 14.03.22.png", "other.png"])
    pattern = r"(?P<camera>\w+)/p(?P<person>\d+)/(?P<time>.+)\.png"
    first, second = read_source(folder, PARIS, pattern=pattern).items
    assert (first.camera, first.person, first.time) == ("lobby", "7", SEEN)
    assert (second.camera, second.person, second.time) == (None, None, None)
    for wrong, reason in [
        ("(", "no regular expression"),
        ("x", "no group"),
        ("(?P<person>zzz)", "fits none of"),
        (r"(?P<camera>lobby)/p(?P<time>\d+)", "the time is no time"),
    ]:
        with pytest.raises(SourceError, match=reason):
            read_source(folder, PARIS, pattern=wrong)
    assert NamePattern("(?P<time>.+)").facts_of("no time", PARIS) is None


def test_a_pattern_is_shown_before_anything_is_imported(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CHATREID_CLIP", str(make_clip_folder(tmp_path / "clip")))
    folder = write_pictures(tmp_path / "in", [f"hall-{n}.png" for n in range(7)])
    command = [
        "import",
        str(folder),
        "--gallery",
        str(tmp_path / "x.db"),
        "--pattern",
        r"(?P<camera>[a-z]+)-",
    ]
    assert main(command) == 2 and not (tmp_path / "x.db").exists()
    said = capsys.readouterr().err
    assert "hall-0.png: person none, camera hall, time none" in said and said.count("camera hall") == 5
    assert "confirm with --yes" in said
    monkeypatch.setattr(cli, "_agreed", lambda question: "7 pictures" in question)
    assert main(command) == 0
    assert main([*command, "--yes"]) == 0 and "7 unchanged" in capsys.readouterr().out


def test_full_frames_are_said(store, tmp_path):
    folder = write_pictures(tmp_path / "in", ["crop.png"])
    picture(9, 1280, 720).save(folder / "frame.png")
    report = import_crops(store, PixelEncoder(), folder)
    assert report.added == 2 and any("whole frames" in note and note.endswith(": 1") for note in report.notes)
    assert not any(map(is_full_frame, (300, 720, 200), (200, 1280, 100)))
