"""Teaches the demo Qwen2-VL to answer: the language half of stage 0, and the paper's three stages.

A step is one packed list (one kind of query, look-alikes as candidates), a few plain instruction samples with
cross-entropy on the answers alone, and pictures that are read kind by kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from app.model.attributes import attribute_probe, probe_logits
from app.model.scoring import LanguageModel, PromptTokens, yes_no_ids
from app.model.vision import encode_grids, pixel_patches
from training.demo.attribute_heads import attribute_loss, hidden_loss, value_priors
from training.demo.choices import ChoiceQuestions, ChoiceTurn, choice_turns, list_size
from training.demo.learning import LearningLog, learn, muon_and_adamw, process_rank
from training.demo.pool import Pool
from training.demo.sampling import PackedList, PoolLists, augmented
from training.instructions.mixtures import StageMixture
from training.instructions.sample import InstructionSample
from training.instructions.stage_samples import SampleMaker
from training.packed import collate, listwise_loss, scores
from training.tuning.steps import answer_weights

LONG = 10  # attributes
HIDDEN = 0.3  # weight of "what does not show is as usual" beside the reading of what shows


@dataclass(frozen=True)
class DemoStage:
    """One stage of the demo's training.

    steps: of one packed list each. mixture: plain tasks with their shares; plain: samples of them in every
    second step, or in each where there are no lists.
    lists: kinds of packed lists with their weights; empty for none. rate: the highest learning rate of the
    language model's matrices (Muon), the rest learns at 0.6 of it. tower_rate: that of the vision tower as a
    share of `rate`; 0 freezes it, and its tokens are then computed once. fresh_decoder: the language model
    starts from the base's again, the encoder is carried over (the paper's stage 2).
    told: fewest and most attributes in a description of a list. long_first: descriptions start at LONG
    attributes and more and reach `told` at half time; many attributes fit fewer crops, and are easier.
    graded: weight at the start, fading to nothing at the end, of the ranking by how many attributes of a
    candidate are wrong: whoever must learn a description word by word is told which candidates nearly fit.
    forms: pictures in each step that are read kind by kind (app.model.attributes). lists_every: so many steps have
    one list. choices: candidates in each step that are shown in turns of best choice (training.demo.choices), from
    a list of their own where the step has none.
    """

    name: str
    steps: int
    rate: float
    mixture: StageMixture
    plain: int
    lists: dict[str, float]
    tower_rate: float
    fresh_decoder: bool = False
    told: tuple[int, int] = (1, 12)
    long_first: bool = False
    graded: float = 1.0
    forms: int = 0
    lists_every: int = 1
    choices: int = 0

    def told_at(self, done: float) -> tuple[int, int]:
        """Fewest and most attributes at a share of the stage, 0..1."""
        least, most = self.told
        if not self.long_first:
            return self.told
        return max(least, round(LONG * (1 - 2 * done))), most


class PoolTokens:
    """Vision tokens of pool rows: through the tower, or remembered where the tower is frozen."""

    def __init__(self, model: Any, pool: Pool, frozen: bool) -> None:
        self.visual, self.pool = model.model.visual, pool
        self._kept = self._all() if frozen else None

    def __call__(self, rows: Sequence[int], rng: np.random.Generator) -> dict[int, Tensor]:
        """Row -> float32 (tokens, width)."""
        unique = sorted(set(rows))
        if self._kept is not None:
            return {row: self._kept[row].float() for row in unique}
        tokens = self._encode(augmented(self.pool.pictures[unique], rng))
        return dict(zip(unique, tokens, strict=True))

    def _encode(self, pictures: np.ndarray) -> Tensor:
        patches = pixel_patches(pictures)
        values = patches.values.view(len(pictures), -1, patches.values.shape[1])
        return encode_grids(self.visual, values, patches.grids[0])

    @torch.no_grad()
    def _all(self) -> Tensor:
        parts = [
            self._encode(np.asarray(self.pool.pictures[i : i + 256])).half()
            for i in range(0, len(self.pool), 256)
        ]
        return torch.cat(parts)


def train_stage(
    model: Any,
    processor: Any,
    stage: DemoStage,
    pool: Pool,
    work: Path,
    *,
    seed: int,
    log: LearningLog,
) -> None:
    """Runs a stage in place, resuming from `work`."""
    torch.manual_seed(seed)
    tower = list(model.model.visual.parameters())
    for parameter in tower:
        parameter.requires_grad_(stage.tower_rate > 0)
    inside = {id(p) for p in tower}
    optimizers = muon_and_adamw(
        model.model.language_model.layers.parameters(),
        (p for p in model.parameters() if id(p) not in inside),
        stage.rate,
    )
    if stage.tower_rate:
        peak = stage.rate * stage.tower_rate
        optimizers.append(torch.optim.AdamW([{"params": tower, "peak": peak}], weight_decay=0.02))
    process_seed = seed + 1000 * process_rank()
    sight, stream = (
        PoolTokens(model, pool, stage.tower_rate == 0),
        SampleMaker(stage.mixture, pool.columns(), process_seed),
    )
    lists, yes_no = PoolLists(pool, processor, process_seed), yes_no_ids(processor.tokenizer)
    questions = ChoiceQuestions(processor, lists.grid)
    kinds = list(stage.lists)
    weights = np.array(list(stage.lists.values())) / max(1e-9, sum(stage.lists.values()))
    every = 2 if kinds else 1
    form_of, usual = attribute_probe(processor, lists.grid), value_priors(pool.visible)

    def take(step: int, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        rng = np.random.default_rng((seed, step, 43))  # all processes take one kind of list: equal work
        packed: PackedList | None = None
        turns: list[ChoiceTurn] = []
        if kinds:
            drawn = lists.draw(str(rng.choice(kinds, p=weights)), step, stage.told_at(done))
            packed = drawn if step % stage.lists_every == 0 else None
            if stage.choices:
                size = list_size(done, rng)
                turns = choice_turns(drawn, size, max(1, stage.choices // size), rng)
        plain = []
        if step % every == every - 1:
            first = step // every * stage.plain
            plain = [stream.sample(first + i) for i in range(stage.plain)]
        rows = [r for sample in plain for r in sample.pictures]
        rows += [r for turn in turns for r in (*turn.references, *turn.rows)]
        if packed is not None:
            rows += [int(r) for r in packed.rows] + [r for refs in packed.references for r in refs]
        read = (
            np.random.default_rng((process_seed, step, 47))
            .choice(len(pool), stage.forms, replace=False)
            .tolist()
        )
        seen = sight(rows + read, rng)
        figures: dict[str, Tensor] = {}
        loss = torch.zeros(())
        if packed is not None:
            odds = _odds(model, packed, seen, yes_no)
            right, ignored = torch.from_numpy(packed.right), torch.from_numpy(packed.ignored)
            figures[packed.kind] = listwise_loss(odds, right, ignored)
            loss = loss + figures[packed.kind]
            figures["graded"] = _graded_loss(odds, packed)
            loss = loss + stage.graded * (1 - done) * figures["graded"]
        if turns:
            size = len(turns[0].rows)
            figures[f"choice of {size}"], share = questions.loss(model, turns, seen)
            figures[f"right of {size}"] = torch.tensor(share)
            loss = loss + figures[f"choice of {size}"]
        if plain:
            figures["answers"] = _answer_loss(model, processor, plain, seen, lists.grid)
            loss = loss + figures["answers"]
        if read:
            tokens = torch.stack([seen[row] for row in read])
            logits, visible = probe_logits(LanguageModel(model), form_of, tokens), pool.visible[read]
            figures["forms"] = attribute_loss(logits, visible)
            loss = loss + figures["forms"] + HIDDEN * hidden_loss(logits, visible, usual)
        return loss, figures

    learn(
        take,
        {"model": model},
        optimizers,
        steps=stage.steps,
        state=work / f"{stage.name}.pt",
        log=log,
        stage=stage.name,
        warmup=40,
    )


def _odds(model: Any, packed: PackedList, seen: dict[int, Tensor], yes_no: tuple[int, int]) -> Tensor:
    queries = collate(model, packed.layouts, [[seen[r] for r in refs] for refs in packed.references])
    return scores(model, queries, torch.stack([seen[int(r)] for r in packed.rows]), yes_no)


def _graded_loss(odds: Tensor, packed: PackedList) -> Tensor:
    """KL from the softmax of the odds to one in which each wrong attribute takes one off."""
    ignored = torch.from_numpy(packed.ignored)
    target = (-torch.from_numpy(packed.wrong).float()).masked_fill(ignored, -1e4).softmax(1)
    return F.kl_div(odds.masked_fill(ignored, -1e4).log_softmax(1), target, reduction="batchmean")


def _answer_loss(
    model: Any,
    processor: Any,
    samples: Sequence[InstructionSample],
    seen: dict[int, Tensor],
    grid: tuple[int, int, int],
) -> Tensor:
    """Cross-entropy on the answers' tokens and the end mark, over a batch padded to its longest sample.

    Every sample weighs the same, however long its answer, as in training.tuning.
    """
    text, embed = model.model.language_model, model.get_input_embeddings()
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    rows, positions, labels = [], [], []
    for sample in samples:
        whole = PromptTokens(processor, sample.messages).fill([grid] * len(sample.pictures))
        answer = torch.tensor(
            [*processor.tokenizer(sample.answer, add_special_tokens=False)["input_ids"], end]
        )
        embedded = embed(torch.cat([whole.ids, answer]))
        for row, (start, stop) in zip(sample.pictures, whole.image_spans, strict=True):
            embedded = torch.cat([embedded[:start], seen[row], embedded[stop:]])
        next_position = int(whole.positions.max()) + 1
        after = torch.arange(next_position, next_position + len(answer)).expand(3, -1)
        rows.append(embedded)
        positions.append(torch.cat([whole.positions, after], 1))
        labels.append(torch.cat([torch.full((len(whole.ids) - 1,), -100), answer, torch.tensor([-100])]))
    longest = max(len(row) for row in rows)
    hidden = text(
        inputs_embeds=torch.stack([F.pad(row, (0, 0, 0, longest - len(row))) for row in rows]),
        position_ids=torch.stack([F.pad(p, (0, longest - p.shape[1])) for p in positions], 1),
        attention_mask=torch.stack([torch.arange(longest) < len(row) for row in rows]).long(),
        use_cache=False,
    ).last_hidden_state
    target = torch.stack([F.pad(label, (0, longest - len(label)), value=-100) for label in labels])
    asked = target != -100
    losses = F.cross_entropy(model.lm_head(hidden[asked]), target[asked], reduction="none")
    counts = asked.sum(1)
    return losses @ torch.tensor(answer_weights(counts.tolist())).repeat_interleave(counts)
