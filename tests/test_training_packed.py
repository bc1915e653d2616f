"""The packed objective asks exactly what run time asks, and learns from the right pairs."""

import numpy as np
import pytest
import torch

from app.model.prompts import pair_prompt
from app.model.scoring import pair_layout, yes_no_ids
from tests.tiny_qwen import tiny_parts
from training.decoder import Decoder
from training.packed import answers, answers_of_pictures, collate, lay_out, listwise_loss

GRID = (1, 4, 2)


@pytest.fixture(scope="module")
def tiny():
    return tiny_parts()


@pytest.mark.parametrize(
    ("texts", "references"),
    [(["a woman in a red jacket", "a man"], 0), (["", ""], 1), (["a green coat", "a hat, not a cap"], 1)],
)
@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("words_behind", [False, True])
@torch.no_grad()
def test_packed_scores_equal_one_pair_at_a_time(tiny, texts, references, rounded, words_behind):
    model, processor = tiny
    width, tokens = model.config.text_config.hidden_size, 2
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(5, tokens, width, generator=generator)
    prompts = [pair_prompt(text, references, words_behind=words_behind) for text in texts]
    layouts = [pair_layout(processor, prompt, [GRID] * references, GRID) for prompt in prompts]
    queries = collate(model, layouts, [[pictures[i]] * references for i in range(len(texts))])
    yes_no = yes_no_ids(processor.tokenizer)
    packed = answers(Decoder(model, rounded=rounded), queries, pictures, yes_no).odds
    assert lay_out(layouts).one_prefix == (words_behind and not references)
    if words_behind and not references:
        once = answers_of_pictures(Decoder(model, rounded=rounded), queries, pictures[None], yes_no).odds
        torch.testing.assert_close(once, packed, atol=1e-4, rtol=0)
    for q, layout in enumerate(layouts):
        for c in range(len(pictures)):
            rows = model.get_input_embeddings()(torch.cat([layout.prefix_ids, layout.block_ids]))
            for start, end in layout.prefix_image_spans:
                rows[start:end] = pictures[q]
            start, end = (len(layout.prefix_ids) + place for place in layout.block_image_span)
            rows[start:end] = pictures[c]
            positions = torch.cat([layout.prefix_positions, layout.block_positions], 1)[:, None]
            hidden = model.model.language_model(
                inputs_embeds=rows[None], position_ids=positions
            ).last_hidden_state
            logits = model.lm_head(hidden[0, -1])
            assert packed[q, c].item() == pytest.approx(
                (logits[yes_no[0]] - logits[yes_no[1]]).item(), abs=1e-4
            )


def test_the_loss_falls_when_a_right_candidate_rises_and_ignores_the_ignored():
    right = torch.tensor([[True, False, False]])
    ignored = torch.tensor([[False, False, True]])
    low = listwise_loss(torch.tensor([[0.0, 0.0, 5.0]]), right, ignored)
    high = listwise_loss(torch.tensor([[2.0, 0.0, 5.0]]), right, ignored)
    same = listwise_loss(torch.tensor([[2.0, 0.0, -5.0]]), right, ignored)
    assert high < low
    assert high == pytest.approx(same.item())


def test_a_query_without_a_match_still_teaches_no():
    odds = torch.zeros(1, 3, requires_grad=True)
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    listwise_loss(odds, nothing, nothing).backward()
    assert odds.grad is not None
    assert (odds.grad > 0).all()
    assert np.isfinite(odds.grad.numpy()).all()
