"""Folders, zips and manifests, with what people get wrong in them."""

from __future__ import annotations

import csv
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gallery_store import archives
from gallery_store.archives import read_member, zip_problem
from gallery_store.crops import Filters
from gallery_store.decoding import PictureError
from gallery_store.importer import ImportReport, import_crops
from gallery_store.items import SourceError
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder, all_crops, write_manifest, write_pictures


@pytest.fixture
def store(tmp_path):
    with GalleryStore.open(tmp_path / "g.db", zone="Europe/Paris") as store:
        yield store


def test_a_folder_in_order_with_other_files_and_bad_ones(store, tmp_path):
    source = write_pictures(
        tmp_path / "in", ["b.PNG", "a/x.jpeg", "c.webp", "d.bmp", "e.tif", "f.tiff", "g.jpg"]
    )
    (source / "notes.txt").write_text("x")
    (source / ".hidden.jpg").write_text("x")
    (source / "text.jpg").write_text("not a picture")
    torn = (source / "g.jpg").read_bytes()
    (source / "torn.jpg").write_bytes(torn[: len(torn) // 2])
    seen: list[tuple[int, int]] = []
    report = import_crops(store, PixelEncoder(), source, progress=lambda *at: seen.append(at))
    assert (report.added, report.unchanged, report.ignored) == (7, 0, 2)
    assert [refused.path for refused in report.rejected] == ["text.jpg", "torn.jpg"]
    assert "known kind" in report.rejected[0].reason and "cut off" in report.rejected[1].reason
    crops = all_crops(store)
    assert [crop.path for crop in crops] == [
        "a/x.jpeg",
        "b.PNG",
        "c.webp",
        "d.bmp",
        "e.tif",
        "f.tiff",
        "g.jpg",
    ]
    assert all(crop.file.is_file() and crop.camera is None and crop.time is None for crop in crops)
    assert seen[0] == (0, 9) and seen[-1] == (9, 9) and seen == sorted(seen)
    again = import_crops(store, PixelEncoder(), source)
    assert (again.added, again.unchanged, len(again.rejected)) == (0, 7, 2) and store.count() == 7


def test_market_names_tell_person_camera_and_frame(store, tmp_path):
    names = {
        "0002_c1s1_000451_03.jpg": ("0002", "1", 451, ()),
        "-1_c3s2_000010_00.jpg": (None, "3", 10, ("junk",)),
        "0000_c6s1_000002_01.jpg": (None, "6", 2, ("distractor",)),
        "0010_c02_f0046182.jpg": ("0010", "2", 46182, ()),
        "1500_c6s3_086567_01.jpg.jpg": ("1500", "6", 86567, ()),
        "IMG_0002.jpg": (None, None, None, ()),
    }
    import_crops(store, PixelEncoder(), write_pictures(tmp_path / "in", names))
    found = {crop.path: (crop.person, crop.camera, crop.frame, crop.tags) for crop in all_crops(store)}
    assert found == names
    assert len(store.matching(Filters(tags=("junk",)))) == 1


def test_a_manifest_with_all_crops(store, tmp_path):
    write_pictures(tmp_path / "m" / "pics", ["a.jpg", "b.jpg", "c.jpg"])
    manifest = write_manifest(
        tmp_path / "m" / "list.csv",
        "\ufeffCaption, Path ,camera,time,person,clothes,tags",
        '"a, man",pics/a.jpg,c3,2025-07-01T14:05:06,17,17-b,night; Tall |night',
        "x,./pics/b.jpg,,2025-07-01T14:05:06.5Z",
        "",
        "x,pics/c.jpg,4,2025-12-01 23:00+05:30,,,",
    )
    without = ("of 3 pictures: 1 without a camera, 2 without a person",)
    report = import_crops(store, PixelEncoder(), manifest)
    assert replace(report, photographs=0) == ImportReport(3, 0, 0, (), notes=without)
    a, b, c = all_crops(store)
    assert (a.path, a.camera, a.person, a.clothes, a.tags) == (
        "pics/a.jpg",
        "c3",
        "17",
        "17-b",
        ("night", "Tall"),
    )
    assert a.time == datetime(2025, 7, 1, 12, 5, 6, tzinfo=UTC)  # 14:05 in Paris
    assert b.path == "./pics/b.jpg" and b.time == datetime(2025, 7, 1, 14, 5, 6, 500_000, tzinfo=UTC)
    assert c.time == datetime(2025, 12, 1, 17, 30, tzinfo=UTC) and c.person is None
    assert import_crops(store, PixelEncoder(), manifest).unchanged == 3


def test_bad_rows_are_rejected_one_by_one(store, tmp_path):
    write_pictures(tmp_path, ["a.jpg", "b.jpg"])
    (tmp_path / "c.txt").write_text("x")
    manifest = write_manifest(
        tmp_path / "list.csv",
        "path,camera,time",
        "a.jpg,1,yesterday",
        "a.jpg,1,2025-13-01T00:00",
        "a.jpg,1,0001-01-01T00:00:00",
        "gone.jpg,1,",
        ",1,2025-01-01T00:00",
        "c.txt,1,",
        "b.jpg,1,2025-01-01T10:00,one cell too many",
    )
    report = import_crops(store, PixelEncoder(), manifest)
    assert report.added == 1 and report.ignored == 0
    reasons = [(refused.path, refused.reason) for refused in report.rejected]
    assert [path for path, _ in reasons] == ["a.jpg", "a.jpg", "a.jpg", "line 6", "c.txt", "gone.jpg"]
    for (_, reason), expected in zip(
        reasons,
        ["'yesterday' is not ISO", "'2025-13", "years", "no path", "name", "does not exist"],
        strict=True,
    ):
        assert expected in reason
    assert all_crops(store)[0].path == "b.jpg"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"file,camera\na.jpg,1\n", r"no column `path` \(its columns: file, camera\)"),
        (b"file;camera\na.jpg;1\n", r"no column `path` \(its columns: file, camera\)"),
        (b"path,camera\n", "no rows"),
        (b"", "empty"),
        (b"path\n\xff\xfe\n", "UTF-8"),
        (b'path\n"a\0b.jpg"\n' + b'"' + b"x" * 200_000 + b'"\n', "not CSV"),
    ],
)
def test_a_bad_manifest_is_one_error(store, tmp_path, content, reason):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(SourceError, match=reason) as caught:
        import_crops(store, PixelEncoder(), tmp_path / "list.csv")
    assert "list.csv" in str(caught.value)


