"""Weights by name: what trainers wrap around the names, what is missing, what is not a number."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

# What DataParallel, torch.compile and PEFT put before the names of a model that they wrap.
WRAPPERS = r"^(?:module\.|_orig_mod\.|base_model\.model\.)+"


def unwrapped(name: str) -> str:
    """A weight's name without what wrapped its model when it was saved.

    >>> unwrapped("module.base_model.model.lm_head.weight")
    'lm_head.weight'
    """
    return re.sub(WRAPPERS, "", name)


def misfit(
    missing: Collection[str] = (), unknown: Collection[str] = (), reshaped: Collection[str] = ()
) -> str:
    """What keeps weights from being a network's, as the end of a sentence; "" where nothing does.

    missing: names that the network has and the file has not; unknown: the other way round; reshaped: of other shapes.

    >>> misfit(["head.weight"], [])
    '1 of its weights is missing, such as head.weight'
    """
    parts = []
    for names, one, many in (
        (missing, "1 of its weights is missing", "{} of its weights are missing"),
        (unknown, "1 belongs to no layer of it", "{} belong to no layer of it"),
        (reshaped, "1 has another shape", "{} have another shape"),
    ):
        if names:
            said = one if len(names) == 1 else many.format(len(names))
            parts.append(f"{said}, such as {min(names)}")
    return "; ".join(parts)


def not_finite(named: Iterable[tuple[str, Any]]) -> list[str]:
    """Names of the tensors that hold NaN or infinity."""
    import torch

    return [
        name
        for name, tensor in named
        if tensor.is_floating_point() and tensor.device.type != "meta" and not torch.isfinite(tensor).all()
    ]
