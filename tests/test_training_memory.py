"""The estimates of memory follow from counts that are right, and never promise what does not fit."""

import pytest
import torch

from app.model.loading import load_weights
from tests.tiny_qwen import tiny_folder
from training.__main__ import main
from training.stages import STAGES
from training.tuning.memory import GB, TUNINGS, estimate, most_tokens, qwen2_vl_2b, sizes
from training.tuning.origin import is_adapter, is_encoder, with_lora


@pytest.fixture(scope="module")
def published():
    return sizes(qwen2_vl_2b())


def test_the_published_model_is_counted_as_published(published):
    assert published.parameters == 2_208_985_600
    block = (1280 + 1) * 3840 + (1280 + 1) * 1280 + (1280 + 1) * 5120 + (5120 + 1) * 1280 + 4 * 1280
    merger = 2 * 1280 + (5120 + 1) * 5120 + (5120 + 1) * 1536
    assert published.encoder == 3 * 2 * 14 * 14 * 1280 + 32 * block + merger


def test_counts_are_those_of_a_model_that_is_really_there():
    model = load_weights(tiny_folder(), torch.float32)
    own = sizes(model.config, rank=4)
    assert own.parameters == sum(p.numel() for p in model.parameters())
    assert own.encoder == sum(p.numel() for name, p in model.named_parameters() if is_encoder(name))
    adapted = with_lora(model, 4, seed=0)
    adapters = sum(p.numel() for name, p in adapted.named_parameters() if is_adapter(name))
    assert own.encoder_adapter + own.decoder_adapter == adapters


@pytest.mark.parametrize("tuning", TUNINGS)
def test_more_tokens_need_more_and_the_most_is_the_most(published, tuning):
    for stage in STAGES.values():
        device = 48 * GB
        most = most_tokens(published, stage, tuning, device)
        if most:
            assert estimate(published, stage, tuning, most).total <= device
        assert estimate(published, stage, tuning, most + 256).total > device
    assert (
        estimate(published, STAGES[3], tuning, 4096).total
        < estimate(published, STAGES[2], tuning, 4096).total
    )


def test_lighter_ways_are_lighter(published):
    totals = [estimate(published, STAGES[2], tuning, 8192).total for tuning in TUNINGS]
    assert totals == sorted(totals, reverse=True)


def test_the_command_says_that_nothing_was_measured(capsys):
    assert main(["memory", "--stage", "2", "--memory", "24"]) == 0
    out = capsys.readouterr().out
    assert "not measurements" in out and "most tokens in 24 GB" in out and "does not fit" in out
    assert main(["memory", "--stage", "2", "--tokens-per-batch", "0"]) == 2
    assert "tokens_per_batch" in capsys.readouterr().err
