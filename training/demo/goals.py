"""What a training came to, in short: the rows by which the demo models are judged, on people of the validation split.

`make evaluate-demo` measures the same at length, on other people.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.model.description import query_description
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.retrieval.attribute_probs import by_kinds
from app.retrieval.tournament import LIST_LENGTH
from training.captioning.captioners import LocalCaptioner
from training.demo.pool import Pool
from training.demo.searches import MAKES
from training.evaluation.captions import stated_facts, true_facts
from training.synthetic.captions import fragment

TOLD = 6  # attributes of a description
ABOVE = 0.2  # that each kind is to be read better than by guessing
WORST = 6  # kinds that are named
CAPTIONED, AT_ONCE = 64, 32  # crops at most


def measure_goals(
    folder: Path, pool: Pool, calibrated: Mapping[str, Any], *, lists: int, device: str
) -> dict[str, Any]:
    """The rows, by name: numbers of 100.

    folder: the model. calibrated: what `fit_demo` returned, empty where it did not come to that. lists: of eight, by
    picture and by words each; captions are of as many crops, CAPTIONED at most.
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
            rows[f"{kind}: absent people, AUROC"] = 100 * found["absent_auroc"]
            rows[f"{kind}: absent people noticed"] = 100 * found["absent_found"]
            rows[f"{kind}: false alarms"] = 100 * found["false_alarms"]
    model = ReidModel.load(folder, device=device, float32=True)
    for words in (False, True):
        right, places = best_choice(model, pool, lists, words)
        by = "words" if words else "picture"
        rows[f"best choice of {LIST_LENGTH} by {by}: right"] = 100 * right
        rows[f"best choice of {LIST_LENGTH} by {by}: the favourite place"] = 100 * float(places.max())
    right_by_kind, priors = attributes_read(model, pool), commonest(pool)
    rows["attributes that the model alone reads: right"] = 100 * float(np.mean(list(right_by_kind.values())))
    above = {kind: right_by_kind[kind] - prior for kind, prior in priors.items()}
    rows[f"kinds read {100 * ABOVE:.0f} points above the commonest value"] = (
        f"{sum(gain >= ABOVE for gain in above.values())} of {sum(prior <= 1 - ABOVE for prior in priors.values())}"
        " that leave room"
    )
    for name, least in (
        ("the attributes read worst", right_by_kind),
        ("the least above the commonest", above),
    ):
        rows[name] = ", ".join(
            f"{kind} {100 * right_by_kind[kind]:.0f} of prior {100 * priors[kind]:.0f}"
            for kind in sorted(least, key=least.__getitem__)[:WORST]
        )
    crops = min(CAPTIONED, lists, len(pool))
    true, stated = captions_true(folder, pool, crops, device)
    rows["captions: facts stated of a crop"] = stated / max(1, crops)
    rows["captions: stated facts right"] = 100 * true / max(1, stated)
    return rows


def captions_true(folder: Path, pool: Pool, most: int, device: str) -> tuple[int, int]:
    """(true, all) of the facts that the model's captions of `most` crops, evenly spread, state of what shows."""
    captioner = LocalCaptioner(folder, device=device, batch=AT_ONCE)
    rows = np.linspace(0, len(pool) - 1, min(most, len(pool))).astype(int).tolist()
    stated: list[tuple[Attribute, ...]] = []
    for start in range(0, len(rows), AT_ONCE):
        some = [Image.fromarray(pool.pictures[row]) for row in rows[start : start + AT_ONCE]]
        stated += [stated_facts(caption, pool.kinds) for caption in captioner.captions(some)]
    return true_facts(stated, [pool.seen(row) for row in rows])


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


def commonest(pool: Pool) -> dict[str, float]:
    """Kind -> the share of the crops that show it of its commonest value: what guessing comes to, 0..1."""
    return {
        kind: float(np.bincount(truth[truth >= 0]).max() / (truth >= 0).sum())
        for kind, truth in zip(pool.kinds, pool.visible.T, strict=True)
        if (truth >= 0).any()
    }


def goal_lines(rows: Mapping[str, Any]) -> str:
    """The rows as lines of text."""
    return "\n".join(
        f"{name:64} {value:+7.1f}" if isinstance(value, float) else f"{name:64} {value}"
        for name, value in rows.items()
    )
