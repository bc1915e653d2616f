"""Table 4 of the paper on the demo's scale: stage 3 alone, 2+3 and 1+2+3, from one briefly warmed base.

`python -m training demo --ablate 100` needs the work folder's tower and CLIP, goes on where it was stopped, and prints
the table. Every stage has the same number of steps, each seed the same data in another order. What is measured is the
log-odds of "Yes" alone, on people of the validation split, over the candidates that CLIP finds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.model.checkpoint import CheckpointManifest, KindOfQuery
from app.model.description import query_description
from app.model.pictures import DEMO
from app.model.reid_model import ReidModel
from app.retrieval.attribute_probs import ClipAttributes, by_kinds, gallery_priors
from gallery_store.encoder import ClipEncoder
from gallery_store.files import write_file
from training.calibration.by_kind import average_precision
from training.demo.clip import SHARPNESS
from training.demo.fusion_fit import CANDIDATES, PRESENT_SHARE
from training.demo.language import train_stage
from training.demo.learning import LearningLog
from training.demo.pool import Pool, PoolSpec
from training.demo.recipe import KNOWS, MODEL_NAME, StepBudget, demo_stages, load, save
from training.demo.searches import MAKES, PoolGallery, PoolSearch, searches, split_pool
from training.tuning.origin import take_decoder

ARMS = {
    "stage 3": ("stage3",),
    "stage 2+3": ("stage2", "stage3"),
    "stage 1+2+3": ("stage1", "stage2", "stage3"),
}
TRAIN = PoolSpec(4, "train", families=300, views=3, infrared_share=0.2)
SEEDS = (0, 1, 2)
WARM = 5  # times a stage's steps: the base's language, which all arms share
ASKED: dict[KindOfQuery, int] = {"text": 100, "image": 100}  # searches
FIGURES = (*ASKED, "attributes")


@dataclass(frozen=True)
class Measure:
    """What a model can, 0..1: mAP of its log-odds of "Yes" over each kind's searches, and the share of attributes that
    it reads rightly."""

    pool: Pool
    gallery: PoolGallery
    asked: dict[
        KindOfQuery, list[tuple[PoolSearch, np.ndarray]]
    ]  # with the candidates' places in the gallery

    @classmethod
    def over(cls, pool: Pool, clip: Path) -> Measure:
        encoder = ClipEncoder.load(clip)
        vectors = encoder.encode_images([Image.fromarray(picture) for picture in pool.large])
        rows, _ = split_pool(pool, PRESENT_SHARE)
        attributes = ClipAttributes(encoder, SHARPNESS, kinds=pool.kinds)
        rng, asked = np.random.default_rng(0), {}
        priors = gallery_priors(attributes.probs(lambda texts: texts @ vectors[rows].T))
        gallery = PoolGallery(encoder, attributes, vectors, rows, priors)
        for kind, count in ASKED.items():
            asked[kind] = [
                (search, gallery.nearest(search, gallery.parts(search).similarity(0.5, 0.0))[:CANDIDATES])
                for search in searches(MAKES[kind], pool, rows, rows, rng, count)
            ]
        return cls(pool, gallery, asked)

    def clip(self) -> dict[str, float]:
        """CLIP's own mAP over the same candidates."""
        return self._mean_ap(lambda search, places: self.gallery.parts(search).similarity(0.5, 0.0)[places])

    def __call__(self, model: ReidModel) -> dict[str, float]:
        pictures = self.pool.for_model()

        def yes_logits(search: PoolSearch, places: np.ndarray) -> np.ndarray:
            references = [] if search.reference is None else [pictures[search.reference]]
            text = query_description(search.wanted) if search.wanted else ""
            crops = [pictures[i] for i in self.gallery.rows[places]]
            return model.yes_logits(text, references, crops, other_clothes=search.other_clothes)

        probs = by_kinds(model.attribute_probs([pictures[i] for i in self.gallery.rows]), self.pool.kinds)
        right = [
            (probs[kind].argmax(0) == truth)[truth >= 0].mean()
            for kind, truth in zip(self.pool.kinds, self.pool.visible[self.gallery.rows].T, strict=True)
            if (truth >= 0).any()
        ]
        return {**self._mean_ap(yes_logits), "attributes": float(np.mean(right))}

    def _mean_ap(self, scores: Callable[[PoolSearch, np.ndarray], np.ndarray]) -> dict[str, float]:
        return {
            kind: float(
                np.nanmean(
                    average_precision(
                        np.stack([scores(search, places) for search, places in asked]),
                        np.stack([search.same[places] for search, places in asked]),
                        np.stack([search.unsure[places] for search, places in asked]),
                    )
                )
            )
            for kind, asked in self.asked.items()
        }


