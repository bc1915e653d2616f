"""The filters by size, blur and attributes, and the commands from pictures to samples."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from tests.chat_server import ANNOTATION, CAPTION, completion, server
from tests.tiny_qwen import noise_picture
from training.__main__ import main
from training.captioning.filters import Limits, Quality, laplacian_variance, measure, why_dropped
from training.captioning.side_files import read_dropped


def slow_variance(grey):
    values = []
    for y in range(1, grey.shape[0] - 1):
        for x in range(1, grey.shape[1] - 1):
            around = [grey[y - 1, x], grey[y + 1, x], grey[y, x - 1], grey[y, x + 1]]
            values.append(4 * float(grey[y, x]) - sum(map(float, around)))
    mean = sum(values) / len(values) if values else 0
    return sum((v - mean) ** 2 for v in values) / len(values) if values else 0.0


@settings(max_examples=40)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_the_laplacians_variance_matches_a_slow_count(height, width, seed):
    grey = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    assert laplacian_variance(grey) == pytest.approx(slow_variance(grey), rel=1e-5)


def test_blurring_and_shrinking_are_seen():
    picture = noise_picture(0)
    blurred = picture.filter(ImageFilter.GaussianBlur(4))
    assert measure(blurred).blur < measure(picture).blur / 20
    assert why_dropped(measure(picture), None, Limits()) == ""
    assert why_dropped(measure(blurred), None, Limits(blur=50)) == "blurred"
    assert why_dropped(measure(picture.resize((20, 60))), None, Limits()) == "small"
    assert why_dropped(measure(picture), {"gender": "man", "bag": "none"}, Limits()) == "occluded"
    assert why_dropped(measure(picture), {"lower_colour": "red"}, Limits()) == ""
    assert why_dropped(Quality(0, 0, 0.0, "cut off"), None, Limits()) == "unreadable"
    with pytest.raises(ValueError, match="1 px or more"):
        Limits(height=0)


@pytest.fixture
def shop(tmp_path):
    """A data set by CSV: eight people with three pictures each, some of them poor."""
    (tmp_path / "pictures").mkdir()
    lines = ["path,person,camera,split"]
    for person in range(8):
        for view in range(3):
            name = f"pictures/{person}_{view}.png"
            noise_picture(person * 3 + view).save(tmp_path / name)
            lines.append(f"{name},{person},{view},train")
    noise_picture(0, 40, 20).save(tmp_path / "pictures/0_0.png")
    Image.new("RGB", (56, 112), (90, 90, 90)).save(tmp_path / "pictures/1_1.png")
    (tmp_path / "shop.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_the_commands_from_pictures_to_samples(shop, capsys, monkeypatch):
    data = ["--data", "csv:shop.csv", "--root", str(shop)]
    captions, dropped, sheet = shop / "c.jsonl", shop / "d.jsonl", shop / "s.html"

    def occluded_second(number, body, headers):
        words = "".join(part.get("text", "") for part in body["messages"][0]["content"])
        seen = "gender: man" if number == 2 * 7 else ANNOTATION  # of the seventh picture
        return completion(seen if "attribute annotations" in words else CAPTION)

    monkeypatch.setenv("SHOP_KEY", "secret")
    with server(occluded_second) as (address, asked):
        given = ["--captioner", address, "--out", str(captions), "--key-variable", "SHOP_KEY", "--batch", "1"]
        assert main(["caption", *data, *given]) == 0
        assert asked[0][1]["Authorization"] == "Bearer secret"
        assert main(["caption", *data, *given]) == 0
    out = capsys.readouterr().out
    assert "24 told now, 0 before" in out and "0 told now, 24 before" in out

    filters = ["filter", *data, "--out", str(dropped), "--sheet", str(sheet), "--captions", str(captions)]
    assert main(filters) == 0
    out = capsys.readouterr().out
    assert [line.split() for line in out.splitlines()[:5]] == [
        ["0", "unreadable"],
        ["1", "small"],
        ["1", "blurred"],
        ["1", "occluded"],
        ["21", "of", "24", "kept;", "written", "to", str(dropped)],
    ]
    assert read_dropped(dropped) == {"pictures/0_0.png", "pictures/1_1.png", "pictures/2_0.png"}
    page = sheet.read_text("utf-8")
    assert page.count("<img") == 3 and all(
        f">{why}: 1<" in page.replace("h2>", ">") for why in ("small", "blurred")
    )
    assert "pictures/1_1.png" in page and "40x20" not in page and "20x40" in page
    # Other limits decide anew without a second look at the pictures.
    with monkeypatch.context() as patch:
        patch.setattr("training.captioning.filters.open_picture", None)
        assert main([*filters, "--min-height", "200"]) == 0
    assert "24 small" in capsys.readouterr().out

    assert main([*filters]) == 0
    rows = shop / "rows.jsonl"
    built = ["build", "--stage", "2", *data, "--count", "40", "--captions", str(captions)]
    assert main([*built, "--dropped", str(dropped), "--jsonl", str(rows)]) == 0
    written = [json.loads(line) for line in rows.read_text().splitlines()]
    # Everybody is told to wear the same: no text could be untrue of anybody else.
    assert {row["task"] for row in written} == {
        "image-one-to-one",
        "image-many-to-many",
        "compare-attributes",
        "annotate-attributes",
    }
    assert "text-one-to-one cannot be made" in capsys.readouterr().out
    used = {Path(image).name for row in written for image in row["images"]}
    assert used and not used & {"0_0.png", "1_1.png", "2_0.png"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["caption", "--data", "nope", "--captioner", "x/y", "--out", "o"], "no data set 'nope'"),
        (["filter", "--data", "synthetic", "--out", "o", "--min-height", "0"], "1 px or more"),
        (["build", "--stage", "2", "--data", "market1501"], "--root DIR"),
        (["build", "--stage", "2", "--count", "-1"], "0 or more"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert words in capsys.readouterr().err
