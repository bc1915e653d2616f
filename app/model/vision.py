"""Pictures to patches to vision tokens, in batches; the tokens are remembered.

The stock vision tower loops over pictures in Python. Pictures of equal size are encoded here as one
batch: the same numbers, several times faster. Imports torch; imported only by what runs the model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from app.model.pictures import BoundedCache, ImageRule, Picture, apply_rule, is_colourless

PATCH = 14
MERGE = 2
TEMPORAL = 2
PATCH_DIM = 3 * TEMPORAL * PATCH * PATCH

# CLIP's, which every Qwen2-VL checkpoint uses.
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)

Grid = tuple[int, int, int]


@dataclass(frozen=True)
class Patches:
    """Pictures as the model's vision tower takes them.

    values: float32 (sum of t*h*w, PATCH_DIM), picture after picture; grids: one (t, h, w) in patches each.
    """

    values: Tensor
    grids: tuple[Grid, ...]

    @property
    def grid_thw(self) -> Tensor:
        """int64 (n, 3), as `image_grid_thw`."""
        return torch.tensor(self.grids, dtype=torch.long).reshape(-1, 3)

    def each(self) -> list[Tensor]:
        """One (t*h*w, PATCH_DIM) tensor per picture."""
        return list(torch.split(self.values, [t * h * w for t, h, w in self.grids]))


def pixel_patches(images: Sequence[Image.Image] | np.ndarray) -> Patches:
    """Patches exactly as Qwen2VLImageProcessor makes them from pictures that need no resizing.

    Args:
        images: RGB pictures, or uint8 (n, h, w, 3); sides are multiples of 28 (see app.model.pictures).

    Raises:
        ValueError: a side is not a multiple of 28.
    """
    if isinstance(images, np.ndarray):
        arrays = [images] if len(images) else []
        places = [list(range(len(images)))]
    else:
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for place, image in enumerate(images):
            by_size[image.size].append(place)
        places = list(by_size.values())
        arrays = [np.stack([np.asarray(images[place].convert("RGB")) for place in group]) for group in places]
    found: dict[int, tuple[Tensor, Grid]] = {}
    for group, array in zip(places, arrays, strict=False):
        patches, grid = picture_patches(torch.from_numpy(np.ascontiguousarray(array)))
        for place, row in zip(group, patches, strict=True):
            found[place] = (row, grid)
    if not found:
        return Patches(torch.zeros(0, PATCH_DIM), ())
    rows = [found[place] for place in range(len(found))]
    return Patches(torch.cat([row for row, _ in rows]), tuple(grid for _, grid in rows))


def picture_patches(pictures: Tensor) -> tuple[Tensor, Grid]:
    """uint8 (n, h, w, 3) on any device -> float32 (n, h*w patches, PATCH_DIM) in merged order there, and the grid of
    each. Raises ValueError for a side that is not a multiple of 28."""
    count, height, width, _ = pictures.shape
    unit = PATCH * MERGE
    if height % unit or width % unit:
        raise ValueError(
            f"pictures for the model have sides in multiples of {unit} px, not {height} x {width}"
        )
    mean, std = _mean_and_std(pictures.device)
    pixels = (pictures.permute(0, 3, 1, 2).float() - mean) / std
    rows, columns = height // PATCH, width // PATCH
    pixels = pixels.reshape(count, 3, rows // MERGE, MERGE, PATCH, columns // MERGE, MERGE, PATCH)
    pixels = pixels.permute(0, 2, 5, 3, 6, 1, 4, 7)
    pixels = pixels.unsqueeze(6).expand(-1, -1, -1, -1, -1, -1, TEMPORAL, -1, -1)
    return pixels.reshape(count, rows * columns, PATCH_DIM), (1, rows, columns)


@cache
def _mean_and_std(device: torch.device) -> tuple[Tensor, Tensor]:
    """(1, 3, 1, 1) each, of 255; made once, since a GPU is waited for each time that something is copied to it."""
    with torch.inference_mode(False):
        mean, std = (torch.tensor(one, device=device).view(1, 3, 1, 1) * 255 for one in (MEAN, STD))
    return mean, std


def token_count(grid: Grid) -> int:
    """Vision tokens of one picture: its patches, four merged into one."""
    return grid[0] * grid[1] * grid[2] // (MERGE * MERGE)


def encode_grids(visual: nn.Module, patches: Tensor, grid_thw: Tensor | Grid) -> Tensor:
    """Vision tokens of pictures with equal grids, as one batch; differentiable.

    Args:
        visual: `Qwen2VLForConditionalGeneration.model.visual`.
        patches: float (n, t*h*w, PATCH_DIM).
        grid_thw: the grid that all share: (t, h, w), or (n, 3) with equal rows.

    Returns:
        (n, tokens, text width), equal to the stock tower's to rounding.

    Raises:
        ValueError: grids differ (use `encode_mixed`), or do not fit the patches.
    """
    grid = _one_grid(grid_thw)
    count, length, _ = patches.shape
    if length != grid[0] * grid[1] * grid[2]:
        raise ValueError(f"{length} patches do not fit a grid of {grid}")
    tower: Any = visual
    if count == 0:
        return patches.new_zeros(0, token_count(grid), tower.config.hidden_size)
    hidden = _embed(tower.patch_embed, patches)
    positions = patch_positions(grid).to(hidden.device)
    cos, sin = tower.rotary_pos_emb(hidden[0], positions)
    cos, sin = cos[:, None].float(), sin[:, None].float()  # (length, 1, head dim)
    for block in tower.blocks:
        hidden = hidden + _attend(block.attn, block.norm1(hidden), cos, sin)
        hidden = hidden + block.mlp(block.norm2(hidden))
    merger = tower.merger
    merged = merger.ln_q(hidden).reshape(count, token_count(grid), -1)
    return merger.mlp(merged)


def encode_mixed(visual: nn.Module, patches: Patches) -> list[Tensor]:
    """Vision tokens of pictures of any sizes: a (tokens, text width) tensor each; equal grids go together."""
    groups: dict[Grid, list[int]] = defaultdict(list)
    for place, grid in enumerate(patches.grids):
        groups[grid].append(place)
    pieces = patches.each()
    device = next(visual.parameters()).device
    found: list[Tensor | None] = [None] * len(pieces)
    for grid, group in groups.items():
        tokens = encode_grids(visual, torch.stack([pieces[place] for place in group]).to(device), grid)
        for place, row in zip(group, tokens, strict=True):
            found[place] = row
    return [row for row in found if row is not None]


def _one_grid(grid_thw: Tensor | Grid) -> Grid:
    rows = torch.as_tensor(grid_thw).reshape(-1, 3)
    if len(rows) == 0 or not bool((rows == rows[0]).all()):
        raise ValueError("encode_grids takes pictures of one grid; use encode_mixed for several")
    t, h, w = rows[0].tolist()
    return t, h, w


def _embed(patch_embed: Any, patches: Tensor) -> Tensor:
    """The patch embedding as one matrix product: its convolution's stride is its kernel."""
    weight = patch_embed.proj.weight
    return F.linear(patches.to(weight.dtype), weight.reshape(weight.shape[0], -1), patch_embed.proj.bias)


