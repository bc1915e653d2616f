"""Stage 0: what stands in for a pre-trained base. The vision tower learns what makes one person of two crops.

From random weights and captions alone, nothing is learnt in affordable time: the pictures are ignored.
Here the merger's tokens, laid side by side, are taught by a supervised contrastive loss against look-alikes
and by one look over the tokens per kind of visible attribute; beside them their *mean*, which a language
model's attention can read off, by the same contrastive loss, and each token by a late-interaction loss (as in
ColBERT, Khattab and Zaharia 2020). The tower knows places only relative to each other (rotary positions),
so a head over the mean alone cannot ask for "the colour up there": it learnt ten times slower. The heads
are thrown away afterwards.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.model.vision import PATCH, encode_grids, pixel_patches, token_count
from training.demo.attribute_heads import AttributeAttention, attribute_accuracy, attribute_loss
from training.demo.clip import person_loss
from training.demo.learning import LearningLog, learn, muon_and_adamw, process_rank
from training.demo.pool import Pool
from training.demo.sampling import Batches, BatchRule, augmented
from training.synthetic.truth import KIND_NAMES

RATE = 2e-3


class WarmUp(nn.Module):
    """The tower with the heads that teach it."""

    def __init__(self, visual: Any, width: int, tokens: int, embedding: int = 256) -> None:
        super().__init__()
        self.visual = visual
        self.whole = nn.Linear(tokens * width, embedding)
        self.person = nn.Linear(width, embedding, bias=False)
        self.tokens = nn.Linear(width, 64, bias=False)
        self.attributes = AttributeAttention(width, tokens)

    def forward(self, pictures: np.ndarray) -> Tensor:
        """uint8 (n, h, w, 3) -> (n, tokens, width)."""
        patches = pixel_patches(pictures)
        grid = patches.grids[0]
        return encode_grids(
            self.visual, patches.values.view(len(pictures), -1, patches.values.shape[1]), grid
        )

    def embed(self, tokens: Tensor) -> Tensor:
        """(n, tokens, width) -> unit rows (n, embedding), of all tokens in their places."""
        return F.normalize(self.whole(tokens.flatten(1)), dim=1)


def warm_up(model: Any, pool: Pool) -> WarmUp:
    """Fresh heads around a model's tower, for the pool's size of picture."""
    height, width = pool.pictures.shape[1:3]
    return WarmUp(
        model.model.visual,
        model.config.text_config.hidden_size,
        token_count((1, height // PATCH, width // PATCH)),
    )


def late_interaction(tokens: Tensor, person: Tensor, temperature: float = 0.07) -> Tensor:
    """Contrastive loss on the mean over a crop's tokens of the best cosine among another's; tokens (B, T, d)."""
    unit = F.normalize(tokens, dim=2)
    count, length, width = unit.shape
    flat = unit.reshape(-1, width)
    best = (flat @ flat.T).view(count, length, count, length).amax(3).mean(1)
    logits = (best + best.T) / 2 / temperature
    itself = torch.eye(count, dtype=torch.bool)
    logits = logits.masked_fill(itself, -1e4)
    positive = (person[:, None] == person[None]) & ~itself
    log_share = logits - logits.logsumexp(1, keepdim=True)
    return -(log_share * positive).sum(1).div(positive.sum(1).clamp(min=1)).mean()


def warm_tower(model: Any, pool: Pool, work: Path, *, steps: int, seed: int, log: LearningLog) -> WarmUp:
    """Teaches `model.model.visual` in place for `steps` steps in all; resumes from `work`."""
    torch.manual_seed(seed)
    warm = warm_up(model, pool)
    batches = Batches(
        pool, BatchRule(families=10, changed_clothes=0.3, infrared=0.4), seed + 1 + 1000 * process_rank()
    )
    optimizers = muon_and_adamw(warm.visual.parameters(), warm.parameters(), RATE)

    def take(step: int, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        rows = batches.batch(step)
        tokens = warm(augmented(pool.pictures[rows], np.random.default_rng((seed, step, 8, process_rank()))))
        person = torch.from_numpy(pool.person[rows])
        by_whole = person_loss(warm.embed(tokens), person)
        by_mean = person_loss(F.normalize(warm.person(tokens.mean(1)), dim=1), person)
        by_token = late_interaction(warm.tokens(tokens), person)
        by_kind = attribute_loss(warm.attributes(tokens), pool.visible[rows])
        return by_whole + 0.5 * by_mean + 0.25 * by_token + 4 * by_kind, {
            "person": by_whole,
            "mean": by_mean,
            "late": by_token,
            "attributes": by_kind,
        }

    learn(take, {"model": warm}, optimizers, steps=steps, state=work / "tower.pt", log=log, stage="0-tower")
    return warm


@torch.inference_mode()
def measure_tower(warm: WarmUp, pool: Pool) -> dict[str, float]:
    """The embedding alone over a validation pool, and how well the heads read the attributes."""
    from training.evaluation.metrics import evaluate

    tokens = torch.cat(
        [warm(np.asarray(part)) for part in np.array_split(pool.pictures, max(1, len(pool) // 256))]
    )
    vectors = warm.embed(tokens).numpy()
    rng = np.random.default_rng(0)
    queries = rng.choice(len(pool), min(400, len(pool)), replace=False)
    scores = vectors[queries] @ vectors.T
    other_clothes = pool.clothes[queries][:, None] != pool.clothes[None]
    scores[(pool.person[queries][:, None] == pool.person[None]) & other_clothes] = -2
    by_image = evaluate(scores, pool.clothes[queries], pool.clothes, pool.camera[queries], pool.camera)
    right = attribute_accuracy(warm.attributes(tokens), pool.visible)
    figures = {"image_mAP": by_image.mAP, "image_rank1": by_image.rank1, "attributes": float(np.mean(right))}
    return figures | {f"attribute_{kind}": value for kind, value in zip(KIND_NAMES, right, strict=True)}
