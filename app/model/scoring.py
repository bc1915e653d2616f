"""The pair question, and the model's answer to it: logit("Yes") - logit("No"), for many candidates at once.

A question is token ids and positions, cut into a prefix and the candidate's block. The prefix (question, query, the
candidate's name) is the same for all candidates and is computed once; a block (the candidate's vision tokens and the
prompt's tail) is what each candidate adds. Everything is made by the checkpoint's own processor and chat template,
so it holds for any Qwen2-VL. Imports torch; imported only by what runs the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from app.model.prompts import NO, YES, Message, PairPrompt
from app.model.vision import MERGE, Grid, VisionTokens, fixed_batch, token_count

Span = tuple[int, int]
Rows = Tensor | slice  # places in a sequence, int64 (m,) or a slice of them
_LAST, _NONE = slice(-1, None), slice(0, 0)


@dataclass(frozen=True)
class Sequence3:
    """Token ids int64 (n,), rotary positions int64 (3, n), and the [start, end) of each picture's tokens."""

    ids: Tensor
    positions: Tensor
    image_spans: tuple[Span, ...]


@dataclass(frozen=True)
class PairLayout:
    """One pair question, cut before the candidate's vision tokens.

    Ids are int64 (P,) and (B,), positions int64 (3, P) and (3, B). Spans are [start, end) within their
    own part; block_image_span starts at 0, and holds the tokens of what is read off the candidate too, where they are
    asked with it. The logits at the block's last token hold the answer.
    """

    prefix_ids: Tensor
    prefix_positions: Tensor
    prefix_image_spans: tuple[Span, ...]
    block_ids: Tensor
    block_positions: Tensor
    block_image_span: Span


@dataclass(frozen=True)
class Packed:
    """One prefix and M blocks in a row. ids (L,), positions (3, L), mask bool (1, 1, L, L), answers (M,)."""

    ids: Tensor
    positions: Tensor
    mask: Tensor
    answers: Tensor  # index of each block's last token


class PromptTokens:
    """A prompt's token ids with one placeholder per picture; grids can be filled in many times."""

    def __init__(self, processor: Any, messages: list[Message]) -> None:
        text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        self.image_token = int(processor.image_token_id)
        self.ids: list[int] = processor.tokenizer(text)["input_ids"]
        self.pictures = self.ids.count(self.image_token)
        expected = sum(part["type"] == "image" for message in messages for part in message["content"])
        if self.pictures != expected:
            raise ValueError(
                f"the checkpoint's chat template made {self.pictures} pictures out of {expected};"
                " it is not a Qwen2-VL template"
            )

    def fill(self, grids: Sequence[Grid]) -> Sequence3:
        """The whole sequence with each placeholder grown to its picture's number of tokens."""
        if len(grids) != self.pictures:
            raise ValueError(f"the prompt has {self.pictures} pictures, got {len(grids)} grids")
        ids: list[int] = []
        positions: list[Tensor] = []
        spans: list[Span] = []
        place = 0  # the next position
        for run, grid in self._runs(grids):
            if grid is None:
                steps = torch.arange(place, place + len(run))
                positions.append(steps.expand(3, -1))
                place += len(run)
            else:
                spans.append((len(ids), len(ids) + len(run)))
                positions.append(_picture_positions(grid) + place)
                place += max(grid[1], grid[2]) // MERGE
            ids += run
        return Sequence3(torch.tensor(ids), torch.cat(positions, dim=1), tuple(spans))

    def _runs(self, grids: Sequence[Grid]) -> Iterator[tuple[list[int], Grid | None]]:
        waiting, run = iter(grids), []
        for token in self.ids:
            if token != self.image_token:
                run.append(token)
                continue
            if run:
                yield run, None
            grid = next(waiting)
            yield [self.image_token] * token_count(grid), grid
            run = []
        if run:
            yield run, None


def _picture_positions(grid: Grid) -> Tensor:
    """int64 (3, tokens): time, row and column of each merged token, from 0."""
    t, h, w = grid[0], grid[1] // MERGE, grid[2] // MERGE
    return torch.stack(
        torch.meshgrid(torch.arange(t), torch.arange(h), torch.arange(w), indexing="ij")
    ).reshape(3, -1)


