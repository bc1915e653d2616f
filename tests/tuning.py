"""What the trainer's tests share: a small stream of samples, and runs of a toy checkpoint."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.tiny_qwen import build_tiny, tiny_folder
from training.__main__ import main
from training.datasets.load import load_many
from training.datasets.training_records import TrainingRecords, training_records
from training.instructions.stage_samples import Samples
from training.stages import STAGES

DATA = "synthetic:families=6,held_out=1,views=2,infrared_share=0.3"
PIXELS = 112 * 56  # 8 tokens a picture
SMALL = [
    *("--data", DATA, "--device", "cpu", "--max-pixels", str(PIXELS), "--tokens-per-batch", "1024"),
    *("--samples-per-step", "4", "--log-every", "1"),
]


@cache
def records() -> TrainingRecords:
    """A few drawn people."""
    return training_records(load_many([DATA]))


@cache
def samples(stage: int, count: int = 40, seed: int = 0) -> Samples:
    return Samples(replace(STAGES[stage].mixture, samples=count), records(), seed)


def train(out: Path, *options: str, base: Path | None = None) -> int:
    """`python -m training train` in this process, small; returns its exit code."""
    return main(["train", "--out", str(out), "--base", str(base or tiny_folder()), *SMALL, *options])


def other_base(folder: Path) -> Path:
    """Another toy checkpoint of the same sizes."""
    return build_tiny(folder, seed=5)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """Every tensor of a checkpoint's folder, by its own name there."""
    files = sorted(folder.glob("*.safetensors"))
    assert files, f"{folder} has no weights"
    return {key: value for file in files for key, value in load_file(file).items()}


def parts(tensors: dict[str, torch.Tensor]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(encoder, decoder) of a state by names."""
    encoder = {key: value for key, value in tensors.items() if "visual" in key.split(".")}
    assert encoder
    return encoder, {key: value for key, value in tensors.items() if key not in encoder}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """Names whose tensors differ; both have the same names."""
    assert set(before) == set(after)
    return {name for name, value in before.items() if not torch.equal(value, after[name])}
