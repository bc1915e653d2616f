"""What the commands that read training data share: which data sets, where they lie, and what is known beside them."""

from __future__ import annotations

import argparse
from pathlib import Path

WHICH = "data sets, with commas: market1501,msmt17,csv:FILE; synthetic needs no files"


def add_sources(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """--data (required without a default) and --root."""
    parser.add_argument("--data", default=default, required=default is None, help=WHICH)
    parser.add_argument("--root", type=Path, help="the folder below which they lie")


def add_side_files(parser: argparse.ArgumentParser) -> None:
    """--captions, --dropped and --vectors: what other commands wrote about the pictures."""
    parser.add_argument(
        "--captions", type=Path, nargs="*", default=[], help="files that `python -m training caption` wrote"
    )
    parser.add_argument(
        "--dropped", type=Path, nargs="*", default=[], help="files that `python -m training filter` wrote"
    )
    parser.add_argument(
        "--vectors", type=Path, help="a file of `python -m training vectors`, by which look-alikes are found"
    )
