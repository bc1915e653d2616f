"""The model card, written from what the manifest says really happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.model.checkpoint import CheckpointManifest
from training.tuning.progress import told_time


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
        + (f" {manifest.knows}" if manifest.knows else ""),
        "",
        "Open it with `python app.py --model DIR`. What it says is a candidate with a confidence, never an identity.",
        "",
        _calibrated(manifest),
        "",
    ]
    for stage in manifest.stages:
        lines += _stage(stage)
    lines += ["`losses.png` shows the last stage's losses; `chatreid.json` has all of this as data.", ""]
    return "\n".join(header + lines)


def _calibrated(manifest: CheckpointManifest) -> str:
    if manifest.calibrations:
        return f"Its confidences are calibrated for {', '.join(sorted(manifest.calibrations))}."
    return "Its confidences are **not calibrated** yet: the app serves it uncalibrated, and says so."


def _stage(stage: Mapping[str, Any]) -> list[str]:
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
        ("learning rate", f"{rate:g}, {recipe['schedule']}, {recipe['samples_per_step']} samples a step"),
        (
            "time",
            f"{told_time(60 * stage['minutes'])} on {stage['processes']} x {stage['device']}{_shared(stage)}",
        ),
        ("peak memory", f"{stage['peak_memory_gb']:.1f} GB"),
    ]
    if stage["pairs_in_lists"]:
        rows.append(("packed lists", f"{stage['pairs_in_lists']:,} pairs"))
    lines = [f"## Stage {recipe['number']}: {stage['title']}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in rows]
    losses = stage["losses"]
    lines += ["", "| task | samples | loss at the end |", "|---|---|---|"]
    for task in sorted({*samples, *losses} - {"all"}):
        loss = f"{losses[task]:.4f}" if task in losses else ""
        lines.append(f"| {task} | {samples.get(task, 0):,} | {loss} |")
    if "all" in losses:
        lines.append(f"| all | {sum(samples.values()):,} | {losses['all']:.4f} |")
    return [*lines, ""]


def _shared(stage: Mapping[str, Any]) -> str:
    return f" ({stage['sharing']})" if stage["processes"] > 1 else ""


def _parts(parts: Mapping[str, int], state: str) -> list[str]:
    return [part for part in ("encoder", "decoder") if parts.get(f"{part} {state}")]
