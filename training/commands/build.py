"""`python -m training build`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from training.commands.sources import add_side_files, add_sources

HELP = "make instruction samples of a stage, to read (--show) or for other trainers (--jsonl)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, choices=(1, 2, 3), required=True)
    parser.add_argument("--count", type=int, default=20, help="samples; 0 for all that the stage has")
    parser.add_argument("--first", type=int, default=0, help="number of the first one")
    add_sources(parser, default="synthetic")
    add_side_files(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--nobody", type=float, help="share of galleries without a match, instead of the stage's"
    )
    parser.add_argument("--show", type=Path, metavar="FILE.html", help="a page with the pictures, to read")
    parser.add_argument("--jsonl", type=Path, metavar="FILE", help='rows {"task", "messages", "images"}')


def run(chosen: argparse.Namespace) -> int:
    from collections import Counter
    from dataclasses import replace
    from functools import partial

    from training.captioning.stored import prepared
    from training.datasets.errors import DataSetError
    from training.datasets.load import load_many, parse_names
    from training.datasets.training_records import training_records
    from training.instructions.mixtures import STAGES
    from training.instructions.rows import write_rows
    from training.instructions.show import write_page
    from training.instructions.stream import CannotBeMade, Samples
    from training.instructions.vectors import read_vectors

    if chosen.count < 0 or chosen.first < 0:
        print("--count and --first are 0 or more", file=sys.stderr)
        return 2
    try:
        loaded = load_many(parse_names(chosen.data), chosen.root)
        datasets = prepared(loaded, chosen.root, chosen.captions, chosen.dropped)
        mixture = STAGES[chosen.stage]
        if chosen.nobody is not None:
            mixture = replace(mixture, nobody=chosen.nobody)
        stop = chosen.first + (chosen.count or mixture.samples)
        records = training_records(datasets)
        vectors = None
        if chosen.vectors:
            vectors = read_vectors(chosen.vectors, records.records, chosen.root)
        samples = Samples(mixture, records, chosen.seed, stop, vectors)
        indices = range(chosen.first, stop)
        for line in samples.plan.report():
            print(line)
        if chosen.show:
            lead = (
                f"Samples {chosen.first} to {stop - 1} of seed {chosen.seed}, from {len(samples.records)} training "
                f"pictures of {', '.join(samples.stream.columns.names)}."
            )
            write_page(samples, indices, chosen.show, f"Stage {chosen.stage}: instruction samples", lead)
            print(f"{len(indices)} samples to read in {chosen.show}")
        if chosen.jsonl:
            progress = partial(_progress, len(indices))
            print(f"{write_rows(samples, indices, chosen.jsonl, progress)} rows in {chosen.jsonl}")
        if not (chosen.show or chosen.jsonl):
            for task, count in Counter(samples.sample(index).task for index in indices).most_common():
                print(f"{count:8} {task}")
    except (DataSetError, CannotBeMade, ValueError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 2
    return 0


def _progress(total: int, done: int) -> None:
    if done % 1000 == 0 or done == total:
        end = "\n" if done == total else ""
        print(f"\r{done:,} of {total:,} rows", end=end, file=sys.stderr, flush=True)
