"""One stage from its start to a finished checkpoint: OUT is complete or absent, OUT.work what goes on before."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import PartialState
from transformers import PrinterCallback

from app.model.checkpoint import FILE_NAME, CheckpointManifest
from app.model.pictures import ImageRule
from gallery_store.console import quiet, remark
from gallery_store.files import write_json
from training.stages import Stage
from training.tuning.collator import Collator, SampleStream
from training.tuning.export import Finished, export
from training.tuning.failures import TuningError, is_out_of_memory, out_of_memory
from training.tuning.optimizer import arguments, chosen_optimizer
from training.tuning.origin import Loaded, Origin, base_name, counts, load_start
from training.tuning.packed_lists import RecordLists
from training.tuning.progress import RunProgress
from training.tuning.steps import Steps
from training.tuning.tower import batch_attention, set_attention
from training.tuning.trainer import StageTrainer, last_checkpoint, read_json, weights_are_shared_out
from training.tuning.validation import LIST_TOKENS, HeldOut, Validation, list_count

SETTINGS = "settings.json"


@dataclass(frozen=True)
class Hardware:
    """How a stage runs; none of it changes which samples are met.

    device: "cuda", "cpu", ... weights: precision that full weights are kept in. optimizer: "adamw" or
    "adamw-8bit". checkpointing: compute activations twice, keep them once. workers: processes that prepare
    samples. minutes_per_checkpoint: between two. log_every: steps between two lines of progress, 0 for about fifty
    lines in all. report_to: of training.tuning.optimizer.REPORTERS. attention: transformers' name, of
    training.tuning.tower.ATTENTIONS.
    """

    device: str = "cpu"
    weights: Literal["float32", "bfloat16"] = "float32"
    optimizer: Literal["adamw", "adamw-8bit"] = "adamw"
    checkpointing: bool = True
    workers: int = 0
    minutes_per_checkpoint: float = 30.0
    log_every: int = 0
    report_to: tuple[str, ...] = ()
    attention: Literal["sdpa", "eager", "flash_attention_2"] = "sdpa"


@dataclass(frozen=True)
class StageRun:
    """A stage on some data. data: names of data sets, as the command line has them; files: of captions and of
    pictures left out. out: where the finished checkpoint goes. max_pixels: bound of every picture, or None for
    the stage's own. validation: how it is watched while it learns."""

    stage: Stage
    origin: Origin
    data: tuple[str, ...]
    out: Path
    files: tuple[str, ...] = ()
    seed: int = 0
    max_pixels: int | None = None
    validation: Validation = field(default_factory=Validation)
    hardware: Hardware = Hardware()

    @property
    def work(self) -> Path:
        return self.out.with_name(self.out.name + ".work")

    @property
    def rule(self) -> ImageRule:
        """The stage's image rule within max_pixels: the checkpoint will carry it, and the app ask by it."""
        return self.stage.image_rule.within(self.max_pixels)

    def settings(self) -> dict[str, Any]:
        """What a resumed run must share with the run that it goes on from.

        Not the tokens of a pass: after running out of memory a run goes on with fewer.
        """
        stage = self.stage.to_json()
        del stage["tokens_per_batch"]
        return {
            "stage": stage,
            "origin": asdict(self.origin),
            "data": list(self.data),
            "files": list(self.files),
            "seed": self.seed,
            "max_pixels": self.max_pixels,
            "validation": asdict(self.validation),
            "attention": self.hardware.attention,
            "weights": self.hardware.weights,
            "optimizer": self.hardware.optimizer,
        }


def is_done(out: Path) -> bool:
    """Whether a stage's checkpoint is there."""
    return (out / FILE_NAME).is_file()


def check_place(run: StageRun, *, resume: bool, settings: bool = True) -> None:
    """Whether a run may begin, or go on, where it is to end. settings: also with these; they are only whole once the
    data are read. Raises TuningError."""
    if run.out.exists() and not run.out.is_dir():
        raise TuningError(f"{run.out} is a file; give --out a folder")
    if run.out.is_dir() and any(run.out.iterdir()):
        raise TuningError(f"{run.out} is not empty; give --out another folder, or remove it")
    begun = (run.work / SETTINGS).is_file()
    if begun and not resume:
        raise TuningError(f"a run has begun in {run.work}; go on with it by --resume, or remove that folder")
    if begun and settings:
        before, now = _plain(read_json(run.work / SETTINGS)), _plain(run.settings())
        if changed := _differences(before, now):
            raise TuningError(
                f"{run.work} was begun with other settings: {'; '.join(changed)}; resume with the same ones"
            )


