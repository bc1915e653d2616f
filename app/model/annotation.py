"""Reading the attributes off pictures: greedy answers in the fixed format, with a confidence each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from app.model.answers import locate_annotation
from app.model.layout import PromptTokens
from app.model.prompts import annotate_prompt
from app.model.scoring import LanguageModel
from app.model.tokens import Seen, fixed_batch
from app.model.vocabulary import KINDS, Attribute

MAX_NEW_TOKENS = 128


@dataclass(frozen=True)
class AttributeReading:
    """One attribute that the model read off a picture. confidence: the probability of its words, 0..1."""

    attribute: Attribute
    confidence: float


@dataclass(frozen=True)
class Answer:
    """A generated answer: its token ids and each one's probability, without the end mark."""

    ids: tuple[int, ...]
    probabilities: tuple[float, ...]


def generate(
    language: LanguageModel,
    tokens: PromptTokens,
    pictures: Sequence[Seen],
    *,
    batch: int,
    limit: int = MAX_NEW_TOKENS,
) -> list[Answer]:
    """Greedy answers to a question about one picture each; all pictures of one grid, at most `batch`."""
    sequence = tokens.fill([pictures[0].grid])
    start, end = sequence.image_spans[0]
    prefix = language.prefix(sequence.ids[:start], sequence.positions[:, :start], [], [])
    block = language.embeddings(sequence.ids[start:], [], [])
    rows = block.expand(len(pictures), -1, -1).clone()
    rows[:, : end - start] = torch.stack([seen.tokens for seen in pictures]).to(rows)
    hidden, cache = language.extend(
        prefix, fixed_batch(rows, batch), sequence.positions[:, start:], keep=True
    )
    place = int(sequence.positions.max()) + 1
    return _greedy(language, hidden[:, -1], cache, place, limit, len(pictures))


def _greedy(
    language: LanguageModel, hidden: Tensor, cache: Any, place: int, limit: int, count: int
) -> list[Answer]:
    stops = _stop_ids(language.model)
    ids: list[list[int]] = [[] for _ in range(count)]
    chances: list[list[float]] = [[] for _ in range(count)]
    open_rows = set(range(count))
    for step in range(limit):
        chance, token = language.logits(hidden).softmax(-1).max(-1)
        for row in sorted(open_rows):
            if int(token[row]) in stops:
                open_rows.discard(row)
            else:
                ids[row].append(int(token[row]))
                chances[row].append(float(chance[row]))
        if not open_rows or step + 1 == limit:
            break
        hidden = language.step(token, place + step, cache)
    return [Answer(tuple(row), tuple(odds)) for row, odds in zip(ids, chances, strict=True)]


def _stop_ids(model: Any) -> frozenset[int]:
    found = model.generation_config.eos_token_id
    return frozenset(found if isinstance(found, list) else [] if found is None else [found])


def annotation_tokens(processor: Any) -> PromptTokens:
    """Figure 4's annotation question, tokenized."""
    return PromptTokens(processor, annotate_prompt())


def readings(tokenizer: Any, answer: Answer) -> tuple[AttributeReading, ...]:
    """What an answer states, in the vocabulary's order."""
    ends = [len(tokenizer.decode(answer.ids[: place + 1])) for place in range(len(answer.ids))]
    starts = [0, *ends[:-1]]
    found: dict[str, AttributeReading] = {}
    for attribute, first, last in locate_annotation(tokenizer.decode(answer.ids)):
        odds = [
            chance
            for chance, start, end in zip(answer.probabilities, starts, ends, strict=True)
            if start < last and end > first
        ]
        found[attribute.kind] = AttributeReading(attribute, float(np.prod(odds)) if odds else 0.0)
    return tuple(found[kind] for kind in KINDS if kind in found)
