"""One linear head per kind of attribute: a dense signal while a tower is young, thrown away afterwards."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.model.vocabulary import KINDS


class AttributeHeads(nn.Module):
    """Reads the visible attributes off a vector per crop."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(nn.Linear(width, len(values)) for values in KINDS.values())

    def loss(self, vectors: Tensor, visible: np.ndarray) -> Tensor:
        """Mean cross-entropy over the kinds; vectors (n, width), visible int8 (n, kinds), -1 where hidden."""
        truth = torch.from_numpy(visible.astype(np.int64))
        losses = [
            F.cross_entropy(head(vectors), truth[:, kind], ignore_index=-1)
            for kind, head in enumerate(self.heads)
            if bool((truth[:, kind] >= 0).any())
        ]
        return torch.stack(losses).mean()

    @torch.no_grad()
    def accuracy(self, vectors: Tensor, visible: np.ndarray) -> list[float]:
        """The share read rightly, kind by kind, where the attribute shows."""
        found = []
        for kind, head in enumerate(self.heads):
            shown = visible[:, kind] >= 0
            guess = head(vectors[torch.from_numpy(shown)]).argmax(1).numpy()
            found.append(float((guess == visible[shown, kind]).mean()))
        return found
