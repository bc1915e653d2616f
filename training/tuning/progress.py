"""What a run shows and keeps: a line of progress, log.jsonl, curves, and a checkpoint every so many minutes."""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from gallery_store.files import write_file
from training.tuning.curves import draw_curves
from training.tuning.trainer import StageTrainer

LOG = "log.jsonl"
CURVES = "losses.png"


class RunProgress(TrainerCallback):
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
        self._tokens = self.trainer.stats.tokens
        if args.process_index == 0:
            # What was logged after the checkpoint will be lived through again.
            rows = [row for row in read_rows(self.work / LOG) if row["step"] <= self._first]
            write_file(self.work / LOG, "".join(_line(row) for row in rows))
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
        stats, done = self.trainer.stats, state.global_step - self._first
        row = {
            "step": state.global_step,
            "steps": state.max_steps,
            "loss": logs["loss"],
            "losses": {k.removeprefix("loss/"): v for k, v in logs.items() if k.startswith("loss/")},
            "learning_rate": logs.get("learning_rate"),
            "gradient": logs.get("grad_norm"),
            "samples": sum(stats.samples.values()),
            "tokens": stats.tokens,
            "steps_per_second": done / spent,
            "tokens_per_second": (stats.tokens - self._tokens) / spent,
            "memory_gb": peak_memory_gb(),
            "seconds": self.seconds,
        }
        self._write(row)
        left = (state.max_steps - state.global_step) * spent / max(done, 1)
        print(
            f"{self.title}  step {state.global_step:,} of {state.max_steps:,}"
            f"  loss {logs['loss']:.3f}  {row['steps_per_second']:.2f} steps/s"
            f"  {row['tokens_per_second']:,.0f} tokens/s  {row['memory_gb']:.1f} GB  {duration_text(left)} left",
            flush=True,
        )

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        outcome = self.trainer.outcome
        if args.process_index or outcome is None:
            return
        row = {
            "step": state.global_step,
            "steps": state.max_steps,
            "validation": outcome.to_json(),
            "seconds": self.seconds,
        }
        self._write(row)
        print(f"{self.title}  step {state.global_step:,}  held out: {outcome}", flush=True)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        if args.process_index == 0:
            self._draw()

    def _write(self, row: dict[str, Any]) -> None:
        with (self.work / LOG).open("a", encoding="utf-8") as log:
            log.write(_line(row))

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


def duration_text(seconds: float) -> str:
    """A stretch of time for people.

    >>> duration_text(8), duration_text(3700), duration_text(200_000)
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
    first = torch.tensor([int(wish) for wish in wishes], device=args.device)
    torch.distributed.broadcast(first, 0)
    return bool(first[0]), bool(first[1])


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Rows of a JSON-lines file; a last line that a kill cut off is left out. No file: no rows.

    A row has `loss` and `losses` of what was learnt from since the row before, or `validation`, of people held out.
    """
    rows = []
    for line in file.read_text("utf-8").splitlines() if file.is_file() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def _line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
