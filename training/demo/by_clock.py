"""Learning by the clock: a part of the recipe takes as many steps as fit into its share of the time.

Its schedule goes by the share of its time that is over, so that it always ends as it should. Steps are drawn ahead by
worker processes. Whatever happens, the part ends with usable weights: too little memory makes the steps smaller,
numbers that are not finite take it back to where they were, any other failure ends it early.
"""

from __future__ import annotations

import copy
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from gallery_store.files import replacing
from training.demo.learning import LearningLog, learning_rate
from training.demo.pool import Pool

TELL = 25  # steps between two looks at the losses: a GPU is waited for then, and not in between
KEEP = 120.0  # seconds between two checkpoints
KEEP_IN_MEMORY = 4.0  # and between two states to go back to
WARMUP = 20  # steps
MORE_EVERY = 12.0  # seconds after which it is asked whether there are more people
AHEAD = 3  # steps that each worker is ahead
SMALLEST = 64  # a step is made up to so many times smaller
SPOILT = 3  # draws of one step that may fail
TRIES = 3  # of a part that fails: a worker that was killed is no reason to give it up


class Lesson(Protocol):
    """A part of the recipe: `draw` makes what a step needs, without the device; `loss` learns from it.

    draw's parts: the step is to be so many times smaller.
    """

    stage: str
    modules: dict[str, nn.Module]
    optimizers: list[Optimizer]

    def draw(self, step: int, done: float, parts: int = 1) -> Any: ...

    def loss(self, drawn: Any) -> tuple[Tensor, dict[str, Tensor]]: ...


class Growing(Lesson, Protocol):
    """A lesson over people who are still being drawn."""

    def renew(self, pool: Pool) -> None:
        """Goes on with a pool that begins with the one before."""
        ...


@dataclass(frozen=True)
class Span:
    """A part's time, in seconds of time.monotonic. before: the share of the part that was done earlier, 0..1."""

    begins: float
    ends: float
    before: float = 0.0

    def done(self) -> float:
        """The share of the part that is done by now, 0..1."""
        over = (time.monotonic() - self.begins) / max(1e-9, self.ends - self.begins)
        return min(1.0, self.before + (1 - self.before) * max(0.0, over))


@dataclass
class Outcome:
    """steps that were taken; parts: how many times smaller than planned; halved: how often the rate was; error: what
    ended it early."""

    steps: int = 0
    done: float = 0.0
    parts: int = 1
    halved: int = 0
    error: str = ""


@dataclass
class _Ahead(Dataset):
    """Steps by (number, share done, parts); one that cannot be drawn gives way to another."""

    lesson: Lesson

    def __getitem__(self, turn: tuple[int, float, int]) -> tuple[int, Any]:
        step, done, parts = turn
        for number in range(SPOILT):
            try:
                return parts, self.lesson.draw(step + number * 1_000_003, done, parts)
            except (ValueError, IndexError):
                if number + 1 == SPOILT:
                    raise
        raise AssertionError("a step is drawn, or its failure is told")


@dataclass
class _Turns:
    """Whose turn is drawn next, at the time of asking."""

    span: Span
    outcome: Outcome
    first: int

    def __iter__(self) -> Iterator[tuple[int, float, int]]:
        step = self.first
        while True:
            yield step, self.span.done(), self.outcome.parts
            step += 1


@dataclass
class _Kept:
    """Where a part can go back to, in memory: the modules' and the optimizers' states."""

    modules: dict[str, Any] = field(default_factory=dict)
    optimizers: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, lesson: Lesson) -> _Kept:
        states = {name: module.state_dict() for name, module in lesson.modules.items()}
        return cls(copy.deepcopy(states), copy.deepcopy([one.state_dict() for one in lesson.optimizers]))

    def back(self, lesson: Lesson) -> None:
        for name, module in lesson.modules.items():
            module.load_state_dict(self.modules[name])
        for optimizer, state in zip(lesson.optimizers, self.optimizers, strict=True):
            optimizer.load_state_dict(copy.deepcopy(state))


