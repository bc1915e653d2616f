"""Lets torchvision from PyPI be imported beside a CPU-only torch.

Its compiled operators are then missing, and `import torchvision` fails with "operator torchvision::nms
does not exist". open_clip and transformers' image processors import it, and use none of these operators.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any

_keep_alive: list[Any] = []  # the definitions vanish with the Library object
_lock = threading.Lock()


def mend_torchvision() -> None:
    """Make `import torchvision` work; call before anything imports it. Harmless where it works by itself.

    Where the compiled operators are there, nothing is defined. Otherwise only the two names that the import
    asks for are, without an implementation: calling them still fails, loudly.
    """
    with _lock:
        try:
            importlib.import_module("torchvision")
        except RuntimeError as problem:
            if "torchvision::" not in str(problem):
                raise
        else:
            return
        import torch

        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]  # half-imported
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _keep_alive.append(library)
        importlib.import_module("torchvision")
