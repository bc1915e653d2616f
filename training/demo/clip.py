"""Teaches the demo CLIP: a small open_clip model, from nothing, on drawn people.

Three losses on one embedding: crops of one person come together against look-alikes (supervised
contrastive, Khosla et al. 2020), crops and descriptions that fit come together, whichever crop a
description was written for, and so do crops and the words for each single attribute, against the other
values of its kind. A description that is true of a crop but does not show in it counts as neither.
"""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from torch.nn import functional as F

from app.model.vocabulary import KINDS, LASTING, Attribute, describe
from gallery_store.encoder import WEIGHTS_FILE, ClipEncoder, save_clip_folder
from gallery_store.torchvision_mend import mend_torchvision
from training.demo.attribute_heads import AttributeHeads, attribute_loss, hidden_loss, value_priors
from training.demo.learning import LearningLog, learn, muon_and_adamw, process_rank
from training.demo.pool import CLIP_SIZE, Pool
from training.demo.sampling import Batches, BatchRule, augmented, descriptions
from training.demo.tokenizer import build_tokenizer
from training.synthetic.captions import caption, fragment
from training.synthetic.truth import satisfies, value_indices

CONTEXT = 64
RATE = 2e-3
LASTING_WEIGHT = 2.0  # of what outlasts clothes, among the kinds to be read: it is small in a picture
SHARPNESS = 30.0  # of the softmax over the values of an attribute, per unit of cosine; the manifest tells it
SHARPEST = 100  # of the softmax over descriptions, per unit of cosine
PREPROCESS = {
    "size": list(CLIP_SIZE),
    "mode": "RGB",
    "mean": [0.48145466, 0.4578275, 0.40821073],
    "std": [0.26862954, 0.26130258, 0.27577711],
    "interpolation": "bicubic",
}


