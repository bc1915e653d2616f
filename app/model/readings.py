"""What the model reads off a picture, told back to it behind the picture: first read, then answer.

The answer to a question about a picture takes its look at it before it knows what is asked (layer by layer, a few fixed
tokens gather the picture). A reading is a look kind by kind (app.model.attributes), and here each kind is one token
behind the vision tokens: the mean embedding of the kind's words and the embedding that its value may be expected to
have. The words of a question then find "red" beside "red", with the doubt that the reading had.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.model.attributes import AttributeProbe
from app.model.vision import VisionTokens


@dataclass(frozen=True)
class ReadingTokens:
    """values int64 (V,): the first token of every value, kind by kind. of_kind bool (kinds, V): which are a kind's.
    labels: ids of the words of each kind."""

    values: Tensor
    of_kind: Tensor
    labels: tuple[Tensor, ...]

    @classmethod
    def of(cls, processor: Any, probe: AttributeProbe) -> ReadingTokens:
        """For the kinds that are read."""
        sizes = torch.tensor([len(values) for values in probe.values])
        owner = torch.repeat_interleave(torch.arange(len(sizes)), sizes)
        words = [f" {kind.replace('_', ' ')}" for kind in probe.kinds]
        labels = [processor.tokenizer(one, add_special_tokens=False)["input_ids"] for one in words]
        return cls(
            torch.tensor([value for values in probe.values for value in values]),
            owner == torch.arange(len(sizes))[:, None],
            tuple(torch.tensor(ids) for ids in labels),
        )

    def to(self, device: torch.device) -> ReadingTokens:
        """The same on a device."""
        labels = tuple(ids.to(device) for ids in self.labels)
        return ReadingTokens(self.values.to(device), self.of_kind.to(device), labels)

    def __call__(self, embed: Callable[[Tensor], Tensor], probs: Tensor) -> Tensor:
        """(n, kinds, width) in the dtype of the embeddings; all on one device.

        embed: the model's input embeddings. probs: (n, V), kind by kind adding up to 1, as of `probe_attributes`.
        """
        values = embed(self.values)
        labels = torch.stack([embed(ids).mean(0) for ids in self.labels])
        shares = probs[:, None] * self.of_kind
        return (shares.to(values.dtype) @ values) + labels


def read_aloud(
    reading: ReadingTokens,
    embed: Callable[[Tensor], Tensor],
    seen: Sequence[VisionTokens | None],
    probs: Sequence[np.ndarray | None],
) -> list[VisionTokens | None]:
    """The tokens of pictures with those of what is read off them behind; None where either is missing.

    probs: for each picture, float32 (V,).
    """
    told: list[VisionTokens | None] = [None] * len(seen)
    known = [
        (place, tokens, row)
        for place, (tokens, row) in enumerate(zip(seen, probs, strict=True))
        if tokens is not None and row is not None
    ]
    if known:
        device = known[0][1].tokens.device
        rows = reading(embed, torch.from_numpy(np.stack([row for _, _, row in known])).to(device))
        for (place, tokens, _), row in zip(known, rows, strict=True):
            told[place] = replace(tokens, tokens=torch.cat([tokens.tokens, row.to(tokens.tokens)]))
    return told
