"""What a step of the demo's training holds: crops with their look-alikes, descriptions, and packed lists of questions.

Each is a pure function of (seed, index).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from app.model.description import query_description
from app.model.prompts import (
    MAX_DESCRIPTION,
    NOTHING_DIFFERS,
    PROMPT_VERSION,
    MayDiffer,
    PairPrompt,
    pair_prompt,
    reads_aloud,
    words_behind,
)
from app.model.scoring import PairLayout, pair_layout
from app.model.vocabulary import LASTING, Attribute
from training.demo.phrases import Phrase, PhraseArrays, phrases_of, tokens_from_end
from training.demo.pool import Pool
from training.instructions.crop_index import SAID_OF_THE_SAME
from training.synthetic.captions import caption, fragment, refusal
from training.synthetic.truth import KIND_NAMES, TOLD_CHANGES, satisfies, value_indices

QUERIES = 10  # of a list, times its scale; on a CPU smaller steps, more of them
OVER_CANDIDATES = ("rows", "right", "ignored", "wrong")
LASTS = [KIND_NAMES.index(kind) for kind in LASTING]


@dataclass(frozen=True)
class BatchRule:
    """families x members people with `views` crops each.

    changed_clothes: the share of people seen in two outfits. infrared: the share of the others seen by day
    and in infrared, where they have been.
    """

    families: int = 16
    members: int = 3
    views: int = 2
    changed_clothes: float = 0.25
    infrared: float = 0.0


class Batches:
    """Batches of crop indices; each is a pure function of (seed, index)."""

    def __init__(self, pool: Pool, rule: BatchRule, seed: int) -> None:
        self.pool, self.rule, self.seed = pool, rule, seed
        self._by_person: dict[int, np.ndarray] = {}
        order = np.argsort(pool.person, kind="stable")
        persons, starts = np.unique(pool.person[order], return_index=True)
        for person, rows in zip(persons, np.split(order, starts[1:]), strict=True):
            self._by_person[int(person)] = rows
        self._by_family: dict[int, list[int]] = {}
        for person, rows in self._by_person.items():
            self._by_family.setdefault(int(pool.family[rows[0]]), []).append(person)
        self._families = sorted(self._by_family)

    def batch(self, index: int) -> np.ndarray:
        """int64 (families * members * views,): crop indices, person by person, views of one together."""
        rng = np.random.default_rng((self.seed, index, 3))
        rule, chosen = self.rule, []
        for family in rng.choice(self._families, rule.families, replace=False):
            members = self._by_family[int(family)]
            for person in rng.permutation(members)[: rule.members]:
                chosen.append(self._views(int(person), rng))
        return np.concatenate(chosen)

    def _views(self, person: int, rng: np.random.Generator) -> np.ndarray:
        rows, views = self._by_person[person], self.rule.views
        clothes = np.unique(self.pool.clothes[rows])
        if len(clothes) > 1 and rng.random() < self.rule.changed_clothes:
            first, second = rng.permutation(clothes)[:2]
            worn = self.pool.clothes[rows]
            return _halves(rows[worn == first], rows[worn == second], views, rng)
        outfit = rows[self.pool.clothes[rows] == rng.choice(clothes)]
        if self.rule.infrared and rng.random() < self.rule.infrared:
            dark = self.pool.infrared[outfit]
            if dark.any() and not dark.all():
                return _halves(outfit[~dark], outfit[dark], views, rng)
        return rng.choice(outfit, views, replace=len(outfit) < views)


def _halves(first: np.ndarray, second: np.ndarray, views: int, rng: np.random.Generator) -> np.ndarray:
    """Half of the views from each, the odd one from the first."""
    half = views // 2
    parts = ((first, views - half), (second, half))
    return np.concatenate([rng.choice(rows, count, replace=len(rows) < count) for rows, count in parts])


@dataclass(frozen=True)
class Descriptions:
    """Texts about crops; what they say and rule out, int8 (T, kinds) each, -1 for nothing; and where they say it."""

    texts: list[str]
    fragments: np.ndarray
    refused: np.ndarray
    phrases: list[list[Phrase]]


def descriptions(
    pool: Pool,
    rows: np.ndarray,
    rng: np.random.Generator,
    told: tuple[int, int],
    canonical: float,
    plain: float = 0.0,
) -> Descriptions:
    """One description of told[0] to told[1] visible attributes per row; one in seven also rules something out.

    canonical: the share of the vocabulary's own words in them; plain: the share of descriptions that are
    worded as the app words a query.
    """
    texts, fragments, refused, phrases = [], [], [], []
    for row in rows:
        seen = pool.seen(int(row))
        said = fragment(seen, rng, int(rng.integers(told[0], told[1] + 1)))
        no = refusal(seen, pool.seen(int(rng.choice(rows))), rng) if rng.random() < 0.15 else None
        if no is None and not (plain and rng.random() < plain):
            texts.append(caption(said, rng, canonical, pool.vocabulary))
        else:
            refusals = [no] if no else []
            texts.append(query_description([Attribute(k, v) for k, v in said.items()], refusals))
        phrases.append(phrases_of(texts[-1], said, no, pool.vocabulary))
        fragments.append(value_indices(said, pool.kinds))
        refused.append(value_indices({no.kind: no.value} if no else {}, pool.kinds))
    return Descriptions(texts, np.stack(fragments), np.stack(refused), phrases)


@dataclass(frozen=True)
class PackedList:
    """Queries with their candidates.

    kind: "image", "text" or "image-plus-text". texts, may_differ: what each query says, as pair_prompt takes it;
    references: per query, rows of the pool; layouts: the pair question made of them. rows int64 (Q, M): each query's
    candidates; right, ignored bool (Q, M). wrong: int (Q, M), in how many attributes a candidate is seen to differ from
    what is sought; 0 for the right ones. reading: so many tokens of what is read off a candidate stand behind its
    picture. phrases: of descriptions that stand behind the picture.
    """

    kind: str
    texts: list[str]
    may_differ: list[MayDiffer]
    references: list[list[int]]
    layouts: list[PairLayout]
    rows: np.ndarray
    right: np.ndarray
    ignored: np.ndarray
    wrong: np.ndarray
    reading: int = 0
    phrases: PhraseArrays | None = None


def side_by_side(lists: Sequence[PackedList]) -> PackedList:
    """Lists of one kind and length as one."""

    def all_of(name: str) -> list[Any]:
        return [one for packed in lists for one in getattr(packed, name)]

    over = [np.concatenate([getattr(packed, name) for packed in lists]) for name in OVER_CANDIDATES]
    kept = [all_of(name) for name in ("texts", "may_differ", "references", "layouts")]
    phrases = [packed.phrases for packed in lists if packed.phrases is not None]
    said = PhraseArrays.side_by_side(phrases, [len(packed.texts) for packed in lists]) if phrases else None
    return replace(PackedList(lists[0].kind, *kept, *over), reading=lists[0].reading, phrases=said)  # type: ignore


class PoolLists:
    """Draws packed lists; each is a pure function of (seed, index).

    scale: times the families and the queries of a list; as far as the pool has families. beside: lists that are drawn
    as one, in which each query has the candidates of its own. prompt: version of what is asked.
    """

    def __init__(
        self,
        pool: Pool,
        processor: Any,
        seed: int,
        scale: int = 1,
        beside: int = 1,
        prompt: int = PROMPT_VERSION,
    ) -> None:
        self.pool, self.processor, self.seed, self.beside = pool, processor, seed, beside
        self.prompt = prompt
        self.queries = QUERIES * scale
        most = len(np.unique(pool.family))
        plain, changed = min(most, 6 * scale), min(most, 4 * scale)
        self._plain = Batches(pool, BatchRule(plain, 3, 2, changed_clothes=0.25, infrared=0.4), seed)
        self._changed = Batches(pool, BatchRule(changed, 3, 3, 1.0), seed)
        self._wordless: dict[tuple[int, MayDiffer], PairLayout] = {}
        height, width = pool.pictures.shape[1:3]
        self.grid = (1, height // 14, width // 14)

    def draw(self, kind: str, index: int, told: tuple[int, int] = (1, 8)) -> PackedList:
        """kind: "image", "text" or "image-plus-text". told: fewest and most attributes of a description."""
        return side_by_side([self._one(kind, index * self.beside + i, told) for i in range(self.beside)])

    def _one(self, kind: str, index: int, told: tuple[int, int]) -> PackedList:
        rng = np.random.default_rng((self.seed, index, 29))
        if kind == "image":
            return self._by_image(self._plain.batch(index), rng)
        if kind == "text":
            return self._by_text(self._plain.batch(index), rng, told)
        return self._by_both(self._changed.batch(index), rng)

    def _by_image(self, rows: np.ndarray, rng: np.random.Generator) -> PackedList:
        """Either of a person's two crops asks for the other, by day for infrared as well as the reverse."""
        queries = rng.permutation(np.arange(0, len(rows), 2))[: self.queries]
        queries = queries + rng.integers(0, 2, len(queries))
        references, matches = rows[queries], rows[queries ^ 1]
        clothes = self.pool.clothes[references] != self.pool.clothes[matches]
        clothes |= rng.random(len(queries)) < SAID_OF_THE_SAME
        may_differ = [
            self._may_differ(int(one), int(other), other_clothes)
            for one, other, other_clothes in zip(references, matches, clothes.tolist(), strict=True)
        ]
        texts = [""] * len(queries)
        right = self.pool.person[references][:, None] == self.pool.person[rows][None]
        ignored = (references[:, None] == rows[None]) | self._other_light(matches, rows)
        wrong = np.where(right, 0, self._differ(self.pool.visible[references], rows))
        owned = [[int(row)] for row in references]
        return self._list("image", texts, may_differ, owned, rows, right & ~ignored, ignored, wrong)

    def _list(
        self,
        kind: str,
        texts: list[str],
        may_differ: list[MayDiffer],
        references: list[list[int]],
        *over_candidates: np.ndarray,
    ) -> PackedList:
        """over_candidates: rows, right, ignored, wrong, as PackedList has them."""
        layouts = [
            self._layout(text, differs, len(rows))
            for text, differs, rows in zip(texts, may_differ, references, strict=True)
        ]
        rows, right, ignored, wrong = over_candidates
        each = np.repeat(rows[None], len(texts), 0)
        return PackedList(kind, texts, may_differ, references, layouts, each, right, ignored, wrong)

    def _layout(self, text: str, differs: MayDiffer, references: int) -> PairLayout:
        """Questions without words are few, and remembered."""
        key = (references, differs)
        if not text and key in self._wordless:
            return self._wordless[key]
        layout = pair_layout(
            self.processor,
            self._prompt(text, references, differs),
            [self.grid] * references,
            self.grid,
            self._reading(references),
        )
        if not text:
            self._wordless[key] = layout
        return layout

    def _prompt(self, text: str, references: int, differs: MayDiffer) -> PairPrompt:
        behind = words_behind(self.prompt, references)
        return pair_prompt(text, references, differs, words_behind=behind)

    def _reading(self, references: int) -> int:
        """Tokens of what is read off a candidate, in a question with so many pictures of the person."""
        return len(self.pool.kinds) if reads_aloud(self.prompt, references) else 0

    def _phrases(self, described: Descriptions, rows: np.ndarray) -> PhraseArrays:
        kept, ends = [], []
        for text, phrases in zip(described.texts, described.phrases, strict=True):
            # What the prompt has no room for is not said.
            kept.append(phrases if len(text) <= MAX_DESCRIPTION else [])
            messages = self._prompt(text, 0, NOTHING_DIFFERS).messages
            ends.append(tokens_from_end(self.processor, messages, text.rstrip(" ."), kept[-1]))
        return PhraseArrays.of(kept, ends, self.pool.visible[rows], self.pool.kinds)

    def _may_differ(self, reference: int, match: int, other_clothes: bool) -> MayDiffer:
        """What a question with a crop of the person says of a match."""
        return MayDiffer(other_clothes, bool(self.pool.infrared[reference] != self.pool.infrared[match]))

    def _other_light(self, matches: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """bool (Q, M): candidates in another light than a question's match are asked with other words."""
        return self.pool.infrared[matches][:, None] != self.pool.infrared[rows][None]

    def _by_text(self, rows: np.ndarray, rng: np.random.Generator, told: tuple[int, int]) -> PackedList:
        about = rng.permutation(rows)[: self.queries]
        described = descriptions(self.pool, about, rng, told, canonical=0.75, plain=0.5)
        fits, unsure = satisfies(
            described.fragments, self.pool.attributes[rows], self.pool.visible[rows], described.refused
        )
        texts, right, ignored = described.texts, (fits & ~unsure).T, unsure.T
        wrong = self._differ(described.fragments, rows)
        wrong += (
            (described.refused[:, None] >= 0) & (self.pool.visible[rows][None] == described.refused[:, None])
        ).sum(2)
        nothing = [NOTHING_DIFFERS] * len(texts)
        packed = self._list("text", texts, nothing, [[] for _ in texts], rows, right, ignored, wrong)
        said = self._phrases(described, rows) if words_behind(self.prompt, 0) else None
        return replace(packed, reading=self._reading(0), phrases=said)

    def _by_both(self, rows: np.ndarray, rng: np.random.Generator) -> PackedList:
        """Of each person's three crops the first is the reference and the last wears other clothes."""
        texts, may_differ, references, right, ignored, wrong = [], [], [], [], [], []
        for first in range(0, len(rows), 3):
            before, after = self.pool.seen(int(rows[first])), self.pool.seen(int(rows[first + 2]))
            changed = [k for k in TOLD_CHANGES if k in after and after[k] != before.get(k)]
            if not changed:
                continue
            kinds = list(rng.permutation(changed)[: int(rng.integers(1, 4))])
            change = {k: after[k] for k in kinds}
            texts.append(query_description([Attribute(k, v) for k, v in change.items()]))
            may_differ.append(self._may_differ(int(rows[first]), int(rows[first + 2]), True))
            references.append([int(rows[first])])
            fits, unsure = satisfies(
                value_indices(change, self.pool.kinds)[None],
                self.pool.attributes[rows],
                self.pool.visible[rows],
            )
            same = self.pool.person[rows] == self.pool.person[rows[first]]
            elsewhere = self._other_light(rows[first + 2 : first + 3], rows)[0]
            right.append(same & fits[:, 0] & ~unsure[:, 0] & ~elsewhere)
            ignored.append((same & unsure[:, 0]) | (rows == rows[first]) | elsewhere)
            sought = value_indices(change, self.pool.kinds)
            sought[LASTS] = self.pool.visible[rows[first]][LASTS]
            wrong.append(np.where(right[-1], 0, self._differ(sought[None], rows)[0]))
        masks = (np.stack(right), np.stack(ignored), np.stack(wrong))
        return self._list("image-plus-text", texts, may_differ, references, rows, *masks)

    def _differ(self, sought: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """int (Q, M): of the attributes sought, int8 (Q, kinds), how many a crop shows otherwise."""
        shown = self.pool.visible[rows][None]
        return ((sought[:, None] >= 0) & (shown >= 0) & (sought[:, None] != shown)).sum(2)