def ablate(
    work: Path,
    steps: int,
    pool: Callable[[PoolSpec], Pool],
    measure: Measure,
    log: LearningLog,
    seeds: Sequence[int] = SEEDS,
) -> dict[str, Any]:
    """Teaches every arm with every seed and measures it; -> "CLIP", "base" and each arm: figures, a list for seeds.

    work: holds `tower`; what is taught goes to `work/ablation`. steps: of each stage.
    """
    root = work / "ablation" / str(steps)
    budget = replace(StepBudget(), language=WARM * steps, stage1=steps, stage2=steps, stage3=steps)
    base = _taught(root / "base", "language", budget, work / "tower", None, pool, 0, log)
    results: dict[str, Any] = {"CLIP": [measure.clip()], "base": [_measured(base, measure)]}
    for seed in seeds:
        for arm, names in ARMS.items():
            folder = base
            for number, name in enumerate(names):
                # The first stages of two arms are one training.
                branch = root / f"seed{seed}" / "-".join(names[: number + 1])
                folder = _taught(branch, name, budget, folder, base, pool, seed, log)
            results.setdefault(arm, []).append(_measured(folder, measure))
            log.write(stage="ablation", arm=arm, seed=seed, **results[arm][-1])
    return results


def _taught(
    folder: Path,
    name: str,
    budget: StepBudget,
    start: Path,
    base: Path | None,
    pool: Callable[[PoolSpec], Pool],
    seed: int,
    log: LearningLog,
) -> Path:
    """The checkpoint of one stage, taught if it is not there yet."""
    done = folder / "model"
    if not (folder / "done").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        (model, processor), drawn = load(start), pool(TRAIN)
        stage = demo_stages(budget)[name]
        if stage.fresh_decoder and base is not None and start != base:
            take_decoder(model, load(base)[0])
        train_stage(model, processor, replace(stage, name=name), drawn, folder, seed=1000 + seed, log=log)
        save(model, processor, done)
        CheckpointManifest(
            f"{MODEL_NAME}, {folder.name}",
            str(start),
            vocabulary_version=drawn.vocabulary,
            image_rule=DEMO,
            knows=KNOWS,
            reads_free_words=False,
        ).write(done)
        (folder / "done").touch()
    return done


def _measured(folder: Path, measure: Measure) -> dict[str, float]:
    file = folder.parent / "figures.json"
    if not file.is_file():
        figures = measure(ReidModel.load(folder))
        write_file(file, json.dumps(figures))
    return dict(json.loads(file.read_text()))


def ablation_table(results: dict[str, Any], steps: int) -> str:
    """Markdown: means over the seeds, with their standard deviation where there are several; per cent."""
    lines = [
        f"| {steps} steps a stage | " + " | ".join(FIGURES) + " |",
        "| --- |" + " ---: |" * len(FIGURES),
    ]
    for arm, of_seeds in results.items():
        cells = []
        for name in FIGURES:
            values = 100 * np.array([figures[name] for figures in of_seeds if name in figures])
            spread = f" ± {values.std(ddof=1):.1f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.1f}{spread}" if len(values) else "")
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
