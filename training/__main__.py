"""`python -m training COMMAND`: everything that makes, teaches and measures models."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from gallery_store.console import any_encoding
from training.commands import Command

# command -> its module in training.commands. A module of one command has HELP, add_arguments(parser) and
# run(chosen) -> exit code; one of several has COMMANDS, by name.
COMMANDS = {
    "build": "datasets",
    "calibrate": "calibrate",
    "caption": "datasets",
    "compare": "compare",
    "datasets": "datasets",
    "demo": "demo",
    "digest": "digest",
    "draw": "draw",
    "evaluate": "evaluate",
    "filter": "datasets",
    "gallery": "demo",
    "memory": "memory",
    "publish": "train",
    "report": "report",
    "train": "train",
    "vectors": "datasets",
}


def main(arguments: list[str] | None = None) -> int:
    any_encoding()
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parsers = parser.add_subparsers(dest="command", required=True)
    for name in COMMANDS:
        one = command(name)
        one.add_arguments(parsers.add_parser(name, help=one.help, description=one.help))
    chosen = parser.parse_args(arguments)
    return command(chosen.command).run(chosen)


def command(name: str) -> Command:
    """One of COMMANDS."""
    module = import_module(f"training.commands.{COMMANDS[name]}")
    several: dict[str, Command] = getattr(module, "COMMANDS", {})
    return several.get(name) or Command(module.HELP, module.add_arguments, module.run)


if __name__ == "__main__":
    sys.exit(main())
