"""What models on Ray Serve cost and bring beside those in the process: a search's questions, and their memory.

    python -m tests.benchmarks.served [--crops 64] [--operators 4] [--replicas 1 2]

Needs requirements-scale.txt. Everything runs on this machine, in one run.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from app.model.asked import AskedModel
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.model.served.local import start
from app.model.served.reid import ServedModel
from app.settings import DEMO_CLIP, DEMO_GALLERY, DEMO_MODEL
from gallery_store.decoding import open_picture
from tests.benchmarks.processes import memory_by_kind, told

REPEATS = 3


def seconds(work: Callable[[], object]) -> float:
    """The median of a few."""
    took = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


def measure(name: str, model: AskedModel, pictures: list[Picture], operators: int) -> np.ndarray:
    """Print one line; the scores of one search, which are the same wherever they come from."""
    began = time.perf_counter()
    scores = model.yes_logits("a woman in a red coat", [], pictures)
    first = time.perf_counter() - began
    again = seconds(lambda: model.yes_logits("a woman in a red coat", [], pictures))

    def all_at_once() -> None:
        with ThreadPoolExecutor(operators) as pool:
            list(pool.map(lambda n: model.yes_logits(f"a man with bag {n}", [], pictures), range(operators)))

    together = seconds(all_at_once)
    print(f"{name:<24}{first:>10.2f}{again:>10.2f}{operators / together:>14.2f}", flush=True)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=int, default=64)
    parser.add_argument("--operators", type=int, default=4)
    parser.add_argument("--replicas", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    files = sorted(DEMO_GALLERY.rglob("*.jpg"))[: options.crops]
    pictures = [Picture(file.name, lambda file=file: open_picture(file)) for file in files]
    print(f"{len(pictures)} candidates; {options.operators} operators at once")
    print(f"{'':<24}{'first, s':>10}{'again, s':>10}{'searches/s':>14}")
    own = ReidModel.load(DEMO_MODEL)
    own.warm_up()
    wanted = measure("in the process", own, pictures, options.operators)
    for count in options.replicas:
        began = time.perf_counter()
        ray = start(
            model=str(DEMO_MODEL),
            clip=str(DEMO_CLIP),
            replicas=str(count),
            device="cpu",
            four_bit=False,
            token_cache="200MB",
            cpus=0.5,
        )
        ready = time.perf_counter() - began
        name = f"Ray Serve, {count} replica{'s' * (count > 1)}"
        got = measure(name, ServedModel.connect(ray.address), pictures, options.operators)
        assert np.allclose(got, wanted, atol=1e-3)
        sizes = told(memory_by_kind(ray.process.pid))
        print(f"  ready after {ready:.0f} s; memory, MB: {sizes}", flush=True)
        ray.end()


if __name__ == "__main__":
    main()
