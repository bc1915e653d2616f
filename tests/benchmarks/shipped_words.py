"""What the shipped model says of a few drawn pairs, kept: `python -m tests.benchmarks.shipped_words` renews it.

mAP hardly moves when a prompt is reworded or a picture resized a little; the words themselves do. They are to
be renewed with the weights, and with nothing else.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path

from app.model.description import query_description
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.settings import DEMO_MODEL
from training.evaluation.synthetic_people import two_outfits, world_of

KEPT = Path(__file__).parent / "shipped_words.json"
PEOPLE, SEED = 6, 41


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


def main() -> None:
    KEPT.write_text(json.dumps({"weights": weights(), "words": words()}, indent=1) + "\n")
    print(f"kept the words of weights {weights()} in {KEPT.name}")


if __name__ == "__main__":
    main()
