"""How well the demo models find people of the demo gallery: `python -m tests.benchmarks.find_people`.

50 descriptions of five visible attributes each, in a wording that no training text uses, through the chat's
own understanding; and 50 clicks, from a crop to the same person by another camera. Each ranker side by side.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from app.chat.conversation import Conversation, say, to_query
from app.chat.search_state import GalleryFacts
from app.model.reid_model import ReidModel
from app.model.vocabulary import ALL_KINDS, COLOUR_OF, Attribute, phrase
from app.retrieval.engine import Engine
from app.retrieval.query import Query, Reference
from app.settings import CLIP
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore

ASSETS = Path(__file__).resolve().parent.parent.parent / "assets"
COUNT, SEED = 50, 4


@dataclass(frozen=True)
class Row:
    """A line of the demo manifest."""

    path: str
    camera: str
    person: str
    true: dict[str, str]
    visible: dict[str, str]


def manifest(folder: Path) -> list[Row]:
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        return [
            Row(
                row["path"],
                row["camera"],
                row["person"],
                json.loads(row["attributes"]),
                json.loads(row["visible"]),
            )
            for row in csv.DictReader(file)
        ]


def sentence(said: dict[str, str]) -> str:
    """Five attributes as a witness would list them; no training text is worded so."""
    words, joined = [], {colour: thing for thing, colour in COLOUR_OF.items() if thing in said}
    for kind, value in said.items():
        colour = said.get(COLOUR_OF.get(kind, ""))
        if kind not in joined:
            words.append(
                f"{colour} {phrase(Attribute(kind, value))}" if colour else phrase(Attribute(kind, value))
            )
    return "Looking for: " + "; ".join(words) + "."


def descriptions(rows: list[Row], count: int = COUNT, seed: int = SEED) -> list[dict[str, str]]:
    """Each five attributes that show in one crop, drawn at random; things that are absent are not told.

    A colour of a hat, a bag or shoes is told with the thing: "a red hat" alone may be a cap. Nobody says "man, child".
    """
    rng = np.random.default_rng(seed)
    told: list[dict[str, str]] = []
    while len(told) < count:
        row = rows[int(rng.integers(len(rows)))]
        kinds = [
            k for k in ALL_KINDS if row.visible.get(k, "none") not in ("none", "average", "plain", "shoes")
        ]
        if row.visible.get("age") == "child" and "gender" in kinds:
            kinds.remove("gender")
        if len(kinds) < 5:
            continue
        chosen = set(rng.choice(kinds, 5, replace=False).tolist())
        if all(thing in chosen or COLOUR_OF[thing] not in chosen for thing in ("hat", "bag", "shoes")):
            told.append({k: row.visible[k] for k in ALL_KINDS if k in chosen})
    return told


def ranks_of_descriptions(engine: Engine, rows: dict[int, Row], told: list[dict[str, str]]) -> list[int]:
    """For each description, the place (from 1) of the first candidate whom it truly fits."""
    facts = GalleryFacts(tuple(engine.store.cameras()), tuple(engine.store.days()), engine.store.days()[-1])
    found = []
    for said in told:
        query = to_query(say(Conversation(), sentence(said), facts))
        hits = [said.items() <= rows[c.image_id].true.items() for c in engine.search(query).candidates]
        found.append(hits.index(True) + 1 if any(hits) else 10_000)
    return found


def clicks(rows: dict[int, Row], count: int = COUNT, seed: int = SEED) -> list[int]:
    """Crops whose person another camera saw too."""
    rng = np.random.default_rng(seed)
    seen: dict[str, set[str]] = {}
    for row in rows.values():
        seen.setdefault(row.person, set()).add(row.camera)
    ids = [i for i, row in rows.items() if len(seen[row.person]) > 1]
    return [int(i) for i in rng.choice(ids, count, replace=False)]


def ranks_of_clicks(engine: Engine, rows: dict[int, Row], clicked: list[int]) -> list[int]:
    """For each click, the place of the first crop of the same person by another camera."""
    found = []
    for image_id in clicked:
        own = rows[image_id]
        ranking = engine.search(Query(references=(Reference(image_id=image_id),))).candidates
        hits = [
            rows[c.image_id].person == own.person and rows[c.image_id].camera != own.camera for c in ranking
        ]
        found.append(hits.index(True) + 1 if any(hits) else 10_000)
    return found


def open_demo(folder: Path) -> tuple[GalleryStore, ClipEncoder, dict[int, Row]]:
    """The demo gallery imported into a folder, and the manifest's rows by image id."""
    store = GalleryStore.open(folder / "gallery.db")
    encoder = ClipEncoder.load(ASSETS / "demo_clip")
    if store.count() == 0:
        import_crops(store, encoder, ASSETS / "demo_gallery")
    by_path = {row.path: row for row in manifest(ASSETS / "demo_gallery")}
    ids = store.ids_by_path(by_path)
    return store, encoder, {image_id: by_path[path] for path, found in ids.items() for image_id in found}


def found_people(engine: Engine, rows: dict[int, Row], seed: int = SEED) -> dict[str, int]:
    """Of COUNT descriptions and of COUNT clicks, how many find somebody right first, and near the top."""
    by_words = ranks_of_descriptions(engine, rows, descriptions(list(rows.values()), seed=seed))
    by_click = ranks_of_clicks(engine, rows, clicks(rows, seed=seed))
    return {
        "by words, first": within(by_words, 1),
        "by words, among 10": within(by_words, 10),
        "by a click, first": within(by_click, 1),
        "by a click, among 5": within(by_click, 5),
    }


def within(ranks: list[int], place: int) -> int:
    return sum(rank <= place for rank in ranks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=ASSETS / "demo_qwen2vl")
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    with TemporaryDirectory() as folder:
        store, encoder, rows = open_demo(Path(folder))
        model = ReidModel.load(chosen.model)
        for ranker in (CLIP, None):
            engine = Engine(store, encoder, model, ranker=ranker)
            engine.warm_up()
            started = time.perf_counter()
            found = found_people(engine, rows, chosen.seed)
            seconds = (time.perf_counter() - started) / (2 * COUNT)
            told = "; ".join(f"{how} {count}/{COUNT}" for how, count in found.items())
            print(f"{engine.ranker.name:11s} {told}; {seconds:.2f} s each")
        store.close()


if __name__ == "__main__":
    main()
