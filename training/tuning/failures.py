"""The one error of a training run that its user can mend, and how running out of memory is told."""

from __future__ import annotations

import torch


class TuningError(ValueError):
    """A run that cannot start or go on; the message names the thing, says why, and what to do."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a device or the machine has no memory left."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    # What torch raises on a CPU, and cuBLAS or cuDNN when their workspace does not fit.
    text = str(error)
    return isinstance(error, RuntimeError) and any(
        sign in text
        for sign in (
            "out of memory",
            "can't allocate memory",
            "CUBLAS_STATUS_ALLOC_FAILED",
            "CUDNN_STATUS_ALLOC",
        )
    )


def out_of_memory(
    tokens_per_batch: int, *, lora: bool, four_bit: bool, checkpointing: bool, device: str
) -> str:
    """One sentence that says what to lower, in the order in which it costs least."""
    ways = [f"--tokens-per-batch below {tokens_per_batch}", "--max-pixels"]
    if not checkpointing:
        ways.insert(0, "leave --no-gradient-checkpointing out")
    if not lora:
        ways.append("or tune with --lora instead of all weights")
    elif not four_bit:
        ways.append("or add --four-bit")
    else:
        ways.append("or a lower rank for --lora")
    return (
        f"{device} is out of memory; lower {', '.join(ways)}; `python -m training memory` estimates what fits."
        " With fewer tokens a pass, --resume goes on from the last checkpoint"
    )
