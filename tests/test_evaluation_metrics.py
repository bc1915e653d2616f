"""Metrics against hand-computed cases, the edge cases of the field, and an oracle as slow and plain as can be."""

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.evaluation.metrics import (
    Difference,
    Metrics,
    Relevance,
    evaluate,
    mean_of,
    order_of,
    paired_difference,
    rank,
    rank_blocks,
    ranks_of,
)


def test_by_hand():
    scores = np.array([[0.9, 0.8, 0.7, 0.6]])
    found = evaluate(scores, np.array([1]), np.array([2, 1, 2, 1]))
    assert found.mAP == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert (found.rank1, found.rank5, found.mINP) == (0.0, 1.0, pytest.approx(2 / 4))


def test_crops_of_the_same_person_by_the_same_camera_are_junk():
    scores = np.array([[0.9, 0.8, 0.7]])
    found = evaluate(scores, np.array([1]), np.array([1, 2, 1]), np.array([3]), np.array([3, 3, 4]))
    assert found.mAP == pytest.approx(1 / 2)
    only = evaluate(scores, np.array([1]), np.array([1, 2, 1]), np.array([3]), np.array([3, 3, 3]))
    assert (only.queries_without_match, only.queries, only.mAP) == (1, 1, 0.0)


def test_ties_go_by_gallery_order_and_a_gallery_may_be_small():
    scores, relevance = np.zeros((1, 3)), Relevance.by_identity([1], [2, 2, 1])
    found = rank(scores, relevance)
    assert found.metrics().mAP == pytest.approx(1 / 3)
    assert found.metrics().rank10 == 1.0
    assert found.cmc(5).tolist() == [0, 0, 1, 1, 1]


def test_queries_without_a_match_are_counted_and_left_out():
    scores = np.array([[0.9, 0.1], [0.5, 0.4], [0.3, 0.2]])
    found = rank(scores, Relevance.by_identity([1, 7, 2], [1, 2]))
    assert found.metrics().mAP == pytest.approx((1 + 1 / 2) / 2)
    assert (found.metrics().queries, found.metrics().queries_without_match) == (3, 1)
    assert np.isnan(found.ap[1]) and found.first.tolist() == [1, 0, 2]
    nobody = rank(scores, Relevance.by_identity([7, 8, 9], [1, 2]))
    assert nobody.metrics().mAP == 0.0 and nobody.cmc(2).tolist() == [0, 0]


@pytest.mark.parametrize(
    "scores", [np.zeros((2, 3)), np.full((1, 3), np.nan), np.zeros((1, 0)), np.zeros((1, 3), complex)]
)
def test_wrong_input_is_refused(scores):
    with pytest.raises(ValueError, match="scores"):
        evaluate(scores, np.array([1]), np.arange(scores.shape[1] if scores.shape[0] == 1 else 4))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_bad_score_anywhere_is_seen(value):
    scores = np.zeros((200, 3), np.float32)
    scores[170, 1] = value
    with pytest.raises(ValueError, match="NaN or infinity"):
        evaluate(scores, np.zeros(200), np.array([0, 1, 2]))


def test_cameras_of_one_side_only_are_refused():
    with pytest.raises(ValueError, match="cameras"):
        evaluate(np.zeros((1, 2)), np.array([1]), np.array([1, 2]), np.array([1]), None)


def test_blocks_that_do_not_fit_are_refused():
    relevance = Relevance.by_identity([1, 1], [1, 2])
    for blocks in ([np.zeros((1, 2))], [np.zeros((3, 2))], [np.zeros((2, 3))]):
        with pytest.raises(ValueError):
            rank_blocks(blocks, relevance)


def oracle(scores, matches, junk):
    """Sorts every ranking in Python and walks down it."""
    averages, inverses, firsts = [], [], []
    for q in range(len(scores)):
        ranked = sorted(range(scores.shape[1]), key=lambda g, q=q: (-scores[q][g], g))
        ranked = [g for g in ranked if not junk[q][g]]
        right, precisions, last, first = 0, [], 0, 0
        for place, g in enumerate(ranked, 1):
            if matches[q][g]:
                right += 1
                precisions.append(right / place)
                last, first = place, first or place
        if precisions:
            averages.append(sum(precisions) / len(precisions))
            inverses.append(right / last)
            firsts.append(first)
    many = len(averages)

    def mean(values):
        return sum(values) / many if many else 0.0

    return {
        "mAP": mean(averages),
        "mINP": mean(inverses),
        **{f"rank{k}": mean([first <= k for first in firsts]) for k in (1, 5, 10)},
        "queries": len(scores),
        "queries_without_match": len(scores) - many,
    }


def cross_camera(arrays):
    query_ids, gallery_ids, query_cameras, gallery_cameras = arrays
    same = query_ids[:, None] == gallery_ids
    junk = same & (query_cameras[:, None] == gallery_cameras)
    return same & ~junk, junk


@given(
    seed=st.integers(0, 2**32 - 1),
    queries=st.integers(1, 6),
    gallery=st.integers(1, 30),
    levels=st.sampled_from([1, 2, 5, 10_000]),  # 1: everything is tied
    cameras=st.integers(1, 3),
    dtype=st.sampled_from([np.float64, np.float32, np.float16, np.int32, np.uint8, np.bool_]),
)
def test_against_the_oracle(seed, queries, gallery, levels, cameras, dtype):
    rng = np.random.default_rng(seed)
    scores = (rng.integers(0, levels, (queries, gallery)) / (levels if dtype != np.uint8 else 40)).astype(
        dtype
    )
    sizes = (queries, gallery, queries, gallery)
    arrays = [rng.integers(0, n, size) for n, size in zip((3, 3, cameras, cameras), sizes, strict=True)]
    assert asdict(evaluate(scores, *arrays)) == pytest.approx(
        oracle(scores.astype(float), *cross_camera(arrays))
    )


