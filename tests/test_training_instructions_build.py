"""Samples as a page to read and as rows for other trainers."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from app.model.prompts import paper_prompt
from training.__main__ import main
from training.datasets.record import DataSet, Record
from training.datasets.training_records import training_records
from training.instructions.chat_rows import flat, row
from training.instructions.mixtures import MIXTURES
from training.instructions.sample import InstructionSample
from training.instructions.show import write_page
from training.instructions.stage_samples import Samples

WORLD = "synthetic:families=4,held_out=1,views=3"


class Page(HTMLParser):
    """Counts of what stands on the page, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("img", "meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.mark.parametrize("stage", ["1", "2", "3"])
def test_a_page_and_rows_of_a_stage(stage, tmp_path, capsys):
    page, rows = tmp_path / "p.html", tmp_path / "out" / "r.jsonl"
    arguments = ["build", "--stage", stage, "--count", "12", "--data", WORLD, "--seed", "3"]
    assert main([*arguments, "--show", str(page), "--jsonl", str(rows)]) == 0
    assert "12 samples to read" in capsys.readouterr().out
    written = [json.loads(line) for line in rows.read_text("utf-8").splitlines()]
    assert len(written) == 12
    for made in written:
        assert list(made) == ["task", "messages", "images"]
        assert [message["role"] for message in made["messages"]] == ["user", "assistant"]
        assert made["messages"][0]["content"].count("<image>") == len(made["images"])
        for image in made["images"]:
            assert Path(image).parent == Path(f"{rows}.images")
            with Image.open(image) as picture:
                assert picture.mode == "RGB"
    shown = Page(page.read_text("utf-8"))
    assert not shown.open
    assert [card["data-task"] for card in shown.all("article")] == [made["task"] for made in written]
    assert len(shown.all("img")) == sum(len(made["images"]) for made in written)
    text = "".join(shown.words)
    for made in written:
        assert made["messages"][1]["content"] in text
    assert "http" not in re.sub(r"data:image/jpeg;base64,[^\"]+", "", page.read_text("utf-8"))
    assert not list(tmp_path.rglob("*.partial"))


def test_the_same_command_gives_the_same_rows_and_seeds_differ(tmp_path):
    texts = []
    for seed in ("0", "0", "1"):
        rows = tmp_path / "r.jsonl"
        assert (
            main(
                [
                    "build",
                    "--stage",
                    "2",
                    "--data",
                    WORLD,
                    "--count",
                    "8",
                    "--seed",
                    seed,
                    "--jsonl",
                    str(rows),
                ]
            )
            == 0
        )
        texts.append(rows.read_text())
    assert texts[0] == texts[1] != texts[2]
    assert (
        main(["build", "--stage", "2", "--data", WORLD, "--first", "5", "--count", "3", "--jsonl", str(rows)])
        == 0
    )
    assert rows.read_text().splitlines() == texts[0].splitlines()[5:]


def test_counts_are_printed_where_nothing_is_written(capsys):
    assert main(["build", "--stage", "2", "--data", WORLD, "--count", "40"]) == 0
    assert "10 image-many-to-many" in capsys.readouterr().out
    assert main(["build", "--stage", "3", "--data", WORLD, "--count", "40", "--nobody", "2"]) == 2
    assert "nobody must lie in 0..1" in capsys.readouterr().err


def test_a_picture_tag_in_a_text_is_no_picture():
    messages = paper_prompt("text_one_to_one", [1], ["a <image> of a man, <video>"])
    assert flat(messages[0]).count("<image>") == 1
    made = row(InstructionSample("t", messages, (0,), "an <image>"), ["a.png"])
    assert made["messages"][1]["content"] == "an image"


def test_files_are_named_where_they_lie_and_text_is_escaped(tmp_path):
    records = []
    for person in range(3):
        for view in range(2):
            file = tmp_path / f"{person}_{view}.png"
            Image.new("RGB", (30, 60), (person * 80, 9, view * 99)).save(file)
            text = f"<script>alert({person})</script> & co"
            records.append(Record(file, str(person), str(view), captions=(text,)))
    (tmp_path / "0_0.png").write_bytes(b"torn")
    samples = Samples(
        MIXTURES[1], training_records([DataSet("d", "standard", {"train": tuple(records)})]), 0, 30
    )
    page = tmp_path / "p.html"
    assert write_page(samples, range(30), page, "A & B", "lead <b>") == 30
    text = page.read_text("utf-8")
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert "0_0.png: it is not a picture" in text  # an unreadable file is named in its place
