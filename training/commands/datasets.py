"""`python -m training datasets`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HELP = "which data sets lie below a folder, and whether they are whole"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root", type=Path, required=True, help="the folder in which the data sets lie")
    parser.add_argument(
        "--data", default="", help="only these, with commas: market1501,cuhk03:detected,csv:FILE,synthetic"
    )
    parser.add_argument(
        "--check-pictures", action="store_true", help="also decode every picture; takes minutes"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(chosen: argparse.Namespace) -> int:
    from training.datasets.errors import DataSetError
    from training.datasets.load import parse_names
    from training.datasets.survey import as_json, survey
    from training.datasets.table import table

    try:
        found = survey(chosen.root, parse_names(chosen.data), check=chosen.check_pictures, progress=_progress)
    except DataSetError as problem:
        print(problem, file=sys.stderr)
        return 2
    if chosen.json:
        print(json.dumps(as_json(chosen.root, found), indent=2))
    else:
        print("\n".join(table(found)))
    return 1 if any(item.problem for item in found) else 0


def _progress(done: int, total: int) -> None:
    end = "\n" if done == total else ""
    print(f"\r{done:,} of {total:,} pictures decoded", end=end, file=sys.stderr, flush=True)
