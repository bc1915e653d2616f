"""How the weights move: transformers' arguments for a stage, and which AdamW."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from gallery_store.console import remark
from training.stages import Stage
from training.tuning.failures import TuningError

NAMES = {"adamw": "adamw_torch", "adamw-8bit": "adamw_bnb_8bit"}
LINES = 50  # of progress in a run
BOARD = "tensorboard"  # folder of a run


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
) -> TrainingArguments:
    """transformers' arguments: bf16 arithmetic where the device has it, in float32 on a CPU."""
    cuda = device.startswith("cuda")
    bf16 = cuda and torch.cuda.is_bf16_supported()
    board = importlib.util.find_spec(BOARD) is not None
    if board:
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(work / BOARD)
    options: dict[str, Any] = {
        "output_dir": str(work),
        "max_steps": stage.steps,
        "per_device_train_batch_size": 1,
        "learning_rate": stage.lora_rate if lora else stage.learning_rate,
        "lr_scheduler_type": stage.schedule,
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
        "report_to": [BOARD] if board else [],
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "ignore_data_skip": True,  # the steps begin where the checkpoint ends
        "ddp_find_unused_parameters": False,
        "accelerator_config": {"even_batches": False},
    }
    if checkpointing:
        options |= {
            "activation_checkpointing": True,
            "activation_checkpointing_kwargs": {"use_reentrant": False},
        }
    return TrainingArguments(**options)
