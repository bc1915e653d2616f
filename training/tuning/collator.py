"""Instruction samples -> what Qwen2-VL takes: ids, positions, patches, and labels on the answers alone.

Prompts, ids and positions are made by app.model.scoring, as at run time. Loss weights are part of a batch:
they add up to 1 over a step, however it is cut into passes and over devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

import torch
from PIL import Image
from torch import Tensor

from app.model.pictures import MIN_PIXELS, UNIT, ImageRule, apply_rule
from app.model.scoring import PromptTokens, answer_ids
from app.model.vision import MERGE, PATCH, Grid, pixel_patches, token_count
from training.instructions.sample import InstructionSample

IGNORED = -100  # a label that teaches nothing
END = "<|im_end|>"


class SampleStream(Protocol):
    """Samples by index, and the pictures that they name (training.instructions.stage_samples.Samples)."""

    def __len__(self) -> int: ...

    def sample(self, index: int) -> InstructionSample: ...

    def picture(self, row: int) -> Image.Image: ...


@dataclass(frozen=True)
class TokenizedSample:
    """One sample as tokens. ids, labels int64 (n,): a label stands at its own token, IGNORED elsewhere;
    positions int64 (3, n); sizes: (height, width) in pixels of each picture, as the model gets it."""

    sample: InstructionSample
    ids: Tensor
    labels: Tensor
    positions: Tensor
    sizes: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def answer_tokens(self) -> int:
        return int((self.labels != IGNORED).sum())


@dataclass(frozen=True)
class Batch:
    """Samples of one forward pass, padded at the end to the longest: B samples, L tokens, K places that answer.

    ids, types, mask int64 (B, L): types is 1 on vision tokens (`mm_token_type_ids`), mask 0 on padding.
    positions int64 (3, B, L). patches float32 (sum of patches, 1176); grids int64 (pictures, 3).
    keep int64 (K,): the places whose next token is answered by any sample; targets int64 (B, K): that token,
    IGNORED where it is no answer; weights float32 (B, K): each answer token's share of the step's loss.
    tasks: of each sample.
    """

    ids: Tensor
    types: Tensor
    mask: Tensor
    positions: Tensor
    patches: Tensor
    grids: Tensor
    keep: Tensor
    targets: Tensor
    weights: Tensor
    tasks: tuple[str, ...]

    def to(self, device: Any) -> Batch:
        """On a device."""
        moved = {
            entry.name: getattr(self, entry.name).to(device, non_blocking=True)
            for entry in fields(self)
            if entry.name != "tasks"
        }
        return replace(self, **moved)

    def model_inputs(self) -> dict[str, Any]:
        """Keyword arguments of Qwen2VLForConditionalGeneration; its logits are then (B, K, vocabulary)."""
        return {
            "input_ids": self.ids,
            "attention_mask": self.mask,
            "position_ids": self.positions,
            "mm_token_type_ids": self.types,
            "pixel_values": self.patches,
            "image_grid_thw": self.grids,
            "logits_to_keep": self.keep,
            "use_cache": False,
        }


class Collator:
    """Turns samples into tokens, under one image rule.

    longest: tokens; a sample that would be longer gets smaller pictures, all of them bounded alike, down to
    app.model.pictures.MIN_PIXELS.
    """

    def __init__(self, processor: Any, rule: ImageRule, longest: int) -> None:
        self.processor, self.rule, self.longest = processor, rule, longest
        self.image_token = int(processor.image_token_id)
        self.pad = int(processor.tokenizer.pad_token_id)
        self.end = int(processor.tokenizer.convert_tokens_to_ids(END))

    def tokenize(self, sample: InstructionSample, sizes: Sequence[tuple[int, int]]) -> TokenizedSample:
        """A sample as tokens; sizes: (height, width) in pixels of its pictures as they were taken.

        Raises ValueError where the checkpoint's chat template or tokenizer is not a Qwen2-VL's.
        """
        tokens = PromptTokens(self.processor, sample.messages)
        answer = [*answer_ids(self.processor.tokenizer, sample.answer), self.end]
        rule = self._rule(len(tokens.ids) + len(answer), sizes)
        sized = tuple(rule.size(height, width) for height, width in sizes)
        prompt = tokens.fill([_grid(size) for size in sized])
        first = int(prompt.positions.max()) + 1
        positions = torch.arange(first, first + len(answer)).expand(3, -1)
        labels = torch.tensor(answer)
        return TokenizedSample(
            sample,
            torch.cat([prompt.ids, labels]),
            torch.cat([torch.full_like(prompt.ids, IGNORED), labels]),
            torch.cat([prompt.positions, positions], dim=1),
            sized,
        )

    def _rule(self, text: int, sizes: Sequence[tuple[int, int]]) -> ImageRule:
        """The rule, or a tighter one where the sample would not fit into `longest` tokens."""
        return fitting(self.rule, sizes, self.longest - text + len(sizes))

    def batch(
        self,
        tokenized: Sequence[TokenizedSample],
        pictures: Sequence[Sequence[Image.Image]],
        weights: Sequence[float],
    ) -> Batch:
        """One forward pass. pictures: of each sample, as taken; weights: each sample's answer tokens weigh this."""
        longest = max(len(one) for one in tokenized)
        labels = torch.stack([_padded(one.labels, longest, IGNORED) for one in tokenized])
        ids = torch.stack([_padded(one.ids, longest, self.pad) for one in tokenized])
        # The token at place p + 1 is answered at place p.
        targets = torch.cat([labels[:, 1:], labels.new_full((len(tokenized), 1), IGNORED)], dim=1)
        keep = (targets != IGNORED).any(0).nonzero().flatten()
        targets = targets[:, keep]
        each = torch.tensor(weights, dtype=torch.float32)[:, None] * (targets != IGNORED)
        sized = [
            apply_rule(ImageRule("laid", fixed=size), picture)
            for one, taken in zip(tokenized, pictures, strict=True)
            for size, picture in zip(one.sizes, taken, strict=True)
        ]
        patches = pixel_patches(sized)
        return Batch(
            ids=ids,
            types=(ids == self.image_token).long(),
            mask=torch.stack([_padded(torch.ones_like(one.ids), longest, 0) for one in tokenized]),
            positions=torch.stack([_padded(one.positions, longest, 0) for one in tokenized], dim=1),
            patches=patches.values,
            grids=patches.grid_thw,
            keep=keep,
            targets=targets,
            weights=each,
            tasks=tuple(one.sample.task for one in tokenized),
        )


def fitting(rule: ImageRule, sizes: Sequence[tuple[int, int]], tokens: int) -> ImageRule:
    """The rule, or a tighter one by which pictures of these sizes, as taken, have at most `tokens` tokens in all."""
    if sum(token_count(_grid(rule.size(*size))) for size in sizes) <= tokens:
        return rule
    return rule.within(max(MIN_PIXELS, max(0, tokens) // len(sizes) * UNIT * UNIT))


def _grid(size: tuple[int, int]) -> Grid:
    return 1, size[0] // PATCH, size[1] // PATCH


def _padded(row: Tensor, length: int, value: int) -> Tensor:
    return torch.nn.functional.pad(row, (0, length - row.shape[-1]), value=value)


assert UNIT == PATCH * MERGE