def check_done(run: StageRun, epochs: float | None, watched: Mapping[str, Any]) -> None:
    """Whether the finished checkpoint in run.out is what these settings ask for, as far as its manifest tells.

    epochs: asked for in place of samples. watched: what was asked of the evaluation, as Validation names it.

    Raises:
        TuningError, app.model.checkpoint.ModelError: it is another's, or cannot be read.
    """
    manifest = CheckpointManifest.read(run.out)
    entry = dict(manifest.stages[-1]) if manifest and manifest.stages else {}
    stage = run.stage
    if epochs is not None:
        stage = stage.with_(samples=max(1, round(epochs * entry.get("training_pictures", 0))))
    recipe = dict(entry.get("recipe", {}))
    recipe.pop("tokens_per_batch", None)
    now = {
        "name": stage.name,
        "base_model": base_name(run.origin),
        # What the recipe of an older checkpoint did not know is not compared.
        "recipe": {name: value for name, value in stage.to_json().items() if name in recipe},
        "lora_rank": run.origin.lora,
        "data": run.data,
        "seed": run.seed,
        "max_pixels": run.max_pixels,
        "attention": run.hardware.attention,
        "validation": watched,
    }
    before = {name: entry.get(name) for name in now} | {"recipe": recipe}
    before["base_model"] = manifest.base_model if manifest else None
    before["validation"] = {name: (entry.get("validation") or {}).get(name) for name in watched}
    if changed := _differences(_plain(before), _plain(now)):
        raise TuningError(
            f"{run.out} is finished, with other settings: {'; '.join(changed)}; give --out another folder, or the same"
            " settings"
        )


def run_stage(
    run: StageRun, stream: SampleStream, held: SampleStream | None = None, *, resume: bool = False
) -> Path | None:
    """Tune one stage on a stream of samples and write its checkpoint to run.out, which is returned.

    held: samples of the people that run.validation holds out, if any. None where a person interrupted it; it can be
    resumed. On several processes, every one of them calls this.

    Raises:
        TuningError, app.model.checkpoint.ModelError: what is wrong, and what to do.
    """
    check_place(run, resume=resume)
    quiet()
    state = PartialState(cpu=run.hardware.device == "cpu")
    if state.is_main_process:
        run.work.mkdir(parents=True, exist_ok=True)
        write_json(run.work / SETTINGS, run.settings())
    state.wait_for_everyone()
    try:
        return _tuned(run, stream, held, state)
    except TuningError as error:
        # From a process that prepares samples it comes with that process's traceback before it.
        raise TuningError(
            str(error).strip().splitlines()[-1].partition("TuningError: ")[2] or str(error)
        ) from error
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise TuningError(
                out_of_memory(
                    run.stage.tokens_per_batch,
                    lora=run.origin.lora is not None,
                    four_bit=run.origin.four_bit,
                    checkpointing=run.hardware.checkpointing,
                    device=run.hardware.device,
                )
            ) from error
        raise


