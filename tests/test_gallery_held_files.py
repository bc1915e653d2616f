"""Another program that opens and closes the gallery while it is open here takes nothing away from it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gallery_store.crops import Filters
from gallery_store.held_files import HeldFile, is_held
from gallery_store.importer import import_crops
from gallery_store.owners import owner_of
from gallery_store.sources import SourceError
from gallery_store.store import GalleryStore
from tests.gallery_tools import PixelEncoder, write_pictures

VISIT = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM crops").fetchall()
connection.close()
"""


def visit(file: Path) -> None:
    """What any other program does that looks into the gallery and leaves."""
    subprocess.run([sys.executable, "-c", VISIT, str(file)], check=True)


def log_of(file: Path) -> tuple[int, int]:
    status = file.with_name(f"{file.name}-wal").stat()
    return status.st_dev, status.st_ino


def look(store: GalleryStore, tmp_path: Path) -> None:
    store.matching(Filters())


def second_store(store: GalleryStore, tmp_path: Path) -> None:
    GalleryStore.open(store.database.file).close()


def look_around(store: GalleryStore, tmp_path: Path) -> None:
    owner_of(store.database).names_needed_elsewhere(store.media)


def look_around_from_a_neighbour(store: GalleryStore, tmp_path: Path) -> None:
    with GalleryStore.open(tmp_path / "neighbour.db") as other:
        owner_of(other.database).names_needed_elsewhere(other.media)


def import_itself(store: GalleryStore, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="neither a folder"):
        import_crops(store, PixelEncoder(), store.database.file)


def import_its_folder(store: GalleryStore, tmp_path: Path) -> None:
    assert import_crops(store, PixelEncoder(), tmp_path).added == 0


@pytest.mark.parametrize(
    "use",
    [look, second_store, look_around, look_around_from_a_neighbour, import_itself, import_its_folder],
    ids=lambda use: use.__name__,
)
def test_nothing_here_lets_go_of_the_database(
    tmp_path: Path, use: Callable[[GalleryStore, Path], None]
) -> None:
    write_pictures(tmp_path / "in", ["a.png", "b.png"])
    file = tmp_path / "g.db"
    with GalleryStore.open(file) as store:
        import_crops(store, PixelEncoder(), tmp_path / "in")
        use(store, tmp_path)
        log = log_of(file)
        visit(file)
        assert log_of(file) == log  # else the visitor took itself for the last, and the next row goes nowhere
        write_pictures(tmp_path / "more", ["c.png"], first_seed=7)
        import_crops(store, PixelEncoder(), tmp_path / "more")
        with closing(sqlite3.connect(file)) as connection:
            assert connection.execute("SELECT count(*) FROM crops").fetchone() == (3,)
    with GalleryStore.open(file) as again:
        assert len(again.matching(Filters())) == 3


def test_a_file_is_held_for_as_long_as_anybody_has_it(tmp_path: Path) -> None:
    file = tmp_path / "g.db"
    file.write_bytes(b"0123456789")
    one, two = HeldFile(file), HeldFile(file)
    assert one.header() == two.header() == b"0123456789"
    one.close()
    assert is_held(file) and two.header() == b"0123456789"
    assert is_held(tmp_path / "g.db-shm") and not is_held(tmp_path / "other.db-shm")
    two.close()
    assert not is_held(file)
