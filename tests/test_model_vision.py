"""Patches and the batched vision tower against what transformers makes of the same pictures."""

import numpy as np
import pytest
import torch

from app.model.pictures import DEMO, RUN_TIME, STAGE_1, STAGE_2, apply_rule
from app.model.vision import Patches, encode_grids, encode_mixed, pixel_patches
from tests.tiny_qwen import noise_picture, tiny_parts


def test_patches_equal_the_real_image_processor():
    _, processor = tiny_parts()
    images = [noise_picture(1), noise_picture(2, 140, 84), noise_picture(3)]
    stock = processor.image_processor(images=images, return_tensors="pt")
    mine = pixel_patches(images)
    assert torch.equal(mine.grid_thw, stock["image_grid_thw"])
    torch.testing.assert_close(mine.values, stock["pixel_values"], atol=1e-5, rtol=0)
    array = np.stack([np.asarray(images[0]), np.asarray(images[2])])
    torch.testing.assert_close(pixel_patches(array).values, torch.cat([mine.each()[0], mine.each()[2]]))
    assert pixel_patches([]).values.shape == (0, 1176)
    with pytest.raises(ValueError, match="multiples of 28"):
        pixel_patches([noise_picture(1, 100, 56)])


def test_the_batched_tower_equals_the_stock_tower():
    model, _ = tiny_parts()
    visual = model.model.visual
    patches = pixel_patches([noise_picture(1), noise_picture(2, 140, 84), noise_picture(3)])
    with torch.no_grad():
        stock = visual(patches.values, grid_thw=patches.grid_thw).pooler_output
        mine = encode_mixed(visual, patches)
    torch.testing.assert_close(torch.cat(mine), stock, atol=1e-5, rtol=0)
    pieces = patches.each()
    together = encode_grids(visual, torch.stack([pieces[0], pieces[2]]), torch.tensor([[1, 8, 4], [1, 8, 4]]))
    torch.testing.assert_close(together[1], mine[2], atol=1e-5, rtol=0)
    together.square().sum().backward()
    assert visual.patch_embed.proj.weight.grad.abs().sum() > 0
    visual.zero_grad()
    with pytest.raises(ValueError, match="encode_mixed"):
        encode_grids(visual, torch.stack([pieces[0], pieces[2]]), torch.tensor([[1, 8, 4], [1, 4, 8]]))
    with pytest.raises(ValueError, match="do not fit"):
        encode_grids(visual, torch.stack([pieces[0]]), (1, 4, 4))
    assert encode_mixed(visual, Patches(torch.zeros(0, 1176), ())) == []


@pytest.mark.parametrize("rule", [STAGE_1, STAGE_2, RUN_TIME, DEMO])
def test_the_image_processor_leaves_ruled_pictures_alone(rule):
    _, processor = tiny_parts()
    image = apply_rule(rule, noise_picture(1, 333, 111))
    grid = processor.image_processor(images=[image], return_tensors="pt")["image_grid_thw"][0].tolist()
    assert grid == [1, image.height // 14, image.width // 14]