def pair_layout(
    processor: Any,
    prompt: PairPrompt | PromptTokens,
    reference_grids: Sequence[Grid],
    candidate_grid: Grid,
    reading: int = 0,
) -> PairLayout:
    """The pair question for references and a candidate of these grids.

    prompt: may be the PromptTokens of one made before: the text is then not tokenized again. reading: so many tokens
    stand right behind the candidate's own (app.model.readings).
    """
    tokens = prompt if isinstance(prompt, PromptTokens) else PromptTokens(processor, prompt.messages)
    whole = tokens.fill([*reference_grids, candidate_grid])
    start, end = whole.image_spans[-1]
    read = whole.positions[:, end : end + 1] + torch.arange(reading)
    return PairLayout(
        prefix_ids=whole.ids[:start],
        prefix_positions=whole.positions[:, :start],
        prefix_image_spans=whole.image_spans[:-1],
        block_ids=torch.cat(
            [whole.ids[start:end], whole.ids[end - 1 : end].expand(reading), whole.ids[end:]]
        ),
        block_positions=torch.cat(
            [whole.positions[:, start:end], read, whole.positions[:, end:] + reading], dim=1
        ),
        block_image_span=(0, end - start + reading),
    )


def packed_mask(prefix_len: int, block_len: int, blocks: int, dtype: torch.dtype = torch.bool) -> Tensor:
    """Who sees whom when M candidate blocks follow one prefix in a row: (1, 1, L, L), L = P + M * B.

    A block sees the prefix and, causally, itself; never another block. bool: True = may look. A floating
    dtype gives the additive mask: 0 and the type's lowest value.
    """
    length = prefix_len + block_len * blocks
    place = torch.arange(length)
    owner = torch.where(place < prefix_len, -1, (place - prefix_len) // max(block_len, 1))
    may = (owner[None, :] == -1) | (owner[:, None] == owner[None, :])
    may &= place[None, :] <= place[:, None]
    may = may[None, None]
    if dtype == torch.bool:
        return may
    return torch.zeros(may.shape, dtype=dtype).masked_fill(~may, torch.finfo(dtype).min)


def pack(layout: PairLayout, blocks: int) -> Packed:
    """One sequence that asks the layout's question about `blocks` candidates of its grid at once."""
    prefix, block = len(layout.prefix_ids), len(layout.block_ids)
    return Packed(
        ids=torch.cat([layout.prefix_ids, layout.block_ids.repeat(blocks)]),
        positions=torch.cat([layout.prefix_positions, layout.block_positions.repeat(1, blocks)], dim=1),
        mask=packed_mask(prefix, block, blocks),
        answers=prefix + block * torch.arange(1, blocks + 1) - 1,
    )


def answer_ids(tokenizer: Any, answer: str) -> list[int]:
    """The ids with which an answer begins behind the prompt's last line break.

    A word's ids can depend on what stands before it, so the answer is tokenized in its place.
    """
    before: list[int] = tokenizer("assistant\n", add_special_tokens=False)["input_ids"]
    both: list[int] = tokenizer(f"assistant\n{answer}", add_special_tokens=False)["input_ids"]
    if both[: len(before)] != before or len(both) == len(before):
        raise ValueError(
            f"this checkpoint's tokenizer does not keep {answer!r} apart from the prompt before it"
        )
    return both[len(before) :]


def yes_no_ids(tokenizer: Any) -> tuple[int, int]:
    """The ids of the first tokens of "Yes" and "No"; ValueError where they are the same token."""
    yes, no = answer_ids(tokenizer, YES)[0], answer_ids(tokenizer, NO)[0]
    if yes == no:
        raise ValueError(f"this checkpoint's tokenizer does not tell {YES!r} from {NO!r}")
    return yes, no


@dataclass(frozen=True)
class Prefix:
    """A computed prefix: (key, value) per layer, each (1, heads, length, head size); length 0 has none."""

    layers: tuple[tuple[Tensor, Tensor], ...]
    length: int


class LanguageModel:
    """The language side of a Qwen2-VL, driven by embeddings and explicit positions. Not thread-safe."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.text = model.model.language_model
        self.embed = model.get_input_embeddings()
        self.device = self.embed.weight.device
        self.dtype = self.embed.weight.dtype
        self._additive = self.text.config._attn_implementation == "eager"

    def embeddings(
        self, ids: Tensor, pictures: Sequence[VisionTokens], spans: Sequence[tuple[int, int]]
    ) -> Tensor:
        """(n, width): the ids' embeddings, with each picture's vision tokens in its span."""
        rows = self.embed(ids.to(self.device)).clone()
        for seen, (start, end) in zip(pictures, spans, strict=True):
            rows[start:end] = seen.tokens.to(rows)
        return rows

    def prefix(
        self,
        ids: Tensor,
        positions: Tensor,
        pictures: Sequence[VisionTokens],
        spans: Sequence[tuple[int, int]],
    ) -> Prefix:
        """Compute a prefix that others go on from."""
        from transformers import DynamicCache

        cache = DynamicCache()
        rows = self.embeddings(ids, pictures, spans)[None]
        self._forward(rows, positions[:, None], cache, _NONE)
        layers: list[Any] = list(cache.layers)
        return Prefix(tuple((layer.keys, layer.values) for layer in layers), len(ids))

    def extend(
        self,
        prefix: Prefix,
        rows: Tensor,
        positions: Tensor,
        *,
        keep: bool = False,
        mask: Tensor | None = None,
        ends: Rows = _LAST,
    ) -> tuple[Tensor, Any]:
        """Go on from one prefix with a batch.

        Args:
            rows: (b, n, width) embeddings; positions: (3, n), the same for all.
            keep: also return the cache, to be continued by `step`.
            mask: bool (n, prefix + n), who sees whom; None for everything before.
            ends: the m places whose hidden states are asked for.

        Returns:
            hidden states (b, m, width), and the cache or None.
        """
        from transformers import DynamicCache

        count = len(rows)
        shared = [
            (key.expand(count, -1, -1, -1), value.expand(count, -1, -1, -1)) for key, value in prefix.layers
        ]
        cache = DynamicCache(shared)
        hidden = self._forward(rows, positions[:, None], cache, ends, mask)
        return hidden, cache if keep else None

    def step(self, ids: Tensor, position: int, cache: Any) -> Tensor:
        """One more token each: ids (b,) -> hidden states (b, width)."""
        positions = torch.full((3, 1, 1), position)
        rows = self.embed(ids.to(self.device))[:, None]
        return self._forward(rows, positions, cache, _LAST)[:, -1]

    def _forward(
        self, rows: Tensor, positions: Tensor, cache: Any, ends: Rows, sees: Tensor | None = None
    ) -> Tensor:
        """(b, m, width): the hidden states at `ends`. positions: (3, 1, n), the same for all rows (b, n,
        width).
        """
        from app.model.last_layer import last_layer

        done, new = cache.get_seq_length(), rows.shape[1]
        if sees is None:
            place = torch.arange(done, done + new, device=self.device)
            sees = torch.arange(done + new, device=self.device)[None, :] <= place[:, None]
        mask = sees.to(self.device)[None, None]
        if self._additive:
            mask = torch.zeros(mask.shape, dtype=rows.dtype, device=self.device).masked_fill(
                ~mask, torch.finfo(rows.dtype).min
            )
        rows, positions = rows.to(self.dtype), positions.to(self.device)
        rotary = self.text.rotary_emb(rows, positions)
        *before, last = self.text.layers
        for layer in before:
            rows = layer(
                rows,
                attention_mask=mask,
                position_embeddings=rotary,
                past_key_values=cache,
                use_cache=True,
            )
        ends = ends.to(self.device) if isinstance(ends, Tensor) else ends
        return self.text.norm(last_layer(last, rows, rotary, mask, cache, ends))

    def logits(self, hidden: Tensor, ids: Sequence[int] | None = None) -> Tensor:
        """float32 (..., vocabulary), or (..., len(ids)) of these ids alone.

        The product of the few rows is taken in float32: in bfloat16 two close answers would fall together.
        """
        head = self.model.lm_head
        if ids is None:
            return head(hidden).float()
        chosen = list(ids)
        if type(head) is torch.nn.Linear:
            return F.linear(hidden.float(), head.weight[chosen].float())
        return head(hidden).float()[..., chosen]


def yes_logits(
    language: LanguageModel,
    prefix: Prefix,
    layout: PairLayout,
    candidates: Sequence[VisionTokens],
    answers: tuple[int, int],
    batch: int,
) -> Tensor:
    """float32 (len(candidates),): logit(yes) - logit(no) for candidates of the layout's grid."""
    block = language.embeddings(layout.block_ids, [], [])
    start, end = layout.block_image_span
    rows = block.expand(len(candidates), -1, -1).clone()
    rows[:, start:end] = torch.stack([seen.tokens for seen in candidates]).to(rows)
    hidden, _ = language.extend(prefix, fixed_batch(rows, batch), layout.block_positions)
    logits = language.logits(hidden[: len(candidates), -1], answers)
    return logits[:, 0] - logits[:, 1]
