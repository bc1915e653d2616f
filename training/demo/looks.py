"""A pool's pictures as they are learnt from: on the device, each with a look that is drawn anew."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.decoder import on_device

HIDDEN_SHARE = 0.2  # of the pictures, those with a patch that is covered


@dataclass(frozen=True)
class Looks:
    """mirror bool (n,); gains float32 (n, 3), of the channels; light float32 (n,), added, of 255; patches int32 (n, 4),
    top, left, bottom and right of what is covered by the picture's mean colour, px, all 0 where nothing is."""

    mirror: np.ndarray
    gains: np.ndarray
    light: np.ndarray
    patches: np.ndarray


def draw_looks(rng: np.random.Generator, n: int, height: int, width: int) -> Looks:
    """Looks for n pictures of a size in px."""
    mirror = rng.random(n) < 0.5
    gains = 1 + rng.uniform(-0.12, 0.12, (n, 3)).astype(np.float32)
    light = rng.uniform(-12, 12, n).astype(np.float32)
    patches = np.zeros((n, 4), np.int32)
    for i in np.flatnonzero(rng.random(n) < HIDDEN_SHARE):
        h, w = int(rng.integers(10, height // 3)), int(rng.integers(8, width // 2))
        y, x = int(rng.integers(0, height - h)), int(rng.integers(0, width - w))
        patches[i] = y, x, y + h, x + w
    return Looks(mirror, gains, light, patches)


def augmented(pictures: Tensor, looks: Looks) -> Tensor:
    """uint8 (n, h, w, 3) on any device -> the same shape, dtype and device."""
    device, (_, height, width, _) = pictures.device, pictures.shape
    mirror, gains, light, patches = (
        on_device(one, device) for one in (looks.mirror, looks.gains, looks.light, looks.patches)
    )
    out = pictures.float()
    out = torch.where(mirror[:, None, None, None], out.flip(2), out)
    out = out * gains[:, None, None] + light[:, None, None, None]
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    top, left, bottom, right = (side[:, None] for side in patches.unbind(1))
    covered = ((rows >= top) & (rows < bottom))[:, :, None] & ((columns >= left) & (columns < right))[:, None]
    out = torch.where(covered[..., None], out.mean((1, 2), keepdim=True), out)
    return out.clamp(0, 255).to(torch.uint8)


class DevicePictures:
    """Pictures, uint8 (n, h, w, 3), where they are learnt from: one tensor on a GPU, as they are on a CPU.

    drawn: how many there are as yet, None for all; the others come by `fill`.
    """

    def __init__(self, pictures: np.ndarray, device: str = "cpu", drawn: int | None = None) -> None:
        self.pictures, self.device = pictures, device
        self.size: tuple[int, int] = (pictures.shape[1], pictures.shape[2])
        self._kept = (
            None if device == "cpu" else torch.empty(pictures.shape, dtype=torch.uint8, device=device)
        )
        self._count = 0
        self.fill(len(pictures) if drawn is None else drawn)

    def __len__(self) -> int:
        return self._count

    def fill(self, drawn: int, part: int = 4096) -> None:
        """Takes those that have been drawn since; in parts, so that a pool on disk never lies in memory twice."""
        if self._kept is not None:
            for start in range(self._count, drawn, part):
                rows = slice(start, min(start + part, drawn))
                self._kept[rows] = torch.from_numpy(np.array(self.pictures[rows]))
        self._count = drawn

    def __call__(self, rows: np.ndarray, looks: Looks | None = None) -> Tensor:
        """uint8 (n, h, w, 3): the pictures of int64 rows (n,), with these looks, or as they are."""
        if self._kept is None:
            found = torch.from_numpy(np.asarray(self.pictures[rows]))
        else:
            found = self._kept[on_device(rows, self.device)]
        return found if looks is None else augmented(found, looks)
