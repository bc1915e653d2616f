"""`python -m training draw`: drawn people in Market-1501's layout."""

from __future__ import annotations

import argparse
from pathlib import Path

from gallery_store.console import progress_bar, remark

HELP = "draw people in Market-1501's layout: to try every command for real people without a download"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, required=True, help="the folder that --root names elsewhere")
    parser.add_argument(
        "--people", type=int, default=120, metavar="N", help="to learn from, and as many others to test on"
    )
    parser.add_argument("--seed", type=int, default=0, help="another seed draws other people")
    parser.add_argument(
        "--world", type=int, choices=(1, 2), help="version of the drawn world (default: the demo models' own)"
    )


def run(chosen: argparse.Namespace) -> int:
    from app.model.checkpoint import CheckpointManifest
    from app.settings import DEMO_MODEL
    from training.evaluation.synthetic_people import world_of
    from training.synthetic.market1501 import write_market1501

    world = chosen.world or world_of(CheckpointManifest.read(DEMO_MODEL))
    progress = progress_bar("draw", "crops")
    try:
        folder = write_market1501(chosen.root, chosen.people, chosen.seed, progress, world)
    except (ValueError, OSError) as error:
        remark(str(error))
        return 2
    print(f"{folder}: use it as --data market1501 --root {chosen.root}")
    return 0
