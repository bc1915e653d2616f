"""Reading pictures kind by kind on a toy checkpoint, against the stock model probe for each kind by itself."""

import numpy as np
import pytest
import torch

from app.model.attributes import attribute_probe
from app.model.checkpoint import ModelError
from app.model.pictures import STAGE_2, Picture
from app.model.prompts import annotate_prompt
from app.model.vocabulary import KINDS
from app.retrieval.attribute_probs import by_kinds
from tests.tiny_qwen import picture, tiny_parts, with_rule

SIZES = [(112, 56), (140, 84)]  # multiples of 28, so that neither side resizes


def stock_probs(shown, kind):
    """The plain full forward of transformers with the answer begun: a softmax over what the values begin with."""
    stock, processor = tiny_parts()
    question = processor.apply_chat_template(annotate_prompt(), tokenize=False, add_generation_prompt=True)
    begun = kind.replace("_", " ") + ":"
    inputs = processor(text=[question], images=[shown.load()], return_tensors="pt")
    more = torch.tensor([processor.tokenizer(begun, add_special_tokens=False)["input_ids"]])
    inputs["input_ids"] = torch.cat([inputs["input_ids"], more], 1)
    for name in ("attention_mask", "mm_token_type_ids"):
        if name in inputs:
            fill = 1 if name == "attention_mask" else 0
            inputs[name] = torch.cat([inputs[name], torch.full_like(more, fill)], 1)
    with torch.no_grad():
        logits = stock(**inputs).logits[0, -1]
    first = [
        processor.tokenizer(f"{begun} {value}", add_special_tokens=False)["input_ids"][more.shape[1]]
        for value in KINDS[kind]
    ]
    return logits[first].softmax(0).numpy()


@pytest.fixture
def model(tmp_path):
    return with_rule(tmp_path / "mixed", STAGE_2)


def test_all_kinds_at_once_equal_each_kind_by_itself(model):
    pictures = [picture(seed, *SIZES[seed % 2]) for seed in range(4)]
    rows = model.attribute_probs(pictures)
    assert rows.dtype == np.float32
    assert rows.shape == (4, sum(map(len, KINDS.values())))
    for kind in KINDS:
        mine = by_kinds(rows)[kind]
        np.testing.assert_allclose(mine.sum(0), 1, atol=1e-5)
        for place, shown in enumerate(pictures):
            np.testing.assert_allclose(mine[:, place], stock_probs(shown, kind), atol=1e-4)
    assert np.ptp(rows, axis=0).max() > 1e-3  # pictures differ
    np.testing.assert_array_equal(model.attribute_probs(pictures[::-1]), rows[::-1])  # remembered


def test_a_batch_never_changes_what_is_read(model):
    pictures = [picture(100 + seed, *SIZES[seed % 2]) for seed in range(40)]
    together = model.attribute_probs(pictures)
    fresh = type(model).load(model._checkpoint.spec)
    for place in (0, 1, 32, 39):
        np.testing.assert_allclose(fresh.attribute_probs([pictures[place]])[0], together[place], atol=1e-4)


def test_pictures_that_cannot_be_opened_and_a_stop_leave_nan(model):
    def gone():
        raise FileNotFoundError("gone.jpg")

    rows = model.attribute_probs([picture(1), Picture("gone", gone), picture(1)])
    assert np.isnan(rows).all(1).tolist() == [False, True, False]
    calls = iter([False, True])
    rows = model.attribute_probs([picture(200 + seed) for seed in range(40)], stop=lambda: next(calls))
    read = int(np.isfinite(rows).all(1).sum())
    assert 1 <= read <= 32  # one batch, as large as it was quick
    assert np.isnan(rows).all(1).tolist() == [False] * read + [True] * (40 - read)
    assert model.attribute_probs([]).shape == (0, sum(map(len, KINDS.values())))


def test_values_that_begin_alike_are_refused(model, monkeypatch):
    monkeypatch.setitem(KINDS, "hat", ("beanie", "beanie blue"))
    with pytest.raises(ModelError, match="'hat:' with the same token"):
        model.attribute_probs([picture(1)])


def test_beginnings_do_not_see_one_another():
    _, processor = tiny_parts()
    probe = attribute_probe(processor, (1, 8, 4))
    own = probe.mask[:, len(probe.prefix_ids) :]
    first = int(probe.ends[0])
    second = int(probe.ends[1])
    assert own[second, first + 1 : second + 1].all()
    assert not own[second, probe.ends[0]]
    assert not own[first, second]
    assert own[second, : probe.tokens].all()
    assert probe.block_positions[0, first + 1] == probe.block_positions[0, int(probe.ends[1]) + 1]
