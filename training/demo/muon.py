"""Muon (Jordan et al. 2024): momentum, with the update of each matrix made orthogonal.

torch.optim.Muon takes its products in bfloat16, which many CPUs emulate at a tenth of the speed; this one
takes them in float32, and is otherwise the same: Nesterov momentum 0.95, five Newton-Schulz steps, the rate
adjusted to AdamW's size of step (Liu et al. 2025, "Muon is scalable for LLM training").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

_A, _B, _C = 3.4445, -4.775, 2.0315
MOMENTUM, ROUNDS = 0.95, 5


class Muon(Optimizer):
    """For matrices and filters inside a network; a filter counts as the matrix (outputs, all its inputs).

    Everything else belongs to AdamW (see `muon_and_adamw`).
    """

    def __init__(self, params: Iterable[Any], lr: float = 2e-3, weight_decay: float = 0.05) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                momentum = self.state[weight].setdefault("momentum", torch.zeros_like(weight))
                momentum.lerp_(weight.grad, 1 - MOMENTUM)
                update = orthogonal(weight.grad.lerp(momentum, MOMENTUM).flatten(1))
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.view_as(weight), alpha=-group["lr"] * 0.2 * max(update.shape) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """float (n, m) -> about U V^T of its singular value decomposition, its singular values near one."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    found = wide.float() / wide.float().norm().clamp(min=1e-7)
    for _ in range(ROUNDS):
        square = found @ found.T
        found = torch.addmm(found, torch.addmm(square, square, square, beta=_B, alpha=_C), found, beta=_A)
    return (found if wide is matrix else found.T).to(matrix.dtype)


def muon_and_adamw(inside: Iterable[Tensor], every: Iterable[Tensor], peak: float) -> list[Optimizer]:
    """Muon for the matrices and filters among `inside`, AdamW at 0.6 of its rate for the rest of `every`.

    Frozen parameters and filters of a single channel (depthwise) are not for Muon. Groups carry "peak" for
    `training.demo.learning.learn`.
    """
    matrices = [p for p in inside if p.requires_grad and p.ndim >= 2 and p.shape[1] > 1]
    taken = {id(p) for p in matrices}
    others = [p for p in every if p.requires_grad and id(p) not in taken]
    return [
        Muon([{"params": matrices, "peak": peak}]),
        AdamW([{"params": others, "peak": 0.6 * peak}], betas=(0.9, 0.98), weight_decay=0.01),
    ]
