"""Best-choice turns over packed lists: which of a few pictures fits, asked exactly as at run time (section 3.3).

Lists of eight are not learnt from nothing: with cross-entropy a model stays at the chance of their places. It learns to
compare on lists of two, goes on with a few more, and then with as many as run time shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from app.model.prompts import NONE_OF_THEM, MayDiffer, best_choice_prompt
from app.model.scoring import PromptTokens, answer_ids
from app.model.vision import Grid
from training.demo.sampling import PackedList

# The longest list from a share of the stage on, 0..1. Shorter ones are not forgotten: half of a later step's are.
LONGEST = ((0.0, 2), (0.22, 3), (0.32, 4), (0.5, 6), (0.65, 8))
NOBODY = 0.1  # of the turns, those without a match


@dataclass(frozen=True)
class ChoiceTurn:
    """text, references (rows of the pool), may_differ: the question. rows: of the candidates as they are shown; place:
    of the right one, None where nobody fits."""

    text: str
    references: tuple[int, ...]
    may_differ: MayDiffer
    rows: tuple[int, ...]
    place: int | None


def list_size(done: float, rng: np.random.Generator) -> int:
    """How many candidates a step's turns show, at a share of the stage, 0..1."""
    sizes = [size for begins, size in LONGEST if begins <= done]
    return sizes[-1] if rng.random() < 0.5 else int(rng.choice(sizes))


def choice_turns(packed: PackedList, size: int, count: int, rng: np.random.Generator) -> list[ChoiceTurn]:
    """Up to `count` turns of `size` candidates from a list's questions; the right ones stand evenly over the places.

    A question without so many wrong candidates, or without a right one, gives no turn.
    """
    wrong = ~packed.right & ~packed.ignored
    able = np.flatnonzero(packed.right.any(1) & (wrong.sum(1) >= size))
    if not len(able):
        return []
    places = rng.permutation(np.arange(count) % size)
    turns = []
    for query, place in zip(rng.choice(able, count, replace=len(able) < count), places, strict=True):
        empty = rng.random() < NOBODY
        shown = rng.permutation(np.flatnonzero(wrong[query]))[: size if empty else size - 1].tolist()
        if not empty:
            shown.insert(int(place), int(rng.choice(np.flatnonzero(packed.right[query]))))
        turns.append(
            ChoiceTurn(
                packed.texts[query],
                tuple(packed.references[query]),
                packed.may_differ[query],
                tuple(packed.rows[shown].tolist()),
                None if empty else int(place),
            )
        )
    return turns


class ChoiceQuestions:
    """Asks turns of one size at once. grid: of every picture."""

    def __init__(self, processor: Any, grid: Grid) -> None:
        self.processor, self.grid = processor, grid
        self._none = answer_ids(processor.tokenizer, NONE_OF_THEM)[0]

    def loss(self, model: Any, turns: Sequence[ChoiceTurn], seen: dict[int, Tensor]) -> tuple[Tensor, float]:
        """Cross-entropy on the tokens that decide: whether any fits, and which; and the share named rightly, 0..1.

        The mean over the turns of the first, plus the mean over those with a match of the second.
        seen: row -> vision tokens (tokens, width).
        """
        embed = model.get_input_embeddings()
        rows, positions, first, named = [], [], [], []
        for turn in turns:
            prompt = best_choice_prompt(turn.text, len(turn.references), len(turn.rows), turn.may_differ)
            pictures = [*turn.references, *turn.rows]
            whole = PromptTokens(self.processor, prompt.messages).fill([self.grid] * len(pictures))
            names = [answer_ids(self.processor.tokenizer, name) for name in prompt.names]
            common, right = names[0][:-1], None if turn.place is None else names[turn.place]
            embedded = embed(torch.cat([whole.ids, torch.tensor(common)]))
            for row, (start, stop) in zip(pictures, whole.image_spans, strict=True):
                embedded = torch.cat([embedded[:start], seen[row], embedded[stop:]])
            behind = int(whole.positions.max()) + 1
            after = torch.arange(behind, behind + len(common)).expand(3, -1)
            rows.append(embedded)
            positions.append(torch.cat([whole.positions, after], 1))
            first.append((len(whole.ids) - 1, self._none if right is None else right[0]))
            named.append((len(embedded) - 1, -100 if right is None else right[-1]))
        longest = max(map(len, rows))
        hidden = model.model.language_model(
            inputs_embeds=torch.stack([F.pad(row, (0, 0, 0, longest - len(row))) for row in rows]),
            position_ids=torch.stack([F.pad(p, (0, longest - p.shape[1])) for p in positions], 1),
            attention_mask=torch.stack([torch.arange(longest) < len(row) for row in rows]).long(),
            use_cache=False,
        ).last_hidden_state
        turn_of = torch.arange(len(rows))
        losses, share = [], 0.0
        for ends in (first, named):
            places, target = torch.tensor(ends).T
            asked = target != -100
            if bool(asked.any()):
                logits = model.lm_head(hidden[turn_of, places][asked])
                losses.append(F.cross_entropy(logits, target[asked]))
                share = float((logits.argmax(1) == target[asked]).float().mean())
        return torch.stack(losses).sum(), share
