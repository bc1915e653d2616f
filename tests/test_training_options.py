"""Options of a run: rates by part, schedules, galleries, length, attention, reporters."""

import argparse
import json

import pytest
import torch
from transformers import get_scheduler
from transformers.trainer_utils import SchedulerType

from app.model.checkpoint import CheckpointManifest
from app.model.loading import load_weights
from app.model.reid_model import LONGEST_LIST
from tests.test_training_resume import stop_after
from tests.tiny_qwen import tiny_folder
from tests.tuning import changed, parts, records, train, weights
from training.__main__ import command, main
from training.captioning.captioners import CaptionerError
from training.commands.train import planned
from training.instructions.stage_samples import Samples
from training.stages import SCHEDULES, STAGES
from training.tuning.failures import TuningError
from training.tuning.optimizer import _schedule_options, arguments, reporters, set_rates
from training.tuning.origin import part_of, with_lora


@pytest.mark.parametrize("lora", [False, True])
def test_each_part_has_its_rate_and_each_parameter_its_decay(lora):
    model = load_weights(tiny_folder(), torch.float32)
    model = with_lora(model, 4, seed=0) if lora else model
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    decayed = {name for name, p in named.items() if p.ndim > 1}
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for name, p in named.items() if name in decayed], "weight_decay": 0.1},
            {"params": [p for name, p in named.items() if name not in decayed], "weight_decay": 0.0},
        ],
        lr=1e-3,
    )
    set_rates(optimizer, model, {"vision": 1e-5, "merger": 1e-4})
    rates = {"vision": 1e-5, "merger": 1e-4, "decoder": 1e-3}
    found = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    assert len(found) == len(named) == sum(len(group["params"]) for group in optimizer.param_groups)
    for name, parameter in named.items():
        group = found[id(parameter)]
        assert group["lr"] == rates[part_of(name)], name
        assert group["weight_decay"] == (0.1 if name in decayed else 0.0), name
    assert optimizer.param_groups[0]["lr"] == 1e-3  # the one that is logged
    assert {part_of(name) for name in named} == {"vision", "merger", "decoder"}


def test_a_part_with_hardly_a_rate_hardly_moves_and_all_is_written_down(tmp_path):
    out = tmp_path / "out"
    options = ["--vision-lr", "1e-12", "--merger-lr", "3e-3", "--schedule", "constant", "--warmup", "0"]
    options += ["--attention", "eager", "--gallery", "2", "20", "--report-to", "none"]
    assert train(out, "--stage", "2", "--samples", "8", "--learning-rate", "1e-2", *options) == 0
    encoder, _ = parts(weights(tiny_folder()))
    after, _ = parts(weights(out))
    moved = {name: float((after[name] - value).abs().max()) for name, value in encoder.items()}
    assert all(move < 1e-6 for name, move in moved.items() if part_of(name) == "vision")
    assert max(move for name, move in moved.items() if part_of(name) == "merger") > 1e-3
    assert changed(parts(weights(tiny_folder()))[1], parts(weights(out))[1])
    stage = CheckpointManifest.read(out).stages[-1]
    recipe = stage["recipe"]
    assert (recipe["vision_rate"], recipe["merger_rate"], recipe["schedule"], recipe["warmup"]) == (
        1e-12,
        3e-3,
        "constant",
        0,
    )
    assert recipe["mixture"]["gallery"] == [2, 20]
    assert stage["attention"] == "eager"
    card = (out / "README.md").read_text()
    assert (
        "| learning rate | 0.01, vision 1e-12, merger 0.003, constant, 0.0% warm-up, 4 samples a step |"
        in card
    )
    assert "| attention | eager |" in card and "| galleries | 2 to 20 pictures |" in card
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["learning_rate"] for row in rows] == [0.01, 0.01]


