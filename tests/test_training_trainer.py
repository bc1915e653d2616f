"""The three stages by the README's commands on a toy checkpoint: what moves, what does not, what is written."""

import json
import math

import pytest
import torch
from PIL import Image

from app.model.checkpoint import CheckpointManifest
from app.model.pictures import STAGE_3
from app.model.reid_model import ReidModel
from tests.tiny_qwen import picture, tiny_folder
from tests.tuning import DATA, PIXELS, SMALL, changed, other_base, parts, train, weights
from training.__main__ import main
from training.stages import STAGES
from training.tuning.curves import ALL, draw_curves, series
from training.tuning.failures import TuningError, is_out_of_memory, out_of_memory
from training.tuning.optimizer import chosen_optimizer
from training.tuning.origin import Origin, load_start
from training.tuning.progress import duration_text


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """`train --all`, full tuning, from a toy checkpoint; nothing here changes what it wrote."""
    out = tmp_path_factory.mktemp("full") / "run"
    assert train(out, "--all", "--samples", "12", "--learning-rate", "1e-3") == 0
    return out


def test_all_of_stage_1_is_trained(done):
    before, after = weights(tiny_folder()), weights(done / "stage1")
    encoder, decoder = parts(before)
    moved = changed(before, after)
    # Every tensor that can have a gradient moves; a word that no sample said cannot be told apart from its table.
    assert moved & set(encoder) and moved & set(decoder)
    assert len(moved) > 0.95 * len(before)


def test_stage_2_starts_with_stage_1s_encoder_and_the_bases_decoder(done, tmp_path):
    base = other_base(tmp_path / "base")
    origin = Origin(str(base), str(done / "stage1"))
    model = load_start(STAGES[2], origin, tmp_path, dtype=torch.float32, seed=0).model
    model.save_pretrained(tmp_path / "start")
    start, first = weights(tmp_path / "start"), weights(done / "stage1")
    encoder, decoder = parts(start)
    assert not changed(encoder, parts(first)[0])
    assert not changed(decoder, parts(weights(base))[1])
    # The decoder is not stage 1's: each matrix of it differs.
    matrices = {name for name, value in decoder.items() if value.ndim > 1}
    assert matrices <= changed(decoder, parts(first)[1])


def test_stage_2_trains_both_and_stage_3_leaves_the_encoder_with_its_merger(done):
    first, second, third = (weights(done / f"stage{number}") for number in (1, 2, 3))
    assert changed(parts(first)[0], parts(second)[0])
    assert changed(parts(second)[1], parts(third)[1])
    assert not changed(parts(second)[0], parts(third)[0])
    assert any("merger" in name for name in parts(third)[0])


def test_the_manifest_and_the_card_say_what_happened(done):
    manifest = CheckpointManifest.read(done / "stage3")
    assert [stage["name"] for stage in manifest.stages] == ["stage1", "stage2", "stage3"]
    assert manifest.base_model == str(tiny_folder())
    assert manifest.knows == "drawn people only"
    assert manifest.image_rule == STAGE_3.within(PIXELS)
    last = manifest.stages[-1]
    assert sum(last["samples"].values()) == 12
    assert last["steps"] == 3
    assert last["parameters"]["encoder trained"] == 0 < last["parameters"]["encoder frozen"]
    assert last["recipe"]["mixture"]["samples"] == 12
    assert 0 < last["answer_tokens"] < last["tokens"]
    assert set(last["losses"]) == {"all", *last["samples"]}
    card = (done / "stage3" / "README.md").read_text()
    assert "| samples seen | 12 in 3 steps |" in card
    assert "fresh from the base" in card and "not calibrated" in card
    for task, count in last["samples"].items():
        assert f"| {task} | {count} |" in card


