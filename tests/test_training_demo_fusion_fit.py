"""What the demo models are calibrated on, and how the two readers are weighed."""

import math
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from app.model.vocabulary import KINDS, KINDS_OF_VERSION
from app.retrieval.attribute_probs import by_kinds, joint_probs
from app.retrieval.calibration import clip_log_odds, log_odds, sigmoid
from tests.tiny_pool import tiny_pool
from training.calibration.by_kind import (
    CHANCE,
    FALSE_ALARMS,
    HOPELESS,
    SHOWN,
    Pairs,
    average_precision,
    fit_kind,
    least_alarming,
    worth_asking,
)
from training.calibration.fit import OneSided, fit
from training.demo import fusion_fit
from training.demo.fusion_fit import (
    PLANNED,
    READ_FIRST,
    TRIAL,
    WORTHWHILE,
    FitInTime,
    fit_affinity,
    fit_fusion_weights,
    readable,
)
from training.demo.searches import MAKES, VIEWS, searches, split_pool


@pytest.fixture(scope="module")
def pool():
    return tiny_pool()


def read_by(rng, visible, kinds_read):
    """A reader's logits for each kind: the truth shines through in some kinds, the others are noise."""
    found = {}
    for place, (kind, values) in enumerate(KINDS.items()):
        found[kind] = rng.normal(0, 1, (len(values), len(visible)))
        if kind in kinds_read:
            found[kind][visible[:, place], np.arange(len(visible))] += 2
    return found


def test_readers_are_trusted_where_they_are_right():
    rng = np.random.default_rng(0)
    visible = np.stack([rng.integers(0, len(values), 3000) for values in KINDS.values()], 1)
    kinds = list(KINDS)
    clip = read_by(rng, visible, kinds[:10])
    model = read_by(rng, visible, kinds[5:15])
    cosines = {kind: logits / 30 for kind, logits in clip.items()}
    shares = [np.exp(logits) / np.exp(logits).sum(0) for logits in model.values()]
    rows = np.concatenate(shares).T
    visible[:500] = -1  # does not show: no matter what it would be
    found = fit_fusion_weights(cosines.__getitem__, rows, visible)
    assert all(clip >= 0 and model >= 0 for clip, model in found.values())
    for place, kind in enumerate(kinds):
        first, second = found[kind]
        assert (first > 15) == (place < 10), kind
        assert (second > 0.5) == (5 <= place < 15), kind
    by_kind = by_kinds(rows)
    truth, seen = visible[500:], np.arange(500, 3000)
    for place, kind in enumerate(kinds[5:10], 5):

        def right(logits, place=place):
            return (logits[:, seen].argmax(0) == truth[:, place]).mean()

        both = joint_probs(cosines[kind], by_kind[kind], found[kind])
        assert right(both) > max(right(clip[kind]), right(by_kind[kind])) + 0.02


def test_the_second_vocabulary_has_its_own_kinds_weighed():
    kinds = KINDS_OF_VERSION[2]
    visible = np.zeros((4, len(kinds)), int)
    rows = np.concatenate([np.full((4, len(v)), 1 / len(v)) for v in kinds.values()], 1)
    found = fit_fusion_weights(lambda kind: np.eye(len(kinds[kind]), 4), rows, visible, kinds)
    assert list(found) == list(kinds)


class Clock:
    """Time that goes by only where work is done. start, each: seconds that a fit takes, and each of its searches."""

    def __init__(self, start, each):
        self.now, self.start, self.each, self.asked = 0.0, start, each, []

    def monotonic(self):
        return self.now

    def fit_to(self, count):
        self.now += self.start + self.each * count
        self.asked.append(count)
        return count


def fitted_in(clock, ends, most, kinds=4):
    in_time = FitInTime(ends, kinds)
    with mock.patch.object(fusion_fit, "time", clock):
        return [in_time.fit(clock.fit_to, most) for _ in range(kinds)]


