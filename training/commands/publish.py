"""`python -m training publish`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "make what `python app.py --model DIR` opens out of a tuned checkpoint"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="source", type=Path, required=True, help="a checkpoint of `training train`"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="bfloat16", help="of the weights"
    )
    parser.add_argument("--merge", action="store_true", help="whole weights in place of a LoRA adapter")
    parser.add_argument("--name", default="", help="what the screen calls it; the folder's name by default")


def run(chosen: argparse.Namespace) -> int:
    from app.model.checkpoint import ModelError
    from training.tuning.errors import TuningError
    from training.tuning.publish import publish
    from training.tuning.quiet import quiet

    quiet()
    try:
        out = publish(chosen.source, chosen.out, dtype=chosen.dtype, merge=chosen.merge, name=chosen.name)
    except (ModelError, TuningError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{out}: open it with `python app.py --model {out}`")
    return 0
