"""docs/evaluation.md: its commands parse, and every protocol and figure has its place in it."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from training.commands import evaluate, report
from training.evaluation.metrics import Metrics
from training.evaluation.protocols import PROTOCOLS
from training.evaluation.report.published import PUBLISHED_AVERAGES, TABLES

TEXT = (Path(__file__).parents[1] / "docs" / "evaluation.md").read_text("utf-8")
COMMANDS = re.findall(r"^python -m training (evaluate|report) (.*)$", TEXT, re.M)


@pytest.mark.parametrize(("command", "arguments"), COMMANDS)
def test_commands_parse(command, arguments):
    parser = argparse.ArgumentParser()
    {"evaluate": evaluate, "report": report}[command].add_arguments(parser)
    chosen = parser.parse_args(shlex.split(arguments))
    if command == "evaluate" and chosen.protocol:
        assert chosen.protocol in PROTOCOLS


def test_each_protocol_has_its_section():
    assert len(COMMANDS) >= 6
    headings = re.findall(r"^### ([\w-]+)", TEXT, re.M)
    assert set(PROTOCOLS) <= set(headings)


def test_each_figure_is_explained():
    for name in Metrics.__dataclass_fields__:
        assert f"`{name}`" in TEXT


def test_what_it_says_of_the_paper_is_what_the_report_prints():
    for figure in (76.3, 75.6, 87.5, 72.9):
        assert any(figure in figures for table in TABLES for _, figures in table.rows) and str(figure) in TEXT
    assert list(PUBLISHED_AVERAGES) == [method for method, _ in TABLES[3].rows]
