"""Protocols against expectations worked out by hand: junk, trials, merged cameras, clothes, captions, attributes."""

from pathlib import Path
from random import Random

import numpy as np
import pytest

from training.datasets.record import DISTRACTOR, JUNK, DataSet, Record
from training.evaluation.metrics import Metrics, order_of
from training.evaluation.protocols import (
    ProtocolError,
    attribute_based,
    cross_camera,
    drawn_gallery,
    fit,
    image_plus_text,
    ltcc,
    prcc,
    regdb,
    sysu_mm01,
    text_to_image,
)
from training.evaluation.trials import ranks_in


def record(name, person, camera="", **more):
    return Record(Path(name), person, camera, **more)


def data_set(setting="standard", **splits):
    named = {name.replace("_", "-"): tuple(records) for name, records in splits.items()}
    return DataSet("small", setting, {"train": (), **named})


def scored(trial, **by_query):
    """Scores in which each query's crops come in the order of the file names given for it; others after them."""
    scores = np.zeros((len(trial.queries), len(trial.gallery)), np.float32)
    for row, subject in enumerate(trial.subjects):
        wanted = by_query[subject.image.stem].split()
        for g, crop in enumerate(trial.gallery):
            if crop.image.stem in wanted:
                scores[row, g] = len(wanted) - wanted.index(crop.image.stem)
    return scores


def figures(trial, setting, scores):
    return ranks_in(trial, named(trial, setting), map(order_of, scores)).metrics()


def named(trial, name):
    return next(setting for setting in trial.settings if setting.name == name)


def test_cross_camera_by_hand():
    queries = [record("q1", "1", "1"), record("q2", "2", "1"), record("q3", "3", "2")]
    gallery = [
        record("a1", "1", "1"),  # the query's own camera: junk for q1
        record("a2", "1", "2"),
        record("a3", "1", "3"),
        record("b1", "2", "2"),
        record("c1", "3", "2"),  # the only crop of 3, by the query's own camera
        record("junk", JUNK, "2"),
        record("other", DISTRACTOR, "1"),
    ]
    (trial,) = cross_camera(data_set(query=queries, gallery=gallery))
    assert [crop.image.name for crop in trial.gallery] == ["a1", "a2", "a3", "b1", "c1", "other"]
    assert [query.image for query in trial.queries] == [query.image for query in queries]
    found = figures(
        trial,
        "standard",
        scored(
            trial,
            q1="a1 other a2 b1 a3 c1",  # without a1: wrong, right, wrong, right -> (1/2 + 2/4) / 2
            q2="b1 other a1",  # 1
            q3="c1 a1 a2",  # no true match: left out
        ),
    )
    assert found == Metrics(
        mAP=pytest.approx((1 / 2 + 1) / 2),
        rank1=1 / 2,
        rank5=1.0,
        rank10=1.0,
        mINP=pytest.approx((2 / 4 + 1) / 2),
        queries=3,
        queries_without_match=1,
    )


def test_without_cameras_nothing_is_junk():
    (trial,) = cross_camera(data_set(query=[record("q", "1")], gallery=[record("b", "2"), record("a", "1")]))
    assert figures(trial, "standard", scored(trial, q="b a")).mAP == 1 / 2


def test_ltcc_by_hand():
    queries = [record("q1", "1", "1", clothes="1"), record("q2", "2", "1", clothes="1")]
    gallery = [
        record("same_camera", "1", "1", clothes="2"),
        record("same_clothes", "1", "2", clothes="1"),
        record("changed", "1", "2", clothes="2"),
        record("wrong", "3", "2", clothes="1"),
        record("never_changes", "2", "2", clothes="1"),
    ]
    (trial,) = ltcc(data_set("clothes-changing", query=queries, gallery=gallery))
    scores = scored(
        trial,
        q1="same_camera same_clothes wrong changed never_changes",
        q2="wrong never_changes changed same_camera same_clothes",
    )
    changing, standard = figures(trial, "clothes-changing", scores), figures(trial, "standard", scores)
    # q1: wrong, then changed. q2 wears one thing only: no match. All else of person 1 is junk.
    assert (changing.mAP, changing.rank1, changing.queries_without_match) == (1 / 2, 0.0, 1)
    # q1: right (the same clothes), wrong, right: (1 + 2/3) / 2. q2: second.
    assert standard.mAP == pytest.approx(((1 + 2 / 3) / 2 + 1 / 2) / 2)
    assert (standard.rank1, standard.queries_without_match) == (1 / 2, 0)
    assert all(query.other_clothes for query in trial.queries)