def patch_positions(grid: Grid) -> Tensor:
    """int64 (t*h*w, 2): row and column of each patch, in merged order."""
    t, h, w = grid
    rows = torch.arange(h).view(-1, 1).expand(h, w)
    columns = torch.arange(w).view(1, -1).expand(h, w)
    both = torch.stack([rows, columns], dim=-1)
    both = both.reshape(h // MERGE, MERGE, w // MERGE, MERGE, 2).transpose(1, 2).reshape(-1, 2)
    return both.repeat(t, 1)


def _attend(attention: Any, hidden: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    count, length, width = hidden.shape
    qkv = attention.qkv(hidden).reshape(count, length, 3, attention.num_heads, -1)
    query, key, value = qkv.unbind(2)  # each (count, length, heads, head dim)
    query, key = _rotate(query, cos, sin), _rotate(key, cos, sin)
    mixed = F.scaled_dot_product_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), scale=attention.scaling
    )
    return attention.proj(mixed.transpose(1, 2).reshape(count, length, width))


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.float().chunk(2, dim=-1)
    turned = torch.cat((-second, first), dim=-1)
    return (x.float() * cos + turned * sin).to(x.dtype)


BATCH = 32


@dataclass(frozen=True)
class VisionTokens:
    """What the language model sees of a picture: tokens (t*h*w/4, width), on the model's device.

    infrared: the picture has no colour at all.
    """

    tokens: Tensor
    grid: Grid
    infrared: bool = False


