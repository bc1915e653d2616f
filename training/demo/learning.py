"""The one loop in which the demo models learn: counted steps, so that one seed gives one model on any machine.

Where torch.distributed has been set up, each process takes a step of its own and the gradients are averaged:
two processes of one thread each are faster than one of two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from training.demo.progress import Log, atomic_save, learning_rate

KEEP = 500  # steps between two checkpoints
TELL = 50  # steps between two lines of the log

Take = Callable[[int, float], tuple[Tensor, Mapping[str, Tensor]]]


def rank() -> int:
    """This process's number, from 0; what it draws should depend on it."""
    return dist.get_rank() if dist.is_initialized() else 0


def learn(
    take: Take,
    modules: Mapping[str, nn.Module],
    optimizers: Sequence[Optimizer],
    *,
    steps: int,
    state: Path,
    log: Log,
    stage: str,
    warmup: int = 200,
    kept: Callable[[], None] | None = None,
) -> None:
    """Takes steps 0..steps-1, resuming from `state`.

    Args:
        take: (step, share done 0..1) -> the loss, and figures for the log by name (means are logged).
        modules: what is taught, by the name under which `state` keeps it.
        optimizers: their groups carry "peak", the highest learning rate.
        kept: called after each checkpoint.
    """
    step = 0
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        for name, module in modules.items():
            module.load_state_dict(saved[name])
        for optimizer, own in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(own)
        step = saved["step"]
    learnt = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
    told: dict[str, list[float]] = {}

    def keep() -> None:
        if rank():
            return
        parts = {name: module.state_dict() for name, module in modules.items()}
        atomic_save({**parts, "optimizers": [o.state_dict() for o in optimizers], "step": step}, state)
        if kept is not None:
            kept()

    while step < steps:
        done = step / steps
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(group["peak"], step, done, warmup)
            optimizer.zero_grad(set_to_none=True)
        loss, figures = take(step, done)
        loss.backward()
        _average(learnt)
        nn.utils.clip_grad_norm_(learnt, 1.0)
        for optimizer in optimizers:
            optimizer.step()
        for name, value in figures.items():
            told.setdefault(name, []).append(float(value.detach()))
        step += 1
        if step % TELL == 0 or step == steps:
            means = {name: float(np.mean(values)) for name, values in told.items()}
            if not rank():
                log.write(stage=stage, step=step, done=step / steps, **means)
            told.clear()
        if step % KEEP == 0 or step == steps:
            keep()


def _average(learnt: Sequence[nn.Parameter]) -> None:
    """Each gradient becomes its mean over the processes; one that did not come counts as zero."""
    if not dist.is_initialized():
        return
    flat = torch.cat([torch.zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in learnt])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for parameter, part in zip(learnt, flat.split([p.numel() for p in learnt]), strict=True):
        parameter.grad = part.view_as(parameter)