def test_a_folder_with_a_manifest_is_read_by_it(store, tmp_path):
    source = write_pictures(tmp_path / "in", ["a.jpg", "b.jpg"])
    write_manifest(source / "manifest.csv", "path,camera", "b.jpg,7")
    assert import_crops(store, PixelEncoder(), source).added == 1
    assert [(crop.path, crop.camera) for crop in all_crops(store)] == [("b.jpg", "7")]


def test_sources_with_nothing_in_them(store, tmp_path):
    (tmp_path / "empty" / "also").mkdir(parents=True)
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    (tmp_path / "broken.zip").write_bytes(b"PK\x03\x04 no zip")
    (tmp_path / "x.txt").write_text("x")
    for name, reason in [
        ("empty", "is empty"),
        ("empty.zip", "is empty"),
        ("broken.zip", "not a readable zip"),
        ("x.txt", "neither a folder"),
        ("nowhere", "no file or folder"),
    ]:
        with pytest.raises(SourceError, match=reason) as caught:
            import_crops(store, PixelEncoder(), tmp_path / name)
        assert name in str(caught.value)


def test_a_zip(store, tmp_path):
    source = write_pictures(tmp_path / "in", ["x/0001_c1s1_000001_00.jpg", "b.png"])
    file = tmp_path / "pack.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for picture_file in sorted(source.rglob("*.*")):
            archive.write(picture_file, picture_file.relative_to(source))
        archive.writestr("__MACOSX/._b.png", "x")
        archive.writestr("notes.txt", "x")
        archive.writestr("bad.jpg", "x")
    report = import_crops(store, PixelEncoder(), file)
    assert (report.added, report.ignored) == (2, 2)
    assert [refused.path for refused in report.rejected] == ["bad.jpg"]
    crops = all_crops(store)
    assert [crop.path for crop in crops] == ["b.png", "x/0001_c1s1_000001_00.jpg"]
    assert crops[0].file.read_bytes() == (source / "b.png").read_bytes()
    assert import_crops(store, PixelEncoder(), file).unchanged == 2
    with pytest.raises(SourceError, match="cannot be linked"):
        import_crops(store, PixelEncoder(), file, link=True)


