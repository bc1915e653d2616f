"""What searches found, seen by calibration: pairs to fit on, and figures to measure by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.model.checkpoint import Calibration
from app.retrieval.calibration import sigmoid
from training.calibration.by_kind import SHOWN, Pairs
from training.calibration.searches import CalibrationError, Searches
from training.evaluation.calibration_error import Reliability, reliability
from training.evaluation.hits import CLIP, FUSED, PAIRWISE, Hits, QueryHits
from training.evaluation.metrics import Relevance, ranks_of
from training.evaluation.open_set import answer, auroc

RANKERS = {"clip": CLIP, "pairwise": PAIRWISE, "fused": FUSED}  # as --ranker names them


@dataclass(frozen=True)
class Found:
    """One search and its truth.

    hits: over U crops; right, unsure, own: bool (U,), as Searches has them.
    """

    hits: QueryHits
    right: np.ndarray
    unsure: np.ndarray
    own: np.ndarray

    def without_person(self) -> QueryHits:
        """The same search where the person is absent: their crops taken away."""
        hits = self.hits
        _, columns = hits.prefiltered()
        kept = ~self.own[columns[: hits.asked]]
        return replace(
            hits,
            similarities=np.where(self.own, np.nan, hits.similarities).astype(np.float32),
            asked=int(kept.sum()),
            yes_logits=hits.yes_logits[kept],
            attribute_score=hits.attribute_score[kept],
            fused_similarity=hits.fused_similarity[kept],
            choice_scores=hits.choice_scores[kept],
            passed=hits.passed and bool(kept.any()),
        )

    def order(self, ranker: str, calibration: Calibration) -> np.ndarray:
        """int64 (U,): columns, best first; those that were not searched come last."""
        first = self.hits.order(ranker, calibration)
        rest = np.ones(len(self.right), bool)
        rest[first] = False
        return np.concatenate([first, np.flatnonzero(rest)])


def found(asked: Searches, hits: Hits) -> Iterator[Found]:
    """Every search, in order. A crop that several records share is right, or the person's, where one of them is."""
    for number, one in enumerate(hits.by_query()):
        masks = (asked.right[number], asked.unsure[number], asked.own[number])
        right, unsure, own = (by_crop(mask, hits.ids, hits.unique) for mask in masks)
        # The query's own picture was not searched, and cannot be found.
        unsure |= np.isnan(one.similarities) & own
        yield Found(one, right & ~unsure, unsure, own)


def by_crop(of_records: np.ndarray, ids: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """bool (U,): crops of which this holds, since it does of a record. of_records: bool (G,). ids: int64 (G,), each
    record's crop, -1 for none. crops: int64 (U,), ascending."""
    held = np.zeros(len(crops), bool)
    held[np.searchsorted(crops, ids[of_records & (ids >= 0)])] = True
    return held


def pairs_of(searches: Sequence[Found]) -> tuple[Pairs, Pairs]:
    """(there, gone): the candidates that the model read, where the person is in the gallery and where not.

    Raises:
        CalibrationError: no right crop among the candidates of any search.
    """
    width = min(one.hits.asked for one in searches)
    columns: dict[str, list[np.ndarray]] = {}
    true = []
    for one in searches:
        hits = one.hits
        _, nearest = hits.prefiltered()
        head, similar = nearest[:width], hits.similarities
        logits, scores = hits.yes_logits[:width], hits.attribute_score[:width]
        unread = ~np.isfinite(logits + scores)
        rows = {
            "yes_logits": np.where(unread, 0, logits),
            "attribute_scores": np.where(unread, 0, scores),
            "similarities": similar[head],
            "fused": hits.fused_similarity[:width],
            "rarity": np.full(width, hits.rarity),
            "same": one.right[head] & ~unread,
            "unsure": one.unsure[head] | unread,
            "left_out": one.own[head] | unread,
        }
        for name, row in rows.items():
            columns.setdefault(name, []).append(row)
        true.append(similar[one.right])
    arrays = {name: np.stack(rows) for name, rows in columns.items()}
    true_similarities = np.concatenate(true)
    true_similarities = true_similarities[np.isfinite(true_similarities)]
    if not arrays["same"].any() or not len(true_similarities):
        raise CalibrationError(
            "no right crop is among the candidates of any search: this CLIP does not tell these people apart, so that "
            "there is nothing to calibrate; give a larger --k or another --clip"
        )
    gone = Pairs(**arrays, true_similarities=true_similarities, mAP={})
    return replace(gone, left_out=None), gone


def weighed(one: Found, calibration: Calibration) -> Found:
    """With the attribute score as the calibration weighs it; the search had it unweighed."""
    score = calibration.attribute_score * one.hits.attribute_score
    return replace(one, hits=replace(one.hits, attribute_score=score))


@dataclass(frozen=True)
class Measured:
    """One kind of query on people that it was not fitted on.

    rankers: by name, mAP and rank1, 0..1. auroc, detected, false_alarms: of "nobody fits", as
    training.evaluation.open_set has them. before, after: P(yes) as it is, and calibrated, of the first SHOWN.
    searches: how many.
    """

    rankers: Mapping[str, Mapping[str, float]]
    auroc: float
    detected: float
    false_alarms: float
    before: Reliability
    after: Reliability
    searches: int

    def to_json(self) -> dict[str, object]:
        return {
            "rankers": self.rankers,
            "auroc": self.auroc,
            "false_alarms": self.false_alarms,
            "ece_before": self.before.ece,
            "ece_after": self.after.ece,
        }


def measured(searches: Sequence[Found], calibration: Calibration) -> Measured:
    """What a calibration comes to on these searches, each answered as the app answers."""
    relevance = Relevance.by_masks(
        np.stack([one.right for one in searches]), np.stack([one.unsure for one in searches])
    )
    rankers = {}
    for name, ranker in RANKERS.items():
        metrics = ranks_of((one.order(ranker, calibration) for one in searches), relevance).metrics()
        rankers[name] = {"mAP": metrics.mAP, "rank1": metrics.rank1}
    there = [answer(one.hits, calibration) for one in searches]
    gone = [answer(one.without_person(), calibration) for one in searches]
    return Measured(
        rankers=rankers,
        auroc=auroc(*(np.array([one.confidence for one in answers]) for answers in (there, gone))),
        detected=float(np.mean([one.no_match for one in gone])),
        false_alarms=float(np.mean([one.no_match for one in there])),
        before=_reliability(searches, [_uncalibrated(one.hits) for one in searches]),
        after=_reliability(searches, [(one.shown, one.confidences) for one in there]),
        searches=len(searches),
    )


def _uncalibrated(hits: QueryHits) -> tuple[np.ndarray, np.ndarray]:
    """(columns, P(yes)) of the first SHOWN by the model's word alone."""
    order = hits.order(PAIRWISE, None)[:SHOWN]
    _, nearest = hits.prefiltered()
    chance = np.full(len(hits.ids), np.nan)
    chance[nearest[: hits.asked]] = sigmoid(hits.yes_logits)
    known = order[np.isfinite(chance[order])]
    return known, chance[known]


def _reliability(searches: Sequence[Found], shown: Sequence[tuple[np.ndarray, np.ndarray]]) -> Reliability:
    """Of all candidates shown whose truth is known."""
    confidences, right = [], []
    for one, (columns, chances) in zip(searches, shown, strict=True):
        sure = ~one.unsure[columns]
        confidences.append(chances[sure])
        right.append(one.right[columns[sure]])
    return reliability(np.concatenate(confidences), np.concatenate(right))
