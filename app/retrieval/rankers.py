"""Section 4.1 of the paper: who ranks the crops that CLIP let through.

A ranker takes the query and the candidates and gives each candidate a score: float64 (n,), the higher the better; NaN
for one that it cannot judge, which then follows in CLIP's order. The candidates answer what a ranker asks of them,
once: what no ranker asks costs nothing.

    clip         the prefilter's own similarity
    pairwise     "is this the same person?" of each candidate: logit("Yes") - logit("No")
    best-choice  section 3.3: "which of these is it?", in a tournament of short lists
    fused        all that the checkpoint's calibration gives a weight; without one, pairwise and clip by their ranks
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from app.model.checkpoint import Calibration, CheckpointManifest, is_calibrated
from app.retrieval.calibration import log_odds
from app.retrieval.fusion import Fused
from app.settings import BEST_CHOICE, CLIP, FUSED, PAIRWISE, RankerName
from gallery_store.encoder import ImageEncoder

RANK_OFFSET = 60  # of reciprocal rank fusion (Cormack et al., SIGIR 2009)
# Of pairwise beside CLIP's 1, where nothing was calibrated: at 1 a weak model spoils what CLIP finds; see
# docs/evaluation.md.
PAIRWISE_WEIGHT = 0.08


class WeighedQuery(Protocol):
    """What a ranker needs of a query. calibration: of its kind; None where none was fitted. rarity: of what its words
    say, nats."""

    @property
    def calibration(self) -> Calibration | None: ...

    @property
    def rarity(self) -> float: ...


class Candidates(Protocol):
    """n crops in CLIP's order, and what is found out about them when it is asked for: float (n,) each.

    similarities: CLIP's, -1..1. yes_logits: logit("Yes") - logit("No"). choice_scores: of the best choice, in nats.
    fused: app.retrieval.fusion. NaN where the model gave no answer. attribute_score: what the attributes that the
    model reads add to the yes-logits.
    """

    @property
    def similarities(self) -> np.ndarray: ...

    @property
    def yes_logits(self) -> np.ndarray: ...

    @property
    def attribute_score(self) -> np.ndarray: ...

    @property
    def choice_scores(self) -> np.ndarray: ...

    @property
    def fused(self) -> Fused: ...


Ranker = Callable[[WeighedQuery, Candidates], np.ndarray]


def clip(_query: WeighedQuery, candidates: Candidates) -> np.ndarray:
    """CLIP's similarity."""
    return candidates.similarities.astype(np.float64)


def pairwise(_query: WeighedQuery, candidates: Candidates) -> np.ndarray:
    """The log-odds of the model's own P(yes), and nothing else."""
    return candidates.yes_logits


def best_choice(_query: WeighedQuery, candidates: Candidates) -> np.ndarray:
    """How gladly the model chooses each of them."""
    return candidates.choice_scores


def fused(query: WeighedQuery, candidates: Candidates) -> np.ndarray:
    """The calibrated log-odds of P(same person), by what has a weight there; uncalibrated, reciprocal ranks."""
    calibration = query.calibration
    if calibration is None:
        return reciprocal_ranks((candidates.similarities, 1.0), (candidates.yes_logits, PAIRWISE_WEIGHT))
    logits = np.zeros(len(candidates.similarities))
    if calibration.yes_logit:
        logits = candidates.yes_logits + candidates.attribute_score
    seen = candidates.fused
    odds = log_odds(calibration, logits, seen.similarity, query.rarity)
    return odds if seen.rejection_penalty is None else odds + seen.rejection_penalty


RANKERS: Mapping[str, Ranker] = {
    CLIP: clip,
    PAIRWISE: pairwise,
    BEST_CHOICE: best_choice,
    FUSED: fused,
}


def reciprocal_ranks(*weighted: tuple[np.ndarray, float]) -> np.ndarray:
    """float64 (n,): the sum over several (scores (n,), weight) of weight / (RANK_OFFSET + rank); NaN where one has no
    score.

    Equal scores rank in the order of the candidates.
    """
    total = np.zeros(len(weighted[0][0]))
    for scores, weight in weighted:
        rank = np.empty(len(scores))
        rank[np.argsort(-scores, kind="stable")] = np.arange(1, len(scores) + 1)  # NaN comes last
        total += np.where(np.isfinite(scores), weight / (RANK_OFFSET + rank), np.nan)
    return total


def best_first(scores: np.ndarray) -> np.ndarray:
    """int64 (m,): places of the candidates that have a score, best first; ties in CLIP's order."""
    scored = np.flatnonzero(np.isfinite(scores))
    return scored[np.argsort(-scores[scored], kind="stable")]


@dataclass(frozen=True)
class ChosenRanker:
    """name: the ranker in use. note: a sentence where it is not the one that the checkpoint would take; else ""."""

    name: RankerName
    note: str = ""


def choose_ranker(
    given: RankerName | None, manifest: CheckpointManifest | None, *encoders: ImageEncoder
) -> ChosenRanker:
    """The ranker that the operator names, or else the checkpoint's own.

    Where the checkpoint was calibrated with other encoders alone, its answers do not fit what these let through: CLIP
    ranks, unless the operator names another ranker. It is enough that it was calibrated with one of those in use: what
    the other prefilters is ranked as a kind of query is that was never fitted.
    """
    if given is not None:
        return ChosenRanker(given)
    if manifest is None:
        return ChosenRanker(FUSED)
    if manifest.calibrations and not any(is_calibrated(manifest, e.name, e.version) for e in encoders):
        names = " or ".join(encoder.name for encoder in encoders)
        return ChosenRanker(
            CLIP,
            f"The model was not calibrated with {names}, so CLIP alone ranks; --ranker {FUSED} lets the "
            "model rank too, uncalibrated.",
        )
    return ChosenRanker(manifest.ranker)
