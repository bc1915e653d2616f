"""`python -m training COMMAND`: everything that makes, teaches and measures models."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="make both demo models from nothing; stopped runs go on where they were"
    )
    demo.add_argument("--work", type=Path, default=Path("runs/demo"), help="checkpoints, pools and log.jsonl")
    demo.add_argument("--assets", type=Path, default=ASSETS, help="where the finished models go")
    demo.add_argument("--seed", type=int, default=0)
    demo.add_argument("--scale", type=float, default=1.0, help="times the recipe's minutes")
    demo.add_argument("--threads", type=int, default=1)
    demo.add_argument(
        "--only", nargs="*", help="steps to run, of: pools clip tower language stage1 stage2 stage3 export"
    )
    gallery = commands.add_parser("gallery", help="draw the demo gallery")
    gallery.add_argument("--out", type=Path, default=ASSETS / "demo_gallery")
    chosen = parser.parse_args(arguments)
    if chosen.command == "gallery":
        from training.demo.gallery import write_gallery

        print(f"{write_gallery(chosen.out)} crops in {chosen.out}")
        return 0
    return _demo(chosen)


def _demo(chosen: argparse.Namespace) -> int:
    import torch

    from training.demo.recipe import STEPS, Minutes, train_demo

    only = chosen.only or STEPS
    if unknown := sorted(set(only) - set(STEPS)):
        print(f"there is no step {', '.join(unknown)}; the steps are {', '.join(STEPS)}", file=sys.stderr)
        return 2
    torch.set_num_threads(chosen.threads)
    train_demo(
        chosen.work,
        chosen.assets,
        minutes=Minutes().scaled(chosen.scale),
        seed=chosen.seed,
        workers=2,
        only=only,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
