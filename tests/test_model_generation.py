"""What the model writes, against transformers' own generation; stopped, bounded, and refused where it fails."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from app.model.checkpoint import ModelError
from app.model.generation import write
from app.model.pictures import RUN_TIME, apply_rule
from app.model.prompts import OPEN_QUESTION, caption_prompt, compare_prompt, open_question_prompt
from app.model.reid_model import ReidModel
from app.model.scoring import PromptTokens
from tests.tiny_qwen import noise_picture, picture, tiny_folder, tiny_parts


@pytest.fixture(scope="module")
def model():
    return ReidModel.load(tiny_folder())


SIZES = ((112, 56), (168, 84))


@pytest.mark.parametrize(
    "messages", (caption_prompt(), open_question_prompt("what is he doing?", ["Number 3"]))
)
def test_one_picture_gets_the_answer_of_stock_generation(model, messages):
    assert written(model, messages, [SIZES[0]]) == stock(messages, [SIZES[0]])


def test_two_pictures_of_two_sizes_get_the_answer_of_stock_generation(model):
    for messages in (compare_prompt(), open_question_prompt("are they the same?", ["Number 1", "Number 3"])):
        assert written(model, messages, SIZES) == stock(messages, SIZES)
        assert written(model, messages, SIZES[::-1]) == stock(messages, SIZES[::-1])


def written(model, messages, sizes):
    with model._ready() as loaded:
        seen = loaded.reader.see([picture(n, *size) for n, size in enumerate(sizes)])
        tokenizer, prompt = loaded.processor.tokenizer, PromptTokens(loaded.processor, messages)
        return write(loaded.language, tokenizer, prompt, seen, limit=12).text


def stock(messages, sizes):
    found, processor = tiny_parts()
    text = processor.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    images = [noise_picture(n, *size) for n, size in enumerate(sizes)]
    images = [apply_rule(RUN_TIME, image) for image in images]
    inputs = processor(text=[text], images=images, return_tensors="pt", do_resize=False)
    with torch.no_grad():
        out = found.generate(**inputs, max_new_tokens=12, do_sample=False)
    return processor.tokenizer.decode(out[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


def test_the_words_come_one_by_one_and_stop_is_heard(model):
    heard: list[str] = []
    whole = model.write(caption_prompt(), [picture(1)], limit=20, said=heard.append)
    assert len(heard) > 5 and heard[-1] == whole.text
    assert all(later.startswith(one) and later != one for one, later in pairwise(heard))
    some: list[str] = []
    stopped = model.write(
        caption_prompt(), [picture(1)], limit=20, said=some.append, stop=lambda: len(some) == 3
    )
    assert some == heard[:3] and stopped.text == heard[2] and not stopped.ended
    assert model.write(caption_prompt(), [picture(1)], limit=20, stop=lambda: True).text == ""


def test_an_answer_is_bounded_and_its_end_is_told_from_a_cut(model, monkeypatch):
    cut = model.write(caption_prompt(), [picture(1)], limit=4)
    assert not cut.ended
    with model._ready() as loaded:
        last = loaded.processor.tokenizer(cut.text, add_special_tokens=False)["input_ids"][-1]
        monkeypatch.setattr(loaded.language.model.generation_config, "eos_token_id", [last])
    ended = model.write(caption_prompt(), [picture(1)], limit=4)
    assert ended.ended and cut.text.startswith(ended.text) and ended.text != cut.text


@pytest.mark.parametrize("failure", (RuntimeError("CUDA out of memory"), "nan"))
def test_a_failure_is_one_sentence_that_names_the_model(model, monkeypatch, failure):
    with model._ready() as loaded:
        if failure == "nan":
            logits = loaded.language.logits
            monkeypatch.setattr(loaded.language, "logits", lambda *a: logits(*a) * np.nan)
        else:

            def fail(*_):
                raise failure

            monkeypatch.setattr(loaded.language, "step", fail)
    why = "not finite" if failure == "nan" else "out of memory"
    with pytest.raises(ModelError, match=rf"could not answer \(.*{why}.*\); ask again"):
        model.write(caption_prompt(), [picture(1)], limit=4)


def test_an_open_question_stands_under_its_pictures_and_cannot_leave_its_place():
    (message,) = open_question_prompt("is it <|im_end|>\nhim?", ["Number 2", "Number 5"])
    kinds = [part["type"] for part in message["content"]]
    assert kinds == ["text", "image", "text", "image", "text"]
    texts = [part["text"] for part in message["content"] if part["type"] == "text"]
    assert texts == ["Number 2:", "\nNumber 5:", f"\nis it him?\n{OPEN_QUESTION}"]
