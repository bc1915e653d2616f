"""`python -m training train | publish`: the three stages, and what the app opens."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.tuning.stage_run import StageRun

from gallery_store.console import quiet, remark
from training.commands import Command
from training.commands.datasets import add_side_files, add_sources


def _add_train_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--stage", type=int, choices=(1, 2, 3))
    which.add_argument(
        "--all", action="store_true", help="the three stages, in OUT/stage1 to OUT/stage3; skips those done"
    )
    parser.add_argument(
        "--base", metavar="NAME|DIR", help="the base model, such as Qwen/Qwen2-VL-2B-Instruct"
    )
    parser.add_argument("--from", dest="before", metavar="DIR", help="the stage before (stages 2 and 3)")
    add_sources(parser)
    add_side_files(parser)
    parser.add_argument(
        "--out", type=Path, required=True, help="the finished checkpoint; OUT.work until then"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on from the last checkpoint in OUT.work, if any"
    )
    parser.add_argument("--seed", type=int, default=0)
    recipe = parser.add_argument_group("recipe (the stage's own where left out; see training/stages.py)")
    recipe.add_argument("--samples", type=int, metavar="N", help="how many samples to learn from")
    recipe.add_argument(
        "--samples-per-step", type=int, metavar="N", help="between two updates of the weights"
    )
    recipe.add_argument("--learning-rate", type=float, metavar="X", help="peak")
    recipe.add_argument("--max-pixels", type=int, metavar="N", help="bound of every picture")
    recipe.add_argument(
        "--packed",
        type=float,
        metavar="SHARE",
        help="share of the steps of stages 2 and 3 that are packed lists",
    )
    recipe.add_argument("--no-match", type=float, metavar="SHARE", help="share of galleries without a match")
    recipe.add_argument(
        "--hard", type=float, metavar="SHARE", help="share of other people who are look-alikes"
    )
    how = parser.add_argument_group("how it runs")
    how.add_argument(
        "--lora",
        type=int,
        nargs="?",
        const=64,
        metavar="RANK",
        help="tune an adapter (rank 64) instead of all weights",
    )
    how.add_argument("--four-bit", action="store_true", help="the base in NF4 under the adapter (QLoRA)")
    how.add_argument("--tokens-per-batch", type=int, metavar="N", help="padded tokens of one forward pass")
    how.add_argument("--optimizer", choices=("adamw", "adamw-8bit"), help="8-bit by default with --four-bit")
    how.add_argument(
        "--weights",
        choices=("float32", "bfloat16"),
        default="float32",
        help="precision that full weights are kept in",
    )
    how.add_argument("--no-gradient-checkpointing", action="store_true", help="faster, with more memory")
    how.add_argument("--device", choices=("cuda", "cpu"), help="cuda where there is one, else cpu")
    how.add_argument(
        "--workers", type=int, help="processes that prepare samples (4 beside a GPU, none on a CPU)"
    )
    how.add_argument("--minutes-per-checkpoint", type=float, default=30.0, metavar="M")
    how.add_argument(
        "--log-every", type=int, default=0, metavar="STEPS", help="between two lines of progress"
    )


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
    from training.instructions.stage_samples import Samples
    from training.tuning.stage_run import check_place, clear, is_done, run_stage

    runs = [run for run in planned(chosen) if not _skipped(run, chosen)]
    for run in runs[:1]:  # the others start from what is not there yet
        run.origin.check(run.stage)
        check_place(run, resume=chosen.resume or chosen.all)
    if not runs:
        return 0
    data_sets = load_many(runs[0].data, chosen.root)
    records = training_records(prepared(data_sets, chosen.root, chosen.captions, chosen.dropped))
    vectors = read_vectors(chosen.vectors, records.records, chosen.root) if chosen.vectors else None
    for run in runs:
        samples = Samples(run.stage.mixture, records, run.seed, vectors=vectors)
        if _is_first_process():
            for line in samples.plan.report():
                remark(f"stage {run.stage.number}: {line}")
        done = run_stage(run, samples, resume=chosen.resume or chosen.all)
        if done is None:
            return 130
        if _is_first_process():
            clear(run)
            print(f"stage {run.stage.number} is done: {done}", flush=True)
    assert all(is_done(run.out) for run in runs)
    return 0


def planned(chosen: argparse.Namespace) -> list[StageRun]:
    """The runs that the arguments ask for, in order. Raises TuningError for values that make no sense."""
    from app.model.pictures import MIN_PIXELS
    from gallery_store.encoder import resolve_device
    from training.datasets.load import parse_names
    from training.stages import STAGES
    from training.tuning.failures import TuningError
    from training.tuning.origin import Origin, kept_rule
    from training.tuning.stage_run import Hardware, StageRun

    if chosen.all and chosen.before:
        raise TuningError("--all begins with --base; --from belongs to --stage 2 or 3")
    device = chosen.device or resolve_device()
    if device == "cuda" and resolve_device() != "cuda":
        raise TuningError("torch sees no CUDA device here; leave --device out")
    if chosen.minutes_per_checkpoint < 0 or chosen.log_every < 0:
        raise TuningError("--minutes-per-checkpoint and --log-every are 0 or more")
    hardware = Hardware(
        device=device,
        weights=chosen.weights,
        optimizer=chosen.optimizer or ("adamw-8bit" if chosen.four_bit else "adamw"),
        checkpointing=not chosen.no_gradient_checkpointing,
        workers=(4 if device.startswith("cuda") else 0) if chosen.workers is None else chosen.workers,
        minutes_per_checkpoint=chosen.minutes_per_checkpoint,
        log_every=chosen.log_every,
    )
    if chosen.max_pixels is not None and chosen.max_pixels < MIN_PIXELS:
        raise TuningError(f"--max-pixels must be {MIN_PIXELS} or more, got {chosen.max_pixels}")
    data = parse_names(chosen.data)
    files = tuple(str(file) for file in (*chosen.captions, *chosen.dropped, chosen.vectors) if file)
    rule = kept_rule(chosen.before or chosen.base)
    before, runs = chosen.before, []
    for number in (1, 2, 3) if chosen.all else (chosen.stage,):
        try:
            stage = STAGES[number].with_(**_changes(chosen, number), image_rule=rule)
        except ValueError as error:
            raise TuningError(str(error)) from None
        out = chosen.out / stage.name if chosen.all else chosen.out
        origin = Origin(chosen.base, before, chosen.lora, chosen.four_bit)
        runs.append(StageRun(stage, origin, data, out, files, chosen.seed, chosen.max_pixels, hardware))
        before = str(out)
    return runs


def _changes(chosen: argparse.Namespace, number: int) -> dict[str, Any]:
    rate = "learning_rate" if chosen.lora is None else "lora_rate"
    return {
        "samples": chosen.samples,
        "hard": chosen.hard,
        "nobody": chosen.no_match if number > 1 else None,
        "samples_per_step": chosen.samples_per_step,
        "tokens_per_batch": chosen.tokens_per_batch,
        "packed_share": chosen.packed if number > 1 or not chosen.all else None,
        rate: chosen.learning_rate,
    }


def _skipped(run: StageRun, chosen: argparse.Namespace) -> bool:
    from training.tuning.stage_run import clear, is_done

    if not (chosen.all or chosen.resume) or not is_done(run.out):
        return False
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
    return 0


COMMANDS = {
    "train": Command("tune a Qwen2-VL through the paper's three stages", _add_train_arguments, _run_train),
    "publish": Command(
        "make what `python app.py --model DIR` opens out of a tuned checkpoint",
        _add_publish_arguments,
        _run_publish,
    ),
}
