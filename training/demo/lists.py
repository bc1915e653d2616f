"""Packed lists off the pool: one query with look-alikes as candidates, each a pure function of (seed, index)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from app.model.description import query_description
from app.model.prompts import pair_prompt
from app.model.scoring import PairLayout, pair_layout
from app.model.vocabulary import LASTING, Attribute
from training.demo.pool import KIND_NAMES, Pool, value_indices
from training.demo.sampling import Batches, BatchRule, descriptions, satisfies

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


LASTS = [KIND_NAMES.index(kind) for kind in LASTING]


@dataclass(frozen=True)
class PackedList:
    """Queries with their candidates. references: per query, rows of the pool; rows (M,): the candidates';
    right, ignored bool (Q, M). wrong: int (Q, M), in how many attributes a candidate is seen to differ from
    what is sought; 0 for the right ones."""

    layouts: list[PairLayout]
    references: list[list[int]]
    rows: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    wrong: np.ndarray
    kind: str


class Lists:
    """Draws packed lists; each is a pure function of (seed, index)."""

    def __init__(self, pool: Pool, processor: Any, seed: int) -> None:
        self.pool, self.processor, self.seed = pool, processor, seed
        self._plain = Batches(pool, BatchRule(6, 3, 2, changed_clothes=0.25, infrared=0.4), seed)
        self._changed = Batches(pool, BatchRule(4, 3, 3, 1.0), seed)
        height, width = pool.pictures.shape[1:3]
        self.grid = (1, height // 14, width // 14)

    def draw(self, kind: str, index: int, told: tuple[int, int] = (1, 8)) -> PackedList:
        """kind: "image", "text" or "image-plus-text". told: fewest and most attributes of a description."""
        rng = np.random.default_rng((self.seed, index, 29))
        if kind == "image":
            return self._by_image(self._plain.batch(index), rng)
        if kind == "text":
            return self._by_text(self._plain.batch(index), rng, told)
        return self._by_both(self._changed.batch(index), rng)

    def _by_image(self, rows: np.ndarray, rng: np.random.Generator) -> PackedList:
        queries = rng.permutation(np.arange(0, len(rows), 2))[:QUERIES]
        right = self.pool.person[rows[queries]][:, None] == self.pool.person[rows][None]
        own = rows[queries][:, None] == rows[None]
        layout = pair_layout(self.processor, pair_prompt("", 1), [self.grid], self.grid)
        references = [[int(r)] for r in rows[queries]]
        wrong = np.where(right, 0, self._differ(self.pool.visible[rows[queries]], rows))
        return PackedList([layout] * len(queries), references, rows, right & ~own, own, wrong, "image")

    def _by_text(self, rows: np.ndarray, rng: np.random.Generator, told: tuple[int, int]) -> PackedList:
        about = rng.permutation(rows)[:QUERIES]
        said = descriptions(self.pool, about, rng, told, canonical=0.75, plain=0.5)
        fits, unsure = satisfies(
            said.fragments, self.pool.attributes[rows], self.pool.visible[rows], said.refused
        )
        layouts = [pair_layout(self.processor, pair_prompt(text), [], self.grid) for text in said.texts]
        right, ignored = (fits & ~unsure).T, unsure.T
        wrong = self._differ(said.fragments, rows)
        wrong += (
            (said.refused[:, None] >= 0) & (self.pool.visible[rows][None] == said.refused[:, None])
        ).sum(2)
        return PackedList(layouts, [[] for _ in layouts], rows, right, ignored, wrong, "text")

    def _by_both(self, rows: np.ndarray, rng: np.random.Generator) -> PackedList:
        """Of each person's three crops the first is the reference and the last wears other clothes."""
        layouts, references, right, ignored, wrong = [], [], [], [], []
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
            sought = value_indices(said)
            sought[LASTS] = self.pool.visible[rows[place]][LASTS]
            wrong.append(np.where(right[-1], 0, self._differ(sought[None], rows)[0]))
        return PackedList(
            layouts, references, rows, np.stack(right), np.stack(ignored), np.stack(wrong), "image-plus-text"
        )

    def _differ(self, sought: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """int (Q, M): of the attributes sought, int8 (Q, kinds), how many a crop shows otherwise."""
        shown = self.pool.visible[rows][None]
        return ((sought[:, None] >= 0) & (shown >= 0) & (sought[:, None] != shown)).sum(2)