def test_the_run_leaves_curves_and_a_log_and_nothing_else(done):
    for number in (1, 2, 3):
        folder = done / f"stage{number}"
        assert Image.open(folder / "losses.png").size == (1280, 760)
        rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows] == [1, 2, 3]
        assert all(math.isfinite(row["loss"]) and row["tokens_per_second"] > 0 for row in rows)
        assert not (done / f"stage{number}.work").exists()
        assert not [file for file in folder.iterdir() if file.suffix in (".bin", ".pt", ".pth", ".pkl")]


def test_a_stage_that_is_done_is_skipped(done, capsys, tmp_path):
    before = (done / "stage3" / "model.safetensors").stat().st_mtime_ns
    assert train(done, "--all", "--samples", "12", "--learning-rate", "1e-3") == 0
    assert capsys.readouterr().out.count("is done already") == 3
    assert train(done, "--all", "--samples", "12") == 2
    assert "recipe.learning_rate was 0.001, now 1e-05" in capsys.readouterr().err
    again = [
        *("--all", "--samples", "12", "--learning-rate", "1e-3"),
        *("--base", str(other_base(tmp_path / "other"))),
    ]
    assert train(done, *again) == 2
    assert "base_model was" in capsys.readouterr().err
    assert (done / "stage3" / "model.safetensors").stat().st_mtime_ns == before


def test_the_app_opens_it_uncalibrated(done):
    model = ReidModel.load(done / "stage3")
    assert model.manifest.calibrations == {}
    words = model.yes_logits("a man", [], [picture(1), picture(2)])
    assert len(words) == 2 and all(math.isfinite(word) for word in words)


def test_learning_brings_the_loss_down(tmp_path):
    """Answers to pair questions are short; a toy learns at least how they begin and end."""
    out = tmp_path / "out"
    options = ("--stage", "3", "--samples", "48", "--learning-rate", "3e-3")
    assert train(out, *options) == 0
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    assert sum(row["loss"] for row in rows[-3:]) / 3 < 0.7 * rows[0]["loss"]


def test_packed_lists_are_learnt_from_in_their_share(tmp_path):
    out = tmp_path / "out"
    assert train(out, "--stage", "3", "--samples", "16", "--packed", "0.5") == 0
    stage = CheckpointManifest.read(out).stages[-1]
    assert stage["steps"] == 4
    assert sum(stage["samples"].values()) == 8
    assert stage["pairs_in_lists"] > 0
    assert [name for name in stage["losses"] if name.startswith("list of ")]


def test_half_precision_weights_and_8_bit_states(tmp_path):
    out = tmp_path / "out"
    options = ("--weights", "bfloat16", "--optimizer", "adamw-8bit", "--learning-rate", "1e-2")
    assert train(out, "--stage", "2", "--samples", "8", *options) == 0
    after = weights(out)
    assert {value.dtype for value in after.values()} == {torch.bfloat16}
    stage = CheckpointManifest.read(out).stages[-1]
    assert (stage["weights"], stage["optimizer"]) == ("bfloat16", "adamw_bnb_8bit")
    before = {name: value.bfloat16() for name, value in weights(tiny_folder()).items()}
    assert len(changed(before, after)) > 0.9 * len(before)


