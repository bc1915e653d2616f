"""The tower without its loop gives what the stock one gives: outputs and gradients, in every way of tuning."""

from copy import deepcopy

import pytest
import torch

from app.model.loading import load_weights
from app.model.vision import encode_mixed, pixel_patches
from tests.tiny_qwen import noise_picture, tiny_folder
from training.tuning.failures import TuningError
from training.tuning.origin import with_lora
from training.tuning.tower import ATTENTIONS, bare, batch_attention, by_length, set_attention

MIXED = ((112, 56), (168, 84), (112, 56), (56, 56), (84, 168), (112, 56))
ALIKE = ((112, 56),) * 5


def pictures(sizes):
    return pixel_patches([noise_picture(number, *size) for number, size in enumerate(sizes)])


def model(lora):
    loaded = load_weights(tiny_folder(), torch.float32)
    if not lora:
        return loaded
    adapted = with_lora(loaded, 4, seed=0)
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:  # a fresh adapter changes nothing, and its A would have no gradient
            torch.nn.init.normal_(parameter, std=0.05)
    return adapted


def tokens_and_gradients(tuned, sizes, *, checkpointing):
    visual = bare(tuned).model.visual
    if checkpointing:
        visual.activation_checkpointing_enable({"use_reentrant": False})
    tuned.train()
    patches = pictures(sizes)
    tokens = visual(patches.values, grid_thw=patches.grid_thw).pooler_output
    # Each token weighs otherwise, so that no two places can be mixed up unseen.
    (tokens * torch.linspace(-1, 1, tokens.numel()).view_as(tokens)).sum().backward()
    return tokens.detach(), {n: p.grad for n, p in tuned.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("sizes", [MIXED, ALIKE], ids=["mixed", "alike"])
@pytest.mark.parametrize(
    ("lora", "checkpointing", "attention"),
    [(False, False, "sdpa"), (False, True, "sdpa"), (True, False, "sdpa"), (True, True, "eager")],
)
def test_outputs_and_gradients_are_the_stock_towers(sizes, lora, checkpointing, attention):
    stock = model(lora)
    set_attention(stock, attention)
    ours = deepcopy(stock)
    batch_attention(ours)
    expected, expected_gradients = tokens_and_gradients(stock, sizes, checkpointing=checkpointing)
    tokens, gradients = tokens_and_gradients(ours, sizes, checkpointing=checkpointing)
    torch.testing.assert_close(tokens, expected, atol=2e-5, rtol=1e-5)
    assert set(gradients) == set(expected_gradients) and len(gradients) > 10
    for name, gradient in gradients.items():
        scale = float(expected_gradients[name].abs().max())
        assert (gradient - expected_gradients[name]).abs().max() <= 2e-5 * scale + 1e-6, name


def test_it_is_what_packed_lists_and_run_time_see():
    ours = model(False)
    patches = pictures(MIXED)
    apart = torch.cat(encode_mixed(ours.model.visual, patches))
    batch_attention(ours)
    tokens = ours.model.visual(patches.values, grid_thw=patches.grid_thw).pooler_output
    torch.testing.assert_close(tokens, apart, atol=2e-5, rtol=1e-5)


def attentions(visual, sizes, monkeypatch):
    """How often attention is computed in one pass."""
    from torch.nn import functional

    calls = []
    before = functional.scaled_dot_product_attention
    monkeypatch.setattr(
        functional,
        "scaled_dot_product_attention",
        lambda *taken, **named: calls.append(0) or before(*taken, **named),
    )
    patches = pictures(sizes)
    with torch.no_grad():
        visual(patches.values, grid_thw=patches.grid_thw)
    monkeypatch.undo()
    return len(calls)


def test_attention_is_computed_once_a_layer_and_length(monkeypatch):
    ours = model(False)
    visual = ours.model.visual
    layers = len(visual.blocks)
    assert attentions(visual, MIXED, monkeypatch) == len(MIXED) * layers  # what the stock one does
    batch_attention(ours)
    assert attentions(visual, ALIKE, monkeypatch) == layers
    lengths = len({height * width for height, width in MIXED})
    assert attentions(visual, MIXED, monkeypatch) == lengths * layers < len(MIXED) * layers


def test_frames_attend_to_themselves():
    found = by_length(torch.tensor([[1, 2, 2], [2, 4, 2], [1, 2, 2]]))
    assert [(group.count, group.length) for group in found.groups] == [(2, 4), (2, 8)]
    assert [group.rows.tolist() for group in found.groups] == [
        [0, 1, 2, 3, 20, 21, 22, 23],
        list(range(4, 20)),
    ]
    assert torch.cat([group.rows for group in found.groups])[found.back].tolist() == list(range(24))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there may be flash attention here")
def test_an_attention_that_cannot_be_had_is_said():
    with pytest.raises(TuningError, match="flash_attention_2 needs a CUDA device and the package flash-attn"):
        set_attention(model(False), ATTENTIONS[-1])
