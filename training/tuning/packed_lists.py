"""Packed lists over records: questions with the candidates of one data set, look-alikes among them.

An option of stages 2 and 3 that is not in the paper; training.packed says why it helps. A list asks exactly
the pair question of run time, of pictures by the stage's rule. Each is a pure function of (seed, step).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from app.model.pictures import ImageRule, apply_rule
from app.model.prompts import NOTHING_DIFFERS, MayDiffer, pair_prompt
from app.model.scoring import PairLayout, PromptTokens, pair_layout, yes_no_ids
from app.model.vision import Grid, Patches, encode_mixed, pixel_patches
from gallery_store.console import remark
from training.decoder import Decoder
from training.instructions.rng import SampleRng
from training.instructions.stage_samples import Samples
from training.packed import answers, collate, listwise_loss
from training.tuning.collator import fitting
from training.tuning.failures import TuningError
from training.tuning.steps import StepStats

CANDIDATES = 24
MOST_QUERIES = 10
TOLD = (1, 8)  # attributes in a description
CHANGES = (1, 3)  # attributes in what has changed
UNKNOWN = 255  # training.instructions.crop_index.CropIndex.value


@dataclass(frozen=True)
class PackedStep:
    """One list. patches: of M pictures, all of them candidates; layouts: for each grid among them, a question each
    about candidates of that grid; references: per question, places of its pictures in `patches`;
    right, ignored bool (Q, M): ignored candidates are neither right nor wrong."""

    kind: str
    layouts: Mapping[Grid, tuple[PairLayout, ...]]
    references: tuple[tuple[int, ...], ...]
    patches: Patches
    right: Tensor
    ignored: Tensor
    yes_no: tuple[int, int]
    stats: StepStats

    def loss(self, model: Any, device: Any) -> Tensor:
        """training.packed's objective for a model (bare, or with an adapter) on a device."""
        bare = model.get_base_model() if hasattr(model, "get_base_model") else model
        odds = self.odds(bare)
        return listwise_loss(odds.float(), self.right.to(device), self.ignored.to(device))

    def odds(self, model: Any) -> Tensor:
        """(Q, M): logit("Yes") - logit("No") of each picture for each question; candidates of one grid go together."""
        tokens = encode_mixed(model.model.visual, self.patches)
        references = [[tokens[place] for place in pictures] for pictures in self.references]
        found: list[Tensor] = []
        places: list[int] = []
        for grid, layouts in self.layouts.items():
            group = [place for place, other in enumerate(self.patches.grids) if other == grid]
            candidates = torch.stack([tokens[place] for place in group])
            queries = collate(model, layouts, references)
            found.append(answers(Decoder(model), queries, candidates, self.yes_no).odds)
            places += group
        back = torch.tensor(places, device=found[0].device).argsort()
        return torch.cat(found, 1)[:, back]


@dataclass(frozen=True)
class _Question:
    """Of one row of a list: text, rows of the references; per candidate, whether it is right, and whether ignored."""

    text: str
    references: tuple[int, ...]
    may_differ: MayDiffer
    right: list[bool]
    ignored: list[bool]


