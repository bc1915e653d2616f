"""Section 3.3's question about a short list: which of these pictures is it?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from app.model.prompts import MayDiffer, best_choice_prompt
from app.model.scoring import LanguageModel, PromptTokens, answer_ids
from app.model.vision import VisionTokens


def choice_logits(
    language: LanguageModel,
    processor: Any,
    description: str,
    references: Sequence[VisionTokens],
    lists: Sequence[Sequence[VisionTokens]],
    may_differ: Callable[[Sequence[VisionTokens]], MayDiffer | None],
) -> Tensor:
    """float32 (lists, length): of each list, the log-probability of each place's name among all names of the list.

    lists: candidates in the order in which they are shown; all of one length. may_differ: between the references and
    the candidates of a list, as best_choice_prompt has it. Lists with one question, whose pictures have the same grids,
    are asked together.
    """
    rows = torch.empty(len(lists), len(lists[0]))
    keys = [(may_differ(shown), tuple(picture.grid for picture in shown)) for shown in lists]
    for key in dict.fromkeys(keys):
        differs, own = key
        group = [number for number, other in enumerate(keys) if other == key]
        prompt = best_choice_prompt(description, len(references), len(own), differs)
        tokens = PromptTokens(processor, prompt.messages)
        names = [answer_ids(processor.tokenizer, name) for name in prompt.names]
        common = (
            0  # "Image" begins all names: it is put behind the prompt, and what tells them apart comes next
        )
        while all(len(name) > common + 1 and name[common] == names[0][common] for name in names):
            common += 1
        sequence = tokens.fill([*(picture.grid for picture in references), *own])
        last = int(sequence.positions.max()) + 1
        ids = torch.cat([sequence.ids, torch.tensor(names[0][:common], dtype=torch.long)])
        positions = torch.cat([sequence.positions, torch.arange(last, last + common).expand(3, -1)], 1)
        query, spans = sequence.image_spans[: len(references)], sequence.image_spans[len(references) :]
        start = spans[0][0]  # before it all lists are the same
        prefix = language.prefix(ids[:start], positions[:, :start], references, query)
        spans = tuple((first - start, end - start) for first, end in spans)
        blocks = [language.embeddings(ids[start:], lists[number], spans) for number in group]
        hidden, _ = language.extend(prefix, torch.stack(blocks), positions[:, start:])
        logits = language.logits(hidden[:, -1], [name[common] for name in names])
        rows[group] = logits.log_softmax(1).cpu()
    return rows
