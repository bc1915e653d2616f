"""Best-choice turns over packed lists: which of a few pictures fits, asked exactly as at run time (section 3.3).

Lists of eight are not learnt from nothing: with cross-entropy a model stays at the chance of their places. It learns to
compare on lists of two, goes on with a few more, and then with as many as run time shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from torch.nn import functional as F

from app.model.prompts import NONE_OF_THEM, MayDiffer, best_choice_prompt
from app.model.scoring import PromptTokens, Sequence3, answer_ids
from app.model.vision import Grid, token_count
from training.decoder import Decoder, on_device
from training.demo.sampling import PackedList
from training.demo.sequences import Asked, SequenceArrays, answer_logits, answer_loss, lay_out_rows

# The longest list from a share of the stage on, 0..1. Shorter ones are not forgotten: half of a later step's are.
Longest = Sequence[tuple[float, int]]
LONGEST: Longest = ((0.0, 2), (0.22, 3), (0.32, 4), (0.5, 6), (0.65, 8))
NOBODY = 0.1  # of the turns, those without a match


@dataclass(frozen=True)
class ChoiceTurn:
    """text, references (rows of the pool), may_differ: the question. rows: of the candidates as they are shown; place:
    of the right one, None where nobody fits. query, columns: the question's and the candidates' places in their list.
    """

    text: str
    references: tuple[int, ...]
    may_differ: MayDiffer
    rows: tuple[int, ...]
    place: int | None
    query: int = 0
    columns: tuple[int, ...] = ()


def list_size(done: float, rng: np.random.Generator, longest: Longest = LONGEST) -> int:
    """How many candidates a step's turns show, at a share of the stage, 0..1."""
    sizes = [size for begins, size in longest if begins <= done]
    return sizes[-1] if rng.random() < 0.5 else int(rng.choice(sizes))


