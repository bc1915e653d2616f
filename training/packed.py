"""The packed listwise objective: one query, many candidates, each asked exactly the run-time pair question.

Plain yes/no pairs with cross-entropy sit at chance for thousands of steps. Here the query's prefix is
computed once, each candidate's block sees the prefix and itself alone, its positions going on from the
prefix's, and the answers' log-odds are ranked against each other. `scores` equals asking each pair by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from app.model.scoring import PairLayout


@dataclass(frozen=True)
class QueryArrays:
    """Questions of one kind as arrays, padded to the longest prefix; made without a model, by any process.

    ids int64 (Q, P), positions int64 (3, Q, P), real bool (Q, P): the prefixes'. places int64 (k,): where in the
    flattened prefixes the vision tokens of their pictures stand, picture after picture. block_ids int64 (B,),
    block_positions int64 (3, Q, B): a candidate's block.
    """

    ids: np.ndarray
    positions: np.ndarray
    real: np.ndarray
    places: np.ndarray
    block_ids: np.ndarray
    block_positions: np.ndarray


@dataclass(frozen=True)
class PackedQueries:
    """Questions of one kind, padded to the longest prefix.

    rows (Q, P, width): prefix embeddings, vision tokens in place; positions (3, Q, P); real (Q, P) bool;
    block_rows (B, width): embeddings of a candidate's block, its first `tokens` to be filled with vision
    tokens; block_positions (3, Q, B).
    """

    rows: Tensor
    positions: Tensor
    real: Tensor
    block_rows: Tensor
    block_positions: Tensor


def lay_out(layouts: Sequence[PairLayout]) -> QueryArrays:
    """Raises ValueError where the questions do not end with the same block."""
    block = layouts[0].block_ids
    if not all(torch.equal(layout.block_ids, block) for layout in layouts):
        raise ValueError("packed questions end with the same block")
    count, longest = len(layouts), max(len(layout.prefix_ids) for layout in layouts)
    ids, positions = np.zeros((count, longest), np.int64), np.zeros((3, count, longest), np.int64)
    real, places = np.zeros((count, longest), bool), [np.zeros(0, np.int64)]
    for number, layout in enumerate(layouts):
        length = len(layout.prefix_ids)
        ids[number, :length], positions[:, number, :length] = layout.prefix_ids, layout.prefix_positions
        real[number, :length] = True
        places += [np.arange(start, end) + number * longest for start, end in layout.prefix_image_spans]
    blocks = np.stack([layout.block_positions.numpy() for layout in layouts], 1)
    return QueryArrays(ids, positions, real, np.concatenate(places), block.numpy(), blocks)


def embed_queries(model: Any, queries: QueryArrays, tokens: Tensor) -> PackedQueries:
    """tokens (k, width): of the prefixes' pictures, one after another."""
    embed = model.get_input_embeddings()
    device = embed.weight.device
    ids, positions, real, places, block_ids, block_positions = (
        torch.from_numpy(one).to(device)
        for one in (
            queries.ids,
            queries.positions,
            queries.real,
            queries.places,
            queries.block_ids,
            queries.block_positions,
        )
    )
    rows = embed(ids)
    if len(places):
        flat = rows.flatten(0, 1).index_copy(0, places, tokens.to(rows.dtype))
        rows = flat.view(rows.shape)
    return PackedQueries(rows, positions, real, embed(block_ids), block_positions)


def collate(
    model: Any, layouts: Sequence[PairLayout], references: Sequence[Sequence[Tensor]]
) -> PackedQueries:
    """Layouts of one kind of question and, for each, the vision tokens (T, width) of its reference pictures."""
    tokens = [picture for pictures in references for picture in pictures]
    width = model.get_input_embeddings().weight.shape[1]
    return embed_queries(model, lay_out(layouts), torch.cat(tokens) if tokens else torch.zeros(0, width))


