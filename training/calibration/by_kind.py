"""One kind of query: from what its searches found to a Calibration, and what that comes to."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from app.model.checkpoint import Calibration
from app.retrieval.calibration import clip_log_odds, log_odds, sigmoid
from training.calibration.fit import OneSided, fit, fit_threshold, mix
from training.evaluation.metrics import Relevance, rank
from training.evaluation.open_set import auroc

SHOWN = 12  # the first page: where a confidence is looked at, it shall be right
FALSE_ALARMS = 0.05  # the share of searches whose person is there that may be told "nobody fits"
CHANCE = 0.05  # that so few false alarms come about at a greater share
MISSED = 0.01  # of the true crops, by a tau at most this high
HOPELESS = 0.001  # a chance of a match, by CLIP alone: below it a crop is not worth asking about
PARTS = 10  # of the searches; each is judged by the others
YES_SHARES = np.linspace(0, 1, 21)
# Not 1: the weight of the attribute scores is a multiple of that of "Yes".
SCORE_SHARES = np.append(YES_SHARES[:-1], 0.99)


@dataclass(frozen=True)
class Pairs:
    """What was found for one kind of query: arrays (queries, candidates), and CLIP's over the whole gallery.

    yes_logits: logit("Yes") - logit("No"). attribute_scores: how well the attributes fit that the model reads.
    similarities: CLIP's; fused: with what the model reads, and with the same outfit's other crops. rarity: of the
    attributes that a query names, the same for all of its candidates. same, unsure: bool. true_similarities: of all
    right crops. left_out: bool, candidates that are taken away where the person is to be absent; None for none.
    """

    yes_logits: np.ndarray
    attribute_scores: np.ndarray
    similarities: np.ndarray
    fused: np.ndarray
    rarity: np.ndarray
    same: np.ndarray
    unsure: np.ndarray
    true_similarities: np.ndarray
    mAP: dict[str, float]
    left_out: np.ndarray | None = None


@dataclass(frozen=True)
class JudgedPairs:
    """n pairs that operators judged, each as Pairs has it, but flat: float (n,) each; same: bool (n,)."""

    yes_logits: np.ndarray
    attribute_scores: np.ndarray
    fused: np.ndarray
    rarity: np.ndarray
    same: np.ndarray


def fit_kind(
    there: Pairs, gone: Pairs, shares: tuple[float, float], judged: JudgedPairs | None = None
) -> tuple[Calibration, dict[str, float]]:
    """The calibration of one kind of query, and what it comes to.

    Args:
        there, gone: searches whose person is in the gallery, and whose person is not.
        shares: of the text and of the attributes in a similarity, as `similarities` and `fused` have them.
        judged: further pairs that the probability is fitted to; they move neither tau nor the threshold's searches.

    Raises:
        ValueError: there are not both right and wrong candidates among the first SHOWN.
    """
    read = best_share(there, there.attribute_scores, there.yes_logits, SCORE_SHARES)
    ratio = np.divide(*mix(there.attribute_scores, there.yes_logits, read))
    asked = there
    there, gone = (replace(p, yes_logits=p.yes_logits + ratio * p.attribute_scores) for p in (there, gone))
    parts = mix(there.yes_logits, there.fused, best_share(there, there.yes_logits, there.fused, YES_SHARES))
    sure = ~there.unsure
    by_clip = fit(there.yes_logits[sure], there.similarities[sure], there.same[sure], parts=(0.0, 1.0))
    order = np.argsort(-(parts[0] * there.yes_logits + parts[1] * there.fused), axis=1, kind="stable")[
        :, :SHOWN
    ]
    logits, fused, rare, same, known = (
        np.take_along_axis(array, order, 1)
        for array in (there.yes_logits, there.fused, there.rarity, there.same, sure)
    )

    def shown(rows: np.ndarray) -> Calibration:
        """The probability by what some searches showed, bool (queries,), and by what was judged."""
        seen = known & rows[:, None]
        pairs = [logits[seen], fused[seen], same[seen], rare[seen]]
        if judged is not None:
            by_model = judged.yes_logits + ratio * judged.attribute_scores
            more = (by_model, judged.fused, judged.same, judged.rarity)
            pairs = [np.concatenate(both) for both in zip(pairs, more, strict=True)]
        return fit(*pairs[:3], parts=parts, rarity=pairs[3])

    calibration = replace(
        shown(np.ones(len(same), bool)),
        clip_similarity=by_clip.clip_similarity,
        clip_bias=by_clip.clip_bias,
        tau=worth_asking(by_clip, there.true_similarities),
        text_weight=shares[0],
        attribute_share=shares[1],
        attribute_score=float(ratio),
    )
    best_there, best_gone = cross_fitted(shown, calibration, there), _best(calibration, gone)
    threshold = min(fit_threshold(best_there, best_gone), least_alarming(best_there))
    return replace(calibration, threshold=threshold), {
        **_mean_ap(calibration, there),
        "pairwise_mAP": _within(asked, asked.yes_logits),
        "attribute_score_mAP": _within(asked, asked.attribute_scores),
        "false_alarms": float((best_there < threshold).mean()),
        "absent_found": float((best_gone < threshold).mean()),
        "absent_auroc": auroc(best_there, best_gone),
    }


def best_share(pairs: Pairs, first: np.ndarray, second: np.ndarray, shares: np.ndarray) -> float:
    """Of these shares of `first`, ascending from 0, the one that ranks the candidates best with the rest of `second`.

    0 where it does not clearly help: of twenty shares one is the best by chance alone, so its gain must be twice
    its standard error.
    """
    precisions = []
    for share in shares:
        one, other = mix(first, second, float(share))
        both = one * first + other * second
        precisions.append(average_precision(both, pairs.same, pairs.unsure))
    return float(shares[clearly_best(precisions)])


def clearly_best(precisions: Sequence[np.ndarray]) -> int:
    """Which of several ways ranks best, by float (Q,) of average precisions each, NaN where nothing matches.

    0, the first, where none is clearly better: its mean gain must be twice its standard error.
    """
    gains = np.array(precisions) - precisions[0]
    gains = gains[:, np.isfinite(gains[0])]
    best = int(gains.mean(1).argmax())
    error = gains[best].std() / max(1, gains.shape[1]) ** 0.5
    return best if gains[best].mean() > 2 * error else 0


def worth_asking(by_clip: Calibration, true_similarities: np.ndarray) -> float:
    """tau, -1..1: few true crops are missed, and none that CLIP gives a chance; those in infrared are few here, and
    the least similar."""
    hopeless = (math.log(HOPELESS / (1 - HOPELESS)) - by_clip.clip_bias) / max(by_clip.clip_similarity, 1e-9)
    tau = min(float(np.quantile(true_similarities, MISSED)), hopeless) - 1e-6
    return float(np.clip(tau, -1, 1))


def least_alarming(best: np.ndarray) -> float:
    """The greatest threshold with so few searches below it that more than FALSE_ALARMS of all would be unlikely.

    best: the first candidate's probability of searches whose person is there. By the binomial distribution.
    """
    from scipy.stats import binom

    likely = binom.cdf(np.arange(len(best)), len(best), FALSE_ALARMS) <= CHANCE
    allowed = max(0, int(likely.sum()) - 1)
    return float(np.sort(best)[allowed])


def _best(calibration: Calibration, pairs: Pairs) -> np.ndarray:
    """The best candidate's probability of each search; 0 where all are left out."""
    probabilities = sigmoid(log_odds(calibration, pairs.yes_logits, pairs.fused, pairs.rarity))
    return (probabilities if pairs.left_out is None else np.where(pairs.left_out, 0, probabilities)).max(1)


