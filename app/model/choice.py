"""The multi-turn best choice of section 3.3: from a short list, the best one, then the best of the rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from app.model.prompts import NONE_OF_THEM, MayDiffer, best_choice_prompt
from app.model.scoring import LanguageModel, PromptTokens, Sequence3, answer_ids, last_hidden
from app.model.vision import VisionTokens


@dataclass(frozen=True)
class Choice:
    """order: places of the candidates, best first, a permutation of all; chosen: how many of them the model
    chose before it said that none of the rest fits (or was stopped); the others follow as they came."""

    order: tuple[int, ...]
    chosen: int


def best_choice(
    language: LanguageModel,
    processor: Any,
    description: str,
    references: Sequence[VisionTokens],
    candidates: Sequence[VisionTokens],
    *,
    may_differ: Callable[[Sequence[VisionTokens]], MayDiffer | None],
    list_length: int,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Choice:
    """Each turn shows the first `list_length` of those that are left and takes the one the model names.

    may_differ: between the references and the candidates of one turn, as best_choice_prompt has it.
    """
    left = list(range(len(candidates)))
    order: list[int] = []
    prompts: dict[tuple[int, MayDiffer | None], tuple[PromptTokens, list[list[int]], list[int]]] = {}
    while left and not (stop is not None and stop()):
        shown = left[:list_length]
        key = (len(shown), may_differ([candidates[place] for place in shown]))
        if key not in prompts:
            prompts[key] = _prepare(processor, description, len(references), *key)
        tokens, names, none = prompts[key]
        pictures = [*references, *(candidates[place] for place in shown)]
        sequence = tokens.fill([picture.grid for picture in pictures])
        place = _pick(language, sequence, pictures, names, none)
        if place is None:
            break
        order.append(shown[place])
        left.remove(shown[place])
        if progress is not None:
            progress(len(order), len(candidates))
    return Choice((*order, *left), len(order))


def _prepare(
    processor: Any, description: str, references: int, count: int, may_differ: MayDiffer | None
) -> tuple[PromptTokens, list[list[int]], list[int]]:
    prompt = best_choice_prompt(description, references, count, may_differ)
    # Two-digit numbers can share their first token; a list this short has none.
    names = [answer_ids(processor.tokenizer, name) for name in prompt.names]
    return PromptTokens(processor, prompt.messages), names, answer_ids(processor.tokenizer, NONE_OF_THEM)


def _pick(
    language: LanguageModel,
    sequence: Sequence3,
    pictures: Sequence[VisionTokens],
    names: list[list[int]],
    none: list[int],
) -> int | None:
    """The named candidate, by the token that tells the names apart; None when "None" is likelier than any."""
    common = 0
    while all(len(name) > common + 1 and name[common] == names[0][common] for name in names):
        common += 1
    # "Image" is common to all names: it stands behind the prompt already, so that one pass answers both whether
    # any fits (before it) and which (after it).
    extra = torch.tensor(names[0][:common], dtype=torch.long)
    last = int(sequence.positions.max()) + 1
    steps = torch.arange(last, last + common).expand(3, -1)
    longer = Sequence3(
        torch.cat([sequence.ids, extra]), torch.cat([sequence.positions, steps], 1), sequence.image_spans
    )
    hidden = last_hidden(language, longer, pictures, common + 1)
    if int(names[0][0]) != int(none[0]):
        some, nobody = language.logits(hidden[0], [names[0][0], none[0]])
        if nobody > some:
            return None
    return int(language.logits(hidden[-1], [name[common] for name in names]).argmax())
