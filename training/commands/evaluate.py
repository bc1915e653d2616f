"""`python -m training evaluate`: a score file, a benchmark, or the synthetic one."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HELP = "measure: a benchmark by the path that operators use, or a file of scores from anywhere"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--scores",
        type=Path,
        metavar="FILE.npz",
        help="arrays scores (Q, G; higher is better), query_ids, gallery_ids, query_cameras, gallery_cameras",
    )
    parser.add_argument(
        "--max-rank", type=_positive, default=10, metavar="N", help="how far the CMC curve is printed"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object of unrounded fractions")


def run(chosen: argparse.Namespace) -> int:
    return _run_scores(chosen)


def _run_scores(chosen: argparse.Namespace) -> int:
    from dataclasses import asdict

    from training.evaluation.scores_file import ScoresError, evaluate_file

    try:
        ranks = evaluate_file(chosen.scores)
    except ScoresError as error:
        print(error, file=sys.stderr)
        return 2
    metrics = ranks.metrics()
    if chosen.json:
        print(json.dumps(asdict(metrics)))
        return 0
    print(f"{metrics}  mINP {metrics.mINP:.3f}")
    print(f"{metrics.queries} queries, {metrics.queries_without_match} of them without a match and left out")
    print(
        "CMC  "
        + "  ".join(f"{rank}: {share:.4f}" for rank, share in enumerate(ranks.cmc(chosen.max_rank), 1))
    )
    return 0


def _positive(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return value
