"""From the model's word and CLIP's cosine to a probability, and how the weights for it are found.

The trainer fits on people that neither model was taught on; the engine applies. Weights are never negative,
so that a word can only help: where it says nothing, the fit gives it a weight of 0 and CLIP's order stands.
"""

from __future__ import annotations

import itertools

import numpy as np

from app.model.checkpoint import Calibration

__all__ = ["Calibration", "clip_log_odds", "fit", "fit_threshold", "log_odds", "mix", "sigmoid"]

_RIDGE = 1e-3  # on standardized figures: keeps separable data from infinite weights
_STEPS = 100


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    """float64, without overflow."""
    half = np.tanh(np.asarray(log_odds, np.float64) / 2)
    return (1 + half) / 2


def log_odds(
    calibration: Calibration,
    model_logits: np.ndarray,
    similarities: np.ndarray,
    rarity: np.ndarray | float = 0.0,
) -> np.ndarray:
    """float64 (n,) of P(same person) for candidates that the model was asked about.

    model_logits: logit("Yes") - logit("No"), with the attribute score. rarity: how rare is what the words say, nats.
    """
    logits, similarities = np.asarray(model_logits, np.float64), np.asarray(similarities, np.float64)
    told = calibration.rarity * np.asarray(rarity, np.float64)
    return calibration.yes_logit * logits + calibration.similarity * similarities + told + calibration.bias


def clip_log_odds(calibration: Calibration, similarities: np.ndarray) -> np.ndarray:
    """float64 (n,) of P(same person) from the CLIP cosine alone."""
    return calibration.clip_similarity * np.asarray(similarities, np.float64) + calibration.clip_bias


def fit(
    words: np.ndarray,
    similarities: np.ndarray,
    same: np.ndarray,
    *,
    prior: float | None = None,
    recall: float = 0.99,
    threshold: float = 0.5,
    text_weight: float = 0.5,
    parts: tuple[float, float] | None = None,
    rarity: np.ndarray | None = None,
) -> Calibration:
    """Logistic regression of `same` on (word, similarity), and on the similarity alone.

    Args:
        words: (n,) the model's log-odds; similarities: (n,) CLIP cosines; same: (n,) bool.
        prior: the share of true pairs to calibrate to; None keeps the data's own share. The candidates of
            a search are not the pairs of a training batch: say what share of them is expected to be true.
        recall: tau is set so that this share of the true pairs has a greater similarity.
        threshold, text_weight: passed on.
        parts: weights of word and similarity in their sum, up to a scale: what ranks best is not always what the
            likelihood of all pairs together prefers. None leaves them to the likelihood.
        rarity: (n,) of what each pair's query tells; one query's pairs share it. None leaves it out.

    Raises:
        ValueError: lengths differ, figures that are not finite, or not both kinds of pairs.
    """
    words = np.asarray(words, np.float64)
    similarities = np.asarray(similarities, np.float64)
    same = np.asarray(same, bool)
    if not len(words) == len(similarities) == len(same):
        raise ValueError(f"{len(words)} words, {len(similarities)} similarities and {len(same)} truths")
    if not (np.isfinite(words).all() and np.isfinite(similarities).all()):
        raise ValueError("calibration needs finite words and similarities")
    if same.all() or not same.any():
        raise ValueError("calibration needs pairs of the same and of different people")
    if prior is not None and not 0 < prior < 1:
        raise ValueError(f"the prior is a share between 0 and 1, not {prior}")
    importance = np.ones(len(same))
    if prior is not None:
        importance[same] = prior / same.mean()
        importance[~same] = (1 - prior) / (1 - same.mean())
    told = (
        np.zeros(len(same)) if rarity is None else np.asarray(rarity, np.float64)
    )  # a constant gets no weight
    if parts is None:
        (*both, rare), bias = _fit_monotone(np.stack([words, similarities, told], 1), same, importance)
    else:
        summed = parts[0] * words + parts[1] * similarities
        (scale, rare), bias = _fit_monotone(np.stack([summed, told], 1), same, importance)
        both = [scale * part for part in parts]
    alone, clip_bias = _fit_monotone(similarities[:, None], same, importance)
    tau = float(np.quantile(similarities[same], 1 - recall, method="lower"))
    return Calibration(
        yes_logit=both[0],
        similarity=both[1],
        bias=bias,
        clip_similarity=alone[0],
        clip_bias=clip_bias,
        tau=float(np.clip(np.nextafter(tau, -2), -1, 1)),  # strictly below, since tau itself does not pass
        threshold=threshold,
        text_weight=text_weight,
        rarity=rare,
    )


