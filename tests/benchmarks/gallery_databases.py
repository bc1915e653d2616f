"""The same gallery in a SQLite file and on PostgreSQL: import, start to first answer, following another process.

    CHATREID_TEST_POSTGRES=1 python -m tests.benchmarks.gallery_databases --crops 100000

1 takes the packaged server (requirements-scale.txt), a URL a server of yours. Crops are rows with random vectors; the
import is of small drawn pictures, by an encoder that costs nothing, so that what is measured is the gallery.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from gallery_store import rows
from gallery_store.crops import Filters, camera_key
from gallery_store.database import now_text
from gallery_store.importer import import_crops
from gallery_store.index import pack
from gallery_store.schema import crops, vectors
from gallery_store.store import GalleryStore
from tests import postgres_server
from tests.gallery_tools import PixelEncoder, write_pictures
from tests.test_gallery_postgres import WRITER

_PAGE = 5000


def fill(
    place: Path | str,
    vectors_of_crops: Iterable[np.ndarray],
    camera: Callable[[int], str] = lambda crop_id: str(crop_id % 40),
) -> None:
    """Crops without pictures, with these blocks of unit vectors, float32 (n, dim)."""
    first = 1
    with GalleryStore.open(place) as store:
        for found in vectors_of_crops:
            ids = range(first, first + len(found))
            same = {"time": "", "linked": False, "width": 64, "height": 128, "imported": now_text()}
            own = [
                {
                    **same,
                    **{"id": n, "sha256": f"{n:064x}", "path": f"{n}.jpg", "file": f"{n}.jpg"},
                    **{"camera": camera(n), "camera_key": camera_key(camera(n))},
                }
                for n in ids
            ]
            packed = [
                {"crop_id": n, "encoder": "random", "version": "1", "data": pack(row)}
                for n, row in zip(ids, found, strict=True)
            ]
            with store.database.writing() as connection:
                rows.set_encoder(connection, "random", "1")
                connection.execute(crops.insert(), own)
                connection.execute(vectors.insert(), packed)
            first += len(found)


def random_vectors(count: int, dim: int) -> Iterator[np.ndarray]:
    """Blocks of unit vectors, float32 (n, dim)."""
    rng = np.random.default_rng(0)
    for start in range(0, count, _PAGE):
        found = rng.normal(size=(min(_PAGE, count - start), dim)).astype(np.float32)
        yield found / np.linalg.norm(found, axis=1, keepdims=True)


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def measure(
    empty: Path | str, full: Path | str, folder: Path, count: int, dim: int, pictures: int
) -> dict[str, float]:
    parts = [folder / "half0", folder / "half1"]
    with GalleryStore.open(empty) as store:
        one = seconds(lambda: import_crops(store, PixelEncoder(), folder / "one"))
        commands = [[sys.executable, "-c", WRITER, str(empty), str(part)] for part in parts]
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
        both = seconds(lambda: [process.wait() for process in running])
        assert store.count() == 3 * pictures
    fill(full, random_vectors(count, dim))
    with GalleryStore.open(full) as store:
        first = seconds(lambda: store.matching(Filters()))
        nothing = min(seconds(store.refresh) for _ in range(20))
        query = np.eye(1, dim, dtype=np.float32)
        search = min(seconds(lambda: store.similarities(query)) for _ in range(5))
        with GalleryStore.open(full) as other:
            other.delete([1])
        deleted = seconds(store.refresh)
    return {
        "import, pictures/s": pictures / one,
        "two at once, with their start": 2 * pictures / both,
        "first answer, s": first,
        "nothing new, ms": 1e3 * nothing,
        "after a deletion, s": deleted,
        "scan, ms": 1e3 * search,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--pictures", type=int, default=600, help="of each import")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, postgres_server.server() as server:
        folder = Path(name)
        write_pictures(folder / "one", [f"{n:05}.png" for n in range(chosen.pictures)])
        for part in (0, 1):
            first = (part + 1) * chosen.pictures
            write_pictures(folder / f"half{part}", [f"{n:05}.png" for n in range(chosen.pictures)], first)
        sizes = (folder, chosen.crops, chosen.dim, chosen.pictures)
        found = {"SQLite file": measure(folder / "a.db", folder / "b.db", *sizes)}
        with server.database(folder) as empty, server.database(folder) as full:
            found["PostgreSQL"] = measure(empty, full, *sizes)
    print(f"{chosen.crops:,} crops of {chosen.dim} numbers\n")
    print(f"| {' | '.join(['', *found['PostgreSQL']])} |\n|{'---|' * (1 + len(found['PostgreSQL']))}")
    for database, figures in found.items():
        print(f"| {database} | {' | '.join(f'{value:.3g}' for value in figures.values())} |")


if __name__ == "__main__":
    main()