def scores(model: Any, queries: PackedQueries, candidates: Tensor, yes_no: tuple[int, int]) -> Tensor:
    """logit(yes) - logit(no) of every candidate for every query: (Q, M). candidates: vision tokens (M, T, width)."""
    text = model.model.language_model
    count, length, width = queries.rows.shape
    many, tokens = candidates.shape[:2]
    block = queries.block_rows.expand(many, -1, -1)
    block = torch.cat([candidates, block[:, tokens:]], 1)
    size = block.shape[1]
    prefix, blocks = queries.rows, block.expand(count, -1, -1, -1)
    prefix_turn = text.rotary_emb(prefix, queries.positions)
    block_turn = text.rotary_emb(prefix, queries.block_positions)
    causal = torch.ones(length, length, dtype=torch.bool, device=prefix.device).tril()
    see_prefix = causal[None, None] & queries.real[:, None, None]
    see_self = torch.ones(size, size, dtype=torch.bool, device=prefix.device).tril()
    hidden = prefix.new_zeros(count, 1, 1, length).masked_fill(~queries.real[:, None, None], -1e4)
    ahead = prefix.new_zeros(size, size).masked_fill(~see_self, -1e4)
    for layer in text.layers:
        attention, last = layer.self_attn, layer is text.layers[-1]
        normed = layer.input_layernorm(prefix)
        q, k, v = _project(attention, normed)
        q, k = _turn(q, prefix_turn), _turn(k, prefix_turn)
        if not last:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=see_prefix, scale=attention.scaling)
            prefix = prefix + attention.o_proj(mixed.transpose(1, 2).reshape(count, length, -1))
            prefix = prefix + layer.mlp(layer.post_attention_layernorm(prefix))

        normed = layer.input_layernorm(blocks)
        bq, bk, bv = _project(attention, normed.reshape(count, many * size, width))
        heads, head = bq.shape[1], bq.shape[3]
        turn = tuple(part.repeat(1, many, 1) for part in block_turn)
        bq, bk = _turn(bq, turn) * attention.scaling, _turn(bk, turn)
        bq, bk, bv = (part.view(count, heads, many, size, head) for part in (bq, bk, bv))
        asked = size
        if last:  # nothing but the answer's place is read
            bq, blocks, asked = bq[:, :, :, -1:], blocks[:, :, -1:], 1
        to_prefix = bq.reshape(count, heads, many * asked, head) @ k.transpose(2, 3) + hidden
        to_self = bq @ bk.transpose(3, 4) + ahead[-asked:]
        share = torch.cat([to_prefix.view(count, heads, many, asked, length), to_self], 4).softmax(4)
        from_prefix = share[..., :length].reshape(count, heads, many * asked, length) @ v
        mixed = from_prefix.view(count, heads, many, asked, head) + share[..., length:] @ bv
        mixed = mixed.permute(0, 2, 3, 1, 4).reshape(count, many, asked, heads * head)
        blocks = blocks + attention.o_proj(mixed)
        blocks = blocks + layer.mlp(layer.post_attention_layernorm(blocks))
    answer = text.norm(blocks[:, :, -1])
    # In bfloat16 two close answers would fall together.
    with torch.autocast(answer.device.type, enabled=False):
        odds = F.linear(answer.float(), model.lm_head.weight[list(yes_no)].float())
    return odds[..., 0] - odds[..., 1]


def listwise_loss(odds: Tensor, right: Tensor, ignored: Tensor, binary: float = 0.3) -> Tensor:
    """Softmax over the candidates of each query, plus a share of binary cross-entropy for calibration.

    odds (Q, M); right, ignored bool (Q, M). Each right candidate is ranked against all wrong ones; queries
    without a right one only teach "no". Positives weigh as much as negatives in the binary part.
    """
    wrong = ~right & ~ignored
    rest = odds.masked_fill(~wrong, -1e4).logsumexp(1, keepdim=True)
    outranked = F.softplus(rest - odds)
    ranked = (outranked * right).sum(1).div(right.sum(1).clamp(min=1))  # 0 for a query without a right one
    loss = ranked.sum() / right.any(1).sum().clamp(min=1)
    yes = (F.softplus(-odds) * right).sum() / right.sum().clamp(min=1)
    no = (F.softplus(odds) * wrong).sum() / wrong.sum().clamp(min=1)
    return loss + binary * (yes + no) / 2


def _project(attention: Any, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(n, length, width) -> query, key, value, each (n, heads, length, head size); keys and values repeated."""
    n, length, _ = rows.shape
    size, groups = attention.head_dim, attention.num_key_value_groups
    q = attention.q_proj(rows).view(n, length, -1, size).transpose(1, 2)
    k = attention.k_proj(rows).view(n, length, -1, size).transpose(1, 2)
    v = attention.v_proj(rows).view(n, length, -1, size).transpose(1, 2)
    return q, k.repeat_interleave(groups, 1), v.repeat_interleave(groups, 1)


def _turn(rows: Tensor, turn: tuple[Tensor, ...]) -> Tensor:
    cos, sin = turn[0][:, None], turn[1][:, None]
    first, second = rows.chunk(2, dim=-1)
    return rows * cos + torch.cat((-second, first), dim=-1) * sin
