"""What one near miss costs: `python -m tests.benchmarks.near_misses`.

People of the demo gallery in a sweater, each searched for by the words that are true of a crop (gender, colour of the
top, trousers and their colour, bag), once with "sweater" and once with "jacket": the crop's probability and its place,
with the manifest's confusion and without.
"""

from __future__ import annotations

import csv
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.retrieval.engine import Engine
from app.retrieval.query import Query
from app.settings import DEMO_CLIP, DEMO_GALLERY, DEMO_MODEL
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore

PEOPLE = 60
TRUE, NEAR = "sweater", "jacket"
SAID = ("gender", "upper_colour", "lower", "lower_colour", "bag")


def main() -> None:
    with (DEMO_GALLERY / "manifest.csv").open(newline="", encoding="utf-8") as file:
        seen = {row["path"]: json.loads(row["attributes"]) for row in csv.DictReader(file)}
    encoder, model = ClipEncoder.load(DEMO_CLIP), ReidModel.load(DEMO_MODEL)
    assert model.manifest is not None
    with tempfile.TemporaryDirectory() as place, GalleryStore.open(Path(place) / "gallery.db") as store:
        import_crops(store, encoder, DEMO_GALLERY)
        crops = store.crops(store.index.ids.tolist())
        sought = [crop for crop in crops if seen[crop.path].get("upper") == TRUE][:PEOPLE]
        print(f"{len(sought)} crops      {TRUE:>24}{NEAR:>24}   median P, median place")
        for name, confusion in (("without", {}), ("with", model.manifest.confusion)):
            model.manifest = replace(model.manifest, confusion=confusion)
            engine = Engine(store, encoder, model)
            figures = []
            for top in (TRUE, NEAR):
                found = [_find(engine, crop.id, seen[crop.path], top, len(crops)) for crop in sought]
                figures.append(np.median(found, axis=0))
            print(f"{name:15}" + "".join(f"{chance:20.2f}{rank:4.0f}" for chance, rank in figures))


def _find(engine: Engine, crop_id: int, seen: dict[str, str], top: str, count: int) -> tuple[float, int]:
    """The crop's probability and place when it is searched for by its words, but for the top."""
    said = [Attribute(kind, seen[kind]) for kind in SAID if kind in seen]
    ranking = engine.search(Query(wanted=(*said, Attribute("upper", top))), limit=count)
    place = [candidate.image_id for candidate in ranking.candidates].index(crop_id)
    return ranking.candidates[place].probability or 0.0, place + 1


if __name__ == "__main__":
    main()
