"""Pairs that operators judged in the app: crops that they confirmed or rejected, as the gallery's audit has them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from app.model.vocabulary import Attribute
from app.query_json import NO_SEARCH
from app.retrieval.engine import Engine
from app.retrieval.query import Query, Reference
from gallery_store.console import StepProgress
from gallery_store.crops import Filters
from gallery_store.files import write_file
from gallery_store.location import location_shown
from gallery_store.store import GalleryStore
from training.calibration.by_kind import JudgedPairs
from training.calibration.searches import CalibrationError
from training.evaluation.workers import OpenedModels

MOST_SEARCHES = 100_000  # rows of the audit that are read, the latest
BLOCK = 32  # searches that are asked between two writes
_JUDGED = ("confirmed", "rejected")


@dataclass(frozen=True)
class JudgedQuery:
    """A query as it was searched, and which of the crops that it found were confirmed (right) and rejected (wrong)."""

    query: Query
    right: frozenset[int]
    wrong: frozenset[int]


@dataclass(frozen=True)
class JudgedInApp:
    """What operators judged over one gallery. skipped: judgements of searches by a photo, which the
    audit names by its file alone and not by the key that its case keeps it under."""

    gallery: str | Path
    queries: tuple[JudgedQuery, ...]
    skipped: int = 0

    @property
    def fingerprint(self) -> str:
        """Changes with what was judged."""
        named = self.gallery if isinstance(self.gallery, Path) else location_shown(self.gallery)
        judged = [(named, *((q.query, sorted(q.right), sorted(q.wrong)) for q in self.queries))]
        return hashlib.sha256(repr(judged).encode()).hexdigest()

    @property
    def count(self) -> int:
        """Pairs."""
        return sum(len(one.right) + len(one.wrong) for one in self.queries)

    def __str__(self) -> str:
        right = sum(len(one.right) for one in self.queries)
        told = f"{location_shown(self.gallery)}'s audit has {self.count} judged pairs: "
        told += f"{right} confirmed, {self.count - right} rejected"
        if self.skipped:
            told += (
                f"; {self.skipped} judged in searches by a photo are left out, since the audit does not say under "
                "which key its case keeps the photo"
            )
        return told

    def pairs(
        self, kind: str, opened: OpenedModels, work: Path, progress: StepProgress | None = None
    ) -> JudgedPairs | None:
        """The judged pairs of one kind of query; None where there are none that the model reads.

        Args:
            work: a folder in which a block of searches is written as soon as it is asked, and not asked again.
            progress: called with (step, done, all) searches.

        Raises:
            EncoderMismatch: the gallery is indexed by another encoder.
        """
        own = [one for one in self.queries if one.query.kind == kind]
        blocks = []
        for start in range(0, len(own), BLOCK):
            file = work / f"{kind}-{start // BLOCK:05d}.npz"
            if not file.is_file():
                engine = opened.engine(self.gallery)
                _write(file, _joined([_asked(engine, one) for one in own[start : start + BLOCK]]))
            if progress is not None:
                progress(f"audit: {kind}", min(start + BLOCK, len(own)), len(own))
            with np.load(file, allow_pickle=False) as held:
                blocks.append(JudgedPairs(**{name: held[name] for name in held.files}))
        pairs = _joined(blocks) if blocks else None
        return pairs if pairs is not None and len(pairs.same) else None


def _asked(engine: Engine, judged: JudgedQuery) -> JudgedPairs:
    asked = engine.find_candidates(judged.query)
    candidates, ids = asked.candidates, asked.prefiltered.ids[: asked.prefiltered.asked]
    chosen = np.flatnonzero(
        np.isin(ids, list(judged.right | judged.wrong))
        & np.isfinite(candidates.yes_logits + candidates.attribute_score)
    )
    return JudgedPairs(
        yes_logits=candidates.yes_logits[chosen],
        attribute_scores=candidates.attribute_score[chosen],
        fused=candidates.fused.similarity[chosen],
        rarity=np.full(len(chosen), asked.query.rarity),
        same=np.isin(ids[chosen], list(judged.right)),
    )


def _joined(parts: Sequence[JudgedPairs]) -> JudgedPairs:
    columns = (field.name for field in fields(JudgedPairs))
    return JudgedPairs(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns})


def _write(file: Path, pairs: JudgedPairs) -> None:
    """Whole or not at all."""
    data = io.BytesIO()
    np.savez(
        data,
        yes_logits=pairs.yes_logits,
        attribute_scores=pairs.attribute_scores,
        fused=pairs.fused,
        rarity=pairs.rarity,
        same=pairs.same,
    )
    write_file(file, data.getvalue())


def judged_in(gallery: str | Path, without_people: Collection[str] = ()) -> JudgedInApp:
    """Every pair of a search and a crop that was confirmed or rejected among what it found, over a gallery.

    A crop that was both says nothing, nor does a judgement that was taken back. A search for a crop,
    and a crop, of `without_people` are left out: they are those who are measured on.

    Raises:
        CalibrationError: nothing was judged. GalleryError: it cannot be opened, or is not there.
    """
    by_case: dict[str | tuple[str], _Case] = {}
    with GalleryStore.open(gallery, must_exist=True) as store:
        for record in reversed(store.searches(MOST_SEARCHES)):
            if NO_SEARCH & set(record.query):
                continue  # stands between two searches and judges nothing
            # Two users may share a case; rows of before there were cases have their user alone.
            of = record.case if record.case is not None else (record.user,)
            by_case.setdefault(of, _Case()).searched(record.query)
        usable = _usable(store, without_people)
    together: dict[Query, tuple[set[int], set[int]]] = {}
    for query, (right, wrong) in chain.from_iterable(case.judged.items() for case in by_case.values()):
        known = together.setdefault(query, (set(), set()))
        known[0].update(right)
        known[1].update(wrong)
    kept = [
        JudgedQuery(query, frozenset((right - wrong) & usable), frozenset((wrong - right) & usable))
        for query, (right, wrong) in together.items()
        if all(reference.image_id in usable for reference in query.references)
    ]
    skipped = sum(case.skipped for case in by_case.values())
    found = JudgedInApp(gallery, tuple(one for one in kept if one.right or one.wrong), skipped)
    if not found.count:
        raise CalibrationError(
            f"nothing in {location_shown(gallery)}'s audit was confirmed or rejected that could be asked again; leave "
            "--from-audit out"
        )
    return found


@dataclass(frozen=True)
class _Asked:
    """One search as the audit tells it. references: ids of crops, names of photos. rest: all else that was told, as
    JSON."""

    rest: str
    references: tuple[int | str, ...]
    confirmed: frozenset[int]
    rejected: frozenset[int]

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> _Asked:
        # The kind follows from the others, and changes where the first picture is confirmed; with it the calibration.
        apart = ("kind", "engine", "references", "taken_back", *_JUDGED)
        return cls(
            json.dumps({name: value for name, value in told.items() if name not in apart}, sort_keys=True),
            tuple(picture.get("photo", picture.get("image_id")) for picture in told.get("references", ())),
            *(frozenset(told.get(what, ())) for what in _JUDGED),
        )

    def without(self, crop: int) -> _Asked:
        """The search before this crop was judged."""
        return replace(
            self,
            references=tuple(one for one in self.references if one != crop),
            confirmed=self.confirmed - {crop},
            rejected=self.rejected - {crop},
        )

    def query(self) -> Query | None:
        """None where a photo is among its pictures, or nothing was looked for."""
        references = tuple(Reference(image_id=one) for one in self.references if isinstance(one, int))
        if len(references) < len(self.references):
            return None
        told = json.loads(self.rest)
        wanted = tuple(Attribute(kind, value) for kind, value in told.get("wanted", {}).items())
        unwanted = tuple(
            Attribute(kind, value) for kind, values in told.get("unwanted", {}).items() for value in values
        )
        query = Query(
            wanted,
            unwanted,
            told.get("text", ""),
            references,
            other_clothes=bool(told.get("other_clothes")),
            words=tuple(told.get("words", {}).items()),
            company=told.get("company", ""),
        )
        return None if query.is_empty else query


class _Case:
    """What was judged in one case, search by search; or by one user, where the audit names no case.

    A judgement stands in the audit of every later search too, whatever that looks for. It is about the search that
    differs by this one crop alone, and came before. judged: the crops confirmed and rejected of each query. skipped:
    judgements of searches by a photo.
    """

    def __init__(self) -> None:
        self.judged: dict[Query, tuple[set[int], set[int]]] = {}
        self.skipped = 0
        self._before: dict[_Asked, int] = {}  # the number of the last such search
        self._last: _Asked | None = None
        self._count = 0

    def searched(self, told: Mapping[str, Any]) -> None:
        """The next search, in order of time."""
        asked = _Asked.read(told)
        for what, crops in told.get("taken_back", {}).items():
            self._forget(what, crops)
        if self._last is not None:  # who changed their mind
            self._forget("confirmed", self._last.confirmed & asked.rejected)
            self._forget("rejected", self._last.rejected & asked.confirmed)
        if asked not in self._before:
            earlier = {crop: asked.without(crop) for crop in asked.confirmed | asked.rejected}
            known = {crop: one for crop, one in earlier.items() if one in self._before}
            if known:
                crop = max(known, key=lambda one: self._before[known[one]])
                self._judge(known[crop].query(), crop, crop in asked.confirmed)
        self._count += 1
        self._before[asked], self._last = self._count, asked

    def _judge(self, query: Query | None, crop: int, right: bool) -> None:
        if query is None:
            self.skipped += 1
        else:
            self.judged.setdefault(query, (set(), set()))[0 if right else 1].add(crop)

    def _forget(self, what: str, crops: Collection[int]) -> None:
        """Judgements that were taken back; the same crop may be judged anew."""
        if not crops:
            return
        for known in self.judged.values():
            known[_JUDGED.index(what)].difference_update(crops)
        self._before = {
            one: number for one, number in self._before.items() if not getattr(one, what) & set(crops)
        }


def _usable(store: GalleryStore, without_people: Collection[str]) -> frozenset[int]:
    """Image ids that are still there and show nobody of these."""
    crops = store.crops(store.matching(Filters()).tolist())
    return frozenset(crop.id for crop in crops if not crop.person or crop.person not in without_people)
