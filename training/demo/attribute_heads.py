"""What reads the visible attributes off a tower: a dense signal while it is young, thrown away afterwards.

The logits of all kinds are one tensor, (n, kinds, most values of a kind): a GPU is slow at many small losses. Where a
kind has fewer values, the rest is LEAST.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.model.vocabulary import ALL_KINDS, KINDS, Kinds
from training.decoder import on_device

LEAST = -1e4  # the logit of a value that a kind does not have


@cache
def _columns(sizes: tuple[int, ...]) -> np.ndarray:
    """int64 (kinds, most): where each value of each kind stands among all values; behind them for those missing."""
    table = np.full((len(sizes), max(sizes)), sum(sizes), np.int64)
    for kind, (size, begins) in enumerate(zip(sizes, np.cumsum((0, *sizes)), strict=False)):
        table[kind, :size] = begins + np.arange(size)
    return table


def by_kind(logits: Tensor, kinds: Kinds) -> Tensor:
    """(n, all values), kind after kind -> (n, kinds, most)."""
    columns = _columns(tuple(len(values) for values in kinds.values()))
    padded = F.pad(logits, (0, 1), value=LEAST)
    return padded[:, on_device(columns, logits.device)]


class AttributeHeads(nn.Module):
    """One linear head per kind, off one vector per crop."""

    def __init__(self, width: int, kinds: Kinds = KINDS) -> None:
        super().__init__()
        self.kinds = kinds
        self.heads = nn.Linear(width, sum(map(len, kinds.values())))

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, width) -> logits (n, kinds, most)."""
        return by_kind(self.heads(vectors).float(), self.kinds)


class AttributeAttention(nn.Module):
    """Per kind, a look over a crop's tokens (one softmax of attention), and a linear head on what it finds.

    A bag hangs anywhere: whoever reads one vector per crop has to carry every place's bag in it.
    """

    def __init__(self, width: int, tokens: int, kinds: Kinds = KINDS, inner: int = 128) -> None:
        super().__init__()
        sizes = [len(values) for values in kinds.values()]
        self.keys, self.values = nn.Linear(width, inner), nn.Linear(width, inner)
        self.places = nn.Parameter(torch.zeros(tokens, inner))
        self.asks = nn.Parameter(torch.randn(len(kinds), inner) * 0.1)
        bound = inner**-0.5
        self.heads = nn.Parameter(torch.empty(len(kinds), inner, max(sizes)).uniform_(-bound, bound))
        self.biases = nn.Parameter(torch.zeros(len(kinds), 1, max(sizes)))
        missing = np.arange(max(sizes))[None] >= np.array(sizes)[:, None]
        self.register_buffer("missing", torch.from_numpy(missing), persistent=False)
        self.scale = 4 / inner**0.5

    def forward(self, tokens: Tensor) -> Tensor:
        """(n, tokens, width) -> logits (n, kinds, most)."""
        keys = self.keys(tokens) + self.places
        attention = torch.einsum("btd,kd->bkt", keys, self.asks) * self.scale
        attended = attention.softmax(2) @ self.values(tokens)
        logits = attended.transpose(0, 1) @ self.heads + self.biases
        missing: Tensor = self.missing  # type: ignore[assignment]
        return logits.transpose(0, 1).float().masked_fill(missing, LEAST)


def attribute_loss(logits: Tensor, visible: np.ndarray, weights: Mapping[str, float] | None = None) -> Tensor:
    """Mean cross-entropy over the kinds; logits (n, kinds, most), visible int8 (n, kinds), -1 where hidden.

    weights: of some kinds, by name; the others weigh 1. Kinds of an older vocabulary are the first of the newest.
    """
    shown = visible >= 0
    counts = shown.sum(0)
    weigh = np.array([(weights or {}).get(kind, 1.0) for kind in ALL_KINDS][: visible.shape[1]])
    weigh = np.where(counts > 0, weigh, 0.0)
    shares = shown * (weigh / (max(1e-9, weigh.sum()) * np.maximum(counts, 1)))
    truth = on_device(np.maximum(visible, 0).astype(np.int64), logits.device)
    found = logits.float().log_softmax(2).gather(2, truth[..., None])[..., 0]
    return -(found * on_device(shares.astype(np.float32), logits.device)).sum()


def value_priors(visible: np.ndarray, kinds: Kinds = KINDS) -> np.ndarray:
    """float32 (kinds, most): how often each value of a kind is what shows. visible: int8 (n, kinds)."""
    usual = np.zeros((len(kinds), max(map(len, kinds.values()))), np.float32)
    for row, column in zip(usual, visible.T, strict=True):
        counts = np.bincount(column[column >= 0], minlength=len(row))
        row[:] = counts / max(1, counts.sum())
    return usual


def hidden_loss(logits: Tensor, visible: np.ndarray, usual: np.ndarray) -> Tensor:
    """Mean divergence from the usual values where a kind does not show: what is not seen is not made up.

    logits (n, kinds, most); usual: as of `value_priors`.
    """
    hidden = visible < 0
    counts = hidden.sum(0)
    shares = hidden / (np.maximum(counts, 1) * max(1, (counts > 0).sum()))
    known = (usual * np.log(np.maximum(usual, 1e-30))).sum(1)  # of each kind
    expected, weigh = (
        on_device(one.astype(np.float32), logits.device) for one in (usual, np.asarray(shares))
    )
    crossed = (logits.float().log_softmax(2) * expected).sum(2)
    return float((shares.sum(0) * known).sum()) - (crossed * weigh).sum()


def attribute_accuracy(logits: Tensor, visible: np.ndarray) -> list[float]:
    """The share read rightly, kind by kind, where the attribute shows; NaN where it never does."""
    read = logits.argmax(2).cpu().numpy()
    shares = []
    for kind in range(visible.shape[1]):
        shown = visible[:, kind] >= 0
        right = read[shown, kind] == visible[shown, kind]
        shares.append(float(right.mean()) if shown.any() else float("nan"))
    return shares
