"""The language model's last layer for those rows alone that are asked for.

Of the other rows nothing but keys and values is seen by anybody: with five layers, a fifth of a question's products.
Imports torch; imported only by what runs the model.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.qwen2_vl.modeling_qwen2_vl import eager_attention_forward, rotate_half


def last_layer(
    layer: Any, rows: Tensor, rotary: tuple[Tensor, Tensor], mask: Tensor, cache: Any, ends: Tensor | slice
) -> Tensor:
    """What `layer`, a Qwen2VLDecoderLayer, makes of some rows, to rounding; the cache gets the keys and values of all.

    Args:
        rows: (b, n, width). rotary: cosines and sines (b or 1, n, head size). mask: (1, 1, n, before + n), as the
            attention takes it. ends: m of the n, int64 or a slice; with none, only the cache changes.

    Returns:
        (b, m, width)
    """
    attend, seen = layer.self_attn, layer.input_layernorm(rows)
    cos, sin = (part[:, None] for part in rotary)  # the same for all heads
    keys = _turned(_heads(attend, attend.k_proj(seen)), cos, sin)
    keys, values = cache.update(keys, _heads(attend, attend.v_proj(seen)), attend.layer_idx)
    rows = rows[:, ends]
    if not rows.shape[1]:
        return rows
    queries = _turned(_heads(attend, attend.q_proj(seen[:, ends])), cos[:, :, ends], sin[:, :, ends])
    attention = ALL_ATTENTION_FUNCTIONS.get_interface(
        attend.config._attn_implementation, eager_attention_forward
    )
    options: dict[str, Any] = {"dropout": 0.0, "scaling": attend.scaling}
    options["sliding_window"] = attend.sliding_window
    mixed, _ = attention(attend, queries, keys, values, mask[:, :, ends], **options)
    rows = rows + attend.o_proj(mixed.reshape(*rows.shape[:2], -1))
    return rows + layer.mlp(layer.post_attention_layernorm(rows))


def _heads(attend: Any, product: Tensor) -> Tensor:
    """(b, n, heads * size) -> (b, heads, n, size)."""
    return product.view(*product.shape[:2], -1, attend.head_dim).transpose(1, 2)


def _turned(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return heads * cos + rotate_half(heads) * sin
