"""People held out by identity: who they are, what is measured of them, and which checkpoint a stage ends with."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from app.model.checkpoint import CheckpointManifest
from app.model.loading import load_weights
from tests.tiny_qwen import tiny_folder
from tests.tuning import SMALL, changed, records, train, weights
from training.datasets.faults import DataSetError
from training.datasets.training_records import split_by_identity
from training.stages import STAGES
from training.tuning.curves import draw_curves, held_out
from training.tuning.failures import TuningError
from training.tuning.packed_lists import PackedStep
from training.tuning.trainer import StageTrainer, last_checkpoint, read_json
from training.tuning.validation import (
    Outcome,
    Question,
    evaluation_samples,
    evaluation_steps,
    outcome_of,
    people_held_out,
    questions_of,
    split,
)

WATCHED = ["--validation-share", "4", "--validation-samples", "8", "--eval-steps", "2"]


@pytest.fixture(autouse=True)
def one_thread():
    """Sums come out alike to the bit only over the same number of threads, here and in the killed process."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def people(part):
    return {record.person for record in part.records}


def rows(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def validation_rows(folder):
    return [row for row in rows(folder) if "validation" in row]


def out(every, count):
    """People held out of the one set of `records`."""
    return split_by_identity(every, {every.sets[0]: count})


def test_nobody_is_on_both_sides_and_all_pictures_of_a_person_are_on_one():
    every = records()
    learnt, held = out(every, 5)
    assert len(people(held)) == 5
    assert not people(held) & people(learnt)
    assert people(held) | people(learnt) == people(every)
    assert len(held) + len(learnt) == len(every)
    assert [r for r in every.records if r.person in people(held)] == list(held.records)
    assert len(held.sets) == len(held) and held.settings == every.settings


def test_who_is_held_out_hangs_on_names_alone():
    every = records()
    backwards = replace(every, records=every.records[::-1], sets=every.sets[::-1], key=_key())
    assert people(out(every, 5)[1]) == people(out(backwards, 5)[1])
    # More people held out are those and others.
    assert people(out(every, 3)[1]) < people(out(every, 5)[1])


def _key():
    from training.datasets import training_records

    return training_records._KEY


def sets_of(**sizes):
    """So many people of each set, a picture each."""
    first = records().records[0]
    named = [(f"{name}/{number}", name) for name, size in sizes.items() for number in range(size)]
    many = tuple(replace(first, person=person) for person, _ in named)
    return replace(records(), records=many, sets=tuple(name for _, name in named), key=_key())


@pytest.mark.parametrize("wanted", [None, 0.1, 7])
@pytest.mark.parametrize("beside", [{"b": 9000}, {"b": 30, "c": 400}, {"b": 5000, "c": 6000, "d": 751}])
def test_a_stage_on_other_sets_holds_out_the_same_people_of_each(wanted, beside):
    """Or what one stage learns from, another would be measured on."""
    alone = sets_of(a=751)
    together = sets_of(a=751, **beside)
    held_alone = people(split(alone, people_held_out(wanted, alone))[1])
    held = people(split(together, people_held_out(wanted, together))[1])
    assert held_alone == {person for person in held if person.startswith("a/")}
    assert len(held) > len(held_alone) or beside == {"b": 30, "c": 400}


def test_somebody_is_left_to_learn_from():
    total = len(people(records()))
    with pytest.raises(DataSetError, match="two or more are left"):
        out(records(), total - 1)
    with pytest.raises(DataSetError, match="3 people cannot be held out of the 0 of nowhere"):
        split_by_identity(records(), {"nowhere": 3})
    with pytest.raises(TuningError, match="two or more of each are left"):
        people_held_out(total - 1, records())
    with pytest.raises(TuningError, match="of each data set out, and small has 5"):
        people_held_out(4, sets_of(a=90, small=5))
    with pytest.raises(TuningError, match="two or more are held out"):
        people_held_out(0.01, records())
    for none in (2.5, -1, float("nan"), float("inf")):
        with pytest.raises(TuningError, match="a share of the people below 1, or a number"):
            people_held_out(none, records())


def test_how_many_are_held_out():
    total = len(people(records()))

    def held(wanted, of):
        return list(people_held_out(wanted, of).values())

    assert held(0, records()) == [0]
    assert held(None, records()) == [0]  # fewer than 80 people
    assert held(0.5, records()) == [round(total / 2)]
    assert held(3, records()) == [3]
    assert held(3, sets_of(a=90, b=10)) == [3, 3]
    assert split(records(), people_held_out(0, records())) == (records(), None)
    of_one = [held(None, sets_of(a=count)) for count in (79, 80, 751, 30_000)]
    assert of_one == [[0], [8], [15], [100]]
    assert held(None, sets_of(a=79, b=80, c=30_000)) == [0, 8, 100]


def test_how_often_and_on_how_much():
    stage = STAGES[2].with_(samples=6400, samples_per_step=64)
    assert (evaluation_steps(stage, None), evaluation_steps(stage, 7)) == (10, 7)
    assert (evaluation_samples(stage, None), evaluation_samples(stage, 12)) == (256, 12)
    small = stage.with_(samples=40, samples_per_step=4)
    assert (evaluation_steps(small, None), evaluation_samples(small, None)) == (1, 4)


class Listed:
    """A list of two questions about four candidates."""

    kind = "image"
    right = torch.tensor([[True, False, False, True], [False, True, False, False]])
    ignored = torch.tensor([[False, False, True, False], [False, False, False, False]])


def test_figures_of_a_list_are_those_counted_by_hand():
    # First: the ignored candidate leads and does not count; right ones stand first and third.
    odds = np.array([[3.0, 2.0, 9.0, 1.0], [5.0, 1.0, 4.0, 0.0]])
    first, second = questions_of(Listed, odds)
    assert first == Question("image", pytest.approx((1 + 2 / 3) / 2), True)
    assert second == Question("image", pytest.approx(1 / 3), False)
    found = outcome_of(1.5, {"a": 1.5}, [first, second, Question("text", 1.0, True)])
    assert found.mAP == pytest.approx((5 / 6 + 1 / 3 + 1) / 3)
    assert found.rank1 == pytest.approx(2 / 3)
    assert found.kinds["image"] == (pytest.approx((5 / 6 + 1 / 3) / 2), 0.5)
    assert found.metrics()["eval_mAP/text"] == 1.0
    assert outcome_of(1.5, {"a": 1.5}, []) == Outcome(1.5, {"a": 1.5})
    assert "eval_mAP" not in outcome_of(1.5, {}, []).metrics()


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """A stage 2 that is watched; nothing here changes what it wrote."""
    out = tmp_path_factory.mktemp("watched") / "out"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert train(out, "--stage", "2", "--samples", "20", "--learning-rate", "3e-3", *WATCHED) == 0
    torch.set_num_threads(threads)
    return out


def test_an_evaluation_stands_in_log_manifest_card_and_curves(watched):
    found = validation_rows(watched)
    assert [row["step"] for row in found] == [2, 4, 5]
    assert [row["step"] for row in rows(watched) if "loss" in row] == [1, 2, 3, 4, 5]
    for row in found:
        told = row["validation"]
        assert told["loss"] > 0 and 0 <= told["mAP"] <= 1 and 0 <= told["rank1"] <= 1
        assert set(told["losses"]) <= set(STAGES[2].mixture.shares) and told["kinds"]
    stage = CheckpointManifest.read(watched).stages[-1]
    best = max(found, key=lambda row: (row["validation"]["mAP"], -row["step"]))
    said = stage["validation"]
    assert (said["people"], said["samples"], said["every"], said["keep"]) == (4, 8, 2, "best")
    assert (said["kept_step"], said["mAP"]) == (best["step"], best["validation"]["mAP"])
    card = (watched / "README.md").read_text()
    assert f"best checkpoint kept, of step {best['step']}; mAP {best['validation']['mAP']:.3f}" in card
    assert "| loss held out |" in card
    curves = held_out(rows(watched))
    assert curves["mAP"] == [(row["step"], row["validation"]["mAP"]) for row in found]
    assert not watched.with_name("out.work").exists()


def test_curves_of_people_held_out_are_drawn(tmp_path):
    learnt = [{"step": step, "loss": 2.0, "losses": {}} for step in range(1, 9)]
    told = [{"step": 4, "validation": {"loss": 1.0, "mAP": 0.5, "rank1": 0.25}}]
    draw_curves(learnt, tmp_path / "without.png", "t")
    draw_curves(learnt + told, tmp_path / "with.png", "t")
    without, with_ = (Image.open(tmp_path / f"{name}.png").tobytes() for name in ("without", "with"))
    assert without != with_


def test_people_held_out_reach_no_sample_of_training(tmp_path, monkeypatch):
    met = {"learnt": set(), "held": set()}
    from training.tuning import stage_run

    before = stage_run._steps

    def steps(run, stream, *more, **named):
        name = "learnt" if "lists" in named else "held"
        met[name] |= {r.person for r in stream.records.records}
        return before(run, stream, *more, **named)

    monkeypatch.setattr(stage_run, "_steps", steps)
    assert train(tmp_path / "out", "--stage", "1", "--samples", "8", *WATCHED) == 0
    assert len(met["held"]) == 4 and met["learnt"] and not met["held"] & met["learnt"]
    # Stage 1 has no question of yes or no: its loss is all.
    (last,) = [row for row in validation_rows(tmp_path / "out") if row["step"] == 2]
    assert set(last["validation"]) == {"loss", "losses"}


def worse_from(monkeypatch, step):
    """Evaluations after a step find less than the one there."""
    before = StageTrainer._questions

    def questions(self, held):
        return [
            replace(question, precision=1.0 if self.state.global_step == step else 0.5)
            for question in before(self, held)
        ]

    monkeypatch.setattr(StageTrainer, "_questions", questions)


def test_the_best_checkpoint_is_what_a_stage_ends_with(tmp_path, monkeypatch):
    options = ["--stage", "2", "--samples", "20", "--learning-rate", "3e-3", *WATCHED]
    seen = {}
    before = StageTrainer.save_model

    def save_model(self, output_dir=None, _internal_call=False):
        before(self, output_dir, _internal_call)
        if output_dir:
            seen[self.state.global_step] = weights(type(tmp_path)(output_dir))

    monkeypatch.setattr(StageTrainer, "save_model", save_model)
    worse_from(monkeypatch, 2)
    assert train(tmp_path / "best", *options) == 0
    assert set(seen) == {2, 4, 5}
    assert train(tmp_path / "last", *options, "--keep", "last") == 0
    for name, step in (("best", 2), ("last", 5)):
        kept = dict(load_weights(tmp_path / name, torch.float32).named_parameters())
        assert set(kept) == set(seen[step])
        assert not [key for key, value in kept.items() if not torch.equal(value, seen[step][key])]
        stage = CheckpointManifest.read(tmp_path / name).stages[-1]
        assert stage["validation"]["kept_step"] == step and stage["steps"] == 5


def test_what_cannot_be_watched_is_said(tmp_path, capsys):
    assert train(tmp_path / "out", "--stage", "2", "--samples", "8", "--eval-steps", "2") == 2
    assert "--eval-steps: nobody is held out; add --validation-share" in capsys.readouterr().err
    assert train(tmp_path / "out", "--stage", "2", "--samples", "8", "--keep", "best") == 2
    assert "--keep best: nobody is held out" in capsys.readouterr().err


def test_killed_in_the_middle_of_an_evaluation_it_goes_on_and_ends_alike(tmp_path, watched, capsys):
    """The second evaluation, with the best checkpoint of the first behind it."""
    out, work = tmp_path / "out", tmp_path / "out.work"
    options = ["--stage", "2", "--samples", "20", "--learning-rate", "3e-3", *WATCHED]
    code = (
        "import os, signal, sys\n"
        "from training.tuning.trainer import StageTrainer\n"
        "before = StageTrainer._questions\n"
        "def questions(self, held):\n"
        "    found = before(self, held)\n"
        "    if self.state.global_step == 4: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return found\n"
        "StageTrainer._questions = questions\n"
        "from training.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    arguments = ["train", "--out", str(out), "--base", str(tiny_folder()), *SMALL, *options]
    process = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr[-2000:]
    assert last_checkpoint(work).name == "checkpoint-2"
    assert read_json(work / "checkpoint-2" / "trainer_state.json")["best_global_step"] == 2
    assert train(out, *options, "--resume", "--eval-steps", "3") == 2
    assert "validation.every was 2, now 3" in capsys.readouterr().err
    assert train(out, *options, "--resume") == 0
    assert not changed(weights(watched), weights(out))
    assert [row["validation"] for row in validation_rows(watched)] == [
        row["validation"] for row in validation_rows(out)
    ]
    one, other = (CheckpointManifest.read(folder).stages[-1] for folder in (watched, out))
    assert one["validation"] == other["validation"] and one["samples"] == other["samples"]


def test_a_run_that_was_killed_while_it_was_written_out_goes_on(tmp_path, watched, monkeypatch):
    """Its last checkpoint is of the last step: nothing is left to learn, and it still ends with the best one."""
    out = tmp_path / "out"
    options = ["--stage", "2", "--samples", "20", "--learning-rate", "3e-3", *WATCHED]

    def killed(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("training.tuning.stage_run.export", killed)
        with pytest.raises(KeyboardInterrupt):
            train(out, *options)
    assert last_checkpoint(tmp_path / "out.work").name == "checkpoint-5"
    assert train(out, *options, "--resume") == 0
    assert not changed(weights(watched), weights(out))


def test_a_run_that_diverges_is_told_how_to_begin_anew(tmp_path, monkeypatch, capsys):
    """While it learns, and where only the people held out show it; by --resume it would be held to its rate."""
    nan = torch.tensor(float("nan"))
    places = [
        (StageTrainer, "_answer_step", lambda *_: nan),
        (StageTrainer, "_held_out_losses", lambda *_: (float("nan"), {})),
        (PackedStep, "odds", lambda packed, _: nan.expand(packed.right.shape)),
    ]
    for number, (owner, name, broken) in enumerate(places):
        out = tmp_path / f"out{number}"
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, broken)
            assert train(out, "--stage", "2", "--samples", "8", *WATCHED) == 2
        said = capsys.readouterr().err
        assert "the loss is no number at step" in said and "--resume" not in said
        assert f"in another --out or after removing {out}.work" in said


def test_a_finished_run_is_not_taken_for_one_with_other_settings(watched, capsys):
    options = ["--stage", "2", "--samples", "20", "--learning-rate", "3e-3", *WATCHED, "--resume"]
    assert train(watched, *options) == 0
    assert "is done already" in capsys.readouterr().out
    for other, said in (
        (["--learning-rate", "1e-3"], "recipe.learning_rate was 0.003, now 0.001"),
        (["--samples", "24"], "recipe.mixture.samples was 20, now 24"),
        (["--seed", "4"], "seed was 0, now 4"),
        (["--keep", "last"], "validation.keep was best, now last"),
        (["--stage", "3", "--from", str(watched)], "name was stage2, now stage3"),
    ):
        assert train(watched, *options, *other) == 2, other
        assert said in capsys.readouterr().err
