"""The README's and docs' commands for training are what the program takes; the offline ones are run."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from app.model.checkpoint import is_calibrated
from app.model.pictures import DEMO
from app.model.reid_model import ReidModel
from gallery_store.encoder import ClipEncoder
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import picture, with_rule
from training.__main__ import COMMANDS, command, main
from training.datasets.load import load

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


@pytest.mark.parametrize("page", ["README.md", "docs/training.md", "docs/calibration.md"])
def test_every_command_is_understood(page):
    found = commands(ROOT / page)
    assert {words[0] for words in found} >= {"train", "publish"}
    for words in found:
        if words == ["train", "..."]:  # after `accelerate launch`
            continue
        assert words[0] in COMMANDS
        parses(words)


@pytest.fixture
def small_demo(tmp_path, monkeypatch):
    """A folder to run in, with toys in the places of the demo models."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "assets").mkdir()
    with_rule(tmp_path / "assets" / "demo_qwen2vl", DEMO)
    make_clip_folder(tmp_path / "assets" / "demo_clip")
    (tmp_path / "models").mkdir()


def test_the_three_stages_offline_make_what_the_app_opens(small_demo, capsys):
    """By the page's own lines."""
    run = [
        words for words in commands(ROOT / "docs" / "training.md") if any("stages" in word for word in words)
    ]
    assert [words[0] for words in run] == ["train", "publish"]
    for words in run:
        assert main(words) == 0, capsys.readouterr().err
    model = ReidModel.load("models/stages")
    assert [stage["name"] for stage in model.manifest.stages] == ["stage1", "stage2", "stage3"]
    assert model.rule == DEMO  # taught and asked at the one size that its base knows
    for stage in model.manifest.stages:
        assert stage["recipe"]["image_rule"]["fixed"] == list(DEMO.fixed) and stage["max_pixels"] is None
    assert model.yes_logits("a man", [], [picture(1)]).shape == (1,)


def test_the_offline_run_of_the_readme_ends_in_a_calibrated_model(small_demo, capsys):
    """By its own lines, on fewer people and in fewer steps."""
    run = [words for words in commands(ROOT / "README.md") if any("/try" in word for word in words)]
    assert [words[0] for words in run] == [
        "draw",
        "draw",
        "vectors",
        "train",
        "publish",
        "compare",
        "calibrate",
    ]
    fewer = {"--people": "42", "--samples": "32"}
    clip = ["--clip", "assets/demo_clip"]
    for words in run:
        changed = [fewer.get(before, word) for before, word in zip(["", *words], words, strict=False)]
        if words[0] in ("calibrate", "compare"):
            changed += ["--queries", "60"] if words[0] == "calibrate" else ["--max-queries", "4", *clip]
        assert main(changed) == 0, capsys.readouterr().err
        if words[0] == "compare":
            told = capsys.readouterr().out
            assert "base: assets/demo_qwen2vl; tuned: models/try" in told
            row = r"\| standard +\| .* \| +[+-]\d+\.\d \[[+-]\d+\.\d, [+-]\d+\.\d\] \| +4 \|"
            assert re.search(row, told)
    manifest = ReidModel.load("models/try").manifest
    encoder = ClipEncoder.load("assets/demo_clip")
    assert is_calibrated(manifest, encoder.name, encoder.version)
    taught, calibrated = (
        {record.picture().tobytes() for record in load("market1501", Path("runs/try") / name).train}
        for name in ("people", "site")
    )
    assert not taught & calibrated  # other people


def test_the_tables_of_memory_are_the_commands_own(capsys):
    assert main(["memory"]) == 0
    page = (ROOT / "docs" / "training.md").read_text("utf-8")
    tables = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(tables) == 18
    assert all(line in page for line in tables)
