"""From a tuned checkpoint to what `python app.py --model DIR` opens: lighter weights, adapters merged if asked."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.loading import find_checkpoint
from training.tuning.card import model_card
from training.tuning.errors import TuningError
from training.tuning.export import linked
from training.tuning.files import sync_tree, write_text
from training.tuning.start import START, load_full, load_processor

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
BESIDE = ("log.jsonl", "losses.png")


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
    found = find_checkpoint(source)
    manifest = CheckpointManifest.read(source)
    if manifest is None:
        raise TuningError(f"{source} has no chatreid.json; publish what `python -m training train` made")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TuningError(f"{out} is not empty; give --out another folder")
    manifest = replace(manifest, name=name or out.name)
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        adapter = found.adapter is not None and not merge
        if adapter:
            _adapter(source, partial, DTYPES[dtype])
        else:
            # Merged in full precision, rounded once.
            model = load_full(str(source), torch.float32)
            model.to(DTYPES[dtype]).save_pretrained(partial)
        load_processor(str(source)).save_pretrained(partial)
        for file in BESIDE:
            if (source / file).is_file():
                shutil.copy2(source / file, partial / file)
        write_text(model_card(manifest, adapter=adapter), partial / "README.md")
        manifest.write(partial)
        sync_tree(partial)
        if out.is_dir():
            out.rmdir()
        partial.replace(out)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    find_checkpoint(out)
    return out


def _adapter(source: Path, target: Path, dtype: torch.dtype) -> None:
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
    write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", target / "adapter_config.json")
