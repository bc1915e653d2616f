"""Prefilter and rerank against a plain reading of the rules, over many inputs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.manifest import Calibration
from app.retrieval.prefilter import FEW, prefilter
from app.retrieval.rerank import rerank

CALIBRATION = Calibration(
    word=0.7, similarity=5, bias=-2, clip_similarity=6, clip_bias=-3, tau=0.2, threshold=0.4
)

# Few distinct values, so that ties are common.
similarities_of = st.lists(st.sampled_from([-0.5, 0.0, 0.1, 0.3, 0.3, 0.7, 1.0]), min_size=0, max_size=40)


@settings(max_examples=150, deadline=None)
@given(similarities_of, st.sampled_from([-1.0, 0.0, 0.3, 0.9]), st.integers(1, 50), st.randoms())
def test_prefilter_by_the_rules(values, tau, k, random):
    ids = sorted(random.sample(range(1000), len(values)))
    found = prefilter(np.array(ids, np.int64), np.array(values, np.float32), tau=tau, k=k)
    expected = sorted(zip(values, ids, strict=True), key=lambda pair: (-pair[0], pair[1]))
    assert found.ids.tolist() == [image_id for _, image_id in expected]
    above = sum(np.float32(value) > tau for value in values)
    assert found.asked == min(above or FEW, k, len(values))
    assert found.passed == (above > 0)


@settings(max_examples=150, deadline=None)
@given(similarities_of, st.data(), st.booleans(), st.integers(1, 60))
def test_rerank_by_the_rules(values, data, calibrated, limit):
    ids = np.arange(len(values), dtype=np.int64)
    found = prefilter(ids, np.array(values, np.float32), tau=-2, k=10)
    words = np.array(
        data.draw(
            st.lists(
                st.sampled_from([math.nan, -3.0, 0.0, 0.0, 2.5]),
                min_size=found.asked,
                max_size=found.asked,
            )
        )
    )
    calibration = CALIBRATION if calibrated else None
    near = data.draw(
        st.none() | st.lists(st.sampled_from([0.2, 0.9]), min_size=len(words), max_size=len(words))
    )
    ranked = rerank(found, words, calibration, limit=limit, near=None if near is None else np.array(near))
    rows = []  # (0 scored / 1 rest, -log-odds, place in CLIP's order, id)
    for place, image_id in enumerate(found.ids.tolist()):
        word = words[place] if place < found.asked else math.nan
        if math.isnan(word):
            rows.append((1, 0.0, place, image_id))
            continue
        similarity = near[place] if near else float(found.similarities[place])
        odds = 0.7 * word + 5 * similarity - 2 if calibrated else word
        rows.append((0, -odds, place, image_id))
    expected = [image_id for *_, image_id in sorted(rows)][:limit]
    assert [candidate.image_id for candidate in ranked.candidates] == expected
    assert ranked.scored == int(np.isfinite(words).sum())
    chances = [candidate.probability for candidate in ranked.candidates]
    assert chances == sorted(chances, reverse=True)
    assert all(0 <= chance <= 1 for chance in chances)
    for candidate in ranked.candidates:
        place = found.ids.tolist().index(candidate.image_id)
        asked = place < found.asked and not math.isnan(words[place])
        assert (candidate.word is not None) == asked
        if asked:
            assert candidate.word == pytest.approx(1 / (1 + math.exp(-words[place])))
    if calibrated:
        assert [c.weak for c in ranked.candidates] == [c.probability < 0.4 for c in ranked.candidates]
        assert ranked.nobody_fits == (not chances or chances[0] < 0.4)


def test_nothing_above_tau_leaves_weak_candidates_and_nobody_who_fits():
    found = prefilter(np.arange(30), np.full(30, 0.1, np.float32), tau=0.5, k=64)
    ranked = rerank(found, np.full(FEW, 9.0), CALIBRATION, limit=100)
    assert found.asked == FEW
    assert ranked.nobody_fits
    assert all(candidate.weak for candidate in ranked.candidates)
    assert [candidate.image_id for candidate in ranked.candidates] == list(range(30))


def test_clip_alone_believes_nothing():
    found = prefilter(np.arange(3), np.array([0.1, 0.9, -0.2], np.float32), tau=-1, k=64)
    ranked = rerank(found, np.full(3, np.nan), None, limit=100)
    assert [c.image_id for c in ranked.candidates] == [1, 0, 2]
    assert not ranked.nobody_fits
    assert not any(c.weak for c in ranked.candidates)
    assert rerank(
        prefilter(np.zeros(0, int), np.zeros(0), tau=0, k=4), np.zeros(0), None, limit=5
    ).nobody_fits


def test_a_candidate_names_its_likely_kin_among_those_that_were_read():
    found = prefilter(
        np.array([10, 11, 12, 13], np.int64), np.array([0.9, 0.8, 0.7, 0.6], np.float32), tau=-1, k=3
    )
    kinship = np.array([[1, 0.9, 0.5], [0.9, 1, 0.4], [0.5, 0.4, 1]])
    ranked = rerank(found, np.zeros(3), CALIBRATION, limit=4, kinship=kinship)
    assert {c.image_id: c.kin for c in ranked.candidates} == {10: (11, 12), 11: (10,), 12: (10,), 13: ()}
    assert all(not c.kin for c in rerank(found, np.zeros(3), CALIBRATION, limit=4).candidates)


def test_who_looks_like_somebody_rejected_falls_back():
    found = prefilter(np.array([10, 11, 12], np.int64), np.array([0.9, 0.8, 0.7], np.float32), tau=-1, k=3)
    plain = rerank(found, np.zeros(3), CALIBRATION, limit=3)
    ranked = rerank(found, np.zeros(3), CALIBRATION, limit=3, apart=np.array([-3.0, 0.0, 0.0]))
    assert [c.image_id for c in plain.candidates] == [10, 11, 12]
    assert [c.image_id for c in ranked.candidates] == [11, 12, 10]
    odds = 5 * 0.9 - 2 - 3
    assert ranked.candidates[2].probability == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-6)
