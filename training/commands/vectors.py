"""`python -m training vectors`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.commands.sources import add_sources

HELP = "CLIP vectors of training pictures, by which look-alikes are found; a stopped run goes on"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_sources(parser)
    parser.add_argument("--clip", required=True, help="a CLIP folder, or an open_clip name: ViT-B-16")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.npz")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1")


def run(chosen: argparse.Namespace) -> int:
    from gallery_store.encoder import ClipEncoder, EncoderError
    from training.datasets.errors import DataSetError
    from training.datasets.load import load_many, parse_names
    from training.instructions.vectors import store_vectors

    try:
        datasets = load_many(parse_names(chosen.data), chosen.root)
        records = [record for dataset in datasets for record in dataset.train]
        encoder = ClipEncoder.load(chosen.clip, device=chosen.device)
        fresh, unreadable = store_vectors(records, chosen.root, encoder, chosen.out, progress=_progress)
    except (DataSetError, EncoderError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    print(f"{fresh} of {len(records)} pictures encoded now, in {chosen.out}")
    if unreadable:
        print(f"{len(unreadable)} unreadable, first {unreadable[0][0]}: {unreadable[0][1]}")
    return 0


def _progress(done: int, total: int) -> None:
    print(f"\r{done:,} of {total:,} pictures", end="\n" if done == total else "", file=sys.stderr, flush=True)
