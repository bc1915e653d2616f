"""The fast layout, positions, patches and packing against what transformers makes of the same question."""

import numpy as np
import pytest
import torch

from app.model import image_rules
from app.model.layout import PromptTokens, answer_ids, pack, packed_mask, pair_layout, yes_no_ids
from app.model.prompts import NO, YES, best_choice_prompt, pair_prompt
from app.model.vision import Patches, encode_grids, encode_mixed, pixel_patches
from tests.tiny_qwen import noise_picture, tiny_parts

QUESTIONS = [("a woman in a red jacket", 0), ("", 1), ("a green coat", 2)]


def stock_inputs(processor, prompt, images):
    """The real processor's tensors for a prompt with its pictures, without resizing."""
    text = processor.apply_chat_template(prompt.messages, tokenize=False, add_generation_prompt=True)
    return processor(text=[text], images=images, return_tensors="pt")


@pytest.mark.parametrize(("description", "references"), QUESTIONS)
def test_layout_equals_the_stock_processor_and_rope_index(description, references):
    model, processor = tiny_parts()
    sizes = [(112, 56), (140, 84), (112, 112)]
    images = [noise_picture(seed, *sizes[seed]) for seed in range(references)] + [noise_picture(9, 196, 84)]
    prompt = pair_prompt(description, references)
    stock = stock_inputs(processor, prompt, images)
    grids = [tuple(row) for row in stock["image_grid_thw"].tolist()]
    layout = pair_layout(processor, prompt, grids[:-1], grids[-1])
    ids = torch.cat([layout.prefix_ids, layout.block_ids])
    assert ids.tolist() == stock["input_ids"][0].tolist()
    positions, _ = model.model.get_rope_index(
        stock["input_ids"], stock["mm_token_type_ids"], image_grid_thw=stock["image_grid_thw"]
    )
    mine = torch.cat([layout.prefix_positions, layout.block_positions], dim=1)
    assert torch.equal(mine, positions[:, 0])
    image_token = processor.image_token_id
    start, end = layout.block_image_span
    assert start == 0
    assert (layout.block_ids[:end] == image_token).all()
    assert not (layout.block_ids[end:] == image_token).any()
    marked = torch.zeros(len(layout.prefix_ids), dtype=torch.bool)
    for first, last in layout.prefix_image_spans:
        marked[first:last] = True
    assert torch.equal(marked, layout.prefix_ids == image_token)


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


@pytest.mark.parametrize(("description", "references"), QUESTIONS)
def test_packed_candidates_equal_one_pair_at_a_time(description, references):
    model, processor = tiny_parts()
    queries = [noise_picture(seed) for seed in range(references)]
    candidates = [noise_picture(seed) for seed in range(20, 25)]
    prompt = pair_prompt(description, references)
    layout = pair_layout(processor, prompt, [(1, 8, 4)] * references, (1, 8, 4))
    packed = pack(layout, len(candidates))
    with torch.no_grad():
        single = []
        for candidate in candidates:
            outputs = model(**stock_inputs(processor, prompt, [*queries, candidate]))
            single.append(outputs.logits[0, -1])
        tokens = torch.cat(encode_mixed(model.model.visual, pixel_patches([*queries, *candidates])))
        embeds = model.get_input_embeddings()(packed.ids)
        embeds[packed.ids == processor.image_token_id] = tokens
        hidden = model.model.language_model(
            inputs_embeds=embeds[None],
            position_ids=packed.positions[:, None],
            attention_mask={"full_attention": packed.mask},
        ).last_hidden_state
        together = model.lm_head(hidden[0, packed.answers])
    torch.testing.assert_close(together, torch.stack(single), atol=1e-4, rtol=0)
    assert (together[0] - together[1]).abs().max() > 1e-3  # other candidates give other logits


def test_the_packed_mask_by_brute_force():
    prefix, block, blocks = 3, 2, 3
    mask = packed_mask(prefix, block, blocks)
    length = prefix + block * blocks
    assert mask.shape == (1, 1, length, length)
    for row in range(length):
        for column in range(length):
            same = column < prefix or (
                row >= prefix and (row - prefix) // block == (column - prefix) // block
            )
            assert mask[0, 0, row, column] == (same and column <= row)
    added = packed_mask(prefix, block, blocks, dtype=torch.float32)
    assert torch.equal(added == 0, mask)
    assert added.min() == torch.finfo(torch.float32).min


def test_yes_and_no_are_told_apart_in_their_place():
    _, processor = tiny_parts()
    yes, no = yes_no_ids(processor.tokenizer)
    assert yes != no
    whole = processor.tokenizer(f"<|im_start|>assistant\n{YES}<|im_end|>")["input_ids"]
    assert whole[-2] == yes
    assert answer_ids(processor.tokenizer, NO) == [no]


def test_the_best_choice_prompt_fills_with_mixed_grids():
    _, processor = tiny_parts()
    prompt = best_choice_prompt("", references=1, candidates=3)
    images = [noise_picture(1), noise_picture(2, 140, 84), noise_picture(3), noise_picture(4, 84, 84)]
    stock = stock_inputs(processor, prompt, images)
    grids = [tuple(row) for row in stock["image_grid_thw"].tolist()]
    filled = PromptTokens(processor, prompt.messages).fill(grids)
    assert filled.ids.tolist() == stock["input_ids"][0].tolist()
    with pytest.raises(ValueError, match="4 pictures"):
        PromptTokens(processor, prompt.messages).fill(grids[:2])


@pytest.mark.parametrize(
    "rule", [image_rules.STAGE_1, image_rules.STAGE_2, image_rules.RUN_TIME, image_rules.DEMO]
)
def test_the_image_processor_leaves_ruled_pictures_alone(rule):
    _, processor = tiny_parts()
    image = image_rules.apply(rule, noise_picture(1, 333, 111))
    grid = processor.image_processor(images=[image], return_tensors="pt")["image_grid_thw"][0].tolist()
    assert grid == [1, image.height // 14, image.width // 14]