class RecordLists:
    """Draws lists over samples' records. tokens: bounds the candidates' tokens of a list."""

    def __init__(self, samples: Samples, processor: Any, rule: ImageRule, *, seed: int, tokens: int) -> None:
        self.samples, self.processor, self.rule, self.seed, self.tokens = (
            samples,
            processor,
            rule,
            seed,
            tokens,
        )
        self.source, self.tell = samples.stream.source, samples.stream.tell
        self.yes_no = yes_no_ids(processor.tokenizer)
        names = samples.stream.columns.names
        self._sets = [number for number in range(len(names)) if self.source.most("any", number)]
        if not self._sets:
            raise TuningError("packed lists need people with two pictures or more, and the data have none")
        sizes = np.bincount(samples.stream.columns.data_set, minlength=len(names))
        self._weights = np.cumsum(sizes[self._sets] / sizes[self._sets].sum())

    @classmethod
    def of(cls, stream: Any, processor: Any, rule: ImageRule, *, seed: int, tokens: int) -> RecordLists:
        """Raises TuningError for a stream without records."""
        if not isinstance(stream, Samples):
            raise TuningError("packed lists are drawn from records; leave --packed out for other samples")
        return cls(stream, processor, rule, seed=seed, tokens=tokens)

    def draw(self, step: int) -> PackedStep:
        """The list of a step."""
        chance = SampleRng(self.seed, step, 29)
        data_set = self._sets[int(np.searchsorted(self._weights, chance.random(), side="right"))]
        for kind in self._kinds(data_set, chance):
            drawn = self._draw(kind, data_set, chance)
            if drawn is not None:
                return drawn
        raise TuningError("no packed list can be drawn from these data sets; leave --packed out")

    def _kinds(self, data_set: int, chance: SampleRng) -> list[str]:
        """Kinds of query in the order in which they are tried: each has the first turn equally often."""
        kinds = ["image"]
        if self.source.told(data_set, chance) is not None:
            kinds.append("text")
        if self.samples.mixture.stage == 3 and self.source.most("changed", data_set):
            kinds.append("image-plus-text")
        chance.shuffle(kinds)
        return kinds

    def _draw(self, kind: str, data_set: int, chance: SampleRng) -> PackedStep | None:
        drawn = self._candidates("changed" if kind == "image-plus-text" else "any", data_set, chance)
        pictures = self._pictures(drawn)
        rows = list(pictures)
        asked: list[_Question] = []
        prefixes: list[int] = list(rows)
        chance.shuffle(prefixes)
        for row in prefixes:
            question = self._question(kind, row, rows, chance)
            if question is not None and any(question.right):
                asked.append(question)
            if len(asked) == MOST_QUERIES:
                break
        if not asked:
            return None
        places = {row: number for number, row in enumerate(rows)}
        patches = pixel_patches(list(pictures.values()))
        layouts: dict[Grid, list[PairLayout]] = {grid: [] for grid in patches.grids}
        for question in asked:
            prompt = pair_prompt(question.text, len(question.references), question.may_differ)
            tokens = PromptTokens(self.processor, prompt.messages)
            seen = [patches.grids[places[row]] for row in question.references]
            for grid, own in layouts.items():
                own.append(pair_layout(self.processor, tokens, seen, grid))
        blocks = sum(len(layouts[grid][0].block_ids) for grid in patches.grids)
        most = max(1, self.tokens // blocks)
        asked = asked[:most]
        questions = {grid: tuple(own[:most]) for grid, own in layouts.items()}
        prefixed = next(iter(questions.values()))
        return PackedStep(
            kind,
            questions,
            tuple(tuple(places[row] for row in question.references) for question in asked),
            patches,
            torch.tensor([question.right for question in asked]),
            torch.tensor([question.ignored for question in asked]),
            self.yes_no,
            StepStats(
                tokens=sum(len(layout.prefix_ids) + blocks for layout in prefixed),
                pictures=len(rows),
                pairs=len(asked) * len(rows),
            ),
        )

    def _candidates(self, mode: str, data_set: int, chance: SampleRng) -> list[int]:
        """Rows of a list: people with a match each, and among them their look-alikes, with matches too."""
        rows: dict[int, None] = {}
        for _ in range(4 * CANDIDATES):
            row = self.source.query(mode, data_set, 1, chance)
            if row is None or len(rows) >= CANDIDATES:
                break
            for one in (row, *self.source.others(row, 2, chance, hard=1.0)):
                rows |= dict.fromkeys((one, *self.source.matches(mode, one, 1, chance)))
        return list(rows)[:CANDIDATES]

    def _question(self, kind: str, row: int, rows: Sequence[int], chance: SampleRng) -> _Question | None:
        """A question about one of the rows, or None where it has no answer among them.

        With a picture it says what may differ of one match, as at run time of each candidate: those in another light
        than the match are asked with other words, and matches in other clothes only where the question says so.
        """
        person, outfit = self.source.person, self.source.outfit
        same = [person[other] == person[row] for other in rows]
        if kind == "text":
            if not (self.tell.known(row) or self.source.columns.captions[row]):
                return None
            text = self.tell.some(row, *TOLD, chance)
            surely = [self._says(text, row, other) for other in rows]
            perhaps = [self.tell.about(text, other) or s for other, s in zip(rows, same, strict=True)]
            unsure = [p and not s for p, s in zip(perhaps, surely, strict=True)]
            return _Question(text.text, (), NOTHING_DIFFERS, surely, unsure)
        matches = [other for other, s in zip(rows, same, strict=True) if s and other != row]
        if kind == "image-plus-text":
            matches = [other for other in matches if outfit[other] != outfit[row]]
        if not matches:
            return None
        match = chance.one(matches)
        other_clothes = kind == "image-plus-text" or self.source.says_other_clothes([row], match, chance)
        values: tuple[tuple[int, int], ...] = ()
        if kind == "image-plus-text":
            changed = self.tell.parts(row, match)
            if not changed:
                return None
            chance.shuffle(changed)
            values = tuple(sorted(changed[: chance.between(*CHANGES)]))
        right, ignored = [], []
        for other, s in zip(rows, same, strict=True):
            fits = self._holds(values, other)
            another_question = self.source.lights_differ([match], [other])
            if s and not other_clothes:
                another_question = another_question or outfit[other] != outfit[row]
            ignored.append(another_question or (s and (other == row or fits is None)))
            right.append(s and fits is True and not ignored[-1])
        return _Question(
            self.tell.compose(values, chance) if values else "",
            (row,),
            MayDiffer(other_clothes, self.source.lights_differ([row], [match])),
            right,
            ignored,
        )

    def _says(self, text: Any, row: int, other: int) -> bool:
        """Whether a text about a row is surely true of another: every attribute of it shows there, or, where
        people wrote it, the other is the same person in the same clothes."""
        if text.said:
            return self._holds(text.said, other) is True
        return self.source.outfit[other] == self.source.outfit[row]

    def _holds(self, values: Sequence[tuple[int, int]], row: int) -> bool | None:
        """Whether (kind, value) places are true of a crop; None where that does not show."""
        shown = [self.source.value(row, kind) for kind, _ in values]
        if any(value not in (UNKNOWN, wanted) for value, (_, wanted) in zip(shown, values, strict=True)):
            return False
        return None if UNKNOWN in shown else True

    def _pictures(self, rows: Sequence[int]) -> dict[int, Image.Image]:
        """Of the rows whose picture can be opened, in their order; smaller where they would have too many tokens."""
        pictures: dict[int, Image.Image] = {}
        for row in rows:
            try:
                pictures[row] = self.samples.picture(row)
            except (OSError, ValueError) as error:
                remark(f"left out of a list: {self.samples.record(row).image}: {error}")
        rule = fitting(self.rule, [(image.height, image.width) for image in pictures.values()], self.tokens)
        return {row: apply_rule(rule, image) for row, image in pictures.items()}
