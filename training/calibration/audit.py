"""Pairs that operators judged in the app: crops that they confirmed or rejected, as the gallery's audit has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.model.vocabulary import Attribute
from app.retrieval.query import Query, Reference
from gallery_store.crops import Filters
from gallery_store.store import GalleryStore
from training.calibration.by_kind import JudgedPairs
from training.calibration.searches import CalibrationError
from training.evaluation.workers import OpenedModels

MOST_SEARCHES = 100_000  # rows of the audit that are read, the latest


@dataclass(frozen=True)
class JudgedQuery:
    """A query as it was before anything was confirmed; the crops that were confirmed (right) and rejected (wrong)."""

    query: Query
    right: frozenset[int]
    wrong: frozenset[int]


@dataclass(frozen=True)
class JudgedInApp:
    """What operators judged over one gallery. skipped: searches by a photo, which cannot be asked again."""

    gallery: Path
    queries: tuple[JudgedQuery, ...]
    skipped: int = 0

    @property
    def count(self) -> int:
        """Pairs."""
        return sum(len(one.right) + len(one.wrong) for one in self.queries)

    def __str__(self) -> str:
        right = sum(len(one.right) for one in self.queries)
        told = f"{self.gallery}'s audit has {self.count} judged pairs: {right} confirmed, {self.count - right} rejected"
        if self.skipped:
            told += f"; {self.skipped} searches by a photo are left out, since photos are not kept"
        return told

    def pairs(self, kind: str, opened: OpenedModels) -> JudgedPairs | None:
        """The judged pairs of one kind of query, asked now; None where there are none that the model reads.

        Raises:
            EncoderMismatch: the gallery is indexed by another CLIP.
        """
        engine = opened.engine(self.gallery)
        columns: dict[str, list[np.ndarray]] = {}
        for judged in self.queries:
            if judged.query.kind != kind:
                continue
            asked = engine.find_candidates(judged.query)
            candidates, ids = asked.candidates, asked.prefiltered.ids[: asked.prefiltered.asked]
            chosen = np.flatnonzero(
                np.isin(ids, list(judged.right | judged.wrong))
                & np.isfinite(candidates.yes_logits + candidates.attribute_score)
            )
            rows = {
                "yes_logits": candidates.yes_logits[chosen],
                "attribute_scores": candidates.attribute_score[chosen],
                "fused": candidates.fused.similarity[chosen],
                "rarity": np.full(len(chosen), asked.query.rarity),
                "same": np.isin(ids[chosen], list(judged.right)),
            }
            for name, row in rows.items():
                columns.setdefault(name, []).append(row)
        found = {name: np.concatenate(rows) for name, rows in columns.items()}
        return JudgedPairs(**found) if len(found.get("same", ())) else None


def judged_in(gallery: Path, without_people: Collection[str] = ()) -> JudgedInApp:
    """Every pair that was confirmed or rejected over a gallery.

    A crop that was both says nothing. A search for a crop, and a crop, of `without_people` are left out: they are those
    who are measured on.

    Raises:
        CalibrationError: there is no such gallery, or nothing was judged. GalleryError: it cannot be opened.
    """
    if not gallery.is_file():
        raise CalibrationError(
            f"there is no gallery {gallery}; --from-audit names one that the app has searched"
        )
    judged: dict[Query, tuple[set[int], set[int]]] = {}
    skipped = 0
    with GalleryStore.open(gallery) as store:
        for record in reversed(store.searches(MOST_SEARCHES)):
            right, wrong = (set(record.query.get(what, ())) for what in ("confirmed", "rejected"))
            if not right and not wrong:
                continue
            query = _before(record.query, right)
            if query is None:
                skipped += 1
                continue
            known = judged.setdefault(query, (set(), set()))
            known[0].update(right)
            known[1].update(wrong)
        usable = _usable(store, without_people)
    kept = [
        JudgedQuery(query, frozenset((right - wrong) & usable), frozenset((wrong - right) & usable))
        for query, (right, wrong) in judged.items()
        if all(reference.image_id in usable for reference in query.references)
    ]
    found = JudgedInApp(gallery, tuple(one for one in kept if one.right or one.wrong), skipped)
    if not found.count:
        raise CalibrationError(
            f"nothing in {gallery}'s audit was confirmed or rejected that could be asked again; leave --from-audit out"
        )
    return found


def _before(told: Mapping[str, Any], confirmed: Collection[int]) -> Query | None:
    """The query without what was confirmed since; None where a photo of it is not kept, or nothing is left."""
    pictures = told.get("references", ())
    if any("photo" in picture for picture in pictures):
        return None
    references = tuple(
        Reference(image_id=picture["image_id"])
        for picture in pictures
        if picture["image_id"] not in confirmed
    )
    wanted = tuple(Attribute(kind, value) for kind, value in told.get("wanted", {}).items())
    unwanted = tuple(
        Attribute(kind, value) for kind, values in told.get("unwanted", {}).items() for value in values
    )
    query = Query(
        wanted, unwanted, told.get("text", ""), references, other_clothes=bool(told.get("other_clothes"))
    )
    return None if query.is_empty else query


def _usable(store: GalleryStore, without_people: Collection[str]) -> frozenset[int]:
    """Image ids that are still there and show nobody of these."""
    crops = store.crops(store.matching(Filters()).tolist())
    return frozenset(crop.id for crop in crops if not crop.person or crop.person not in without_people)
