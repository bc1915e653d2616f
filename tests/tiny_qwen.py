"""A toy Qwen2-VL checkpoint with random weights, in the published format, for tests."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
from PIL import Image
from safetensors.torch import load_file, save_file

from app.model.checkpoint import CheckpointManifest
from app.model.pictures import ImageRule, Picture
from app.model.reid_model import ReidModel
from app.model.vocabulary import VOCABULARY_VERSION
from gallery_store.torchvision_mend import mend_torchvision
from training.demo.base import build_base


def build_tiny(
    folder: Path | str, *, seed: int = 0, layers: int = 2, version: int = VOCABULARY_VERSION
) -> Path:
    """A few hundred thousand parameters; loads with AutoModelForImageTextToText and AutoProcessor.

    version: of the vocabulary whose words its tokenizer knows.

    Weights are larger than a fresh model's: with those, attention is flat and a wrong position or picture
    hardly changes an answer, so that a test could not see it.
    """
    path = build_base(
        folder,
        text_width=64,
        layers=layers,
        heads=4,
        kv_heads=2,
        vision_width=32,
        vision_depth=2,
        vision_heads=2,
        seed=seed,
        version=version,
    )
    weights = load_file(path / "model.safetensors")
    larger = {key: value * 5 if value.ndim > 1 else value for key, value in weights.items()}
    save_file(larger, path / "model.safetensors", metadata={"format": "pt"})
    return path


@cache
def tiny_folder() -> Path:
    """One toy checkpoint for the whole test run; treat it as read-only."""
    return build_tiny(mkdtemp(prefix="tiny-qwen-"))


@cache
def tiny_parts():
    """(model, processor) of the toy checkpoint, as transformers loads them, float32, in eval mode."""
    import torch

    mend_torchvision()
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = tiny_folder()
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    return model, AutoProcessor.from_pretrained(folder)


def noise_picture(seed: int, height: int = 112, width: int = 56) -> Image.Image:
    """A picture of coloured blocks; another seed gives another picture."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, size=(8, 4, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST)


def picture(seed: int, height: int = 112, width: int = 56) -> Picture:
    """noise_picture as the model takes it."""
    return Picture(("noise", seed, height, width), lambda: noise_picture(seed, height, width))


def with_rule(folder: Path, rule: ImageRule) -> ReidModel:
    """The toy checkpoint with a manifest of this image rule; `folder` is made."""
    folder.mkdir()
    for file in tiny_folder().iterdir():
        (folder / file.name).symlink_to(file)
    CheckpointManifest(name="tiny", base_model="random", image_rule=rule).write(folder)
    return ReidModel.load(folder)
