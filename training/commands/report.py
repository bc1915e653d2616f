"""`python -m training report`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

HELP = "set evaluations side by side with the paper's tables, as HTML and Markdown"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", nargs="+", type=Path, metavar="DIR", help="as `evaluate --out` wrote them")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("report.html"),
        metavar="FILE.html",
        help="the page; its tables as Markdown go beside it, FILE.md",
    )


def run(chosen: argparse.Namespace) -> int:
    from gallery_store.files import write_file
    from training.evaluation.report.evaluations import read_evaluations
    from training.evaluation.report.formats import html_report, markdown_report
    from training.evaluation.results import ResultError

    if chosen.out.is_dir():
        print(f"{chosen.out} is a folder; name a file, such as {chosen.out / 'report.html'}", file=sys.stderr)
        return 2
    try:
        runs = read_evaluations(chosen.runs)
        written = [
            write_file(chosen.out.with_suffix(suffix), text)
            for suffix, text in ((".html", html_report(runs)), (".md", markdown_report(runs)))
        ]
    except (ResultError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(" and ".join(str(file) for file in written))
    return 0
