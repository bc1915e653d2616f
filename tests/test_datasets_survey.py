"""`python -m training datasets`: what is there, next to what was published; and its page in the docs."""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.miniatures import NAMES, write_miniature
from training.__main__ import main
from training.datasets.annotation_files import COLUMNS
from training.datasets.load import SYNTHETIC, load, parse_name
from training.datasets.specs import SPECS
from training.datasets.survey import count

DOCS = (Path(__file__).resolve().parent.parent / "docs" / "datasets.md").read_text("utf-8")


@pytest.fixture
def root(tmp_path):
    for name in ("market1501", "regdb", "rstpreid"):
        write_miniature(name, tmp_path)
    return tmp_path


def survey(capsys, *arguments) -> tuple[int, str, str]:
    code = main(["datasets", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_the_table_says_what_is_there_beside_what_was_published(root, capsys):
    code, out, _ = survey(capsys, "--root", root)
    assert code == 0
    assert re.search(r"^  gallery +4 / 750 \* +12 / 19,732 \* +2 / 6 \* +-$", out, re.M)
    assert re.search(r"^  test +4 / 200 \* +12 / 1,000 \* +3 +24 / 2,000 \*$", out, re.M)
    assert re.search(r"^  test-thermal +4 / 206 \* +12 / 2,060 \* +1 / 1 +-$", out, re.M)
    assert "ltcc: not found; looked for LTCC_ReID, LTCC" in out
    assert "3 of 11 found." in out and "* marks where it is another" in out


def test_json_says_the_same(root, capsys):
    code, out, _ = survey(capsys, "--root", root, "--json")
    told = json.loads(out)
    assert code == 0 and [item["name"] for item in told["datasets"] if item["found"]] == [
        "market1501",
        "regdb",
        "rstpreid",
    ]
    market = told["datasets"][0]
    assert market["folder"] == str(root / "Market-1501-v15.09.15") and not market["problem"]
    assert market["splits"]["query"] == {"identities": 4, "images": 8, "cameras": 2, "captions": None}
    assert market["published"]["query"] == {"identities": 750, "images": 3368, "cameras": 6, "captions": None}
    assert "query.images" in market["differing"] and "query.captions" not in market["differing"]
    lost = next(item for item in told["datasets"] if item["name"] == "cuhk03:detected")
    assert lost["folder"] is None and "CUHK03-NP" in lost["looked_for"]


def test_a_broken_set_is_told_and_the_others_are_still_counted(root, capsys):
    shutil.rmtree(root / "Market-1501-v15.09.15" / "query")
    code, out, _ = survey(capsys, "--root", root)
    assert code == 1
    assert (
        "missing folder (1)" in out and "3 of 11 found, 1 broken." in out and "RegDB, visible-infrared" in out
    )
    code, out, _ = survey(capsys, "--root", root, "--json")
    assert code == 1 and "missing folder" in json.loads(out)["datasets"][0]["problem"]


def test_a_torn_picture_is_found_when_asked_for(root, capsys):
    image = load("rstpreid", root).train[0].image
    image.write_bytes(image.read_bytes()[:400])
    assert survey(capsys, "--root", root, "--data", "rstpreid")[0] == 0
    code, out, _ = survey(capsys, "--root", root, "--data", "rstpreid", "--check-pictures")
    assert code == 1 and f"unreadable picture (1): {image}" in out


def test_only_the_sets_named_are_looked_at(root, capsys):
    (root / "my.csv").write_text("path,person\nRSTPReid/imgs/0001_c1_0000.jpg,1\n")
    names = "regdb:3,csv:my.csv,synthetic:seed=2,families=1,held_out=1,views=2,ltcc"
    code, out, _ = survey(capsys, "--root", root, "--data", names)
    assert code == 0
    heads = [line for line in out.splitlines() if re.match(r"\S+: ", line)]
    assert [line.split(": ")[0] for line in heads] == [
        "regdb:3",
        "csv:my.csv",
        "synthetic:seed=2,families=1,held_out=1,views=2",
        "ltcc",
    ]
    assert heads[2].endswith("drawn") and "not found" in heads[3]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--root", "nowhere"], "no folder nowhere"),
        (["--root", ".", "--data", "duke"], "no data set 'duke'"),
    ],
)
def test_a_wrong_call_is_one_sentence_on_stderr(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code, out, err = survey(capsys, *arguments)
    assert code == 2 and not out and told in err and err.count("\n") == 1


def test_a_set_that_is_whole_bears_no_mark(tmp_path, capsys, monkeypatch):
    """The published counts themselves, met exactly: no star, no legend."""
    write_miniature("ltcc", tmp_path)
    here = {split: count(records) for split, records in load("ltcc", tmp_path).splits.items()}
    monkeypatch.setitem(SPECS["ltcc"].counts, "", here)
    _, out, _ = survey(capsys, "--root", tmp_path, "--data", "ltcc")
    assert "*" not in out and "24 / 24" in out


@pytest.mark.parametrize("name", NAMES)
def test_the_docs_have_a_section_with_each_layout_and_its_published_counts(name):
    spec = SPECS[name]
    section = DOCS.split(f"\n### {spec.title}", 1)[1].split("\n### ", 1)[0].split("\n## ", 1)[0]
    assert f"`{name}`" in section and "```" in section and spec.folders[0] in section
    for variant, splits in spec.counts.items():
        if name == "regdb" and variant != "1":
            continue
        for split, expected in splits.items():
            for number in (expected.identities, expected.images, expected.captions):
                assert number is None or f"{number:,}" in section, (variant, split, number)


def test_the_docs_name_every_column_and_every_name_they_use_exists(root):
    for column in COLUMNS:
        assert f"`{column}`" in DOCS or column in DOCS.split("a column per attribute", 1)[1], column
    named = re.findall(r"--data (\S+)", DOCS)
    assert named
    for names in named:
        for name in re.split(r",(?!\w+=)", names.strip("`")):
            parse_name(name)
    assert SYNTHETIC in DOCS and "DukeMTMC" in DOCS and "supplement" in DOCS


def test_the_layouts_in_the_docs_are_those_of_the_miniatures(tmp_path):
    """Each folder and list file that a tree shows is one that the miniature of that set has."""
    for name in NAMES:
        folder = write_miniature(name, tmp_path, people=2)
        section = DOCS.split(f"\n### {SPECS[name].title}", 1)[1].split("```", 2)[1]
        have = {place.name for place in folder.rglob("*")} | {folder.name}
        shown = {
            word.rstrip("/") for word in re.findall(r"^[ │├└─]*([\w.-]+(?:/|\.txt|\.json))", section, re.M)
        }
        assert shown and shown <= have, (name, shown - have)
