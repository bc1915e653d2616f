"""How large the demo Qwen2-VL is, and how large the steps are in which it learns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.model.pictures import Size


@dataclass(frozen=True)
class DemoSize:
    """picture: (height, width) in px, multiples of 28. The rest as build_base takes it."""

    picture: Size
    text_width: int
    layers: int
    heads: int
    kv_heads: int
    vision_width: int
    vision_depth: int

    def shape(self) -> dict[str, Any]:
        """build_base's arguments."""
        return {name: value for name, value in vars(self).items() if name != "picture"}


SIZES = {
    # 3.8 M parameters, 18 vision tokens: what two cores can teach.
    "small": DemoSize((168, 84), 192, 4, 4, 2, 160, 4),
    # As many tokens as CLIP's picture has, and 15 MB in fp16: for a GPU.
    "large": DemoSize((224, 112), 256, 5, 4, 2, 192, 5),
}


@dataclass(frozen=True)
class StepSize:
    """Samples of a step by the clock: a GPU takes a few large steps in the time of many small ones.

    clip_families, families: of three people each, for CLIP and for the tower. lists: times the queries and
    families of a packed list; beside: lists in one. plain: instruction samples. choices: candidates in turns of
    best choice, and while these are taught alone. forms: pictures that are read kind by kind. rate: times a part's
    highest learning rate. validation: families to calibrate and measure on. searches: of each kind, that
    calibration asks at most.
    """

    clip_families: int
    families: int
    lists: int
    beside: int
    plain: int
    choices: int
    choices_alone: int
    forms: int
    rate: float
    validation: int
    searches: int


# Of CLIP's step with 64 families an H100 worked a fifth of the time: its operations are many and small.
GPU_STEPS = StepSize(
    clip_families=256,
    families=64,
    lists=2,
    beside=2,
    plain=48,
    choices=256,
    choices_alone=1024,
    forms=96,
    rate=1.5,
    validation=120,
    searches=200,
)
CPU_STEPS = StepSize(
    clip_families=10,
    families=10,
    lists=1,
    beside=1,
    plain=6,
    choices=32,
    choices_alone=64,
    forms=8,
    rate=1.0,
    validation=12,
    searches=12,
)
