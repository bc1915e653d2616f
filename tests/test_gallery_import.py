"""Folders, zips and manifests, with what people get wrong in them."""

from __future__ import annotations

import csv
import os
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from gallery_store import files as disk
from gallery_store import importer, media
from gallery_store.crops import Filters
from gallery_store.importer import ImportReport, Rejected, import_crops
from gallery_store.media import MediaWriter
from gallery_store.sources import SourceError, zip_problem
from gallery_store.store import GalleryError, GalleryStore
from tests.gallery_tools import PixelEncoder, picture, write_pictures


@pytest.fixture
def store(tmp_path):
    with GalleryStore.open(tmp_path / "g.db", zone="Europe/Paris") as store:
        yield store


def everything(store: GalleryStore) -> list:
    return store.crops(store.matching(Filters()).tolist())


def write_manifest(file: Path, header: str, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return file


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
    crops = everything(store)
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
    assert seen == [(0, 9), (9, 9)]
    again = import_crops(store, PixelEncoder(), source)
    assert (again.added, again.unchanged, len(again.rejected)) == (0, 7, 2) and store.count() == 7


def test_vectors_are_those_of_the_pictures(store, tmp_path):
    source = write_pictures(tmp_path / "in", [f"{n:03}.png" for n in range(150)])
    assert import_crops(store, PixelEncoder(), source).added == 150
    crops = everything(store)
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
    found = {crop.path: (crop.person, crop.camera, crop.frame, crop.tags) for crop in everything(store)}
    assert found == names
    assert len(store.matching(Filters(tags=("junk",)))) == 1


def test_a_camera_from_the_caller_goes_before_the_name_but_not_before_a_manifest(store, tmp_path):
    write_pictures(tmp_path / "in", ["0002_c1s1_000451_03.jpg", "b.jpg"])
    manifest = write_manifest(
        tmp_path / "in" / "list.csv", "path,camera", "0002_c1s1_000451_03.jpg,", "b.jpg,Gate"
    )
    import_crops(store, PixelEncoder(), manifest, camera=" Lobby ")
    assert [crop.camera for crop in everything(store)] == ["Lobby", "Gate"]


def test_a_manifest_with_everything(store, tmp_path):
    write_pictures(tmp_path / "m" / "pics", ["a.jpg", "b.jpg", "c.jpg"])
    manifest = write_manifest(
        tmp_path / "m" / "list.csv",
        "\ufeffCaption, Path ,camera,time,person,clothes,tags",
        '"a, man",pics/a.jpg,c3,2025-07-01T14:05:06,17,17-b,night; Tall |night',
        "x,./pics/b.jpg,,2025-07-01T14:05:06.5Z",
        "",
        "x,pics/c.jpg,4,2025-12-01 23:00+05:30,,,",
    )
    assert import_crops(store, PixelEncoder(), manifest) == ImportReport(3, 0, 0, ())
    a, b, c = everything(store)
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
    assert everything(store)[0].path == "b.jpg"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"file,camera\na.jpg,1\n", r"no column `path` \(its columns: file, camera\)"),
        (b"path;camera\na.jpg;1\n", r"no column `path`"),
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
    assert [(crop.path, crop.camera) for crop in everything(store)] == [("b.jpg", "7")]


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
    crops = everything(store)
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
    assert report.added == 2 and [crop.camera for crop in everything(store)] == ["4", "5"]
    assert {refused.reason for refused in report.rejected} == {"the archive has no such file"}


def test_hostile_zips_touch_nothing_outside_and_do_not_explode(store, tmp_path, monkeypatch):
    from gallery_store import sources

    monkeypatch.setattr(sources, "MAX_BYTES", 1 << 20)
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
    assert report.added == 1 and [crop.path for crop in everything(store)] == ["fine.png"]
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
        from gallery_store.decoding import PictureError
        from gallery_store.sources import read_member

        with pytest.raises(PictureError, match="larger than 1 MB"):
            read_member(archive, info, 1 << 20)


def test_links_refer_to_the_pictures_where_they_are(store, tmp_path, monkeypatch):
    source = write_pictures(tmp_path / "in", ["a.jpg", "sub/b.jpg"])
    monkeypatch.chdir(tmp_path)
    assert import_crops(store, PixelEncoder(), Path("in"), link=True).added == 2
    assert [crop.file for crop in everything(store)] == [source / "a.jpg", source / "sub" / "b.jpg"]
    assert not list(store.pictures.names())
    store.delete([1])
    assert (source / "a.jpg").is_file()  # not ours to remove


def test_one_picture_alone(store, tmp_path):
    write_pictures(tmp_path, ["0005_c2s1_000007_00.jpg"])
    assert import_crops(store, PixelEncoder(), tmp_path / "0005_c2s1_000007_00.jpg").added == 1
    assert everything(store)[0].camera == "2"


def test_an_import_can_be_stopped_and_goes_on_later(store, tmp_path, monkeypatch):
    monkeypatch.setattr(importer, "BATCH", 10)
    source = write_pictures(tmp_path / "in", [f"{n:02}.jpg" for n in range(45)])
    done: list[int] = []

    def progress(count: int, total: int) -> None:
        done.append(count)
        assert total == 45 and store.count() == count  # what is reported is on disk

    report = import_crops(store, PixelEncoder(), source, progress=progress, stop=lambda: done[-1] >= 20)
    assert report.stopped and report.added == 20 and done == [0, 10, 20]
    report = import_crops(store, PixelEncoder(), source)
    assert (report.added, report.unchanged, report.stopped) == (25, 20, False)


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
    assert everything(store)[0].file.read_bytes() == (source / "a.jpg").read_bytes()


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
        disk.flush(paths)

    def flush_names(files):
        files = list(files)
        assert len(files) == count and all(file.is_file() for file in files)
        assert store.count() == 0
        steps.append("names")
        disk.flush_names(files)

    monkeypatch.setattr(media, "flush", flush)
    monkeypatch.setattr(media, "flush_names", flush_names)
    import_crops(store, PixelEncoder(), source)
    assert steps == ["bytes", "names"] and store.count() == count
    assert not list(store.media.glob(".writing/*"))


def test_a_torn_file_under_a_good_name_is_written_anew(store, tmp_path):
    source = write_pictures(tmp_path / "in", ["a.jpg"])
    import_crops(store, PixelEncoder(), source)
    file = everything(store)[0].file
    data = file.read_bytes()
    store.delete([1])
    file.write_bytes(data[:10])
    import_crops(store, PixelEncoder(), source)
    assert file.read_bytes() == data


def test_a_full_or_forbidden_disk_is_one_error(store, tmp_path):
    store.media.write_text("in the way")
    with pytest.raises(GalleryError, match=r"g\.media cannot be written"):
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


def test_a_manifest_written_by_csv_writer_survives_quotes_and_newlines(store, tmp_path):
    write_pictures(tmp_path, ['a "b", c.jpg'])
    with (tmp_path / "list.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "note"])
        writer.writerow(['a "b", c.jpg', "two\nlines"])
    assert import_crops(store, PixelEncoder(), tmp_path / "list.csv").added == 1
