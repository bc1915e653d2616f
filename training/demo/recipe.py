"""The demo models from nothing, in one resumable command: `python -m training demo`.

Order: draw the people; CLIP; stage 0 (tower, then language), which stands in for a pre-trained base; the
paper's three stages; calibration on validation people; fp16 into assets/. A run can also go on from finished models:
then CLIP and stage 3, whose encoder is frozen, are taught further, on other people.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.multiprocessing import spawn

from app.model.checkpoint import CheckpointManifest
from app.model.digests import weight_files
from app.model.loading import load_weights
from app.model.prompts import PROMPT_VERSION, READ_ALOUD, WORDS_BEHIND
from gallery_store.files import replacing_folder, write_file
from training.demo.base import build_base
from training.demo.choices import LONGEST
from training.demo.clip import measure as measure_clip
from training.demo.clip import train_clip
from training.demo.fusion_fit import fit_demo
from training.demo.gallery import write_gallery
from training.demo.language import DemoStage, train_stage
from training.demo.learning import LearningLog, process_rank
from training.demo.pool import Pool, PoolSpec, demo_rule, load_pool
from training.demo.sizes import SIZES, DemoSize
from training.demo.stage0 import measure_tower, warm_tower
from training.instructions.mixtures import STAGE1, STAGE2, STAGE3, StageMixture
from training.synthetic.people import WORLD_VERSION
from training.tuning.origin import load_processor, take_decoder

CLIP_NAME = "chatreid-demo-clip"
MODEL_NAME = "chatreid-demo"
TRAIN = PoolSpec(1, "train", families=4200, views=3, infrared_share=0.2)
VALIDATION = PoolSpec(2, "validation", families=120, views=4)
STEPS = ("pools", "clip", "tower", "language", "stage1", "stage2", "stage3", "export")
TAUGHT = STEPS[1:7]  # what several processes can share
FURTHER_RATE = 0.5  # of a stage's rate, in a run that goes on
FURTHER_LISTS = {"text": 0.5, "image": 0.3, "image-plus-text": 0.2}
FURTHER = ("pools", "clip", "stage3", "export")  # of a run that goes on from finished models
KNOWS = "drawn people only"
# What a manifest says for the CLIP that it was calibrated with.
OF_AN_ENCODER = ("calibrations", "fusion_weights", "affinity", "attribute_sharpness", "confusion")
WORLD_FILE = "world.json"  # of a work folder: which world it is of, and by which prompts


@dataclass(frozen=True)
class StepBudget:
    """Steps of each part, for two processes: each step then learns from two batches."""

    clip: int = 5000
    tower: int = 4000
    language: int = 600
    stage1: int = 200
    stage2: int = 600
    stage3: int = 3600

    def scaled(self, factor: float) -> StepBudget:
        """At least one step each."""
        return StepBudget(**{name: max(1, round(value * factor)) for name, value in asdict(self).items()})


def demo_stages(budget: StepBudget, prompt: int = PROMPT_VERSION) -> dict[str, DemoStage]:
    """The language half of stage 0 and the three stages, side by side. prompt: version of what they are asked."""
    tell = _drawn(STAGE1)
    read_and_tell = replace(tell, shares={"caption": 1.0, "annotate-attributes": 1.5})
    # What stages 1 and 2 taught goes on in stage 3, so that it is not forgotten. Best choice has turns of its own.
    kept = {"caption": 0.2, "annotate-attributes": 0.2, "compare-attributes": 0.1, "image-many-to-many": 0.05}
    kept |= {"text-many-to-one": 0.05, "text-one-to-many": 0.05}
    reason = replace(_drawn(STAGE3), shares={**dict.fromkeys(STAGE3.shares, 0.04), **kept})
    pairs = {"image": 0.5, "text": 0.5}
    every = {"image": 0.45, "text": 0.4, "image-plus-text": 0.15}
    stages = {
        "language": DemoStage(
            "stage0-language",
            budget.language,
            2e-3,
            read_and_tell,
            6,
            pairs,
            tower_rate=0,
            long_first=True,
        ),
        "stage1": DemoStage("stage1", budget.stage1, 1e-3, tell, 20, {}, tower_rate=0.1),
        "stage2": DemoStage(
            "stage2",
            budget.stage2,
            2e-3,
            _drawn(STAGE2),
            6,
            pairs,
            tower_rate=0.1,
            fresh_decoder=True,
            long_first=True,
            forms=16,
        ),
        "stage3": DemoStage(
            "stage3",
            budget.stage3,
            2e-3,
            reason,
            8,
            every,
            tower_rate=0,
            long_first=True,
            forms=32,
            lists_every=2,
            choices=64,
        ),
    }
    if prompt == READ_ALOUD:  # what is read aloud from the first list on is taught from there
        stages["language"] = replace(stages["language"], forms=16)
    behind = prompt == WORDS_BEHIND  # samples by themselves have no reading
    return {
        name: replace(stage, prompt=prompt, mixture=replace(stage.mixture, words_behind=behind))
        for name, stage in stages.items()
    }


def _drawn(mixture: StageMixture) -> StageMixture:
    """A stage's mixture for the pool's people, of whom enough are seen in infrared and have look-alikes."""
    return replace(mixture, hard=0.6, infrared=1.0)


class DemoRun:
    """One training of the demo models in a work folder; each step is skipped when its mark is there.

    world: that is drawn; the models are taught the vocabulary of the same number. gallery: whether the export draws
    that world's demo gallery beside the models. prompt: version of what the Qwen2-VL is asked; that of what the run
    goes on from, or else PROMPT_VERSION.
    """

    def __init__(
        self,
        work: Path,
        assets: Path,
        budget: StepBudget,
        seed: int,
        workers: int,
        processes: int = 1,
        start: Path | None = None,
        families: int = TRAIN.families,
        size: DemoSize = SIZES["small"],
        world: int = WORLD_VERSION,
        gallery: bool = False,
        prompt: int | None = None,
    ) -> None:
        self.work, self.assets, self.budget, self.seed, self.workers = work, assets, budget, seed, workers
        self.processes, self.start, self.size, self.gallery = processes, start, size, gallery
        before = CheckpointManifest.read(start / "demo_qwen2vl") if start else None
        self.picture = (before.image_rule.fixed if before else None) or size.picture
        self.prompt = prompt or (before.prompt_version if before else PROMPT_VERSION)
        # Another seed, other people.
        self.train = replace(TRAIN, seed=TRAIN.seed + seed, families=families, world=world)
        self.validation = replace(VALIDATION, world=world)
        self.log = LearningLog(work / "log.jsonl")
        work.mkdir(parents=True, exist_ok=True)
        write_file(work / WORLD_FILE, json.dumps({"world": world, "prompt": self.prompt}))

    def step(self, name: str) -> None:
        """Runs one of STEPS if it is not done."""
        if (self.work / f"{name}.done.json").is_file():
            return
        if self.processes > 1 and name in TAUGHT:
            with tempfile.TemporaryDirectory() as meeting:
                spawn(_join, (self, name, f"file://{meeting}/place"), nprocs=self.processes)
        else:
            self.take(name)

    def take(self, name: str) -> None:
        """What `step` does, in each process of several; the first one writes."""
        figures = getattr(self, f"_{name}")()
        if not process_rank():
            write_file(self.work / f"{name}.done.json", json.dumps(figures or {}, indent=2))

    def figures(self, name: str) -> dict[str, Any]:
        """What a step that is done left behind."""
        mark = self.work / f"{name}.done.json"
        return json.loads(mark.read_text()) if mark.is_file() else {}

    def _pool(self, spec: PoolSpec) -> Pool:
        return load_pool(self.work / f"pool-{spec.split}", spec, self.workers, self.picture)

    def _pools(self) -> dict[str, Any]:
        return {spec.split: len(self._pool(spec)) for spec in (self.train, self.validation)}

    def _clip(self) -> dict[str, Any]:
        folder = self.work / "demo_clip"
        train_clip(
            self._pool(self.train),
            folder,
            self.work,
            steps=self.budget.clip,
            seed=self.seed,
            log=self.log,
            name=CLIP_NAME,
            start=self.start and self.start / "demo_clip",
        )
        if process_rank():
            return {}
        return measure_clip(folder, self._pool(self.validation))

    def _tower(self) -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as base:
            model, processor = load(self._base(base))
        warm = warm_tower(
            model, self._pool(self.train), self.work, steps=self.budget.tower, seed=self.seed, log=self.log
        )
        if process_rank():
            return {}
        save(model, processor, self.work / "tower")
        return measure_tower(warm, self._pool(self.validation))

    def _language(self) -> dict[str, Any]:
        return self._stage("language", self.work / "tower")

    def _stage1(self) -> dict[str, Any]:
        return self._stage("stage1", self.work / "language")

    def _stage2(self) -> dict[str, Any]:
        return self._stage("stage2", self.work / "stage1")

    def _stage3(self) -> dict[str, Any]:
        return self._stage("stage3", self.start / "demo_qwen2vl" if self.start else self.work / "stage2")

    def _stage(self, name: str, start: Path) -> dict[str, Any]:
        stage = demo_stages(self.budget, self.prompt)[name]
        if self.start:
            # It knows descriptions already, and a higher rate would unlearn more than a short run teaches. Most of a
            # step is a list: of these it learns the most.
            further: dict[str, Any] = {
                "rate": FURTHER_RATE * stage.rate,
                "lists": FURTHER_LISTS,
                "lists_every": 1,
            }
            # It can choose among as many as run time shows.
            longest = tuple((0.0, size) for _, size in LONGEST)
            stage = replace(stage, long_first=False, plain=2, longest=longest, **further)
        model, processor = load(start)
        if stage.fresh_decoder:
            base, _ = load(self.work / "language")
            take_decoder(model, base)
        train_stage(
            model,
            processor,
            stage,
            self._pool(self.train),
            self.work,
            seed=self.seed + len(name),
            log=self.log,
        )
        if not process_rank():
            save(model, processor, self.work / name)
        return {"steps": stage.steps, "rate": stage.rate, "lists": stage.lists, "choices": stage.choices}

    def _export(self) -> dict[str, Any]:
        clip = self._place_clip()
        weights, manifest = self.work / "stage3", self._manifest()
        if self.start and not weights.is_dir():  # CLIP alone was taught, or nothing: calibrated anew
            weights = self.start / "demo_qwen2vl"
            before = CheckpointManifest.read(weights) or manifest
            if (self.work / "demo_clip").is_dir():
                data = {**before.data, "pools": manifest.data["pools"]}
                changed: dict[str, Any] = {"data": data, **{name: {} for name in OF_AN_ENCODER}}
                before = replace(before, **changed)
            manifest = before
        model, processor = load(weights)
        folder = self._place_model(model, processor, manifest)
        figures = fit_demo(folder, clip, self._pool(self.validation), self.log)
        if self.gallery:
            self._draw_gallery()
        return figures

    def _base(self, folder: str) -> Path:
        """Random weights, with a token for each word of the world's vocabulary."""
        return build_base(folder, seed=self.seed, version=self.train.world, **self.size.shape())

    def _draw_gallery(self) -> None:
        """The world's demo gallery, beside the models."""
        write_gallery(self.assets / "demo_gallery", self.train.world)

    def _place_clip(self) -> Path:
        """The CLIP that was taught, or started from, among the assets."""
        clip, taught = self.assets / "demo_clip", self.work / "demo_clip"
        if self.start and not taught.is_dir():
            taught = self.start / "demo_clip"  # the step was left out
        if taught.resolve() != clip.resolve():
            with replacing_folder(clip) as place:
                shutil.copytree(taught, place, dirs_exist_ok=True)
        return clip

    def _place_model(self, model: Any, processor: Any, manifest: CheckpointManifest) -> Path:
        """The model in fp16 among the assets, not yet calibrated."""
        folder = self.assets / "demo_qwen2vl"
        with replacing_folder(folder) as place:
            save(model.half(), processor, place)
            replace(manifest, weights=weight_files(place)).write(place)
        return folder

    def _manifest(self) -> CheckpointManifest:
        """What the finished model says of itself: the stages, after those of the model it went on from."""
        before = CheckpointManifest.read(self.start / "demo_qwen2vl") if self.start else None
        taught = [name for name in STEPS[2:7] if before is None or name in FURTHER]
        pools = [*(before.data["pools"] if before else []), asdict(self.train)]
        if asdict(self.validation) not in pools:
            pools.append(asdict(self.validation))
        return CheckpointManifest(
            name=MODEL_NAME,
            base_model="random weights of the Qwen2-VL architecture, warmed by stage 0",
            stages=(
                *(before.stages if before else ()),
                *({"name": name, **self.figures(name)} for name in taught),
            ),
            prompt_version=self.prompt,
            vocabulary_version=self.train.world,
            image_rule=demo_rule(self.picture),
            data={"world": self.train.world, "pools": pools},
            knows=KNOWS,
            reads_free_words=False,
        )


