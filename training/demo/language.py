"""Teaches the demo Qwen2-VL its word: the language half of stage 0, and the paper's three stages.

A step is one packed list (one kind of query, look-alikes as candidates) and a few plain instruction
samples, with cross-entropy on the answers alone.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.model.description import query_description
from app.model.layout import PairLayout, PromptTokens, pair_layout, yes_no_ids
from app.model.prompts import pair_prompt
from app.model.vision import encode_grids, pixel_patches
from app.model.vocabulary import Attribute
from training.demo.pool import Pool, value_indices
from training.demo.progress import Log, atomic_save, learning_rate
from training.demo.sampling import Batches, BatchRule, augmented, descriptions, satisfies
from training.instructions.mixtures import StageMixture
from training.instructions.sample import InstructionSample
from training.instructions.stream import Stream
from training.packed import collate, listwise_loss, scores

QUERIES = 10  # of a list; smaller steps, more of them
TOLD_CHANGES = (
    "upper_colour",
    "upper",
    "upper_pattern",
    "lower_colour",
    "lower",
    "bag",
    "hat",
    "shoe_colour",
)


@dataclass(frozen=True)
class Stage:
    """One stage of the demo's training.

    minutes: wall clock. mixture: plain tasks with their shares; plain: samples of them per step.
    lists: kinds of packed lists with their weights; empty for none. tower_rate: learning rate of the vision
    tower as a share of `rate`; 0 freezes it, and its tokens are then computed once. fresh_decoder: the
    language model starts from the base's again, the encoder is carried over (the paper's stage 2).
    told: the most attributes in a description of a list; few make the first steps easier.
    teacher: weight of the warm embedding's own ranking at the start; it fades to nothing by half time.
    """

    name: str
    minutes: float
    rate: float
    mixture: StageMixture
    plain: int
    lists: dict[str, float]
    tower_rate: float
    fresh_decoder: bool = False
    told: int = 8
    teacher: float = 0.0


@dataclass(frozen=True)
class PackedList:
    """Queries with their candidates. references: per query, rows of the pool; rows (M,): the candidates';
    right, ignored bool (Q, M)."""

    layouts: list[PairLayout]
    references: list[list[int]]
    rows: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    kind: str


class Lists:
    """Draws packed lists; each is a pure function of (seed, index)."""

    def __init__(self, pool: Pool, processor: Any, seed: int, told: int = 8) -> None:
        self.pool, self.processor, self.seed, self.told = pool, processor, seed, told
        self._plain = Batches(pool, BatchRule(6, 3, 2, 0.25), seed)
        self._changed = Batches(pool, BatchRule(4, 3, 3, 1.0), seed)
        height, width = pool.pictures.shape[1:3]
        self.grid = (1, height // 14, width // 14)

    def draw(self, kind: str, index: int) -> PackedList:
        rng = np.random.default_rng((self.seed, index, 29))
        if kind == "image":
            return self._by_image(self._plain.batch(index), rng)
        if kind == "text":
            return self._by_text(self._plain.batch(index), rng)
        return self._by_both(self._changed.batch(index), rng)

    def _by_image(self, rows: np.ndarray, rng: np.random.Generator) -> PackedList:
        queries = rng.permutation(np.arange(0, len(rows), 2))[:QUERIES]
        right = self.pool.person[rows[queries]][:, None] == self.pool.person[rows][None]
        own = rows[queries][:, None] == rows[None]
        layout = pair_layout(self.processor, pair_prompt("", 1), [self.grid], self.grid)
        references = [[int(r)] for r in rows[queries]]
        return PackedList([layout] * len(queries), references, rows, right & ~own, own, "image")

    def _by_text(self, rows: np.ndarray, rng: np.random.Generator) -> PackedList:
        about = rng.permutation(rows)[:QUERIES]
        told = descriptions(self.pool, about, rng, self.told, canonical=0.75)
        fits, unsure = satisfies(
            told.fragments, self.pool.attributes[rows], self.pool.visible[rows], told.refused
        )
        layouts = [pair_layout(self.processor, pair_prompt(text), [], self.grid) for text in told.texts]
        right, ignored = (fits & ~unsure).T, unsure.T
        return PackedList(layouts, [[] for _ in layouts], rows, right, ignored, "text")

    def _by_both(self, rows: np.ndarray, rng: np.random.Generator) -> PackedList:
        """Of each person's three crops the first is the reference and the last wears other clothes."""
        layouts, references, right, ignored = [], [], [], []
        for place in range(0, len(rows), 3):
            before, after = self.pool.seen(int(rows[place])), self.pool.seen(int(rows[place + 2]))
            changed = [k for k in TOLD_CHANGES if k in after and after[k] != before.get(k)]
            if not changed:
                continue
            kinds = list(rng.permutation(changed)[: int(rng.integers(1, 4))])
            said = {k: after[k] for k in kinds}
            text = query_description([Attribute(k, v) for k, v in said.items()])
            layouts.append(pair_layout(self.processor, pair_prompt(text, 1), [self.grid], self.grid))
            references.append([int(rows[place])])
            fits, unsure = satisfies(
                value_indices(said)[None], self.pool.attributes[rows], self.pool.visible[rows]
            )
            same = self.pool.person[rows] == self.pool.person[rows[place]]
            right.append(same & fits[:, 0] & ~unsure[:, 0])
            ignored.append((same & unsure[:, 0]) | (rows == rows[place]))
        return PackedList(layouts, references, rows, np.stack(right), np.stack(ignored), "image-plus-text")


