"""`python -m training evaluate --benchmark`, end to end: miniatures, tiny models, the app's engine."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.clip_folder import make_clip_folder
from tests.miniatures import NAMES, write_miniature
from tests.tiny_qwen import tiny_folder
from training.__main__ import main
from training.evaluation.results import Rankings, Result
from training.evaluation.work_folder import WHOLE, hold

SETTINGS = {
    "ltcc": {"clothes-changing", "standard"},
    "prcc": {"clothes-changing", "same-clothes"},
    "sysu-mm01": {"all-single", "indoor-single", "all-multi", "indoor-multi"},
    "regdb": {"visible-to-thermal", "thermal-to-visible"},
    "cuhk-pedes": {"text-to-image"},
    "icfg-pedes": {"text-to-image"},
    "rstpreid": {"text-to-image"},
}
FIGURES = {"mAP", "rank1", "rank5", "rank10", "mINP", "queries", "queries_without_match", "prefilter_recall"}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in NAMES:
        write_miniature(name, folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip_folder(tmp_path_factory.mktemp("clip"))


def evaluate(capsys, clip, *more, model=None):
    models = ["--model", str(model or tiny_folder()), "--clip", str(clip), "--device", "cpu"]
    code = main(["evaluate", *models, *map(str, more)])
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize("name", NAMES)
def test_each_miniature_gives_its_settings(name, root, clip, capsys, tmp_path):
    code, out, err = evaluate(
        capsys, clip, "--benchmark", name, "--root", root, "--trials", "1", "--max-queries", "3", "--json",
        "--rankers", "clip,pairwise", "--out", tmp_path,
    )  # fmt: skip
    assert code == 0, err
    told = json.loads(out)
    assert set(told["settings"]) == SETTINGS.get(name, {"standard"})
    for rankers in told["settings"].values():
        assert list(rankers) == ["clip", "pairwise"]
        for figures in rankers.values():
            assert set(figures) >= FIGURES
            assert all(0 <= figures[key] <= 1 for key in ("mAP", "rank1", "rank10", "mINP"))
            assert figures["rank1"] <= figures["rank5"] <= figures["rank10"]
            assert (
                0 < figures["queries"] <= 3 and figures["prefilter_recall"] == 1.0
            )  # k is above the gallery
    assert json.loads(json.dumps(Result.read(tmp_path).to_json())) == told
    for setting in told["settings"]:
        kept = Rankings.read(tmp_path, setting, "clip")
        assert kept is not None and float(np.nanmean(kept.ap)) == pytest.approx(
            told["settings"][setting]["clip"]["mAP"]
        )
        shown = int(kept.top[kept.best(1)[0], 0])
        assert (tmp_path / "pictures" / setting / f"g{shown}.jpg").is_file()


def test_every_ranker_of_a_run_and_its_resumption(root, clip, capsys, tmp_path, monkeypatch):
    asked = (
        "--benchmark", "market1501", "--root", root, "--out", tmp_path, "--max-queries", "4",
        "--rankers", "clip,pairwise,attribute-score,best-choice,fused", "--k-reciprocal",
    )  # fmt: skip
    code, out, err = evaluate(capsys, clip, *asked, "--json")
    assert code == 0, err
    first = json.loads(out)
    figures = first["settings"]["standard"]
    assert list(figures) == ["clip", "pairwise", "best-choice", "fused", "k-reciprocal"]
    assert first["model"]["k"] == 64 and first["model"]["encoder"].count("@") == 1
    assert first["model"]["parameters"] > 0

    import training.evaluation.harness as harness

    monkeypatch.setattr(harness, "_search", lambda *_: pytest.fail("searched again what was done"))
    code, out, err = evaluate(capsys, clip, *asked, "--json")
    assert code == 0 and json.loads(out)["settings"] == first["settings"]
    code, out, _ = evaluate(capsys, clip, *asked)
    assert "k-reciprocal" in out and "rank-10" in out and "best-choice is asked for at most 100" in out
    code, out, err = evaluate(capsys, clip, *asked, "--k", "2")
    assert (code, out) == (2, "") and "holds another evaluation" in err


def test_shards_share_a_folder_and_the_last_gives_what_one_run_gives(root, clip, capsys, tmp_path):
    asked = (
        "--benchmark", "sysu-mm01", "--root", root, "--trials", "1", "--rankers", "clip,pairwise",
        "--k-reciprocal", "--json",
    )  # fmt: skip
    code, out, err = evaluate(capsys, clip, *asked, "--out", tmp_path / "one")
    assert code == 0, err
    alone = json.loads(out)
    code, out, err = evaluate(capsys, clip, *asked, "--out", tmp_path / "many", "--shard", "2/2")
    # Each trial is one block, the first shard's: there is nothing to do for the second.
    assert (code, out) == (
        0,
        "",
    ) and "shard 2/2 has done its part; left to other shards: 4 of 4 pieces" in err
    assert not (tmp_path / "many" / "result.json").exists()
    code, out, err = evaluate(capsys, clip, *asked, "--out", tmp_path / "many", "--shard", "1/2")
    assert code == 0, err
    assert json.loads(out) | {"seconds": {}} == alone | {"seconds": {}}
    assert (tmp_path / "many" / "result.json").is_file()
    # With all pieces done the second gives the figures too.
    code, out, err = evaluate(capsys, clip, *asked, "--out", tmp_path / "many", "--shard", "2/2")
    assert code == 0 and json.loads(out)["settings"] == alone["settings"]


def test_two_runs_do_not_work_in_one_folder(root, clip, capsys, tmp_path):
    asked = ("--benchmark", "market1501", "--root", root, "--out", tmp_path)
    with hold(tmp_path / "work", WHOLE):
        code, out, err = evaluate(capsys, clip, *asked)
    assert (code, out, err.count("\n")) == (2, "", 1) and "is being worked in by another run (process" in err
    code, out, err = evaluate(capsys, clip, *asked[:-2], "--shard", "1/2")
    assert (code, out, err.count("\n")) == (2, "", 1) and "--shard needs --work DIR or --out DIR" in err


def test_k_that_contains_the_gallery_changes_nothing_and_a_small_one_shows_in_the_recall(root, clip, capsys):
    def run(k):
        _, out, _ = evaluate(
            capsys, clip, "--benchmark", "cuhk03", "--root", root, "--k", k, "--rankers", "pairwise", "--json"
        )
        return json.loads(out)["settings"]["standard"]["pairwise"]

    assert run(8) == run(50)
    assert run(1)["prefilter_recall"] < 1


def test_without_a_model_clip_answers_alone(root, clip, capsys):
    asked = ("--benchmark", "market1501", "--root", root, "--json")
    code, out, _ = evaluate(capsys, clip, *asked, model="none")
    told = json.loads(out)
    assert code == 0 and list(told["settings"]["standard"]) == ["clip"] and told["model"]["name"] == ""
    code, out, err = evaluate(capsys, clip, *asked, "--rankers", "pairwise", model="none")
    assert (code, out) == (2, "") and "without a model" in err


def test_the_attribute_score_needs_a_calibration_that_weighs_it(root, clip, capsys):
    asked = (
        "--benchmark",
        "market1501",
        "--root",
        root,
        "--rankers",
        "attribute-score",
        "--max-queries",
        "2",
    )
    code, out, err = evaluate(capsys, clip, *asked)
    assert (code, out) == (2, "") and "attribute-score a model whose calibration" in err


def test_our_own_protocols_on_a_csv(root, clip, capsys, tmp_path):
    rows = ["path,person,split,camera,caption,upper_colour"]
    folder = tmp_path / "csv"
    shutil.copytree(root / "CUHK-PEDES" / "imgs" / "CUHK01", folder)
    for number, file in enumerate(sorted(folder.iterdir())):
        colour = ("red", "blue")[number % 2]
        rows.append(f"{file.name},{file.stem[:4]},test,{number % 3},wears {colour},{colour}")
    (folder / "crops.csv").write_text("\n".join(rows))
    for protocol, settings in (
        ("attributes", ["attributes"]),
        ("image-plus-text", ["image-plus-text", "image-only", "text-only"]),
        ("", ["text-to-image"]),
    ):
        asked = ("--benchmark", f"csv:{folder / 'crops.csv'}", "--rankers", "clip", "--json")
        more = ("--protocol", protocol) if protocol else ()
        code, out, err = evaluate(capsys, clip, *asked, *more, model="none")
        assert code == 0, err
        assert list(json.loads(out)["settings"]) == settings


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--benchmark", "market1502"], "there is no data set 'market1502'"),
        (["--benchmark", "market1501"], "--root"),
        (["--benchmark", "market1501", "--root", "/nowhere"], "there is no folder"),
        (["--benchmark", "market1501", "--rankers", "luck"], "there is no ranker 'luck'"),
        (["--benchmark", "market1501", "--protocol", "mine"], "there is no protocol 'mine'"),
        (["--benchmark", "market1501", "--root", "ROOT", "--protocol", "attributes"], "no attributes"),
        (["--benchmark", "market1501", "--root", "ROOT", "--model", "/nowhere"], "/nowhere"),
        (["--benchmark", "market1501", "--root", "ROOT", "--clip", "/nowhere"], "/nowhere"),
        (["--benchmark", "market1501", "--root", "ROOT", "--tau", "2"], "a cosine lies between -1 and 1"),
        (["--benchmark", "market1501", "--root", "ROOT", "--device", "gpu"], "--device is 'gpu'"),
        (["--benchmark", "market1501", "--root", "ROOT", "--token-cache", "8"], "--token-cache is '8'"),
    ],
)
def test_what_cannot_be_evaluated_is_told_in_one_sentence(root, clip, capsys, arguments, said):
    named = [str(root) if argument == "ROOT" else argument for argument in arguments]
    code, out, err = evaluate(capsys, clip, *named)
    assert (code, out) == (2, "") and said in err and "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [["--k", "0"], ["--seed", "-1"], ["--trials", "x"], ["--max-rank", "0"]]
)
def test_numbers_that_are_none_are_refused(arguments, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--benchmark", "market1501", *arguments])
    assert f"{arguments[1]} is not a whole number" in capsys.readouterr().err


def test_a_shard_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--benchmark", "market1501", "--shard", "3/2"])
    assert "shards are numbered 1/2 to 2/2, not 3/2" in capsys.readouterr().err


def test_one_of_scores_and_benchmark_is_needed(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["evaluate", "--json"])
    assert "--benchmark" in capsys.readouterr().err


BENCH = Path(__file__).parent / "data" / "wild" / "bench-nocam"


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_bench_nocam(clip, capsys, tmp_path, more):
    asked = [
        "--benchmark",
        f"csv:{BENCH / 'onecam.csv'}",
        "--out",
        tmp_path / "out",
        "--rankers",
        "clip",
        *more,
    ]
    code, out, err = evaluate(capsys, clip, *asked, model="none")
    assert (code, out) == (3, "")
    assert "none of the 6 queries could be measured: every gallery picture of a query's person" in err
    assert "onecam.csv" in err and not (tmp_path / "out" / "result.json").exists()


def test_a_benchmark_without_cameras_is_measured(clip, capsys):
    asked = ["--benchmark", f"csv:{BENCH / 'set.csv'}", "--rankers", "clip", "--json"]
    code, out, err = evaluate(capsys, clip, *asked, model="none")
    assert code == 0, err
    ((figures,),) = ([*of.values()] for of in json.loads(out)["settings"].values())
    assert figures["queries"] == 6 and figures["queries_without_match"] == 0 and figures["mAP"] > 0


def test_a_benchmark_whose_people_never_meet_says_so(clip, capsys, tmp_path):
    shutil.copytree(BENCH, tmp_path / "b")
    rows = (BENCH / "set.csv").read_text().splitlines()
    apart = [row.replace(",p", ",q") if row.endswith("query") else row for row in rows]
    (tmp_path / "b" / "set.csv").write_text("\n".join(apart))
    asked = ["--benchmark", f"csv:{tmp_path / 'b' / 'set.csv'}", "--rankers", "clip"]
    code, out, err = evaluate(capsys, clip, *asked, model="none")
    assert (code, out) == (3, "") and "no query's person is in the gallery" in err
