"""Each gallery has picture files of its own: those of another, of a copy, of an older version are never removed."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from gallery_store.importer import import_crops
from gallery_store.migrations import LATEST
from gallery_store.store import GalleryError, GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, all_crops, write_pictures
from tests.old_gallery import turn_old

SAME_STEM = Path(__file__).parent / "data" / "wild" / "same-stem"


def imported(file: Path, source: Path) -> Path:
    with GalleryStore.open(file) as store:
        import_crops(store, PixelEncoder(), source)
    return file


def files_of(store: GalleryStore) -> dict[str, bytes]:
    return {crop.path: crop.file.read_bytes() for crop in all_crops(store)}


def is_whole(file: Path, source: Path) -> bool:
    """Whether the gallery has exactly the pictures of the folder, all readable."""
    with GalleryStore.open(file) as store:
        found = verify(store)
        assert found.ok, found.problems
        return files_of(store) == {p.name: p.read_bytes() for p in source.iterdir()}


def test_same_stem(tmp_path):
    first = imported(tmp_path / "site.db", SAME_STEM / "A")
    second = imported(tmp_path / "site.sqlite", SAME_STEM / "B")
    for file in (first, second):
        with GalleryStore.open(file) as store:
            found = verify(store)
            assert found.ok and found.collected == 0
    assert is_whole(first, SAME_STEM / "A") and is_whole(second, SAME_STEM / "B")
    with GalleryStore.open(second) as store:
        assert store.delete([1, 2, 3]) == 3 and not list(store.pictures.names())
    assert is_whole(first, SAME_STEM / "A")


def test_a_copied_backup_and_its_gallery_live_apart(tmp_path):
    site, backup = imported(tmp_path / "site.db", SAME_STEM / "A"), tmp_path / "site.bak"
    shutil.copy(site, backup)
    imported(site, SAME_STEM / "B")
    with GalleryStore.open(backup) as store:
        found = verify(store)
        assert found.ok and found.crops == 3 and found.collected == 0
        store.delete([1])
    with GalleryStore.open(site) as store:
        assert verify(store).ok and store.count() == 6
        store.delete(list(range(1, 7)))
    with GalleryStore.open(backup) as store:
        assert verify(store).ok and len(files_of(store)) == 2


def test_pictures_stay_for_a_copy_that_was_never_opened(tmp_path):
    site, backup = imported(tmp_path / "site.db", SAME_STEM / "A"), tmp_path / "site.bak"
    shutil.copy(site, backup)
    with GalleryStore.open(site) as store:
        store.delete([1, 2, 3])
        assert verify(store).collected == 0
    assert is_whole(backup, SAME_STEM / "A")
    with GalleryStore.open(site) as store:  # the copy has its own now
        assert verify(store).collected == 3 and not list(store.pictures.names())
    assert is_whole(backup, SAME_STEM / "A")


def test_what_cannot_be_read_may_need_everything(tmp_path, capsys):
    site = imported(tmp_path / "site.db", SAME_STEM / "A")
    (tmp_path / "torn.db").write_bytes(site.read_bytes()[:5000])
    with GalleryStore.open(site) as store:
        store.delete([1])
        assert len(list(store.pictures.names())) == 3
        assert "torn.db cannot be read" in capsys.readouterr().err
        (tmp_path / "torn.db").unlink()
        assert verify(store).collected == 1


def test_a_renamed_gallery_keeps_its_folder(tmp_path):
    file = imported(tmp_path / "site.db", SAME_STEM / "A")
    file.rename(tmp_path / "north.db")
    assert is_whole(tmp_path / "north.db", SAME_STEM / "A")
    assert len(list(tmp_path.glob("*.media"))) == 1
    imported(file, SAME_STEM / "B")  # a new gallery of the old name is another one
    assert is_whole(tmp_path / "north.db", SAME_STEM / "A") and is_whole(file, SAME_STEM / "B")


def test_a_renamed_gallery_and_a_copy_under_its_old_name_are_two(tmp_path):
    site, north = imported(tmp_path / "site.db", SAME_STEM / "A"), tmp_path / "north.db"
    site.rename(north)
    shutil.copy(north, site)
    with GalleryStore.open(site) as store:
        store.delete([1, 2, 3])
    assert is_whole(north, SAME_STEM / "A")


def test_a_folder_that_moves_as_a_whole_needs_no_copies(tmp_path):
    imported(tmp_path / "here" / "site.db", SAME_STEM / "A")
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    assert is_whole(tmp_path / "there" / "site.db", SAME_STEM / "A")
    assert len(list((tmp_path / "there").glob("*.media"))) == 1


def test_a_gallery_by_a_symbolic_link_is_the_same(tmp_path):
    imported(tmp_path / "disk" / "site.db", SAME_STEM / "A")
    (tmp_path / "link.db").symlink_to(tmp_path / "disk" / "site.db")
    assert is_whole(tmp_path / "link.db", SAME_STEM / "A")
    assert len(list(tmp_path.rglob("*.media"))) == 1


def test_a_file_system_without_hard_links_gets_copies(tmp_path, monkeypatch):
    def no_link(*_args, **_options):
        raise PermissionError("no hard links here")

    monkeypatch.setattr(os, "link", no_link)
    site = imported(tmp_path / "site.db", SAME_STEM / "A")
    shutil.copy(site, tmp_path / "site.bak")
    assert is_whole(tmp_path / "site.bak", SAME_STEM / "A") and is_whole(site, SAME_STEM / "A")


def test_a_gallery_of_the_version_before_moves_over(tmp_path):
    file = imported(tmp_path / "site.db", SAME_STEM / "A")
    with GalleryStore.open(file) as store:
        before, thumbnail = all_crops(store), store.thumbnail(1).name
    shared = turn_old(file)
    assert len(list(shared.glob("??/*.png"))) == 3 and not list(tmp_path.glob("site.*.media"))
    with GalleryStore.open(file) as store:
        assert [(c.path, c.sha256) for c in all_crops(store)] == [(c.path, c.sha256) for c in before]
        with store.database.reading() as connection:
            assert connection.exec_driver_sql("SELECT max(number) FROM schema_migrations").scalar() == LATEST
        assert store.thumbnail(1).name == thumbnail
    assert is_whole(file, SAME_STEM / "A")
    assert not shared.exists() and not shared.with_suffix(".thumbs").exists()


def test_old_galleries_of_one_stem_move_apart(tmp_path):
    """Both had their pictures in one folder, one of them in both galleries."""
    both = tmp_path / "both"
    shutil.copytree(SAME_STEM / "B", both)
    shutil.copy(SAME_STEM / "A" / "red.png", both)
    first = imported(tmp_path / "site.db", SAME_STEM / "A")
    second = imported(tmp_path / "site.sqlite", both)
    shared = turn_old(first)
    assert turn_old(second) == shared
    (shared / "ab").mkdir(exist_ok=True)
    (shared / "ab" / "stray.png").write_text("of a killed import, or of a gallery that is elsewhere")
    assert is_whole(first, SAME_STEM / "A")
    assert is_whole(second, both)
    assert is_whole(first, SAME_STEM / "A")
    assert [file.name for file in shared.glob("??/*")] == ["stray.png"]


def test_what_an_older_program_imports_meanwhile_is_found(tmp_path):
    """It runs on after the move, and knows the shared folder only."""
    file = imported(tmp_path / "site.db", SAME_STEM / "A")
    shared = turn_old(file)
    assert is_whole(file, SAME_STEM / "A")
    with GalleryStore.open(file) as store:
        late = all_crops(store)[0]
        (shared / late.file.parent.name).mkdir(parents=True)
        late.file.rename(shared / late.file.parent.name / late.file.name)
        assert not verify(store).ok or store.crops([late.id])[0].file.is_file()
    assert is_whole(file, SAME_STEM / "A")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_a_move_killed_fifty_times_loses_nothing(tmp_path):
    source = write_pictures(tmp_path / "in", [f"{n:03}.png" for n in range(24)])
    old = imported(tmp_path / "old" / "site.db", source)
    turn_old(old)
    expected = {picture.name: picture.read_bytes() for picture in source.iterdir()}
    rng = random.Random(7)

    def opened_until(folder: Path, seconds: float) -> tuple[bool, float]:
        """Open the gallery in a process that is killed after so long; -> whether it came to the end, and when."""
        began = time.perf_counter()
        if (child := os.fork()) == 0:
            try:
                GalleryStore.open(folder / "site.db").close()
            finally:
                os._exit(0)
        ended = 0
        while not ended and time.perf_counter() - began < seconds:
            time.sleep(0.0005)
            ended, _ = os.waitpid(child, os.WNOHANG)
        if not ended:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        return bool(ended), time.perf_counter() - began

    shutil.copytree(old.parent, tmp_path / "first")
    _, whole = opened_until(tmp_path / "first", 60)
    interrupted = 0
    for round_ in range(50):
        folder = tmp_path / f"{round_}"
        shutil.copytree(old.parent, folder)
        for _ in range(rng.choice([1, 1, 2])):  # some are killed again as they go on
            done, _ = opened_until(folder, rng.uniform(0, whole))
            interrupted += not done
        with GalleryStore.open(folder / "site.db") as store:
            assert {crop.path: crop.file.read_bytes() for crop in all_crops(store)} == expected
            found = verify(store)
            assert found.ok and found.crops == 24 and not list(store.media.glob("??/.*"))
        assert not (folder / "site.media").exists()
        shutil.rmtree(folder)
    assert interrupted >= 25, "the kills came too late to mean anything"


def test_an_emptied_gallery_is_noticed(tmp_path):
    file = imported(tmp_path / "site.db", SAME_STEM / "A")
    file.write_bytes(b"")
    with pytest.raises(
        GalleryError, match=r"site\.db is empty, but its pictures are still in .*\.media: bring"
    ):
        GalleryStore.open(file)
    assert file.read_bytes() == b""
    file.unlink()
    with pytest.raises(GalleryError, match=r"site\.db is gone, but its pictures are still in"):
        GalleryStore.open(file)
    assert not file.exists()
    for folder in tmp_path.glob("site.*.media"):
        folder.rename(tmp_path / "put away")
    assert GalleryStore.open(file).count() == 0


def test_an_emptied_gallery_of_the_version_before_is_noticed(tmp_path):
    file = imported(tmp_path / "site.db", SAME_STEM / "A")
    turn_old(file)
    file.write_bytes(b"")
    with pytest.raises(GalleryError, match=r"is empty, but its pictures are still in .*site\.media"):
        GalleryStore.open(file)


def test_an_empty_file_without_pictures_becomes_a_gallery(tmp_path):
    (tmp_path / "g.db").touch()  # as a kill in the middle of its making leaves it
    assert GalleryStore.open(tmp_path / "g.db").count() == 0


@pytest.mark.parametrize("how", ["removed", "replaced", "replaced in place", "emptied"])
def test_a_gallery_that_goes_while_it_is_open_is_noticed(tmp_path, how):
    file = imported(tmp_path / "site.db", SAME_STEM / "A")
    other = imported(tmp_path / "other.db", SAME_STEM / "B")
    with GalleryStore.open(file) as store:
        assert store.count() == 3
        if how == "removed":
            file.rename(tmp_path / "away")
        elif how == "replaced":
            file.rename(tmp_path / "away")
            other.rename(file)
        elif how == "replaced in place":
            shutil.copy(other, file)
        else:
            os.truncate(file, 0)
        for step in (
            store.count,
            lambda: store.delete([1]),
            lambda: store.record_search(user="a", reason="", query={}, shown=[], seconds=0),
        ):
            with pytest.raises(
                GalleryError, match=f"was {how.split()[0]} while it was open: bring the file back"
            ):
                step()
        if how in ("removed", "replaced"):
            (tmp_path / "away").replace(file)
            assert store.count() == 3  # the very file is back


def test_a_mark_that_says_nothing_is_nobodys(tmp_path):
    file = imported(tmp_path / "site.db", SAME_STEM / "A")
    with GalleryStore.open(file) as store:
        mark = store.media / "gallery.json"
        assert json.loads(mark.read_text())["file"] == "site.db"
        mark.write_text("{")
    assert is_whole(file, SAME_STEM / "A")
    assert len(list(tmp_path.glob("site.*.media"))) == 2  # in doubt another folder is taken
