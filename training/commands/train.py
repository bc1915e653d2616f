"""`python -m training train | publish`: the three stages, and what the app opens."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.tuning.stage_run import Hardware, StageRun

from gallery_store.console import quiet, remark
from training.commands import Command
from training.commands.train_options import add_train_arguments

MANY_PASSES = 20  # over the training pictures, in one stage


def _run_train(chosen: argparse.Namespace) -> int:
    from app.model.checkpoint import ModelError
    from training.datasets.faults import DataSetError
    from training.instructions.stage_samples import CannotBeMade
    from training.tuning.failures import TuningError

    try:
        return _train(chosen)
    except (ModelError, DataSetError, CannotBeMade, TuningError, OSError) as error:
        remark(str(error))
        return 2


def _train(chosen: argparse.Namespace) -> int:
    from training.captioning.side_files import prepared
    from training.datasets.load import load_many
    from training.datasets.training_records import training_records
    from training.instructions.look_alikes import read_vectors
    from training.instructions.stage_samples import CannotBeMade, Samples
    from training.tuning.failures import TuningError
    from training.tuning.stage_run import check_place, clear, is_done, run_stage
    from training.tuning.validation import people_held_out, split

    runs = [run for run in planned(chosen) if not _skipped(run, chosen)]
    for run in runs[:1]:  # the others start from what is not there yet
        run.origin.check(run.stage)
        check_place(run, resume=chosen.resume or chosen.all, settings=False)
    if not runs:
        return 0
    data_sets = load_many(runs[0].data, chosen.root)
    records = training_records(prepared(data_sets, chosen.root, chosen.captions, chosen.dropped))
    by_set = people_held_out(chosen.validation_share, records)
    people = sum(by_set.values())
    parts = [part for part in split(records, by_set) if part is not None]
    vectors = [
        read_vectors(chosen.vectors, part.records, chosen.root) if chosen.vectors else None for part in parts
    ]
    for planned_run in runs:
        run = measured(planned_run, chosen, people, len(parts[0]))
        mixture = run.stage.mixture
        samples = Samples(mixture, parts[0], run.seed, vectors=vectors[0])
        held = None
        if people:
            try:
                held = Samples(mixture, parts[1], run.seed, run.validation.samples, vectors=vectors[1])
            except CannotBeMade as problem:
                raise TuningError(
                    f"the {people} people held out give no sample: {problem}; hold more out by --validation-share, or 0"
                ) from None
        if _is_first_process():
            for line in (*samples.plan.report(), *_passes(run.stage.samples, len(parts[0]))):
                remark(f"stage {run.stage.number}: {line}")
        done = run_stage(run, samples, held, resume=chosen.resume or chosen.all)
        if done is None:
            return 130
        if _is_first_process():
            clear(run)
            print(f"stage {run.stage.number} is done: {done}", flush=True)
    assert all(is_done(run.out) for run in runs)
    return 0


def planned(chosen: argparse.Namespace) -> list[StageRun]:
    """The runs that the arguments ask for, in order, as far as they do not hang on the data (`measured`).

    Raises TuningError for values that make no sense."""
    from app.model.pictures import MIN_PIXELS
    from training.datasets.load import parse_names
    from training.stages import STAGES
    from training.tuning.failures import TuningError
    from training.tuning.origin import Origin, kept_rule, known_vocabulary
    from training.tuning.stage_run import StageRun

    if chosen.all and chosen.before:
        raise TuningError("--all begins with --base; --from belongs to --stage 2 or 3")
    for name, value in vars(chosen).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise TuningError(f"--{name.replace('_', '-')} is a finite number, got {value:g}")
    if chosen.epochs is not None and chosen.epochs <= 0:
        raise TuningError(f"--epochs is a number above 0, got {chosen.epochs:g}")
    if chosen.stage == 1 and chosen.gallery:
        raise TuningError("stage 1 tells what one picture shows; --gallery belongs to stages 2 and 3")
    for option, value in (
        ("--eval-steps", chosen.eval_steps),
        ("--validation-samples", chosen.validation_samples),
    ):
        if value is not None and value < 1:
            raise TuningError(f"{option} is 1 or more, got {value}")
    hardware = _hardware(chosen)
    if chosen.max_pixels is not None and chosen.max_pixels < MIN_PIXELS:
        raise TuningError(f"--max-pixels must be {MIN_PIXELS} or more, got {chosen.max_pixels}")
    data = parse_names(chosen.data)
    files = tuple(str(file) for file in (*chosen.captions, *chosen.dropped, chosen.vectors) if file)
    rule = kept_rule(chosen.before or chosen.base)
    vocabulary = chosen.vocabulary or known_vocabulary(chosen.before or chosen.base)
    before, runs = chosen.before, []
    for number in (1, 2, 3) if chosen.all else (chosen.stage,):
        try:
            stage = STAGES[number].with_(**_changes(chosen, number), image_rule=rule, vocabulary=vocabulary)
        except ValueError as error:
            raise TuningError(str(error)) from None
        out = chosen.out / stage.name if chosen.all else chosen.out
        origin = Origin(chosen.base, before, chosen.lora, chosen.four_bit)
        runs.append(
            StageRun(stage, origin, data, out, files, chosen.seed, chosen.max_pixels, hardware=hardware)
        )
        before = str(out)
    return runs


def _hardware(chosen: argparse.Namespace) -> Hardware:
    from gallery_store.encoder import resolve_device
    from training.tuning.failures import TuningError
    from training.tuning.optimizer import reporters
    from training.tuning.stage_run import Hardware

    device = chosen.device or resolve_device()
    if device == "cuda" and resolve_device() != "cuda":
        raise TuningError("torch sees no CUDA device here; leave --device out")
    if chosen.minutes_per_checkpoint < 0 or chosen.log_every < 0:
        raise TuningError("--minutes-per-checkpoint and --log-every are 0 or more")
    return Hardware(
        device=device,
        weights=chosen.weights,
        optimizer=chosen.optimizer or ("adamw-8bit" if chosen.four_bit else "adamw"),
        checkpointing=not chosen.no_gradient_checkpointing,
        workers=(4 if device.startswith("cuda") else 0) if chosen.workers is None else chosen.workers,
        minutes_per_checkpoint=chosen.minutes_per_checkpoint,
        log_every=chosen.log_every,
        report_to=reporters(chosen.report_to),
        attention=chosen.attention,
    )


def measured(run: StageRun, chosen: argparse.Namespace, people: int, pictures: int) -> StageRun:
    """A run with what hangs on the data. people: held out; pictures: to learn from. Raises TuningError."""
    from training.tuning.failures import TuningError
    from training.tuning.validation import Validation, evaluation_samples, evaluation_steps

    stage = run.stage
    if chosen.epochs is not None:
        stage = stage.with_(samples=max(1, round(chosen.epochs * pictures)))
    if not people:
        asked = {"--eval-steps": chosen.eval_steps, "--validation-samples": chosen.validation_samples}
        asked["--keep best"] = chosen.keep == "best" or None
        if given := [option for option, value in asked.items() if value is not None]:
            raise TuningError(
                f"{', '.join(given)}: nobody is held out; add --validation-share, such as 0.02 or 16"
            )
        return replace(run, stage=stage, validation=Validation(keep="last"))
    validation = Validation(
        people,
        evaluation_samples(stage, chosen.validation_samples),
        evaluation_steps(stage, chosen.eval_steps),
        chosen.keep or "best",
    )
    return replace(run, stage=stage, validation=validation)


def _passes(samples: int, pictures: int) -> list[str]:
    """A sentence where a stage meets the same pictures very often."""
    passes = samples / pictures
    if passes <= MANY_PASSES:
        return []
    return [
        f"{samples:,} samples are {passes:,.0f} passes over {pictures:,} training pictures; --epochs {MANY_PASSES},"
        " or --samples, makes it shorter"
    ]


def _changes(chosen: argparse.Namespace, number: int) -> dict[str, Any]:
    rate = "learning_rate" if chosen.lora is None else "lora_rate"
    # With --all, what a stage has no use for is for the others.
    sees = number < 3 or not chosen.all
    return {
        "samples": chosen.samples,
        "hard": chosen.hard,
        "nobody": chosen.no_match if number > 1 else None,
        "gallery": tuple(chosen.gallery) if chosen.gallery and number > 1 else None,
        "samples_per_step": chosen.samples_per_step,
        "tokens_per_batch": chosen.tokens_per_batch,
        "packed_share": chosen.packed if number > 1 or not chosen.all else None,
        "schedule": chosen.schedule,
        "warmup": chosen.warmup,
        "vision_rate": chosen.vision_lr if sees else None,
        "merger_rate": chosen.merger_lr if sees else None,
        rate: chosen.learning_rate,
    }


def _skipped(run: StageRun, chosen: argparse.Namespace) -> bool:
    from training.tuning.stage_run import check_done, clear, is_done

    if not (chosen.all or chosen.resume) or not is_done(run.out):
        return False
    watched = {"every": chosen.eval_steps, "samples": chosen.validation_samples, "keep": chosen.keep}
    check_done(run, chosen.epochs, {name: value for name, value in watched.items() if value is not None})
    if _is_first_process():
        clear(run)
        print(f"stage {run.stage.number} is done already: {run.out}", flush=True)
    return True


def _is_first_process() -> bool:
    import os

    return os.environ.get("RANK", "0") == "0"


def _add_publish_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from", dest="source", type=Path, required=True, help="a checkpoint of `training train`"
    )
    parser.add_argument("--out", type=Path, required=True, help="the folder to make")
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16", "float16"), default="bfloat16", help="of the weights"
    )
    parser.add_argument("--merge", action="store_true", help="whole weights in place of a LoRA adapter")
    parser.add_argument("--name", default="", help="what the screen calls it; the folder's name by default")


def _run_publish(chosen: argparse.Namespace) -> int:
    from app.model.checkpoint import ModelError
    from training.tuning.export import publish
    from training.tuning.failures import TuningError

    quiet()
    try:
        out = publish(chosen.source, chosen.out, dtype=chosen.dtype, merge=chosen.merge, name=chosen.name)
    except (ModelError, TuningError, OSError) as error:
        remark(str(error))
        return 2
    print(f"{out}: open it with `python app.py --model {out}`")
    calibrate = f"python -m training calibrate --model {out} --clip CLIP"
    print(
        f"Its confidences are not calibrated yet: `{calibrate}` with --data NAME --root DIR, or --gallery FILE"
    )
    return 0


COMMANDS = {
    "train": Command("tune a Qwen2-VL through the paper's three stages", add_train_arguments, _run_train),
    "publish": Command(
        "make what `python app.py --model DIR` opens out of a tuned checkpoint",
        _add_publish_arguments,
        _run_publish,
    ),
}
