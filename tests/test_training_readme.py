"""The README's and docs' commands for training are what the program takes; the offline ones are run."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from app.model.pictures import DEMO
from app.model.reid_model import ReidModel
from tests.tiny_qwen import picture, with_rule
from training.__main__ import COMMANDS, command, main

ROOT = Path(__file__).resolve().parent.parent


def commands(file: Path) -> list[list[str]]:
    """Arguments of every `python -m training` in the shell blocks of a page."""
    blocks = re.findall(r"```sh\n(.*?)```", file.read_text("utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = []
    for line in lines:
        words = shlex.split(line, comments=True)
        if "training" in words and words[words.index("training") - 1] == "-m":
            found.append(words[words.index("training") + 1 :])
    return found


def parses(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    command(words[0]).add_arguments(parser)
    return parser.parse_args(words[1:])


@pytest.mark.parametrize("page", ["README.md", "docs/training.md"])
def test_every_command_is_understood(page):
    found = commands(ROOT / page)
    assert {words[0] for words in found} >= {"train", "publish"}
    for words in found:
        if words == ["train", "..."]:  # after `accelerate launch`
            continue
        assert words[0] in COMMANDS
        parses(words)


def test_the_offline_run_of_the_readme_makes_what_the_app_opens(tmp_path, monkeypatch, capsys):
    """All three stages by the README's own lines, with a smaller model in the demo model's place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "assets").mkdir()
    with_rule(tmp_path / "assets" / "demo_qwen2vl", DEMO)
    (tmp_path / "models").mkdir()
    offline = [words for words in commands(ROOT / "README.md") if "--root" not in words]
    run = [words for words in offline if words[0] in ("train", "publish") and "runs/reid/stage3" not in words]
    assert [words[0] for words in run] == ["train", "publish"]
    for words in run:
        assert main(words) == 0, capsys.readouterr().err
    model = ReidModel.load("models/try")
    assert [stage["name"] for stage in model.manifest.stages] == ["stage1", "stage2", "stage3"]
    assert model.rule == DEMO  # taught and asked at the one size that its base knows
    for stage in model.manifest.stages:
        assert stage["recipe"]["image_rule"]["fixed"] == list(DEMO.fixed) and stage["max_pixels"] is None
    assert model.yes_logits("a man", [], [picture(1)]).shape == (1,)


def test_the_tables_of_memory_are_the_commands_own(capsys):
    assert main(["memory"]) == 0
    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    tables = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(tables) == 18
    assert all(line in page for line in tables)
