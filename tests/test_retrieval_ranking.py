"""Prefilter and rerank against a plain reading of the rules, over many inputs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.checkpoint import Calibration
from app.retrieval.fusion import Fused
from app.retrieval.prefilter import FEW, most_similar_first, prefilter
from app.retrieval.rankers import PAIRWISE_WEIGHT, RANK_OFFSET, RANKERS, reciprocal_ranks
from app.retrieval.ranking import SearchTrace, rank_candidates
from app.settings import RANKER_NAMES
from training.evaluation.hits import KeptCandidates, KeptQuery

CALIBRATION = Calibration(
    yes_logit=0.7, similarity=5, bias=-2, clip_similarity=6, clip_bias=-3, tau=0.2, threshold=0.4
)


def ranked_by(
    prefiltered,
    yes_logits,
    calibration,
    *,
    limit,
    similarity=None,
    affinity=None,
    penalty=None,
    attribute_score=0.0,
    ranker="fused",
):
    own = prefiltered.similarities[: prefiltered.asked]
    fused = Fused(own if similarity is None else similarity, affinity, penalty)
    yes_logits, score = np.asarray(yes_logits, float), attribute_score + np.zeros(prefiltered.asked)
    kept = KeptCandidates(own, yes_logits, score, -yes_logits, fused)
    scores = RANKERS[ranker](KeptQuery(calibration, 0.0), kept)
    return rank_candidates(SearchTrace(prefiltered, scores, ranker, calibration, yes_logits, fused), limit)


# Few distinct values, so that ties are common.
similarities_of = st.lists(st.sampled_from([-0.5, 0.0, 0.1, 0.3, 0.3, 0.7, 1.0]), min_size=0, max_size=40)


@settings(max_examples=150)
@given(similarities_of, st.sampled_from([-1.0, 0.0, 0.3, 0.9]), st.integers(1, 50), st.randoms())
def test_prefilter_by_the_rules(values, tau, k, random):
    ids = sorted(random.sample(range(1000), len(values)))
    found = prefilter(np.array(ids, np.int64), np.array(values, np.float32), tau=tau, k=k)
    expected = sorted(zip(values, ids, strict=True), key=lambda pair: (-pair[0], pair[1]))
    assert found.ids.tolist() == [image_id for _, image_id in expected]
    above = sum(np.float32(value) > tau for value in values)
    assert found.asked == min(above or FEW, k, len(values))
    assert found.passed == (above > 0)


@settings(max_examples=150)
@given(similarities_of, st.data(), st.sampled_from([*RANKER_NAMES, None]), st.integers(1, 60))
def test_rerank_by_the_rules(values, data, ranker, limit):
    """ranker None: fused without a calibration."""
    ids = np.arange(len(values), dtype=np.int64)
    found = prefilter(ids, np.array(values, np.float32), tau=-2, k=10)
    yes_logits = np.array(
        data.draw(
            st.lists(
                st.sampled_from([math.nan, -3.0, 0.0, 0.0, 2.5]),
                min_size=found.asked,
                max_size=found.asked,
            )
        )
    )
    calibration, ranker = (CALIBRATION, ranker) if ranker else (None, "fused")
    calibrated = ranker == "fused" and calibration is not None
    fused = data.draw(
        st.none() | st.lists(st.sampled_from([0.2, 0.9]), min_size=len(yes_logits), max_size=len(yes_logits))
    )
    ranked = ranked_by(
        found,
        yes_logits,
        calibration,
        limit=limit,
        similarity=None if fused is None else np.array(fused),
        ranker=ranker,
    )
    by_yes = sorted(range(found.asked), key=lambda place: (-np.nan_to_num(yes_logits[place], nan=-99), place))
    rows = []  # (0 scored / 1 rest, -log-odds, place in CLIP's order, id)
    for place, image_id in enumerate(found.ids.tolist()):
        yes = yes_logits[place] if place < found.asked else math.nan
        if place >= found.asked or (math.isnan(yes) and ranker != "clip"):
            rows.append((1, 0.0, place, image_id))
            continue
        similarity = fused[place] if fused else float(found.similarities[place])
        if calibrated:
            odds = 0.7 * yes + 5 * similarity - 2
        elif ranker == "fused":
            odds = 1 / (RANK_OFFSET + place + 1) + PAIRWISE_WEIGHT / (RANK_OFFSET + by_yes.index(place) + 1)
        else:
            odds = {"clip": -place, "pairwise": yes, "best-choice": -yes}[ranker]
        rows.append((0, -odds, place, image_id))
    expected = [image_id for *_, image_id in sorted(rows)][:limit]
    assert [candidate.image_id for candidate in ranked.candidates] == expected
    assert ranked.scored == (found.asked if ranker == "clip" else int(np.isfinite(yes_logits).sum()))
    assert (ranked.calibrated, ranked.ranker) == (calibrated, ranker)
    probabilities = [candidate.probability for candidate in ranked.candidates]
    if calibrated:
        assert probabilities == sorted(probabilities, reverse=True)
        assert all(0 <= probability <= 1 for probability in probabilities)
    else:
        assert set(probabilities) <= {None}
        assert ranked.no_match == (not values) and not any(c.weak for c in ranked.candidates)
    for candidate in ranked.candidates:
        place = found.ids.tolist().index(candidate.image_id)
        asked = place < found.asked and not math.isnan(yes_logits[place])
        assert (candidate.p_yes is not None) == asked
        if asked:
            assert candidate.p_yes == pytest.approx(1 / (1 + math.exp(-yes_logits[place])))
    if calibrated:
        assert [c.weak for c in ranked.candidates] == [c.probability < 0.4 for c in ranked.candidates]
        assert ranked.no_match == (not probabilities or probabilities[0] < 0.4)


def test_nothing_above_tau_leaves_weak_candidates_and_nobody_who_fits():
    found = prefilter(np.arange(30), np.full(30, 0.1, np.float32), tau=0.5, k=64)
    ranked = ranked_by(found, np.full(FEW, 9.0), CALIBRATION, limit=100)
    assert found.asked == FEW
    assert ranked.no_match
    assert all(candidate.weak for candidate in ranked.candidates)
    assert [candidate.image_id for candidate in ranked.candidates] == list(range(30))


def test_reciprocal_ranks_by_hand():
    scores = reciprocal_ranks((np.array([3.0, 2.0, 1.0, 0.0]), 1), (np.array([0.0, 5.0, np.nan, 5.0]), 0.5))
    both = [1 / 61 + 0.5 / 63, 1 / 62 + 0.5 / 61, math.nan, 1 / 64 + 0.5 / 62]
    assert scores == pytest.approx(both, nan_ok=True) and RANK_OFFSET == 60


def test_every_ranker_has_its_name_and_one_home():
    assert tuple(RANKERS) == RANKER_NAMES


def test_clip_alone_believes_nothing():
    found = prefilter(np.arange(3), np.array([0.1, 0.9, -0.2], np.float32), tau=-1, k=64)
    ranked = ranked_by(found, np.full(3, np.nan), None, limit=100, ranker="clip")
    assert [c.image_id for c in ranked.candidates] == [1, 0, 2]
    assert not ranked.no_match
    assert not any(c.weak for c in ranked.candidates)
    assert ranked_by(
        prefilter(np.zeros(0, int), np.zeros(0), tau=0, k=4), np.zeros(0), None, limit=5
    ).no_match


def test_a_candidate_names_its_outfit_among_those_that_were_read():
    found = prefilter(
        np.array([10, 11, 12, 13], np.int64), np.array([0.9, 0.8, 0.7, 0.6], np.float32), tau=-1, k=3
    )
    affinity = np.array([[1, 0.9, 0.5], [0.9, 1, 0.4], [0.5, 0.4, 1]])
    ranked = ranked_by(found, np.zeros(3), CALIBRATION, limit=4, affinity=affinity)
    assert {c.image_id: c.same_outfit for c in ranked.candidates} == {
        10: (11, 12),
        11: (10,),
        12: (10,),
        13: (),
    }
    assert all(not c.same_outfit for c in ranked_by(found, np.zeros(3), CALIBRATION, limit=4).candidates)


def test_p_yes_is_the_models_own_and_the_order_is_by_all_that_it_read():
    found = prefilter(np.array([10, 11, 12], np.int64), np.array([0.5, 0.5, 0.5], np.float32), tau=-1, k=3)
    yes_logits, score = np.array([2.0, 0.0, -1.0]), np.array([-9.0, 1.0, 40.0])
    ranked = ranked_by(found, yes_logits, CALIBRATION, limit=3, attribute_score=score)
    assert [c.image_id for c in ranked.candidates] == [12, 11, 10]
    p_yes = {10: 1 / (1 + math.exp(-2)), 11: 0.5, 12: 1 / (1 + math.exp(1))}
    assert {c.image_id: c.p_yes for c in ranked.candidates} == pytest.approx(p_yes)
    odds = [0.7 * (yes + read) + 5 * 0.5 - 2 for yes, read in ((-1, 40), (0, 1), (2, -9))]
    assert [c.probability for c in ranked.candidates] == pytest.approx([1 / (1 + math.exp(-o)) for o in odds])


def test_who_looks_like_somebody_rejected_falls_back():
    found = prefilter(np.array([10, 11, 12], np.int64), np.array([0.9, 0.8, 0.7], np.float32), tau=-1, k=3)
    plain = ranked_by(found, np.zeros(3), CALIBRATION, limit=3)
    ranked = ranked_by(found, np.zeros(3), CALIBRATION, limit=3, penalty=np.array([-3.0, 0.0, 0.0]))
    assert [c.image_id for c in plain.candidates] == [10, 11, 12]
    assert [c.image_id for c in ranked.candidates] == [11, 12, 10]
    odds = 5 * 0.9 - 2 - 3
    assert ranked.candidates[2].probability == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-6)


@given(
    st.lists(
        st.tuples(
            st.integers(1, 10**12),
            st.floats(-1, 1, width=32) | st.sampled_from([0.0, -0.0, 0.25, 0.5]),
        ),
        unique_by=lambda one: one[0],
        max_size=40,
    ),
    st.booleans(),
)
def test_the_most_similar_come_first_and_equal_ones_by_id(rows, ascending):
    rows = sorted(rows) if ascending else rows
    ids = np.array([row[0] for row in rows], np.int64)
    similarities = np.array([row[1] for row in rows], np.float32)
    np.testing.assert_array_equal(most_similar_first(ids, similarities), np.lexsort((ids, -similarities)))
