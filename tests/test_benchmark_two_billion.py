"""The benchmark at real size, in tiny form: the plain loop and ours say the same, and a training is timed."""

import re

import pytest

from tests.benchmarks import two_billion
from tests.tiny_qwen import tiny_folder


def test_it_prints_a_search_beside_the_plain_loop_with_equal_answers(capsys):
    two_billion.main(["--tiny", "--device", "cpu", "--no-training"])
    said = capsys.readouterr().out
    for by in ("picture", "words"):
        row = re.search(rf"^{by} +(.*)$", said, re.MULTILINE)
        loop, first, again, ratio, floor, apart = map(float, row[1].split())
        assert min(loop, first, again, floor) > 0 and ratio == pytest.approx(loop / again, rel=0.2)
        assert apart < 1e-3
    assert "pictures a second" in said and "TFLOP/s" in said


def test_a_training_is_timed_and_a_failure_is_told():
    options = two_billion.TUNED["lora"]
    row = two_billion.trained(tiny_folder(), "cpu", two_billion.TINY, 1, options)
    assert row["rate"] > 0 and row["memory"] > 0
    assert "rank" in two_billion.trained(tiny_folder(), "cpu", two_billion.TINY, 1, ["--lora", "0"]).lower()