@given(start=st.floats(0, 5), each=st.floats(1e-4, 1), ends=st.floats(1, 100), most=st.integers(2, 400))
def test_kinds_of_query_are_fitted_until_the_time_is_over(start, each, ends, most):
    clock = Clock(start, each)
    found = fitted_in(clock, ends, most)
    first = start + each * min(TRIAL, most)  # what it takes is not known before it is done
    assert clock.now <= max(ends, first) + 1e-6
    assert isinstance(found[0], int) and all(count <= most for count in clock.asked)
    if ends * PLANNED > 4 * first * (1 + most / TRIAL):
        # A few more than are tried first are not worth a second fit.
        assert found == [TRIAL if TRIAL < most < WORTHWHILE * TRIAL else most] * 4


@pytest.mark.parametrize("left, families", [(1000, 12), (30, 10), (3, 2), (-5, 2)])
def test_as_many_people_are_read_as_there_is_time_for(pool, left, families):
    """A tenth of a second a crop; the first ones take longer. Families are twelve crops each."""
    clock, read = Clock(0, 0.1), []

    class Reader:
        def encode_images(self, images):
            clock.now += 5 if not read else 0

        def attribute_probs(self, pictures):
            read.extend(pictures)
            clock.fit_to(len(pictures))

    ends = 5 + 2 * READ_FIRST * 0.1 + left
    with mock.patch.object(fusion_fit, "time", clock):
        kept = pool.head(readable(Reader(), Reader(), pool, ends))
    assert len(kept) == 12 * families and len(np.unique(kept.family)) == families
    assert (kept.visible == pool.visible[: len(kept)]).all() and kept.kinds == pool.kinds
    small = pool.head(24)
    assert readable(None, None, small, 0.0) == len(small) == 24


def test_a_kind_that_there_is_no_time_for_says_so():
    assert fitted_in(Clock(2, 1), 12, 200) == [TRIAL] + ["there was no time left for them"] * 3
    assert fitted_in(Clock(0, 0.01), 12, 0) == ["nobody here can be searched for so"] * 4


def test_what_a_few_searches_cannot_tell_more_of_them_may():
    clock = Clock(0, 0.01)

    def one_sided(count):
        if clock.fit_to(count) == TRIAL:
            raise OneSided("all are right")
        return count

    with mock.patch.object(fusion_fit, "time", clock):
        assert FitInTime(10, 1).fit(one_sided, 100) == 100
        assert FitInTime(clock.now + 10, 1).fit(one_sided, TRIAL) == "all are right"


def test_a_kind_that_never_shows_is_left_to_clip():
    visible = np.full((4, len(KINDS)), -1)
    rows = np.concatenate([np.full((4, len(v)), 1 / len(v)) for v in KINDS.values()], 1)
    found = fit_fusion_weights(lambda kind: np.zeros((len(KINDS[kind]), 4)), rows, visible)
    assert set(found.values()) == {(30.0, 0.0)}


@pytest.mark.parametrize("told", ["cosines", "alike"])
def test_kin_are_told_by_what_tells_them(told):
    """Outfits of three crops each, told apart by one of the two figures; the other is noise."""
    rng = np.random.default_rng(0)
    clothes = np.repeat(np.arange(40), 3)
    same = clothes[:, None] == clothes[None]
    figures = {name: rng.normal(0, 0.1, same.shape) for name in ("cosines", "alike")}
    figures[told] += 0.6 * same
    weights = fit_affinity(**figures, clothes=clothes, nearest=64)
    weight, other = (
        (weights.cosine, weights.attributes) if told == "cosines" else (weights.attributes, weights.cosine)
    )
    assert weight > 10 > 2 > other
    chance = sigmoid(
        weights.cosine * figures["cosines"] + weights.attributes * figures["alike"] + weights.bias
    )
    others = ~np.eye(len(clothes), dtype=bool)
    assert chance[same & others].mean() > 0.8 > 0.05 > chance[~same].mean()
    alone = fit_affinity(
        np.zeros(()), figures["alike"], clothes, 500
    )  # a gallery smaller than what is asked for
    assert alone.cosine == 0


