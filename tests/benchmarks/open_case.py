"""How long a case of 300 steps takes to come back, as an app that was started anew opens it, and to be exported.

python -m tests.benchmarks.open_case [--steps N] prints two lines.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from app.export.archive import export_case
from app.retrieval.engine import Engine
from app.service import ChatService
from app.settings import DEMO_GALLERY, Settings
from gallery_store.crops import Filters
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore

SIGHTINGS = 100
SAID = ("a man in a red jacket", "with a backpack", "only camera 1", "on all cameras", "without a hat")


def main() -> None:
    """Fill a case over the demo gallery, then open it ten times, each time over a gallery opened anew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    steps = parser.parse_args().steps
    encoder = ClipEncoder.load(Settings().clip)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "g.db"
        with GalleryStore.open(file) as store:
            import_crops(store, encoder, DEMO_GALLERY)
            session = ChatService(Engine(store, encoder, None)).get("ann", "tab")
            began = time.perf_counter()
            for number in range(steps):
                session.say(SAID[number % len(SAID)])
            filled = time.perf_counter() - began
            case = session.case
        seconds = []
        for _ in range(10):
            with GalleryStore.open(file) as store:
                service = ChatService(Engine(store, encoder, None))
                service.facts()  # what is in memory since the start
                began = time.perf_counter()
                opened = service.get("ann", "tab", case)
                seconds.append(time.perf_counter() - began)
                assert len(opened.conversation.turns) == steps and opened.cards == session.cards
        size = file.stat().st_size / 1e6
        with GalleryStore.open(file) as store:
            session = ChatService(Engine(store, encoder, None)).get("ann", "tab", case)
            for image_id in store.matching(Filters())[:SIGHTINGS].tolist():
                session.confirm(image_id)
            exported, zipped = [], Path(folder) / "case.zip"
            for _ in range(5):
                began = time.perf_counter()
                export_case(store, case, "ann", zipped, by="ann")
                exported.append(time.perf_counter() - began)
            zip_size = zipped.stat().st_size / 1e6
    print(
        f"{steps} steps: opened in {statistics.median(seconds):.3f} s (the slowest of ten {max(seconds):.3f} s); "
        f"done in {filled:.1f} s; the database is {size:.1f} MB"
    )
    print(
        f"{SIGHTINGS} sightings: exported in {statistics.median(exported):.1f} s (the first of five, which makes small "
        f"pictures, {exported[0]:.1f} s); the zip is {zip_size:.1f} MB"
    )


if __name__ == "__main__":
    main()
