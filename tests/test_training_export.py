"""What is published is what the app opens: whole weights or an adapter, in the precision asked for."""

import math

import pytest
import torch

from app.model.checkpoint import Calibration, CheckpointManifest
from app.model.loading import find_checkpoint
from app.model.reid_model import ReidModel
from tests.tiny_qwen import picture, tiny_folder
from tests.tuning import train, weights
from training.__main__ import main


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    out = tmp_path_factory.mktemp("publish") / "full"
    assert train(out, "--stage", "3", "--samples", "4", "--learning-rate", "1e-3") == 0
    return out


@pytest.fixture(scope="module")
def adapter(tmp_path_factory):
    out = tmp_path_factory.mktemp("publish") / "adapter"
    assert train(out, "--stage", "3", "--samples", "4", "--learning-rate", "1e-2", "--lora", "4") == 0
    return out


def word(folder):
    (found,) = ReidModel.load(folder).yes_logits("a man in a red jacket", [], [picture(1)])
    assert math.isfinite(found)
    return float(found)


def publish(source, out, *options):
    return main(["publish", "--from", str(source), "--out", str(out), *options])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_whole_weights_in_the_precision_asked_for(full, tmp_path, dtype):
    out = tmp_path / "reid"
    assert publish(full, out, "--dtype", dtype, "--name", "Our model") == 0
    assert {value.dtype for value in weights(out).values()} == {getattr(torch, dtype)}
    model = ReidModel.load(out)
    assert model.name == "Our model"
    assert model.manifest.stages == CheckpointManifest.read(full).stages
    assert "# Our model" in (out / "README.md").read_text()
    assert word(out) == pytest.approx(word(full), abs=1e-5 if dtype == "float32" else 0.3)
    assert (out / "losses.png").is_file()


def test_an_adapter_stays_one_or_is_merged(adapter, tmp_path):
    assert publish(adapter, tmp_path / "small", "--dtype", "float32") == 0
    assert publish(adapter, tmp_path / "whole", "--dtype", "float32", "--merge") == 0
    assert find_checkpoint(tmp_path / "small").adapter == tmp_path / "small"
    assert find_checkpoint(tmp_path / "whole").adapter is None
    tuned, plain = word(adapter), word(tiny_folder())
    assert abs(tuned - plain) > 1e-4
    assert word(tmp_path / "small") == pytest.approx(tuned, abs=1e-5)
    assert word(tmp_path / "whole") == pytest.approx(tuned, abs=1e-4)


def test_calibrations_come_along(full, tmp_path):
    fitted = Calibration(1, 1, 0, 1, 0, 0, 0.5)
    before = CheckpointManifest.read(full)
    source = tmp_path / "source"
    source.mkdir()
    for file in full.iterdir():
        (source / file.name).symlink_to(file)
    (source / "chatreid.json").unlink()
    CheckpointManifest(
        name="x",
        base_model=before.base_model,
        stages=before.stages,
        calibrations={"clip@1": {"text": fitted}},
    ).write(source)
    assert publish(source, tmp_path / "out") == 0
    assert CheckpointManifest.read(tmp_path / "out").calibration("clip", "1", "text") == fitted
    assert "calibrated for clip@1" in (tmp_path / "out" / "README.md").read_text()


def test_what_cannot_be_published_is_one_sentence(full, tmp_path, capsys):
    assert publish(tiny_folder(), tmp_path / "a") == 2
    assert "has no chatreid.json" in capsys.readouterr().err
    assert publish(tmp_path / "nowhere", tmp_path / "a") == 2
    assert "there is no checkpoint folder" in capsys.readouterr().err
    (tmp_path / "mine").write_text("x")
    assert publish(full, tmp_path / "mine") == 2
    assert "is not empty" in capsys.readouterr().err
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine"]
