"""From a search's scores to its ranking: the model's candidates by probability, the rest in CLIP's order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from app.model.checkpoint import Calibration
from app.retrieval.calibration import clip_log_odds, log_odds, sigmoid
from app.retrieval.rankers import Prefiltered
from app.retrieval.references import OpenReference

LIKELY_SAME = 0.5  # from this affinity on a crop is named as showing the same person in the same clothes
MOST_SAME = 6
UNCALIBRATED_THRESHOLD = 0.5  # of a model's own P(yes)


@dataclass(frozen=True)
class Candidate:
    """A crop that may show the person sought. Never an identity."""

    image_id: int
    similarity: float  # CLIP's, cosine and attributes, to the query, -1..1
    p_yes: float | None  # the model's own P(yes), without the attributes that it reads, 0..1; None: not asked
    probability: float  # calibrated P(same person), 0..1; never rises down a ranking
    weak: bool = False  # below what usually fits: listed, but not as an answer
    same_outfit: tuple[
        int, ...
    ] = ()  # ids of candidates that likely show one person in the same clothes with it


@dataclass(frozen=True)
class Timings:
    """Seconds."""

    encode: float = 0.0
    prefilter: float = 0.0
    rerank: float = 0.0
    total: float = 0.0


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first.

    searched: crops in the gallery that passed the filters; scored: those that the model read;
    total: crops in the gallery; no_match: the model believes that nobody in the gallery matches;
    calibrated: False where no calibration fits this CLIP and kind of query; stopped: the operator stopped the
    search and the rest follows in CLIP order; penalized: candidates that look like somebody rejected rank lower for it.
    """

    candidates: tuple[Candidate, ...]
    total: int
    searched: int
    scored: int
    no_match: bool
    timings: Timings = Timings()
    calibrated: bool = True
    stopped: bool = False
    penalized: bool = False


@dataclass(frozen=True)
class Fused:
    """What the attributes that the model reads add to CLIP's similarity and to P(yes); n candidates were asked about.

    similarity: float32 (n,), -1..1, with the attributes of both readers, each crop together with those that show
    the same person in the same clothes; CLIP's similarity where the model reads no attributes.
    attribute_score: float64 (n,), what is added to the yes-logit; NaN where the model did not read.
    affinity: float64 (n, n), 0..1, the probabilities that two candidates show one person in the same clothes.
    rejection_penalty: float64 (n,), 0 or less, the log-probabilities that they show nobody who was rejected.
    Either is None where there is no such thing.
    """

    similarity: np.ndarray
    attribute_score: np.ndarray
    affinity: np.ndarray | None = None
    rejection_penalty: np.ndarray | None = None


@dataclass(frozen=True)
class SearchTrace:
    """One search before it is ranked; every ranker of an evaluation reads the same one.

    prefiltered: all searched crops in CLIP's order; its first n were asked about. yes_logits: float64 (n,),
    logit("Yes") - logit("No") of the model, NaN where it gave none. fused: see there. calibration: of this kind of
    query; None for a model without one. description, references, other_clothes: as the model was asked. rarity: how
    rare in this gallery is what the words say, in nats. total: crops in the gallery. timings: `rerank` is the model's.
    """

    prefiltered: Prefiltered
    yes_logits: np.ndarray
    fused: Fused
    calibration: Calibration | None
    description: str = ""
    references: tuple[OpenReference, ...] = ()
    other_clothes: bool = False
    rarity: float = 0.0
    total: int = 0
    timings: Timings = field(default_factory=Timings)
    stopped: bool = False

    @property
    def model_logits(self) -> np.ndarray:
        """float64 (n,): the yes-logits with the attribute score, as the calibration takes them."""
        return self.yes_logits + self.fused.attribute_score


def order_head(
    prefiltered: Prefiltered,
    model_logits: np.ndarray,
    calibration: Calibration | None,
    similarity: np.ndarray | None = None,
    rarity: float = 0.0,
    rejection_penalty: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The candidates that the model read, best first.

    Args:
        similarity, rejection_penalty: as Fused has them; None for CLIP's similarity, and for nobody rejected.

    Returns:
        places int64 (m,) in `prefiltered`, and their log-odds float64 (m,): calibrated, or without a calibration
        the model's logits. Ties fall to the more similar, then to the smaller id: CLIP's order is just that.
    """
    read = np.arange(prefiltered.asked)[np.isfinite(model_logits)]
    logits = np.asarray(model_logits, np.float64)[read]
    similar = (prefiltered.similarities if similarity is None else similarity)[read]
    odds = logits if calibration is None else log_odds(calibration, logits, similar, rarity)
    if rejection_penalty is not None:
        odds = odds + rejection_penalty[read]
    best = np.argsort(-odds, kind="stable")
    return read[best], odds[best]


def rank_candidates(trace: SearchTrace, limit: int) -> Ranking:
    """The ranking of one search, at most `limit` candidates; timings are the trace's.

    Without a calibration the model's P(yes) stands for the probability, and CLIP's similarity for those that it did
    not read.
    """
    prefiltered, fused, calibration = trace.prefiltered, trace.fused, trace.calibration
    head, odds = order_head(
        prefiltered,
        trace.model_logits,
        calibration,
        fused.similarity,
        trace.rarity,
        fused.rejection_penalty,
    )
    if calibration is not None:
        tail_probability = sigmoid(clip_log_odds(calibration, prefiltered.similarities))
        threshold = calibration.threshold
    else:
        tail_probability = np.clip(prefiltered.similarities.astype(np.float64), 0, 1)
        threshold = UNCALIBRATED_THRESHOLD
    in_tail = np.ones(len(prefiltered.ids), bool)
    in_tail[head] = False
    places = np.concatenate([head, np.flatnonzero(in_tail)])[:limit]
    probabilities = np.concatenate([sigmoid(odds), tail_probability[in_tail]])[: len(places)]
    probabilities = np.minimum.accumulate(probabilities) if len(probabilities) else probabilities
    head_p_yes = sigmoid(np.asarray(trace.yes_logits, np.float64)[head])
    p_yes = np.concatenate([head_p_yes, np.full(int(in_tail.sum()), np.nan)])[: len(places)]
    # Without a calibration and without an answer of the model there is no belief to speak of.
    believes = calibration is not None or len(head) > 0
    weak = (probabilities < threshold) & believes | (not prefiltered.passed)
    candidates = tuple(
        Candidate(
            image_id=int(prefiltered.ids[place]),
            similarity=float(prefiltered.similarities[place]),
            p_yes=None if np.isnan(yes) else float(yes),
            probability=float(probability),
            weak=bool(faint),
            same_outfit=_same_outfit(int(place), prefiltered.ids, fused.affinity),
        )
        for place, yes, probability, faint in zip(places, p_yes, probabilities, weak, strict=True)
    )
    return Ranking(
        candidates,
        total=trace.total,
        searched=len(prefiltered.ids),
        scored=len(head),
        no_match=not candidates or not prefiltered.passed or bool(believes and probabilities[0] < threshold),
        timings=trace.timings,
        calibrated=calibration is not None,
        stopped=trace.stopped,
        penalized=fused.rejection_penalty is not None,
    )


def _same_outfit(place: int, ids: np.ndarray, affinity: np.ndarray | None) -> tuple[int, ...]:
    """Image ids of the candidates that likely show the same person in the same clothes, the likeliest first."""
    if affinity is None or place >= len(affinity):
        return ()
    order = np.argsort(-affinity[place], kind="stable")
    likely = [other for other in order if other != place and affinity[place, other] >= LIKELY_SAME]
    return tuple(int(ids[other]) for other in likely[:MOST_SAME])
