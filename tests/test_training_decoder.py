"""What training computes in few large operations is what the model computes at run time."""

import pytest
import torch

from app.model.attributes import attribute_probe, probe_logits
from app.model.readings import ReadingTokens
from app.model.scoring import LanguageModel
from app.model.vision import encode_grids, picture_patches
from app.model.vocabulary import KINDS
from tests.tiny_qwen import tiny_parts
from training.decoder import Decoder, encode_rounded, product_dtype
from training.demo.attribute_heads import LEAST, by_kind
from training.demo.learning import Muon
from training.demo.sequences import Forms


@pytest.fixture(scope="module")
def tiny():
    return tiny_parts()


def pictures(count):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 112, 56, 3), dtype=torch.uint8, generator=generator)


@torch.no_grad()
def test_the_tower_sees_what_it_sees_at_run_time(tiny):
    visual = tiny[0].model.visual
    patches, grid = picture_patches(pictures(3))
    torch.testing.assert_close(
        encode_rounded(visual, patches, grid), encode_grids(visual, patches, grid), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize("rounded", [False, True])
@torch.no_grad()
def test_rows_are_read_as_the_model_reads_them(tiny, rounded):
    model, _ = tiny
    text = model.model.language_model
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(2, 9, model.config.text_config.hidden_size, generator=generator)
    positions = torch.stack([torch.arange(9), torch.arange(9) // 2, torch.arange(9) % 3])[:, None]
    expected = text(inputs_embeds=rows, position_ids=positions.expand(-1, 2, -1)).last_hidden_state
    found = Decoder(model, rounded=rounded)(rows, positions)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_kinds_are_read_as_the_probe_reads_them(tiny):
    model, processor = tiny
    patches, grid = picture_patches(pictures(2))
    seen = encode_grids(model.model.visual, patches, grid)
    probe = attribute_probe(processor, grid)
    expected = by_kind(torch.cat(probe_logits(LanguageModel(model), probe, seen), 1), KINDS)
    found = Forms(probe, ReadingTokens.of(processor, probe), seen.device).logits(
        Decoder(model, rounded=True), seen
    )
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)
    assert (
        (found == LEAST).sum(2)[0] == torch.tensor([found.shape[2] - len(v) for v in KINDS.values()])
    ).all()


def test_products_are_rounded_where_autocast_says_so(tiny):
    model, _ = tiny
    with torch.autocast("cpu", torch.bfloat16):
        assert Decoder(model, rounded=True).dtype == torch.bfloat16 == product_dtype(torch.zeros(1))
    assert Decoder(model, rounded=True).dtype == torch.float32
    assert product_dtype(torch.zeros(1, device="meta")) == torch.float32


def test_matrices_are_orthogonal_together_as_they_are_alone():
    """Those of several shapes are padded to one, lying and standing ones apart."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(64, 27), (64, 33), (60, 40), (27, 64), (33, 64), (8, 4, 3, 3), (7, 5), (64, 64)]
    together, alone = (
        [
            torch.nn.Parameter(torch.randn(shape, generator=torch.Generator().manual_seed(n)))
            for n, shape in enumerate(shapes)
        ]
        for _ in range(2)
    )
    one = Muon([{"params": together, "lr": 0.1}])
    each = [Muon([{"params": [weight], "lr": 0.1}]) for weight in alone]
    for _ in range(3):
        for first, second in zip(together, alone, strict=True):
            first.grad = torch.randn(first.shape, generator=generator)
            second.grad = first.grad.clone()
        for optimizer in (one, *each):
            optimizer.step()
    for first, second in zip(together, alone, strict=True):
        torch.testing.assert_close(first, second, atol=1e-5, rtol=1e-5)
