"""From a search's scores to its ranking: the candidates by their scores, the rest in CLIP's order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from app.model.checkpoint import Calibration
from app.retrieval.calibration import clip_log_odds, sigmoid
from app.retrieval.fusion import Fused
from app.retrieval.photographs import FoundPhotographs
from app.retrieval.prefilter import Prefiltered
from app.retrieval.rankers import best_first
from app.retrieval.stacks import stack_leads
from app.settings import FUSED, RankerName

LIKELY_SAME = 0.5  # from this affinity on a crop is named as showing the same person in the same clothes
MOST_SAME = 6
VERY_PICTURE = "this very picture"  # the caution of a crop that is the very file that was searched with


@dataclass(frozen=True)
class Candidate:
    """A crop that may show the person sought. Never an identity."""

    image_id: int
    similarity: float  # CLIP's, cosine and attributes, to the query, or the re-ID encoder's, -1..1
    p_yes: float | None  # the model's own P(yes), without the attributes that it reads, 0..1; None: not asked
    probability: float | None  # calibrated P(same person), 0..1; never rises down a ranking; None: not judged
    weak: bool = False  # below what usually fits: listed, but not as an answer
    caution: str = "not judged"  # stands where the probability would, if there is none
    same_outfit: tuple[
        int, ...
    ] = ()  # ids of candidates that likely show one person in the same clothes with it
    lead: int | None = (
        None  # id of the best candidate of its stack (app.retrieval.stacks); None: it is that itself
    )

    @property
    def very_picture(self) -> bool:
        """Whether it is the very file that was searched with: shown first, and not judged."""
        return self.caution == VERY_PICTURE


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
    total: crops in the gallery; no_match: nobody in the gallery seems to match; ranker: who ranked; None where crops
    are listed by time; calibrated: False where the scores of that ranker, this CLIP and this kind of query were not
    calibrated: then candidates have an order and no probability, and are weak only where nothing passes tau;
    stopped: the operator stopped the search and the rest follows in CLIP order; penalized: candidates that look like
    somebody rejected rank lower for it; prefiltered_by: as Prefiltered.encoder; "" where nothing was compared;
    judged: False where the query says nothing that could be: CLIP then orders, without a probability and a weak one;
    unchecked: the free words that this model cannot read; "" where all was checked; photographs: the pictures look like
    photographs and the model knows drawn people only, so nothing is calibrated; unreadable: ids of the nearest crops,
    and of those searched with, whose picture is gone or damaged: what the model was to read has no probability;
    set_aside: how many crops of the gallery no search finds, for their vectors are damaged or missing; knows_stacks:
    whether the candidates that the model read were compared with each other, so that `lead` says something; delayed: a
    replica of a model was lost meanwhile, or exchanged, and another one did its part.
    """

    candidates: tuple[Candidate, ...]
    total: int
    searched: int
    scored: int
    no_match: bool
    timings: Timings = Timings()
    ranker: RankerName | None = FUSED
    calibrated: bool = True
    stopped: bool = False
    penalized: bool = False
    prefiltered_by: str = ""
    judged: bool = True
    unchecked: str = ""
    photographs: bool = False
    unreadable: frozenset[int] = frozenset()
    set_aside: int = 0
    knows_stacks: bool = False
    delayed: bool = False


@dataclass(frozen=True)
class SearchTrace:
    """One search before it is ranked.

    prefiltered: the compared crops in CLIP's order; its first n are the candidates. scores: float64 (n,), of the
    ranker; NaN where it judged nothing. calibration: of this kind of query; None where none was fitted.
    yes_logits: float64 (n,), logit("Yes") - logit("No") of the model, NaN where it was not asked or gave none.
    fused: of the candidates, where the ranker is `fused`, calibrated; else None. read: whether the model looked at
    those that have a score. total: crops in the gallery. timings: `rerank` is the ranker's. judged, unchecked,
    unreadable, set_aside, delayed: as Ranking has them. photographs: what looks like one, where the model knows drawn
    people only; else None. copies: crops that are the very file that was searched with.
    """

    prefiltered: Prefiltered
    scores: np.ndarray
    ranker: RankerName
    calibration: Calibration | None
    yes_logits: np.ndarray
    fused: Fused | None = None
    read: bool = True
    total: int = 0
    timings: Timings = field(default_factory=Timings)
    stopped: bool = False
    judged: bool = True
    unchecked: str = ""
    photographs: FoundPhotographs | None = None
    copies: tuple[int, ...] = ()
    unreadable: frozenset[int] = frozenset()
    set_aside: int = 0
    delayed: bool = False

    @property
    def calibrated(self) -> bool:
        """Whether the scores are calibrated log-odds: only those of `fused` are ever fitted, and not for photographs
        where it was fitted on drawings.
        """
        return self.ranker == FUSED and self.calibration is not None and not self.are_photographs

    @property
    def are_photographs(self) -> bool:
        return self.photographs is not None and self.photographs.prevail


