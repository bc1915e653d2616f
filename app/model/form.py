"""Reading a picture kind by kind: the annotation's question, answered for all kinds of attributes at once.

An annotation written out says one value of each kind, and each word waits for the one before. Here the answer
is begun once for each kind ("upper colour:"), all beginnings in one pass and unseen by one another, and what
may follow is read off as a distribution over the kind's values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from app.model.layout import PromptTokens
from app.model.prompts import annotate_prompt
from app.model.scoring import LanguageModel
from app.model.tokens import Seen, fixed_batch
from app.model.vision import Grid
from app.model.vocabulary import KINDS


@dataclass(frozen=True)
class Form:
    """The question about a picture of one grid, and the beginnings of its answer.

    prefix_ids (P,), positions (3, P): before the picture, the same for all. block_ids (B,), positions (3, B):
    the picture's tokens (first, `tokens` of them), the question's end, and the beginnings in a row.
    mask: bool (B, P + B), who sees whom. ends: int64 (kinds,), the last token of each beginning.
    values: for each kind, the ids of the tokens with which its values begin.
    """

    prefix_ids: Tensor
    prefix_positions: Tensor
    block_ids: Tensor
    block_positions: Tensor
    tokens: int
    mask: Tensor
    ends: Tensor
    values: tuple[tuple[int, ...], ...]


def form(processor: Any, grid: Grid) -> Form:
    """The form for pictures of a grid. Raises ValueError where two values of a kind begin with the same token."""
    whole = PromptTokens(processor, annotate_prompt()).fill([grid])
    start, end = whole.image_spans[0]
    begun = [_begun(processor.tokenizer, kind) for kind in KINDS]
    sizes = torch.tensor([len(ids) for ids, _ in begun])
    asked, length = len(whole.ids) - start, len(whole.ids) - start + int(sizes.sum())
    owner = torch.cat([torch.full((asked,), -1), torch.repeat_interleave(torch.arange(len(begun)), sizes)])
    place = torch.arange(length)
    sees = ((owner[None] == -1) | (owner[None] == owner[:, None])) & (place[None] <= place[:, None])
    ends = asked + sizes.cumsum(0)
    behind = int(whole.positions.max()) + 1
    within = torch.cat([torch.arange(int(size)) for size in sizes]) + behind
    return Form(
        prefix_ids=whole.ids[:start],
        prefix_positions=whole.positions[:, :start],
        block_ids=torch.cat([whole.ids[start:], *(torch.tensor(ids) for ids, _ in begun)]),
        block_positions=torch.cat([whole.positions[:, start:], within.expand(3, -1)], 1),
        tokens=end - start,
        mask=torch.cat([torch.ones(length, start, dtype=torch.bool), sees], 1),
        ends=ends - 1,
        values=tuple(values for _, values in begun),
    )


def form_logits(language: LanguageModel, asked: Form, pictures: Tensor) -> list[Tensor]:
    """Per kind, float32 (n, values): what the model holds of pictures of the form's grid, (n, tokens, width)."""
    prefix = language.prefix(asked.prefix_ids, asked.prefix_positions, [], [])
    rest = language.embeddings(asked.block_ids[asked.tokens :], [], []).expand(len(pictures), -1, -1)
    rows = torch.cat([pictures.to(rest), rest], 1)
    hidden, _ = language.extend(prefix, rows, asked.block_positions, mask=asked.mask)
    hidden = hidden[:, asked.ends.to(hidden.device)]
    return [language.logits(hidden[:, kind], values) for kind, values in enumerate(asked.values)]


def form_shares(language: LanguageModel, asked: Form, pictures: Sequence[Seen], batch: int) -> np.ndarray:
    """float32 (n, all values): per kind a softmax over its values, kinds in the vocabulary's order."""
    tokens = torch.stack([seen.tokens for seen in pictures])
    logits = form_logits(language, asked, fixed_batch(tokens, batch))
    shares = torch.cat([F.softmax(own, 1) for own in logits], 1)
    return shares[: len(pictures)].cpu().numpy()


def _begun(tokenizer: Any, kind: str) -> tuple[list[int], tuple[int, ...]]:
    """The tokens of "upper colour:", and of each value's first behind it."""
    label = f"{kind.replace('_', ' ')}:"
    begin: list[int] = tokenizer(label, add_special_tokens=False)["input_ids"]
    first = []
    for value in KINDS[kind]:
        ids = tokenizer(f"{label} {value}", add_special_tokens=False)["input_ids"]
        if ids[: len(begin)] != begin or len(ids) == len(begin):
            raise ValueError(f"this checkpoint's tokenizer does not keep {value!r} apart from {label!r}")
        first.append(int(ids[len(begin)]))
    if len(set(first)) < len(first):
        raise ValueError(f"this checkpoint's tokenizer begins two values of {label!r} with the same token")
    return begin, tuple(first)
