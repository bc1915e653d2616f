"""What the model reads off a picture: attributes in words with a confidence, or a distribution over each kind's values.

An annotation written out says one value of each kind, and each word waits for the one before. The probe begins the
annotation's answer once for each kind ("upper colour:"), all beginnings in one pass and unseen by one another, and
takes what may follow as a distribution over the kind's values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from app.model.answers import AttributeReading, locate_annotation
from app.model.generation import GeneratedAnswer
from app.model.prompts import annotate_prompt
from app.model.scoring import LanguageModel, PromptTokens
from app.model.vision import Grid, VisionTokens, fixed_batch
from app.model.vocabulary import KINDS_OF_VERSION, VOCABULARY_VERSION


def annotation_tokens(processor: Any) -> PromptTokens:
    """Figure 4's annotation question, tokenized."""
    return PromptTokens(processor, annotate_prompt())


def readings(
    tokenizer: Any, answer: GeneratedAnswer, version: int = VOCABULARY_VERSION
) -> tuple[AttributeReading, ...]:
    """What an answer states, in the vocabulary's order. version: of the vocabulary that the model knows."""
    ends = [len(tokenizer.decode(answer.ids[: place + 1])) for place in range(len(answer.ids))]
    starts = [0, *ends[:-1]]
    found: dict[str, AttributeReading] = {}
    for attribute, first, last in locate_annotation(tokenizer.decode(answer.ids), version):
        odds = [
            chance
            for chance, start, end in zip(answer.probabilities, starts, ends, strict=True)
            if start < last and end > first
        ]
        found[attribute.kind] = AttributeReading(attribute, float(np.prod(odds)) if odds else 0.0)
    return tuple(found[kind] for kind in KINDS_OF_VERSION[version] if kind in found)


@dataclass(frozen=True)
class AttributeProbe:
    """The question about a picture of one grid, and the beginnings of its answer.

    prefix_ids (P,), positions (3, P): before the picture, the same for all. block_ids (B,), positions (3, B):
    the picture's tokens (first, `tokens` of them), the question's end, and the beginnings in a row.
    mask: bool (B, P + B), who sees whom. ends: int64 (kinds,), the last token of each beginning.
    kinds: that are read; values: for each, the ids of the tokens with which its values begin.
    """

    prefix_ids: Tensor
    prefix_positions: Tensor
    block_ids: Tensor
    block_positions: Tensor
    tokens: int
    mask: Tensor
    ends: Tensor
    kinds: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]


def attribute_probe(processor: Any, grid: Grid, version: int = VOCABULARY_VERSION) -> AttributeProbe:
    """The probe for pictures of a grid, over the kinds of a version of the vocabulary.

    Raises ValueError where two values of a kind begin with the same token.
    """
    whole = PromptTokens(processor, annotate_prompt()).fill([grid])
    start, end = whole.image_spans[0]
    kinds = KINDS_OF_VERSION[version]
    begun = [_begun(processor.tokenizer, kind, values) for kind, values in kinds.items()]
    sizes = torch.tensor([len(ids) for ids, _ in begun])
    asked, length = len(whole.ids) - start, len(whole.ids) - start + int(sizes.sum())
    owner = torch.cat([torch.full((asked,), -1), torch.repeat_interleave(torch.arange(len(begun)), sizes)])
    place = torch.arange(length)
    sees = ((owner[None] == -1) | (owner[None] == owner[:, None])) & (place[None] <= place[:, None])
    ends = asked + sizes.cumsum(0)
    behind = int(whole.positions.max()) + 1
    within = torch.cat([torch.arange(int(size)) for size in sizes]) + behind
    return AttributeProbe(
        prefix_ids=whole.ids[:start],
        prefix_positions=whole.positions[:, :start],
        block_ids=torch.cat([whole.ids[start:], *(torch.tensor(ids) for ids, _ in begun)]),
        block_positions=torch.cat([whole.positions[:, start:], within.expand(3, -1)], 1),
        tokens=end - start,
        mask=torch.cat([torch.ones(length, start, dtype=torch.bool), sees], 1),
        ends=ends - 1,
        kinds=tuple(kinds),
        values=tuple(values for _, values in begun),
    )


def probe_logits(language: LanguageModel, probe: AttributeProbe, pictures: Tensor) -> list[Tensor]:
    """Per kind, float32 (n, values): logits of its values, for pictures of the probe's grid, (n, tokens, width)."""
    prefix = language.prefix(probe.prefix_ids, probe.prefix_positions, [], [])
    rest = language.embeddings(probe.block_ids[probe.tokens :], [], []).expand(len(pictures), -1, -1)
    rows = torch.cat([pictures.to(rest), rest], 1)
    hidden, _ = language.extend(prefix, rows, probe.block_positions, mask=probe.mask, ends=probe.ends)
    return [language.logits(hidden[:, kind], values) for kind, values in enumerate(probe.values)]


def probe_attributes(
    language: LanguageModel, probe: AttributeProbe, pictures: Sequence[VisionTokens], batch: int
) -> np.ndarray:
    """float32 (n, all values): per kind a softmax over its values, kinds in the vocabulary's order."""
    tokens = torch.stack([seen.tokens for seen in pictures])
    logits = probe_logits(language, probe, fixed_batch(tokens, batch))
    probs = torch.cat([F.softmax(kind_logits, 1) for kind_logits in logits], 1)
    return probs[: len(pictures)].cpu().numpy()


def _begun(tokenizer: Any, kind: str, values: Sequence[str]) -> tuple[list[int], tuple[int, ...]]:
    """The tokens of "upper colour:", and of each value's first behind it."""
    label = f"{kind.replace('_', ' ')}:"
    begin: list[int] = tokenizer(label, add_special_tokens=False)["input_ids"]
    first = []
    for value in values:
        ids = tokenizer(f"{label} {value}", add_special_tokens=False)["input_ids"]
        if ids[: len(begin)] != begin or len(ids) == len(begin):
            raise ValueError(f"this checkpoint's tokenizer does not keep {value!r} apart from {label!r}")
        first.append(int(ids[len(begin)]))
    if len(set(first)) < len(first):
        raise ValueError(f"this checkpoint's tokenizer begins two values of {label!r} with the same token")
    return begin, tuple(first)
