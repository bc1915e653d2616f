"""Importing again mends: what was lost is written again, what is told later is taken, and nothing comes twice."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from gallery_store.crops import Filters
from gallery_store.importer import ImportReport, import_crops
from gallery_store.schema import crops
from gallery_store.store import GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, all_crops, picture, write_manifest, write_pictures
from tests.old_gallery import turn_old

MANIFEST_LATER = Path(__file__).parent / "data" / "wild" / "manifest-later"
HEADER = "path,camera,time,person,clothes,tags"


@pytest.fixture
def store(gallery):
    with GalleryStore.open(gallery) as store:
        yield store


@pytest.fixture
def source(tmp_path):
    return write_pictures(tmp_path / "in", ["blue.png", "green.png", "red.png"])


def bring(store: GalleryStore, source: Path, **options) -> ImportReport:
    return import_crops(store, PixelEncoder(), source, **options)


def counts(report: ImportReport) -> tuple[int, int, int, int, int]:
    return report.added, report.completed, report.corrected, report.mended, report.unchanged


def told(store: GalleryStore) -> list[tuple]:
    return [(c.path, c.camera, c.time and c.time.isoformat(), c.person, c.tags) for c in all_crops(store)]


def test_manifest_later(store, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(MANIFEST_LATER, folder, ignore=shutil.ignore_patterns("manifest.csv"))
    assert counts(bring(store, folder)) == (3, 0, 0, 0, 0)
    shutil.copy(MANIFEST_LATER / "manifest.csv", folder)
    report = bring(store, folder)
    assert counts(report) == (0, 3, 0, 0, 0) and report.changes["camera"] == 3
    assert report.in_words().startswith("0 added, 3 completed (camera 3")
    assert store.count() == 3 and all(crop.camera for crop in all_crops(store))
    assert counts(bring(store, folder)) == (0, 0, 0, 0, 3)
    lines = (folder / "manifest.csv").read_text().splitlines()
    columns = lines[0].split(",")
    rows = [dict(zip(columns, line.split(","), strict=True)) for line in lines[1:]]
    rows[0]["person"] = "corrected"
    write_manifest(folder / "manifest.csv", lines[0], *(",".join(row.values()) for row in rows))
    report = bring(store, folder)
    assert counts(report) == (0, 0, 1, 0, 2) and report.changes == {"person": 1}
    assert "corrected" in [crop.person for crop in all_crops(store)]
    for row in rows:
        row["time"] = row["time"].replace("T", "T").replace("2026", "2025") or "2025-05-12T10:00:00"
    write_manifest(folder / "manifest.csv", lines[0], *(",".join(row.values()) for row in rows))
    report = bring(store, folder)
    assert counts(report) == (0, 0, 3, 0, 0) and report.changes == {"time": 3}
    assert store.count() == 3 and {crop.time.year for crop in all_crops(store)} == {2025}


def test_what_a_manifest_tells_later_is_found_by_filters_at_once(store, source, gallery):
    bring(store, source)
    with GalleryStore.open(gallery) as other:
        assert not len(other.matching(Filters(cameras=("3",)))) and not len(
            other.matching(Filters(tags=("tall",)))
        )
        write_manifest(source / "manifest.csv", HEADER, "red.png,c3,2026-05-12T10:00:00Z,P1,,tall")
        assert counts(bring(store, source)) == (0, 1, 0, 0, 0)
        for one in (store, other):
            one.refresh()
            assert one.matching(Filters(cameras=("3",))).tolist() == [3]
            assert one.matching(Filters(tags=("Tall",))).tolist() == [3]
            assert one.time_span() == (datetime(2026, 5, 12, 10, tzinfo=UTC),) * 2
        assert other.vectors([3]) == pytest.approx(PixelEncoder().encode_images([picture(2)]), abs=1e-3)


def test_what_is_not_told_any_more_stays_and_names_never_correct(store, tmp_path):
    source = write_pictures(tmp_path / "in", ["0002_c1s1_000451_03.png", "-1_c2s1_000001_00.png"])
    bring(store, source)
    write_manifest(
        source / "list.csv",
        HEADER,
        "0002_c1s1_000451_03.png,Gate,2026-05-12T10:00:00Z,Ann,red,tall;late",
        "-1_c2s1_000001_00.png,,,,,tall",
    )
    report = bring(store, source / "list.csv")
    # person, camera and the tag "junk" were told by the names
    assert counts(report) == (0, 0, 2, 0, 0)
    assert report.changes == {"camera": 1, "clothes": 1, "person": 1, "tags": 2, "time": 1}
    before = told(store)
    assert [crop[4] for crop in before] == [("tall", "junk"), ("tall", "late")]
    assert counts(bring(store, source)) == (0, 0, 0, 0, 2)
    write_manifest(source / "list.csv", "path", "0002_c1s1_000451_03.png", "-1_c2s1_000001_00.png")
    assert counts(bring(store, source / "list.csv")) == (0, 0, 0, 0, 2)
    assert told(store) == before


def test_the_same_bytes_from_two_cameras_stay_two(store, tmp_path):
    for folder, camera in (("a", "1"), ("b", "2")):
        write_pictures(tmp_path / folder, ["0.png"])
        assert counts(bring(store, tmp_path / folder, camera=camera)) == (1, 0, 0, 0, 0)
    for folder, camera in (("a", "1"), ("b", "2")):
        assert counts(bring(store, tmp_path / folder, camera=camera)) == (0, 0, 0, 0, 1)
    shutil.rmtree(tmp_path / "a")  # pictures are the gallery's own: its folder is often removed
    write_pictures(tmp_path / "c", ["0.png"])
    assert counts(bring(store, tmp_path / "c", camera="3")) == (1, 0, 0, 0, 0)
    assert [crop.camera for crop in all_crops(store)] == ["1", "2", "3"]


def test_a_camera_named_for_the_whole_import_completes_and_makes_a_second_sighting(store, source):
    bring(store, source)
    assert counts(bring(store, source, camera="1")) == (0, 3, 0, 0, 0)
    assert counts(bring(store, source, camera="cam 01")) == (0, 0, 0, 0, 3)
    assert counts(bring(store, source, camera="2")) == (3, 0, 0, 0, 0)
    assert counts(bring(store, source, camera="1")) == (0, 0, 0, 0, 3)


def test_two_lines_of_a_manifest_about_one_file_stay_two(store, source, monkeypatch):
    monkeypatch.setattr("gallery_store.importer.BATCH", 1)
    manifest = write_manifest(source / "m.csv", HEADER, "red.png,1,,,,", "blue.png,1,,,,", "red.png,2,,,,")
    for expected in ((3, 0, 0, 0, 0), (0, 0, 0, 0, 3)):
        assert counts(bring(store, manifest)) == expected
    write_manifest(manifest, HEADER, "red.png,1,,,,", "blue.png,1,,,,", "red.png,3,,,,")
    assert counts(bring(store, manifest)) == (1, 0, 0, 0, 2)
    assert sorted((c.path, c.camera) for c in all_crops(store) if c.path == "red.png") == [
        ("red.png", "1"),
        ("red.png", "2"),
        ("red.png", "3"),
    ]


def test_two_files_of_the_same_bytes_become_two_when_their_cameras_are_told(store, tmp_path):
    source = write_pictures(tmp_path / "in", ["a.png"])
    shutil.copy(source / "a.png", source / "b.png")
    assert counts(bring(store, source)) == (1, 0, 0, 0, 1)
    write_manifest(source / "manifest.csv", HEADER, "b.png,2,,,,", "a.png,1,,,,")
    assert counts(bring(store, source)) == (1, 1, 0, 0, 0)
    assert {(crop.path, crop.camera) for crop in all_crops(store)} == {("a.png", "1"), ("b.png", "2")}
    assert counts(bring(store, source)) == (0, 0, 0, 0, 2)


def test_a_correction_never_makes_two_crops_one(store, source):
    """Both pictures of the same bytes are told to be of camera 2; the second says nothing new."""
    shutil.copy(source / "red.png", source / "again.png")
    write_manifest(source / "manifest.csv", HEADER, "again.png,1,,A,,", "red.png,2,,B,,")
    assert bring(store, source).added == 2
    write_manifest(source / "manifest.csv", HEADER, "again.png,2,,A,,", "red.png,2,,B,,")
    assert counts(bring(store, source)) == (0, 0, 0, 0, 2)
    assert [(c.camera, c.person) for c in all_crops(store)] == [("1", "A"), ("2", "B")]


@pytest.mark.parametrize("how", ["lost", "torn", "folder"])
def test_lost_pictures_are_written_again(store, source, how):
    bring(store, source)
    crop = all_crops(store)[1]
    if how == "folder":
        shutil.rmtree(store.media)
    else:
        crop.file.unlink() if how == "lost" else crop.file.write_bytes(crop.file.read_bytes()[:20])
    assert not verify(store).ok
    report = bring(store, source)
    lost = 3 if how == "folder" else 1
    assert counts(report) == (0, 0, 0, lost, 3 - lost) and report.changes == {"picture": lost}
    assert verify(store).ok and crop.file.read_bytes() == (source / "green.png").read_bytes()


def test_a_moved_folder_under_link_gets_its_new_paths(store, source, tmp_path):
    bring(store, source, link=True)
    moved = source.rename(tmp_path / "elsewhere")
    assert not verify(store, quick=True).ok
    report = bring(store, moved, link=True)
    assert counts(report) == (0, 0, 0, 3, 0) and verify(store).ok
    assert [crop.file for crop in all_crops(store)] == sorted(moved.glob("*.png"))
    write_manifest(
        moved / "manifest.csv", HEADER, *(f"{name}.png,4,,,," for name in ("blue", "green", "red"))
    )
    again = moved.rename(tmp_path / "again")
    report = bring(store, again, link=True)
    assert counts(report) == (0, 3, 0, 0, 0) and report.changes == {"camera": 3, "picture": 3}
    assert verify(store).ok and store.count() == 3


def test_dead_links_may_become_pictures_of_ones_own(store, source, tmp_path):
    bring(store, source, link=True)
    moved = source.rename(tmp_path / "elsewhere")
    assert counts(bring(store, moved)) == (0, 0, 0, 3, 0)
    assert all(crop.file.is_relative_to(store.media) for crop in all_crops(store)) and verify(store).ok
    shutil.rmtree(moved)
    assert verify(store).ok


def test_links_to_pictures_that_are_there_are_left_alone(store, source, tmp_path):
    bring(store, source, link=True)
    shutil.copytree(source, tmp_path / "copy")
    for link in (True, False):
        assert counts(bring(store, tmp_path / "copy", link=link)) == (0, 0, 0, 0, 3)
    assert all(crop.file.is_relative_to(source) for crop in all_crops(store))
    assert not list(store.pictures.names())


def test_another_copy_of_pictures_that_are_there_does_not_take_their_place(store, source, tmp_path):
    bring(store, source)
    with zipfile.ZipFile(tmp_path / "copy.zip", "w") as archive:
        for file in sorted(source.iterdir()):
            archive.write(file, file.name)
    assert counts(bring(store, tmp_path / "copy.zip")) == (0, 0, 0, 0, 3)
    assert sources(store) == {str(file) for file in source.iterdir()}
    shutil.rmtree(source)
    assert counts(bring(store, tmp_path / "copy.zip")) == (0, 0, 0, 0, 3)
    assert all(one.startswith(str(tmp_path / "copy.zip")) for one in sources(store))


def sources(store: GalleryStore) -> set[str]:
    with store.database.reading() as connection:
        return set(connection.execute(sa.select(crops.c.source)).scalars())


def test_a_zip_that_is_uploaded_again_with_its_manifest(store, source, tmp_path):
    def zipped(where: str, *lines: str) -> Path:
        (tmp_path / where).mkdir()
        with zipfile.ZipFile(tmp_path / where / "crops.zip", "w") as archive:
            for file in sorted(source.glob("*.png")):
                archive.write(file, file.name)
            if lines:
                archive.writestr("manifest.csv", "\n".join([HEADER, *lines]))
        return tmp_path / where / "crops.zip"

    names = ["blue.png", "green.png", "red.png"]
    assert counts(bring(store, zipped("one"))) == (3, 0, 0, 0, 0)
    assert counts(bring(store, zipped("two", *(f"{n},1,2026-05-12T10:00:00Z,,," for n in names)))) == (
        0,
        3,
        0,
        0,
        0,
    )
    assert counts(bring(store, zipped("three", *(f"{n},1,2026-05-12T11:00:00Z,,," for n in names)))) == (
        0,
        0,
        3,
        0,
        0,
    )
    assert counts(bring(store, zipped("four", *(f"{n},2,2026-05-12T11:00:00Z,,," for n in names)))) == (
        3,
        0,
        0,
        0,
        0,
    )
    assert store.count() == 6


def test_a_gallery_of_the_version_before_is_completed_too(source, tmp_path):
    with GalleryStore.open(tmp_path / "g.db") as store:
        bring(store, source)
    turn_old(tmp_path / "g.db")
    write_manifest(source / "manifest.csv", HEADER, "red.png,3,2026-05-12T10:00:00Z,P1,,")
    with GalleryStore.open(tmp_path / "g.db") as store:
        assert counts(bring(store, source)) == (0, 1, 0, 0, 0)
        assert store.count() == 3
        write_manifest(source / "manifest.csv", HEADER, "red.png,4,2026-05-13T10:00:00Z,P2,,")
        assert counts(bring(store, source)) == (0, 0, 1, 0, 0)  # its source is known by now
        assert store.count() == 3


def test_vectors_that_are_not_finite_are_refused_by_name(store, source):
    class Odd(PixelEncoder):
        def encode_images(self, images, batch_size=64):
            vectors = super().encode_images(images)
            vectors[1, 3] = np.nan
            return vectors

    report = import_crops(store, Odd(), source)
    assert report.added == 2 and [crop.path for crop in all_crops(store)] == ["blue.png", "red.png"]
    (refused,) = report.rejected
    assert refused.path == "green.png"
    assert refused.reason == "pixels makes no usable vector of it, one that is finite and of length 1"
    assert len(list(store.pictures.names())) == 2 and verify(store).ok
    assert counts(bring(store, source)) == (1, 0, 0, 0, 2)


def test_an_encoder_that_makes_nothing_usable_leaves_the_gallery_open_to_another(store, source):
    class Broken(PixelEncoder):
        def encode_images(self, images, batch_size=64):
            return super().encode_images(images) * np.inf

    report = import_crops(store, Broken("broken"), source)
    assert report.added == 0 and len(report.rejected) == 3 and store.encoder() is None
    assert bring(store, source).added == 3


@settings(max_examples=25)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from("abc"), st.sampled_from(["", "1", "2"]), st.sampled_from(["", "09", "10"])
            )
        ),
        min_size=1,
        max_size=4,
    )
)
def test_whatever_is_imported_again_changes_nothing_the_second_time(tmp_path_factory, manifests):
    """Any manifests over three files, two of them with the same bytes; each is imported twice."""
    folder = tmp_path_factory.mktemp("any")
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        picture(seed).save(folder / f"{name}.png")
    shas = {name: hashlib.sha256((folder / f"{name}.png").read_bytes()).hexdigest() for name in "abc"}
    with GalleryStore.open(folder / "g.db") as store:
        for lines in manifests:
            rows = [f"{n}.png,{c},{f'2026-05-12T{t}:00:00Z' if t else ''},,," for n, c, t in lines]
            if not rows:
                continue
            manifest = write_manifest(folder / "m.csv", HEADER, *rows)
            had = store.count()
            report = bring(store, manifest)
            assert report.taken == len(rows) and store.count() == had + report.added
            settled, crops = told(store), all_crops(store)
            for name, camera, time in lines:
                sha256 = shas[name]
                assert any(
                    crop.sha256 == sha256
                    and camera in ("", crop.camera)
                    and time in ("", crop.time and f"{crop.time:%H}")
                    for crop in crops
                )
            assert counts(bring(store, manifest)) == (0, 0, 0, 0, len(rows)) and told(store) == settled
