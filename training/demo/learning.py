"""How the demo models learn: one loop of counted steps, so that one seed gives one model on any machine.

Where torch.distributed has been set up, each process takes a step of its own and the gradients are averaged:
two processes of one thread each are faster than one of two.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW, Optimizer

from gallery_store.files import replacing

KEEP = 500  # steps between two checkpoints
TELL = 50  # steps between two lines of the log
Take = Callable[[int, float], tuple[Tensor, Mapping[str, Tensor]]]


class LearningLog:
    """One JSON object a line in a file, and the same in short on the screen."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file

    def write(self, **figures: Any) -> None:
        row = {"at": time.strftime("%H:%M:%S"), **{k: _short(v) for k, v in figures.items()}}
        with self.file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(row) + "\n")
        print("  ".join(f"{k} {v}" for k, v in row.items()), flush=True)


def process_rank() -> int:
    """This process's number, from 0; what it draws should depend on it."""
    return dist.get_rank() if dist.is_initialized() else 0


def learn(
    take: Take,
    modules: Mapping[str, nn.Module],
    optimizers: Sequence[Optimizer],
    *,
    steps: int,
    state: Path,
    log: LearningLog,
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
        for optimizer, moments in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(moments)
        step = saved["step"]
    learnt = [p for module in modules.values() for p in module.parameters() if p.requires_grad]
    logged: dict[str, list[float]] = {}

    def keep() -> None:
        if process_rank():
            return
        parts = {name: module.state_dict() for name, module in modules.items()}
        with replacing(state) as partial:
            torch.save({**parts, "optimizers": [o.state_dict() for o in optimizers], "step": step}, partial)
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
            logged.setdefault(name, []).append(float(value.detach()))
        step += 1
        if step % TELL == 0 or step == steps:
            means = {name: float(np.mean(values)) for name, values in logged.items()}
            if not process_rank():
                log.write(stage=stage, step=step, done=step / steps, **means)
            logged.clear()
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


def exactly(like: Tensor) -> torch.autocast:
    """Products of this tensor's device are taken in float32, whatever autocast there is around."""
    return torch.autocast(like.device.type, enabled=False)


def learning_rate(peak: float, step: int, done: float, warmup: int) -> float:
    """Linear warm-up over steps, then half a cosine over the share done (0..1) to a fiftieth of the peak."""
    rise = min(1.0, (step + 1) / warmup)
    return peak * rise * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


_A, _B, _C = 3.4445, -4.775, 2.0315
MOMENTUM, ROUNDS = 0.95, 5


class Muon(Optimizer):
    """Muon (Jordan et al. 2024): momentum, with the update of each matrix made orthogonal.

    torch.optim.Muon takes its products in bfloat16, which many CPUs emulate at a tenth of the speed; this one
    takes them in float32, and is otherwise the same: Nesterov momentum 0.95, five Newton-Schulz steps, the rate
    adjusted to AdamW's size of step (Liu et al. 2025, "Muon is scalable for LLM training").

    For matrices and filters inside a network; a filter counts as the matrix (outputs, all its inputs).
    Everything else belongs to AdamW (see `muon_and_adamw`).
    """

    def __init__(self, params: Iterable[Any], lr: float = 2e-3, weight_decay: float = 0.05) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if not weights:
                continue
            gradients: list[Tensor] = [weight.grad for weight in weights]
            momenta: list[Tensor] = [
                self.state[weight].setdefault("momentum", torch.zeros_like(weight)) for weight in weights
            ]
            torch._foreach_lerp_(momenta, gradients, 1 - MOMENTUM)
            ahead = [one.flatten(1) for one in torch._foreach_lerp(gradients, momenta, MOMENTUM)]
            updates: list[Tensor] = [torch.empty(0)] * len(weights)
            for places in _alike(ahead):  # together: a GPU is slow at many small products
                height, width = (max(ahead[place].shape[axis] for place in places) for axis in (0, 1))
                # Rows and columns of zeros stay zero, and change nothing else.
                padded = [
                    F.pad(one, (0, width - one.shape[1], 0, height - one.shape[0]))
                    for one in (ahead[place] for place in places)
                ]
                for place, update in zip(places, orthogonal(torch.stack(padded)), strict=True):
                    shape = ahead[place].shape
                    updates[place] = update[: shape[0], : shape[1]].reshape(weights[place].shape)
            sizes = [-group["lr"] * 0.2 * max(one.shape) ** 0.5 for one in ahead]
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_mul_(updates, sizes)
            torch._foreach_add_(weights, updates)


def _alike(matrices: Sequence[Tensor]) -> list[list[int]]:
    """Places of matrices that are padded to one shape, at most twice their height and width; lying ones with lying
    ones."""
    groups: dict[tuple[bool, int, int], list[int]] = {}
    for place, matrix in enumerate(matrices):
        height, width = matrix.shape
        key = (height <= width, math.ceil(math.log2(height)), math.ceil(math.log2(width)))
        groups.setdefault(key, []).append(place)
    return list(groups.values())


def orthogonal(matrices: Tensor) -> Tensor:
    """float (..., n, m) -> about U V^T of each one's singular value decomposition, its singular values near one."""
    flat = matrices.shape[-2] <= matrices.shape[-1]
    wide = (
        (matrices if flat else matrices.mT)
        .float()
        .reshape(-1, min(matrices.shape[-2:]), max(matrices.shape[-2:]))
    )
    update = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ROUNDS):
        square = update @ update.mT
        change = torch.baddbmm(square, square, square, beta=_B, alpha=_C)
        update = torch.baddbmm(update, change, update, beta=_A)
    return (update if flat else update.mT).reshape(matrices.shape).to(matrices.dtype)


def muon_and_adamw(inside: Iterable[Tensor], every: Iterable[Tensor], peak: float) -> list[Optimizer]:
    """Muon for the matrices and filters among `inside`, AdamW at 0.6 of its rate for the rest of `every`.

    Frozen parameters and filters of a single channel (depthwise) are not for Muon. Groups carry "peak" for
    `learn`.
    """
    every = list(every)
    matrices = [p for p in inside if p.requires_grad and p.ndim >= 2 and p.shape[1] > 1]
    taken = {id(p) for p in matrices}
    fused = any(p.device.type == "cuda" for p in every) or None
    others = [p for p in every if p.requires_grad and id(p) not in taken]
    return [
        Muon([{"params": matrices, "peak": peak}]),
        AdamW([{"params": others, "peak": 0.6 * peak}], betas=(0.9, 0.98), weight_decay=0.01, fused=fused),
    ]


def _short(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value
