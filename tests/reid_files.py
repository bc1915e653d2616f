"""Makes files of small re-ID networks, for tests that need one."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from app.settings import DEMO_CLIP
from gallery_store.encoder import ClipEncoder
from gallery_store.torchvision_mend import mend_torchvision

SIZE = (64, 32)
RULES = {"size": SIZE, "mean": (0.5, 0.4, 0.3), "std": (0.25, 0.3, 0.35)}


def tiny_timm(seed: int = 0) -> nn.Module:
    """timm's smallest ResNet with random weights, without its classifier, as it is used."""
    mend_torchvision()
    import timm

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = timm.create_model("test_resnet", pretrained=False, num_classes=0)
        for module in model.modules():  # as if trained: statistics that are not those of any batch
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.data.uniform_(0.5, 1.5)
    return model.eval()


def write_torchscript(file: Path, model: nn.Module, rules: dict[str, Any] | None = None) -> Path:
    """FILE.pt by tracing one picture, with the JSON beside it."""
    rules = rules or RULES
    file.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(model, torch.rand(1, 3, *rules["size"])), str(file))
    file.with_suffix(".json").write_text(json.dumps(rules))
    return file


def write_tower(file: Path) -> Path:
    """The picture tower of the demo CLIP, a network that truly tells drawn people apart."""
    encoder = ClipEncoder.load(DEMO_CLIP)
    rules = encoder._model.visual.preprocess_cfg
    return write_torchscript(
        file, encoder._model.visual, {name: rules[name] for name in ("size", "mean", "std", "interpolation")}
    )