@given(seed=st.integers(0, 2**32 - 1), gallery=st.integers(1, 20), levels=st.sampled_from([1, 3, 1000]))
def test_any_masks_against_the_oracle(seed, gallery, levels):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, levels, (4, gallery)).astype(np.float32)
    matches, junk = rng.random((4, gallery)) < 0.4, rng.random((4, gallery)) < 0.3
    relevance = Relevance.by_masks(matches, junk)
    assert asdict(rank(scores, relevance).metrics()) == pytest.approx(oracle(scores, matches & ~junk, junk))
    assert np.array_equal(relevance.masks(), [matches & ~junk, junk])


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    gallery=st.sampled_from([1, 63, 300, 3000]),
    levels=st.sampled_from([1, 4, 40, 100_000]),  # 1: everything is tied
    dtype=st.sampled_from([np.float16, np.float32, np.float64, np.int32, np.uint8]),
)
def test_an_order_is_that_of_a_plain_sort(seed, gallery, levels, dtype):
    rng = np.random.default_rng(seed)
    row = (rng.integers(0, levels, gallery) - levels // 2).astype(dtype)
    plain = sorted(range(gallery), key=lambda g: (-float(row[g]), g))
    assert order_of(row).tolist() == plain


def test_ranks_come_from_orders_and_junk_counts_for_nothing():
    relevance = Relevance.by_masks(
        np.array([[True, False, True, False]] * 2), np.array([[False, True, False, False]] * 2)
    )
    found = ranks_of([np.array([1, 2, 3, 0]), np.array([3, 0, 1, 2])], relevance)
    assert found.first.tolist() == [1, 2]
    assert found.ap.tolist() == pytest.approx([(1 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2])
    for orders in ([], [np.arange(4)], [np.arange(4)] * 3, [np.arange(3)] * 2):
        with pytest.raises(ValueError, match="scores"):
            ranks_of(orders, relevance)


def test_the_borders_of_a_type_and_both_zeros():
    most = np.finfo(np.float32).max
    scores = np.array([[0.0, -0.0, most, -most, most, 0.0, -most]], np.float32)
    relevance = Relevance.by_masks(np.ones((1, 7), bool))
    assert rank(scores, relevance).ap[0] == 1.0
    for column, place in enumerate([3, 4, 1, 6, 2, 5, 7]):
        alone = Relevance.by_masks(np.arange(7)[None] == column)
        assert rank(scores, alone).first.tolist() == [place]


def test_many_matches_and_ties_agree_with_the_oracle():
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 20, (3, 400)).astype(np.float32)
    arrays = [np.zeros(3, int), rng.integers(0, 2, 400), rng.integers(0, 3, 3), rng.integers(0, 3, 400)]
    assert asdict(evaluate(scores, *arrays)) == pytest.approx(oracle(scores, *cross_camera(arrays)))


def test_blocks_of_any_size_give_the_same_numbers():
    rng = np.random.default_rng(0)
    scores = rng.random((150, 40)).astype(np.float32)
    relevance = Relevance.by_identity(rng.integers(0, 9, 150), rng.integers(0, 9, 40))
    whole = rank(scores, relevance)
    for size in (1, 7, 128, 200):
        blocks = (scores[start : start + size] for start in range(0, 150, size))
        assert np.array_equal(rank_blocks(blocks, relevance).ap, whole.ap, equal_nan=True)
    assert np.array_equal(rank(np.asfortranarray(scores), relevance).ap, whole.ap, equal_nan=True)


def test_labels_may_be_text():
    found = evaluate(np.array([[0.1, 0.9]]), np.array(["ann"]), np.array(["ann", "bob"]))
    assert found.mAP == 0.5


def test_a_mean_of_trials():
    one, other = Metrics(0.2, 0, 0.5, 1, 0.1, 7, 1), Metrics(0.4, 1, 0.5, 1, 0.3, 7, 1)
    assert mean_of([one, other]) == Metrics(pytest.approx(0.3), 0.5, 0.5, 1, pytest.approx(0.2), 7, 1)


def test_bootstrap():
    rng = np.random.default_rng(0)
    first = rng.random(400)
    same = paired_difference(first, first)
    assert (same.mean, same.low, same.high, same.queries) == (0, 0, 0, 400)
    noise = rng.normal(0.1, 0.5, 400)
    found = paired_difference(first + noise, first, seed=3)
    assert found.mean == pytest.approx(noise.mean())
    spread = 1.96 * noise.std() / 20  # the normal interval that 400 queries come close to
    assert found.low == pytest.approx(noise.mean() - spread, abs=0.006)
    assert found.high == pytest.approx(noise.mean() + spread, abs=0.006)
    assert paired_difference(first + noise, first, seed=3) == found
    gone = np.where(np.arange(400) < 100, np.nan, first)
    assert paired_difference(gone + noise, first).queries == 300
    with pytest.raises(ValueError, match="same queries"):
        paired_difference(first, first[1:])
    with pytest.raises(ValueError, match="no query"):
        paired_difference(np.full(3, np.nan), np.ones(3))


def test_one_query_has_no_interval():
    assert paired_difference(np.array([0.5, np.nan]), np.array([0.25, 1.0])) == Difference(
        0.25, 0.25, 0.25, 1
    )
