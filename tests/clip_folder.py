"""Makes a tiny open_clip folder with random weights, for tests that need an encoder and not a good one."""

from __future__ import annotations

from pathlib import Path

from gallery_store.encoder import save_clip_folder
from gallery_store.torchvision_mend import mend_torchvision

_WORDS = """
a person man woman with in the and no red green blue black white orange yellow coat jacket top shirt
trousers skirt hat bag backpack umbrella glasses long short hair
"""
WORDS = _WORDS.split()
SPECIAL = ["<pad>", "<unk>", "<start>", "<end>"]


def make_clip_folder(
    path: str | Path, seed: int = 0, dim: int = 32, size: tuple[int, int] = (56, 28)
) -> Path:
    """A CLIP of about 60,000 random weights; `size` is (height, width). One seed, one model."""
    import torch

    mend_torchvision()
    import open_clip

    model_cfg = {
        "embed_dim": dim,
        "vision_cfg": {
            "image_size": list(size),
            "layers": 1,
            "width": 32,
            "head_width": 16,
            "patch_size": 14,
        },
        "text_cfg": {
            "context_length": 16,
            "vocab_size": len(SPECIAL) + len(WORDS),
            "width": 32,
            "heads": 2,
            "layers": 1,
            "pad_id": 0,
            "eos_id": 3,
            "pool_type": "eos",
        },
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = open_clip.CLIP(**model_cfg)
    preprocess_cfg = {"mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25], "interpolation": "bicubic"}
    return save_clip_folder(model, model_cfg, preprocess_cfg, make_tokenizer(), path)


def make_tokenizer():  # type: ignore[no-untyped-def]
    """A word-level fast tokenizer over WORDS: "<start> ... <end>", unknown words as "<unk>"."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate(SPECIAL + WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", 2), ("<end>", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<start>",
        eos_token="<end>",
    )