def test_prcc_by_hand():
    gallery = [record(f"A{p}{n}", p, "A", clothes="1") for p in "12" for n in "xyz"]
    same = [record("B1", "1", "B", clothes="1")]
    changed = [record("C1", "1", "C", clothes="2"), record("C2", "2", "C", clothes="2")]
    trials = prcc(data_set(gallery=gallery, query_same=same, query_changed=changed), trials=10)
    assert len(trials) == 10
    assert all([crop.person for crop in trial.gallery] == ["1", "2"] for trial in trials)  # single shot
    assert len({tuple(c.image.name for c in trial.gallery) for trial in trials}) > 1  # drawn anew
    again = prcc(data_set(gallery=gallery, query_same=same, query_changed=changed), trials=10)
    assert [s.gallery for s in again] == [s.gallery for s in trials]
    scores = np.array([[0, 1], [0, 1], [1, 0]])  # C1 finds person 2, C2 person 2, B1 person 1
    assert figures(trials[0], "clothes-changing", scores).rank1 == 1 / 2
    assert figures(trials[0], "same-clothes", scores) == Metrics(1, 1, 1, 1, 1, 1, 0)
    assert [query.other_clothes for query in trials[0].queries] == [True, True, False]


def sysu(people="12"):
    return [
        record(f"cam{camera}_{person}_{shot:02d}", person, camera, infrared=camera in "36")
        for person in people
        for camera in "123456"
        for shot in range(12)
    ]


def test_sysu_draws_what_the_usual_evaluation_draws():
    test = sysu()
    trials = sysu_mm01(data_set(test=test), trials=2)
    assert [trial.name for trial in trials][:3] == ["all-single-01", "all-single-02", "indoor-single-01"]
    sizes = {trial.name[:-3]: len(trial.gallery) for trial in trials}
    assert sizes == {"all-single": 8, "indoor-single": 4, "all-multi": 80, "indoor-multi": 40}
    assert all(len(trial.subjects) == 2 * 2 * 12 for trial in trials)
    rng = Random(1)  # of the second trial: people, then cameras, in order
    expected = [rng.choice([f"cam{c}_{p}_{s:02d}" for s in range(12)]) for p in "12" for c in "1245"]
    assert [crop.image.name for crop in trials[1].gallery] == expected


def test_sysu_people_are_in_order_of_their_numbers():
    assert [c.person for c in drawn_gallery(sysu(["10", "9"]), ["1"], 1, Random(0))] == ["9", "10"]


def test_sysu_cameras_2_and_3_are_one_place_and_identities_are_counted():
    queries = [record("by3", "1", "3", infrared=True), record("by6", "1", "6", infrared=True)]
    crops = [record(f"{person}_{camera}", person, camera) for person in "123" for camera in "1245"]
    (trial,) = sysu_mm01(data_set(test=[*queries, *crops]), trials=1, settings=["all-single"])
    order = "2_2 2_1 2_4 3_1 1_2 1_1 3_4"
    found = ranks_in(trial, trial.settings[0], map(order_of, scored(trial, by3=order, by6=order)))
    # by3: all of camera 2 is out: 2_1 2_4 3_1 1_1 3_4, then 1_4 and 1_5 before 2_5 and 3_5 (gallery order).
    assert found.ap[0] == pytest.approx((1 / 4 + 2 / 6 + 3 / 7) / 3)
    # by6: 2_2 2_1 2_4 3_1 1_2 1_1 3_4 1_4 1_5
    assert found.ap[1] == pytest.approx((1 / 5 + 2 / 6 + 3 / 8 + 4 / 9) / 4)
    assert found.first.tolist() == [3, 3]  # after persons 2 and 3
    assert found.matches.tolist() == [3, 4]


def test_regdb_goes_both_ways_in_each_trial():
    visible = [record("v1", "1", "visible"), record("v2", "2", "visible")]
    thermal = [record("t1", "1", "thermal", infrared=True), record("t2", "2", "thermal", infrared=True)]
    data = data_set(test_visible=visible, test_thermal=thermal)
    trials = regdb([data] * 10)
    assert len(trials) == 20 and len({trial.name for trial in trials}) == 20
    there, back = trials[:2]
    assert figures(there, "visible-to-thermal", scored(there, v1="t2 t1", v2="t2 t1")).mAP == (1 / 2 + 1) / 2
    assert figures(back, "thermal-to-visible", scored(back, t1="v1 v2", t2="v2 v1")).rank1 == 1


def test_text_to_image_by_hand():
    test = [
        record("a", "1", "1", captions=("first", "second")),
        record("b", "1", "1", captions=("third",)),
        record("c", "2", "1", captions=("fourth",)),
    ]
    (trial,) = text_to_image(data_set("text-to-image", test=test))
    assert [query.text for query in trial.queries] == ["first", "second", "third", "fourth"]
    assert all(query.image is None for query in trial.queries) and len(trial.gallery) == 3
    scores = np.array([[3, 2, 1], [1, 3, 2], [3, 1, 2], [1, 2, 3]])
    # Same camera is no junk here, and the captioned picture itself is right: 1, (1 + 2/3)/2, (1 + 2/3)/2, 1.
    assert figures(trial, "text-to-image", scores).mAP == pytest.approx((1 + 5 / 6 + 5 / 6 + 1) / 4)
    with pytest.raises(ProtocolError, match="no captions"):
        text_to_image(data_set(test=[record("a", "1")]))


