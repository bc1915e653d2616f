"""`python -m training demo`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "make both demo models from nothing; a stopped run goes on where it was"
ASSETS = Path(__file__).resolve().parents[2] / "assets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--work", type=Path, default=Path("runs/demo"), help="checkpoints, pools, log.jsonl")
    parser.add_argument("--assets", type=Path, default=ASSETS, help="where the finished models go")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=1.0, help="times the recipe's steps")
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


def run(chosen: argparse.Namespace) -> int:
    import torch

    from training.demo.recipe import FURTHER, STEPS, Course, train_demo

    only = chosen.only or (FURTHER if chosen.start else STEPS)
    if unknown := sorted(set(only) - set(STEPS)):
        print(f"there is no step {', '.join(unknown)}; the steps are {', '.join(STEPS)}", file=sys.stderr)
        return 2
    if chosen.start and (wrong := [name for name in only if name not in FURTHER]):
        print(f"--start teaches further by {', '.join(FURTHER)}, not by {', '.join(wrong)}", file=sys.stderr)
        return 2
    if chosen.start and (
        missing := [n for n in ("demo_clip", "demo_qwen2vl") if not (chosen.start / n).is_dir()]
    ):
        print(f"{chosen.start} has no {' and no '.join(missing)} to go on from", file=sys.stderr)
        return 2
    torch.set_num_threads(chosen.threads)
    if chosen.ablate is not None:
        return _ablate(chosen.work, chosen.ablate)
    train_demo(
        chosen.work,
        chosen.assets,
        course=Course().scaled(chosen.scale),
        seed=chosen.seed,
        workers=2,
        processes=chosen.processes,
        only=only,
        start=chosen.start,
    )
    return 0


def _ablate(work: Path, steps: int) -> int:
    from training.demo.ablation import Measure, ablate, ablation_table
    from training.demo.pool import load_pool
    from training.demo.progress import Log
    from training.demo.recipe import VALIDATION

    if steps < 1:
        print(f"a stage has one step or more, not {steps}", file=sys.stderr)
        return 2
    if missing := [name for name in ("tower", "demo_clip") if not (work / name).is_dir()]:
        needed = " and ".join(missing)
        print(
            f"{work} has no {needed} yet: `python -m training demo --only pools clip tower` makes them",
            file=sys.stderr,
        )
        return 2
    measure = Measure.over(load_pool(work / "pool-validation", VALIDATION, 2), work / "demo_clip")
    found = ablate(
        work, steps, lambda spec: load_pool(work / "pool-ablation", spec, 2), measure, Log(work / "log.jsonl")
    )
    print(ablation_table(found, steps))
    return 0
