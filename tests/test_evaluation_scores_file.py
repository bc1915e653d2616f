"""`python -m training evaluate --scores`: figures, and one clear sentence for each kind of bad file."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.__main__ import main
from training.evaluation.metrics import evaluate

LABELS = {
    "query_ids": [1, 2, 9],
    "gallery_ids": [1, 1, 2, 2],
    "query_cameras": [1, 1, 1],
    "gallery_cameras": [1, 2, 2, 3],
}


def good(**changes):
    arrays = {"scores": np.array([[0.9, 0.2, 0.8, 0.1], [0.5, 0.6, 0.4, 0.3], [0, 0, 0, 0]])}
    arrays |= {name: np.array(values) for name, values in LABELS.items()}
    return arrays | changes


def evaluated(path, capsys, *more):
    code = main(["evaluate", "--scores", str(path), *more])
    out, err = capsys.readouterr()
    return code, out, err


def test_json_by_hand(tmp_path, capsys):
    np.savez(tmp_path / "s.npz", **good())
    code, out, err = evaluated(tmp_path / "s.npz", capsys, "--json")
    assert (code, err) == (0, "")
    # Query 1: crop 0 is junk, its match comes after crop 2. Query 2: matches third and fourth. Query 9: none.
    assert json.loads(out) == {
        "mAP": (1 / 2 + (1 / 3 + 2 / 4) / 2) / 2,
        "rank1": 0.0,
        "rank5": 1.0,
        "rank10": 1.0,
        "mINP": (1 / 2 + 2 / 4) / 2,
        "queries": 3,
        "queries_without_match": 1,
    }


def test_text_shows_the_curve_as_far_as_asked(tmp_path, capsys):
    np.savez(tmp_path / "s.npz", **good())
    _, out, _ = evaluated(tmp_path / "s.npz", capsys, "--max-rank", "3")
    assert "1: 0.0000  2: 0.5000  3: 1.0000" in out and "4: " not in out
    assert "1 of them without a match" in out


def test_max_rank_may_exceed_the_gallery(tmp_path, capsys):
    np.savez(tmp_path / "s.npz", **good())
    assert evaluated(tmp_path / "s.npz", capsys, "--max-rank", "50", "--json")[0] == 0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "<i4"])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_any_layout_gives_what_the_arrays_give(tmp_path, capsys, order, dtype, save):
    rng = np.random.default_rng(1)
    scores = (rng.random((300, 9)) * 100).astype(dtype)
    arrays = [rng.integers(0, 4, n) for n in (300, 9, 300, 9)]
    save(
        tmp_path / "s.npz",
        scores=np.asarray(scores, order=order),
        **dict(zip(LABELS, arrays, strict=True)),
    )
    _, out, _ = evaluated(tmp_path / "s.npz", capsys, "--json")
    assert json.loads(out)["mAP"] == pytest.approx(evaluate(scores.astype(float), *arrays).mAP)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"scores": np.zeros((3, 5))}, "gallery_ids needs 5 entries, not 4"),
        ({"scores": np.zeros((2, 4))}, "query_ids needs 2 entries, not 3"),
        ({"query_cameras": np.zeros(2)}, "query_cameras needs 3 entries, not 2"),
        ({"scores": np.zeros(4)}, r"scores have shape \(4,\)"),
        ({"scores": np.full((3, 4), np.nan)}, "NaN or infinity"),
        ({"scores": np.full((3, 4), np.inf)}, "NaN or infinity"),
        ({"scores": np.full((3, 4), "high")}, "scores are <U4; they must be numbers"),
        ({"scores": np.zeros((3, 4), complex)}, "must be numbers"),
        ({"scores": np.zeros((0, 4)), "query_ids": np.zeros(0)}, "query_ids is empty"),
        ({"gallery_ids": np.zeros(0)}, "gallery_ids is empty"),
        ({"gallery_ids": np.zeros((4, 1))}, "gallery_ids has shape"),
        ({"query_ids": np.array([1.0, np.nan, 2.0])}, "query_ids holds NaN"),
        ({"query_ids": np.array([1, "a", None], object)}, "query_ids is an array of Python objects"),
        ({"scores": np.zeros((3, 4), object)}, "scores is an array of Python objects"),
    ],
)
def test_bad_arrays_get_one_sentence(tmp_path, capsys, changes, said):
    np.savez(tmp_path / "s.npz", **good(**changes))
    code, out, err = evaluated(tmp_path / "s.npz", capsys, "--json")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and str(tmp_path / "s.npz") in err
    import re

    assert re.search(said, err)


def test_missing_arrays_are_named(tmp_path, capsys):
    arrays = good()
    del arrays["query_cameras"], arrays["scores"]
    np.savez(tmp_path / "s.npz", **arrays)
    code, _, err = evaluated(tmp_path / "s.npz", capsys)
    assert code == 2 and "lacks scores, query_cameras" in err


def test_files_that_are_none(tmp_path, capsys):
    text, cut, folder = tmp_path / "text.npz", tmp_path / "cut.npz", tmp_path / "folder.npz"
    text.write_text("not scores")
    folder.mkdir()
    np.savez(cut, **good())
    cut.write_bytes(cut.read_bytes()[:300])
    for path in (text, cut, folder, tmp_path / "absent.npz"):
        code, out, err = evaluated(path, capsys, "--json")
        assert (code, out, err.count("\n")) == (2, "", 1) and str(path) in err


def test_a_damaged_byte_is_seen(tmp_path, capsys):
    path = tmp_path / "s.npz"
    np.savez(path, **good())
    data = bytearray(path.read_bytes())
    data[data.index(b"scores.npy") + 10 + 128 + 5] ^= 0xFF  # inside the first array's numbers
    path.write_bytes(bytes(data))
    code, _, err = evaluated(path, capsys)
    assert code == 2 and "damaged" in err


# Cases from the wild (`scores`), as they were tried.
WILD = Path(__file__).parent / "data" / "wild" / "scores"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("one_camera", "by the query's own camera, which the protocol leaves out"),
        ("cams_int_text", "by the query's own camera, which the protocol leaves out"),
        ("nobody", "no id stands in both query_ids and gallery_ids"),
        ("ids_zeros", "write one person in two ways, such as '0001' and '1'"),
        ("trailing_space", "write one person in two ways, such as 'p1 ' and 'p1'"),
    ],
)
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_without_a_measurable_query_there_are_no_figures(capsys, name, why, more):
    code, out, err = evaluated(WILD / f"{name}.npz", capsys, *more)
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert f"{name}.npz: none of the 2 queries could be measured: " in err and why in err


def test_the_false_detections_of_a_score_file_are_junk(capsys):
    code, out, _ = evaluated(WILD / "junk.npz", capsys, "--json")
    assert code == 0 and json.loads(out)["mAP"] == 1.0
    code, out, _ = evaluated(WILD / "right.npz", capsys, "--json")
    assert code == 0 and json.loads(out)["mAP"] == 1.0


@pytest.mark.parametrize("false", [-1, -1.0, "-1", b"-1", "-1 "])
@pytest.mark.parametrize("order", ["C", "F"])
def test_false_detections_change_no_figure_however_they_are_written(tmp_path, capsys, false, order):
    kind = type(false)
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 4, 9)
    arrays = good(scores=rng.random((300, 9)), query_ids=rng.integers(0, 4, 300), gallery_ids=ids)
    arrays |= {"query_cameras": rng.integers(0, 3, 300), "gallery_cameras": rng.integers(0, 3, 9)}
    np.savez(tmp_path / "without.npz", **arrays)
    labels = {
        name: np.array([kind(n) if kind is not bytes else b"%d" % n for n in arrays[name].tolist()])
        for name in ("query_ids", "gallery_ids")
    }
    more = {
        "scores": np.asarray(np.insert(arrays["scores"], 4, 2.0, axis=1), order=order),
        "query_ids": labels["query_ids"],
        "gallery_ids": np.concatenate(
            [labels["gallery_ids"][:4], np.array([false]), labels["gallery_ids"][4:]]
        ),
        "gallery_cameras": np.insert(arrays["gallery_cameras"], 4, 1),
    }
    np.savez(tmp_path / "with.npz", **{**arrays, **more})
    (_, without, _), (code, with_, err) = (
        evaluated(tmp_path / f"{name}.npz", capsys, "--json") for name in ("without", "with")
    )
    assert code == 0, err
    assert json.loads(with_) == json.loads(without)


def test_a_gallery_of_false_detections_alone_says_so(tmp_path, capsys):
    np.savez(tmp_path / "s.npz", **good(gallery_ids=np.full(4, -1)))
    code, _, err = evaluated(tmp_path / "s.npz", capsys)
    assert code == 3 and "every gallery crop is a false detection (id -1)" in err