def test_a_zip_with_a_manifest(store, tmp_path):
    write_pictures(tmp_path, ["a.jpg", "b.jpg"])
    file = tmp_path / "pack.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.write(tmp_path / "a.jpg", "pics/a.jpg")
        archive.writestr(
            "manifest.csv", f"path,camera\npics/a.jpg,4\n../b.jpg,1\n{tmp_path}/b.jpg,1\n./pics/a.jpg,5\n"
        )
    report = import_crops(store, PixelEncoder(), file)
    assert report.added == 2 and [crop.camera for crop in all_crops(store)] == ["4", "5"]
    assert {refused.reason for refused in report.rejected} == {"the archive has no such file"}


def test_hostile_zips_touch_nothing_outside_and_do_not_explode(store, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 1 << 20)
    good = write_pictures(tmp_path / "in", ["a.png"]) / "a.png"
    file = tmp_path / "pack.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (
            "../evil.jpg",
            "/evil.jpg",
            "x/../../evil.jpg",
            "x\\..\\evil.jpg",
            "C:\\evil.jpg",
            "fine.png",
        ):
            archive.writestr(zipfile.ZipInfo(name), good.read_bytes())
        archive.writestr("bomb.png", b"\0" * (5 << 20))
        archive.writestr("secret.png", good.read_bytes())
        archive.writestr("damaged.png", good.read_bytes() * 2)
    data = bytearray(file.read_bytes())
    central = data.rfind(b"PK\x01\x02", 0, data.rfind(b"secret.png"))
    data[central + 8] |= 1  # says that it is encrypted
    local = data.find(b"damaged.png") + len("damaged.png") + 20
    data[local : local + 8] = b"\xff" * 8
    file.write_bytes(data)
    report = import_crops(store, PixelEncoder(), file)
    assert report.added == 1 and [crop.path for crop in all_crops(store)] == ["fine.png"]
    reasons = {refused.path: refused.reason for refused in report.rejected}
    assert len(reasons) == 8
    assert reasons["secret.png"] == "it is encrypted" and "larger than 1 MB" in reasons["bomb.png"]
    assert "unpacked" in reasons["damaged.png"]
    for name in ("../evil.jpg", "/evil.jpg", "x/../../evil.jpg", "x\\..\\evil.jpg", "C:\\evil.jpg"):
        assert "outside" in reasons[name]
    assert not list(tmp_path.rglob("evil*")) and not list(tmp_path.parent.glob("evil*"))


def test_a_member_that_lies_about_its_size_is_cut_off(tmp_path):
    file = tmp_path / "pack.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.png", b"\0" * (3 << 20))
    with zipfile.ZipFile(file) as archive:
        info = archive.getinfo("bomb.png")
        assert zip_problem(info) is None
        with pytest.raises(PictureError, match="larger than 1 MB"):
            read_member(archive, info, 1 << 20)


def test_one_picture_alone(store, tmp_path):
    write_pictures(tmp_path, ["0005_c2s1_000007_00.jpg"])
    assert import_crops(store, PixelEncoder(), tmp_path / "0005_c2s1_000007_00.jpg").added == 1
    assert all_crops(store)[0].camera == "2"


def test_a_manifest_written_by_csv_writer_survives_quotes_and_newlines(store, tmp_path):
    write_pictures(tmp_path, ['a "b", c.jpg'])
    with (tmp_path / "list.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "note"])
        writer.writerow(['a "b", c.jpg', "two\nlines"])
    assert import_crops(store, PixelEncoder(), tmp_path / "list.csv").added == 1
