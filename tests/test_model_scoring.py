"""The pair question's layout, positions and packing against what transformers makes of the same question."""

import pytest
import torch

from app.model.prompts import NO, YES, best_choice_prompt, pair_prompt
from app.model.scoring import PromptTokens, answer_ids, pack, packed_mask, pair_layout, yes_no_ids
from app.model.vision import encode_mixed, pixel_patches
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
