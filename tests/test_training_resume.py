"""A run that is killed goes on with the same samples and ends with the same weights."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from app.model.checkpoint import CheckpointManifest
from tests.tiny_qwen import tiny_folder
from tests.tuning import SMALL, changed, train, weights
from training.tuning.progress import RunProgress
from training.tuning.trainer import StageTrainer, last_checkpoint

PATIENCE = 240  # seconds


@pytest.fixture(autouse=True)
def one_thread():
    """Sums come out alike to the bit only over the same number of threads, here and in the killed process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def killed_after(work, step, arguments):
    """Run the command in a process of its own and kill it with SIGKILL once a checkpoint of `step` is there."""
    command = [sys.executable, "-m", "training", "train", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    until = time.monotonic() + PATIENCE
    try:
        while time.monotonic() < until and process.poll() is None:
            checkpoint = last_checkpoint(work)
            if checkpoint is not None and int(checkpoint.name.split("-")[1]) >= step:
                process.send_signal(signal.SIGKILL)
                process.wait(30)
                return
            time.sleep(0.01)
        pytest.fail(
            f"no checkpoint of step {step}: {process.communicate()[0] if process.poll() is not None else ''}"
        )
    finally:
        if process.poll() is None:
            process.kill()


def rows(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_after_a_kill_the_weights_are_those_of_the_run_that_was_never_killed(tmp_path):
    options = ["--stage", "2", "--samples", "40", "--learning-rate", "1e-3", "--packed", "0.2"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert train(whole, *options) == 0
    work = tmp_path / "killed.work"
    killed_after(
        work,
        3,
        [
            "--out",
            str(killed),
            "--base",
            str(tiny_folder()),
            *SMALL,
            *options,
            "--minutes-per-checkpoint",
            "0",
        ],
    )
    assert not killed.exists()
    done = int(last_checkpoint(work).name.split("-")[1])
    assert 3 <= done < 10
    # What a kill may leave half-written is neither used nor in the way.
    (work / "checkpoint-9").mkdir()
    (work / "checkpoint-9" / "trainer_state.json").write_text("{")
    assert last_checkpoint(work).name == f"checkpoint-{done}"
    with (work / "log.jsonl").open("a") as log:
        log.write('{"step": 9, "loss"')
    assert train(killed, *options, "--resume", "--workers", "1") == 0
    assert not changed(weights(whole), weights(killed))
    one, other = rows(whole), rows(killed)
    assert [row["step"] for row in other] == list(range(1, 11))
    assert [(row["loss"], row["losses"], row["samples"]) for row in one] == [
        (row["loss"], row["losses"], row["samples"]) for row in other
    ]
    stages = [CheckpointManifest.read(folder).stages[-1] for folder in (whole, killed)]
    assert [(stage["samples"], stage["tokens"], stage["steps"]) for stage in stages] == [
        (stages[0]["samples"], stages[0]["tokens"], 10)
    ] * 2
    assert not work.exists()


def stop_after(monkeypatch, step):
    """As Ctrl-C would: the run ends after a step, saved."""
    before = RunProgress.on_step_end

    def on_step_end(self, args, state, control, **more):
        self.stop = state.global_step == step
        before(self, args, state, control, **more)

    monkeypatch.setattr(RunProgress, "on_step_end", on_step_end)


def test_an_interrupted_adapter_goes_on(tmp_path, monkeypatch, capsys):
    options = ["--stage", "1", "--samples", "16", "--lora", "4", "--learning-rate", "1e-2"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert train(whole, *options) == 0
    with monkeypatch.context() as patched:
        stop_after(patched, 2)
        assert train(stopped, *options) == 130
    assert "stopped after step 2; go on with --resume" in capsys.readouterr().out
    assert not stopped.exists()
    assert train(stopped, *options) == 2
    assert "go on with it by --resume" in capsys.readouterr().err
    assert train(stopped, *options, "--resume", "--seed", "1") == 2
    assert "seed was 0, now 1" in capsys.readouterr().err
    assert train(stopped, *options, "--resume") == 0
    assert "going on after step 2" in capsys.readouterr().out
    assert not changed(weights(whole), weights(stopped))


def test_after_running_out_of_memory_it_goes_on_with_fewer_tokens_a_pass(tmp_path, monkeypatch, capsys):
    options = ["--stage", "2", "--samples", "16", "--learning-rate", "1e-3"]
    whole, out = tmp_path / "whole", tmp_path / "out"
    assert train(whole, *options) == 0
    before = StageTrainer._answer_step

    def full(self, model, batches):
        if self.state.global_step == 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return before(self, model, batches)

    with monkeypatch.context() as patched:
        patched.setattr(StageTrainer, "_answer_step", full)
        assert train(out, *options, "--minutes-per-checkpoint", "0") == 2
    assert "--resume goes on from the last checkpoint" in capsys.readouterr().err
    assert train(out, *options, "--resume", "--tokens-per-batch", "512") == 0
    assert "going on after step 2" in capsys.readouterr().out
    after = weights(out)
    for name, value in weights(whole).items():
        torch.testing.assert_close(after[name], value, atol=2e-5, rtol=0)


def test_checkpoints_keep_to_what_is_trained_and_only_the_last_stays(tmp_path, monkeypatch):
    out = tmp_path / "out"
    stop_after(monkeypatch, 3)
    options = ["--stage", "3", "--samples", "16", "--minutes-per-checkpoint", "0"]
    assert train(out, *options) == 130
    work = tmp_path / "out.work"
    assert [folder.name for folder in work.glob("checkpoint-*")] == ["checkpoint-3"]
    saved = weights(work / "checkpoint-3")
    assert saved and not any("visual" in name for name in saved)
    assert (work / "losses.png").is_file()
