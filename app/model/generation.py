"""What the model writes: greedy answers, several pictures at once, or one answer word by word as it comes.

Greedy, as Qwen2-VL's own settings have it: the same question gets the same answer. Imports torch; imported only by
what runs the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from app.model.scoring import LanguageModel, PromptTokens
from app.model.vision import VisionTokens, fixed_batch

MAX_NEW_TOKENS = 192  # the longest annotation takes about 150
_HALF = "\ufffd"  # what a decoder makes of a character of which only a part is there

# Logits (1, vocabulary) of the next token and the ids so far -> the logits among which it is chosen.
Steer = Callable[[Tensor, Sequence[int]], Tensor]


@dataclass(frozen=True)
class GeneratedAnswer:
    """A generated answer: its token ids and each one's probability, without the end mark."""

    ids: tuple[int, ...]
    probabilities: tuple[float, ...]


@dataclass(frozen=True)
class WrittenAnswer:
    """An answer as text. ended: the model came to its end; else it was stopped or cut at the bound."""

    text: str
    ended: bool


def generate(
    language: LanguageModel,
    tokens: PromptTokens,
    pictures: Sequence[VisionTokens],
    *,
    batch: int,
    limit: int = MAX_NEW_TOKENS,
    stop: Callable[[], bool] = lambda: False,
) -> list[GeneratedAnswer]:
    """Greedy answers to a question about one picture each; all pictures of one grid, at most `batch`.

    stop: asked before each token; what is not said by then is missing.
    """
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
    stops = stop_ids(language.model)
    ids: list[list[int]] = [[] for _ in pictures]
    chances: list[list[float]] = [[] for _ in pictures]
    open_rows = set(range(len(pictures)))
    for token, chance in _greedy(language, hidden[:, -1], cache, place, limit):
        for row in sorted(open_rows):
            if int(token[row]) in stops:
                open_rows.discard(row)
            else:
                ids[row].append(int(token[row]))
                chances[row].append(float(chance[row]))
        if not open_rows or stop():
            break
    return [GeneratedAnswer(tuple(row), tuple(odds)) for row, odds in zip(ids, chances, strict=True)]


def write(
    language: LanguageModel,
    tokenizer: Any,
    tokens: PromptTokens,
    pictures: Sequence[VisionTokens],
    *,
    limit: int = MAX_NEW_TOKENS,
    said: Callable[[str], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    steer: Steer | None = None,
) -> WrittenAnswer:
    """One greedy answer to a question about any number of pictures, of any grids.

    Args:
        limit: tokens. said: called with the whole text so far after each token that adds to it. stop: asked before
            each token. steer: narrows what may be written.

    Raises:
        ValueError: the model's numbers are not finite, or `steer` leaves nothing to write.
    """
    sequence = tokens.fill([seen.grid for seen in pictures])
    ids, positions = sequence.ids, sequence.positions
    prefix = language.prefix(ids[:-1], positions[:, :-1], pictures, sequence.image_spans)
    last = language.embeddings(ids[-1:], [], [])[None]
    hidden, cache = language.extend(prefix, last, positions[:, -1:], keep=True)
    stops, place = stop_ids(language.model), int(positions.max()) + 1
    written: list[int] = []
    text = ""
    if stop():
        return WrittenAnswer(text, False)
    for token, chance in _greedy(language, hidden[:, -1], cache, place, limit, steer, written):
        if not torch.isfinite(chance).all():
            raise ValueError("its numbers are not finite")
        if int(token) in stops:
            return WrittenAnswer(text, True)
        written.append(int(token))
        so_far = tokenizer.decode(written, skip_special_tokens=True)
        if so_far != text and not so_far.endswith(_HALF):
            text = so_far
            said(text)
        if stop():
            break
    return WrittenAnswer(text, False)


def _greedy(
    language: LanguageModel,
    hidden: Tensor,
    cache: Any,
    place: int,
    limit: int,
    steer: Steer | None = None,
    written: Sequence[int] = (),
) -> Iterator[tuple[Tensor, Tensor]]:
    """The likeliest token of each row and its probability, (b,) each, step by step; what is not asked for is not
    computed. written: what `steer` gets, of one row.
    """
    for step in range(limit):
        logits = language.logits(hidden)
        if steer is not None:
            logits = steer(logits, written)
        chance, token = logits.softmax(-1).max(-1)
        yield token, chance
        if step + 1 < limit:
            hidden = language.step(token, place + step, cache)


def stop_ids(model: Any) -> frozenset[int]:
    """The tokens that end an answer."""
    found = model.generation_config.eos_token_id
    return frozenset(found if isinstance(found, list) else [] if found is None else [found])
