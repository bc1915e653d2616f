"""What a training came to, in short: the rows by which the demo models are judged, on people of the validation split.

`make evaluate-demo` and `python -m tests.benchmarks.best_choice` measure the same at length, on other people.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from app.model.description import query_description
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.retrieval.attribute_probs import by_kinds
from app.retrieval.tournament import LIST_LENGTH
from training.demo.pool import Pool
from training.demo.searches import MAKES
from training.synthetic.captions import fragment

TOLD = 6  # attributes of a description


def measure_goals(
    folder: Path, pool: Pool, calibrated: Mapping[str, Any], *, lists: int, device: str
) -> dict[str, Any]:
    """The rows, by name: numbers of 100.

    folder: the model. calibrated: what `fit_demo` returned, empty where it did not come to that. lists: of eight, by
    picture and by words each.
    """
    rows: dict[str, Any] = {}
    for kind in MAKES:
        if kind in calibrated:
            found = calibrated[kind]
            rows[f"{kind}: the word alone, less CLIP alone, mAP"] = 100 * (
                found["pairwise_mAP"] - found["clip_mAP"]
            )
            rows[f"{kind}: what ships, less the same without the word, mAP"] = 100 * (
                found["fused_mAP"] - found["readers_mAP"]
            )
            rows[f"{kind}: what ships, mAP"] = 100 * found["fused_mAP"]
    model = ReidModel.load(folder, device=device, float32=True)
    for words in (False, True):
        right, places = best_choice(model, pool, lists, words)
        by = "words" if words else "picture"
        rows[f"best choice of {LIST_LENGTH} by {by}: right"] = 100 * right
        rows[f"best choice of {LIST_LENGTH} by {by}: the favourite place"] = 100 * float(places.max())
    right_by_kind = attributes_read(model, pool)
    rows["attributes that the model alone reads: right"] = 100 * float(np.mean(list(right_by_kind.values())))
    worst = sorted(right_by_kind, key=right_by_kind.__getitem__)[:4]
    rows["the attributes read worst"] = ", ".join(f"{kind} {100 * right_by_kind[kind]:.0f}" for kind in worst)
    return rows


def best_choice(model: ReidModel, pool: Pool, lists: int, words: bool) -> tuple[float, np.ndarray]:
    """How often the right one of a list is named, 0..1, and how often each place, (length,); one question each."""
    rng, pictures = np.random.default_rng(0), pool.for_model()
    people = np.unique(pool.person)
    length = min(LIST_LENGTH, len(people))
    right, named = 0, np.zeros(length)
    for _ in range(lists):
        chosen = rng.choice(people, length, replace=False)
        place = int(rng.integers(length))
        outfit = rng.choice(pool.clothes[pool.person == chosen[place]])
        query, match = rng.choice(np.flatnonzero(pool.clothes == outfit), 2, replace=False).tolist()
        shown = [
            match if number == place else int(rng.choice(np.flatnonzero(pool.person == person)))
            for number, person in enumerate(chosen)
        ]
        said = fragment(pool.seen(match), rng, TOLD)
        text = query_description([Attribute(kind, value) for kind, value in said.items()]) if words else ""
        own = [] if words else [pictures[query]]
        best = int(model.choice_logits(text, own, [[pictures[row] for row in shown]])[0].argmax())
        right += best == place
        named[best] += 1
    return right / max(1, lists), named / max(1, lists)


def attributes_read(model: ReidModel, pool: Pool) -> dict[str, float]:
    """Kind -> the share of crops that show it whose likeliest value is right, 0..1."""
    probs = by_kinds(model.attribute_probs(pool.for_model()), pool.kinds)
    return {
        kind: float((probs[kind].argmax(0) == truth)[truth >= 0].mean())
        for kind, truth in zip(pool.kinds, pool.visible.T, strict=True)
        if (truth >= 0).any()
    }


def goal_lines(rows: Mapping[str, Any]) -> str:
    """The rows as lines of text."""
    return "\n".join(
        f"{name:64} {value:+7.1f}" if isinstance(value, float) else f"{name:64} {value}"
        for name, value in rows.items()
    )
