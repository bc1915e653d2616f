"""The three stages say what the paper says, and refuse what makes no sense."""

import pytest

from training.stages import STAGES


def test_the_papers_three_stages():
    one, two, three = (STAGES[number] for number in (1, 2, 3))
    assert [stage.samples for stage in STAGES.values()] == [5_000_000, 3_000_000, 500_000]
    assert [stage.encoder for stage in STAGES.values()] == ["trained", "trained", "frozen"]
    assert [stage.decoder for stage in STAGES.values()] == ["carried over", "fresh", "carried over"]
    assert one.image_rule.at_least == (256, 128)
    assert one.image_rule.at_most is None
    assert two.image_rule.at_most == (384, 192)
    assert two.image_rule.at_least is None
    assert three.image_rule.at_least is three.image_rule.at_most is three.image_rule.fixed is None
    assert all(stage.packed_share == 0 for stage in STAGES.values())
    assert all(stage.mixture.stage == number for number, stage in STAGES.items())


def test_values_change_and_none_leaves_them():
    stage = STAGES[3].with_(samples=100, samples_per_step=8, nobody=0.0, hard=None, learning_rate=None)
    assert (stage.samples, stage.steps, stage.mixture.nobody) == (100, 13, 0.0)
    assert stage.mixture.hard == STAGES[3].mixture.hard
    assert stage.learning_rate == STAGES[3].learning_rate
    assert STAGES[3].samples == 500_000


@pytest.mark.parametrize(
    ("number", "changes", "said"),
    [
        (1, {"packed_share": 0.5}, "stages 2 and 3"),
        (2, {"packed_share": 1.5}, "0..1"),
        (2, {"learning_rate": 0.0}, "above 0"),
        (3, {"tokens_per_batch": 0}, "tokens_per_batch"),
        (3, {"samples": 0}, "one sample or more"),
        (3, {"mixture": STAGES[2].mixture}, "mixture of stage 2"),
        (3, {"number": 4}, "not 4"),
    ],
)
def test_nonsense_is_refused_by_name(number, changes, said):
    with pytest.raises(ValueError, match=said):
        STAGES[number].with_(**changes)
