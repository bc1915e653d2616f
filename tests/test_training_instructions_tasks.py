"""Instruction samples: pure, true of their pictures, and in the paper's wordings."""

import itertools
import pickle
import re
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.prompts import NO, NONE_OF_THEM, PAPER_PROMPTS, YES
from tests.instruction_columns import made_up
from tests.instruction_truth import CHECKS, check, prompt_of
from tests.tiny_pool import tiny_pool
from training.datasets.drawn import DrawnWorld, drawn
from training.datasets.training_records import training_records
from training.instructions.look_alikes import look_alikes
from training.instructions.mixtures import MIXTURES, STAGE2, STAGE3
from training.instructions.stage_samples import CannotBeMade, SampleMaker, Samples
from training.instructions.tasks import TASKS


@pytest.fixture(scope="module")
def columns():
    return tiny_pool().columns()


@pytest.fixture(scope="module")
def records():
    return training_records([drawn(DrawnWorld(families=6, held_out=1))])


def stream(columns, stage, seed=0, **changes):
    return SampleMaker(replace(MIXTURES[stage], **changes), columns, seed)


def alone(task, columns, **changes):
    """A stream of one task."""
    return SampleMaker(replace(STAGE3, shares={task: 1.0}, **changes), columns, 0)


@pytest.mark.parametrize("task", TASKS)
def test_samples_are_true_of_their_pictures(columns, task):
    # The product's own wording is read back exactly, so that what a text says is known.
    made = alone(task, columns, canonical=1.0, query_first=0.5)
    for index in range(150):
        check(columns, made.sample(index))


def test_every_task_has_a_check():
    assert set(CHECKS) == set(TASKS)
    assert set(TASKS) == {task for mixture in MIXTURES.values() for task in mixture.shares}


@pytest.mark.parametrize("stage", MIXTURES)
def test_a_sample_is_a_pure_function_of_seed_and_index(columns, stage):
    made = stream(columns, stage)
    first = [made.sample(index) for index in range(60)]
    assert [stream(columns, stage).sample(index) for index in reversed(range(60))] == first[::-1]
    assert [made.sample(index) for index in range(60)] == first
    other = stream(columns, stage, seed=1)
    assert [other.sample(index) for index in range(60)] != first


def _from_worker(made, index):
    return made.sample(index)


def test_workers_and_resuming_give_the_same_samples(records):
    made = Samples(STAGE2, records, 3, 40)
    expected = [made.sample(index) for index in range(40)]
    assert pickle.loads(pickle.dumps(made)).sample(7) == expected[7]
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as workers:
        assert list(workers.map(_from_worker, [made] * 3, [39, 0, 17])) == [expected[i] for i in (39, 0, 17)]


def test_a_longer_stream_begins_with_the_shorter(records):
    short, long = Samples(STAGE2, records, 3, 10), Samples(STAGE2, records, 3, 30)
    assert list(itertools.islice(long, 10)) == list(short)
    assert len(Samples(STAGE2, records)) == 3_000_000
    with pytest.raises(IndexError, match="no sample 10"):
        short.sample(10)


def test_pictures_come_with_their_rows(records):
    made = Samples(STAGE2, records, 0, 5)
    row = made.sample(0).pictures[0]
    assert made.picture(row).mode == "RGB"
    assert np.array_equal(made.picture(row), made.record(row).picture())


WORDINGS = {
    task: {
        "clothes-changing": "cloth_changing",
        "compare-attributes": "compare",
        "annotate-attributes": "annotate",
    }.get(task, task.replace("-", "_"))
    for task in TASKS
}


@pytest.mark.parametrize(
    ("task", "wording"), [(task, wording) for task, wording in WORDINGS.items() if wording in PAPER_PROMPTS]
)
def test_the_papers_words_are_used(columns, task, wording):
    asked = prompt_of(alone(task, columns).sample(0))
    for words in re.split(
        r'<\[ \]>|\{[^}]*\}|"\.\.\."|: ?\.? The third.*|The second.*', PAPER_PROMPTS[wording]
    ):
        assert words.strip(' ."') in asked


