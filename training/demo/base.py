"""A small Qwen2-VL with random weights, in exactly the format of the published ones.

The demo model starts from it, and tests use it at toy sizes: `AutoModelForImageTextToText.from_pretrained`
and `AutoProcessor.from_pretrained` load the folder like Qwen/Qwen2-VL-2B-Instruct.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from transformers import GenerationConfig, PreTrainedTokenizerFast, Qwen2VLConfig

from app.model.vocabulary import VOCABULARY_VERSION
from gallery_store.torchvision_mend import mend_torchvision
from training.demo.tokenizer import CHAT_TEMPLATE, build_tokenizer

__all__ = ["build_base", "build_processor", "build_tokenizer", "demo_config"]


def demo_config(
    tokenizer: PreTrainedTokenizerFast,
    *,
    text_width: int = 192,
    layers: int = 4,
    heads: int = 4,
    kv_heads: int = 2,
    vision_width: int = 192,
    vision_depth: int = 4,
    vision_heads: int = 4,
) -> Qwen2VLConfig:
    """A Qwen2-VL configuration of these sizes for this tokenizer.

    Raises:
        ValueError: widths that the heads do not divide (rotary positions need head sizes in multiples of 4).
    """
    if text_width % heads or (text_width // heads) % 4 or heads % kv_heads:
        raise ValueError(f"text_width {text_width} does not fit {heads} heads ({kv_heads} of keys)")
    if vision_width % vision_heads or (vision_width // vision_heads) % 4:
        raise ValueError(f"vision_width {vision_width} does not fit {vision_heads} heads")
    half = text_width // heads // 2
    time = half // 4
    rows = (half - time) // 2

    def token(text: str) -> int:
        return int(tokenizer.get_vocab()[text])

    return Qwen2VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": text_width,
            "intermediate_size": text_width * 8 // 3 // 16 * 16,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "max_position_embeddings": 4096,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [time, rows, half - time - rows],
            },
            "bos_token_id": token("<|endoftext|>"),
            "eos_token_id": token("<|im_end|>"),
            "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={
            "depth": vision_depth,
            "embed_dim": vision_width,
            "hidden_size": text_width,
            "num_heads": vision_heads,
            "mlp_ratio": 4,
            "patch_size": 14,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
    )


def build_processor(tokenizer: PreTrainedTokenizerFast):
    """The real Qwen2VLProcessor around this tokenizer."""
    mend_torchvision()
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    return Qwen2VLProcessor(
        image_processor=Qwen2VLImageProcessor(),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=CHAT_TEMPLATE,
    )


def build_base(
    folder: Path | str,
    *,
    text_width: int = 192,
    layers: int = 4,
    heads: int = 4,
    kv_heads: int = 2,
    vision_width: int = 192,
    vision_depth: int = 4,
    vision_heads: int = 4,
    seed: int = 0,
    extra_words: Iterable[str] = (),
    version: int = VOCABULARY_VERSION,
) -> Path:
    """Write a checkpoint folder with random weights and return it; the same seed gives the same weights.

    version: of the vocabulary whose words get a token each.
    """
    mend_torchvision()
    from transformers import Qwen2VLForConditionalGeneration

    tokenizer = build_tokenizer(extra_words, version)
    config = demo_config(
        tokenizer,
        text_width=text_width,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
        vision_width=vision_width,
        vision_depth=vision_depth,
        vision_heads=vision_heads,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen2VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    folder = Path(folder)
    model.save_pretrained(folder)
    build_processor(tokenizer).save_pretrained(folder)
    return folder
