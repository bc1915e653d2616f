"""Drawn people, and pictures that are textured at every scale and in every channel, as photographs are."""

from __future__ import annotations

import numpy as np
from PIL import Image

from app.settings import DEMO_GALLERY


def drawn(number: int) -> Image.Image:
    """A person of the demo gallery."""
    with Image.open(sorted(DEMO_GALLERY.glob("*.jpg"))[number * 7]) as image:
        return image.convert("RGB")


def photographed(seed: int, height: int = 128, texture: float = 25.0) -> Image.Image:
    """Noise whose strength falls with its frequency, in part common to the channels. texture: its sigma, 0..255."""
    rng, width = np.random.default_rng(seed), height // 2
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = 1

    def noise() -> np.ndarray:
        values = np.fft.ifft2(np.fft.fft2(rng.normal(size=(height, width))) / frequency).real
        return values / values.std()

    common = noise()
    channels = [rng.uniform(70, 170) + texture * common + 0.4 * texture * noise() for _ in range(3)]
    return Image.fromarray(np.stack(channels, -1).clip(0, 255).astype(np.uint8))
