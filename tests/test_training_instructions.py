"""Instruction samples: pure, true to the paper's wordings, and right about their pictures."""

import re

import numpy as np
import pytest

from app.model.answers import parse_annotation
from app.model.prompts import NO, NONE_OF_THEM, PAPER_PROMPTS, YES
from tests.tiny_pool import tiny_pool
from training.demo.sampling import Batches, BatchRule, augmented, descriptions, satisfies
from training.instructions import stage1, stage2, stage3
from training.instructions.sample import Source, draw

STAGES = {"1": stage1.MIXTURE, "2": stage2.MIXTURE, "3": stage3.MIXTURE}


@pytest.fixture(scope="module")
def source():
    return Source(tiny_pool())


def samples(source, stage, count=300):
    return [draw(source, STAGES[stage], 0, index) for index in range(count)]


@pytest.mark.parametrize("stage", STAGES)
def test_a_sample_is_a_pure_function_of_seed_and_index(source, stage):
    assert samples(source, stage, 40) == samples(source, stage, 40)
    assert draw(source, STAGES[stage], 1, 0) != draw(source, STAGES[stage], 0, 0)


@pytest.mark.parametrize("stage", STAGES)
def test_each_sample_has_a_slot_for_each_picture(source, stage):
    for sample in samples(source, stage):
        slots = [
            part for message in sample.messages for part in message["content"] if part["type"] == "image"
        ]
        assert len(slots) == len(sample.pictures)


def test_stage_2_has_the_papers_mixture(source):
    tasks = [sample.task for sample in samples(source, "2", 2000)]
    for name, share in {
        "image-one-to-one": 0.25,
        "image-many-to-many": 0.25,
        "compare-attributes": 0.1,
    }.items():
        assert tasks.count(name) / len(tasks) == pytest.approx(share, abs=0.04)


def test_the_papers_words_are_used(source):
    asked = "".join(part.get("text", "") for s in samples(source, "2") for part in s.messages[0]["content"])
    assert "contain the same pedestrian identity?" in asked
    assert PAPER_PROMPTS["compare"][-70:] in asked


def test_one_to_one_answers_are_true_and_balanced(source):
    pool, answers = source.pool, []
    for sample in samples(source, "2", 1500):
        if sample.task == "image-one-to-one":
            first, second = sample.pictures
            assert (pool.person[first] == pool.person[second]) == (sample.answer == YES)
            answers.append(sample.answer)
    assert answers.count(YES) / len(answers) == pytest.approx(0.5, abs=0.1)
    assert set(answers) == {YES, NO}


def test_galleries_name_exactly_the_matching_pictures(source):
    pool, nobody, seen = source.pool, 0, 0
    for sample in samples(source, "3", 1500):
        if sample.task not in (
            "standard",
            "cloth-changing",
            "visible-infrared",
            "best-choice",
            "image-plus-text",
        ):
            continue
        seen += 1
        query, gallery = sample.pictures[0], sample.pictures[1:]
        matching = [n for n, row in enumerate(gallery, 2) if pool.person[row] == pool.person[query]]
        named = [int(n) for n in re.findall(r"Image (\d+)", sample.answer)]
        assert named == matching
        if not matching:
            assert sample.answer == NONE_OF_THEM
            nobody += 1
        if sample.task == "cloth-changing":
            assert all(pool.clothes[gallery[n - 2]] != pool.clothes[query] for n in matching)
        if sample.task == "visible-infrared":
            assert all(pool.infrared[gallery[n - 2]] != pool.infrared[query] for n in matching)
    assert 0.03 < nobody / seen < 0.25


def test_annotations_say_what_shows(source):
    for sample in samples(source, "2", 400):
        if sample.task == "annotate-attributes":
            read = {a.kind: a.value for a in parse_annotation(sample.answer)}
            seen = source.pool.seen(sample.pictures[0])
            assert {k: v for k, v in seen.items() if k in read} == read


def test_descriptions_fit_their_own_crop():
    pool, rng = tiny_pool(), np.random.default_rng(0)
    rows = np.arange(60)
    told = descriptions(pool, rows, rng, 8, canonical=0.5)
    fits, unsure = satisfies(told.fragments, pool.attributes[rows], pool.visible[rows], told.refused)
    assert fits.diagonal().all()
    assert not unsure.diagonal().any()
    assert (told.refused >= 0).any()
    for text, refused in zip(told.texts, told.refused, strict=True):
        if (refused >= 0).any():
            assert ", not " in text or text.startswith("a person, not"), text


def test_batches_put_look_alikes_together_and_views_side_by_side():
    pool = tiny_pool()
    batches = Batches(pool, BatchRule(4, 3, 2), 0)
    rows = batches.batch(7)
    assert (rows == batches.batch(7)).all()
    assert (pool.person[rows[::2]] == pool.person[rows[1::2]]).all()
    assert len(set(pool.family[rows])) == 4
    assert len(set(pool.person[rows])) == 12


def test_augmentation_keeps_shape_and_type():
    pictures = tiny_pool().pictures[:8]
    changed = augmented(pictures, np.random.default_rng(0))
    assert changed.shape == pictures.shape
    assert changed.dtype == np.uint8
    assert (changed != pictures).any()