def _tuned(
    run: StageRun, stream: SampleStream, held: SampleStream | None, state: PartialState
) -> Path | None:
    stage, hardware = run.stage, run.hardware
    lora = run.origin.lora is not None
    dtype = _precision(hardware, lora)
    # One process at a time would write work/start; the others then find it.
    with state.main_process_first():
        loaded = load_start(stage, run.origin, run.work, dtype=dtype, seed=run.seed, device=str(state.device))
    set_attention(loaded.model, hardware.attention)
    batch_attention(loaded.model)
    lists = None
    if stage.packed_share:
        if state.num_processes > 1:
            raise TuningError(
                "packed lists are learnt on one process; leave --packed out, or run on one device"
            )
        lists = RecordLists.of(
            stream, loaded.processor, run.rule, seed=run.seed, tokens=stage.tokens_per_batch
        )
    steps = _steps(run, stream, loaded, state, lists=lists, packed_share=stage.packed_share)
    watched = _held_out(run, held, loaded, state) if held is not None else None
    best_in = watched.metric if watched and run.validation.keep == "best" else None
    optimizer = chosen_optimizer(hardware.optimizer, str(state.device.type))
    progress = RunProgress(run.work, f"stage {stage.number}", hardware.minutes_per_checkpoint)
    checkpoint = last_checkpoint(run.work)
    trainer = StageTrainer(
        model=loaded.model,
        args=arguments(
            stage,
            run.work,
            lora=lora,
            seed=run.seed,
            device=hardware.device,
            optimizer=optimizer,
            checkpointing=hardware.checkpointing,
            workers=hardware.workers,
            log_every=hardware.log_every,
            report_to=hardware.report_to,
            evaluate_every=run.validation.every if watched else 0,
            best_in=best_in,
        ),
        steps=steps,
        seed=run.seed,
        resume=checkpoint,
        held=watched,
        rates=stage.part_rates,
        callbacks=[progress],
    )
    trainer.remove_callback(PrinterCallback)
    progress.trainer = trainer
    parts = counts(loaded.model)
    if state.is_main_process:
        counted = ", ".join(f"{name} {count / 1e6:,.1f} M" for name, count in parts.items() if count)
        print(f"stage {stage.number}, {stage.title}: {counted} parameters; {len(steps):,} steps", flush=True)
        print(f"pictures: {run.rule}", flush=True)
        print(run.validation.told(watched), flush=True)
        if checkpoint is not None:
            print(f"going on after step {trainer.first_step:,} of {checkpoint}", flush=True)
    with _interruptible(progress):
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if trainer.state.global_step < len(steps):
        if state.is_main_process:
            print(f"stopped after step {trainer.state.global_step:,}; go on with --resume", flush=True)
        return None
    done = Finished(
        run.stage,
        run.origin,
        run.data,
        run.seed,
        run.rule,
        run.max_pixels,
        hardware.attention,
        run.validation,
        parameters=parts,
        optimizer=optimizer,
        dtype=("NF4, the rest " if run.origin.four_bit else "") + str(dtype).removeprefix("torch."),
        seconds=progress.seconds,
        processes=state.num_processes,
    )
    export(trainer, loaded, done, run.work, run.out)
    return run.out


def _steps(run: StageRun, stream: SampleStream, loaded: Loaded, state: PartialState, **more: Any) -> Steps:
    return Steps(
        stream,
        Collator(loaded.processor, run.rule, run.stage.tokens_per_batch),
        samples_per_step=run.stage.samples_per_step,
        tokens_per_batch=run.stage.tokens_per_batch,
        part=state.process_index,
        parts=state.num_processes,
        average=run.stage.average,
        **more,
    )


def _held_out(run: StageRun, stream: SampleStream, loaded: Loaded, state: PartialState) -> HeldOut:
    count = 0 if weights_are_shared_out() else list_count(run.stage, run.validation.samples)
    lists = None
    if count:
        try:
            lists = RecordLists.of(stream, loaded.processor, run.rule, seed=run.seed, tokens=LIST_TOKENS)
            for number in range(count):  # now, not after hours
                lists.draw(number)
        except TuningError as problem:
            remark(f"the people held out give no lists, so that their loss alone is told: {problem}")
            lists = None
    return HeldOut(_steps(run, stream, loaded, state), lists, count if lists else 0)


def _precision(hardware: Hardware, lora: bool) -> torch.dtype:
    """Of the weights that are loaded. An adapter's own are always float32."""
    if hardware.device == "cpu":
        return torch.bfloat16 if hardware.weights == "bfloat16" else torch.float32
    if not lora and hardware.weights == "float32":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def clear(run: StageRun) -> None:
    """What a finished run leaves behind."""
    if is_done(run.out):
        shutil.rmtree(run.work, ignore_errors=True)


@contextmanager
def _interruptible(progress: RunProgress) -> Iterator[None]:
    """The first Ctrl-C ends the run after its step, saved; the second at once."""

    def on_interrupt(*_: Any) -> None:
        progress.stop = True
        signal.signal(signal.SIGINT, before)

    try:
        before = signal.signal(signal.SIGINT, on_interrupt)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _plain(value: Any) -> Any:
    """As JSON gives it back: lists for tuples."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _differences(before: Any, now: Any, name: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(set(before) | set(now))
        return [d for k in keys for d in _differences(before.get(k), now.get(k), f"{name}.{k}".lstrip("."))]
    return [] if before == now else [f"{name} was {before}, now {now}"]
