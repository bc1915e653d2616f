"""Questions with the beginnings of their answers, as padded rows for one pass of the language model.

The arrays are made without a model, by any process; the model's pass takes no decision that depends on a value, so a
GPU is never waited for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from app.model.attributes import AttributeProbe
from app.model.readings import ReadingTokens
from app.model.scoring import Sequence3
from training.decoder import Decoder, on_device
from training.demo.attribute_heads import LEAST


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


def answer_logits(decoder: Decoder, rows: SequenceArrays, seen: Tensor) -> Tensor:
    """float32 (a, vocabulary): what the model expects at the rows' ends. seen: vision tokens (pictures, tokens, width).

    Padding stands behind what is read, so that causal attention leaves it out by itself.
    """
    ids, positions, places, tokens, ends = (
        on_device(one, decoder.device)
        for one in (rows.ids, rows.positions, rows.places, rows.tokens, rows.ends)
    )
    embedded = decoder.embed(ids)
    filled = embedded.flatten(0, 1).index_copy(0, places, seen.flatten(0, 1)[tokens].to(embedded.dtype))
    hidden = decoder(filled.view(embedded.shape), positions)
    return decoder.logits(hidden.flatten(0, 1)[ends])


def answer_loss(logits: Tensor, rows: SequenceArrays) -> Tensor:
    """The weighed sum of the cross-entropies of what was asked; logits as of `answer_logits`."""
    targets, weights = (on_device(one, logits.device) for one in (rows.targets, rows.weights))
    return F.cross_entropy(logits.float(), targets, reduction="none") @ weights


class Forms:
    """The probe's question (app.model.attributes) about many pictures, as training asks it: in one pass.

    ids int64 (L,), positions int64 (3, L), mask bool (L, L): of one row, its prefix included; tokens: where its
    picture stands. values int64 (kinds, most), missing bool (kinds, most): the ids of each kind's values.
    """

    def __init__(self, probe: AttributeProbe, reading: ReadingTokens, device: torch.device) -> None:
        prefix, block = len(probe.prefix_ids), len(probe.block_ids)
        causal = torch.ones(prefix, prefix, dtype=torch.bool).tril()
        above = torch.cat([causal, torch.zeros(prefix, block, dtype=torch.bool)], 1)
        most = max(map(len, probe.values))
        values = torch.tensor([[*ids, *[ids[0]] * (most - len(ids))] for ids in probe.values])
        missing = torch.tensor([[place >= len(ids) for place in range(most)] for ids in probe.values])
        self.tokens = slice(prefix, prefix + probe.tokens)
        self.ids = torch.cat([probe.prefix_ids, probe.block_ids]).to(device)
        positions = torch.cat([probe.prefix_positions, probe.block_positions], 1)
        self.positions, self.mask = positions.to(device), torch.cat([above, probe.mask]).to(device)
        self.ends = (probe.ends + prefix).to(device)
        self.values, self.missing = values.to(device), missing.to(device)
        self._present = (~missing).flatten().nonzero()[:, 0].to(device)
        self._reading = reading.to(device)

    def logits(self, decoder: Decoder, pictures: Tensor) -> Tensor:
        """float32 (n, kinds, most), LEAST where a kind has no such value; pictures (n, tokens, width)."""
        rows = decoder.embed(self.ids).expand(len(pictures), -1, -1)
        before, behind = rows[:, : self.tokens.start], rows[:, self.tokens.stop :]
        rows = torch.cat([before, pictures.to(rows.dtype), behind], 1)
        hidden = decoder(rows, self.positions[:, None], self.mask)[:, self.ends]
        weight = decoder.head.weight[self.values]
        with torch.autocast(hidden.device.type, enabled=False):
            logits = torch.einsum("nkw,kmw->nkm", hidden.float(), weight.float())
        return logits.masked_fill(self.missing, LEAST)

    def read_aloud(self, decoder: Decoder, pictures: Tensor) -> Tensor:
        """(n, kinds, width): what is read off pictures (n, tokens, width), as tokens behind theirs.

        A reading is not taught by the question that it is told in.
        """
        with torch.no_grad():
            probs = self.logits(decoder, pictures).softmax(2)
        told = self._reading(decoder.embed, probs.flatten(1)[:, self._present])
        return told.to(pictures.dtype)
