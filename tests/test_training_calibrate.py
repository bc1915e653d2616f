"""The fit of calibrations: against Newton's method on every subset of the signals, and what must hold for any data."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.retrieval.calibration import clip_log_odds, log_odds, sigmoid
from training.calibration.fit import fit, fit_monotone, fit_threshold, mix


def drawn(count=4000, seed=0, word=0.8, similarity=6.0, bias=-2.0):
    """Pairs whose truth follows a known logistic law."""
    rng = np.random.default_rng(seed)
    words, similarities = rng.normal(0, 2, count), rng.normal(0.2, 0.2, count)
    chance = 1 / (1 + np.exp(-(word * words + similarity * similarities + bias)))
    return words, similarities, rng.random(count) < chance


def test_fit_finds_the_law_that_drew_the_data():
    words, similarities, same = drawn(40_000)
    found = fit(words, similarities, same)
    assert found.yes_logit == pytest.approx(0.8, abs=0.05)
    assert found.similarity == pytest.approx(6.0, abs=0.4)
    assert found.bias == pytest.approx(-2.0, abs=0.15)
    # Calibrated: among pairs given about 70 %, about 70 % are true.
    chance = sigmoid(log_odds(found, words, similarities))
    for low in (0.1, 0.3, 0.5, 0.7, 0.9):
        within = (chance > low - 0.05) & (chance < low + 0.05)
        assert same[within].mean() == pytest.approx(low, abs=0.05)


def test_a_word_that_says_the_opposite_or_nothing_gets_no_weight():
    words, similarities, same = drawn()
    found = fit(-words, similarities, same)
    assert found.yes_logit == 0
    assert found.similarity > 0
    useless = fit(np.zeros_like(words), similarities, same)
    assert useless.similarity == pytest.approx(useless.clip_similarity, rel=1e-6)
    both_wrong = fit(-words, -similarities, same)
    assert (both_wrong.yes_logit, both_wrong.similarity, both_wrong.clip_similarity) == (0, 0, 0)
    assert sigmoid(both_wrong.bias) == pytest.approx(same.mean(), abs=1e-6)


def test_the_prior_moves_the_probabilities_and_not_the_order():
    words, similarities, same = drawn()
    own, rare = fit(words, similarities, same), fit(words, similarities, same, prior=0.02)
    chance = sigmoid(log_odds(rare, words, similarities))
    assert chance.mean() < sigmoid(log_odds(own, words, similarities)).mean()
    weight = np.where(same, 0.02 / same.mean(), 0.98 / (1 - same.mean()))
    assert np.average(chance, weights=weight) == pytest.approx(0.02, abs=2e-3)


def test_tau_keeps_the_share_of_true_pairs_that_was_asked():
    words, similarities, same = drawn()
    found = fit(words, similarities, same, recall=0.95)
    assert (similarities[same] > found.tau).mean() == pytest.approx(0.95, abs=0.005)
    assert (similarities[same] > fit(words, similarities, same, recall=1.0).tau).all()


def test_separable_data_and_nonsense():
    found = fit(np.array([-5.0, -4, 4, 5]), np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1], bool))
    assert np.isfinite([found.yes_logit, found.similarity, found.bias]).all()
    assert (sigmoid(clip_log_odds(found, np.array([0.1, 0.9]))) > 0.5).tolist() == [False, True]
    with pytest.raises(ValueError, match="same and of different"):
        fit(np.zeros(3), np.zeros(3), np.ones(3, bool))
    with pytest.raises(ValueError, match="finite"):
        fit(np.array([np.nan, 1]), np.zeros(2), np.array([True, False]))
    with pytest.raises(ValueError, match="2 words"):
        fit(np.zeros(2), np.zeros(3), np.zeros(3, bool))
    with pytest.raises(ValueError, match="prior"):
        fit(np.zeros(2), np.zeros(2), np.array([True, False]), prior=1.5)


def newton(signals, same, importance):
    """(weights, bias, loss) of ridge logistic regression on standardized signals, by damped Newton steps."""
    spread = np.maximum(signals.std(0), 1e-12)
    design = np.column_stack([(signals - signals.mean(0)) / spread, np.ones(len(same))])
    ridge = np.append(np.full(signals.shape[1], 1e-3 * importance.sum()), 0)

    def loss(theta):
        odds = design @ theta
        return importance @ np.logaddexp(0, np.where(same, -odds, odds)) + 0.5 * ridge @ theta**2

    theta = np.zeros(design.shape[1])
    for _ in range(100):
        chance = sigmoid(design @ theta)
        gradient = design.T @ (importance * (chance - same)) + ridge * theta
        curvature = (design * (importance * chance * (1 - chance))[:, None]).T @ design
        step, rate = np.linalg.solve(curvature + np.diag(ridge + 1e-9), gradient), 1.0
        while rate > 1e-6 and loss(theta - rate * step) > loss(theta):
            rate /= 2
        theta = theta - rate * step
    weights = theta[:-1] / spread
    return weights, theta[-1] - weights @ signals.mean(0), loss(theta)


def best_subset(signals, same, importance):
    """The constrained optimum as the best fit without a negative weight over all subsets of the signals."""
    best = None
    for used in itertools.product([False, True], repeat=signals.shape[1]):
        part, bias, loss = newton(signals[:, list(used)], same, importance)
        if (part >= 0).all() and (best is None or loss < best[2]):
            weights = np.zeros(signals.shape[1])
            weights[list(used)] = part
            best = weights, bias, loss
    return best[0], best[1]


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(6, 200), st.integers(1, 3), st.floats(1e-3, 1e3), st.booleans())
def test_the_weights_are_those_of_the_best_subset_and_zero_where_it_leaves_them_out(
    seed, count, signals, scale, constant
):
    rng = np.random.default_rng(seed)
    drawn = rng.normal(size=(count, signals)) * scale ** rng.random(signals)
    if constant:
        drawn[:, 0] = 3.0
    odds = (drawn - drawn.mean(0)) @ (rng.normal(size=signals) / drawn.std(0).clip(1e-9)) + rng.normal()
    same = rng.random(count) < sigmoid(odds)
    same[:2] = [True, False]
    importance = np.where(same, rng.uniform(0.05, 2), 1.0)
    weights, bias = fit_monotone(drawn, same, importance)
    expected, expected_bias = best_subset(drawn, same, importance)
    assert ((np.array(weights) == 0) == (expected == 0)).all()
    np.testing.assert_allclose(weights * drawn.std(0), expected * drawn.std(0), rtol=1e-5, atol=1e-6)
    mean = drawn.mean(0)
    assert bias + weights @ mean == pytest.approx(expected_bias + expected @ mean, rel=1e-5, abs=1e-6)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(4, 60), st.floats(1e-3, 1e3))
def test_no_small_change_of_the_weights_fits_better(seed, count, scale):
    rng = np.random.default_rng(seed)
    words, similarities = rng.normal(size=count) * scale, rng.uniform(-1, 1, count)
    same = rng.random(count) < 0.4
    same[:2] = [True, False]
    found = fit(words, similarities, same)
    assert min(found.yes_logit, found.similarity, found.clip_similarity) >= 0

    def loss(word, similarity, bias):
        odds = word * words + similarity * similarities + bias
        ridge = 0.5e-3 * count * ((word * words.std()) ** 2 + (similarity * similarities.std()) ** 2)
        return np.logaddexp(0, np.where(same, -odds, odds)).sum() + ridge

    best = loss(found.yes_logit, found.similarity, found.bias)
    for step in (1e-3, 0.1):
        for change in np.vstack([np.eye(3), -np.eye(3)]) * step:
            word = max(0.0, found.yes_logit + change[0] / max(words.std(), 1e-9))
            assert best <= loss(word, max(0.0, found.similarity + change[1]), found.bias + change[2]) + 1e-6


def test_the_threshold_tells_present_from_absent():
    assert fit_threshold(np.array([0.6, 0.8]), np.array([0.1, 0.3])) == pytest.approx(0.45)
    cut = fit_threshold(np.array([0.2, 0.6, 0.7, 0.8]), np.array([0.1, 0.3, 0.5]))
    present, absent = np.array([0.2, 0.6, 0.7, 0.8]), np.array([0.1, 0.3, 0.5])
    every = [(present >= c).mean() + (absent < c).mean() for c in np.linspace(0, 1, 1001)]
    assert (present >= cut).mean() + (absent < cut).mean() == pytest.approx(max(every))
    with pytest.raises(ValueError, match="with and without"):
        fit_threshold(np.array([0.5]), np.array([]))


def test_a_stated_share_fixes_the_order_and_is_still_calibrated():
    rng = np.random.default_rng(3)
    same = rng.random(4000) < 0.2
    words = 2.0 * same + rng.normal(0, 1.5, 4000)
    similarities = 0.2 * same + rng.normal(0, 0.2, 4000)
    for share in (0.0, 0.3, 1.0):
        found = fit(words, similarities, same, parts=mix(words, similarities, share))
        parts = found.yes_logit * words.std(), found.similarity * similarities.std()
        assert parts[0] == pytest.approx(share * sum(parts))
        chances = sigmoid(log_odds(found, words, similarities))
        assert chances.mean() == pytest.approx(same.mean(), abs=0.01)


def test_what_is_told_raises_every_chance_alike():
    rng = np.random.default_rng(9)
    same, told = rng.random(4000) < 0.3, rng.integers(0, 6, 4000).astype(float)
    similarities = same + rng.normal(0, 0.3, 4000) - 0.4 * told
    found = fit(np.zeros(4000), similarities, same, rarity=told)
    assert found.rarity == pytest.approx(0.4 * found.similarity, rel=0.1)
    plain = log_odds(found, np.zeros(3), np.array([0.1, 0.2, 0.3]))
    np.testing.assert_allclose(
        log_odds(found, np.zeros(3), np.array([0.1, 0.2, 0.3]), 2.0), plain + 2 * found.rarity
    )
