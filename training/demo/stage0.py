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

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from app.model.vision import PATCH, picture_patches, token_count
from app.model.vocabulary import Kinds
from training.decoder import encode_rounded, on_device
from training.demo.attribute_heads import AttributeAttention, attribute_accuracy, attribute_loss
from training.demo.clip import person_loss
from training.demo.learning import LearningLog, learn, muon_and_adamw, process_rank
from training.demo.looks import DevicePictures, Looks, draw_looks
from training.demo.pool import Pool
from training.demo.sampling import Batches, BatchRule

RATE = 2e-3
FAMILIES = 10  # of a step


class WarmUp(nn.Module):
    """The tower with the heads that teach it."""

    def __init__(self, visual: Any, width: int, tokens: int, kinds: Kinds, embedding: int = 256) -> None:
        super().__init__()
        self.visual = visual
        self.whole = nn.Linear(tokens * width, embedding)
        self.person = nn.Linear(width, embedding, bias=False)
        self.tokens = nn.Linear(width, 64, bias=False)
        self.attributes = AttributeAttention(width, tokens, kinds)

    def forward(self, pictures: Tensor) -> Tensor:
        """uint8 (n, h, w, 3) -> (n, tokens, width)."""
        return encode_rounded(self.visual, *picture_patches(pictures))

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
        pool.kinds,
    )


def late_interaction(tokens: Tensor, person: Tensor, temperature: float = 0.07) -> Tensor:
    """Contrastive loss on the mean over a crop's tokens of the best cosine among another's; tokens (B, T, d)."""
    unit = F.normalize(tokens, dim=2)
    count, length, width = unit.shape
    flat = unit.reshape(-1, width)
    best = (flat @ flat.T).view(count, length, count, length).amax(3).float().mean(1)
    logits = (best + best.T) / 2 / temperature
    itself = torch.eye(count, dtype=torch.bool, device=person.device)
    logits = logits.masked_fill(itself, -1e4)
    positive = (person[:, None] == person[None]) & ~itself
    log_share = logits - logits.logsumexp(1, keepdim=True)
    return -(log_share * positive).sum(1).div(positive.sum(1).clamp(min=1)).mean()


@dataclass(frozen=True)
class TowerStep:
    """rows int64 (B,) of the pool, and their looks."""

    rows: np.ndarray
    looks: Looks


class TowerLesson:
    """What the tower of a model is taught, step by step, in place.

    families: of three people each in a step. pictures: the pool's, where they are learnt from; the model is there.
    """

    stage = "0-tower"

    def __init__(
        self,
        model: Any,
        pool: Pool,
        pictures: DevicePictures,
        *,
        seed: int,
        families: int = FAMILIES,
        rate: float = RATE,
    ) -> None:
        torch.manual_seed(seed)
        self.warm = warm_up(model, pool).to(pictures.device)
        self.modules: dict[str, nn.Module] = {"model": self.warm}
        self.pool, self.pictures, self.seed = pool, pictures, seed
        self.families = min(families, len(np.unique(pool.family)))
        self.optimizers = muon_and_adamw(self.warm.visual.parameters(), self.warm.parameters(), rate)
        self._drawers = {1: self._batches(1)}

    def renew(self, pool: Pool) -> None:
        """Goes on with a pool that begins with the one before."""
        self.pool, self._drawers = pool, {}

    def draw(self, step: int, done: float, parts: int = 1) -> TowerStep:
        """parts: a step of so many times fewer families."""
        if parts not in self._drawers:
            self._drawers[parts] = self._batches(parts)
        rows = self._drawers[parts].batch(step)
        rng = np.random.default_rng((self.seed, step, 8, process_rank()))
        return TowerStep(rows, draw_looks(rng, len(rows), *self.pictures.size))

    def _batches(self, parts: int) -> Batches:
        rule = BatchRule(families=max(2, self.families // parts), changed_clothes=0.3, infrared=0.4)
        return Batches(self.pool, rule, self.seed + 1 + 1000 * process_rank())

    def loss(self, drawn: TowerStep) -> tuple[Tensor, dict[str, Tensor]]:
        warm = self.warm
        tokens = warm(self.pictures(drawn.rows, drawn.looks))
        person = on_device(self.pool.person[drawn.rows], tokens.device)
        by_whole = person_loss(warm.embed(tokens).float(), person)
        by_mean = person_loss(F.normalize(warm.person(tokens.mean(1)).float(), dim=1), person)
        by_token = late_interaction(warm.tokens(tokens), person)
        by_kind = attribute_loss(warm.attributes(tokens), self.pool.visible[drawn.rows])
        return by_whole + 0.5 * by_mean + 0.25 * by_token + 4 * by_kind, {
            "person": by_whole,
            "mean": by_mean,
            "late": by_token,
            "attributes": by_kind,
        }


def warm_tower(model: Any, pool: Pool, work: Path, *, steps: int, seed: int, log: LearningLog) -> WarmUp:
    """Teaches `model.model.visual` in place for `steps` steps in all; resumes from `work`."""
    lesson = TowerLesson(model, pool, DevicePictures(pool.pictures), seed=seed)
    learn(
        lambda step, done: lesson.loss(lesson.draw(step, done)),
        lesson.modules,
        lesson.optimizers,
        steps=steps,
        state=work / "tower.pt",
        log=log,
        stage=lesson.stage,
    )
    return lesson.warm


@torch.inference_mode()
def measure_tower(warm: WarmUp, pool: Pool) -> dict[str, float]:
    """The embedding alone over a validation pool, and how well the heads read the attributes."""
    from training.evaluation.metrics import evaluate

    device = warm.whole.weight.device
    parts = np.array_split(pool.pictures, max(1, len(pool) // 256))
    tokens = torch.cat([warm(torch.from_numpy(np.array(part)).to(device)) for part in parts]).float()
    vectors = warm.embed(tokens).cpu().numpy()
    rng = np.random.default_rng(0)
    queries = rng.choice(len(pool), min(400, len(pool)), replace=False)
    scores = vectors[queries] @ vectors.T
    other_clothes = pool.clothes[queries][:, None] != pool.clothes[None]
    scores[(pool.person[queries][:, None] == pool.person[None]) & other_clothes] = -2
    by_image = evaluate(scores, pool.clothes[queries], pool.clothes, pool.camera[queries], pool.camera)
    right = attribute_accuracy(warm.attributes(tokens), pool.visible)
    figures = {
        "image_mAP": by_image.mAP,
        "image_rank1": by_image.rank1,
        "attributes": float(np.nanmean(right)),
    }
    shown = [(kind, value) for kind, value in zip(pool.kinds, right, strict=True) if np.isfinite(value)]
    return figures | {f"attribute_{kind}": value for kind, value in shown}
