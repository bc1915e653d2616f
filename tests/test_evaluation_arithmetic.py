"""The time of an evaluation by arithmetic: counts by hand, questions as they are asked, and the docs' own table."""

from pathlib import Path

import pytest

from app.model.prompts import best_choice_prompt, pair_prompt
from app.model.reid_model import BATCH as MODEL_BATCH
from app.model.scoring import PromptTokens, pair_layout
from app.retrieval.tournament import LIST_LENGTH
from app.settings import DEMO_MODEL
from gallery_store.torchvision_mend import mend_torchvision
from training.__main__ import main
from training.evaluation.arithmetic import BATCH, CHOICE, PREFIX, TAIL, cache_bytes, passes, table
from training.tuning.memory import Sizes

COUNTS = Sizes(
    encoder=1000, decoder_linear=100, decoder_rest=7, encoder_adapter=0, decoder_adapter=0, width=16, inner=0,
    layers=1, vision_width=0, vision_inner=0, vision_layers=1, vocabulary=1,
)  # fmt: skip


def test_passes_by_hand():
    rows = {row.what: row for row in passes(COUNTS, queries=5, gallery=1000, k=64, picture=10, best_choice=2)}
    assert (
        {what: row.count for what, row in rows.items()}
        == {
            "queries seen": 5,
            "crops seen": 10,  # 320 of the 1000 crops are asked about, at worst some in each of two batches a query
            "prefixes": 5,
            "pairs": 10,
            "best choice": 88,  # 44 questions for 64 candidates
        }
    )
    assert rows["queries seen"].flops == 2 * 1000 * 4 * 10
    assert rows["crops seen"].flops * 10 == 2 * 1000 * 4 * 10 * 320
    assert rows["prefixes"].flops == 2 * 100 * (PREFIX + 10)
    assert rows["pairs"].flops == 2 * 100 * 32 * (10 + TAIL)
    assert rows["best choice"].flops == 2 * 100 * (CHOICE + 90)
    # Once all crops were seen there are no more of them.
    assert {row.what: row.count for row in passes(COUNTS, queries=500, gallery=7, k=7, picture=10)}[
        "crops seen"
    ] == 7
    assert cache_bytes(COUNTS, 1000, 10) == 1000 * 10 * 16 * 2


def test_a_small_pass_takes_its_least_time_and_a_large_one_its_operations():
    rows = passes(COUNTS, queries=60, gallery=1000, k=64, picture=10)
    one = rows[0].flops
    assert rows[0].seconds(rate=one, least=0.5) == 60 and rows[0].seconds(rate=4 * one, least=0.5) == 30
    lines = table(rows, rate=1e30, least=1.0)
    assert lines[-1] == "| all | 360 | | 6.0 |" and lines[2] == "| queries seen | 60 | 0.00 | 1.0 |"


def test_the_questions_are_those_that_are_asked():
    mend_torchvision()  # before the processors are imported
    from transformers import AutoProcessor

    processor = AutoProcessor.from_pretrained(DEMO_MODEL)
    grid = (1, 10, 4)
    layout = pair_layout(processor, pair_prompt("", 1), [grid], grid)
    assert (len(layout.prefix_ids) - 10, len(layout.block_ids) - 10) == (PREFIX, TAIL)
    choice = PromptTokens(processor, best_choice_prompt("", 1, LIST_LENGTH).messages)
    assert len(choice.ids) - choice.pictures == CHOICE
    assert BATCH == MODEL_BATCH


def test_the_docs_have_the_command_s_table(capsys):
    assert main(["memory", "--evaluate", "market1501", "--best-choice", "100"]) == 0
    page = (Path(__file__).parents[1] / "docs" / "training.md").read_text("utf-8")
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(lines) == 8 and all(line in page for line in lines)


@pytest.mark.parametrize(
    "arguments",
    [["--evaluate", "market"], ["--evaluate", "cuhk-pedes"], ["--evaluate", "market1501", "--k", "0"]],
)
def test_what_cannot_be_reckoned_is_told(arguments, capsys):
    assert main(["memory", *arguments]) == 2
    assert "needs a benchmark with published queries and gallery" in capsys.readouterr().err