def cross_fitted(
    shown: Callable[[np.ndarray], Calibration], calibration: Calibration, pairs: Pairs
) -> np.ndarray:
    """As `_best`, each search by what was fitted without it, so that a threshold holds for searches yet to come.

    shown: fits to some of the searches. calibration: that of all, where those that are left tell nothing.
    """
    best = _best(calibration, pairs)
    part = np.random.default_rng(0).permutation(len(best)) % PARTS
    for number in range(PARTS):
        try:
            other = shown(part != number)
        except OneSided:
            continue
        best[part == number] = _best(other, pairs)[part == number]
    return best


def _mean_ap(calibration: Calibration, pairs: Pairs) -> dict[str, float]:
    """Mean AP within the candidates, by CLIP, by "Yes" with the attribute score, by both readers without it, and as the
    app ranks."""
    rows = {
        "clip": clip_log_odds(calibration, pairs.similarities),
        "model": pairs.yes_logits,
        "readers": pairs.fused,
        "fused": log_odds(calibration, pairs.yes_logits, pairs.fused),
    }
    return {f"{name}_mAP": _within(pairs, scores) for name, scores in rows.items()} | pairs.mAP


def _within(pairs: Pairs, scores: np.ndarray) -> float:
    """Mean AP within the candidates."""
    return float(np.nanmean(average_precision(scores, pairs.same, pairs.unsure)))


def average_precision(scores: np.ndarray, same: np.ndarray, unsure: np.ndarray) -> np.ndarray:
    """float64 (Q,): of each query, without the unsure; NaN where nothing matches. scores, same, unsure: (Q, n)."""
    return rank(scores, Relevance.by_masks(same, unsure)).ap
