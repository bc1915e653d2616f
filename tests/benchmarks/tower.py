"""The vision tower of a training step, stock and without its loop, side by side: `python -m tests.benchmarks.tower`.

Random weights at Qwen2-VL-2B's widths, a few of its 32 layers; forward and backward with gradient checkpointing, as
a step has it. Counts aten calls, attentions among them, and takes the least of several times, the two by turns.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from copy import deepcopy
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from training.tuning.memory import qwen2_vl_2b
from training.tuning.tower import batch_attention

PATCH_DIM = 1176
# Patches of a Market-1501 crop in stages 2 and 3; of crops of several data sets together.
SIZES = {"one size": ((1, 10, 4),), "four sizes": ((1, 10, 4), (1, 16, 6), (1, 12, 6), (1, 8, 4))}


class Calls(TorchDispatchMode):
    """Counts what reaches aten."""

    def __init__(self) -> None:
        super().__init__()
        self.counted: Counter[str] = Counter()

    def __torch_dispatch__(self, called: Any, types: Any, taken: Any = (), named: Any = None) -> Any:
        self.counted[called.overloadpacket.__name__] += 1
        return called(*taken, **(named or {}))

    @property
    def attentions(self) -> int:
        return sum(
            count for name, count in self.counted.items() if "attention" in name and "backward" not in name
        )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--layers", type=int, default=1)
    options.add_argument("--pictures", type=int, default=40)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = options.parse_args()
    dtype = torch.bfloat16 if given.device.startswith("cuda") else torch.float32
    stock, ours = towers(given.layers, given.device, dtype)
    print(
        f"{given.pictures} pictures, {given.layers} layers, {given.device}, {dtype}, torch {torch.__version__}"
    )
    print(f"{'':12} {'tower':8} {'aten calls':>12} {'attentions':>12} {'seconds':>10}")
    for title, grids in SIZES.items():
        taken = [grids[number % len(grids)] for number in range(given.pictures)]
        seconds = {"stock": float("inf"), "ours": float("inf")}
        for _ in range(given.rounds):
            for name, tower in (("stock", stock), ("ours", ours)):
                seconds[name] = min(seconds[name], one_pass(tower, taken, given.device, dtype))
        for name, tower in (("stock", stock), ("ours", ours)):
            with Calls() as counter:
                one_pass(tower, taken, given.device, dtype)
            counted = f"{sum(counter.counted.values()):12,} {counter.attentions:12,}"
            print(f"{title:12} {name:8} {counted} {seconds[name]:10.3f}")


def towers(layers: int, device: str, dtype: torch.dtype) -> tuple[Any, Any]:
    """(stock, ours), of the same weights."""
    from transformers import Qwen2VLForConditionalGeneration

    config = qwen2_vl_2b()
    config.vision_config.depth = layers
    config.text_config.num_hidden_layers = 1
    config.text_config.vocab_size = 1024
    torch.manual_seed(0)
    stock = Qwen2VLForConditionalGeneration(config).to(device, dtype).train()
    stock.activation_checkpointing_enable({"use_reentrant": False})
    ours = deepcopy(stock)
    batch_attention(ours)
    return stock.model.visual, ours.model.visual


def one_pass(tower: Any, grids: list[tuple[int, int, int]], device: str, dtype: torch.dtype) -> float:
    """Seconds of one forward and backward pass: of the processor on a CPU, which others may share."""
    clock = time.perf_counter if device.startswith("cuda") else time.process_time
    patches = torch.randn(
        sum(t * h * w for t, h, w in grids), PATCH_DIM, generator=torch.Generator().manual_seed(0)
    ).to(device, dtype)
    placed = torch.tensor(grids, device=device)
    began = clock()
    tower(patches, grid_thw=placed).pooler_output.square().mean().backward()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return clock() - began


if __name__ == "__main__":
    main()