def test_half_of_the_pairs_match(columns):
    for task in ("image-one-to-one", "text-one-to-one", "pair-question"):
        made = alone(task, columns)
        answers = Counter(made.sample(index).answer for index in range(400))
        assert answers == {YES: 200, NO: 200}


def test_pairs_come_from_different_cameras_where_there_are_some(columns):
    made = alone("image-one-to-one", columns)
    for index in range(200):
        sample = made.sample(index)
        first, second = sample.pictures
        own = columns.person == columns.person[first]
        if sample.answer == YES and len(set(columns.camera[own])) > 1:
            there = np.flatnonzero(own & (columns.camera != columns.camera[first]))
            assert not len(there) or second in there


def test_a_pair_that_crosses_light_says_nothing_of_its_answer():
    columns = made_up(120, (4, 8), infrared=0.4)
    made = alone("image-one-to-one", columns, hard=0)
    crossing = Counter()
    for index in range(3000):
        sample = made.sample(index)
        crossing[sample.answer, len(set(columns.infrared[list(sample.pictures)])) > 1] += 1
    yes, no = (crossing[answer, True] / 1500 for answer in (YES, NO))
    assert abs(yes - no) < 0.06


CLAUSES = (", who may be wearing different clothing", ", considering both infrared and visible light images")


def said(sample):
    """Which of the clauses a question has: (clothes, light)."""
    return tuple(clause in prompt_of(sample) for clause in CLAUSES)


@pytest.mark.parametrize("infrared", [0.05, 0.4])
@pytest.mark.parametrize("task", ["image-one-to-one", "pair-question"])
def test_what_the_question_says_may_differ_tells_nothing_of_its_answer(task, infrared):
    columns = made_up(120, (4, 8), infrared=infrared)
    made = alone(task, columns, query_first=1.0)
    answers = {True: Counter(), False: Counter()}  # with words beside the picture, and without
    for index in range(6000):
        sample = made.sample(index)
        if len(sample.pictures) == 2:
            answers["Now: " in prompt_of(sample)][said(sample), sample.answer] += 1
    if task == "pair-question":
        assert {kind for kind, _ in answers[True]} == {(True, False)}
    for counts in answers.values():
        for kind in {kind for kind, _ in counts}:
            yes, no = counts[kind, YES], counts[kind, NO]
            assert abs(yes - no) < 4 * (yes + no) ** 0.5, (kind, yes, no)
    assert len({kind for kind, _ in answers[False]}) == 4  # each kind of question is taught


def test_who_wears_the_same_is_now_and_then_asked_for_as_if_not(columns):
    made = alone("image-one-to-one", columns, query_first=1.0)
    matches = [s for s in map(made.sample, range(1500)) if s.answer == YES]
    same = [s for s in matches if len(set(columns.outfit[list(s.pictures)])) == 1]
    assert np.mean([said(s)[0] for s in same]) == pytest.approx(0.25, abs=0.08)
    assert all(said(s)[0] for s in matches if s not in same)
    unnoted = alone("image-one-to-one", made_up(60, outfits=1), query_first=1.0)
    assert not any(said(unnoted.sample(index))[0] for index in range(300))


@pytest.mark.parametrize(
    "task", ["standard", "text-to-image", "best-choice", "attributes", "clothes-changing"]
)
def test_a_stated_share_of_galleries_has_no_match(columns, task):
    for share in (0.0, 0.3):
        made = alone(task, columns, nobody=share, gallery_of_one=0.0)
        none = sum(made.sample(index).answer == NONE_OF_THEM for index in range(400)) / 400
        assert none == pytest.approx(share, abs=0.08) and (none == 0) == (share == 0)


def test_every_wording_of_the_paper_has_its_task():
    assert set(PAPER_PROMPTS) <= set(WORDINGS.values())


def test_long_galleries_are_made_and_best_choices_keep_to_one_digit():
    columns = made_up(60, (10, 20))
    sizes = {len(alone("standard", columns, gallery=(20, 30)).sample(i).pictures) - 1 for i in range(200)}
    assert sizes == set(range(20, 31))
    made = alone("best-choice", columns, gallery=(20, 30), gallery_of_one=0)
    assert {len(made.sample(i).pictures) for i in range(100)} == {9}


