"""What the shipped models say and find, kept for the tests: `python -m tests.benchmarks.shipped_words` renews it.

mAP hardly moves when a prompt is reworded or a picture resized a little; the model's words on a few drawn pairs do.
Beside them stand the mAP of a slice of the synthetic benchmark and how many people of the demo gallery are found, from
which the tests have their lower bounds. All is to be renewed with the weights, and with nothing else. Two minutes.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from functools import partial
from pathlib import Path

from app.model.description import query_description
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.retrieval.engine import Engine
from app.settings import DEMO_MODEL
from tests.benchmarks.find_people import found_people, open_demo
from training.evaluation.hits import CLIP, FUSED, PAIRWISE
from training.evaluation.plans import SyntheticPlan
from training.evaluation.runner import evaluate_plan
from training.evaluation.synthetic_people import two_outfits, world_of
from training.evaluation.workers import Models, Workers

KEPT = Path(__file__).parent / "shipped_words.json"
PEOPLE, SEED = 6, 41
SLICE, IDENTITIES, RANKERS = ("standard", "text-to-image", "image-plus-text"), 20, (CLIP, PAIRWISE, FUSED)


def weights() -> str:
    """The first 12 hex digits of the shipped weights' SHA-256."""
    return hashlib.sha256((DEMO_MODEL / "model.safetensors").read_bytes()).hexdigest()[:12]


def words() -> dict[str, list[float]]:
    """Log-odds of "Yes" for a query of each kind over eighteen crops of six people."""
    model = ReidModel.load(DEMO_MODEL)
    world = two_outfits(SEED, PEOPLE, world_of(model.manifest))
    gallery = [Picture(("g", row), partial(crop.picture)) for row, crop in enumerate(world.gallery)]
    query = world.queries[0]
    picture = Picture("q", query.picture)
    seen = world.gallery[1].visible
    told = [Attribute(kind, seen[kind]) for kind in ("gender", "upper", "upper_colour") if kind in seen]
    asked = {"image": ("", [picture]), "text": (query_description(told), [])}
    asked["image-plus-text"] = (query_description(told), [picture])
    return {
        kind: [round(float(w), 4) for w in model.yes_logits(*ask, gallery)] for kind, ask in asked.items()
    }


def mean_precisions() -> dict[str, dict[str, float]]:
    """Setting -> ranker -> mAP, 0..1, of the slice that the tests repeat."""
    plan = SyntheticPlan(SEED, IDENTITIES, SLICE, RANKERS, drawn_world=Models().world())
    with tempfile.TemporaryDirectory() as work, Workers(Models()) as workers:
        found = evaluate_plan(plan, workers, work=Path(work)).settings
    return {name: {ranker: round(found[name][ranker]["mAP"], 3) for ranker in RANKERS} for name in SLICE}


def people() -> dict[str, int]:
    """As `find_people` counts them, for what the app ships."""
    with tempfile.TemporaryDirectory() as folder:
        store, encoder, rows = open_demo(Path(folder))
        found = found_people(Engine(store, encoder, ReidModel.load(DEMO_MODEL)), rows)
        store.close()
    return found


def main() -> None:
    kept = {"weights": weights(), "words": words(), "mAP": mean_precisions(), "people": people()}
    KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    print(f"kept what weights {weights()} say and find in {KEPT.name}: {kept['mAP']}, {kept['people']}")


if __name__ == "__main__":
    main()
