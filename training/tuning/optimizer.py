"""How the weights move: transformers' arguments for a stage, and which AdamW."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from gallery_store.console import remark
from training.stages import Stage
from training.tuning.failures import TuningError
from training.tuning.origin import PARTS, part_of

NAMES = {"adamw": "adamw_torch", "adamw-8bit": "adamw_bnb_8bit"}
LINES = 50  # of progress in a run
BOARD = "tensorboard"  # folder of a run
REPORTERS = (BOARD, "wandb", "none")
END_RATE = 0.1  # of the peak, where cosine_with_min_lr ends
DECAY = 0.1  # of the steps, the last ones, in which warmup_stable_decay falls


def chosen_optimizer(wanted: str, device: str) -> str:
    """transformers' name of the optimizer; 8-bit AdamW only where bitsandbytes has it, told in one sentence.

    Raises TuningError for an unknown name.
    """
    if wanted not in NAMES:
        raise TuningError(f"there is no optimizer {wanted!r}; there are {', '.join(NAMES)}")
    if wanted == "adamw-8bit" and (reason := _without_8bit(device)):
        remark(f"8-bit AdamW is left out, {reason}: AdamW in 32 bit is used")
        return NAMES["adamw"]
    return NAMES[wanted]


def set_rates(optimizer: Any, model: Any, rates: Mapping[str, float]) -> None:
    """Give parts of a model learning rates of their own, before the first step.

    rates: of "vision" and "merger" (training.tuning.origin.part_of); what is not named keeps the stage's. The
    decoder's groups come first, so that the rate that is logged is the stage's.
    """
    if not rates:
        return
    part = {id(parameter): part_of(name) for name, parameter in model.named_parameters()}
    groups: list[dict[str, Any]] = []
    for name in PARTS:
        for group in optimizer.param_groups:
            own = [parameter for parameter in group["params"] if part[id(parameter)] == name]
            if own:
                groups.append({**group, "params": own, "lr": rates.get(name, group["lr"])})
    optimizer.param_groups = groups


def _without_8bit(device: str) -> str:
    """Why there is no 8-bit AdamW on a device; "" where there is one."""
    if importlib.util.find_spec("bitsandbytes") is None:
        return "bitsandbytes is not installed"
    from bitsandbytes.backends import utils  # noqa: F401  (registers the devices' kernels)
    from bitsandbytes.optim import AdamW8bit

    try:
        weight = torch.nn.Parameter(torch.zeros(4096, device=device))
        weight.grad = torch.ones_like(weight)
        AdamW8bit([weight]).step()
        stepped = bool((weight != 0).all())
    except Exception as error:  # a missing kernel raises whatever its layer raises
        return f"bitsandbytes has no kernel of it for {device} ({type(error).__name__})"
    return "" if stepped else f"bitsandbytes does not step on {device}"


def arguments(
    stage: Stage,
    work: Path,
    *,
    lora: bool,
    seed: int,
    device: str,
    optimizer: str,
    checkpointing: bool,
    workers: int,
    log_every: int,
    report_to: Sequence[str] = (),
    evaluate_every: int = 0,
    best_in: str | None = None,
) -> TrainingArguments:
    """transformers' arguments: bf16 arithmetic where the device has it, in float32 on a CPU.

    evaluate_every: steps, 0 for never; best_in: the metric whose best checkpoint the stage ends with, or None for the
    last.
    """
    cuda = device.startswith("cuda")
    bf16 = cuda and torch.cuda.is_bf16_supported()
    if BOARD in report_to:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(work / BOARD)
    options: dict[str, Any] = {
        "output_dir": str(work),
        "max_steps": stage.steps,
        "per_device_train_batch_size": 1,
        "learning_rate": stage.lora_rate if lora else stage.learning_rate,
        "lr_scheduler_type": stage.schedule,
        "lr_scheduler_kwargs": _schedule_options(stage),
        "warmup_steps": round(stage.steps * stage.warmup),
        "weight_decay": stage.weight_decay,
        "max_grad_norm": 1.0,
        "optim": optimizer,
        "seed": seed,
        "data_seed": seed,
        "use_cpu": device == "cpu",
        "bf16": bf16,
        "fp16": cuda and not bf16,
        "dataloader_num_workers": workers,
        "save_strategy": "no",  # training.tuning.progress says when
        "logging_strategy": "steps",
        "logging_steps": log_every or max(1, min(50, stage.steps // LINES)),
        "logging_nan_inf_filter": False,
        "report_to": list(report_to),
        "run_name": work.stem,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "ignore_data_skip": True,  # the steps begin where the checkpoint ends
        "ddp_find_unused_parameters": False,
        "accelerator_config": {"even_batches": False},
    }
    if evaluate_every:
        # Each evaluation has its checkpoint, so that what is chosen does not hang on the clock.
        options |= {"eval_strategy": "steps", "eval_steps": evaluate_every}
        options |= {"save_strategy": "steps", "save_steps": evaluate_every}
        options |= {"load_best_model_at_end": best_in is not None, "metric_for_best_model": best_in}
    if checkpointing:
        options |= {
            "activation_checkpointing": True,
            "activation_checkpointing_kwargs": {"use_reentrant": False},
        }
    return TrainingArguments(**options)


def reporters(asked: Sequence[str] | None) -> tuple[str, ...]:
    """Where a run is reported to, as transformers names it. asked: of REPORTERS; None for TensorBoard where it is
    installed. Raises TuningError for an unknown name, or a package that is missing."""
    if asked is None:
        return (BOARD,) if importlib.util.find_spec(BOARD) is not None else ()
    if unknown := [name for name in asked if name not in REPORTERS]:
        raise TuningError(f"--report-to {' '.join(unknown)} is unknown; there are {', '.join(REPORTERS)}")
    wanted = tuple(name for name in asked if name != "none")
    if missing := [name for name in wanted if importlib.util.find_spec(name) is None]:
        raise TuningError(
            f"--report-to {' '.join(wanted)} needs a package that is not installed:"
            f" `pip install {' '.join(missing)}`, or --report-to none"
        )
    return wanted


def _schedule_options(stage: Stage) -> dict[str, Any]:
    """What transformers' schedules want to be told beside their names."""
    if stage.schedule == "cosine_with_min_lr":
        return {"min_lr_rate": END_RATE}
    if stage.schedule == "warmup_stable_decay":
        return {"num_decay_steps": max(1, round(stage.steps * DECAY))}
    return {}
