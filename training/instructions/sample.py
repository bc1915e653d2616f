"""One thing to learn: a question with pictures, and its answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.model.prompts import Message
from training.demo.pool import Pool


@dataclass(frozen=True)
class InstructionSample:
    """messages: the question; pictures: rows of the pool, in the order of their slots; answer: what to say."""

    task: str
    messages: list[Message]
    pictures: tuple[int, ...]
    answer: str


class Source:
    """Crops by person, outfit and family, for the tasks to draw from."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._rows = {name: _groups(getattr(pool, name)) for name in ("person", "clothes", "family")}

    def crop(self, rng: np.random.Generator) -> int:
        return int(rng.integers(len(self.pool)))

    def same(self, row: int, by: str) -> np.ndarray:
        """The other rows that share `by` ("person", "clothes" or "family") with a row."""
        rows = self._rows[by][int(getattr(self.pool, by)[row])]
        return rows[rows != row]

    def matches(
        self, row: int, rng: np.random.Generator, count: int, *, keep: Callable | None = None
    ) -> list[int]:
        """Up to `count` other crops of a row's person, in the same clothes unless `keep` says otherwise."""
        rows = self.same(row, "person" if keep else "clothes")
        if keep:
            rows = rows[keep(rows)]
        return [int(r) for r in rng.permutation(rows)[:count]]

    def others(self, row: int, rng: np.random.Generator, count: int, hard: float = 0.6) -> list[int]:
        """Crops of other people; a share of them are look-alikes of a row's person."""
        person, family = self.pool.person[row], self.same(row, "family")
        near = rng.permutation(family[self.pool.person[family] != person])
        chosen = [int(r) for r in near[: int(rng.binomial(count, hard))]]
        while len(chosen) < count:
            other = self.crop(rng)
            if self.pool.person[other] != person:
                chosen.append(other)
        return chosen


Task = Callable[[Source, np.random.Generator], InstructionSample | None]


def draw(source: Source, mixture: dict[str, tuple[Task, float]], seed: int, index: int) -> InstructionSample:
    """The sample of an index: a pure function of (seed, index). A task without an example passes to another draw."""
    rng = np.random.default_rng((seed, index, 17))
    names = list(mixture)
    weights = np.array([mixture[name][1] for name in names])
    while True:
        name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        sample = mixture[name][0](source, rng)
        if sample is not None:
            return sample


def _groups(labels: np.ndarray) -> dict[int, np.ndarray]:
    order = np.argsort(labels, kind="stable")
    values, starts = np.unique(labels[order], return_index=True)
    return {int(v): rows for v, rows in zip(values, np.split(order, starts[1:]), strict=True)}
