"""How near an import comes to the rate of its encoder, and what the time goes to.

    python -m tests.benchmarks.import_rate [FOLDER] [--clip NAME]

FOLDER: of JPEGs; the demo gallery if none is named. The encoder's own rate is that of the same pictures, decoded and
shrunk before, in batches as large, once before the import and once after. Decoding and encoding go on at the same time;
shares are of the import's whole time: pictures read, decoded, shrunk and staged by the threads that do it, at least one
of them at work; encoding; writing (files made durable, rows, vectors); and waiting for pictures. With
CHATREID_TEST_POSTGRES=1 over PostgreSQL as well.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.settings import DEMO_CLIP, DEMO_GALLERY
from gallery_store import importer
from gallery_store.decoding import open_picture
from gallery_store.encoder import ClipEncoder, fitted
from gallery_store.importer import BATCH, import_crops
from gallery_store.store import GalleryStore
from tests import postgres_server


class Clock:
    """Seconds in which one of several threads at least was at it."""

    def __init__(self) -> None:
        self.seconds, self._inside, self._since, self._lock = 0.0, 0, 0.0, threading.Lock()

    @contextmanager
    def running(self) -> Iterator[None]:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._since = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._inside -= 1
                if not self._inside:
                    self.seconds += time.perf_counter() - self._since


class Timed:
    """An encoder that is watched."""

    def __init__(self, encoder: ClipEncoder, clock: Clock) -> None:
        self.name, self.version, self.fit = encoder.name, encoder.version, encoder.fit
        self._encoder, self._clock = encoder, clock

    def encode_images(self, images: Sequence[Image.Image], batch_size: int = BATCH) -> np.ndarray:
        with self._clock.running():
            return self._encoder.encode_images(images, batch_size)


def measure(place: Path | str, encoder: ClipEncoder, folder: Path) -> tuple[int, float, dict[str, float]]:
    """-> pictures, seconds, and the seconds of each part."""
    decoding, encoding, committing = Clock(), Clock(), Clock()
    prepare, commit = importer._Job.prepare, importer._Job.commit

    def timed_prepare(job: Any, item: Any) -> Any:
        with decoding.running():
            return prepare(job, item)

    def timed_commit(job: Any, outcomes: Any) -> Any:
        with committing.running():
            return commit(job, outcomes)

    importer._Job.prepare, importer._Job.commit = timed_prepare, timed_commit  # type: ignore[method-assign]
    try:
        with GalleryStore.open(place) as store:
            began = time.perf_counter()
            report = import_crops(store, Timed(encoder, encoding), folder)
            took = time.perf_counter() - began
    finally:
        importer._Job.prepare, importer._Job.commit = prepare, commit  # type: ignore[method-assign]
    writing = committing.seconds - encoding.seconds
    parts = {"decoding": decoding.seconds, "encoding": encoding.seconds, "writing": writing}
    return report.added, took, parts | {"waiting": took - committing.seconds}


def own_rate(encoder: ClipEncoder, pictures: list[Image.Image]) -> float:
    """Pictures a second."""
    began = time.perf_counter()
    for start in range(0, len(pictures), BATCH):
        encoder.encode_images(pictures[start : start + BATCH])
    return len(pictures) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=DEMO_GALLERY)
    parser.add_argument("--clip", default=str(DEMO_CLIP))
    chosen = parser.parse_args()
    encoder = ClipEncoder.load(chosen.clip)
    pictures = [fitted(encoder, open_picture(file)) for file in sorted(chosen.folder.rglob("*.jpg"))]
    own_rate(encoder, pictures[:BATCH])
    print(f"{len(pictures)} pictures by {encoder.name}")
    with tempfile.TemporaryDirectory() as name:
        show("SQLite", Path(name) / "g.db", encoder, chosen.folder, pictures)
        if postgres_server.WANTED:
            with postgres_server.server() as server, server.database(Path(name)) as url:
                show("PostgreSQL", url, encoder, chosen.folder, pictures)


def show(
    name: str, place: Path | str, encoder: ClipEncoder, folder: Path, pictures: list[Image.Image]
) -> None:
    before = own_rate(encoder, pictures)
    count, took, parts = measure(place, encoder, folder)
    own = statistics.mean([before, own_rate(encoder, pictures)])
    shares = ", ".join(f"{part} {100 * seconds / took:.0f} %" for part, seconds in parts.items())
    print(
        f"{name}: {count / took:.0f} pictures a second, {100 * count / took / own:.0f} % of the encoder's own "
        f"{own:.0f}; {shares}"
    )


if __name__ == "__main__":
    main()
