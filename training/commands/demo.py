"""`python -m training demo | gallery`: what assets/ is made of."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.model.prompts import PROMPT_VERSION, READ_PROMPT_VERSIONS
from gallery_store.console import remark
from training.commands import Command

if TYPE_CHECKING:
    from training.demo.sizes import DemoSize

ASSETS = Path(__file__).resolve().parents[2] / "assets"


def _add_demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--work", type=Path, default=Path("runs/demo"), help="checkpoints, pools, log.jsonl")
    parser.add_argument(
        "--assets",
        type=Path,
        help="where the finished models go: assets, or with --minutes assets of the work folder",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--minutes",
        type=float,
        help="by the clock: all of it in so many minutes, in place of the recipe's steps",
    )
    parser.add_argument("--device", default="cpu", help="of a run by the clock: cpu, or cuda")
    parser.add_argument("--size", help="of the Qwen2-VL: small, or on a GPU large")
    parser.add_argument(
        "--world",
        type=int,
        choices=(1, 2),
        help="of the drawn people, and of the vocabulary that is taught; that of what it goes on from, or else 1",
    )
    parser.add_argument(
        "--prompt",
        type=int,
        choices=READ_PROMPT_VERSIONS[1:],
        help="version of what the Qwen2-VL is asked: 4 has the words behind the candidate's picture, 5 also what it "
        f"reads off it; that of what it goes on from, or else {PROMPT_VERSION}",
    )
    parser.add_argument(
        "--gallery",
        action="store_true",
        help="let the export draw that world's demo gallery too, as demo_gallery beside the models",
    )
    parser.add_argument(
        "--results",
        type=Path,
        help="of a run by the clock: a folder for both models as .tar files, and the log",
    )
    parser.add_argument(
        "--workers", type=int, help="of a run by the clock: processes that draw; all cores by default"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="times the recipe's steps")
    parser.add_argument(
        "--families",
        type=int,
        help="people to learn from, three in a family of look-alikes: 4200, or by the clock 12000 at most",
    )
    parser.add_argument(
        "--processes", type=int, default=2, help="of one thread each; they share the steps that teach"
    )
    parser.add_argument("--threads", type=int, default=1, help="of one process")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="FOLDER",
        help="teach a folder's two models, such as assets, further: CLIP and stage 3, with another --seed on others",
    )
    parser.add_argument(
        "--only", nargs="*", help="steps to run, of: pools clip tower language stage1 stage2 stage3 export"
    )
    parser.add_argument(
        "--ablate",
        type=int,
        metavar="STEPS",
        help="in place of the recipe Table 4's ablation: so many steps a stage, three seeds, on work's tower",
    )


def _run_demo(chosen: argparse.Namespace) -> int:
    import torch

    from training.demo.recipe import (
        FURTHER,
        STEPS,
        TRAIN,
        StepBudget,
        prompt_of_run,
        train_demo,
        world_of_run,
    )
    from training.demo.sizes import SIZES

    only = chosen.only or (FURTHER if chosen.start else STEPS)
    if unknown := sorted(set(only) - set(STEPS)):
        remark(f"there is no step {', '.join(unknown)}; the steps are {', '.join(STEPS)}")
        return 2
    if chosen.start and (wrong := [name for name in only if name not in FURTHER]):
        remark(f"--start teaches further by {', '.join(FURTHER)}, not by {', '.join(wrong)}")
        return 2
    if chosen.start and (
        missing := [n for n in ("demo_clip", "demo_qwen2vl") if not (chosen.start / n).is_dir()]
    ):
        remark(f"{chosen.start} has no {' and no '.join(missing)} to go on from")
        return 2
    size = chosen.size or ("small" if chosen.device == "cpu" else "large")
    if size not in SIZES:
        remark(f"there is no size {size}; the sizes are {', '.join(SIZES)}")
        return 2
    try:
        world = world_of_run(chosen.work, chosen.start, chosen.world)
        chosen.prompt = prompt_of_run(chosen.work, chosen.prompt)
    except ValueError as error:
        remark(str(error))
        return 2
    if chosen.minutes is not None:
        return _by_clock(chosen, only, SIZES[size], world)
    if chosen.device != "cpu":
        remark("--device is for a run by the clock; say --minutes too")
        return 2
    torch.set_num_threads(chosen.threads)
    if chosen.ablate is not None:
        return _ablate(chosen.work, chosen.ablate, world)
    train_demo(
        chosen.work,
        chosen.assets or ASSETS,
        budget=StepBudget().scaled(chosen.scale),
        seed=chosen.seed,
        workers=2,
        processes=chosen.processes,
        only=only,
        start=chosen.start,
        families=chosen.families or TRAIN.families,
        size=SIZES[size],
        world=world,
        gallery=chosen.gallery,
        prompt=chosen.prompt,
    )
    return 0


def _by_clock(chosen: argparse.Namespace, only: Sequence[str], size: DemoSize, world: int) -> int:
    import torch

    from training.demo.timed import MOST_FAMILIES, run_by_clock

    if chosen.minutes <= 0:
        remark(f"a run takes more than {chosen.minutes:g} minutes")
        return 2
    if chosen.device != "cpu" and not (chosen.device.startswith("cuda") and torch.cuda.is_available()):
        remark(f"this machine has no device {chosen.device}; --device cpu does the same in small form")
        return 2
    done = run_by_clock(
        chosen.work,
        chosen.assets or chosen.work / "assets",
        size=size,
        device=chosen.device,
        seed=chosen.seed,
        minutes=chosen.minutes,
        workers=chosen.workers,
        results=chosen.results,
        start=chosen.start,
        families=chosen.families or MOST_FAMILIES,
        only=only,
        world=world,
        gallery=chosen.gallery,
        prompt=chosen.prompt,
    )
    return 0 if done else 1


def _ablate(work: Path, steps: int, world: int) -> int:
    from training.demo.ablation import Measure, ablate, ablation_table
    from training.demo.learning import LearningLog
    from training.demo.pool import load_pool
    from training.demo.recipe import VALIDATION

    if steps < 1:
        remark(f"a stage has one step or more, not {steps}")
        return 2
    if missing := [name for name in ("tower", "demo_clip") if not (work / name).is_dir()]:
        needed = " and ".join(missing)
        remark(f"{work} has no {needed} yet: `python -m training demo --only pools clip tower` makes them")
        return 2
    validation = replace(VALIDATION, world=world)
    measure = Measure.over(load_pool(work / "pool-validation", validation, 2), work / "demo_clip")
    results = ablate(
        work,
        steps,
        lambda spec: load_pool(work / "pool-ablation", replace(spec, world=world), 2),
        measure,
        LearningLog(work / "log.jsonl"),
    )
    print(ablation_table(results, steps))
    return 0


def _add_gallery_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=ASSETS / "demo_gallery")
    parser.add_argument(
        "--world", type=int, choices=(1, 2), help="version of the drawn world (default: the demo models' own)"
    )


def _run_gallery(chosen: argparse.Namespace) -> int:
    from app.model.checkpoint import CheckpointManifest
    from app.settings import DEMO_MODEL
    from training.demo.gallery import write_gallery
    from training.evaluation.synthetic_people import world_of

    world = chosen.world or world_of(CheckpointManifest.read(DEMO_MODEL))
    print(f"{write_gallery(chosen.out, world)} crops in {chosen.out}")
    return 0


COMMANDS = {
    "demo": Command(
        "make both demo models from nothing; a stopped run goes on where it was",
        _add_demo_arguments,
        _run_demo,
    ),
    "gallery": Command("draw the demo gallery", _add_gallery_arguments, _run_gallery),
}