class VisionReader:
    """Reads pictures with a vision tower under one image rule. Not thread-safe: the model has the lock."""

    def __init__(self, visual: Any, rule: ImageRule, cache: BoundedCache[VisionTokens]) -> None:
        self._visual = visual
        self._rule = rule
        self._cache = cache
        self._device = next(visual.parameters()).device
        # As many as this process computes with: Pillow decodes and resizes without Python's lock.
        threads = torch.get_num_threads()
        self._decoders = ThreadPoolExecutor(threads, "decoder") if threads > 1 else None

    def see(
        self,
        pictures: Sequence[Picture],
        *,
        stop: Callable[[], bool] | None = None,
        skip_unreadable: bool = False,
    ) -> list[VisionTokens | None]:
        """One entry per picture; None where `stop` came first, or (with skip_unreadable) it cannot be opened.

        Raises:
            OSError, ValueError: from a picture's own load, without skip_unreadable.
        """
        found: list[VisionTokens | None] = [self._cache.get(picture.key) for picture in pictures]
        missing = [place for place, seen in enumerate(found) if seen is None]
        for start in range(0, len(missing), BATCH):
            if stop is not None and stop():
                break
            batch = []
            places = missing[start : start + BATCH]
            for place, image in zip(places, self._open([pictures[p] for p in places]), strict=True):
                if not isinstance(image, Exception):
                    batch.append((place, image))
                elif not skip_unreadable:
                    raise image
            for (place, _), seen in zip(batch, self._encode([image for _, image in batch]), strict=True):
                found[place] = seen
                size = seen.tokens.numel() * seen.tokens.element_size()
                self._cache.put(pictures[place].key, seen, size)
        return found

    def _open(self, pictures: Sequence[Picture]) -> Iterable[Image.Image | OSError | ValueError]:
        """Each picture at the rule's size, or why it cannot be opened; several are decoded at a time."""

        def opened(picture: Picture) -> Image.Image | OSError | ValueError:
            try:
                return apply_rule(self._rule, picture.load())
            except (OSError, ValueError) as error:
                return error

        return (self._decoders.map if self._decoders else map)(opened, pictures)

    @torch.inference_mode()
    def _encode(self, images: Sequence[Any]) -> list[VisionTokens]:
        patches = pixel_patches(images)
        pieces = patches.each()
        infrared = [is_colourless(image) for image in images]
        found: dict[int, VisionTokens] = {}
        for grid in dict.fromkeys(patches.grids):
            group = [place for place, other in enumerate(patches.grids) if other == grid]
            values = torch.stack([pieces[place] for place in group]).to(self._device)
            tokens = encode_grids(self._visual, fixed_batch(values, BATCH), grid)[: len(group)]
            for place, row in zip(group, tokens, strict=True):
                # A view would keep its whole batch alive.
                found[place] = VisionTokens(row.clone(), grid, infrared[place])
        return [found[place] for place in range(len(images))]


def fixed_batch(rows: Tensor, size: int) -> Tensor:
    """Off the CPU, rows repeated up to `size`: kernels are chosen by shape, and one shape gives one result.

    On a CPU in float32 another shape changes a row by rounding alone, and padding would cost time.
    """
    if rows.device.type == "cpu" or len(rows) == size or len(rows) == 0:
        return rows
    return torch.cat([rows, rows[-1:].expand(size - len(rows), *rows.shape[1:])])
