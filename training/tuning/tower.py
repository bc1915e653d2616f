"""The stock vision tower without its loop over pictures: attention takes all pictures of one length in one call.

`app.model.vision.encode_mixed` goes past the tower's blocks, where FSDP gathers weights and checkpointing drops
activations, so a step of samples cannot use it. Here the blocks stay and the attention in them is as batched.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.qwen2_vl.modeling_qwen2_vl import (
    VisionAttention,
    apply_rotary_pos_emb_vision,
    eager_attention_forward,
)
from transformers.utils import is_flash_attn_2_available
from transformers.vision_utils import get_vision_position_ids

from training.tuning.failures import TuningError

ATTENTIONS = ("sdpa", "eager", "flash_attention_2")


@dataclass(frozen=True)
class SameLength:
    """Pictures of one length: how many, how many patches each, and int64 (count * length,): their rows among all
    patches."""

    count: int
    length: int
    rows: Tensor


@dataclass(frozen=True)
class Lengths:
    """Pictures of a pass by length. back: int64, from the groups' rows, one group after the other, to the pictures'
    own order; not needed, as no rows are, where there is one group."""

    groups: tuple[SameLength, ...]
    back: Tensor


def batch_attention(model: Any) -> None:
    """Let a Qwen2-VL's tower attend to all pictures of one length at once; the numbers are the same to rounding.

    model: bare, or with an adapter; before FSDP or DDP wraps it. Flash attention has no loop, and stays as it is.
    """
    visual = bare(model).model.visual
    for block in visual.blocks:
        block.attn.__class__ = _BatchedAttention
    visual.register_forward_pre_hook(_with_lengths, with_kwargs=True)


def set_attention(model: Any, name: str) -> None:
    """Switch the attention of both parts to one of ATTENTIONS. Raises TuningError where it cannot be had."""
    if name == "flash_attention_2" and not is_flash_attn_2_available():
        raise TuningError(
            "flash_attention_2 needs a CUDA device and the package flash-attn; leave --attention out, or"
            " `pip install flash-attn`"
        )
    bare(model).set_attn_implementation(name)


def bare(model: Any) -> Any:
    """The Qwen2-VL in an adapter, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


class _BatchedAttention(VisionAttention):
    def forward(
        self,
        hidden_states: Tensor,
        cu_seqlens: Tensor,
        position_embeddings: Any = None,
        max_seqlen: int | None = None,
        lengths: Lengths | None = None,
        **more: Any,
    ) -> Tensor:
        name = self.config._attn_implementation
        if lengths is None or "flash" in name:
            return super().forward(hidden_states, cu_seqlens, position_embeddings, max_seqlen, **more)
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(name, eager_attention_forward)
        patches = len(hidden_states)
        query, key, value = self.qkv(hidden_states).reshape(patches, 3, self.num_heads, -1).unbind(1)
        query, key = apply_rotary_pos_emb_vision(query, key, *position_embeddings)
        parts, one = [], len(lengths.groups) == 1
        for group in lengths.groups:
            batch = [
                (states if one else states[group.rows])
                .reshape(group.count, group.length, self.num_heads, -1)
                .transpose(1, 2)
                for states in (query, key, value)
            ]
            mixed, _ = attend(self, *batch, attention_mask=None, scaling=self.scaling, is_causal=False)
            parts.append(mixed.reshape(group.count * group.length, -1))
        return self.proj(parts[0] if one else torch.cat(parts)[lengths.back])


def _with_lengths(visual: Any, taken: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Once in a pass, not in every layer: which pictures have one length; and places by size, not by picture."""
    grids = named["grid_thw"] if "grid_thw" in named else taken[1]
    rows = [tuple(row) for row in grids.tolist()]
    places = {
        grid: get_vision_position_ids(torch.tensor([grid]), visual.spatial_merge_size) for grid in set(rows)
    }
    positions = torch.cat([places[grid] for grid in rows]).to(grids.device)
    return taken, {**named, "lengths": by_length(grids), "position_ids": positions}


def by_length(grids: Tensor) -> Lengths:
    """grids: int64 (n, 3), t, h, w in patches; each frame attends to itself alone."""
    starts: dict[int, list[int]] = defaultdict(list)
    at = 0
    for frames, height, width in grids.tolist():
        for _ in range(frames):
            starts[height * width].append(at)
            at += height * width
    rows = {
        length: (torch.tensor(places)[:, None] + torch.arange(length)).flatten()
        for length, places in starts.items()
    }
    groups = [SameLength(len(starts[length]), length, own.to(grids.device)) for length, own in rows.items()]
    return Lengths(tuple(groups), torch.cat(list(rows.values())).argsort().to(grids.device))