def test_without_8_bit_kernels_a_sentence_says_so(capsys):
    assert chosen_optimizer("adamw-8bit", "meta") == "adamw_torch"
    assert "8-bit AdamW is left out" in capsys.readouterr().err
    assert chosen_optimizer("adamw-8bit", "cpu") == "adamw_bnb_8bit"
    with pytest.raises(TuningError, match="no optimizer 'sgd'"):
        chosen_optimizer("sgd", "cpu")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--stage", "2", "--from", "TINY"], "needs --base"),
        (["--stage", "1"], "needs --base"),
        (["--stage", "1", "--base", "TINY", "--from", "TINY"], "--from is for stages 2 and 3"),
        (["--stage", "1", "--base", "/nowhere/at/all"], "there is no checkpoint folder /nowhere/at/all"),
        (["--stage", "1", "--base", "TINY", "--four-bit"], "add --lora"),
        (["--stage", "1", "--base", "TINY", "--packed", "0.5"], "stages 2 and 3"),
        (["--stage", "1", "--base", "TINY", "--max-pixels", "100"], "--max-pixels must be"),
        (["--stage", "1", "--base", "TINY", "--samples", "0"], "one sample or more"),
        (["--stage", "1", "--base", "TINY", "--data", "market1501"], "--root"),
        (["--stage", "1", "--base", "TINY", "--data", "market1502"], "market1502"),
        (["--all", "--base", "TINY", "--from", "TINY"], "--all begins with --base"),
        (["--stage", "3", "--base", "TINY", "--lora", "0"], "rank of 1 or more"),
        (["--stage", "3", "--base", "TINY", "--minutes-per-checkpoint", "-1"], "0 or more"),
        (["--stage", "3", "--base", "TINY", "--data", "synthetic:families=0"], "at least one"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_2(tmp_path, capsys, options, said):
    tiny = str(tiny_folder())
    data = [] if "--data" in options else ["--data", DATA]
    arguments = [tiny if option == "TINY" else option for option in options]
    rest = [*SMALL[2:]] if "--max-pixels" not in options else []
    arguments = ["train", "--out", str(tmp_path / "out"), "--device", "cpu", *data, *rest, *arguments]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said(tmp_path, capsys):
    assert train(tmp_path / "out", "--stage", "1", "--samples", "4", "--device", "cuda") == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_a_folder_in_use_is_not_overwritten(tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("x")
    assert train(out, "--stage", "1", "--samples", "4") == 2
    assert "is not empty" in capsys.readouterr().err
    assert [file.name for file in out.iterdir()] == ["mine.txt"]


def test_a_loss_that_is_no_number_ends_the_run(tmp_path, capsys):
    out = tmp_path / "out"
    assert train(out, "--stage", "1", "--samples", "16", "--learning-rate", "1e30") == 2
    assert "lower --learning-rate" in capsys.readouterr().err
    assert not out.exists()


def test_out_of_memory_ends_with_what_to_lower(tmp_path, capsys, monkeypatch):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr("training.tuning.trainer.token_losses", full)
    assert train(tmp_path / "out", "--stage", "1", "--samples", "4") == 2
    error = capsys.readouterr().err.strip()
    assert "cpu is out of memory; lower --tokens-per-batch below 1024" in error
    assert "--lora" in error and len(error.splitlines()) == 1


def test_every_kind_of_running_out_is_seen():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")
    )
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))
    assert not is_out_of_memory(ValueError("out of memory"))
    told = out_of_memory(64, lora=True, four_bit=True, checkpointing=False, device="cuda")
    assert "--no-gradient-checkpointing" in told and "rank" in told and "--four-bit" not in told


def test_curves_leave_out_what_is_no_number_and_thin_long_runs(tmp_path):
    rows = [
        {"step": step, "loss": 2.0, "losses": {"a": float("nan") if step % 2 else 1.0, "b": 3.0}}
        for step in range(1, 2001)
    ]
    found = series(rows)
    assert list(found) == [ALL, "a", "b"]
    assert all(loss == 1.0 for _, loss in found["a"])
    assert len(found["b"]) <= 400
    draw_curves(rows, tmp_path / "a.png", "t")
    draw_curves(rows[:1], tmp_path / "b.png", "t")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "b.png"]
    image = Image.open(tmp_path / "a.png").convert("RGB")
    assert len(image.resize((320, 190)).getcolors(320 * 190)) > 20


@pytest.mark.parametrize(
    ("seconds", "told"), [(0, "0 s"), (61, "1 min"), (3700, "1 h 01 min"), (2e5, "2 d 07 h")]
)
def test_times_for_people(seconds, told):
    assert duration_text(seconds) == told


def test_importing_the_command_loads_no_torch():
    import subprocess
    import sys

    code = "import sys, training.commands.train; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
