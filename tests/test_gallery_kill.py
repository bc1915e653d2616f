"""kill -9 at any instant: nothing acknowledged is lost, verify agrees, and the next run completes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gallery_store.crops import Filters
from gallery_store.importer import import_crops
from gallery_store.reindex import reindex
from gallery_store.store import GalleryStore
from gallery_store.verify import verify
from tests.gallery_tools import PixelEncoder, write_pictures

ROOT = Path(__file__).parent.parent

_IMPORT = """
import sys
from pathlib import Path
from gallery_store import importer
from gallery_store.importer import import_crops
from gallery_store.reindex import reindex
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder
importer.BATCH = 8
print("ready", flush=True)
with GalleryStore.open(sys.argv[1]) as store:
    show = lambda done, total: print(store.count(), flush=True)
    import_crops(store, PixelEncoder(), Path(sys.argv[2]), progress=show)
print("done", flush=True)
"""

_REINDEX = """
import sys
from gallery_store import reindex
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder
reindex.BATCH = 8
print("ready", flush=True)
with GalleryStore.open(sys.argv[1]) as store:
    show = lambda done, total: print(done, flush=True)
    reindex.reindex(store, PixelEncoder("new", "2", seed=9), progress=show)
print("done", flush=True)
"""


def killed(script: str, *arguments: object, lines: int, after: float) -> list[str]:
    """Run the script, kill it `after` seconds from so many lines of progress; -> the lines it wrote."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
        written = [process.stdout.readline() for _ in range(lines)]
        time.sleep(after)
        process.kill()
        written += process.stdout.read().splitlines()
    assert process.wait() in (-signal.SIGKILL, 0)
    return [line.strip() for line in written if line.strip()]


@pytest.mark.slow
def test_an_import_killed_again_and_again(tmp_path, gallery):
    pictures = 300
    source = write_pictures(tmp_path / "in", [f"{n:03}.png" for n in range(pictures)])
    rng = random.Random(11)
    interrupted, had = 0, 0
    for attempt in range(6):
        # At first from before the file exists; then from the first batch on (the first line says 0 done).
        lines = killed(_IMPORT, gallery, source, lines=0 if attempt < 2 else 2, after=rng.uniform(0, 0.15))
        interrupted += "done" not in lines
        acknowledged = max([had, *(int(line) for line in lines if line != "done")])
        with GalleryStore.open(gallery) as store:
            found = verify(store)
            assert found.ok, found.problems
            assert found.crops >= acknowledged
            had = found.crops
            assert len(list(store.pictures.names())) == had  # strays are gone
            assert not list(store.media.glob(".writing/*"))
    assert interrupted >= 3 and had > 0, "the kills came too late, or too early, to mean anything"
    with GalleryStore.open(gallery) as store:
        report = import_crops(store, PixelEncoder(), source)
        assert (report.added, report.unchanged) == (pictures - had, had)
        assert verify(store).ok and store.count() == pictures
        by_path = store.ids_by_path([f"{n:03}.png" for n in range(pictures)])
        assert sorted(map(len, by_path.values())) == [1] * pictures


@pytest.mark.slow
def test_a_reindex_killed_half_way_goes_on(tmp_path, gallery):
    source = write_pictures(tmp_path / "in", [f"{n:03}.png" for n in range(200)])
    with GalleryStore.open(gallery) as store:
        import_crops(store, PixelEncoder(), source)
        before = store.vectors(store.matching(Filters()))
    lines = killed(_REINDEX, gallery, lines=2, after=0)
    assert len(lines) >= 2 and "done" not in lines
    with GalleryStore.open(gallery) as store:
        assert verify(store).ok and store.encoder() == ("pixels", "1")
        ids = store.matching(Filters())
        assert (store.vectors(ids) == before).all()  # still the old ones, all of them
        done = reindex(store, PixelEncoder("new", "2", seed=9))
        assert done.switched and 0 < done.encoded <= 200 - 8 * len(lines)
        assert store.encoder() == ("new", "2") and verify(store).ok


def test_temporary_files_of_the_dead_are_cleaned_and_of_the_living_kept(tmp_path):
    """A writer lives while it holds its lock, whatever its process number, which another container may have too."""
    with GalleryStore.open(tmp_path / "g.db") as store:
        folder = store.media / ".writing"
        with store.pictures.writer() as dead, store.pictures.writer() as living:
            for writer in (dead, living):
                assert writer.stage("ab/name.jpg", b"half") is not None
            names = {file.name for file in folder.iterdir()}
            script = "import sys; from pathlib import Path; from gallery_store.media import MediaFolder\n"
            script += "print(MediaFolder(Path(sys.argv[1])).clean_temporary())"
            command = [sys.executable, "-c", script, str(store.media)]
            assert subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout == "0\n"
            assert {file.name for file in folder.iterdir()} == names and len(names) == 4
            os.close(dead._lock)  # as when its process is killed
            dead._lock = None
            (folder / "77-aa").write_text("of an older version, just now")
            (folder / "77-bb").write_text("of an older version, forgotten two days ago")
            os.utime(folder / "77-bb", (time.time() - 2 * 86400,) * 2)
            assert verify(store).collected == 2
            assert len(list(folder.iterdir())) == 3
        assert [file.name for file in folder.iterdir()] == ["77-aa"]
