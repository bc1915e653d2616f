"""What a question costs with each size of the demo Qwen2-VL: `python -m tests.benchmarks.model_sizes`.

Random weights; 64 candidates whose vision tokens are remembered, as in a gallery; seconds of one core.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable

import torch
from PIL import Image

from app.model.checkpoint import CheckpointManifest
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from tests.tiny_pool import tiny_pool
from training.demo.base import build_base
from training.demo.pool import demo_rule
from training.demo.sizes import SIZES

TEXT = "a woman in a red jacket with a backpack"


def main() -> None:
    torch.set_num_threads(1)
    large = tiny_pool().large
    crops = [Picture(row, lambda row=row: Image.fromarray(large[row])) for row in range(65)]
    own, shown = crops[64:], crops[:64]
    for name, size in SIZES.items():
        with tempfile.TemporaryDirectory() as place:
            folder = build_base(place, **size.shape())
            rule = demo_rule(size.picture)
            CheckpointManifest(name="sizes", base_model="random", image_rule=rule).write(folder)
            model = ReidModel.load(folder)
            model.yes_logits("", own, shown)
        asked: dict[str, Callable[[], object]] = {
            "by words": lambda model=model: model.yes_logits(TEXT, [], shown),
            "by picture": lambda model=model: model.yes_logits("", own, shown),
            "both": lambda model=model: model.yes_logits("a green coat", own, shown, other_clothes=True),
            "one list of 8": lambda model=model: model.choice_logits("", own, [shown[:8]]),
        }
        print(name, " ".join(f"{what} {seconds(ask):.3g}" for what, ask in asked.items()))


def seconds(ask: Callable[[], object], times: int = 5) -> float:
    """Of a core; the least of some tries."""
    tries = []
    for _ in range(times):
        began = time.process_time()
        ask()
        tries.append(time.process_time() - began)
    return min(tries)


if __name__ == "__main__":
    main()