def test_half_of_a_gallerys_families_have_look_alikes_in_it(pool):
    gallery, away = split_pool(pool, 0.5)
    assert not set(pool.family[gallery]) & set(pool.family[away])
    assert not set(pool.person[gallery]) & set(pool.person[away])
    families = np.unique(pool.family)
    inside = np.unique(pool.family[gallery])
    assert inside.tolist() == families[: len(families) // 2].tolist()
    for place, family in enumerate(inside):
        everybody = np.unique(pool.person[pool.family == family])
        there = np.unique(pool.person[gallery][pool.family[gallery] == family])
        assert there.tolist() == (everybody.tolist() if place % 2 == 0 else everybody[:1].tolist())
    for clothes in np.unique(pool.clothes[gallery]):
        assert 1 <= (pool.clothes[gallery] == clothes).sum() <= VIEWS


@pytest.mark.parametrize("kind", MAKES)
def test_whoever_is_searched_for_is_there_or_is_not(pool, kind):
    gallery, away = split_pool(pool, 0.5)
    rng = np.random.default_rng(0)
    present = searches(MAKES[kind], pool, gallery, gallery, rng, 8)
    absent = searches(MAKES[kind], pool, away, gallery, rng, 8)
    assert present and all(search.same.any() for search in present)
    assert not any(search.same.any() for search in absent)
    for search in present:
        right = search.ap(search.same.astype(float))
        assert right == 1 and search.ap(-search.same.astype(float)) < 1


@pytest.mark.parametrize("kind", MAKES)
def test_each_crop_is_asked_about_again_only_in_other_words(pool, kind):
    gallery, _ = split_pool(pool, 0.5)
    made = searches(MAKES[kind], pool, gallery, gallery, np.random.default_rng(0), 10**6)
    asked = [(s.reference, frozenset(s.wanted), s.same.tobytes()) for s in made]
    assert len(set(asked)) == len(asked)
    if kind in ("image", "image-other-clothes"):
        assert len({s.reference for s in made}) == len(made)
    else:
        assert len(made) > len(gallery)


def test_thousands_of_searches_have_a_threshold_too():
    best = np.linspace(0, 1, 4000)
    assert int((best < least_alarming(best)).sum()) == scipy.stats.binom.ppf(CHANCE, 4000, FALSE_ALARMS) - 1


@pytest.mark.parametrize("count", [1, 20, 59, 150, 400])
def test_few_enough_are_alarmed_falsely(count):
    best = np.random.default_rng(count).permutation(np.linspace(0.1, 0.9, count))
    below = int((best < least_alarming(best)).sum())

    def chance(most):
        """Of so few alarms or fewer, where FALSE_ALARMS of the searches are."""
        return sum(
            math.comb(count, k) * FALSE_ALARMS**k * (1 - FALSE_ALARMS) ** (count - k) for k in range(most + 1)
        )

    assert below == 0 or chance(below) <= CHANCE
    assert chance(below + 1) > CHANCE or below == count - 1
    assert below / count <= FALSE_ALARMS


def pairs(rng, there, trust):
    """300 searches over 64 candidates, three right ones where somebody is there. Each figure is the truth times
    its trust, with noise."""
    same = np.zeros((300, 64), bool)
    if there:
        same[:, rng.choice(64, 3, replace=False)] = True

    def figure(name):
        return trust[name] * same + rng.normal(0, 1, same.shape)

    return Pairs(
        yes_logits=figure("yes_logits"),
        attribute_scores=figure("attribute_scores"),
        similarities=figure("similarities") / 10,
        fused=figure("fused") / 10,
        rarity=np.zeros(same.shape),
        same=same,
        unsure=np.zeros_like(same),
        true_similarities=np.linspace(-1, 1, 100),
        mAP={"clip_gallery_mAP": 0.5},
    )


def test_who_is_told_of_in_many_words_is_not_said_to_be_absent_for_it():
    """Each attribute told takes as much off every crop's similarity, the right ones' too."""
    rng = np.random.default_rng(3)
    trust = {"yes_logits": 0.0, "attribute_scores": 0.0, "similarities": 3.0, "fused": 4.0}
    there, gone = (pairs(rng, present, trust) for present in (True, False))
    told = rng.integers(1, 7, 300)[:, None]
    there, gone = (
        replace(one, fused=one.fused - 0.3 * told, rarity=2.0 * told + np.zeros(one.fused.shape))
        for one in (there, gone)
    )
    found, figures = fit_kind(there, gone, (0.5, 0.0))
    assert found.rarity == pytest.approx(found.similarity * 0.15, rel=0.1)
    blind, without = fit_kind(*(replace(one, rarity=0 * one.rarity) for one in (there, gone)), (0.5, 0.0))
    assert blind.rarity == 0
    assert figures["absent_found"] > without["absent_found"] + 0.2


@pytest.mark.parametrize(
    "trust",
    [
        {"yes_logits": 0.0, "attribute_scores": 0.0, "similarities": 2.0, "fused": 3.0},
        {"yes_logits": 2.5, "attribute_scores": 0.0, "similarities": 2.0, "fused": 2.5},
        {"yes_logits": 1.0, "attribute_scores": 2.0, "similarities": 2.0, "fused": 2.5},
    ],
)
def test_what_helps_gets_weight_and_the_first_page_is_calibrated(trust):
    rng = np.random.default_rng(5)
    there, gone, more = (pairs(rng, present, trust) for present in (True, False, True))
    found, figures = fit_kind(there, gone, (0.4, 0.8))
    assert (found.text_weight, found.attribute_share) == (0.4, 0.8)
    assert (found.attribute_score > 0.1) == (trust["attribute_scores"] > 0)
    assert (found.yes_logit > 0) == (trust["yes_logits"] > 0)
    assert found.similarity > 0 and found.clip_similarity > 0
    assert figures["fused_mAP"] >= max(figures["readers_mAP"], figures["model_mAP"]) - 0.01
    for name, scores in (("pairwise", there.yes_logits), ("attribute_score", there.attribute_scores)):
        alone = np.nanmean(average_precision(scores, there.same, there.unsure))
        assert figures[f"{name}_mAP"] == pytest.approx(alone)
    assert figures["readers_mAP"] > figures["clip_mAP"]
    assert 0 < figures["absent_found"] <= 1 and figures["false_alarms"] <= FALSE_ALARMS
    chances = sigmoid(
        log_odds(found, more.yes_logits + found.attribute_score * more.attribute_scores, more.fused)
    )
    first = np.argsort(-chances, axis=1)[:, :SHOWN]
    shown, right = (np.take_along_axis(a, first, 1) for a in (chances, more.same))
    assert shown.mean() == pytest.approx(right.mean(), abs=0.02)
    for low, high in ((0, 0.2), (0.2, 0.6), (0.6, 1)):
        inside = (shown >= low) & (shown < high)
        assert shown[inside].mean() == pytest.approx(right[inside].mean(), abs=0.1)


def test_no_crop_is_left_unasked_that_clip_gives_a_chance():
    rng = np.random.default_rng(1)
    same = rng.random(5000) < 0.1
    for gap in (0.1, 0.6):  # the kinds overlap, or lie far apart
        similarities = gap * same + rng.normal(0, 0.1, 5000)
        by_clip = fit(np.zeros(5000), similarities, same, parts=(0.0, 1.0))
        tau = worth_asking(by_clip, similarities[same])
        assert (similarities[same] > tau).mean() >= 0.99
        unasked = sigmoid(clip_log_odds(by_clip, similarities[similarities <= tau]))
        assert unasked.max(initial=0) <= HOPELESS + 1e-6