def test_resume_refuses_other_options(tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    options = ["--stage", "2", "--samples", "8", "--vision-lr", "1e-5"]
    with monkeypatch.context() as patched:
        stop_after(patched, 1)
        assert train(out, *options) == 130
    changes = ["--vision-lr", "2e-5", "--schedule", "linear", "--gallery", "2", "9", "--attention", "eager"]
    assert train(out, *options, *changes, "--resume") == 2
    error = capsys.readouterr().err
    for said in (
        "attention was sdpa, now eager",
        "stage.vision_rate was 1e-05, now 2e-05",
        "stage.schedule was cosine, now linear",
        "stage.mixture.gallery was [2, 8], now [2, 9]",
    ):
        assert said in error
    assert train(out, *options, "--resume") == 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_is_transformers_own_and_ends_where_it_should(name, tmp_path):
    assert name in {entry.value for entry in SchedulerType}
    stage = STAGES[2].with_(schedule=name, samples=6400, warmup=0.1)
    made = arguments(
        stage,
        tmp_path,
        lora=False,
        seed=0,
        device="cpu",
        optimizer="adamw_torch",
        checkpointing=False,
        workers=0,
        log_every=0,
    )
    assert made.lr_scheduler_type == name and made.warmup_steps == 10
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = get_scheduler(
        name,
        optimizer,
        num_warmup_steps=10,
        num_training_steps=stage.steps,
        scheduler_specific_kwargs=_schedule_options(stage),
    )
    rates = []
    for _ in range(stage.steps):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert max(rates) == 1.0 and (rates[0] < 0.2 or name == "constant")
    if name == "cosine_with_min_lr":
        assert schedule.get_last_lr()[0] == pytest.approx(0.1)
    if name == "warmup_stable_decay":
        assert rates[85] == 1.0 and rates[99] < 0.1


def test_larger_galleries_are_drawn_and_best_choices_keep_single_digits():
    stage = STAGES[3].with_(gallery=(2, 20), samples=400)
    stream = Samples(stage.mixture, records(), 0)
    counted = {}
    for number in range(400):
        sample = stream.sample(number)
        counted.setdefault(sample.task, []).append(len(sample.pictures))
    assert max(counted["standard"]) > 10 and max(counted["text-to-image"]) > 10
    for task in ("best-choice", "attributes", "image-plus-text", "text-plus-match"):
        assert max(counted[task]) <= LONGEST_LIST


def test_epochs_are_samples_to_each_picture(tmp_path, capsys):
    out = tmp_path / "out"
    assert train(out, "--stage", "1", "--epochs", "0.25") == 0
    stage = CheckpointManifest.read(out).stages[-1]
    assert stage["training_pictures"] == len(records())
    assert sum(stage["samples"].values()) == round(len(records()) / 4)
    assert (
        f"| length | 0.25 samples to each of {len(records())} pictures |" in (out / "README.md").read_text()
    )
    assert "passes over" not in capsys.readouterr().err


def test_very_many_passes_are_said(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("training.tuning.stage_run.run_stage", lambda *_, **__: None)
    assert train(tmp_path / "out", "--stage", "1") == 130
    passes = 5_000_000 / len(records())
    assert (
        f"stage 1: 5,000,000 samples are {passes:,.0f} passes over {len(records())} training pictures; --epochs 20"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stage", "3", "--vision-lr", "1e-5"], "stage 3 leaves the encoder with its merger as they are"),
        (["--stage", "2", "--merger-lr", "0"], "above 0"),
        (["--stage", "2", "--gallery", "1", "4"], "gallery must be two numbers in 2..99"),
        (["--stage", "1", "--gallery", "2", "4"], "--gallery belongs to stages 2 and 3"),
        (["--stage", "2", "--warmup", "2"], "warmup lies in 0..1"),
        (["--stage", "2", "--epochs", "0"], "--epochs is a number above 0"),
        (["--stage", "2", "--eval-steps", "0"], "--eval-steps is 1 or more"),
        (["--stage", "2", "--validation-share", "-1"], "a share of the people below 1"),
    ],
)
def test_what_makes_no_sense_is_one_sentence(tmp_path, capsys, options, said):
    samples_asked = [] if "--epochs" in options else ["--samples", "8"]
    assert train(tmp_path / "out", *samples_asked, *options) == 2
    error = capsys.readouterr().err
    assert said in error and "Traceback" not in error
    assert not (tmp_path / "out.work").exists()


def test_all_stages_take_what_is_theirs():
    parser = argparse.ArgumentParser()
    command("train").add_arguments(parser)
    line = "--all --base x --data synthetic --out o --vision-lr 1e-6 --gallery 2 20 --schedule linear"
    runs = planned(parser.parse_args(line.split()))
    assert [run.stage.vision_rate for run in runs] == [1e-6, 1e-6, None]
    assert [run.stage.mixture.gallery for run in runs] == [(2, 8), (2, 20), (2, 20)]
    assert {run.stage.schedule for run in runs} == {"linear"}


def test_reporters_are_those_that_are_installed(monkeypatch):
    installed = {"tensorboard"}
    monkeypatch.setattr(
        "training.tuning.optimizer.importlib.util.find_spec", lambda name: name if name in installed else None
    )
    assert reporters(None) == reporters(["tensorboard"]) == ("tensorboard",)
    assert reporters(["none"]) == ()
    with pytest.raises(TuningError, match=r"needs a package that is not installed: `pip install wandb`"):
        reporters(["tensorboard", "wandb"])
    installed.clear()
    assert reporters(None) == ()


def test_a_reporter_that_nobody_knows_is_named(monkeypatch):
    monkeypatch.setattr("training.tuning.optimizer.importlib.util.find_spec", lambda name: name)
    known = "there are tensorboard, wandb, none"
    with pytest.raises(TuningError, match=f"^--report-to mlflow is unknown; {known}$"):
        reporters(["tensorboard", "mlflow"])


@pytest.mark.parametrize(("asked", "used"), [(None, "cuda"), ("cpu", "cpu")])
def test_captions_are_made_on_the_gpu_where_there_is_one(tmp_path, monkeypatch, asked, used):
    """The command's own way to the captioner, which is stopped there."""
    taken = []

    def stop(spec, *, device, batch):
        taken.append(device)
        raise CaptionerError("enough")

    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("training.captioning.captioners.LocalCaptioner", stop)
    line = ["caption", "--data", "synthetic:families=1,held_out=1,views=2", "--captioner", "x"]
    line += ["--out", str(tmp_path / "c.jsonl"), *(["--device", asked] if asked else [])]
    assert main(line) == 2
    assert taken == [used]


@pytest.mark.parametrize(
    "option", ["--epochs", "--learning-rate", "--vision-lr", "--validation-share", "--warmup"]
)
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_numbers_that_are_not_finite_are_refused_by_name(option, value, tmp_path, capsys):
    assert train(tmp_path / "out", "--stage", "2", option, value) == 2
    assert f"{option} is a finite number, got {value}" in capsys.readouterr().err
