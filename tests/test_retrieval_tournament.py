"""The tournament against a scripted model that likes some places, and knows the right one a little."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.retrieval.tournament import AT_ONCE, LIST_LENGTH, deal, orders, tournament, worths


def scripted(worth, liking, asked=None, noise=0.0):
    """A model's answers: log-probabilities of the places by the worth who stands there, and the liking for it.

    liking: (longest list,), the same in lists of every length.
    """
    rng = np.random.default_rng(0)

    def ask(lists):
        rows = []
        for shown in lists:
            logits = worth[list(shown)] + liking[: len(shown)] + noise * rng.normal(size=len(shown))
            rows.append(logits - np.log(np.exp(logits).sum()))
            if asked is not None:
                asked.append(shown)
        return np.array(rows)

    return ask


def order_of(scores):
    return np.argsort(-scores, kind="stable").tolist()


@settings(max_examples=60)
@given(st.integers(1, 90), st.integers(2, 9), st.integers(0, 10**6))
def test_the_order_is_by_worth_whatever_place_is_liked(count, length, seed):
    rng = np.random.default_rng(seed)
    worth, liking, asked = rng.permutation(count) * 0.3, rng.normal(size=9) * 4, []
    scores = tournament(count, scripted(worth, liking, asked), list_length=length)
    assert order_of(scores) == order_of(worth)
    assert all(len(set(shown)) == len(shown) <= length for shown in asked)
    assert set().union(*asked) == (set(range(count)) if count > 1 else set())
    if count > 1:
        assert np.ptp(scores - worth) < 1e-6  # on one scale, over all lists


def test_a_strong_liking_hides_the_right_one_from_one_question_and_not_from_the_tournament():
    """A model as the demo's was found: nine of ten answers name its favourite place."""
    rng, right, plain, places = np.random.default_rng(5), 0, 0, []
    liking = np.array([0.0, 0.2, -0.5, 6.0, 0.1, 0.4, -0.3, 1.0])
    for number in range(60):
        worth = np.zeros(8)
        worth[number % 8] = 2.5
        ask = scripted(worth + rng.normal(size=8) * 0.3, liking, noise=0.3)
        plain += int(np.argmax(ask([tuple(range(8))])[0])) == number % 8
        chosen = int(np.argmax(tournament(8, ask)))
        places.append(chosen)
        right += chosen == number % 8
    assert plain < 15
    assert right > 55
    assert np.bincount(places, minlength=8).max() < 12  # no place is chosen much oftener than one in eight


def test_sixty_four_candidates_take_few_questions_and_progress_counts_them():
    asked, steps = [], []
    worth = np.random.default_rng(1).normal(size=64)
    ask = scripted(worth, np.linspace(-3, 3, 9), asked)
    scores = tournament(64, ask, progress=lambda *step: steps.append(step))
    assert order_of(scores) == order_of(worth)
    assert len(asked) == 8 * 4 + 2 * 4 + 4 == steps[-1][0] == steps[-1][1]
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})
    assert all(total == len(asked) for _, total in steps)


def test_stopped_in_the_first_round_nobody_has_a_score_and_later_the_finished_rounds_count():
    worth, asked = np.random.default_rng(2).normal(size=64), []
    ask = scripted(worth, np.zeros(9), asked)
    assert np.isnan(tournament(64, ask, stop=lambda: len(asked) >= 16)).all()
    assert 16 <= len(asked) < 16 + AT_ONCE
    asked.clear()
    first_round = 8 * 4
    scores = tournament(64, ask, stop=lambda: len(asked) >= first_round)
    assert len(asked) == first_round
    assert np.isfinite(scores).all()
    for shown in deal(np.arange(64), LIST_LENGTH):  # within each list they are in order
        assert order_of(scores[list(shown)]) == order_of(worth[list(shown)])


@given(st.integers(1, 100), st.integers(2, 9))
def test_lists_are_dealt_evenly(count, length):
    lists = deal(np.arange(count), length)
    assert sorted(one for shown in lists for one in shown) == list(range(count))
    sizes = [len(shown) for shown in lists]
    assert max(sizes) <= length and max(sizes) - min(sizes) <= 1
    assert [shown[0] for shown in lists] == list(range(len(lists)))  # the best are in different lists


@pytest.mark.parametrize("length", range(1, 10))
def test_in_the_orders_of_a_list_places_and_candidates_meet_evenly(length):
    shown = orders(tuple(range(length)))
    assert len(shown) == len(set(shown)) == min(length, 4)
    assert all(sorted(order) == list(range(length)) for order in shown)
    table = np.array(shown)
    assert all(len(set(column)) == len(shown) for column in table.T)  # each place sees different candidates
    answers = [np.zeros(length) for _ in shown]
    assert worths(length, shown, answers).tolist() == pytest.approx([0.0] * length)


def test_slow_questions_are_asked_one_at_a_time():
    """Stop is heard after one question, however slow the model answers."""
    clock, sizes = SimpleNamespace(now=0.0), []
    quick = scripted(np.random.default_rng(3).normal(size=64), np.zeros(9))

    def slow(lists):
        sizes.append(len(lists))
        clock.now += 3.0 * len(lists)
        return quick(lists)

    tournament(64, slow, stop=lambda: clock.now >= 10, clock=lambda: clock.now)
    assert clock.now == 12 and set(sizes) == {1}
