"""Open set and calibration: figures against slow oracles, the protocol against a plain reading of it."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.checkpoint import Calibration
from training.__main__ import main
from training.evaluation.calibration_error import reliability, reliability_svg
from training.evaluation.hits import QueryHits
from training.evaluation.open_set import (
    KINDS,
    SHOWN,
    answer,
    auroc,
    false_alarms_at,
    figures_of_kind,
    open_world,
)
from training.evaluation.results import Result
from training.synthetic.people import split_of

confidences_drawn = st.lists(st.sampled_from([0.0, 0.1, 0.1001, 0.5, 0.9, 1.0]), min_size=1, max_size=30)


@settings(max_examples=200)
@given(confidences_drawn, confidences_drawn)
def test_auroc_and_false_alarms_by_counting(present, absent):
    wins = [1.0 if p > a else 0.5 if p == a else 0.0 for p in present for a in absent]
    assert auroc(np.array(present), np.array(absent)) == pytest.approx(np.mean(wins))
    # Of all thresholds that tell 90 % of the absent ones so, the one with the fewest false alarms.
    cuts = [0.0, *sorted({*present, *absent}), 2.0]
    enough = [cut for cut in cuts if sum(a < cut for a in absent) >= 0.9 * len(absent) - 1e-9]
    least = min(sum(p < cut for p in present) / len(present) for cut in enough)
    assert false_alarms_at(np.array(present), np.array(absent)) == pytest.approx(least)


def test_one_sided_searches_are_refused():
    for one, other in (([], [0.5]), ([0.5], [])):
        with pytest.raises(ValueError, match="is there and searches"):
            auroc(np.array(one), np.array(other))
        with pytest.raises(ValueError, match="is there and searches"):
            false_alarms_at(np.array(one), np.array(other))


@settings(max_examples=150)
@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60), st.integers(1, 20))
def test_calibration_error_by_bins(pairs, bins):
    confidences = np.array([c for c, _ in pairs])
    right = np.array([r for _, r in pairs])
    found = reliability(confidences, right, bins)
    total = 0.0
    for number in range(bins):
        inside = [(c, r) for c, r in pairs if min(int(c * bins), bins - 1) == number]
        assert found.count[number] == len(inside)
        if inside:
            gap = abs(np.mean([c for c, _ in inside]) - np.mean([r for _, r in inside]))
            total += len(inside) / len(pairs) * gap
    assert found.ece == pytest.approx(total)
    assert found.brier == pytest.approx(np.mean([(c - r) ** 2 for c, r in pairs]))
    ElementTree.fromstring(reliability_svg({"image": found, "text": found}))
    assert None not in found.to_json()["count"]


def test_calibration_of_what_is_known():
    rng = np.random.default_rng(1)
    confidences = rng.random(20_000)
    honest = rng.random(20_000) < confidences
    assert reliability(confidences, honest).ece < 0.02
    boastful = rng.random(20_000) < confidences / 2
    assert reliability(confidences, boastful).ece == pytest.approx(0.25, abs=0.02)
    with pytest.raises(ValueError, match="between 0 and 1"):
        reliability(np.array([1.2]), np.array([True]))
    with pytest.raises(ValueError, match="compared"):
        reliability(np.array([]), np.array([]))


def test_who_is_there_and_who_is_not():
    world = open_world(5, 8)
    assert {split_of(crop.shot.identity) for crop in world.gallery} == {"test"}
    inside = {crop.person_id for crop in world.gallery}
    assert len(inside) == 8
    assert len(world.gallery) == 8 * 3
    assert set(world.kinds) == set(KINDS)
    for number, (query, kind) in enumerate(zip(world.queries, world.kinds, strict=True)):
        rows = zip(world.gallery, world.right[number], world.junk[number], strict=True)
        for crop, right, junk in rows:
            said = {a.kind: a.value for a in query.wanted}
            true = all(crop.attributes.get(k) == v for k, v in said.items())
            if query.image is not None:
                true = true and crop.person_id == query.image.person_id
            shows = all(k in crop.visible for k in said)
            assert right == (true and shows)
            assert junk == (true and not shows)
        assert world.present[number] == world.right[number].any()
        assert not (world.junk[number].any() and not world.present[number])
        if kind == "image":
            assert world.present[number] == (query.image.person_id in inside)
    for kind in KINDS:
        mine = [there for there, k in zip(world.present, world.kinds, strict=True) if k == kind]
        assert 3 < sum(mine) < len(mine) - 3


def test_distractors_are_others_whom_nobody_searches_for():
    alone, crowded = open_world(5, 8), open_world(5, 8, distractors=6)
    assert crowded.queries == alone.queries
    own = len(alone.gallery)
    assert crowded.gallery[:own] == alone.gallery
    others = {crop.person_id for crop in crowded.gallery[own:]}
    assert len(others) == 6
    assert len(crowded.gallery) == own + 6 * 3
    asked_for = {query.image.person_id for query in crowded.queries if query.image is not None}
    assert not others & (asked_for | {crop.person_id for crop in alone.gallery})
    by_picture = np.array([kind != "text" for kind in crowded.kinds])
    assert not crowded.right[by_picture, own:].any()
    assert np.array_equal(crowded.present[by_picture], alone.present[by_picture])


def test_an_answer_is_the_apps():
    calibration = Calibration(
        yes_logit=1, similarity=0, bias=0, clip_similarity=0, clip_bias=-9, tau=0, threshold=0.6
    )

    def found(words, passed=True, rarity=0.0, read=0.0):
        similarities = np.linspace(0.9, 0.1, 20).astype(np.float32)
        return QueryHits(
            np.arange(100, 120),
            similarities,
            len(words),
            np.array(words, float),
            read + np.zeros(len(words)),
            similarities[: len(words)],
            np.full(len(words), np.nan),
            rarity,
            passed,
            False,
            "image",
            np.zeros(4),
        )

    sure = answer(found([0.0, 2.0, -1.0]), calibration)
    assert sure.confidence == pytest.approx(1 / (1 + np.exp(-2)))
    assert not sure.no_match
    assert sure.shown.tolist()[:3] == [1, 0, 2]
    assert len(sure.shown) == len(sure.confidences) == SHOWN
    told = answer(found([0.0, 2.0, -1.0], rarity=4.0), replace(calibration, rarity=0.5))
    assert told.confidence == pytest.approx(1 / (1 + np.exp(-2 - 2)))
    read = answer(found([0.0, 2.0, -1.0], read=np.array([0.0, 0.0, 5.0])), calibration)
    assert read.shown.tolist()[:3] == [2, 1, 0]
    assert read.confidence == pytest.approx(1 / (1 + np.exp(-4)))
    weak = answer(found([0.0, 0.1, -1.0]), calibration)
    assert weak.no_match
    assert 0 < weak.confidence < 0.6
    none = answer(found([5.0], passed=False), calibration)
    assert none.no_match
    assert none.confidence == 0
    figures = figures_of_kind([sure, weak, none], np.array([True, True, False]))
    assert figures["auroc"] == 1
    assert figures["detected"] == 1
    assert figures["false_alarms"] == 0.5
    assert (figures["present"], figures["absent"]) == (2, 1)


@pytest.mark.slow
def test_the_command_end_to_end(tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["evaluate", "--open-set", "--seed", "41", "--identities", "6", "--out", str(out)]) == 0
    result = Result.read(out)
    assert result.kind == "open-set"
    assert set(result.settings) == {*KINDS, "all"}
    assert result.settings["image"]["fused"]["auroc"] > 0.8
    assert 0 <= result.settings["all"]["fused"]["ece"] < 0.4
    assert "| image " in capsys.readouterr().out
    ElementTree.parse(out / "reliability.svg")
    assert main(["evaluate", "--open-set", "--identities", "2"]) == 2
    assert "6 identities" in capsys.readouterr().err
