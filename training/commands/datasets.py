"""`python -m training datasets`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.datasets.survey import Found

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
    from training.datasets.survey import as_json, survey

    names = [name for name in chosen.data.split(",") if name.strip()]
    try:
        found = survey(chosen.root, names, check=chosen.check_pictures)
    except DataSetError as problem:
        print(problem, file=sys.stderr)
        return 2
    if chosen.json:
        print(json.dumps(as_json(chosen.root, found), indent=2))
    else:
        print("\n".join(_table(found)))
    return 1 if any(item.problem for item in found) else 0


def _table(found: list[Found]) -> list[str]:
    from training.datasets.survey import FIELDS

    heads = ("split", *FIELDS)
    row = "  {:<14}{:>16}{:>18}{:>10}{:>18}".format
    lines = []
    for item in found:
        if item.folder is None:
            lines += [f"{item.name}: not found; looked for {', '.join(item.looked_for)}", ""]
            continue
        lines.append(f"{item.name}: {item.title}, {item.setting or 'broken'}, in {item.folder}")
        if item.problem:
            lines += [*("  " + line for line in item.problem.splitlines()), ""]
            continue
        differing = set(item.differing())
        lines.append(row(*heads))
        for split in item.splits:
            cells = [_cell(item, split, what, (split, what) in differing) for what in FIELDS]
            lines.append(row(split, *cells))
        lines.append("")
    there = sum(item.folder is not None for item in found)
    broken = sum(bool(item.problem) for item in found)
    lines.append(f"{there} of {len(found)} found{f', {broken} broken' if broken else ''}.")
    if any(item.splits and item.differing() for item in found):
        lines.append("* differs from the published count, which stands after the stroke.")
    return lines


def _cell(item: Found, split: str, what: str, differs: bool) -> str:
    here = getattr(item.splits[split], what)
    text = "-" if here is None else f"{here:,}"
    if differs:
        return f"{text} / {getattr(item.published[split], what):,} *"
    return text
