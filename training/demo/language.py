"""Teaches the demo Qwen2-VL to answer: the language half of stage 0, and the paper's three stages.

A step is one packed list (one kind of query, look-alikes as candidates), a few plain instruction samples with
cross-entropy on the answers alone, and pictures that are read kind by kind.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from app.model.attributes import attribute_probe
from app.model.prompts import PROMPT_VERSION
from app.model.readings import ReadingTokens
from app.model.scoring import PromptTokens, yes_no_ids
from app.model.vision import Grid, picture_patches, token_count
from training.decoder import Decoder, encode_rounded, on_device
from training.demo.attribute_heads import attribute_loss, hidden_loss, value_priors
from training.demo.choices import (
    LONGEST,
    ChoiceArrays,
    ChoiceQuestions,
    ChoiceTurn,
    Longest,
    choice_loss,
    choice_turns,
    list_size,
)
from training.demo.learning import LearningLog, learn, muon_and_adamw, process_rank
from training.demo.lists import ListArrays, list_answers, list_losses, said_loss
from training.demo.looks import DevicePictures, Looks, draw_looks
from training.demo.pool import Pool
from training.demo.sampling import PackedList, PoolLists
from training.demo.sequences import Asked, Forms, SequenceArrays, answer_logits, answer_loss, lay_out_rows
from training.instructions.mixtures import StageMixture
from training.instructions.sample import InstructionSample
from training.instructions.stage_samples import SampleMaker
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
    scale: times the families and queries of a list; beside: lists in one. longest: how turns of best choice
    grow. alone: the share of the
    stage, from its start, in which there are only turns of best choice, with choices_alone candidates. soft: the weight
    of the pair question's own scores as a target for best choice. near: see `choice_turns`. prompt: version of the pair
    question that lists ask.
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
    scale: int = 1
    beside: int = 1
    longest: Longest = LONGEST
    alone: float = 0.0
    choices_alone: int = 0
    soft: float = 0.0
    near: float = 0.0
    prompt: int = PROMPT_VERSION

    def told_at(self, done: float) -> tuple[int, int]:
        """Fewest and most attributes at a share of the stage, 0..1."""
        least, most = self.told
        if not self.long_first:
            return self.told
        return max(least, round(LONG * (1 - 2 * done))), most


class PoolTokens:
    """Vision tokens of pool rows: through the tower, or remembered where the tower is frozen.

    On a CPU, where a short run asks for a part of a pool, they are computed when they are first asked for; elsewhere
    all at once.
    """

    def __init__(self, model: Any, pictures: DevicePictures, frozen: bool) -> None:
        self.visual, self.pictures = model.model.visual, pictures
        self._kept: Tensor | None = None
        self._known = np.zeros(len(pictures), bool) if frozen else None
        if frozen and torch.device(pictures.device).type != "cpu":
            self._keep(np.arange(len(pictures)))

    def __call__(self, rows: np.ndarray, looks: Looks | None = None) -> Tensor:
        """int64 rows (n,) -> float32 (n, tokens, width); a frozen tower sees the pictures as they are."""
        if self._known is None:
            return encode_rounded(self.visual, *picture_patches(self.pictures(rows, looks)))
        self._keep(np.unique(rows[~self._known[rows]]))
        assert self._kept is not None
        return self._kept[on_device(rows, self._kept.device)].float()

    @torch.no_grad()
    def _keep(self, rows: np.ndarray, part: int = 1024) -> None:
        for some in np.split(rows, range(part, len(rows), part)) if len(rows) else ():
            seen = encode_rounded(self.visual, *picture_patches(self.pictures(some))).half()
            if self._kept is None:
                self._kept = seen.new_empty((len(self.pictures), *seen.shape[1:]))
            self._kept[on_device(some, seen.device)] = seen
        assert self._known is not None
        self._known[rows] = True


@dataclass(frozen=True)
class LanguageStep:
    """What a step asks, as arrays; any part but the rows may be missing.

    rows int64 (n,): of the pool, each once: the pictures that are seen, with their looks where the tower is taught;
    all places are places among them. listed: the list; learnt: whether it is taught, or only asked for the sake of the
    turns. read int64 (k,): places of the pictures that are read kind by kind. done: the share of the stage, 0..1.
    """

    done: float
    rows: np.ndarray
    looks: Looks | None
    listed: ListArrays | None
    learnt: bool
    choices: ChoiceArrays | None
    answers: SequenceArrays | None
    read: np.ndarray


class LanguageLesson:
    """What a stage teaches a model, step by step, in place. pictures: the pool's, on the model's device."""

    def __init__(
        self,
        model: Any,
        processor: Any,
        stage: DemoStage,
        pool: Pool,
        pictures: DevicePictures,
        *,
        seed: int,
    ) -> None:
        torch.manual_seed(seed)
        self.model, self.processor, self.rule, self.pool, self.seed = model, processor, stage, pool, seed
        self.stage = stage.name
        self.modules: dict[str, nn.Module] = {"model": model}
        tower = list(model.model.visual.parameters())
        for parameter in tower:
            parameter.requires_grad_(stage.tower_rate > 0)
        inside = {id(p) for p in tower}
        self.optimizers = muon_and_adamw(
            model.model.language_model.layers.parameters(),
            (p for p in model.parameters() if id(p) not in inside),
            stage.rate,
        )
        if stage.tower_rate:
            peak = stage.rate * stage.tower_rate
            self.optimizers.append(torch.optim.AdamW([{"params": tower, "peak": peak}], weight_decay=0.02))
        self._process_seed = seed + 1000 * process_rank()
        self.sight = PoolTokens(model, pictures, stage.tower_rate == 0)
        mixture = replace(stage.mixture, vocabulary=pool.vocabulary)
        self._stream = SampleMaker(mixture, pool.columns(), self._process_seed)
        self._lists: dict[int, PoolLists] = {}
        self.grid = self._at_scale(1).grid
        self._yes_no = yes_no_ids(processor.tokenizer)
        self._questions = ChoiceQuestions(processor, self.grid)
        self._kinds = list(stage.lists)
        self._weights = np.array(list(stage.lists.values())) / max(1e-9, sum(stage.lists.values()))
        probe = attribute_probe(processor, self.grid, pool.vocabulary)
        self._forms = Forms(probe, ReadingTokens.of(processor, probe), torch.device(pictures.device))
        self._usual = value_priors(pool.visible, pool.kinds)
        # Whose pair questions best choice is to come close to, while it is taught alone and they are not.
        self._teacher = copy.deepcopy(model).requires_grad_(False) if stage.soft and stage.alone else None
        self._teaches: Decoder | None = None

    def draw(self, step: int, done: float, parts: int = 1) -> LanguageStep:
        """parts: a step of so many times fewer questions."""
        stage, lists = self.rule, self._at_scale(parts)
        rng = np.random.default_rng((self.seed, step, 43))  # all processes take one kind of list: equal work
        alone = done < stage.alone
        listed: PackedList | None = None
        turns: list[ChoiceTurn] = []
        learnt = False
        if self._kinds:
            listed = lists.draw(str(rng.choice(self._kinds, p=self._weights)), step, stage.told_at(done))
            learnt = not alone and step % stage.lists_every == 0
            if stage.choices:
                size = list_size(done, rng, stage.longest)
                candidates = (alone and stage.choices_alone) or stage.choices
                count = max(1, candidates // size // parts)
                turns = choice_turns(listed, size, count, rng, stage.near)
            if not learnt and not (turns and stage.soft):
                listed = None
        every = 2 if self._kinds else 1
        plain: list[InstructionSample] = []
        if not alone and step % every == every - 1:
            count = max(1, stage.plain // parts)
            plain = [self._stream.sample(step // every * count + i) for i in range(count)]
        read = np.zeros(0, np.int64)
        if not (alone and turns):
            chance, forms = np.random.default_rng((self._process_seed, step, 47)), stage.forms // parts
            read = chance.choice(len(self.pool), min(forms, len(self.pool)), replace=False)
        rows = [r for sample in plain for r in sample.pictures]
        rows += [r for turn in turns for r in (*turn.references, *turn.rows)]
        if listed is not None:
            rows += np.unique(listed.rows).tolist() + [r for refs in listed.references for r in refs]
        seen = np.unique(np.array([*rows, *read.tolist()], np.int64))
        places = {row: place for place, row in enumerate(seen.tolist())}
        return LanguageStep(
            done,
            seen,
            draw_looks(rng, len(seen), *self.sight.pictures.size) if stage.tower_rate else None,
            ListArrays.of(listed, places) if listed is not None else None,
            learnt,
            self._questions.lay_out(turns, places) if turns else None,
            answer_rows(self.processor, plain, places, self.grid) if plain else None,
            np.array([places[row] for row in read.tolist()], np.int64),
        )

    def loss(self, drawn: LanguageStep) -> tuple[Tensor, dict[str, Tensor]]:
        stage = self.rule
        seen = self.sight(drawn.rows, drawn.looks)
        decoder = Decoder(self.model, rounded=True)
        figures: dict[str, Tensor] = {}
        losses: list[Tensor] = []
        odds: Tensor | None = None
        if drawn.listed is not None and drawn.learnt:
            found = list_answers(decoder, drawn.listed, seen, self._yes_no, self._forms)
            odds = found.odds
            figures[drawn.listed.kind], figures["graded"] = list_losses(odds, drawn.listed)
            losses.append(figures[drawn.listed.kind])
            losses.append(stage.graded * (1 - drawn.done) * figures["graded"])
            if (said := drawn.listed.phrases) is not None and len(said.queries):
                figures["phrases"] = said_loss(decoder, found, said, self._yes_no)
                losses.append(figures["phrases"])
        elif drawn.listed is not None:
            with torch.no_grad():
                teacher = self._taught_by(decoder)
                odds = list_answers(teacher, drawn.listed, seen, self._yes_no, self._forms).odds
        if drawn.choices is not None:
            size = drawn.choices.size
            loss, share = choice_loss(decoder, drawn.choices, seen, odds, stage.soft)
            figures |= {f"choice of {size}": loss, f"right of {size}": share}
            losses.append(loss)
        if drawn.answers is not None:
            figures["answers"] = answer_loss(answer_logits(decoder, drawn.answers, seen), drawn.answers)
            losses.append(figures["answers"])
        if len(drawn.read):
            logits = self._forms.logits(decoder, seen[on_device(drawn.read, seen.device)])
            visible = self.pool.visible[drawn.rows[drawn.read]]
            figures["forms"] = attribute_loss(logits, visible)
            losses += [figures["forms"], HIDDEN * hidden_loss(logits, visible, self._usual)]
        return torch.stack(losses).sum(), figures

    def _taught_by(self, decoder: Decoder) -> Decoder:
        """Who answers the pair questions that best choice is to come close to."""
        if self._teacher is None:
            return decoder
        if self._teaches is None or self._teaches.dtype != decoder.dtype:
            self._teaches = Decoder(self._teacher, rounded=True)
        return self._teaches

    def _at_scale(self, parts: int) -> PoolLists:
        """Fewer lists beside one another, then smaller ones."""
        if parts not in self._lists:
            beside = max(1, self.rule.beside // parts)
            scale = max(1, self.rule.scale * self.rule.beside // (beside * parts))
            seed, prompt = self._process_seed, self.rule.prompt
            self._lists[parts] = PoolLists(self.pool, self.processor, seed, scale, beside, prompt)
        return self._lists[parts]


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
    lesson = LanguageLesson(model, processor, stage, pool, DevicePictures(pool.pictures), seed=seed)
    learn(
        lambda step, done: lesson.loss(lesson.draw(step, done)),
        lesson.modules,
        lesson.optimizers,
        steps=stage.steps,
        state=work / f"{stage.name}.pt",
        log=log,
        stage=stage.name,
        warmup=40,
    )


def answer_rows(
    processor: Any, samples: Sequence[InstructionSample], places: Mapping[int, int], grid: Grid
) -> SequenceArrays:
    """Samples with their answers and the end mark, whose tokens are asked.

    Every sample weighs the same, however long its answer, as in training.tuning. places: of each row of the pool among
    the pictures that are seen; grid: of each picture.
    """
    end = processor.tokenizer.convert_tokens_to_ids("<|im_end|>")
    answers = [
        [*processor.tokenizer(sample.answer, add_special_tokens=False)["input_ids"], end]
        for sample in samples
    ]
    weights = answer_weights([len(answer) for answer in answers])
    rows = []
    for sample, answer, weight in zip(samples, answers, weights, strict=True):
        whole = PromptTokens(processor, sample.messages).fill([grid] * len(sample.pictures))
        first = len(whole.ids) - 1
        pictures = [places[row] for row in sample.pictures]
        ends = range(first, first + len(answer))
        rows.append(Asked(whole, answer, pictures, ends, answer, [weight] * len(answer)))
    return lay_out_rows(rows, token_count(grid))
