"""A tuned model becomes a checkpoint, and a checkpoint what the app opens: weights, processor, manifest, model card.

Folders are complete or absent.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from app.model.checkpoint import DRAWN_ONLY, CheckpointManifest, ModelError
from app.model.digests import START, check_weight_files, weight_files
from app.model.loading import find_checkpoint, load_weights
from app.model.pictures import ImageRule
from gallery_store.files import replacing_folder, write_file
from training.calibration.card import calibration_note
from training.stages import Stage
from training.tuning.failures import TuningError
from training.tuning.optimizer import BOARD
from training.tuning.origin import Loaded, Origin, base_name, load_processor
from training.tuning.progress import CURVES, LOG, duration_text, peak_memory_gb, read_rows
from training.tuning.trainer import StageTrainer
from training.tuning.validation import Validation

LAST_LOSSES = 5  # log rows that a final loss is the mean of
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Finished:
    """What really happened. rule: by which pictures were taken, and max_pixels, the bound that was asked for, in it;
    attention: as transformers names it; validation: how the run was watched; parameters: as
    training.tuning.origin.counts; dtype: of the weights; seconds: spent on the stage, over all resumptions;
    processes: devices that shared the work."""

    stage: Stage
    origin: Origin
    data: tuple[str, ...]
    seed: int
    rule: ImageRule
    max_pixels: int | None
    attention: str
    validation: Validation
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
        if out.is_dir():
            out.rmdir()  # it is empty: training.tuning.stage_run has looked
        with replacing_folder(out) as partial:
            if done.origin.lora is None:
                model.save_pretrained(partial, state_dict=state)
            else:
                _save_adapter(model, loaded.base, state, partial)
            loaded.processor.save_pretrained(partial)
            _describe(trainer, done, work, partial, out.name)
    trainer.accelerator.wait_for_everyone()


def _save_adapter(model: Any, base: str, state: Any, partial: Path) -> None:
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
    _write_config({**json.loads(file.read_text("utf-8")), "base_model_name_or_path": name}, file)


def _write_config(config: Mapping[str, Any], file: Path) -> None:
    write_file(file, json.dumps(config, indent=2, sort_keys=True) + "\n")


def linked(source: str, target: str) -> None:
    """A hard link, or a copy where the disk has none."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _describe(trainer: StageTrainer, done: Finished, work: Path, partial: Path, name: str) -> None:
    """The manifest, the card, and copies of the log and the curves."""
    before, base = _manifest_of(done.origin.before), _manifest_of(done.origin.base)
    rows = read_rows(work / LOG)
    entry = stage_entry(trainer, done, rows)
    stages = (*(before.stages if before else ()), entry)
    sets = sorted({s for stage in stages for s in stage.get("data", ())})
    drawn = all(s.startswith("synthetic") for s in sets)
    manifest = CheckpointManifest(
        name=name,
        base_model=base_name(done.origin),
        stages=stages,
        vocabulary_version=done.stage.mixture.vocabulary,
        image_rule=done.rule,
        data={"sets": sets, "seeds": [stage.get("seed") for stage in stages]},
        knows=DRAWN_ONLY if drawn else "",
        # Drawn people are told of in the vocabulary's words alone: they teach no others.
        reads_free_words=not drawn or all(start.reads_free_words for start in (before, base) if start),
        talks_freely=all(start.talks_freely for start in (before, base) if start),  # none learns it by tuning
        weights=weight_files(partial),
    )
    write_file(partial / "README.md", model_card(manifest, adapter=done.origin.lora is not None))
    for file in (LOG, CURVES):
        if (work / file).is_file():
            shutil.copy2(work / file, partial / file)
    if (work / BOARD).is_dir():
        shutil.copytree(work / BOARD, partial / BOARD)
    manifest.write(partial)


def _manifest_of(checkpoint: str | None) -> CheckpointManifest | None:
    folder = find_checkpoint(checkpoint).folder if checkpoint is not None else None
    return CheckpointManifest.read(folder) if folder else None


