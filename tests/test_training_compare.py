"""`python -m training compare`: both checkpoints on the same candidates, and every trial counted."""

import json
from dataclasses import replace
from shutil import copytree

import pytest

from app.model.checkpoint import KINDS_OF_QUERY, Calibration, CheckpointManifest, encoder_key
from gallery_store.encoder import ClipEncoder
from tests.clip_folder import make_clip_folder
from tests.miniatures import write_miniature
from tests.tiny_qwen import build_tiny, tiny_folder
from training.__main__ import main


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip_folder(tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmarks")
    for name in ("market1501", "sysu-mm01"):
        write_miniature(name, folder)
    return folder


def compare(clip, root, base, model, *more):
    return main(
        [
            *("compare", "--base", str(base), "--model", str(model), "--clip", str(clip)),
            *("--root", str(root), "--device", "cpu", *map(str, more)),
        ]
    )


def calibrated(folder, clip):
    """The toy checkpoint, whose calibration has attributes alone prefilter queries by picture."""
    copytree(tiny_folder(), folder)
    encoder = ClipEncoder.load(str(clip))
    shaped = Calibration(1.0, 1.0, 0.0, 1.0, 0.0, -1.0, 0.5, attribute_share=1.0)
    calibrations = {encoder_key(encoder.name, encoder.version): dict.fromkeys(KINDS_OF_QUERY, shaped)}
    manifest = CheckpointManifest(name="toy", base_model="toy")
    replace(manifest, calibrations=calibrations).write(folder)
    return folder


@pytest.mark.slow
def test_equal_weights_compare_alike_whatever_their_calibrations(tmp_path, clip, root, capsys):
    base = tmp_path / "plain"
    copytree(tiny_folder(), base)
    CheckpointManifest(name="toy", base_model="toy").write(base)
    model = calibrated(tmp_path / "calibrated", clip)
    asked = ("--benchmark", "market1501", "--k", "2", "--json")
    assert compare(clip, root, base, model, *asked) == 0
    (of,) = json.loads(capsys.readouterr().out)["settings"].values()
    assert of["base"] == of["model"]
    assert (of["difference"]["low"], of["difference"]["high"]) == (0.0, 0.0)


@pytest.mark.slow
def test_the_difference_is_of_all_trials_as_the_columns_are(tmp_path, clip, root, capsys):
    other = build_tiny(tmp_path / "other", seed=5)
    asked = ("--benchmark", "sysu-mm01", "--max-queries", "3", "--k", "3", "--json")
    assert compare(clip, root, tiny_folder(), other, *asked) == 0
    for of in json.loads(capsys.readouterr().out)["settings"].values():
        columns = of["model"]["pairwise"]["mAP"] - of["base"]["pairwise"]["mAP"]
        assert of["difference"]["mean"] == pytest.approx(columns)
        assert of["difference"]["low"] <= columns <= of["difference"]["high"]
        assert (
            of["difference"]["queries"] == of["queries"] == 3
        )  # not thirty: a query is drawn with its ten trials


def test_both_checkpoints_are_checked_before_anything_is_searched(clip, root, capsys, monkeypatch):
    def searched(*_, **__):
        raise AssertionError("it searched")

    monkeypatch.setattr("training.evaluation.runner.measure_plan", searched)
    assert compare(clip, root, tiny_folder(), root / "nothing", "--benchmark", "market1501") == 2
    assert "nothing" in capsys.readouterr().err


def test_a_number_of_queries_below_0_is_named(clip, root, capsys):
    asked = ("--benchmark", "market1501", "--max-queries", "-1")
    assert compare(clip, root, tiny_folder(), tiny_folder(), *asked) == 2
    assert capsys.readouterr().err.strip() == "--max-queries is 0 or more, 0 for all, not -1"
