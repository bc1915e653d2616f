"""Two CPU processes share a stage by FSDP, through `accelerate launch`; configurations of FSDP and DeepSpeed."""

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from app.model.checkpoint import CheckpointManifest
from tests.tiny_qwen import tiny_folder
from tests.tuning import SMALL, train, weights
from training.tuning.trainer import last_checkpoint

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "training" / "tuning" / "configs"


def two_cpus(folder: Path) -> Path:
    """The FSDP configuration of the repository, for two processes on a CPU."""
    config = yaml.safe_load((CONFIGS / "fsdp.yaml").read_text())
    config |= {"use_cpu": True, "num_processes": 2, "mixed_precision": "no", "main_process_port": 0}
    file = folder / "two.yaml"
    file.write_text(yaml.safe_dump(config))
    return file


def launched(folder: Path, arguments: list[str]) -> subprocess.Popen[str]:
    """`accelerate launch` itself; its command-line entry also imports what a CPU-only torch may lack."""
    launch = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(two_cpus(folder))]
    return subprocess.Popen(
        [*launch, "-m", "training", "train", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_all(process: subprocess.Popen[str]) -> None:
    """SIGKILL to the launcher and to what it launched."""
    every = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
    for one in every:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.communicate()


@pytest.mark.slow
def test_two_processes_with_fsdp_learn_what_one_learns_also_after_a_kill(tmp_path):
    options = ["--stage", "2", "--samples", "12", "--learning-rate", "1e-3", "--keep", "last"]
    options += ["--validation-share", "4", "--validation-samples", "6", "--eval-steps", "2"]
    assert train(tmp_path / "one", *options) == 0
    arguments = ["--out", str(tmp_path / "two"), "--base", str(tiny_folder()), *SMALL, *options]
    killed = launched(tmp_path, [*arguments, "--minutes-per-checkpoint", "0"])
    until = time.monotonic() + 240
    while last_checkpoint(tmp_path / "two.work") is None and killed.poll() is None:
        assert time.monotonic() < until, "no checkpoint"
        time.sleep(0.02)
    assert killed.poll() is None, killed.communicate()[1][-4000:]
    kill_all(killed)
    assert not (tmp_path / "two").exists()
    done = launched(tmp_path, [*arguments, "--resume"])
    out, error = done.communicate(timeout=300)
    assert done.returncode == 0, error[-4000:]
    assert out.count("going on after step") == out.count("stage 2 is done") == 1
    one, two = (CheckpointManifest.read(tmp_path / name).stages[-1] for name in ("one", "two"))
    assert (two["processes"], two["sharing"], one["sharing"]) == (2, "FSDP", "NO")
    for key in ("samples", "tokens", "answer_tokens", "pictures", "steps", "parameters"):
        assert one[key] == two[key]
    alone, shared = weights(tmp_path / "one"), weights(tmp_path / "two")
    assert set(alone) == set(shared)
    start = weights(tiny_folder())
    for name, value in alone.items():
        torch.testing.assert_close(shared[name], value, atol=2e-5, rtol=0)
    assert max((value - start[name]).abs().max().item() for name, value in alone.items()) > 1e-3
    logs = [
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    ]
    for one_row, two_row in zip(*logs, strict=True):
        if "losses" in one_row:
            assert two_row["losses"] == pytest.approx(one_row["losses"], abs=1e-4)
        else:  # no process has whole weights to ask lists with
            alone, shared = one_row["validation"], two_row["validation"]
            assert shared["losses"] == pytest.approx(alone["losses"], abs=1e-4)
            assert "mAP" in alone and "mAP" not in shared


@pytest.mark.slow
def test_the_best_checkpoint_of_two_processes_is_that_of_one(tmp_path):
    """A rate so high that the loss of people held out soon rises."""
    options = ["--stage", "1", "--samples", "16", "--learning-rate", "1e-1", "--schedule", "constant"]
    options += ["--warmup", "0", "--validation-share", "4", "--validation-samples", "6", "--eval-steps", "1"]
    assert train(tmp_path / "one", *options) == 0
    done = launched(
        tmp_path, ["--out", str(tmp_path / "two"), "--base", str(tiny_folder()), *SMALL, *options]
    )
    _, error = done.communicate(timeout=300)
    assert done.returncode == 0, error[-4000:]
    one, two = (CheckpointManifest.read(tmp_path / name).stages[-1]["validation"] for name in ("one", "two"))
    assert one["kept_step"] == two["kept_step"] < 4
    alone, shared = weights(tmp_path / "one"), weights(tmp_path / "two")
    # A gradient near nothing may be of either sign, and such a weight has then gone the other way.
    alike = [(shared[name] - value).abs() < 1e-3 for name, value in alone.items()]
    assert torch.cat([flags.flatten() for flags in alike]).float().mean() > 0.98


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_configurations_are_valid(stage):
    from accelerate.utils.deepspeed import HfDeepSpeedConfig

    config = HfDeepSpeedConfig(str(CONFIGS / f"deepspeed-zero{stage}.json"))
    assert config.is_zero3() == (stage == 3)
    assert config.is_zero2() == (stage == 2)
    # One pass is one micro-batch to DeepSpeed: the trainer adds passes up itself.
    assert config.get_value("gradient_accumulation_steps") == 1
    assert config.get_value("train_micro_batch_size_per_gpu") == "auto"
    known = {"stage", "overlap_comm", "contiguous_gradients", "reduce_scatter", "reduce_bucket_size"}
    known |= {"stage3_prefetch_bucket_size", "stage3_param_persistence_threshold"}
    known |= {"stage3_gather_16bit_weights_on_model_save"}
    assert set(config.get_value("zero_optimization")) <= known


def test_the_fsdp_configuration_wraps_this_models_layers():
    from transformers.models.qwen2_vl import modeling_qwen2_vl

    config = yaml.safe_load((CONFIGS / "fsdp.yaml").read_text())["fsdp_config"]
    assert config["fsdp_version"] == 2
    for name in config["fsdp_transformer_layer_cls_to_wrap"].split(","):
        assert hasattr(modeling_qwen2_vl, name)