def build_clip(seed: int) -> tuple[Any, dict[str, Any], Any]:
    """The random model, its open_clip configuration, and its tokenizer."""
    mend_torchvision()
    import open_clip

    tokenizer = build_tokenizer()
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="$A <|im_end|>", special_tokens=[("<|im_end|>", end)]
    )
    tokenizer.padding_side = "right"
    config: dict[str, Any] = {
        "embed_dim": 256,
        "vision_cfg": {
            "image_size": list(CLIP_SIZE),
            "timm_model_name": "test_byobnet",  # half a million parameters; a ViT learns slower from nothing
            "timm_model_pretrained": False,
            "timm_pool": "abs_attn",  # places count: a red top is not a red skirt
            "timm_proj": "",
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": len(tokenizer),
            "width": 160,
            "heads": 4,
            "layers": 3,
            "pool_type": "eos",
            "eos_id": end,
            "pad_id": tokenizer.pad_token_id,
        },
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = open_clip.CLIP(**copy.deepcopy(config))
    return model, config, tokenizer


def train_clip(
    pool: Pool,
    folder: Path,
    work: Path,
    *,
    steps: int,
    seed: int,
    log: LearningLog,
    name: str,
    start: Path | None = None,
) -> None:
    """Takes `steps` steps in all, resuming from `work`, and writes the folder that `ClipEncoder` reads.

    start: a folder written so, whose weights are taught further; None begins with random ones.
    """
    model, config, tokenizer = build_clip(seed)
    if start is not None:
        model.load_state_dict(load_file(start / WEIGHTS_FILE))
    batches = Batches(
        pool, BatchRule(families=10, changed_clothes=0.3, infrared=0.4), seed + 1000 * process_rank()
    )
    torch.manual_seed(seed)
    heads = AttributeHeads(config["embed_dim"])
    model.visual.to(memory_format=torch.channels_last)
    filters = [m.weight for m in model.visual.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    inside = [*filters, *model.transformer.parameters()]
    optimizers = muon_and_adamw(inside, (*model.parameters(), *heads.parameters()), RATE)
    named = [describe((Attribute(kind, value),)) for kind, values in KINDS.items() for value in values]
    value_tokens = tokenizer(named, padding=True, return_tensors="pt")["input_ids"]
    sizes = [len(values) for values in KINDS.values()]
    usual, lasting = value_priors(pool.visible), dict.fromkeys(LASTING, LASTING_WEIGHT)
    mean = torch.tensor(PREPROCESS["mean"]).view(1, 3, 1, 1) * 255
    std = torch.tensor(PREPROCESS["std"]).view(1, 3, 1, 1) * 255

    def take(step: int, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(SHARPEST))
        rng = np.random.default_rng((seed, step, 7, process_rank()))
        rows = batches.batch(step)
        pictures = augmented(pool.large[rows], rng)
        pixels = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() - mean) / std
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        described = descriptions(pool, rows, rng, (1, 9), canonical=0.75)
        tokens = tokenizer(
            described.texts, padding=True, truncation=True, max_length=CONTEXT, return_tensors="pt"
        )["input_ids"]
        raw = model.encode_image(pixels)
        images = F.normalize(raw, dim=1)
        words = F.normalize(encode_short_texts(model, tokens), dim=1)
        fits, unsure = satisfies(
            described.fragments, pool.attributes[rows], pool.visible[rows], described.refused
        )
        by_text = text_loss(
            images, words, torch.from_numpy(fits), torch.from_numpy(unsure), model.logit_scale.exp()
        )
        by_person = person_loss(images, torch.from_numpy(pool.person[rows]))
        by_kind = attribute_loss(heads(raw), pool.visible[rows], lasting)
        figures = {"person": by_person, "text": by_text, "attributes": by_kind}
        loss = by_person + 1.5 * by_text + 2 * by_kind
        if step % 3 == 0:  # the words for each value against the other values', as the engine asks them
            values = F.normalize(encode_short_texts(model, value_tokens), dim=1)
            logits = (images @ values.T * SHARPNESS).split(sizes, 1)
            figures["values"] = attribute_loss(logits, pool.visible[rows], lasting)
            figures["hidden"] = hidden_loss(logits, pool.visible[rows], usual)
            loss = loss + 3 * figures["values"] + figures["hidden"]
        return loss, figures

    def write() -> None:
        save_clip_folder(model, config, PREPROCESS, tokenizer, folder, name=name)

    learn(
        take,
        {"model": model, "heads": heads},
        optimizers,
        steps=steps,
        state=work / "clip.pt",
        log=log,
        stage="clip",
        kept=write,
    )
    if not folder.is_dir() and not process_rank():
        write()


def encode_short_texts(model: Any, tokens: Tensor) -> Tensor:
    """`model.encode_text` for a batch padded to its own longest text, instead of to the model's context.

    Attention is causal and the end mark is what is read, so the padding beyond it never mattered.
    """
    length = tokens.shape[1]
    hidden = model.token_embedding(tokens) + model.positional_embedding[:length]
    hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
    ends = (tokens == model.text_eos_id).int().argmax(1)
    return model.ln_final(hidden)[torch.arange(len(tokens)), ends] @ model.text_projection


def person_loss(embeddings: Tensor, person: Tensor, temperature: float = 0.07) -> Tensor:
    """Supervised contrastive loss over unit rows (B, d); person (B,)."""
    logits = embeddings @ embeddings.T / temperature
    same = person[:, None] == person[None]
    itself = torch.eye(len(person), dtype=torch.bool)
    logits = logits.masked_fill(itself, -1e4)
    log_share = logits - logits.logsumexp(1, keepdim=True)
    positive = same & ~itself
    return -(log_share * positive).sum(1).div(positive.sum(1).clamp(min=1)).mean()


def text_loss(images: Tensor, texts: Tensor, fits: Tensor, unsure: Tensor, scale: Tensor) -> Tensor:
    """Both directions over unit rows (B, d) and (T, d); fits, unsure (B, T) as of `satisfies`."""
    logits = (images @ texts.T * scale).masked_fill(unsure, -1e4)
    right = fits & ~unsure
    both = []
    for axis in (0, 1):
        log_share = logits - logits.logsumexp(axis, keepdim=True)
        both.append(-(log_share * right).sum(axis).div(right.sum(axis).clamp(min=1)).mean())
    return (both[0] + both[1]) / 2


def measure(folder: Path, pool: Pool) -> dict[str, float]:
    """Image and text retrieval over a validation pool: what the log and the model card quote."""
    from training.evaluation.metrics import evaluate

    encoder = ClipEncoder.load(folder)
    from PIL import Image

    vectors = encoder.encode_images([Image.fromarray(picture) for picture in pool.large])
    rng = np.random.default_rng(0)
    queries = rng.choice(len(pool), min(400, len(pool)), replace=False)
    scores = vectors[queries] @ vectors.T
    same_clothes = pool.clothes[queries][:, None] == pool.clothes[None]
    scores[(pool.person[queries][:, None] == pool.person[None]) & ~same_clothes] = -2
    by_image = evaluate(scores, pool.clothes[queries], pool.clothes, pool.camera[queries], pool.camera)
    fragments = [fragment(pool.seen(int(row)), rng, 5) for row in queries]
    words = encoder.encode_texts([caption(s, rng, 1.0) for s in fragments])
    fits, _ = satisfies(
        np.stack([value_indices(s, pool.kinds) for s in fragments]), pool.attributes, pool.visible
    )
    best = np.argsort(-(words @ vectors.T), axis=1)
    hit = np.take_along_axis(fits.T, best, 1)
    return {
        "image_mAP": by_image.mAP,
        "image_rank1": by_image.rank1,
        "image_rank5": by_image.rank5,
        "text_rank1": float(hit[:, 0].mean()),
        "text_rank10": float(hit[:, :10].any(1).mean()),
    }
