"""`python -m training gallery`."""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands.demo import ASSETS

HELP = "draw the demo gallery"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, default=ASSETS / "demo_gallery")


def run(chosen: argparse.Namespace) -> int:
    from training.demo.gallery import write_gallery

    print(f"{write_gallery(chosen.out)} crops in {chosen.out}")
    return 0
