"""What a checkpoint is calibrated on, against a plain reading of who is right; and how the parts are put together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.checkpoint import KINDS_OF_QUERY, Calibration, CheckpointManifest
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import build_tiny
from training.__main__ import main
from training.calibration.by_kind import PARTS, JudgedPairs, Pairs, clearly_best, cross_fitted, fit_kind
from training.calibration.fit import OneSided
from training.calibration.searches import (
    CalibrationError,
    check,
    halves,
    may_know,
    records_of_data,
    searches,
)
from training.datasets.record import Record

DRAWN = "synthetic:families=1,held_out=14,views=2,outfits=2,infrared_share=0"


@pytest.fixture(scope="module")
def drawn():
    """42 people in two outfits, two crops of each; all that can be noted is noted."""
    return records_of_data(DRAWN, None)


def record(person, camera, clothes="", captions=(), attributes=None):
    name = Path(f"{person}-{camera}-{clothes}-{len(captions)}.jpg")
    return Record(name, person, camera, clothes=clothes, captions=captions, attributes=attributes or {})


def test_drawn_people_allow_every_kind_and_right_is_who_fits(drawn):
    made = searches(drawn, 20)
    assert {kind: len(made.rows_of(kind)) for kind in KINDS_OF_QUERY} == dict.fromkeys(KINDS_OF_QUERY, 20)
    for number, (query, kind) in enumerate(zip(made.queries, made.kinds, strict=True)):
        subject = made.gallery[made.subjects[number]]
        told = {attribute.kind: attribute.value for attribute in query.wanted}
        assert bool(told) == kind.endswith("text") and (query.image is None) == (kind == "text")
        assert query.other_clothes == (kind == "image-other-clothes")
        for row, other in enumerate(made.gallery):
            person, clothes = other.person == subject.person, other.clothes == subject.clothes
            elsewhere = other.camera != subject.camera
            shows = all(other.attributes.get(kind) == value for kind, value in told.items())
            expected = {
                "text": shows and row != made.subjects[number],
                "image": person and elsewhere and clothes,
                "image-other-clothes": person and elsewhere and not clothes,
                "image-plus-text": person and elsewhere and shows,
            }[kind]
            assert made.right[number, row] == expected
            assert not (made.right[number, row] and made.unsure[number, row])
            if kind == "text":
                possible = all(other.attributes.get(k) in (None, value) for k, value in told.items())
                assert made.own[number, row] == possible
            else:
                assert made.own[number, row] == person == (made.right | made.unsure)[number, row]
        assert made.own[number, made.subjects[number]] and made.unsure[number, made.subjects[number]]


def test_searches_are_spread_over_the_people(drawn):
    made = searches(drawn, 42)
    subjects = [made.gallery[row].person for row in made.subjects[made.rows_of("image-other-clothes")]]
    assert len(set(subjects)) >= 40


def test_captions_stand_for_the_person_where_no_attributes_are_noted():
    people = [
        record(f"p{n}", camera, captions=(f"person {n} by {camera}",)) for n in range(12) for camera in "12"
    ]
    made = searches(people, 50)
    assert {kind: len(made.rows_of(kind)) for kind in KINDS_OF_QUERY} == {
        "text": 24,
        "image": 24,
        "image-plus-text": 0,  # the only witness's words were written for that very crop
        "image-other-clothes": 0,
    }
    for number in made.rows_of("text"):
        subject = made.gallery[made.subjects[number]]
        assert made.queries[number].text == subject.captions[0]
        right = [made.gallery[row] for row in np.flatnonzero(made.right[number])]
        assert [(r.person, r.camera == subject.camera) for r in right] == [(subject.person, False)]
    three = [
        record(f"p{n}", camera, captions=(f"person {n} by {camera}",)) for n in range(12) for camera in "123"
    ]
    both = searches(three, 50)
    for number in both.rows_of("image-plus-text"):
        subject = both.gallery[both.subjects[number]]
        (right,) = (both.gallery[row] for row in np.flatnonzero(both.right[number]))
        said = both.queries[number].text
        assert said.startswith(f"person {subject.person[1:]} by ")
        assert {said[-1], subject.camera, right.camera} == set("123")


@settings(max_examples=40)
@given(st.integers(2, 60), st.floats(0.05, 0.95), st.integers(0, 9))
def test_no_person_is_in_both_halves(count, share, seed):
    records = [record(f"p{n % count}", str(n)) for n in range(3 * count)]
    one, other = halves(records, share, seed)
    assert not {r.person for r in one} & {r.person for r in other}
    assert len(one) + len(other) == len(records)
    assert len({r.person for r in one}) == round(share * count)
    assert halves(records, share, seed) == (one, other)


def test_what_is_missing_is_named():
    with pytest.raises(CalibrationError, match="39 people, and at least 40"):
        check([record(f"p{n}", "12"[n % 2]) for n in range(39)])
    with pytest.raises(CalibrationError, match="by one camera"):
        check([record(f"p{n}", "1") for n in range(50)])
    with pytest.raises(CalibrationError, match="cameras without a name"):
        check([record(f"p{n}", "") for n in range(50)])
    check([record(f"p{n}", "", captions=("a man",)) for n in range(50)])
    with pytest.raises(CalibrationError, match="nobody can be searched for"):
        searches([record(f"p{n}", str(n)) for n in range(50)], 10)
    for name in ("synthetic:test", "synthetic:query", "market1501:gallery", "prcc:query-changed"):
        with pytest.raises(CalibrationError, match="people for tests"):
            records_of_data(name, None)
    people = {r.person for r in records_of_data("synthetic:val", None)}
    assert people and all(person.startswith("val-") for person in people)
    assert not people & {r.person for r in records_of_data("synthetic:train", None)}


@pytest.mark.parametrize(
    ("learnt_from", "name", "known"),
    [
        ("market1501", "market1501:train", True),
        ("market1501", "Market1501", True),
        ("cuhk03:detected", "cuhk03", True),
        ("cuhk03:detected", "cuhk03:labeled:train", True),
        ("synthetic:seed=3,families=20", "synthetic:seed=3,families=20:val", True),
        ("synthetic", "synthetic:val", True),
        ("csv:people.csv", "csv:./people.csv", True),
        ("csv:people.csv", "csv:people.csv:train", True),
        ("csv:people.csv", "csv:others.csv", False),
        ("market1501", "msmt17", False),
        ("csv:people.csv", "market1501", False),
    ],
)
def test_people_who_may_have_been_learnt_are_known_by_any_name_of_their_set(learnt_from, name, known):
    assert may_know(["celebreid", learnt_from], name) == known


def test_a_share_needs_twice_its_standard_error():
    rng = np.random.default_rng(0)
    base = rng.random(100)
    assert clearly_best([base, base + 0.001 * rng.normal(size=100), base - 0.1]) == 0
    assert clearly_best([base, base - 0.1, base + 0.05]) == 2
    assert clearly_best([base, np.where(rng.random(100) < 0.2, np.nan, base)]) == 0


def test_judged_pairs_move_the_probability_and_nothing_else():
    rng = np.random.default_rng(1)
    same = np.zeros((60, 20), bool)
    same[:, :2] = True
    similarities = 0.2 * same + rng.normal(0.2, 0.1, same.shape)
    logits = 2.0 * same + rng.normal(0, 2, same.shape)
    nothing, rare = np.zeros_like(logits), np.zeros_like(logits)
    gone = Pairs(
        logits,
        nothing,
        similarities,
        similarities,
        rare,
        same,
        ~np.ones_like(same),
        similarities[same],
        {},
        same,
    )
    there = replace(gone, left_out=None)
    alone, _ = fit_kind(there, gone, (0.5, 0.0))
    judged = JudgedPairs(
        np.full(500, 3.0), np.zeros(500), np.full(500, 0.5), np.zeros(500), np.zeros(500, bool)
    )
    wary, _ = fit_kind(there, gone, (0.5, 0.0), judged)
    assert wary.tau == alone.tau
    chance = [c.yes_logit * 3.0 + c.similarity * 0.5 + c.bias for c in (alone, wary)]
    assert chance[1] < chance[0] - 0.5


@pytest.mark.slow
def test_all_kinds_are_calibrated_where_the_data_allow_them(tmp_path, capsys):
    """A plain checkpoint gets a manifest, with a calibration of each kind."""
    model, clip = build_tiny(tmp_path / "plain"), make_clip_folder(tmp_path / "clip")
    (model / "chatreid.json").unlink(missing_ok=True)
    run = ["calibrate", "--model", str(model), "--clip", str(clip), "--data", DRAWN, "--queries", "40"]
    assert main([*run, "--k", "16", "--device", "cpu"]) == 0
    told = capsys.readouterr()
    assert "| image-plus-text " in told.out and "not calibrated" not in told.err
    manifest = CheckpointManifest.read(model)
    ((_, fitted),) = manifest.calibrations.items()
    assert set(fitted) == set(KINDS_OF_QUERY)
    assert all(one.attribute_share == one.stated_share == 0 for one in fitted.values())
    assert len({one.crops for one in fitted.values()}) == 1 and fitted["text"].crops > 0
    assert manifest.attribute_sharpness == {}  # this CLIP reads no attributes
    assert manifest.fusion_weights == {} and manifest.affinity == {}


def test_each_search_is_judged_by_what_was_fitted_without_it():
    same = np.zeros((35, 4), bool)
    none = np.zeros(same.shape)
    there = Pairs(none, none, none, none, none, same, same, none[same], {})
    asked: list[np.ndarray] = []

    def by_number(number: float) -> Calibration:
        return Calibration(0, 0, -number, 0, 0, tau=-1, threshold=0)

    def shown(rows: np.ndarray) -> Calibration:
        asked.append(rows)
        if len(asked) == 3:
            raise OneSided("nothing to fit")
        return by_number(len(asked))

    found = cross_fitted(shown, by_number(20), there)
    left_out = ~np.stack(asked)
    assert (left_out.sum(0) == 1).all() and len(asked) == PARTS
    assert left_out.sum(1).max() - left_out.sum(1).min() <= 1
    numbers = np.array([20 if number == 3 else number for number in range(1, PARTS + 1)])
    np.testing.assert_allclose(found, 1 / (1 + np.exp(numbers[left_out.argmax(0)])))
