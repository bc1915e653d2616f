"""The fits behind a calibration: weights that turn the model's "Yes" and CLIP's cosine into a probability
(app.retrieval.calibration), and the threshold of "nobody fits".

They are fitted on people that neither model was taught on. No weight is negative, so that a signal can only help:
where it says nothing, its weight is exactly 0 and the order of the others stands.
"""

from __future__ import annotations

import numpy as np

from app.retrieval.calibration import Calibration, sigmoid

_RIDGE = 1e-3  # on standardized signals: keeps separable data from infinite weights


class OneSided(ValueError):
    """All pairs are of the same person, or none is."""


def fit(
    yes_logits: np.ndarray,
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
    """Logistic regression of `same` on ("Yes", similarity), and on the similarity alone.

    Args:
        yes_logits: float (n,), the model's log-odds of "Yes". similarities: float (n,), CLIP cosines. same: bool (n,).
        prior: the share of true pairs to calibrate to; None keeps the data's own share. The candidates of
            a search are not the pairs of a training batch: say what share of them is expected to be true.
        recall: tau is set so that this share of the true pairs has a greater similarity.
        threshold, text_weight: passed on.
        parts: weights of "Yes" and similarity in their sum, up to a scale: what ranks best is not always what the
            likelihood of all pairs together prefers. None leaves them to the likelihood.
        rarity: float (n,), of what each pair's query tells; one query's pairs share it. None leaves it out.

    Raises:
        OneSided: not both kinds of pairs. ValueError: lengths differ, or figures that are not finite.
    """
    yes_logits = np.asarray(yes_logits, np.float64)
    similarities = np.asarray(similarities, np.float64)
    same = np.asarray(same, bool)
    if not len(yes_logits) == len(similarities) == len(same):
        raise ValueError(f"{len(yes_logits)} words, {len(similarities)} similarities and {len(same)} truths")
    if not (np.isfinite(yes_logits).all() and np.isfinite(similarities).all()):
        raise ValueError("calibration needs finite words and similarities")
    if same.all() or not same.any():
        raise OneSided("calibration needs pairs of the same and of different people")
    if prior is not None and not 0 < prior < 1:
        raise ValueError(f"the prior is a share between 0 and 1, not {prior}")
    importance = np.ones(len(same))
    if prior is not None:
        importance[same] = prior / same.mean()
        importance[~same] = (1 - prior) / (1 - same.mean())
    # A constant gets no weight.
    rarity = np.zeros(len(same)) if rarity is None else np.asarray(rarity, np.float64)
    if parts is None:
        signals = np.stack([yes_logits, similarities, rarity], 1)
        (*both, rarity_weight), bias = fit_monotone(signals, same, importance)
    else:
        summed = parts[0] * yes_logits + parts[1] * similarities
        (scale, rarity_weight), bias = fit_monotone(np.stack([summed, rarity], 1), same, importance)
        both = [scale * part for part in parts]
    alone, clip_bias = fit_monotone(similarities[:, None], same, importance)
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
        rarity=rarity_weight,
    )


def fit_monotone(signals: np.ndarray, same: np.ndarray, importance: np.ndarray) -> tuple[list[float], float]:
    """Weighted logistic regression with weights of 0 or more.

    Args:
        signals: float64 (n, k). same: bool (n,). importance: float64 (n,), of each pair.

    Returns:
        The k weights and the bias of log-odds(same) = signals @ weights + bias. With the ridge the loss is strictly
        convex, so there is one optimum.
    """
    from scipy.optimize import minimize

    mean, spread = signals.mean(0), np.maximum(signals.std(0), 1e-12)
    design = (signals - mean) / spread
    importance = importance / importance.sum()
    sign = np.where(same, 1.0, -1.0)

    def loss_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
        weights, odds = theta[:-1], design @ theta[:-1] + theta[-1]
        loss = importance @ np.logaddexp(0, -sign * odds) + 0.5 * _RIDGE * (weights @ weights)
        residual = importance * (sigmoid(odds) - same)
        return float(loss), np.append(design.T @ residual + _RIDGE * weights, residual.sum())

    count = signals.shape[1]
    optimum = minimize(
        loss_and_gradient,
        np.zeros(count + 1),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * count + [(None, None)],
        options={"ftol": 1e-15, "gtol": 1e-10, "maxiter": 1000},
    )
    weights = optimum.x[:-1] / spread
    return weights.tolist(), float(optimum.x[-1] - weights @ mean)


def mix(first: np.ndarray, second: np.ndarray, share: float) -> tuple[float, float]:
    """Weights of two signals in their sum: `share` of the first and the rest, over their standard deviations."""
    return (
        share / max(float(np.std(first)), 1e-12),
        (1 - share) / max(float(np.std(second)), 1e-12),
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