def choice_turns(
    packed: PackedList, size: int, count: int, rng: np.random.Generator, near: float = 0.0
) -> list[ChoiceTurn]:
    """Up to `count` turns of `size` candidates from a list's questions; the right ones stand evenly over the places.

    near: the share of the turns whose wrong candidates differ in as few attributes as there are. A question without so
    many wrong candidates, or without a right one, gives no turn.
    """
    wrong = ~packed.right & ~packed.ignored
    able = np.flatnonzero(packed.right.any(1) & (wrong.sum(1) >= size))
    if not len(able):
        return []
    # Of fewer turns than places too, no place is likelier than another.
    rounds = -(-count // size)
    places = np.concatenate([rng.permutation(size) for _ in range(rounds)])[:count]
    turns = []
    for query, place in zip(rng.choice(able, count, replace=len(able) < count), places, strict=True):
        empty = rng.random() < NOBODY
        others = rng.permutation(np.flatnonzero(wrong[query]))
        if near and rng.random() < near:
            others = others[np.argsort(packed.wrong[query, others], kind="stable")][:size]
            others = rng.permutation(others)
        shown = others[: size if empty else size - 1].tolist()
        if not empty:
            shown.insert(int(place), int(rng.choice(np.flatnonzero(packed.right[query]))))
        turns.append(
            ChoiceTurn(
                packed.texts[query],
                tuple(packed.references[query]),
                packed.may_differ[query],
                tuple(packed.rows[query, shown].tolist()),
                None if empty else int(place),
                int(query),
                tuple(shown),
            )
        )
    return turns


@dataclass(frozen=True)
class ChoiceArrays:
    """Turns of one size, laid out.

    rows: their questions; size: candidates of each. named: int64 (m,), which of the rows' ends ask for a name, in
    the order of the turns that have a match; names: int64 (m, size), the tokens that tell the names of those apart.
    queries, columns: int64 (m,) and (m, size), where the packed list has the odds of these candidates.
    """

    rows: SequenceArrays
    size: int
    named: np.ndarray
    names: np.ndarray
    queries: np.ndarray
    columns: np.ndarray


class ChoiceQuestions:
    """Lays turns of one size out for the model. grid: of every picture."""

    def __init__(self, processor: Any, grid: Grid) -> None:
        self.processor, self.grid = processor, grid
        self._none = answer_ids(processor.tokenizer, NONE_OF_THEM)[0]
        self._names: dict[str, list[int]] = {}
        self._wordless: dict[tuple[int, int, MayDiffer], tuple[Sequence3, list[list[int]]]] = {}

    def lay_out(self, turns: Sequence[ChoiceTurn], places: Mapping[int, int]) -> ChoiceArrays:
        """places: of each row of the pool among the pictures that are seen.

        Asked are the tokens that decide: of every turn whether any fits, then which, of those with a match. Their
        loss is the mean over the turns of the first, plus the mean over those with a match of the second.
        """
        rows, named, names, count = [], [], [], 0
        matched = [turn for turn in turns if turn.place is not None]
        for turn in turns:
            whole, ids = self._question(turn)
            begins = len(whole.ids) - 1
            ends, targets, weights = [begins], [self._none], [1 / len(turns)]
            if turn.place is not None:
                right = ids[turn.place]
                ends.append(begins + len(right) - 1)
                targets = [right[0], right[-1]]
                weights.append(1 / len(matched))
                named.append(count + 1)
                names.append([name[-1] for name in ids])
            count += len(ends)
            pictures = [places[row] for row in (*turn.references, *turn.rows)]
            rows.append(Asked(whole, ids[0][:-1], pictures, ends, targets, weights))
        size = len(turns[0].rows)
        return ChoiceArrays(
            lay_out_rows(rows, token_count(self.grid)),
            size,
            np.array(named, np.int64),
            np.array(names, np.int64).reshape(-1, size),
            np.array([turn.query for turn in matched], np.int64),
            np.array([turn.columns for turn in matched], np.int64).reshape(-1, size),
        )

    def _question(self, turn: ChoiceTurn) -> tuple[Sequence3, list[list[int]]]:
        """The question's tokens, and those of each place's name; questions without words are remembered."""
        key = (len(turn.references), len(turn.rows), turn.may_differ)
        if not turn.text and key in self._wordless:
            return self._wordless[key]
        prompt = best_choice_prompt(turn.text, *key)
        pictures = len(turn.references) + len(turn.rows)
        whole = PromptTokens(self.processor, prompt.messages).fill([self.grid] * pictures)
        for name in prompt.names:
            if name not in self._names:
                self._names[name] = answer_ids(self.processor.tokenizer, name)
        found = whole, [self._names[name] for name in prompt.names]
        if not turn.text:
            self._wordless[key] = found
        return found


def choice_loss(
    decoder: Decoder, arrays: ChoiceArrays, seen: Tensor, odds: Tensor | None = None, soft: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Cross-entropy on the tokens that decide, and the share named rightly, 0..1.

    seen: vision tokens (pictures, tokens, width). odds: float (Q, M), the pair question's own over the list that the
    turns are from; soft: the weight of coming close to them, as a divergence over the names of each turn.
    """
    logits = answer_logits(decoder, arrays.rows, seen)
    loss = answer_loss(logits, arrays.rows)
    named, names, queries, columns, targets = (
        on_device(one, logits.device)
        for one in (arrays.named, arrays.names, arrays.queries, arrays.columns, arrays.rows.targets)
    )
    if not len(arrays.named):
        return loss, loss.new_zeros(())
    chosen = logits[named].float()
    share = (chosen.argmax(1) == targets[named]).float().mean()
    if odds is not None and soft:
        target = odds.detach().float()[queries[:, None], columns].softmax(1)
        log_shares = chosen.gather(1, names).log_softmax(1)
        loss = loss + soft * F.kl_div(log_shares, target, reduction="batchmean")
    return loss, share
