"""The commands of `python -m training`, as training.__main__ lists them. Modules import what is slow inside `run`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple


class Command(NamedTuple):
    """help: one line. add_arguments: to the command's own parser. run: what was chosen -> exit code."""

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
