"""How well a demo Qwen2-VL ranks packed lists, and how much of a picture it reads, on people it was not taught on.

    python -m tests.benchmarks.validation_lists [--model FOLDER] [--prompt N] [--lists 12]

What a run of stage 3 raises, before anything is calibrated: twelve lists of each kind from the validation pool (ten
queries by 36 candidates each), ranked by "Yes" alone, and of 240 of its crops the attributes that show and are read
rightly. Two minutes, of which half draws the people.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from app.model.attributes import attribute_probe
from app.model.checkpoint import CheckpointManifest
from app.model.readings import ReadingTokens
from app.model.scoring import yes_no_ids
from app.settings import DEMO_MODEL
from training.decoder import Decoder
from training.demo.attribute_heads import attribute_accuracy
from training.demo.language import PoolTokens
from training.demo.lists import ListArrays, list_answers
from training.demo.looks import DevicePictures
from training.demo.pool import load_pool
from training.demo.recipe import VALIDATION, load
from training.demo.sampling import PoolLists
from training.demo.sequences import Forms
from training.evaluation.metrics import Relevance, rank

KINDS = ("text", "image", "image-plus-text")
SEED = 5
TOLD = (1, 12)  # attributes of a description
READ_EVERY = 12  # crops of the pool


@torch.no_grad()
def figures(folder: Path, prompt: int | None, lists: int, pools: Path) -> dict[str, float]:
    """Kind of list -> mAP, 0..1, and the share of attributes that show and are read rightly."""
    manifest = CheckpointManifest.read(folder)
    if manifest is None:
        raise SystemExit(f"{folder} has no chatreid.json; name a model that `training demo` made")
    size = manifest.image_rule.fixed
    pool = load_pool(pools, replace(VALIDATION, world=manifest.vocabulary_version), 1, size)
    model, processor = load(folder)
    drawn = PoolLists(pool, processor, SEED, prompt=prompt or manifest.prompt_version)
    probe = attribute_probe(processor, drawn.grid, pool.vocabulary)
    forms = Forms(probe, ReadingTokens.of(processor, probe), torch.device("cpu"))
    tokens = PoolTokens(model, DevicePictures(pool.pictures), True)
    decoder, answers = Decoder(model, rounded=True), yes_no_ids(processor.tokenizer)
    found = {}
    for kind in KINDS:
        precisions = []
        for number in range(lists):
            one = drawn.draw(kind, number, TOLD)
            rows = np.unique([*one.rows.ravel(), *(row for own in one.references for row in own)])
            places = {int(row): place for place, row in enumerate(rows)}
            odds = list_answers(decoder, ListArrays.of(one, places), tokens(rows), answers, forms).odds
            precisions.append(rank(odds.numpy(), Relevance.by_masks(one.right, one.ignored)).ap)
        found[kind] = float(np.nanmean(np.concatenate(precisions)))
    rows = np.arange(0, len(pool), READ_EVERY)
    read = attribute_accuracy(forms.logits(decoder, tokens(rows)), pool.visible[rows])
    found["attributes"] = float(np.nanmean(read))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=DEMO_MODEL)
    parser.add_argument("--prompt", type=int, help="version of what it is asked; the manifest's")
    parser.add_argument("--lists", type=int, default=12, help="of each kind")
    chosen = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as pools:
        found = figures(chosen.model, chosen.prompt, chosen.lists, Path(pools) / "pool")
    print("  ".join(f"{name} {value:.3f}" for name, value in found.items()))


if __name__ == "__main__":
    main()
