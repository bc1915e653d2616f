"""docs/training.md: what its table of paper, code and tests names is there."""

import argparse
import ast
import re
import shlex
from pathlib import Path

import pytest

from training.__main__ import command

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "training.md").read_text("utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.split("### Line by line")[1].split("\n## ")[0].splitlines()
    if line.startswith("| ") and not line.startswith("| paper ")
]


def names_in(file: Path) -> set[str]:
    """What a module defines at its top."""
    names: set[str] = set()
    for node in ast.parse(file.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:40])
def test_the_code_and_the_test_of_each_line_exist(row):
    _, code, tests, _ = row
    for path, names in re.findall(r"`([\w/.]+)(?:: ([\w, ]+))?`", code):
        assert (ROOT / path).exists(), path
        if names:
            assert set(names.split(", ")) <= names_in(ROOT / path)
    named = re.findall(r"`(test_\w+\.py)(?:::(\w+))?`", tests)
    assert named
    for file, name in named:
        assert (ROOT / "tests" / file).exists(), file
        assert not name or name in names_in(ROOT / "tests" / file)


def test_every_section_of_the_method_has_a_line():
    text = " ".join(row[0] for row in ROWS)
    assert all(
        part in text for part in ("3.1.1", "3.1.2", "3.1.3", "3.2", "3.3", "4.1", "Figure 4", "Table 4")
    )


def test_the_commands_of_the_market_row_parse_and_calibrate_what_is_published_before_it_is_evaluated():
    listed = (
        TEXT.split("## Table 1's Market-1501 row")[1].split("```sh\n")[1].split("```")[0].replace("\\\n", " ")
    )
    commands = [shlex.split(line, comments=True)[3:] for line in listed.strip().splitlines()]
    parsed = {}
    for name, *arguments in commands:
        parser = argparse.ArgumentParser()
        command(name).add_arguments(parser)
        parsed[name] = parser.parse_args(arguments)
    assert list(parsed)[-4:] == ["publish", "calibrate", "evaluate", "report"]
    assert str(parsed["publish"].out) == str(parsed["calibrate"].model) == str(parsed["evaluate"].model)
    assert parsed["calibrate"].clip == parsed["evaluate"].clip