def rank_candidates(trace: SearchTrace, limit: int) -> Ranking:
    """The ranking of one search, at most `limit` candidates; timings are the trace's."""
    prefiltered, fused = trace.prefiltered, trace.fused
    head = best_first(trace.scores)
    in_tail = np.ones(len(prefiltered.ids), bool)
    in_tail[head] = False
    places = np.concatenate([head, np.flatnonzero(in_tail)])[:limit]
    p_yes = np.full(len(prefiltered.ids), np.nan)
    p_yes[: prefiltered.asked] = sigmoid(trace.yes_logits)
    probabilities: list[float | None] | None = None
    weak = np.full(len(places), trace.judged and not prefiltered.passed)
    if trace.calibrated and trace.calibration is not None:
        odds = clip_log_odds(trace.calibration, prefiltered.similarities)
        odds = np.concatenate([trace.scores[head], odds[in_tail]])[: len(places)]
        falling = np.minimum.accumulate(sigmoid(odds)) if len(odds) else odds
        unjudged = in_tail & np.isin(prefiltered.ids, list(trace.unreadable))
        weak |= (falling < trace.calibration.threshold) & ~unjudged[places]
        probabilities = [
            None if unjudged[place] else odd for place, odd in zip(places, falling.tolist(), strict=True)
        ]
    photographs, doubtful = _photographs(trace)
    weak &= ~doubtful[places]
    affinity = fused.affinity if fused else None
    leads: dict[int, int] = {}
    knows_stacks = affinity is not None and not trace.are_photographs
    if affinity is not None and knows_stacks:
        alike = [int(place) for place in places if place < len(affinity) and not doubtful[place]]
        leads = {row: int(prefiltered.ids[lead]) for row, lead in stack_leads(affinity, alike).items()}
    candidates = tuple(
        Candidate(
            image_id=int(prefiltered.ids[place]),
            similarity=float(prefiltered.similarities[place]),
            p_yes=None if np.isnan(p_yes[place]) else float(p_yes[place]),
            probability=None if probabilities is None or doubtful[place] else probabilities[rank],
            weak=bool(weak[rank]),
            caution=_caution(trace, bool(photographs[place])),
            same_outfit=_same_outfit(int(place), prefiltered.ids, affinity),
            lead=leads.get(int(place)),
        )
        for rank, place in enumerate(places)
    )
    copies = tuple(
        Candidate(image_id, similarity=1.0, p_yes=None, probability=None, caution=VERY_PICTURE)
        for image_id in trace.copies
    )
    return Ranking(
        (copies + candidates)[:limit],
        total=trace.total,
        searched=len(prefiltered.ids) + prefiltered.left_out + len(copies),
        scored=len(head) if trace.read else 0,
        no_match=not candidates or candidates[0].weak,
        timings=trace.timings,
        ranker=trace.ranker,
        calibrated=trace.calibrated,
        stopped=trace.stopped,
        penalized=fused is not None and fused.rejection_penalty is not None,
        prefiltered_by=prefiltered.encoder,
        judged=trace.judged,
        unchecked=trace.unchecked,
        photographs=trace.are_photographs,
        unreadable=trace.unreadable,
        set_aside=trace.set_aside,
        knows_stacks=knows_stacks,
        delayed=trace.delayed,
    )


def _photographs(trace: SearchTrace) -> tuple[np.ndarray, np.ndarray]:
    """bool (n,) each, of all searched crops: what looks like a photograph, and what has no figure that counts.

    Nobody looked at the crops behind the candidates: where one of these is a photograph, those may be.
    """
    photographs = np.zeros(len(trace.prefiltered.ids), bool)
    if trace.photographs is None:
        return photographs, photographs
    photographs[: trace.prefiltered.asked] = trace.photographs.candidates
    doubtful = photographs | trace.are_photographs
    doubtful[trace.prefiltered.asked :] |= photographs.any()
    return photographs, doubtful


def _caution(trace: SearchTrace, photograph: bool) -> str:
    """As Candidate.caution: why a candidate has no probability, in two words."""
    if not trace.judged:
        return "not judged"
    return "uncalibrated photo" if photograph else "uncalibrated"


def _same_outfit(place: int, ids: np.ndarray, affinity: np.ndarray | None) -> tuple[int, ...]:
    """Image ids of the candidates that likely show the same person in the same clothes, the likeliest first."""
    if affinity is None or place >= len(affinity):
        return ()
    order = np.argsort(-affinity[place], kind="stable")
    likely = [other for other in order if other != place and affinity[place, other] >= LIKELY_SAME]
    return tuple(int(ids[other]) for other in likely[:MOST_SAME])
