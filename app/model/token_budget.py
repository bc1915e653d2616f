"""How much memory the vision tokens of pictures that were seen may take: the more are kept, the fewer are seen again.

A crop's tokens take 3 KB a token at 2B (138 KB at 252 x 140 px) and 6 KB in all in the demo model.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SHARE_OF_GPU = 0.4  # of what is free once the weights are there: the rest is for activations, and for others
SHARE_OF_RAM = 0.25
# Of a container, whose bound is not the machine's memory: what it may use, what it uses, and what of that is files
# which are dropped when memory is wanted. Version 2 of Linux' control groups, and version 1.
CGROUP = Path("/sys/fs/cgroup")
_BOUNDS = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    (
        "memory/memory.limit_in_bytes",
        "memory/memory.usage_in_bytes",
        "memory/memory.stat",
        "total_inactive_file",
    ),
)


@dataclass(frozen=True)
class TokenBudget:
    """limit: bytes, 0 or more; None takes a share of the memory that is free when the weights have been loaded.
    sharers: so many processes take theirs from the same memory; a limit holds for each of them.
    """

    limit: int | None = None
    sharers: int = 1

    def on(self, device: str) -> int:
        """Bytes, with the weights on this torch device."""
        if self.limit is not None:
            return self.limit
        share = SHARE_OF_GPU if device.startswith("cuda") else SHARE_OF_RAM
        return int(share * free_memory(device) / self.sharers)


BY_SHARE = TokenBudget()


def free_memory(device: str) -> int:
    """Bytes that nobody uses: of a CUDA device, otherwise of this machine or container."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    import psutil

    free = int(psutil.virtual_memory().available)
    bound = _free_in_container()
    return free if bound is None else max(0, min(free, bound))


def _free_in_container() -> int | None:
    """None where there is no container, or it has no bound."""
    for most, used, counts, files in _BOUNDS:
        try:
            limit = int((CGROUP / most).read_text("ascii"))
            taken = int((CGROUP / used).read_text("ascii"))
            rows = dict(line.split() for line in (CGROUP / counts).read_text("ascii").splitlines())
            return limit - taken + int(rows.get(files, 0))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return None
