"""`python -m training COMMAND`: everything that makes, teaches and measures models."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

# Each is a module of training.commands: HELP, add_arguments(parser), run(chosen) -> exit code.
COMMANDS = (
    "build",
    "caption",
    "datasets",
    "demo",
    "evaluate",
    "filter",
    "gallery",
    "memory",
    "publish",
    "report",
    "train",
    "vectors",
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        module = import_module(f"training.commands.{name}")
        module.add_arguments(commands.add_parser(name, help=module.HELP, description=module.HELP))
    chosen = parser.parse_args(arguments)
    return int(import_module(f"training.commands.{chosen.command}").run(chosen))


if __name__ == "__main__":
    sys.exit(main())
