"""Pictures -> vision tokens, encoded in batches and remembered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from app.model import image_rules
from app.model.image_rules import ImageRule
from app.model.pictures import BoundedCache, Picture
from app.model.vision import Grid, encode_grids, pixel_patches

BATCH = 32


@dataclass(frozen=True)
class Seen:
    """What the language model sees of a picture: tokens (t*h*w/4, width), on the model's device."""

    tokens: Tensor
    grid: Grid


class TokenReader:
    """Reads pictures with a vision tower under one image rule. Not thread-safe: the model has the lock."""

    def __init__(self, visual: Any, rule: ImageRule, cache: BoundedCache[Seen]) -> None:
        self._visual = visual
        self._rule = rule
        self._cache = cache
        self._device = next(visual.parameters()).device

    def see(
        self,
        pictures: Sequence[Picture],
        *,
        stop: Callable[[], bool] | None = None,
        skip_unreadable: bool = False,
    ) -> list[Seen | None]:
        """One entry per picture; None where `stop` came first, or (with skip_unreadable) it cannot be opened.

        Raises:
            OSError, ValueError: from a picture's own load, without skip_unreadable.
        """
        found: list[Seen | None] = [self._cache.get(picture.key) for picture in pictures]
        missing = [place for place, seen in enumerate(found) if seen is None]
        for start in range(0, len(missing), BATCH):
            if stop is not None and stop():
                break
            batch = []
            for place in missing[start : start + BATCH]:
                try:
                    batch.append((place, image_rules.apply(self._rule, pictures[place].load())))
                except (OSError, ValueError):
                    if not skip_unreadable:
                        raise
            for (place, _), seen in zip(batch, self._encode([image for _, image in batch]), strict=True):
                found[place] = seen
                size = seen.tokens.numel() * seen.tokens.element_size()
                self._cache.put(pictures[place].key, seen, size)
        return found

    @torch.inference_mode()
    def _encode(self, images: Sequence[Any]) -> list[Seen]:
        patches = pixel_patches(images)
        pieces = patches.each()
        found: dict[int, Seen] = {}
        for grid in dict.fromkeys(patches.grids):
            group = [place for place, other in enumerate(patches.grids) if other == grid]
            values = torch.stack([pieces[place] for place in group]).to(self._device)
            tokens = encode_grids(self._visual, fixed_batch(values, BATCH), grid)[: len(group)]
            for place, row in zip(group, tokens, strict=True):
                found[place] = Seen(row.clone(), grid)  # a view would keep its whole batch alive
        return [found[place] for place in range(len(images))]


def fixed_batch(rows: Tensor, size: int) -> Tensor:
    """Off the CPU, rows repeated up to `size`: kernels are chosen by shape, and one shape gives one result.

    On a CPU in float32 another shape changes a row by rounding alone, and padding would cost time.
    """
    if rows.device.type == "cpu" or len(rows) == size or len(rows) == 0:
        return rows
    return torch.cat([rows, rows[-1:].expand(size - len(rows), *rows.shape[1:])])