def mix(words: np.ndarray, similarities: np.ndarray, word_share: float) -> tuple[float, float]:
    """Weights of word and similarity: word_share and the rest, over their spreads."""
    return (
        word_share / max(float(np.std(words)), 1e-12),
        (1 - word_share) / max(float(np.std(similarities)), 1e-12),
    )


def fit_threshold(present: np.ndarray, absent: np.ndarray) -> float:
    """The threshold that best tells searches whose person is there from those whose person is not.

    Args:
        present, absent: the best candidate's probability of each such search, 0..1.

    Returns:
        The middle of the gap with the greatest balanced accuracy; of several, the lowest (a person who is
        there should not be declared absent).
    """
    present, absent = np.asarray(present, np.float64), np.asarray(absent, np.float64)
    if not (len(present) and len(absent)):
        raise ValueError("a threshold needs searches with and without the person")
    values = np.unique(np.concatenate([present, absent]))
    cuts = np.concatenate([[0.0], (values[1:] + values[:-1]) / 2, [1.0]])
    kept = np.array([(present >= cut).mean() + (absent < cut).mean() for cut in cuts])
    return float(cuts[int(kept.argmax())])


def _fit_monotone(figures: np.ndarray, same: np.ndarray, importance: np.ndarray) -> tuple[list[float], float]:
    """Weights >= 0 and the bias: of the fits on each subset of the figures, the best without a negative one.

    The loss is convex, so the constrained optimum is the free optimum of the figures that it uses.
    """
    count = figures.shape[1]
    best: tuple[float, np.ndarray, float] | None = None
    for size in range(count + 1):
        for used in itertools.combinations(range(count), size):
            found, bias, loss = _newton(figures[:, list(used)], same, importance)
            if (found >= 0).all() and (best is None or loss < best[0]):
                weights = np.zeros(count)
                weights[list(used)] = found
                best = (loss, weights, bias)
    assert best is not None  # the fit without any figure has no weight to be negative
    return best[1].tolist(), best[2]


def _newton(figures: np.ndarray, same: np.ndarray, importance: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Weighted logistic regression, a little ridge, standardized figures; -> raw weights, bias and loss."""
    mean, spread = figures.mean(0), np.maximum(figures.std(0), 1e-12)
    design = np.concatenate([(figures - mean) / spread, np.ones((len(figures), 1))], 1)
    penalty = np.full(design.shape[1], _RIDGE * importance.sum())
    penalty[-1] = 0
    theta = np.zeros(design.shape[1])
    loss = _loss(theta, design, same, importance, penalty)
    for _ in range(_STEPS):
        chance = sigmoid(design @ theta)
        gradient = design.T @ (importance * (chance - same)) + penalty * theta
        curvature = (design * (importance * chance * (1 - chance))[:, None]).T @ design + np.diag(
            penalty + 1e-9
        )
        step, rate = np.linalg.solve(curvature, gradient), 1.0
        while rate > 1e-6:  # a full Newton step can overshoot
            new = _loss(theta - rate * step, design, same, importance, penalty)
            if new <= loss:
                break
            rate /= 2
        theta, gain, loss = theta - rate * step, loss - new, new
        if gain < 1e-12 * max(1.0, loss):
            break
    weights = theta[:-1] / spread
    return weights, float(theta[-1] - weights @ mean), loss


def _loss(
    theta: np.ndarray, design: np.ndarray, same: np.ndarray, importance: np.ndarray, penalty: np.ndarray
) -> float:
    signed = np.where(same, 1, -1) * (design @ theta)
    return float(importance @ np.logaddexp(0, -signed) + 0.5 * penalty @ theta**2)