def stage_entry(trainer: StageTrainer, done: Finished, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the manifest says of a stage: its recipe, and what really happened."""
    stage, stats = done.stage, trainer.stats
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
        "attention": done.attention,
        "training_pictures": trainer.pictures,
        "validation": _validated(trainer, done.validation, rows),
        "steps": trainer.state.global_step,
        "samples": dict(sorted(stats.samples.items())),
        "tokens": stats.tokens,
        "answer_tokens": stats.answer_tokens,
        "pictures": stats.pictures,
        "pairs_in_lists": stats.pairs,
        "unreadable": stats.unreadable,
        "minutes": round(done.seconds / 60, 3),
        "losses": _final_losses(rows),
        "peak_memory_gb": round(peak_memory_gb(), 3),
        "device": device_name(),
        "processes": done.processes,
        "sharing": str(trainer.accelerator.distributed_type.value),
    }


def _validated(
    trainer: StageTrainer, validation: Validation, rows: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """How the run was watched, and what the checkpoint that was kept is worth; None where nobody was held out."""
    if not validation.people:
        return None
    kept = trainer.state.global_step
    if validation.keep == "best" and trainer.state.best_global_step:
        kept = trainer.state.best_global_step
    found = [row for row in rows if "validation" in row and row["step"] == kept]
    return {**asdict(validation), "kept_step": kept, **(found[-1]["validation"] if found else {})}


def device_name() -> str:
    """The GPU's name, or the processor's."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return platform.processor() or platform.machine()


def _final_losses(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Mean of the last few log rows, by task."""
    last: dict[str, list[float]] = {}
    for row in reversed(rows):
        if "loss" not in row:
            continue
        for task, loss in {"all": row["loss"], **row.get("losses", {})}.items():
            values = last.setdefault(task, [])
            if len(values) < LAST_LOSSES and loss is not None and math.isfinite(loss):
                values.append(loss)
    return {task: round(sum(values) / len(values), 4) for task, values in sorted(last.items()) if values}


def publish(source: Path, out: Path, *, dtype: str = "bfloat16", merge: bool = False, name: str = "") -> Path:
    """Write a checkpoint that the app opens, to a folder that is complete or absent.

    Args:
        source: a checkpoint that `python -m training train` made. out: does not exist yet, or is empty.
        dtype: of the weights, of DTYPES. merge: whole weights instead of an adapter and its base.
        name: what the screen calls it; the folder's name where left out.

    Raises:
        ModelError, TuningError: what is wrong, and what to do.
    """
    if dtype not in DTYPES:
        raise TuningError(f"there is no dtype {dtype!r}; there are {', '.join(DTYPES)}")
    checkpoint = find_checkpoint(source)
    manifest = CheckpointManifest.read(source)
    if manifest is None:
        raise TuningError(f"{source} has no chatreid.json; publish what `python -m training train` made")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TuningError(f"{out} is not empty; give --out another folder")
    manifest = replace(manifest, name=name or out.name)
    with replacing_folder(out) as partial:
        adapter = checkpoint.adapter is not None and not merge
        if adapter:
            check_weight_files(source)
            if Path(checkpoint.base).is_dir():
                load_weights(checkpoint, DTYPES[dtype])  # refuses what the app would refuse
            _publish_adapter(source, partial, DTYPES[dtype])
        else:
            # Merged in full precision, rounded once.
            model = load_weights(source, torch.float32)
            model.to(DTYPES[dtype]).save_pretrained(partial)
        load_processor(str(source)).save_pretrained(partial)
        for file in (LOG, CURVES):
            if (source / file).is_file():
                shutil.copy2(source / file, partial / file)
        write_file(partial / "README.md", model_card(manifest, adapter=adapter))
        replace(manifest, weights=weight_files(partial)).write(partial)
    find_checkpoint(out)
    return out


def _publish_adapter(source: Path, target: Path, dtype: torch.dtype) -> None:
    """The adapter in another precision, beside its base where that exists nowhere else."""
    from safetensors.torch import load_file, save_file

    config: dict[str, Any] = json.loads((source / "adapter_config.json").read_text("utf-8"))
    base = config["base_model_name_or_path"]
    if base == START:
        shutil.copytree(source / START, target / START, copy_function=linked)
    elif not Path(base).is_absolute() and (source / base).is_dir():
        raise ModelError(f"{source} stands on {base} beside it; publish it with --merge")
    weights = load_file(source / "adapter_model.safetensors")
    save_file(
        {key: value.to(dtype).contiguous() for key, value in weights.items()},
        target / "adapter_model.safetensors",
        metadata={"format": "pt"},
    )
    _write_config(config, target / "adapter_config.json")


def model_card(manifest: CheckpointManifest, *, adapter: bool) -> str:
    """README.md of a checkpoint, with the hub's header. adapter: weights are LoRA's, not whole."""
    base = manifest.base_model
    header = ["---", "library_name: " + ("peft" if adapter else "transformers")]
    if base.count("/") == 1 and not base.startswith((".", "/")):
        header.append(f"base_model: {base}")
    header += [
        "pipeline_tag: image-text-to-text",
        "tags:",
        "- person-re-identification",
        "- chatreid",
        "---",
        "",
    ]
    lines = [
        f"# {manifest.name}",
        "",
        f"A Qwen2-VL that says whether two pictures, or a picture and a description, are of one person. Tuned by"
        f" ChatReID from `{base}`"
        + (", as a LoRA adapter." if adapter else ".")
        + (f" Knows {manifest.knows}." if manifest.knows else ""),
        "",
        "Open it with `python app.py --model DIR`. What it says is a candidate with a confidence, never an identity.",
        "",
        f"It is shown pictures as its last stage was: {manifest.image_rule}.",
        "",
        calibration_note(manifest),
        "",
    ]
    for stage in manifest.stages:
        lines += _stage_table(stage)
    lines += ["`losses.png` shows the last stage's losses; `chatreid.json` has all of this as data.", ""]
    return "\n".join(header + lines)


def _stage_table(stage: Mapping[str, Any]) -> list[str]:
    if "tuning" not in stage:  # of another recipe, such as the demo models'
        return [f"## {stage.get('name', 'A stage')}", "", "Not made by `python -m training train`.", ""]
    recipe, samples = stage["recipe"], stage["samples"]
    parts = stage["parameters"]
    trained = [f"{part} {parts[f'{part} trained'] / 1e6:,.2f} M" for part in _parts(parts, "trained")]
    frozen = [f"{part} {parts[f'{part} frozen'] / 1e6:,.2f} M" for part in _parts(parts, "frozen")]
    rate = recipe["lora_rate" if stage["lora_rank"] else "learning_rate"]
    decoder = "fresh from the base" if recipe["decoder"] == "fresh" else "carried over"
    tuning = stage["tuning"] + (f" of rank {stage['lora_rank']}" if stage["lora_rank"] else "")
    rows = [
        ("tuning", f"{tuning}, weights in {stage['weights']}, {stage['optimizer']}"),
        ("trained", f"{', '.join(trained)} parameters"),
        ("frozen", f"{', '.join(frozen)} parameters" if frozen else "nothing"),
        ("decoder at the start", decoder),
        ("data", f"{', '.join(stage['data'])} (training splits), seed {stage['seed']}"),
        ("samples seen", f"{sum(samples.values()):,} in {stage['steps']:,} steps"),
        ("tokens seen", f"{stage['tokens']:,}, of them {stage['answer_tokens']:,} with a loss"),
        ("pictures seen", f"{stage['pictures']:,}; {stage['unreadable']:,} samples left out as unreadable"),
        ("learning rate", _rates(recipe, rate)),
        (
            "time",
            f"{duration_text(60 * stage['minutes'])} on {stage['processes']} x {stage['device']}{_shared(stage)}",
        ),
        ("peak memory", f"{stage['peak_memory_gb']:.1f} GB"),
    ]
    if attention := stage.get("attention"):
        rows.append(("attention", attention))
    if recipe["number"] > 1:
        rows.append(("galleries", "{} to {} pictures".format(*recipe["mixture"]["gallery"])))
    if stage.get("training_pictures"):
        passes = recipe["mixture"]["samples"] / stage["training_pictures"]
        rows.append(("length", f"{passes:,.2f} samples to each of {stage['training_pictures']:,} pictures"))
    watched = stage.get("validation")
    if "training_pictures" in stage:
        rows.append(("held out", _watched(watched)))
    if stage["pairs_in_lists"]:
        rows.append(("packed lists", f"{stage['pairs_in_lists']:,} pairs"))
    lines = [f"## Stage {recipe['number']}: {stage['title']}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows]
    losses = stage["losses"]
    apart = {"all": watched["loss"], **watched["losses"]} if watched and "loss" in watched else {}
    lines += [
        "",
        f"| task | samples | loss at the end |{' loss held out |' if apart else ''}",
        "|---" * (4 if apart else 3) + "|",
    ]
    counted = {**samples, "all": sum(samples.values())}
    for task in [*sorted({*samples, *losses} - {"all"}), *({"all"} & {*losses})]:
        row = f"| {task} | {counted.get(task, 0):,} | {_loss(losses, task)} |"
        lines.append(row + (f" {_loss(apart, task)} |" if apart else ""))
    return [*lines, ""]


def _loss(losses: Mapping[str, float], task: str) -> str:
    return f"{losses[task]:.4f}" if task in losses else ""


def _rates(recipe: Mapping[str, Any], rate: float) -> str:
    parts = [
        f"{part} {recipe[f'{part}_rate']:g}" for part in ("vision", "merger") if recipe.get(f"{part}_rate")
    ]
    words = [f"{rate:g}", *parts, recipe["schedule"], f"{recipe['warmup']:.1%} warm-up"]
    return ", ".join([*words, f"{recipe['samples_per_step']} samples a step"])


def _watched(watched: Mapping[str, Any] | None) -> str:
    if watched is None:
        return "nobody"
    figures = (
        "" if "mAP" not in watched else f"; mAP {watched['mAP']:.3f}, rank-1 {watched['rank1']:.3f} on lists"
    )
    return (
        f"{watched['people']} people, {watched['samples']} samples every {watched['every']:,} steps; {watched['keep']}"
        f" checkpoint kept, of step {watched['kept_step']:,}{figures}"
    )


def _shared(stage: Mapping[str, Any]) -> str:
    return f" ({stage['sharing']})" if stage["processes"] > 1 else ""


def _parts(parts: Mapping[str, int], state: str) -> list[str]:
    return [part for part in ("encoder", "decoder") if parts.get(f"{part} {state}")]
