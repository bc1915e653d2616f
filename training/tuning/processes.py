"""Several processes that share a stage, where accelerate needs a hint."""

from __future__ import annotations

import os

from accelerate import PartialState
from accelerate.utils import DistributedType


def shard_on_cpus() -> None:
    """Let FSDP run on CPU processes where `accelerate launch` asked for it; call it before the Accelerator is made.

    accelerate takes no note of FSDP on CPUs and would quietly run DDP. torch shards there too, slowly, which is
    how FSDP is tried without GPUs; so accelerate is told that these processes are of a kind that it shards.
    """
    asked = os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
    if asked and PartialState().distributed_type == DistributedType.MULTI_CPU:
        PartialState._shared_state["distributed_type"] = DistributedType.MULTI_XPU
