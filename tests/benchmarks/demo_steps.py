"""What a step of each part of the demo's training takes: `python -m tests.benchmarks.demo_steps [--device cuda]`.

Steps of the size that `--device cuda --minutes N` takes, at a part's start and near its end, and of a quarter of that
size: seconds of one core to draw it, seconds to learn from it, of these the device's own work (by torch's profiler),
its kernels, and the most memory it took.
"""

from __future__ import annotations

import argparse
import copy
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from training.demo.by_clock import Lesson, rounded
from training.demo.looks import DevicePictures
from training.demo.recipe import load
from training.demo.sizes import CPU_STEPS, GPU_STEPS, SIZES
from training.demo.timed import TimedRun, timed_stages

MEASURED = 3  # steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--world", type=int, default=2)
    given = parser.parse_args()
    on_gpu = given.device.startswith("cuda")
    steps, size = (GPU_STEPS, SIZES["large"]) if on_gpu else (CPU_STEPS, SIZES["small"])
    if on_gpu:
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.benchmark = True
    with tempfile.TemporaryDirectory() as place:
        run = TimedRun(
            Path(place) / "work",
            Path(place) / "assets",
            size=size,
            steps=steps,
            device=given.device,
            seed=0,
            begins=time.monotonic(),
            minutes=60,
            workers=max(1, (os.cpu_count() or 2) - 1),
            world=given.world,
        )
        pool = run._validation()
        with tempfile.TemporaryDirectory() as folder:
            fresh = load(run._base(folder))
        seen = {name: DevicePictures(getattr(pool, name), given.device) for name in ("pictures", "large")}
        makes: dict[str, Callable[[], Lesson]] = {
            "clip": lambda: run._clip_lesson(pool, seen["large"]),
            "tower": lambda: run._tower_lesson(copy.deepcopy(fresh[0]), pool, seen["pictures"]),
        }
        for name in timed_stages(steps):
            makes[name] = lambda name=name: run._stage_lesson(  # type: ignore[misc]
                name, copy.deepcopy(fresh[0]), fresh[1], pool, seen["pictures"]
            )
        print("part          done parts    draw    step  device  kernels    GB", flush=True)
        for name, make in makes.items():
            lesson = make()
            for done, parts in ((0.0, 1), (0.99, 1), (0.99, 4)):
                print(
                    f"{name:12} {done:5} {parts:5}", _measured(lesson, done, parts, given.device), flush=True
                )


def _measured(lesson: Lesson, done: float, parts: int, device: str) -> str:
    began = time.process_time()
    drawn = [lesson.draw(number, done, parts) for number in range(MEASURED + 2)]
    draw = (time.process_time() - began) / len(drawn)
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    for one in drawn[:2]:
        _step(lesson, one, device)
    _wait(device)
    began = time.monotonic()
    for one in drawn[2:]:
        _step(lesson, one, device)
    _wait(device)
    step = (time.monotonic() - began) / MEASURED
    if device == "cpu":
        return f"{draw:7.3f} {step:7.3f}"
    with profile(activities=[ProfilerActivity.CUDA]) as told:
        _step(lesson, drawn[-1], device)
        _wait(device)
    kernels = [event for event in told.events() if event.device_type.name == "CUDA"]
    busy = sum(event.device_time for event in kernels) / 1e6
    return (
        f"{draw:7.3f} {step:7.3f} {busy:7.3f} {len(kernels):8} {torch.cuda.max_memory_allocated() / 1e9:5.1f}"
    )


def _step(lesson: Lesson, drawn: Any, device: str) -> None:
    """One step as `learn_by_clock` takes it."""
    for optimizer in lesson.optimizers:
        optimizer.zero_grad(set_to_none=True)
    with rounded(device):
        loss, _ = lesson.loss(drawn)
    loss.backward()
    learnt = [p for module in lesson.modules.values() for p in module.parameters() if p.requires_grad]
    nn.utils.clip_grad_norm_(learnt, 1.0)
    for optimizer in lesson.optimizers:
        for group in optimizer.param_groups:
            group["lr"] = 1e-6
        optimizer.step()


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