def rounded(device: str, exact: bool = False) -> AbstractContextManager[Any]:
    """bfloat16 products on a GPU, unless exact; weights, their momenta and sums stay float32."""
    if exact or not device.startswith("cuda"):
        return nullcontext()
    return torch.autocast("cuda", torch.bfloat16)


def learn_by_clock(
    lesson: Lesson,
    span: Span,
    *,
    device: str,
    workers: int,
    state: Path | None,
    log: LearningLog,
    parts: int = 1,
    most: int | None = None,
    exact: bool = False,
    more: Callable[[], Pool | None] | None = None,
) -> Outcome:
    """Takes steps until the span ends, one at the least, or `most` of them; goes on from `state` where it is there.

    workers: processes that draw steps ahead; 0 draws them here. parts: how many times smaller a step is to begin with.
    exact: in float32 on a GPU too. more: tells, for a lesson that can grow, a larger pool when there is one.
    """
    outcome = Outcome(parts=parts)
    if state is not None and state.is_file():
        saved = torch.load(state, map_location=device, weights_only=True)
        for name, module in lesson.modules.items():
            module.load_state_dict(saved["modules"][name])
        for optimizer, moments in zip(lesson.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(moments)
        outcome.steps, outcome.done, outcome.parts = saved["step"], saved["done"], saved["parts"]
        span = Span(span.begins, span.ends, saved["done"])
    loop = _Loop(lesson, span, outcome, device, state, log, exact, more)
    for _ in range(TRIES):
        try:
            loop.run(workers, most)
            outcome.error = ""
            break
        except Exception as error:  # whatever it is, the parts after this one have their time
            outcome.error = f"{type(error).__name__}: {error}"
            where = traceback.format_exc()[-2000:]
            log.write(stage=lesson.stage, step=outcome.steps, failed=outcome.error, where=where)
            loop.go_back_if_spoilt()
        if span.done() >= 1:
            break
    outcome.done = span.done()
    return outcome


class _Loop:
    """One part while it learns."""

    def __init__(
        self,
        lesson: Lesson,
        span: Span,
        outcome: Outcome,
        device: str,
        state: Path | None,
        log: LearningLog,
        exact: bool,
        more: Callable[[], Pool | None] | None,
    ) -> None:
        self.more = more
        self.lesson, self.span, self.outcome, self.exact = lesson, span, outcome, exact
        self.device, self.state, self.log = device, state, log
        self.learnt = [p for m in lesson.modules.values() for p in m.parameters() if p.requires_grad]
        self.figures: dict[str, list[Tensor]] = {}
        self.kept, self.kept_at, self.written_at = _Kept.of(lesson), time.monotonic(), time.monotonic()
        self.first, self.asked_for_more = outcome.steps, self.kept_at
        self.waited, self.looked_at = 0.0, perf_counter()

    def run(self, workers: int, most: int | None) -> None:
        while not self._learn(workers, most):
            pass

    def _learn(self, workers: int, most: int | None) -> bool:
        """Until the time is up, or there are more people to learn from; -> whether it is up."""
        ahead = {"prefetch_factor": AHEAD, "multiprocessing_context": "fork"} if workers else {}
        loader = DataLoader(
            _Ahead(self.lesson),
            batch_size=None,
            sampler=_Turns(self.span, self.outcome, self.outcome.steps),  # type: ignore[arg-type]
            num_workers=workers,
            collate_fn=_as_it_is,
            **ahead,  # type: ignore[arg-type]
        )
        asked = perf_counter()
        for parts, drawn in loader:
            self.waited += perf_counter() - asked
            taken = self.outcome.steps - self.first
            if (taken and self.span.done() >= 1) or (most is not None and taken >= most):
                break  # a part that comes too late takes one step
            if parts < self.outcome.parts:
                asked = perf_counter()
                continue  # drawn before it was known to be too large
            try:
                self._step(drawn)
            except RuntimeError as error:
                if not _no_memory(error):
                    raise
                self._halve(error)
                asked = perf_counter()
                continue
            self.outcome.steps += 1
            if (self.outcome.steps - self.first) % TELL == 0:
                self._look()
                if self._grows():
                    return False
            asked = perf_counter()
        self._look()
        return True

    def _grows(self) -> bool:
        """Whether the lesson has a larger pool from now on: it is then drawn from anew."""
        if self.more is None or time.monotonic() - self.asked_for_more < MORE_EVERY:
            return False
        self.asked_for_more = time.monotonic()
        if (pool := self.more()) is None:
            return False
        cast(Growing, self.lesson).renew(pool)
        return True

    def _step(self, drawn: Any) -> None:
        done = self.span.done()
        scale = (
            0.5**self.outcome.halved / self.outcome.parts**0.5
        )  # fewer samples, more noise: a smaller step
        for optimizer in self.lesson.optimizers:
            for group in optimizer.param_groups:
                since = self.outcome.steps - self.first
                group["lr"] = scale * learning_rate(group["peak"], since, done, WARMUP)
            optimizer.zero_grad(set_to_none=True)
        with rounded(self.device, self.exact):
            loss, figures = self.lesson.loss(drawn)
        loss.backward()
        nn.utils.clip_grad_norm_(self.learnt, 1.0)
        for optimizer in self.lesson.optimizers:
            optimizer.step()
        for name, value in {**figures, "loss": loss}.items():
            self.figures.setdefault(name, []).append(value.detach())

    def _halve(self, error: Exception) -> None:
        if self.outcome.parts >= SMALLEST:
            raise error
        self.outcome.parts *= 2
        for optimizer in self.lesson.optimizers:
            optimizer.zero_grad(set_to_none=True)
        if self.device.startswith("cuda"):
            torch.cuda.empty_cache()
        self.log.write(
            stage=self.lesson.stage, step=self.outcome.steps, too_large=True, parts=self.outcome.parts
        )

    def _look(self) -> None:
        """Tells how it goes; goes back where a number is not finite, keeps where it stands otherwise."""
        means = {name: float(torch.stack(values).float().mean()) for name, values in self.figures.items()}
        self.figures.clear()
        if not means:
            return
        told: dict[str, Any] = {
            "stage": self.lesson.stage,
            "step": self.outcome.steps,
            "done": self.span.done(),
            "seconds": perf_counter() - self.looked_at,
            "waited": self.waited,  # of these, for steps to be drawn
        }
        self.waited, self.looked_at = 0.0, perf_counter()
        self.log.write(**told, **means)
        if not all(_finite(value) for value in means.values()) or self.go_back_if_spoilt():
            self.outcome.halved += 1
            self.kept.back(self.lesson)
            self.log.write(**told, went_back=True, halved=self.outcome.halved)
            return
        if time.monotonic() - self.kept_at > KEEP_IN_MEMORY:
            self.kept, self.kept_at = _Kept.of(self.lesson), time.monotonic()
            if self.kept_at - self.written_at > KEEP:
                self.keep()

    def go_back_if_spoilt(self) -> bool:
        """Whether a weight was not finite; then all are what they were when all were."""
        sums = torch.stack([parameter.detach().sum() for parameter in self.learnt])
        if bool(sums.isfinite().all()):
            return False
        self.kept.back(self.lesson)
        return True

    def keep(self) -> None:
        """Writes the checkpoint from which `learn_by_clock` goes on."""
        self.written_at = time.monotonic()
        if self.state is None:
            return
        whole = {"modules": self.kept.modules, "optimizers": self.kept.optimizers, "step": self.outcome.steps}
        with replacing(self.state) as partial:
            torch.save({**whole, "done": self.span.done(), "parts": self.outcome.parts}, partial)


def _no_memory(error: RuntimeError) -> bool:
    """torch's own error, or what a library of CUDA says in place of it."""
    said = str(error)
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in said or "ALLOC_FAILED" in said


def _as_it_is(drawn: Any) -> Any:
    return drawn


def _finite(value: float) -> bool:
    return value - value == 0


def shares_of_time(shares: Mapping[str, float], name: str, left: float) -> float:
    """Seconds that a part may take of those that are left, by its share beside those that come after it."""
    names = list(shares)
    coming = sum(shares[later] for later in names[names.index(name) :])
    return left * shares[name] / max(1e-9, coming)
