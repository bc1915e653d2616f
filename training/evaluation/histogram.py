"""The floor: colour histograms of horizontal stripes. A world in which this does well is too easy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

STRIPES, HUES, SATURATIONS, VALUES = 8, 12, 4, 4


def histograms(pictures: Sequence[Image.Image]) -> np.ndarray:
    """float32 (n, STRIPES * (HUES + SATURATIONS + VALUES)): square roots of HSV stripe histograms, unit rows.

    Their product is the Bhattacharyya coefficient, as in the classical baselines of person re-identification.
    """
    rows = []
    for picture in pictures:
        hsv = np.asarray(picture.convert("HSV").resize((64, 128), Image.Resampling.BILINEAR))
        hsv = hsv[:, 20:44]  # the person stands in the middle; the rest is the place
        parts = []
        for stripe in np.split(hsv, STRIPES, axis=0):
            for channel, bins in enumerate((HUES, SATURATIONS, VALUES)):
                parts.append(
                    np.bincount(stripe[..., channel].ravel().astype(int) * bins // 256, minlength=bins)
                )
        row = np.sqrt(np.concatenate(parts).astype(np.float32))
        rows.append(row / np.linalg.norm(row))
    return np.stack(rows)
