"""The language model's layers as training runs them: many rows or packed blocks at once, in few and large operations.

`Layer` is one layer of a Qwen2-VL. `StockLayer` calls the model's own modules, adapters included. `RoundedLayer` takes
their weights as they are at its making, rounded once for all that a step asks: everything between the embeddings and
the answers is then in one dtype, and a GPU is given half as many operations as by the modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from app.model.vision import Grid, patch_positions, token_count

Turn = tuple[Tensor, Tensor]


class Layer(Protocol):
    """One layer. rows: (n, length, width)."""

    scale: float

    def project(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """-> query, key, value, each (n, heads, length, head size); keys and values repeated, nothing turned."""
        ...

    def go_on(self, rows: Tensor, mixed: Tensor) -> Tensor:
        """The rows behind this layer. mixed: what attention found, (n, length, heads * head size)."""
        ...


class StockLayer:
    """The model's own modules."""

    def __init__(self, layer: Any) -> None:
        self.layer, self.attention = layer, layer.self_attn
        self.scale: float = self.attention.scaling

    def project(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        attention, normed = self.attention, self.layer.input_layernorm(rows)
        size, groups = attention.head_dim, attention.num_key_value_groups
        q, k, v = (
            part(normed).unflatten(2, (-1, size)).transpose(1, 2)
            for part in (attention.q_proj, attention.k_proj, attention.v_proj)
        )
        return q, k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)

    def go_on(self, rows: Tensor, mixed: Tensor) -> Tensor:
        rows = rows + self.attention.o_proj(mixed)
        return rows + self.layer.mlp(self.layer.post_attention_layernorm(rows))