class Sight:
    """Vision tokens of pool rows: through the tower, or remembered where the tower is frozen."""

    def __init__(self, model: Any, pool: Pool, frozen: bool) -> None:
        self.visual, self.pool = model.model.visual, pool
        self._kept = self._all() if frozen else None

    def __call__(self, rows: Sequence[int], rng: np.random.Generator) -> dict[int, Tensor]:
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
    stage: Stage,
    pool: Pool,
    work: Path,
    *,
    seed: int,
    log: Log,
    teacher: Any = None,
) -> int:
    """Runs a stage in place, resuming from `work`; returns the number of steps. teacher: a WarmUp, or None."""
    torch.manual_seed(seed)
    frozen = stage.tower_rate == 0
    tower = {id(p) for p in model.model.visual.parameters()}
    for parameter in model.parameters():
        parameter.requires_grad_(not (frozen and id(parameter) in tower))
    groups = [
        {"params": [p for p in model.parameters() if id(p) not in tower], "share": 1.0},
        {
            "params": [p for p in model.model.visual.parameters() if p.requires_grad],
            "share": stage.tower_rate,
        },
    ]
    optimizer = torch.optim.AdamW([g for g in groups if g["params"]], lr=stage.rate, weight_decay=0.02)
    state, step, spent = work / f"{stage.name}.pt", 0, 0.0
    if state.is_file():
        saved = torch.load(state, weights_only=True)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        step, spent = saved["step"], saved["spent"]
    sight, stream = Sight(model, pool, frozen), Stream(stage.mixture, pool.columns(), seed)
    lists, yes_no = Lists(pool, processor, seed, stage.told), yes_no_ids(processor.tokenizer)
    started = time.monotonic()

    def save(seconds: float) -> None:
        atomic_save(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "step": step,
                "spent": seconds,
            },
            state,
        )

    while (done := (spent + time.monotonic() - started) / (60 * stage.minutes)) < 1:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(stage.rate, step, done, warmup=60) * group["share"]
        rng = np.random.default_rng((seed, step, 43))
        packed = None
        if stage.lists:
            kinds = list(stage.lists)
            weights = np.array(list(stage.lists.values()))
            packed = lists.draw(kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))], step)
        plain = [stream.sample(step * stage.plain + i) for i in range(stage.plain)]
        rows = [r for sample in plain for r in sample.pictures]
        if packed is not None:
            rows += [int(r) for r in packed.rows] + [r for refs in packed.references for r in refs]
        seen = sight(rows, rng)
        figures: dict[str, Any] = {}
        loss: Tensor = torch.zeros(())
        if packed is not None:
            odds = _odds(model, packed, seen, yes_no)
            right, ignored = torch.from_numpy(packed.right), torch.from_numpy(packed.ignored)
            listwise = listwise_loss(odds, right, ignored)
            loss = loss + listwise
            figures[packed.kind] = listwise.item()
            weight = stage.teacher * max(0.0, 1 - 2 * done)
            if teacher is not None and weight and packed.kind == "image":
                loss = loss + weight * _follow(odds, packed, seen, teacher)
        if plain:
            answers = _answer_loss(model, processor, plain, seen, lists.grid)
            loss = loss + answers
            figures["answers"] = answers.item()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        step += 1
        if step % 20 == 0:
            log.write(stage=stage.name, step=step, done=done, **figures)
        if step % 200 == 0:
            save(spent + time.monotonic() - started)
    save(60 * stage.minutes)
    return step


def _odds(model: Any, packed: PackedList, seen: dict[int, Tensor], yes_no: tuple[int, int]) -> Tensor:
    queries = collate(model, packed.layouts, [[seen[r] for r in refs] for refs in packed.references])
    return scores(model, queries, torch.stack([seen[int(r)] for r in packed.rows]), yes_no)


def _follow(odds: Tensor, packed: PackedList, seen: dict[int, Tensor], teacher: Any) -> Tensor:
    """KL to the warm embedding's ranking at temperature 0.05."""
    with torch.no_grad():
        gallery = teacher.embed(torch.stack([seen[int(r)] for r in packed.rows]))
        query = teacher.embed(torch.stack([seen[refs[0]] for refs in packed.references]))
        ignored = torch.from_numpy(packed.ignored)
        target = (query @ gallery.T / 0.05).masked_fill(ignored, -1e4).softmax(1)
    return F.kl_div(odds.masked_fill(ignored, -1e4).log_softmax(1), target, reduction="batchmean")


def _answer_loss(
    model: Any,
    processor: Any,
    samples: Sequence[InstructionSample],
    seen: dict[int, Tensor],
    grid: tuple[int, int, int],
) -> Tensor:
    """Cross-entropy on the answers' tokens and the end mark, over a batch padded to its longest sample."""
    text, embed = model.model.language_model, model.get_input_embeddings()
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    rows, positions, labels = [], [], []
    for sample in samples:
        whole = PromptTokens(processor, sample.messages).fill([grid] * len(sample.pictures))
        answer = torch.tensor(
            [*processor.tokenizer(sample.answer, add_special_tokens=False)["input_ids"], end]
        )
        own = embed(torch.cat([whole.ids, answer]))
        for row, (start, stop) in zip(sample.pictures, whole.image_spans, strict=True):
            own = torch.cat([own[:start], seen[row], own[stop:]])
        place = int(whole.positions.max()) + 1
        after = torch.arange(place, place + len(answer)).expand(3, -1)
        rows.append(own)
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
    return F.cross_entropy(model.lm_head(hidden[asked]), target[asked])
