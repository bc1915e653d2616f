"""A checkpoint is calibrated, and evaluated, while it computes on replicas; the manifest is written here."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.model.checkpoint import CheckpointManifest
from app.model.reid_model import ReidModel
from app.model.served.answering import version_of_model
from app.model.served.reid import ServedModel
from tests.clip_folder import make_clip_folder
from tests.replica_server import replica_server
from tests.test_training_calibration_searches import DRAWN
from tests.tiny_qwen import tiny_folder
from training.__main__ import main
from training.evaluation.workers import Models
from training.synthetic.market1501 import write_market1501


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return make_clip_folder(tmp_path_factory.mktemp("clip") / "small")


@pytest.fixture
def folder(tmp_path):
    """A checkpoint without a manifest."""
    return Path(shutil.copytree(tiny_folder(), tmp_path / "model"))


@pytest.fixture
def refused(clip, capsys):
    def refused(*options: object) -> str:
        assert main(["calibrate", "--clip", str(clip), "--data", DRAWN, *map(str, options)]) == 2
        return capsys.readouterr().err.strip().splitlines()[-1]

    return refused


@pytest.mark.slow
def test_it_gets_the_calibration_that_it_gets_in_one_process(folder, clip, tmp_path, capsys):
    write_market1501(tmp_path / "data", 42, seed=5)
    people = ["--clip", str(clip), "--data", "market1501", "--root", str(tmp_path / "data")]
    options = [*people, "--queries", "10", "--k", "8", "--device", "cpu"]
    here = Path(shutil.copytree(folder, tmp_path / "here"))
    assert main(["calibrate", "--model", str(here), *options]) == 0
    with replica_server(folder) as (address, replicas):
        assert main(["calibrate", "--model", address, *options]) == 0
        assert len(replicas.asked) > 20 and {number for number, _ in replicas.asked} == {0, 1}
    assert f"python -m app.model.served --model {folder}" in capsys.readouterr().out
    by_process, by_replicas = (CheckpointManifest.read(one).calibrations for one in (here, folder))
    assert set(by_process) == set(by_replicas) and len(by_process) == 1
    for key, kinds in by_process.items():
        assert set(kinds) == set(by_replicas[key]) == {"image"}
        one, other = (np.array([*vars(of["image"]).values()]) for of in (kinds, by_replicas[key]))
        np.testing.assert_allclose(one, other, atol=1e-2)
    with replica_server(folder) as (address, _):  # served anew, it is calibrated
        served = ServedModel.connect(address)
        assert served.manifest == CheckpointManifest.read(folder)


def test_the_folder_is_held_against_what_is_served(folder, refused, tmp_path):
    moved, other = tmp_path / "moved", Path(shutil.copytree(folder, tmp_path / "other"))
    CheckpointManifest("other", "base").write(other)
    with replica_server(folder) as (address, _):
        folder.rename(moved)
        said = refused("--model", address)
        assert f"served from {folder}, and {folder} is no folder of this machine" in said
        assert "--checkpoint DIR" in said
        assert f"{other} has other weights or another manifest" in refused(
            "--model", address, "--checkpoint", other
        )
        assert not (tmp_path / "other.calibration").exists()
        # It is found, so that something else is wrong.
        assert "--queries is 10 or more" in refused(
            "--model", address, "--checkpoint", moved, "--queries", "3"
        )


def test_what_cannot_be_calibrated_is_one_sentence(folder, refused):
    said = refused("--model", "openai:http://127.0.0.1:9/v1#reid")
    assert "cannot be calibrated: no calibration applies to what a model server gives" in said
    assert "leave it out" in refused("--model", folder, "--checkpoint", folder)
    assert "does not answer" in refused("--model", "ray://127.0.0.1:9")


def test_an_evaluation_goes_by_what_the_replicas_say(folder, clip, tmp_path):
    CheckpointManifest("served", "base", vocabulary_version=2).write(folder)
    own = Models(str(clip), str(folder))
    with replica_server(folder) as (address, _):
        served = Models(str(clip), address)
        shown = served.fingerprint()
        assert served.world() == own.world() and shown["clip"] == own.fingerprint()["clip"]
        assert shown["model"] == version_of_model(ReidModel.load(folder), str(folder))
    manifest = CheckpointManifest.read(folder)
    replace(manifest, name="another").write(folder)
    with replica_server(folder) as (address, _):
        assert Models(str(clip), address).fingerprint()["model"] != shown["model"]