class RoundedLayer:
    """The weights of a stock layer in a dtype; gradients reach them as they are."""

    def __init__(self, layer: Any, dtype: torch.dtype) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        parts = (attention.q_proj, attention.k_proj, attention.v_proj)
        self.weight = torch.cat([part.weight for part in parts]).to(dtype)
        self.bias = torch.cat([part.bias for part in parts]).to(dtype)
        self.out = attention.o_proj.weight.to(dtype)
        self.gates = torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight]).to(dtype)
        self.down = mlp.down_proj.weight.to(dtype)
        self.before = RoundedNorm(layer.input_layernorm, dtype)
        self.after = RoundedNorm(layer.post_attention_layernorm, dtype)
        self.size, self.groups = attention.head_dim, attention.num_key_value_groups
        self.heads = attention.q_proj.out_features // self.size
        self.scale: float = attention.scaling

    def project(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        every = (
            F.linear(self.before(rows), self.weight, self.bias).unflatten(2, (-1, self.size)).transpose(1, 2)
        )
        few = (every.shape[1] - self.heads) // 2
        q, k, v = every.split([self.heads, few, few], 1)
        return q, k.repeat_interleave(self.groups, 1), v.repeat_interleave(self.groups, 1)

    def go_on(self, rows: Tensor, mixed: Tensor) -> Tensor:
        rows = rows + F.linear(mixed, self.out)
        gate, up = F.linear(self.after(rows), self.gates).chunk(2, 2)
        return rows + F.linear(F.silu(gate) * up, self.down)


class RoundedNorm:
    """An RMS norm of the language model, or a layer norm of the tower, in a dtype."""

    def __init__(self, norm: Any, dtype: torch.dtype) -> None:
        self.weight = norm.weight.to(dtype)
        self.bias = norm.bias.to(dtype) if getattr(norm, "bias", None) is not None else None
        self.epsilon: float = getattr(norm, "variance_epsilon", None) or norm.eps

    def __call__(self, rows: Tensor) -> Tensor:
        if self.bias is None:
            return F.rms_norm(rows, self.weight.shape, self.weight, self.epsilon)
        return F.layer_norm(rows, self.weight.shape, self.weight, self.bias, self.epsilon)


class Decoder:
    """A language model's layers; rows go through them in the dtype of `of`.

    rounded: with weights rounded once; otherwise the model's own modules.
    """

    def __init__(self, model: Any, *, rounded: bool = False) -> None:
        self.text, self.head = model.model.language_model, model.lm_head
        self.embed = model.get_input_embeddings()
        self.device: torch.device = self.embed.weight.device
        self.dtype: torch.dtype | None = product_dtype(self.embed.weight) if rounded else None
        self.layers: Sequence[Layer]
        if self.dtype is None:
            self.layers, self._norm = [StockLayer(layer) for layer in self.text.layers], self.text.norm
        else:
            self.layers = [RoundedLayer(layer, self.dtype) for layer in self.text.layers]
            self._norm = RoundedNorm(self.text.norm, self.dtype)

    def __call__(self, rows: Tensor, positions: Tensor, sees: Tensor | None = None) -> Tensor:
        """The rows (n, length, width) behind the last layer's norm.

        positions (3, n or 1, length). sees: bool, broadcast over (n, heads, length, length); None: what stands before.
        """
        with self._exactly():
            rows = self.begin(rows)
            turn = self.turn(rows, positions)
            for layer in self.layers:
                q, k, v = layer.project(rows)
                mixed = F.scaled_dot_product_attention(
                    turned(q, turn),
                    turned(k, turn),
                    v,
                    attn_mask=sees,
                    is_causal=sees is None,
                    scale=layer.scale,
                )
                rows = layer.go_on(rows, mixed.transpose(1, 2).flatten(2))
            return self._norm(rows)

    def packed(
        self,
        prefixes: Tensor,
        positions: Tensor,
        real: Tensor,
        blocks: Tensor,
        block_positions: Tensor,
        block_real: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """(Q, M, width): the last place of each block, behind the last layer and the norm; and (Q, M, B, width), all of
        its places as the last layer takes them. A block sees its prefix, and itself so far.

        prefixes (Q, P, width) with positions (3, Q, P), real bool (Q, P) where they are not padded; blocks
        (Q, M, B, width) with block_positions (3, Q, B), block_real bool (Q, B), or (3, Q, M, B) and (Q, M, B) where
        those of one prefix are not alike.
        """
        with self._exactly():
            prefix, rows = self.begin(prefixes), self.begin(blocks)
            count, many, size, _ = rows.shape
            length = prefix.shape[1]
            rows = rows.flatten(0, 1)
            prefix_turn = self.turn(prefix, positions)
            if alike := block_real.ndim == 2:
                turn: Any = self.turn(prefix, block_positions)
                turn = tuple(part.repeat_interleave(many, 0) for part in turn)
            else:
                turn, block_real = self.turn(prefix, block_positions.flatten(1, 2)), block_real.flatten(0, 1)
            causal = torch.ones(length, length, dtype=torch.bool, device=self.device).tril()
            see_prefix = causal & real[:, None, None]
            itself = torch.ones(size, size, dtype=torch.bool, device=self.device).tril() & block_real[:, None]
            if alike:
                itself = itself.repeat_interleave(many, 0)
            before = real.repeat_interleave(many, 0)[:, None].expand(-1, size, -1)
            sees = torch.cat([before, itself], 2)[:, None]  # (Q * M, 1, B, P + B)
            last = len(self.layers) - 1
            before_last = rows
            for number, layer in enumerate(self.layers):
                if number == last:
                    before_last = rows
                q, k, v = layer.project(prefix)
                k = turned(k, prefix_turn)
                if number < last:
                    mixed = F.scaled_dot_product_attention(
                        turned(q, prefix_turn), k, v, attn_mask=see_prefix, scale=layer.scale
                    )
                    prefix = layer.go_on(prefix, mixed.transpose(1, 2).flatten(2))
                bq, bk, bv = layer.project(rows)
                bq, bk = turned(bq, turn), turned(bk, turn)
                if number == last:  # nothing but the answer's place is read
                    bq, rows, sees = bq[:, :, -1:], rows[:, -1:], sees[:, :, -1:]
                keys, values = (
                    torch.cat(
                        [first[:, None].expand(-1, many, -1, -1, -1), own.unflatten(0, (count, many))], 3
                    ).flatten(0, 1)
                    for first, own in ((k, bk), (v, bv))
                )
                mixed = F.scaled_dot_product_attention(bq, keys, values, attn_mask=sees, scale=layer.scale)
                rows = layer.go_on(rows, mixed.transpose(1, 2).flatten(2))
            return self._norm(rows).view(count, many, -1), before_last.view(count, many, size, -1)

    def early_logits(self, rows: Tensor, ids: Tensor) -> Tensor:
        """float32 (..., ids): what rows before the last layer would answer if it were left out."""
        with self._exactly():
            normed = self._norm(rows)
        return self.logits(normed, ids)

    def begin(self, rows: Tensor) -> Tensor:
        """Embeddings as the layers take them."""
        return rows if self.dtype is None else rows.to(self.dtype)

    def turn(self, rows: Tensor, positions: Tensor) -> Turn:
        """Cosines and sines of rotary positions (3, n, length): (n, 1, length, head size) each; the sines of the first
        half are negative."""
        cos, sin = self.text.rotary_emb(rows, positions)
        first, second = sin.chunk(2, 2)
        return cos[:, None], torch.cat((-first, second), 2)[:, None]

    def logits(self, hidden: Tensor, ids: Tensor | None = None) -> Tensor:
        """float32 (..., vocabulary), or (..., ids): in bfloat16 two close answers would fall together."""
        weight = self.head.weight if ids is None else self.head.weight[ids]
        with torch.autocast(hidden.device.type, enabled=False):
            return F.linear(hidden.float(), weight.float())

    def _exactly(self) -> Any:
        """Rounded layers round for themselves; the model's own are rounded by the autocast around them."""
        enabled = self.dtype is None and rounds(self.device.type)
        return torch.autocast(self.device.type, enabled=enabled)


def encode_rounded(visual: Any, patches: Tensor, grid: Grid) -> Tensor:
    """As `app.model.vision.encode_grids`: vision tokens (n, tokens, text width), all of it in the dtype of products."""
    weight = visual.patch_embed.proj.weight
    dtype = product_dtype(weight)

    def linear(rows: Tensor, module: Any) -> Tensor:
        return F.linear(rows, module.weight.to(dtype), module.bias.to(dtype))

    with torch.autocast(patches.device.type, enabled=False):
        bias = visual.patch_embed.proj.bias
        rows = F.linear(
            patches.to(dtype), weight.flatten(1).to(dtype), None if bias is None else bias.to(dtype)
        )
        positions = on_device(patch_positions(grid).numpy(), rows.device)
        cos, sin = visual.rotary_pos_emb(rows[0], positions)
        first, second = sin.chunk(2, -1)
        turn = cos.to(dtype), torch.cat((-first, second), -1).to(dtype)
        for block in visual.blocks:
            attention = block.attn
            every = linear(RoundedNorm(block.norm1, dtype)(rows), attention.qkv)
            q, k, v = every.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
            mixed = F.scaled_dot_product_attention(
                turned(q, turn), turned(k, turn), v, scale=attention.scaling
            )
            rows = rows + linear(mixed.transpose(1, 2).flatten(2), attention.proj)
            inner = block.mlp.act(linear(RoundedNorm(block.norm2, dtype)(rows), block.mlp.fc1))
            rows = rows + linear(inner, block.mlp.fc2)
        merger = visual.merger
        merged = RoundedNorm(merger.ln_q, dtype)(rows).reshape(len(rows), token_count(grid), -1)
        return linear(merger.mlp[1](linear(merged, merger.mlp[0])), merger.mlp[2])


def turned(rows: Tensor, turn: Turn) -> Tensor:
    """(n, heads, length, head size) with their rotary positions; turn as of `Decoder.turn`."""
    cos, sin = (part.to(rows.dtype) for part in turn)
    return torch.addcmul(rows * cos, rows.roll(rows.shape[-1] // 2, -1), sin)


def product_dtype(like: Tensor) -> torch.dtype:
    """That in which products of this tensor are taken here: autocast's, or its own."""
    device = like.device.type
    return torch.get_autocast_dtype(device) if rounds(device) else like.dtype


def rounds(device: str) -> bool:
    """Whether autocast is on, for a type of device; some have none."""
    return device in ("cpu", "cuda") and torch.is_autocast_enabled(device)


def on_device(array: np.ndarray, device: torch.device | str) -> Tensor:
    """The array as a tensor there. A GPU is not waited for."""
    tensor = torch.from_numpy(array)
    if torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