def test_attributes_fit_or_are_unsure():
    gallery = [
        record("a", "1", attributes={"upper": "coat", "upper_colour": "red"}),
        record("b", "2", attributes={"upper": "coat", "upper_colour": "blue"}),
        record("c", "3", attributes={"upper": "coat"}),
        record("d", "4", attributes={"upper_colour": "blue"}),
    ]
    right, unsure = fit({"upper": "coat", "upper_colour": "red"}, gallery)
    assert right.tolist() == [True, False, False, False]
    assert unsure.tolist() == [False, False, True, False]


def test_attribute_based_samples_and_asks_each_thing_once():
    colours = ["red", "blue", "green"]
    test = [record(f"{n:03d}", str(n), attributes={"upper_colour": colours[n % 3]}) for n in range(60)]
    (trial,) = attribute_based(data_set(test=test), seed=1, sample=30)
    assert len(trial.gallery) == 30
    assert sorted(query.wanted[0].value for query in trial.queries) == sorted(colours)
    matches, junk = trial.settings[0].relevance.masks()
    for query, row in zip(trial.queries, matches, strict=True):
        assert row.tolist() == [c.attributes["upper_colour"] == query.wanted[0].value for c in trial.gallery]
    assert not junk.any()
    assert attribute_based(data_set(test=test), seed=2, sample=30)[0].gallery != trial.gallery


def test_image_plus_text_by_hand():
    query = record("q", "1", "1", clothes="1", captions=("not this one",))
    gallery = [
        record("own_camera", "1", "1", clothes="2", captions=("nor this",)),
        record("same_clothes", "1", "2", clothes="1", captions=("nor that",)),
        record("told", "1", "3", clothes="2", captions=("in a green coat",)),
        record("right", "1", "4", clothes="2"),
        record("wrong", "2", "3", clothes="1", captions=("someone",)),
    ]
    (trial,) = image_plus_text(data_set(query=[query, record("nobody", "9", "1")], gallery=gallery))
    both, picture, words = trial.queries
    assert (both.image, both.text) == (query.image, "in a green coat")
    assert (picture.image, picture.text) == (query.image, "")
    assert (words.image, words.text) == (None, "in a green coat")
    assert [setting.name for setting in trial.settings] == ["image-plus-text", "image-only", "text-only"]
    scores = np.array([[5, 4, 3, 2, 1], [1, 1, 9, 2, 5], [1, 9, 1, 3, 5]])
    # Right are same_clothes and right; own_camera and told are junk.
    assert figures(trial, "image-plus-text", scores).mAP == 1
    assert figures(trial, "image-only", scores).mAP == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert figures(trial, "text-only", scores).mAP == pytest.approx((1 + 2 / 3) / 2)


def test_image_plus_text_leaves_the_query_s_own_picture_out():
    test = [record(name, "1", captions=(name,)) for name in "ab"] + [record("c", "1"), record("z", "2")]
    (trial,) = image_plus_text(data_set(test=test))
    matches, junk = trial.settings[0].relevance.masks()
    assert [query.image.name for query in trial.subjects[:3]] == ["a", "b", "c"]
    assert junk[0].tolist() == [True, True, False, False]  # itself, and b whose caption was told
    assert matches[0].tolist() == [False, False, True, False]


def test_head_keeps_truth_and_queries_together():
    queries = [record(f"q{n}", str(n), "1", clothes="1") for n in range(9)]
    gallery = [record(f"g{n}", str(n), "2", clothes="2") for n in range(9)]
    (trial,) = ltcc(data_set("clothes-changing", query=queries, gallery=gallery))
    few = trial.head(4)
    assert len(few.queries) == len(few.subjects) == 4 and len(few.gallery) == 9
    right = np.eye(9)[[int(query.person) for query in few.subjects]]
    for setting in ("standard", "clothes-changing"):
        assert figures(few, setting, right) == Metrics(1, 1, 1, 1, 1, 4, 0)


def test_a_part_of_the_queries_may_have_been_asked():
    queries = [record(f"q{n}", str(n), "1") for n in range(5)]
    (trial,) = cross_camera(data_set(query=queries, gallery=[record(f"g{n}", str(n), "2") for n in range(5)]))
    asked = np.array([1, 3])
    found = ranks_in(trial, trial.settings[0], map(order_of, np.eye(5)[asked]), asked)
    assert found.metrics() == Metrics(1, 1, 1, 1, 1, 2, 0)


def test_what_is_missing_is_named():
    with pytest.raises(ProtocolError, match="small has no query split to evaluate; it has train"):
        cross_camera(data_set())
    with pytest.raises(ProtocolError, match="no attributes"):
        attribute_based(data_set(test=[record("a", "1")]))
    with pytest.raises(ProtocolError, match="no words to add"):
        image_plus_text(data_set(test=[record("a", "1")]))
