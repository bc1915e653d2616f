"""The demo's base checkpoint and tokenizer: the published format, reproducible, and a token for each word."""

import json
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.vocabulary import KINDS, attribute_words, describe, phrase
from app.model.vocabulary import Attribute as A
from tests.tiny_qwen import build_tiny, noise_picture, tiny_folder, tiny_parts
from training.demo.base import build_tokenizer, demo_config
from training.demo.tokenizer import MAX_ENTRIES, SPECIAL_TOKENS
from training.synthetic.captions import caption, fragment

TOKENIZER = build_tokenizer()


def test_two_builds_are_the_same(tmp_path):
    again = build_tiny(tmp_path / "again")
    other = build_tiny(tmp_path / "other", seed=1)
    for file in sorted(tiny_folder().iterdir()):
        digest = sha256(file.read_bytes()).hexdigest()
        assert sha256((again / file.name).read_bytes()).hexdigest() == digest, file.name
        if file.suffix == ".safetensors":
            assert sha256((other / file.name).read_bytes()).hexdigest() != digest


def test_the_folder_is_a_qwen2_vl_without_code():
    config = json.loads((tiny_folder() / "config.json").read_text())
    assert config["model_type"] == "qwen2_vl"
    assert config["architectures"] == ["Qwen2VLForConditionalGeneration"]
    assert not {file.suffix for file in tiny_folder().iterdir()} - {".json", ".jinja", ".safetensors"}
    _, processor = tiny_parts()
    messages = [
        {
            "role": "user",
            "content": [{"type": "image", "image": noise_picture(1)}, {"type": "text", "text": "Hi"}],
        }
    ]
    inputs = processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_tensors="pt", add_generation_prompt=True
    )
    assert inputs["input_ids"][0].tolist().count(processor.image_token_id) == 8


def test_the_saved_tokenizer_is_the_built_one():
    _, processor = tiny_parts()
    for text in ("Query: a woman.\nDoes t-shirt x", "naïve 東京 <|im_end|>\nYes"):
        assert processor.tokenizer(text)["input_ids"] == TOKENIZER(text)["input_ids"]
    assert len(TOKENIZER) <= MAX_ENTRIES
    for special in SPECIAL_TOKENS:
        assert len(TOKENIZER(special)["input_ids"]) == 1


def test_every_word_that_matters_is_one_token():
    words = {
        *attribute_words(),
        *(str(number) for number in range(1, 25)),
        "Yes",
        "No",
        "None",
        "Image",
        "unseen",
    }
    words |= {word for values in KINDS.values() for value in values for word in value.split()}
    for word in sorted(words):
        assert len(TOKENIZER(word)["input_ids"]) == 1, word
        assert TOKENIZER(f"x\n{word}")["input_ids"][-1:] == TOKENIZER(word)["input_ids"]
        assert TOKENIZER(f"the {word}")["input_ids"][-1:] == TOKENIZER(word)["input_ids"]
    assert TOKENIZER("No")["input_ids"] != TOKENIZER("no")["input_ids"]


def test_captions_of_the_drawn_world_have_a_token_a_word():
    rng = np.random.default_rng(0)
    for _ in range(300):
        person = {kind: values[int(rng.integers(len(values)))] for kind, values in KINDS.items()}
        for text in (caption(fragment(person, rng, 6), rng), describe([A(*pair) for pair in person.items()])):
            marks = text.count(",") + text.count(".")
            assert len(TOKENIZER(text)["input_ids"]) <= len(text.split()) + marks, text
    assert len(TOKENIZER(phrase(A("hat", "none")))["input_ids"]) == 2


@settings(max_examples=300)
@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=60))
def test_any_text_encodes_and_words_come_back(text):
    ids = TOKENIZER(text)["input_ids"]
    assert all(0 <= token < len(TOKENIZER) for token in ids)
    # Spaces around line breaks are not kept; everything else is.
    assert "".join(TOKENIZER.decode(ids).split()) == "".join(text.split())


def test_sizes_that_do_not_fit_are_refused():
    for sizes in (
        {"text_width": 100, "heads": 3},
        {"heads": 4, "kv_heads": 3},
        {"vision_width": 50, "vision_heads": 4},
    ):
        with pytest.raises(ValueError, match="does not fit"):
            demo_config(TOKENIZER, **sizes)
