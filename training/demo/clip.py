"""Teaches the demo CLIP: a small open_clip model, from nothing, on drawn people.

Three losses on one embedding: crops of one person come together against look-alikes (supervised
contrastive, Khosla et al. 2020), crops and descriptions that fit come together, whichever crop a
description was written for, and so do crops and the words for each single attribute, against the other
values of its kind. A description that is true of a crop but does not show in it counts as neither.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from tokenizers.processors import TemplateProcessing
from torch import Tensor, nn
from torch.nn import functional as F

from app.model.vocabulary import LASTING, VOCABULARY_VERSION, Attribute, describe
from gallery_store.encoder import WEIGHTS_FILE, ClipEncoder, save_clip_folder
from gallery_store.torchvision_mend import mend_torchvision
from training.decoder import on_device
from training.demo.attribute_heads import (
    AttributeHeads,
    attribute_loss,
    by_kind,
    hidden_loss,
    value_priors,
)
from training.demo.learning import LearningLog, exactly, learn, muon_and_adamw, process_rank
from training.demo.looks import DevicePictures, Looks, draw_looks
from training.demo.pool import CLIP_SIZE, Pool
from training.demo.sampling import Batches, BatchRule, descriptions
from training.demo.tokenizer import build_tokenizer
from training.synthetic.captions import caption, fragment
from training.synthetic.truth import satisfies, value_indices

CONTEXT = 64
RATE = 2e-3
FURTHER_RATE = 0.5  # of it, where finished weights are taught further
FAMILIES, FURTHER_FAMILIES = 10, 16  # of a step; the more, the more others a crop is told from
WARMUP = 200  # steps, at most a tenth of all
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


def build_clip(seed: int, version: int = VOCABULARY_VERSION) -> tuple[Any, dict[str, Any], Any]:
    """The random model, its open_clip configuration, and its tokenizer, for a version of the vocabulary."""
    mend_torchvision()
    import open_clip

    tokenizer = build_tokenizer(version=version)
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


@dataclass(frozen=True)
class ClipStep:
    """rows int64 (B,) of the pool with their looks; tokens int64 (B, length): a description of each; fits, unsure bool
    (B, B), as of `satisfies`. values: whether the words for each value are asked too."""

    rows: np.ndarray
    looks: Looks
    tokens: np.ndarray
    fits: np.ndarray
    unsure: np.ndarray
    values: bool


class ClipLesson:
    """What CLIP is taught, step by step.

    start: a folder as `save_clip_folder` writes it, whose weights are taught further; None begins with random ones.
    families: of three people each in a step. pictures: the pool's, where they are learnt from.
    """

    stage = "clip"

    def __init__(
        self,
        pool: Pool,
        pictures: DevicePictures,
        *,
        seed: int,
        start: Path | None = None,
        families: int = FAMILIES,
        rate: float = RATE,
    ) -> None:
        self.model, self.config, self.tokenizer = build_clip(seed, pool.vocabulary)
        if start is not None:
            self.model.load_state_dict(load_file(start / WEIGHTS_FILE))
        self.pool, self.pictures, self.seed = pool, pictures, seed
        self.families = min(families, len(np.unique(pool.family)))
        torch.manual_seed(seed)
        self.heads = AttributeHeads(self.config["embed_dim"], pool.kinds)
        model, device = self.model, pictures.device
        model.visual.to(memory_format=torch.channels_last)
        self.modules: dict[str, nn.Module] = {"model": model.to(device), "heads": self.heads.to(device)}
        filters = [m.weight for m in model.visual.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        inside = [*filters, *model.transformer.parameters()]
        self.optimizers = muon_and_adamw(inside, (*model.parameters(), *self.heads.parameters()), rate)
        self._drawers = {1: self._batches(1)}
        named = [
            describe((Attribute(kind, value),)) for kind, values in pool.kinds.items() for value in values
        ]
        self._value_tokens = torch.from_numpy(self._tokens(named)).to(device)
        self._usual = value_priors(pool.visible, pool.kinds)
        self._lasting = dict.fromkeys(LASTING, LASTING_WEIGHT)
        shape = (1, 3, 1, 1)
        self._mean = torch.tensor(PREPROCESS["mean"], device=device).view(shape) * 255
        self._std = torch.tensor(PREPROCESS["std"], device=device).view(shape) * 255

    def _tokens(self, texts: list[str]) -> np.ndarray:
        """int64 (texts, longest)."""
        given: dict[str, Any] = {"padding": True, "truncation": True, "max_length": CONTEXT}
        return np.asarray(self.tokenizer(texts, return_tensors="np", **given)["input_ids"], np.int64)

    def renew(self, pool: Pool) -> None:
        """Goes on with a pool that begins with the one before."""
        self.pool, self._drawers = pool, {}

    def draw(self, step: int, done: float, parts: int = 1) -> ClipStep:
        """parts: a step of so many times fewer families."""
        rng = np.random.default_rng((self.seed, step, 7, process_rank()))
        if parts not in self._drawers:
            self._drawers[parts] = self._batches(parts)
        rows = self._drawers[parts].batch(step)
        looks = draw_looks(rng, len(rows), *self.pictures.size)
        described = descriptions(self.pool, rows, rng, (1, 9), canonical=0.75)
        fits, unsure = satisfies(
            described.fragments, self.pool.attributes[rows], self.pool.visible[rows], described.refused
        )
        return ClipStep(rows, looks, self._tokens(described.texts), fits, unsure, step % 3 == 0)

    def _batches(self, parts: int) -> Batches:
        rule = BatchRule(families=max(2, self.families // parts), changed_clothes=0.3, infrared=0.4)
        return Batches(self.pool, rule, self.seed + 1000 * process_rank())

    def loss(self, drawn: ClipStep) -> tuple[Tensor, dict[str, Tensor]]:
        model, device = self.model, self.pictures.device
        with torch.no_grad():
            model.logit_scale.clamp_(0, math.log(SHARPEST))
        pictures = self.pictures(drawn.rows, drawn.looks)
        pixels = (pictures.permute(0, 3, 1, 2).float() - self._mean) / self._std
        raw = model.encode_image(pixels.contiguous(memory_format=torch.channels_last)).float()
        images = F.normalize(raw, dim=1)
        tokens, fits, unsure, person = (
            on_device(one, device)
            for one in (drawn.tokens, drawn.fits, drawn.unsure, self.pool.person[drawn.rows])
        )
        words = F.normalize(encode_short_texts(model, tokens).float(), dim=1)
        visible = self.pool.visible[drawn.rows]
        by_text = text_loss(images, words, fits, unsure, model.logit_scale.exp())
        by_person = person_loss(images, person)
        by_heads = attribute_loss(self.heads(raw), visible, self._lasting)
        figures = {"person": by_person, "text": by_text, "attributes": by_heads}
        loss = by_person + 1.5 * by_text + 2 * by_heads
        if drawn.values:  # the words for each value against the other values', as the engine asks them
            values = F.normalize(encode_short_texts(model, self._value_tokens).float(), dim=1)
            with exactly(images):
                cosines = images @ values.T
            logits = by_kind(cosines * SHARPNESS, self.pool.kinds)
            figures["values"] = attribute_loss(logits, visible, self._lasting)
            figures["hidden"] = hidden_loss(logits, visible, self._usual)
            loss = loss + 3 * figures["values"] + figures["hidden"]
        return loss, figures

    def write(self, folder: Path, name: str) -> None:
        """The folder that `ClipEncoder` reads."""
        model = copy.deepcopy(self.model).cpu()
        save_clip_folder(model, self.config, PREPROCESS, self.tokenizer, folder, name=name)


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
    rate, families = (RATE * FURTHER_RATE, FURTHER_FAMILIES) if start else (RATE, FAMILIES)
    pictures = DevicePictures(pool.large)
    lesson = ClipLesson(pool, pictures, seed=seed, start=start, families=families, rate=rate)

    def write() -> None:
        lesson.write(folder, name)

    def take(step: int, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.autocast("cpu", torch.bfloat16, enabled=multiplies_bfloat16()):
            return lesson.loss(lesson.draw(step, done))

    learn(
        take,
        lesson.modules,
        lesson.optimizers,
        steps=steps,
        state=work / "clip.pt",
        log=log,
        stage=lesson.stage,
        warmup=min(WARMUP, max(1, steps // 10)),
        kept=write,
    )
    if not folder.is_dir() and not process_rank():
        write()


def multiplies_bfloat16() -> bool:
    """Whether this processor takes products in bfloat16 itself; others emulate them at a tenth of the speed."""
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.11 does not tell
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def encode_short_texts(model: Any, tokens: Tensor) -> Tensor:
    """`model.encode_text` for a batch padded to its own longest text, instead of to the model's context.

    Attention is causal and the end mark is what is read, so the padding beyond it never mattered.
    """
    length = tokens.shape[1]
    hidden = model.token_embedding(tokens) + model.positional_embedding[:length]
    hidden = model.transformer(hidden, attn_mask=model.attn_mask[:length, :length])
    ends = (tokens == model.text_eos_id).int().argmax(1)
    rows = torch.arange(len(tokens), device=tokens.device)
    return model.ln_final(hidden)[rows, ends] @ model.text_projection


def person_loss(embeddings: Tensor, person: Tensor, temperature: float = 0.07) -> Tensor:
    """Supervised contrastive loss over unit rows (B, d); person (B,)."""
    with exactly(embeddings):
        logits = embeddings @ embeddings.T / temperature
    same = person[:, None] == person[None]
    itself = torch.eye(len(person), dtype=torch.bool, device=person.device)
    logits = logits.masked_fill(itself, -1e4)
    log_share = logits - logits.logsumexp(1, keepdim=True)
    positive = same & ~itself
    return -(log_share * positive).sum(1).div(positive.sum(1).clamp(min=1)).mean()


def text_loss(images: Tensor, texts: Tensor, fits: Tensor, unsure: Tensor, scale: Tensor) -> Tensor:
    """Both directions over unit rows (B, d) and (T, d); fits, unsure (B, T) as of `satisfies`."""
    with exactly(images):
        logits = (images @ texts.T * scale).masked_fill(unsure, -1e4)
    right = fits & ~unsure
    both = []
    for axis in (0, 1):
        log_share = logits - logits.logsumexp(axis, keepdim=True)
        both.append(-(log_share * right).sum(axis).div(right.sum(axis).clamp(min=1)).mean())
    return (both[0] + both[1]) / 2


def measure(folder: Path, pool: Pool, device: str = "cpu") -> dict[str, float]:
    """Image and text retrieval over a validation pool: what the log and the model card quote."""
    from training.evaluation.metrics import evaluate

    encoder = ClipEncoder.load(folder, device)
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
