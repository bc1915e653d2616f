"""What long runs share: a log of figures, checkpoints that survive a kill, the learning rate's course."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import torch


class Log:
    """One JSON object a line in a file, and the same in short on the screen."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file

    def write(self, **figures: Any) -> None:
        row = {"at": time.strftime("%H:%M:%S"), **{k: _short(v) for k, v in figures.items()}}
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        print("  ".join(f"{k} {v}" for k, v in row.items()), flush=True)


def atomic_save(state: dict[str, Any], file: Path) -> None:
    """torch.save, so that a kill leaves the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(file)


def learning_rate(peak: float, step: int, done: float, warmup: int) -> float:
    """Linear warm-up over steps, then half a cosine over the share done (0..1) to a fiftieth of the peak."""
    rise = min(1.0, (step + 1) / warmup)
    return peak * rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
