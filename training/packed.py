"""The packed listwise objective: one query, many candidates, each asked exactly the run-time pair question.

Plain yes/no pairs with cross-entropy sit at chance for thousands of steps. Here the query's prefix is
computed once, each candidate's block sees the prefix and itself alone, its positions going on from the
prefix's, and the answers' log-odds are ranked against each other. `answers` equal asking each pair by itself.
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
from training.decoder import Decoder, on_device


@dataclass(frozen=True)
class QueryArrays:
    """Questions of one kind as arrays, padded to the longest prefix; made without a model, by any process.

    ids int64 (Q, P), positions int64 (3, Q, P), real bool (Q, P): the prefixes'. places int64 (k,): where in the
    flattened prefixes the vision tokens of their pictures stand, picture after picture. block_ids int64 (Q, B),
    block_positions int64 (3, Q, B), block_real bool (Q, B): a candidate's block, padded between its picture and what
    stands behind it. one_prefix: all questions begin alike, without a picture: what tells them apart stands behind the
    candidate's.
    """

    ids: np.ndarray
    positions: np.ndarray
    real: np.ndarray
    places: np.ndarray
    block_ids: np.ndarray
    block_positions: np.ndarray
    block_real: np.ndarray

    @property
    def one_prefix(self) -> bool:
        return not len(self.places) and bool((self.ids == self.ids[0]).all() and self.real.all())


@dataclass(frozen=True)
class PackedQueries:
    """Questions of one kind, padded to the longest prefix.

    rows (Q, P, width): prefix embeddings, vision tokens in place; positions (3, Q, P); real (Q, P) bool;
    block_rows (Q, B, width): embeddings of a candidate's block, its first `tokens` to be filled with vision
    tokens; block_positions (3, Q, B); block_real (Q, B) bool.
    """

    rows: Tensor
    positions: Tensor
    real: Tensor
    block_rows: Tensor
    block_positions: Tensor
    block_real: Tensor


def lay_out(layouts: Sequence[PairLayout]) -> QueryArrays:
    """Raises ValueError where the candidates are of more than one grid."""
    span = layouts[0].block_image_span
    if not all(layout.block_image_span == span for layout in layouts):
        raise ValueError("packed questions are about candidates of one grid")
    count, longest = len(layouts), max(len(layout.prefix_ids) for layout in layouts)
    ids, positions = np.zeros((count, longest), np.int64), np.zeros((3, count, longest), np.int64)
    real, places = np.zeros((count, longest), bool), [np.zeros(0, np.int64)]
    size = max(len(layout.block_ids) for layout in layouts)
    block_ids, block_positions = np.zeros((count, size), np.int64), np.zeros((3, count, size), np.int64)
    block_real = np.zeros((count, size), bool)
    for number, layout in enumerate(layouts):
        length = len(layout.prefix_ids)
        ids[number, :length], positions[:, number, :length] = layout.prefix_ids, layout.prefix_positions
        real[number, :length] = True
        places += [np.arange(start, end) + number * longest for start, end in layout.prefix_image_spans]
        tail = len(layout.block_ids) - span[1]
        own = np.r_[: span[1], size - tail : size]  # the answer's place is last in every block
        block_ids[number, own] = layout.block_ids
        block_positions[:, number, own] = layout.block_positions
        block_real[number, own] = True
    return QueryArrays(ids, positions, real, np.concatenate(places), block_ids, block_positions, block_real)


def embed_queries(embed: Any, queries: QueryArrays, tokens: Tensor) -> PackedQueries:
    """embed: the model's input embeddings. tokens (k, width): of the prefixes' pictures, one after another."""
    device = embed.weight.device
    ids, positions, real, places, block_ids, block_positions, block_real = (
        on_device(one, device)
        for one in (
            queries.ids,
            queries.positions,
            queries.real,
            queries.places,
            queries.block_ids,
            queries.block_positions,
            queries.block_real,
        )
    )
    rows = embed(ids)
    if len(places):
        flat = rows.flatten(0, 1).index_copy(0, places, tokens.to(rows.dtype))
        rows = flat.view(rows.shape)
    return PackedQueries(rows, positions, real, embed(block_ids), block_positions, block_real)


def collate(
    model: Any, layouts: Sequence[PairLayout], references: Sequence[Sequence[Tensor]]
) -> PackedQueries:
    """Layouts of one kind of question and, for each, the vision tokens (T, width) of its reference pictures."""
    tokens = [picture for pictures in references for picture in pictures]
    width = model.get_input_embeddings().weight.shape[1]
    return embed_queries(
        model.get_input_embeddings(), lay_out(layouts), torch.cat(tokens) if tokens else torch.zeros(0, width)
    )


@dataclass(frozen=True)
class PackedAnswers:
    """What packed questions were answered.

    odds float32 (Q, M): logit(yes) - logit(no) of every candidate for every query. behind (Q, M, B, width): what stands
    behind each candidate's tokens, as the last layer takes it.
    """

    odds: Tensor
    behind: Tensor


def answers(
    decoder: Decoder, queries: PackedQueries, candidates: Tensor, yes_no: tuple[int, int]
) -> PackedAnswers:
    """Every candidate for every query.

    candidates: tokens (M, T, width), or (Q, M, T, width) where each query has its own.
    """
    count, tokens = len(queries.rows), candidates.shape[-2]
    candidates = candidates.expand(count, *candidates.shape[-3:])
    behind = queries.block_rows[:, None, tokens:].expand(-1, candidates.shape[1], -1, -1)
    ends, before_last = decoder.packed(
        queries.rows,
        queries.positions,
        queries.real,
        torch.cat([candidates, behind], -2),
        queries.block_positions,
        queries.block_real,
    )
    return PackedAnswers(_odds(decoder, ends, yes_no), before_last[:, :, tokens:])


def answers_of_pictures(
    decoder: Decoder, queries: PackedQueries, candidates: Tensor, yes_no: tuple[int, int]
) -> PackedAnswers:
    """As `answers`, where the questions have one prefix and share candidates: each picture goes through the layers
    once, and the words of every question about it look back at it.

    candidates: tokens (S, M, T, width) of S sets; of Q questions the first Q / S are about the first, and so on.
    """
    sets, many, tokens, _ = candidates.shape
    pictures = candidates.flatten(0, 1)
    prefix = queries.rows[:1].expand(len(pictures), -1, -1)
    positions = torch.cat([queries.positions[:, :1], queries.block_positions[:, :1, :tokens]], 2)

    def of_each(behind: Tensor) -> Tensor:
        """(Q, ...) -> (S * M, Q / S, ...)."""
        return behind.unflatten(0, (sets, -1)).repeat_interleave(many, 0)

    def of_questions(rows: Tensor) -> Tensor:
        """(S * M, Q / S, ...) -> (Q, M, ...)."""
        return rows.unflatten(0, (sets, many)).transpose(1, 2).flatten(0, 1)

    block_positions = [of_each(axis) for axis in queries.block_positions[:, :, tokens:]]
    ends, before_last = decoder.packed(
        torch.cat([prefix, pictures.to(prefix.dtype)], 1),
        positions.expand(-1, len(pictures), -1),
        torch.ones(len(pictures), positions.shape[2], dtype=torch.bool, device=prefix.device),
        of_each(queries.block_rows[:, tokens:]),
        torch.stack(block_positions),
        of_each(queries.block_real[:, tokens:]),
    )
    return PackedAnswers(of_questions(_odds(decoder, ends, yes_no)), of_questions(before_last))


def _odds(decoder: Decoder, ends: Tensor, yes_no: tuple[int, int]) -> Tensor:
    """(..., width) -> float32 (...): logit(yes) - logit(no)."""
    logits = decoder.logits(ends, on_device(np.array(yes_no), ends.device))
    return logits[..., 0] - logits[..., 1]


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
    return loss + binary * balanced_loss(odds, right, wrong)


def balanced_loss(odds: Tensor, right: Tensor, wrong: Tensor) -> Tensor:
    """Binary cross-entropy of logit(yes) - logit(no); right, wrong: bool, of its shape, each of which weighs a half."""
    yes = (F.softplus(-odds) * right).sum() / right.sum().clamp(min=1)
    no = (F.softplus(odds) * wrong).sum() / wrong.sum().clamp(min=1)
    return torch.add(yes, no) / 2
