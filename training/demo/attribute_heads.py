"""What reads the visible attributes off a tower: a dense signal while it is young, thrown away afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.model.vocabulary import ALL_KINDS, KINDS, Kinds


class AttributeHeads(nn.Module):
    """One linear head per kind, off one vector per crop."""

    def __init__(self, width: int, kinds: Kinds = KINDS) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(width, len(values)) for values in kinds.values())

    def forward(self, vectors: Tensor) -> list[Tensor]:
        """(n, width) -> per kind, logits (n, values)."""
        return [head(vectors) for head in self.heads]


class AttributeAttention(nn.Module):
    """Per kind, a look over a crop's tokens (one softmax of attention), and a linear head on what it finds.

    A bag hangs anywhere: whoever reads one vector per crop has to carry every place's bag in it.
    """

    def __init__(self, width: int, tokens: int, kinds: Kinds = KINDS, inner: int = 128) -> None:
        super().__init__()
        self.keys, self.values = nn.Linear(width, inner), nn.Linear(width, inner)
        self.places = nn.Parameter(torch.zeros(tokens, inner))
        self.asks = nn.Parameter(torch.randn(len(kinds), inner) * 0.1)
        self.heads = AttributeHeads(inner, kinds)
        self.scale = 4 / inner**0.5

    def forward(self, tokens: Tensor) -> list[Tensor]:
        """(n, tokens, width) -> per kind, logits (n, values)."""
        keys = self.keys(tokens) + self.places
        attention = torch.einsum("btd,kd->bkt", keys, self.asks) * self.scale
        attended = attention.softmax(2) @ self.values(tokens)
        return [head(attended[:, kind]) for kind, head in enumerate(self.heads.heads)]


def attribute_loss(
    logits: Sequence[Tensor], visible: np.ndarray, weights: Mapping[str, float] | None = None
) -> Tensor:
    """Mean cross-entropy over the kinds; logits (n, values) each, visible int8 (n, kinds), -1 where hidden.

    weights: of some kinds, by name; the others weigh 1. Kinds of an older vocabulary are the first of the newest.
    """
    device, shown = logits[0].device, (visible >= 0).sum(0)
    truth = torch.from_numpy(visible.astype(np.int64)).to(device)
    losses, shares = [], []
    for column, (kind, kind_logits) in enumerate(zip(ALL_KINDS, logits, strict=False)):
        if shown[column]:
            losses.append(F.cross_entropy(kind_logits, truth[:, column], ignore_index=-1))
            shares.append((weights or {}).get(kind, 1.0))
    return (torch.stack(losses) * torch.tensor(shares, device=device)).sum() / sum(shares)


def value_priors(visible: np.ndarray, kinds: Kinds = KINDS) -> list[Tensor]:
    """Per kind, float32 (values,): how often each value is what shows. visible: int8 (n, kinds)."""
    counts = [
        np.bincount(column[column >= 0], minlength=len(values))
        for column, values in zip(visible.T, kinds.values(), strict=True)
    ]
    return [torch.from_numpy(count / max(1, count.sum())).float() for count in counts]


def hidden_loss(logits: Sequence[Tensor], visible: np.ndarray, usual: Sequence[Tensor]) -> Tensor:
    """Mean divergence from the usual values where a kind does not show: what is not seen is not made up."""
    losses = []
    for kind, kind_logits in enumerate(logits):
        hidden = np.flatnonzero(visible[:, kind] < 0)
        if len(hidden):
            rows = torch.from_numpy(hidden).to(kind_logits.device)
            log_shares = kind_logits[rows].float().log_softmax(1)
            expected = usual[kind].to(log_shares.device).expand_as(log_shares)
            losses.append(F.kl_div(log_shares, expected, reduction="batchmean"))
    return torch.stack(losses).mean() if losses else logits[0].sum() * 0


def attribute_accuracy(logits: Sequence[Tensor], visible: np.ndarray) -> list[float]:
    """The share read rightly, kind by kind, where the attribute shows; NaN where it never does."""
    shares = []
    for kind, kind_logits in enumerate(logits):
        shown = visible[:, kind] >= 0
        right = kind_logits.argmax(1).cpu().numpy()[shown] == visible[shown, kind]
        shares.append(float(right.mean()) if shown.any() else float("nan"))
    return shares
