"""Questions with the beginnings of their answers, as padded rows for one pass of the language model.

The arrays are made without a model, by any process; the model's pass takes no decision that depends on a value, so a
GPU is never waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from app.model.scoring import Sequence3


@dataclass(frozen=True)
class Asked:
    """One row: a question, what follows it, and which of its tokens are to be foreseen.

    whole: the question; tail: ids of what follows. pictures: places of its pictures among those that are seen.
    ends: int (k,), places in the row whose next token is asked; targets, weights (k,): that token, and its weight.
    """

    whole: Sequence3
    tail: Sequence[int]
    pictures: Sequence[int]
    ends: Sequence[int]
    targets: Sequence[int]
    weights: Sequence[float]


@dataclass(frozen=True)
class SequenceArrays:
    """Rows padded to the longest, L.

    ids int64 (B, L), positions int64 (3, B, L); places int64 (k,): where in the flattened rows vision tokens stand;
    tokens int64 (k,): which, of the flattened (pictures, tokens) that are seen. ends int64 (a,): of the flattened rows,
    whose next token is asked; targets int64 (a,), weights float32 (a,).
    """

    ids: np.ndarray
    positions: np.ndarray
    places: np.ndarray
    tokens: np.ndarray
    ends: np.ndarray
    targets: np.ndarray
    weights: np.ndarray


def lay_out_rows(rows: Sequence[Asked], tokens_each: int) -> SequenceArrays:
    """tokens_each: vision tokens of a picture."""
    lengths = [len(row.whole.ids) + len(row.tail) for row in rows]
    longest = max(lengths)
    ids, positions = np.zeros((len(rows), longest), np.int64), np.zeros((3, len(rows), longest), np.int64)
    places, tokens = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    each = np.arange(tokens_each)
    for number, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        asked = len(row.whole.ids)
        ids[number, :asked], ids[number, asked:length] = row.whole.ids.numpy(), row.tail
        positions[:, number, :asked] = row.whole.positions
        positions[:, number, asked:length] = int(row.whole.positions.max()) + 1 + np.arange(len(row.tail))
        for picture, (start, stop) in zip(row.pictures, row.whole.image_spans, strict=True):
            places.append(np.arange(start, stop) + number * longest)
            tokens.append(each + picture * tokens_each)
    ends = [number * longest + end for number, row in enumerate(rows) for end in row.ends]
    return SequenceArrays(
        ids,
        positions,
        np.concatenate(places),
        np.concatenate(tokens),
        np.array(ends, np.int64),
        np.array([target for row in rows for target in row.targets], np.int64),
        np.array([weight for row in rows for weight in row.weights], np.float32),
    )


def answer_logits(model: Any, rows: SequenceArrays, seen: Tensor) -> Tensor:
    """(a, vocabulary): what the model expects at the rows' ends. seen: vision tokens (pictures, tokens, width)."""
    embed, text = model.get_input_embeddings(), model.model.language_model
    device = embed.weight.device
    ids, positions, places, tokens, ends = (
        torch.from_numpy(one).to(device)
        for one in (rows.ids, rows.positions, rows.places, rows.tokens, rows.ends)
    )
    embedded = embed(ids)
    filled = embedded.flatten(0, 1).index_copy(0, places, seen.flatten(0, 1)[tokens].to(embedded.dtype))
    hidden = text(
        inputs_embeds=filled.view(embedded.shape),
        position_ids=positions,
        # Padding stands behind what is read, so that causal attention leaves it out by itself.
        attention_mask=dict.fromkeys(text.config.layer_types),
        use_cache=False,
    ).last_hidden_state
    return model.lm_head(hidden.flatten(0, 1)[ends])


def answer_loss(logits: Tensor, rows: SequenceArrays) -> Tensor:
    """The weighed sum of the cross-entropies of what was asked; logits as of `answer_logits`."""
    targets, weights = (torch.from_numpy(one).to(logits.device) for one in (rows.targets, rows.weights))
    return F.cross_entropy(logits.float(), targets, reduction="none") @ weights
