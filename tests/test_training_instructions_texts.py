"""Texts about crops: captions that people wrote, what they state, and where they are not true."""

import re
from dataclasses import replace

import pytest

from tests.instruction_truth import contradicts, prompt_of
from training.datasets.drawn import DrawnWorld, drawn
from training.datasets.faults import DataSetError
from training.datasets.training_records import training_records
from training.instructions.columns import Columns
from training.instructions.mixtures import MIXTURES, STAGE2
from training.instructions.stage_samples import Samples
from training.instructions.texts import named, parse_caption


@pytest.fixture(scope="module")
def records():
    return training_records([drawn(DrawnWorld(families=6, held_out=1))])


def test_captions_by_people_are_used_where_there_are_some(records):
    made = Samples(replace(MIXTURES[1], shares={"caption": 1}), records, 0, 50)
    for sample in made:
        told = {text.rstrip(".").lower() for text in made.record(sample.pictures[0]).captions}
        assert sample.answer.rstrip(".").lower() in told


def test_a_caption_by_people_is_no_wrong_answer_where_it_is_true(records):
    made = Samples(replace(STAGE2, shares={"text-many-to-one": 1}), records, 0, 60)
    wrong = 0
    for sample in made:
        texts = re.findall(r'"([^"]*)"', prompt_of(sample))
        row = sample.pictures[0]
        wrong += sum(not contradicts(made.stream.columns, row, text) for text in texts)
    # One true caption each; "understand" and the scan of phrases may differ over a word or two.
    assert 60 <= wrong <= 66


@pytest.mark.parametrize(
    ("text", "values", "colours"),
    [
        ("A woman with a red t-shirt, no bag.", {"gender=woman", "upper=t-shirt", "bag=none"}, {"red"}),
        (
            "he carries a school bag and wears dark glasses",
            {"gender=man", "bag=backpack", "glasses=sunglasses"},
            set(),
        ),
        ("a man behind a woman", set(), set()),
        ("without an umbrella", {"umbrella=none"}, set()),
        ("solid old dress shoes in navy", {"upper=dress", "shoes=shoes"}, {"blue"}),
        ("", set(), set()),
    ],
)
def test_what_a_caption_states(text, values, colours):
    found = parse_caption(text)
    assert {f"{k}={v}" for k, v in named(found.values).items()} == values
    assert found.colours == colours


def test_an_unknown_attribute_value_is_named():
    dataset = drawn(DrawnWorld(families=1, held_out=1))
    record = replace(dataset.train[0], attributes={"hat": "crown"})
    broken = replace(dataset, splits={"train": (record,)})
    with pytest.raises(DataSetError, match="no attribute value 'crown'"):
        Columns.of(training_records([broken]))
