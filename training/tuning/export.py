"""A tuned model becomes a checkpoint: weights, processor, manifest, model card, curves; renamed into place whole."""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from app.model.checkpoint import CheckpointManifest
from app.model.loading import find_checkpoint
from app.model.pictures import RUN_TIME, ImageRule
from training.stages import Stage
from training.tuning.card import model_card
from training.tuning.files import read_rows, sync_tree, write_text
from training.tuning.optimizer import BOARD
from training.tuning.packed_lists import list_rule
from training.tuning.progress import CURVES, LOG, peak_memory_gb
from training.tuning.start import START, Loaded, Origin, base_name
from training.tuning.trainer import StageTrainer

FINAL = "final"
DRAWN_ONLY = "Knows drawn people only."
LAST_LOSSES = 5  # log rows that a final loss is the mean of


@dataclass(frozen=True)
class Finished:
    """What really happened. parameters: as training.tuning.parts.counts; dtype: of the weights; seconds: spent on
    the stage, over all resumptions; processes: devices that shared the work."""

    stage: Stage
    origin: Origin
    data: tuple[str, ...]
    seed: int
    max_pixels: int | None
    parameters: Mapping[str, int]
    optimizer: str
    dtype: str
    seconds: float
    processes: int


def export(trainer: StageTrainer, loaded: Loaded, done: Finished, work: Path, out: Path) -> None:
    """Write the checkpoint to `out`, which is complete or absent; on several processes all call this."""
    model: Any = trainer.accelerator.unwrap_model(trainer.model)
    state = None
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        state = trainer.accelerator.get_state_dict(trainer.model)  # whole, on the first process
        if state and model.config.tie_word_embeddings:
            state.pop("lm_head.weight", None)  # the word embeddings, once more
    if trainer.args.should_save:
        partial = work / FINAL
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        if done.origin.lora is None:
            model.save_pretrained(partial, state_dict=state)
        else:
            _save_adapter(model, loaded.base, state, work, partial)
        loaded.processor.save_pretrained(partial)
        _describe(trainer, done, work, partial, out.name)
        sync_tree(partial)
        if out.is_dir():
            out.rmdir()  # it is empty: training.tuning.run has looked
        partial.replace(out)
    trainer.accelerator.wait_for_everyone()


def _save_adapter(model: Any, base: str, state: Any, work: Path, partial: Path) -> None:
    model.save_pretrained(partial, state_dict=state, save_embedding_layers=False)
    name = base
    full = Path(base)
    if full.name == START and full.is_dir():
        # Weights that exist nowhere else travel with the adapter; linked where the disk allows it.
        shutil.copytree(full, partial / START, copy_function=linked)
        name = START
    elif full.is_dir():
        name = str(full.resolve())
    file = partial / "adapter_config.json"
    config = json.loads(file.read_text("utf-8"))
    write_text(json.dumps({**config, "base_model_name_or_path": name}, indent=2, sort_keys=True) + "\n", file)


def linked(source: str, target: str) -> None:
    """A hard link, or a copy where the disk has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _describe(trainer: StageTrainer, done: Finished, work: Path, partial: Path, name: str) -> None:
    """The manifest, the card, and copies of the log and the curves."""
    before = None
    if done.origin.before is not None:
        folder = find_checkpoint(done.origin.before).folder
        before = CheckpointManifest.read(folder) if folder else None
    rows = read_rows(work / LOG)
    entry = stage_entry(trainer, done, rows)
    stages = (*(before.stages if before else ()), entry)
    sets = sorted({s for stage in stages for s in stage.get("data", ())})
    manifest = CheckpointManifest(
        name=name,
        base_model=base_name(done.origin),
        stages=stages,
        image_rule=run_time_rule(done.max_pixels),
        data={"sets": sets, "seeds": [stage.get("seed") for stage in stages]},
        knows=DRAWN_ONLY if all(s.startswith("synthetic") for s in sets) else "",
    )
    write_text(model_card(manifest, adapter=done.origin.lora is not None), partial / "README.md")
    for file in (LOG, CURVES):
        if (work / file).is_file():
            shutil.copy2(work / file, partial / file)
    if (work / BOARD).is_dir():
        shutil.copytree(work / BOARD, partial / BOARD)
    manifest.write(partial)


def stage_entry(trainer: StageTrainer, done: Finished, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the manifest says of a stage: its recipe, and what really happened."""
    seen = trainer.seen
    stage = replace(done.stage)
    return {
        "name": stage.name,
        "title": stage.title,
        "recipe": stage.to_json(),
        "tuning": "full" if done.origin.lora is None else "QLoRA" if done.origin.four_bit else "LoRA",
        "lora_rank": done.origin.lora,
        "parameters": dict(done.parameters),
        "optimizer": done.optimizer,
        "weights": done.dtype,
        "data": list(done.data),
        "seed": done.seed,
        "max_pixels": done.max_pixels,
        "steps": trainer.state.global_step,
        "samples": dict(sorted(seen.samples.items())),
        "tokens": seen.tokens,
        "answer_tokens": seen.answer_tokens,
        "pictures": seen.pictures,
        "pairs_in_lists": seen.pairs,
        "unreadable": seen.unreadable,
        "minutes": round(done.seconds / 60, 3),
        "losses": _final_losses(rows),
        "peak_memory_gb": round(peak_memory_gb(), 3),
        "device": device_name(),
        "processes": done.processes,
        "sharing": str(trainer.accelerator.distributed_type.value),
    }


def run_time_rule(max_pixels: int | None) -> ImageRule:
    """The rule by which the app shows crops to this checkpoint: its usual one, or within max_pixels."""
    return RUN_TIME if max_pixels is None else list_rule(max_pixels)


def device_name() -> str:
    """The GPU's name, or the processor's."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return platform.processor() or platform.machine()


def _final_losses(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Mean of the last few log rows, by task."""
    last: dict[str, list[float]] = {}
    for row in reversed(rows):
        for task, loss in {"all": row["loss"], **row.get("losses", {})}.items():
            values = last.setdefault(task, [])
            if len(values) < LAST_LOSSES and loss is not None and math.isfinite(loss):
                values.append(loss)
    return {task: round(sum(values) / len(values), 4) for task, values in sorted(last.items()) if values}
