"""What a run shows and keeps: a line of progress, log.jsonl, curves, and a checkpoint every so many minutes."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from training.tuning.curves import draw_curves
from training.tuning.files import append_row, read_rows, write_text
from training.tuning.trainer import StageTrainer

LOG = "log.jsonl"
CURVES = "losses.png"


class Progress(TrainerCallback):
    """One per run. `trainer` is set once it exists. stop: set it, and the run ends after the step, saved.

    seconds: spent on the stage so far, over all resumptions.
    """

    trainer: StageTrainer

    def __init__(self, work: Path, title: str, minutes_per_checkpoint: float) -> None:
        self.work, self.title, self.every = work, title, 60 * minutes_per_checkpoint
        self.stop = False
        self._before = 0.0
        self._began = self._saved = time.monotonic()
        self._tokens = 0
        self._first = 0

    @property
    def seconds(self) -> float:
        return self._before + time.monotonic() - self._began

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        self._first = state.global_step
        self._tokens = self.trainer.seen.tokens
        if args.process_index == 0:
            # What was logged after the checkpoint will be lived through again.
            rows = [row for row in read_rows(self.work / LOG) if row["step"] <= self._first]
            write_text("".join(_line(row) for row in rows), self.work / LOG)
            self._before = float(rows[-1]["seconds"]) if rows else 0.0
        self._began = self._saved = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        due = time.monotonic() - self._saved >= self.every
        due, stop = _agreed(args, (due, self.stop))
        if stop and state.global_step < state.max_steps:
            control.should_training_stop = control.should_save = True
        # After the last step the whole model is written.
        if due and state.global_step < state.max_steps:
            control.should_save = True

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        self._saved = time.monotonic()
        if args.process_index == 0:
            self._draw()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Any = None,
        **more: Any,
    ) -> None:
        if args.process_index or not logs or "loss" not in logs:
            return
        spent = max(time.monotonic() - self._began, 1e-9)
        seen, done = self.trainer.seen, state.global_step - self._first
        row = {
            "step": state.global_step,
            "steps": state.max_steps,
            "loss": logs["loss"],
            "losses": {k.removeprefix("loss/"): v for k, v in logs.items() if k.startswith("loss/")},
            "learning_rate": logs.get("learning_rate"),
            "gradient": logs.get("grad_norm"),
            "samples": sum(seen.samples.values()),
            "tokens": seen.tokens,
            "steps_per_second": done / spent,
            "tokens_per_second": (seen.tokens - self._tokens) / spent,
            "memory_gb": peak_memory_gb(),
            "seconds": self.seconds,
        }
        append_row(row, self.work / LOG)
        left = (state.max_steps - state.global_step) * spent / max(done, 1)
        print(
            f"{self.title}  step {state.global_step:,} of {state.max_steps:,}"
            f"  loss {logs['loss']:.3f}  {row['steps_per_second']:.2f} steps/s"
            f"  {row['tokens_per_second']:,.0f} tokens/s  {row['memory_gb']:.1f} GB  {told_time(left)} left",
            flush=True,
        )

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        if args.process_index == 0:
            self._draw()

    def _draw(self) -> None:
        rows = read_rows(self.work / LOG)
        if rows:
            draw_curves(rows, self.work / CURVES, self.title)


def peak_memory_gb() -> float:
    """The most memory that this process has had: of the GPU where there is one, else of the machine."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e9
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def told_time(seconds: float) -> str:
    """A stretch of time for people.

    >>> told_time(8), told_time(3700), told_time(200_000)
    ('8 s', '1 h 01 min', '2 d 07 h')
    """
    seconds = int(seconds)
    if seconds < 60:
        return f"{seconds} s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if minutes < 60:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{days} d {hours % 24:02d} h"


def _agreed(args: TrainingArguments, wishes: tuple[bool, bool]) -> tuple[bool, bool]:
    """On several processes, what the first one wishes: all must save together."""
    if args.world_size == 1:
        return wishes
    told = torch.tensor([int(wish) for wish in wishes], device=args.device)
    torch.distributed.broadcast(told, 0)
    return bool(told[0]), bool(told[1])


def _line(row: dict[str, Any]) -> str:
    import json

    return json.dumps(row, ensure_ascii=False) + "\n"