def test_galleries_of_one_are_asked_too(columns):
    made = alone("best-choice", columns, nobody=0.0, gallery_of_one=1.0)
    samples = [made.sample(index) for index in range(200)]
    assert all(prompt_of(s).split("Which image")[1].count("<img>") == 1 for s in samples)
    assert 60 < sum(s.answer == NONE_OF_THEM for s in samples) < 140


def test_the_question_of_run_time_has_its_share_of_the_pairs(columns):
    made = alone("image-one-to-one", columns, query_first=0.5)
    asked = sum(prompt_of(made.sample(index)).startswith("Query: ") for index in range(400))
    assert 160 < asked < 240


def test_a_share_of_the_other_people_are_look_alikes(columns):
    alike = look_alikes(columns)
    first_of = {int(outfit): row for row, outfit in reversed(list(enumerate(columns.outfit)))}
    family = tiny_pool().family

    def share(hard):
        made = alone("image-one-to-one", columns, hard=hard)
        pairs = [made.sample(index) for index in range(400)]
        pairs = [s.pictures for s in pairs if s.answer == NO]
        return np.mean([columns.outfit[b] in alike[columns.outfit[a]] for a, b in pairs])

    assert share(1.0) == pytest.approx(1.0, abs=0.04)
    assert share(0.0) < 0.45 < share(0.6) < 0.9
    # The nearest look-alike of an outfit is mostly one that was drawn to be one.
    nearest = [(outfit, other) for outfit, other in enumerate(alike[:, 0]) if other >= 0]
    assert np.mean([family[first_of[a]] == family[first_of[int(b)]] for a, b in nearest]) > 0.6


@settings(max_examples=40)
@given(
    seed=st.integers(0, 999),
    people=st.integers(1, 8),
    most=st.integers(1, 5),
    sets=st.integers(1, 3),
    outfits=st.integers(1, 3),
    infrared=st.sampled_from([0.0, 0.5]),
    unknown=st.sampled_from([0.0, 0.6, 1.0]),
    captions=st.sampled_from([0.0, 0.5, 1.0]),
    stage=st.sampled_from([1, 2, 3]),
)
def test_whatever_the_data_samples_are_true_or_cannot_be_made(stage, people, most, sets, **changes):
    columns = made_up(people, (1, most), sets=min(sets, people), **changes)
    try:
        made = stream(columns, stage)
    except CannotBeMade as problem:
        assert "no task" in str(problem)
        return
    assert set(made.plan.shares) | set(made.plan.lacking) == set(MIXTURES[stage].shares)
    for index in range(12):
        check(columns, made.sample(index), texts=False)


def test_what_cannot_be_made_is_told_and_its_share_spread():
    bare = made_up(30, (3, 6), infrared=0, unknown=1, outfits=1)
    made = stream(bare, 2)
    assert made.plan.shares == {"image-one-to-one": 0.25, "image-many-to-many": 0.25}
    assert Counter(made.sample(i).task for i in range(100)) == {
        "image-one-to-one": 50,
        "image-many-to-many": 50,
    }
    lines = made.plan.report()
    assert "text-one-to-one cannot be made, its share goes to the other tasks" in lines[0]
    assert "set0: no captions and no attributes" in lines[0]
    with pytest.raises(CannotBeMade, match="caption from set0: no captions and no attributes"):
        stream(bare, 1)


def test_data_sets_weigh_as_the_stage_says():
    columns = made_up(300, (5, 5), sets=3, infrared=0)
    columns.infrared[columns.data_set == 1] = np.arange((columns.data_set == 1).sum()) % 2 == 0

    def counts(**changes):
        made = SampleMaker(replace(STAGE2, shares={"image-one-to-one": 1}, **changes), columns, 0)
        return Counter(int(columns.data_set[made.sample(index).pictures[0]]) for index in range(700))

    assert counts() == {0: 200, 1: 300, 2: 200}  # infrared weighs 1.5
    assert counts(infrared=1.0, data_sets={"set0": 0.75, "set2": 0}) == {0: 300, 1: 400}
    with pytest.raises(ValueError, match="weighs set9, but the data sets are set0, set1, set2"):
        counts(data_sets={"set9": 1})