def train_demo(
    work: Path,
    assets: Path,
    *,
    budget: StepBudget,
    seed: int,
    workers: int,
    processes: int = 1,
    only: Sequence[str] = STEPS,
    start: Path | None = None,
    families: int = TRAIN.families,
    size: DemoSize = SIZES["small"],
    world: int = WORLD_VERSION,
    gallery: bool = False,
    prompt: int | None = None,
) -> None:
    """Runs the steps that are asked for and not done yet; `processes` share the steps that teach.

    start: a folder with `demo_clip` and `demo_qwen2vl`, to go on from by the steps FURTHER; None begins with nothing.
    families: of three people each, to learn from. size: of the Qwen2-VL, where it is made anew. world, gallery,
    prompt: as DemoRun has them.
    """
    run = DemoRun(
        work, assets, budget, seed, workers, processes, start, families, size, world, gallery, prompt
    )
    for name in STEPS:
        if name in only:
            run.step(name)


def world_of_run(work: Path, start: Path | None, asked: int | None) -> int:
    """The world that a run draws: the one asked for, or else that of what it goes on from, or else WORLD_VERSION.

    Raises:
        ValueError: the models that it starts from, or the work folder, are of another one.
    """
    known: dict[Path, int] = {}
    if start is not None and (manifest := CheckpointManifest.read(start / "demo_qwen2vl")):
        known[start] = manifest.vocabulary_version
    if (work / WORLD_FILE).is_file():
        known[work] = int(json.loads((work / WORLD_FILE).read_text())["world"])
    elif any(work.glob("*.done.json")):
        known[work] = WORLD_VERSION  # from before a work folder told of its world
    world = asked if asked is not None else next(iter(known.values()), WORLD_VERSION)
    for folder, other in known.items():
        if other != world:
            raise ValueError(f"{folder} is of world {other}, not of world {world}; name another folder")
    return world


def prompt_of_run(work: Path, asked: int | None) -> int | None:
    """The version of the prompts that a run asks by: the one asked for, or else that of its work folder, if any.

    Raises:
        ValueError: they differ.
    """
    file = work / WORLD_FILE
    known = json.loads(file.read_text()).get("prompt") if file.is_file() else None
    if asked is not None and known not in (None, asked):
        raise ValueError(
            f"{work} asks by version {known} of the prompts, not by {asked}; name another folder"
        )
    return asked or known


def _join(number: int, run: DemoRun, name: str, meeting: str) -> None:
    """One process of several: they meet, take a step of the recipe together, and part."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meeting, rank=number, world_size=run.processes)
    run.take(name)
    dist.destroy_process_group()


def load(folder: Path) -> tuple[Any, Any]:
    """A checkpoint in float32, and its processor."""
    return load_weights(folder, torch.float32), load_processor(str(folder))


def save(model: Any, processor: Any, folder: Path) -> None:
    """The checkpoint in the published format, safetensors."""
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
