"""`python -m training filter`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.commands.sources import add_sources

HELP = "which training pictures are too small, too blurred or occluded, with counts and a contact sheet"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_sources(parser)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="FILE.jsonl", help="a line for each picture"
    )
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="what is dropped, to look over")
    parser.add_argument(
        "--captions",
        type=Path,
        nargs="*",
        default=[],
        help="files of `caption`: no clothing in them is occluded",
    )
    parser.add_argument("--min-height", type=int, default=64, help="px")
    parser.add_argument("--min-width", type=int, default=24, help="px")
    parser.add_argument(
        "--min-blur", type=float, default=15.0, help="least variance of the Laplacian, in squared grey levels"
    )
    parser.add_argument("--threads", type=int, default=2)


def run(chosen: argparse.Namespace) -> int:
    from training.captioning.filters import Limits
    from training.captioning.sift import sift
    from training.captioning.stored import read_captions
    from training.datasets.errors import DataSetError
    from training.datasets.load import load_many, parse_names

    try:
        limits = Limits(chosen.min_height, chosen.min_width, chosen.min_blur)
        datasets = load_many(parse_names(chosen.data), chosen.root)
        told = {key: row for file in chosen.captions for key, row in read_captions(file).items()}
        records = [record for dataset in datasets for record in dataset.train]
        found = sift(
            records,
            chosen.root,
            limits,
            chosen.out,
            told=told,
            sheet=chosen.sheet,
            threads=chosen.threads,
            progress=_progress,
        )
    except (DataSetError, ValueError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    total = sum(found.counts.values())
    for why in ("unreadable", "small", "blurred", "occluded"):
        print(f"{found.counts.get(why, 0):8,} {why}")
    print(f"{found.counts.get('', 0):8,} of {total:,} kept; written to {chosen.out}")
    if found.drawn:
        print(f"{found.drawn} drawn pictures have no file and were not looked at")
    if chosen.sheet is not None:
        print(f"contact sheet in {chosen.sheet}")
    return 0


def _progress(done: int, total: int) -> None:
    print(f"\r{done:,} of {total:,} pictures", end="\n" if done == total else "", file=sys.stderr, flush=True)
