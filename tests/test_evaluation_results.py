"""A run on disk: written whole or not at all, read back the same, and refused in one sentence when it is broken."""

import json

import numpy as np
import pytest
from PIL import Image

from training.evaluation.metrics import Relevance, order_of, rank
from training.evaluation.results import (
    PLACES,
    SHOWN,
    Model,
    Rankings,
    Result,
    ResultError,
    Side,
    file_stem,
    picture_file,
    rankings,
    write_shown,
)


def result(**changes):
    figures = {"mAP": 0.5, "rank1": 1 / 3, "queries": 3}
    values = {
        "kind": "benchmark",
        "benchmark": "market1501",
        "settings": {"standard": {"clip": figures}},
        "model": Model("folder", "Qwen2-VL", ("stage1", "stage3"), 2_000_000, "clip@1", None, 64),
        "seconds": {"total": 1.5},
        "notes": ("a note",),
        "extra": {"rounds": [1, 2]},
    }
    return Result(**{**values, **changes})


def test_a_result_comes_back_as_it_was(tmp_path):
    result().write(tmp_path / "run")
    assert Result.read(tmp_path / "run") == result()


def test_a_write_that_fails_leaves_the_old_result(tmp_path, monkeypatch):
    result().write(tmp_path)
    monkeypatch.setattr("os.fsync", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    with pytest.raises(OSError, match="no space"):
        result(benchmark="msmt17").write(tmp_path)
    assert Result.read(tmp_path).benchmark == "market1501"
    assert [file.name for file in tmp_path.iterdir()] == ["result.json"]


def test_nan_is_no_figure(tmp_path):
    with pytest.raises(ValueError):
        result(settings={"standard": {"clip": {"mAP": float("nan")}}}).write(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda raw: None, "has no result.json"),
        (lambda raw: "{", "cannot be read"),
        (lambda raw: "[]", "schema None"),
        (lambda raw: json.dumps({**raw, "schema": 9}), "schema 9, and this ChatReID reads 1"),
        (lambda raw: json.dumps({**raw, "later": 1}), "later 1"),
        (lambda raw: json.dumps({**raw, "kind": "guess"}), "unknown kind"),
        (lambda raw: json.dumps({**raw, "settings": {"standard": {"clip": {"mAP": "high"}}}}), "high"),
        (lambda raw: json.dumps({**raw, "settings": [1]}), "not an evaluation"),
        (lambda raw: json.dumps({k: v for k, v in raw.items() if k != "model"}), "lacks model"),
    ],
)
def test_a_broken_result_is_named(tmp_path, spoil, said):
    file = result().write(tmp_path)
    spoilt = spoil(json.loads(file.read_text()))
    if spoilt is None:
        file.unlink()
    else:
        file.write_text(spoilt)
    with pytest.raises(ResultError, match=said) as caught:
        Result.read(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


def test_names_make_no_paths():
    assert file_stem("../x", "a/b.c") == "___x.a_b_c"


def small_rankings(scores, relevance, queries=2, gallery=30):
    sides = [
        Side.of([f"{side}{n}" for n in range(count)], ["1"] * count, ["c1"] * count)
        for side, count in (("q", queries), ("g", gallery))
    ]
    return rankings(map(order_of, scores), relevance, rank(scores, relevance), *sides)


def test_first_places_against_a_plain_sort():
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (2, 30)).astype(np.float32)  # many ties
    matches, junk = rng.random((2, 30)) < 0.3, rng.random((2, 30)) < 0.2
    kept = small_rankings(scores, Relevance.by_masks(matches & ~junk, junk))
    for query in range(2):
        order = [g for g in sorted(range(30), key=lambda g: (-scores[query, g], g)) if not junk[query, g]]
        assert kept.top[query].tolist() == order[:PLACES]
        assert kept.hits[query].tolist() == [bool(matches[query, g]) for g in order[:PLACES]]


def test_rankings_come_back_and_a_small_gallery_ends_in_minus_one(tmp_path):
    scores = np.array([[0.1, 0.9, 0.5], [0.2, 0.1, 0.3]], np.float32)
    kept = small_rankings(scores, Relevance.by_identity([1, 7], [1, 2, 1]), gallery=3)
    assert kept.top[0, :4].tolist() == [1, 2, 0, -1]
    assert kept.write(tmp_path, "text/to image", "clip").name == "text_to_image.clip.npz"
    read = Rankings.read(tmp_path, "text/to image", "clip")
    assert read is not None
    for name in ("top", "hits", "ap", "first", "cmc"):
        assert np.array_equal(getattr(read, name), getattr(kept, name), equal_nan=name == "ap")
    assert read.gallery.names.tolist() == ["g0", "g1", "g2"]
    assert Rankings.read(tmp_path, "standard", "clip") is None
    assert kept.best(9).tolist() == kept.worst(9).tolist() == [0]  # query 1 has no match


def test_damaged_rankings_are_named(tmp_path):
    kept = small_rankings(np.eye(2, 30, dtype=np.float32), Relevance.by_identity([1, 2], [1, 2] * 15))
    file = kept.write(tmp_path, "standard", "clip")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ResultError, match=r"standard\.clip\.npz is damaged"):
        Rankings.read(tmp_path, "standard", "clip")


def test_thumbnails_of_what_is_shown_and_of_nothing_else(tmp_path):
    rng = np.random.default_rng(2)
    scores, relevance = rng.random((40, 60), np.float32), Relevance.by_identity([1] * 40, [1, 2] * 30)
    kept = small_rankings(scores, relevance, 40, 60)
    opened = []

    def picture(row):
        opened.append(row)
        return Image.new("RGB", (20, 50), (row, 0, 0))

    write_shown(tmp_path, "standard", kept, lambda row: None, picture)
    shown = set(kept.best(SHOWN).tolist()) | set(kept.worst(SHOWN).tolist())
    assert sorted(opened) == sorted({int(g) for query in shown for g in kept.top[query]})
    with Image.open(picture_file(tmp_path, "standard", "g", opened[0])) as thumbnail:
        assert thumbnail.size == (64, 128)
    assert not list((tmp_path / "pictures" / "standard").glob("q*"))
