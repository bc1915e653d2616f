"""Which pictures are too poor to learn from: section 3.2's filters by quality and by attributes.

By quality: "we filter images based on size and resolution to address blurriness". Size in pixels, and
blurriness as the variance of the picture's Laplacian, which falls as edges are smoothed away.

By attributes: where a captioner looked at a picture and recognised no clothing, the person counts as occluded, and
the picture is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

CLOTHING = ("upper", "upper_colour", "lower", "lower_colour")
REASONS = ("unreadable", "small", "blurred", "occluded")


@dataclass(frozen=True)
class Limits:
    """height, width: px, the least that is kept. blur: the least variance of the Laplacian, in squared grey levels.

    The defaults take out only what shows next to nothing: the benchmarks' own pictures (Market-1501 is 128 x 64
    throughout) must pass. The paper states no numbers.
    """

    height: int = 64
    width: int = 24
    blur: float = 15.0

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1 or not self.blur >= 0:
            raise ValueError(
                "the least height and width are 1 px or more, and the least blur value 0 or more"
            )


@dataclass(frozen=True)
class Quality:
    """Of one picture. height, width: px, 0 where it cannot be read. blur: see Limits. reason: why it cannot be read."""

    height: int
    width: int
    blur: float
    reason: str = ""


def measure(picture: Image.Image) -> Quality:
    """Of an RGB picture of any size."""
    return Quality(picture.height, picture.width, laplacian_variance(np.asarray(picture.convert("L"))))


def laplacian_variance(grey: np.ndarray) -> float:
    """The variance of 4 g(y, x) minus its four neighbours, over the pixels that have four; 0 where none has.

    grey: uint8 (h, w).
    """
    if min(grey.shape) < 3:
        return 0.0
    g = grey.astype(np.float32)
    edges = 4 * g[1:-1, 1:-1] - g[:-2, 1:-1] - g[2:, 1:-1] - g[1:-1, :-2] - g[1:-1, 2:]
    return float(edges.var(dtype=np.float64))


def why_dropped(quality: Quality, attributes: Mapping[str, str] | None, limits: Limits) -> str:
    """One of REASONS, or "" for a picture that is kept.

    attributes: what was recognised in the picture; None where nobody looked.
    """
    if quality.reason:
        return "unreadable"
    if quality.height < limits.height or quality.width < limits.width:
        return "small"
    if quality.blur < limits.blur:
        return "blurred"
    if attributes is not None and not any(kind in attributes for kind in CLOTHING):
        return "occluded"
    return ""
