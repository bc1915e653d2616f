"""Asking one question about many candidates: the prefix once, then the candidates' blocks in batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from app.model.layout import PairLayout, Sequence3
from app.model.tokens import Seen, fixed_batch


@dataclass(frozen=True)
class Prefix:
    """A computed prefix: (key, value) per layer, each (1, heads, length, head size); length 0 has none."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    length: int


class LanguageModel:
    """The language side of a Qwen2-VL, driven by embeddings and explicit positions. Not thread-safe."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.text = model.model.language_model
        self.embed = model.get_input_embeddings()
        self.device = self.embed.weight.device
        self.dtype = self.embed.weight.dtype
        self._additive = self.text.config._attn_implementation == "eager"

    def embeddings(self, ids: Tensor, pictures: Sequence[Seen], spans: Sequence[tuple[int, int]]) -> Tensor:
        """(n, width): the ids' embeddings, with each picture's vision tokens in its span."""
        rows = self.embed(ids.to(self.device)).clone()
        for seen, (start, end) in zip(pictures, spans, strict=True):
            rows[start:end] = seen.tokens.to(rows)
        return rows

    def prefix(
        self, ids: Tensor, positions: Tensor, pictures: Sequence[Seen], spans: Sequence[tuple[int, int]]
    ) -> Prefix:
        """Compute a prefix that others go on from."""
        from transformers import DynamicCache

        cache = DynamicCache()
        rows = self.embeddings(ids, pictures, spans)[None]
        self._forward(rows, positions[:, None], cache)
        layers: list[Any] = list(cache.layers)
        return Prefix(tuple((layer.keys, layer.values) for layer in layers), len(ids))

    def extend(
        self,
        prefix: Prefix,
        rows: Tensor,
        positions: Tensor,
        *,
        keep: bool = False,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Go on from one prefix with a batch.

        Args:
            rows: (b, n, width) embeddings; positions: (3, n), the same for all.
            keep: also return the cache, to be continued by `step`.
            mask: bool (n, prefix + n), who sees whom; None for everything before.

        Returns:
            hidden states (b, n, width), and the cache or None.
        """
        from transformers import DynamicCache

        count = len(rows)
        shared = [
            (key.expand(count, -1, -1, -1), value.expand(count, -1, -1, -1)) for key, value in prefix.layers
        ]
        cache = DynamicCache(shared)
        hidden = self._forward(rows, positions[:, None].expand(-1, count, -1), cache, mask)
        return hidden, cache if keep else None

    def step(self, ids: Tensor, position: int, cache: Any) -> Tensor:
        """One more token each: ids (b,) -> hidden states (b, width)."""
        positions = torch.full((3, len(ids), 1), position)
        return self._forward(self.embed(ids.to(self.device))[:, None], positions, cache)[:, -1]

    def _forward(self, rows: Tensor, positions: Tensor, cache: Any, sees: Tensor | None = None) -> Tensor:
        done, new = cache.get_seq_length(), rows.shape[1]
        if sees is None:
            place = torch.arange(done, done + new, device=self.device)
            sees = torch.arange(done + new, device=self.device)[None, :] <= place[:, None]
        mask = sees.to(self.device)[None, None]
        if self._additive:
            mask = torch.zeros(mask.shape, dtype=rows.dtype, device=self.device).masked_fill(
                ~mask, torch.finfo(rows.dtype).min
            )
        masks = dict.fromkeys(self.text.config.layer_types, mask)
        return self.text(
            inputs_embeds=rows.to(self.dtype),
            position_ids=positions.to(self.device),
            attention_mask=masks,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state

    def logits(self, hidden: Tensor, ids: Sequence[int] | None = None) -> Tensor:
        """float32 (..., vocabulary), or (..., len(ids)) of these ids alone.

        The product of the few rows is taken in float32: in bfloat16 two close answers would fall together.
        """
        head = self.model.lm_head
        if ids is None:
            return head(hidden).float()
        chosen = list(ids)
        if type(head) is torch.nn.Linear:
            return F.linear(hidden.float(), head.weight[chosen].float())
        return head(hidden).float()[..., chosen]


def score_blocks(
    language: LanguageModel,
    prefix: Prefix,
    layout: PairLayout,
    candidates: Sequence[Seen],
    answers: tuple[int, int],
    batch: int,
) -> Tensor:
    """float32 (len(candidates),): logit(yes) - logit(no) for candidates of the layout's grid."""
    block = language.embeddings(layout.block_ids, [], [])
    start, end = layout.block_image_span
    rows = block.expand(len(candidates), -1, -1).clone()
    rows[:, start:end] = torch.stack([seen.tokens for seen in candidates]).to(rows)
    hidden, _ = language.extend(prefix, fixed_batch(rows, batch), layout.block_positions)
    logits = language.logits(hidden[: len(candidates), -1], answers)
    return logits[:, 0] - logits[:, 1]


def last_hidden(language: LanguageModel, sequence: Sequence3, pictures: Sequence[Seen], count: int) -> Tensor:
    """(count, width): the hidden states at the last `count` tokens of one whole sequence."""
    empty = Prefix((), 0)
    rows = language.embeddings(sequence.ids, pictures, sequence.image_spans)[None]
    return language.extend(empty, rows, sequence.positions)[0][0, -count:]
