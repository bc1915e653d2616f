"""The Re-ID model: P(yes) of candidates, the best choice of a list, and what people wear."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.line import LeftLine, Line, Stop, never
from app.model.loading import Checkpoint, find_checkpoint, load_model
from app.model.pictures import RUN_TIME, BoundedCache, ImageRule, Picture
from app.model.prompts import MayDiffer, Message, pair_prompt
from app.model.token_budget import BY_SHARE, TokenBudget
from app.model.vocabulary import KINDS_OF_VERSION, VOCABULARY_VERSION, Kinds
from gallery_store.console import Progress
from gallery_store.errors import first_line
from gallery_store.pace import Pace

if TYPE_CHECKING:
    from app.model.answers import AttributeReading
    from app.model.attributes import AttributeProbe
    from app.model.constrained import JsonWriter
    from app.model.generation import Steer, WrittenAnswer
    from app.model.readings import ReadingTokens
    from app.model.scoring import LanguageModel, Prefix
    from app.model.vision import Grid, VisionReader, VisionTokens

BATCH = 32
FIRST_BATCH = 4  # until it is known how long one takes
READINGS_KEPT = 4096
PROBS_KEPT = 65_536  # pictures, of 430 bytes each
PROMPTS_KEPT = 256  # questions
LONGEST_LIST = 9  # pictures in one best-choice question: their numbers stay single tokens everywhere

GREY = Picture("warm-up", lambda: Image.new("RGB", (56, 112), (128, 128, 128)))  # what a first question is of


@dataclass(frozen=True)
class _Loaded:
    """A checkpoint in memory, and the parts that drive it."""

    processor: Any
    language: LanguageModel
    reader: VisionReader
    yes_no: tuple[int, int]


class ReidModel:
    """One checkpoint. Thread-safe: calls take turns, batch by batch. Weights load when first needed.

    name: what the screen calls it. manifest: what it knows about itself; None for a plain Qwen2-VL. line: where the
    turns are taken; whatever else computes on the same device stands there too. lost: none ever is.
    """

    lost = 0

    def __init__(
        self,
        checkpoint: Checkpoint,
        manifest: CheckpointManifest | None,
        *,
        device: str = "cpu",
        four_bit: bool = False,
        tokens: TokenBudget = BY_SHARE,
        float32: bool = False,
    ) -> None:
        self.manifest = manifest
        self.name = manifest.name if manifest else checkpoint.spec
        self.rule: ImageRule = manifest.image_rule if manifest else RUN_TIME
        self._version = manifest.vocabulary_version if manifest else VOCABULARY_VERSION
        self.kinds: Kinds = KINDS_OF_VERSION[self._version]  # that it reads
        self._checkpoint = checkpoint
        self._device = device
        self._four_bit = four_bit
        self._float32 = float32
        self._token_budget = tokens
        self._tokens: BoundedCache[VisionTokens] = BoundedCache(0)  # until the weights have taken theirs
        self._readings: BoundedCache[tuple[AttributeReading, ...]] = BoundedCache(READINGS_KEPT)
        self._probs: BoundedCache[np.ndarray] = BoundedCache(PROBS_KEPT)
        self._probes: dict[Any, AttributeProbe] = {}
        self._reading: ReadingTokens | None = None
        self._prompts: dict[tuple[str, int, MayDiffer | None], Any] = {}
        self._paces: dict[str, Pace] = {}  # of each kind of work
        self._json: JsonWriter | None = None
        self.line = Line()
        self._loaded: _Loaded | None = None

    @classmethod
    def load(
        cls,
        spec: str | Path,
        *,
        device: str = "cpu",
        four_bit: bool = False,
        tokens: TokenBudget = BY_SHARE,
        float32: bool = False,
    ) -> ReidModel:
        """A checkpoint folder (full weights or a PEFT adapter) or a hub name.

        What can be checked quickly is checked now; the weights are read when they are first needed.

        Args:
            tokens: memory for the vision tokens of pictures that were seen; changes no score beyond rounding.
            float32: on a GPU too, which otherwise computes in 16 bit.

        Raises:
            ModelError: no such checkpoint, weights that are not safetensors, a manifest not understood.
        """
        checkpoint = find_checkpoint(spec)
        manifest = CheckpointManifest.read(checkpoint.folder) if checkpoint.folder else None
        return cls(checkpoint, manifest, device=device, four_bit=four_bit, tokens=tokens, float32=float32)

    def warm_up(self) -> int:
        """Load the weights now and ask one question; returns the bytes that vision tokens may take.

        Raises:
            ModelError: the model cannot be loaded, or its answer is not a finite number.
        """
        if not np.isfinite(self.yes_logits("", [GREY], [GREY])).all():
            raise ModelError(
                f"{self.name} answers with numbers that are not finite; copy the checkpoint again, or take one from "
                "before its training diverged"
            )
        return self._tokens.budget

    def yes_logits(
        self,
        description: str,
        references: Sequence[Picture],
        candidates: Sequence[Picture],
        *,
        other_clothes: bool = False,
        stop: Stop | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Whether each candidate shows the person sought: float32 (n,), logit("Yes") - logit("No").

        P(yes) is its sigmoid. NaN for candidates whose picture cannot be opened, and those that `stop` came
        before. A score does not depend on which other candidates are asked about.

        Args:
            description, references: the query; one of them at least (see prompts.pair_prompt).
            other_clothes: the person may wear others than in the references. That the light differs is seen.
            stop: asked between batches, which are sized to take about half a second, or hold one candidate.
            progress: called with (done, all) after each batch.

        Raises:
            ModelError: the model cannot be loaded. OSError, ValueError: a reference cannot be opened.
        """
        scores = np.full(len(candidates), np.nan, np.float32)
        queries: list[VisionTokens] | None = None
        prefixes: dict[MayDiffer | None, Prefix] = {}
        aloud = self.manifest is not None and self.manifest.reads_aloud(len(references))

        def ask(loaded: _Loaded, some: slice) -> None:
            nonlocal queries
            from app.model.scoring import pair_layout, yes_logits

            if queries is None:
                queries = [tokens for tokens in loaded.reader.see(references) if tokens is not None]
            grids = [tokens.grid for tokens in queries]
            batch = self._see(loaded, candidates[some], aloud)
            groups: dict[tuple[MayDiffer | None, Grid], dict[int, VisionTokens]] = {}
            for row, tokens in enumerate(batch, some.start):
                if tokens is not None:
                    key = (self._may_differ(other_clothes, queries, [tokens]), tokens.grid)
                    groups.setdefault(key, {})[row] = tokens
            for (may_differ, grid), group in groups.items():
                prompt = self._prompt(loaded, description, len(queries), may_differ)
                layout = pair_layout(loaded.processor, prompt, grids, grid, len(self.kinds) if aloud else 0)
                if may_differ not in prefixes:  # the same for every grid of candidate
                    prefixes[may_differ] = loaded.language.prefix(
                        layout.prefix_ids, layout.prefix_positions, queries, layout.prefix_image_spans
                    )
                logits = yes_logits(
                    loaded.language,
                    prefixes[may_differ],
                    layout,
                    list(group.values()),
                    loaded.yes_no,
                    BATCH,
                )
                scores[list(group)] = logits.cpu().numpy()

        self._in_turns("pairs", len(candidates), ask, stop, progress)
        return scores

    def choice_logits(
        self,
        description: str,
        references: Sequence[Picture],
        lists: Sequence[Sequence[Picture]],
        *,
        other_clothes: bool = False,
    ) -> np.ndarray:
        """Section 3.3: which of a list it is. float64 (lists, length): of each list, the log-probability of each
        place's name among the names of that list.

        Args:
            description, references: the query; one of them at least. lists: candidates in the order in which they are
                shown, all of one length; with the references at most LONGEST_LIST pictures. other_clothes: as in
                yes_logits.

        Raises:
            ModelError: the model cannot be loaded. OSError, ValueError: a picture cannot be opened.
        """
        with self._ready() as loaded:
            from app.model.choice import choice_logits

            queries = [tokens for tokens in loaded.reader.see(references) if tokens is not None]
            flat = [picture for shown in lists for picture in shown]
            seen = iter(loaded.reader.see(flat))
            shown = [
                [tokens for _, tokens in zip(one, seen, strict=False) if tokens is not None] for one in lists
            ]
            may_differ = partial(self._may_differ, other_clothes, queries)
            logits = choice_logits(loaded.language, loaded.processor, description, queries, shown, may_differ)
            return logits.double().numpy()

    def _in_turns(
        self,
        work: str,
        count: int,
        do: Callable[[_Loaded, slice], None],
        stop: Stop | None,
        progress: Progress | None = None,
    ) -> None:
        """Does slices of `count`: as many at once as this kind of work does in about half a second, and between two of
        them others have their turn, if need be. Ends where `stop` says so. progress: called with (done, all).
        """
        stop = stop or never
        if not count or stop():
            return
        pace, start = self._paces.setdefault(work, Pace(BATCH, first=FIRST_BATCH)), 0
        halted = self._giving_way(stop)
        with suppress(LeftLine), self._ready(stop) as loaded:
            while not start or (start < count and not halted()):
                some = slice(start, min(start + min(pace.size, BATCH), count))
                began = self.line.computed()
                do(loaded, some)
                pace.took(some.stop - start, self.line.computed() - began)
                start = some.stop
                if progress is not None:
                    progress(start, count)

    def can_open(self, pictures: Sequence[Picture], *, stop: Stop | None = None) -> np.ndarray:
        """bool (n,): which of them can be opened; the model sees them on this occasion. False for those that `stop`
        came before. Raises ModelError.
        """
        can = np.zeros(len(pictures), bool)

        def look(loaded: _Loaded, some: slice) -> None:
            seen = loaded.reader.see(pictures[some], skip_unreadable=True)
            can[some] = [tokens is not None for tokens in seen]

        self._in_turns("sight", len(pictures), look, stop)
        return can

    def attribute_probs(
        self, pictures: Sequence[Picture], *, stop: Stop | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """What the model reads off each picture kind by kind: float32 (n, all values), see app.model.attributes.

        Remembered by the picture's key. NaN for pictures that cannot be opened, and those that `stop` came before.
        progress: called with (done, all) of those that are not remembered.

        Raises:
            ModelError: the model cannot be loaded, or its tokenizer does not tell the values apart.
        """
        known = {picture.key: self._probs.get(picture.key) for picture in pictures}
        missing = list({p.key: p for p in pictures if known[p.key] is None}.values())
        self._in_turns(
            "attributes",
            len(missing),
            lambda loaded, some: known.update(self._probe(loaded, missing[some])),
            stop,
            progress,
        )
        nothing = np.full(sum(map(len, self.kinds.values())), np.nan, np.float32)
        rows = [row if (row := known[picture.key]) is not None else nothing for picture in pictures]
        return np.stack(rows) if rows else np.empty((0, len(nothing)), np.float32)

    def _probe(self, loaded: _Loaded, pictures: Sequence[Picture]) -> dict[Any, np.ndarray | None]:
        from app.model.attributes import probe_attributes

        # Others may have read some while these waited.
        rows_by_key = {picture.key: self._probs.get(picture.key) for picture in pictures}
        pictures = [picture for picture in pictures if rows_by_key[picture.key] is None]
        tokens = loaded.reader.see(pictures, skip_unreadable=True)
        pairs = [(picture, own) for picture, own in zip(pictures, tokens, strict=True) if own is not None]
        for grid in dict.fromkeys(own.grid for _, own in pairs):
            probe = self._probe_of(loaded, grid)
            group = [(picture, own) for picture, own in pairs if own.grid == grid]
            rows = probe_attributes(loaded.language, probe, [own for _, own in group], BATCH)
            for (picture, _), row in zip(group, rows, strict=True):
                rows_by_key[picture.key] = kept = row.copy()
                self._probs.put(picture.key, kept, 1)
        return rows_by_key

    def _probe_of(self, loaded: _Loaded, grid: Grid) -> AttributeProbe:
        """The beginnings of an annotation of pictures of this grid. Raises ModelError."""
        from app.model.attributes import attribute_probe

        if grid not in self._probes:
            try:
                self._probes[grid] = attribute_probe(loaded.processor, grid, self._version)
            except ValueError as error:
                raise ModelError(f"{self.name}: {error}") from None
        return self._probes[grid]

    def _see(
        self, loaded: _Loaded, candidates: Sequence[Picture], aloud: bool
    ) -> Sequence[VisionTokens | None]:
        """Candidates of a question, None for those that cannot be opened. aloud: with what is read off them."""
        seen = loaded.reader.see(candidates, skip_unreadable=True)
        if not aloud:
            return seen
        from app.model.readings import ReadingTokens, read_aloud

        read = self._probe(loaded, candidates)
        probs = [read[picture.key] for picture in candidates]
        if self._reading is None and (grid := next((one.grid for one in seen if one), None)):
            reading = ReadingTokens.of(loaded.processor, self._probe_of(loaded, grid))
            self._reading = reading.to(loaded.language.device)
        return read_aloud(self._reading, loaded.language.embed, seen, probs) if self._reading else seen

    def annotate(
        self, pictures: Sequence[Picture], *, stop: Stop | None = None
    ) -> list[tuple[AttributeReading, ...]]:
        """What the model reads off each picture, in the vocabulary's order; remembered by the picture's key.

        stop: asked before each word; nothing is read in the pictures that it came before.

        Raises:
            ModelError: the model cannot be loaded. OSError, ValueError: a picture cannot be opened.
        """
        known = {picture.key: self._readings.get(picture.key) for picture in pictures}
        missing = list({p.key: p for p in pictures if known[p.key] is None}.values())
        self._in_turns(
            "annotations",
            len(missing),
            lambda loaded, some: known.update(self._annotate(loaded, missing[some], stop or never)),
            stop,
        )
        return [known[picture.key] or () for picture in pictures]

    def _annotate(
        self, loaded: _Loaded, pictures: Sequence[Picture], stop: Stop
    ) -> dict[Any, tuple[AttributeReading, ...] | None]:
        from app.model.attributes import annotation_tokens, readings
        from app.model.generation import generate

        question = annotation_tokens(loaded.processor)
        by_key: dict[Any, tuple[AttributeReading, ...] | None] = {}
        tokens = loaded.reader.see(pictures)
        pairs = [(picture, own) for picture, own in zip(pictures, tokens, strict=True) if own is not None]
        halted = self._giving_way(stop)
        for grid in dict.fromkeys(own.grid for _, own in pairs):
            group = [(picture, own) for picture, own in pairs if own.grid == grid]
            own = [tokens for _, tokens in group]
            answers = generate(loaded.language, question, own, batch=BATCH, stop=halted)
            if halted():
                return by_key
            for (picture, _), answer in zip(group, answers, strict=True):
                read = readings(loaded.processor.tokenizer, answer, self._version)
                self._readings.put(picture.key, read, 1)
                by_key[picture.key] = read
        return by_key

    def _giving_way(self, stop: Stop) -> Stop:
        """`stop`, to be asked between two tokens or batches: where a slice of time is used up, others compute first."""
        return lambda: stop() or not self.line.give_way(stop)

    @property
    def talks_freely(self) -> bool:
        """Whether it answers questions in its own words: a plain Qwen2-VL, or a checkpoint whose manifest says so."""
        return self.manifest is None or self.manifest.talks_freely

    def write(
        self,
        messages: list[Message],
        pictures: Sequence[Picture],
        *,
        limit: int,
        said: Callable[[str], None] = lambda _: None,
        stop: Stop | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> WrittenAnswer:
        """What the model writes in answer to chat messages, word by word.

        Args:
            messages: with a place for each picture. limit: tokens. said: called with the text so far, after each
                token. stop: asked before each token. schema: of the JSON that alone may be written.

        Raises:
            ModelError: the model cannot be loaded, or failed while it wrote. OSError, ValueError: a picture cannot
            be opened.
        """
        from app.model.generation import write
        from app.model.scoring import PromptTokens

        with self._ready(stop or never) as loaded:
            seen = [tokens for tokens in loaded.reader.see(pictures) if tokens is not None]
            try:
                prompt = PromptTokens(loaded.processor, messages)
                tokenizer = loaded.processor.tokenizer
                steer = self._steer(loaded, schema) if schema is not None else None
                return write(
                    loaded.language,
                    tokenizer,
                    prompt,
                    seen,
                    limit=limit,
                    said=said,
                    stop=self._giving_way(stop or never),
                    steer=steer,
                )
            except (RuntimeError, ValueError) as error:  # out of memory among them
                raise ModelError(
                    f"{self.name} could not answer ({first_line(error)}); ask again, or something shorter"
                ) from error

    def _steer(self, loaded: _Loaded, schema: Mapping[str, Any]) -> Steer:
        from app.model.constrained import JsonWriter

        if self._json is None:
            self._json = JsonWriter(loaded.processor.tokenizer, loaded.language.model)
        return self._json.steer(schema)

    def _may_differ(
        self, other_clothes: bool, references: Sequence[VisionTokens], candidates: Sequence[VisionTokens]
    ) -> MayDiffer | None:
        """What the question says of these pictures; None for a checkpoint that was taught version 1 of it."""
        if self.manifest is not None and self.manifest.prompt_version == 1:
            return None
        light = any(one.infrared != other.infrared for one in references for other in candidates)
        return MayDiffer(other_clothes and bool(references), light)

    def _prompt(
        self, loaded: _Loaded, description: str, references: int, may_differ: MayDiffer | None
    ) -> Any:
        """The pair question's tokens; the last few questions are remembered."""
        from app.model.scoring import PromptTokens

        key = (description, references, may_differ)
        if key not in self._prompts:
            if len(self._prompts) >= PROMPTS_KEPT:
                self._prompts.clear()
            behind = self.manifest is not None and self.manifest.words_behind(references)
            prompt = pair_prompt(description, references, may_differ, words_behind=behind)
            self._prompts[key] = PromptTokens(loaded.processor, prompt.messages)
        return self._prompts[key]

    @contextmanager
    def _ready(self, stop: Stop = never) -> Iterator[_Loaded]:
        """The loaded model in its turn, alone, without gradients. Raises LeftLine where `stop` came first."""
        with self.line.turn(stop):
            if self._loaded is None:
                self._loaded = self._load()
            import torch

            with torch.inference_mode():
                yield self._loaded

    def _load(self) -> _Loaded:
        model, processor = load_model(
            self._checkpoint, device=self._device, four_bit=self._four_bit, float32=self._float32
        )
        from app.model.scoring import LanguageModel, yes_no_ids
        from app.model.vision import VisionReader

        try:
            yes_no = yes_no_ids(processor.tokenizer)
        except ValueError as error:
            raise ModelError(f"{self.name}: {error}") from None
        self._tokens.budget = self._token_budget.on(self._device)
        reader = VisionReader(model.model.visual, self.rule, self._tokens)
        return _Loaded(processor, LanguageModel(model), reader, yes_no)
