"""Fits what turns the model's "Yes" and CLIP's cosine into a probability, on people of the validation split:
how far each reader of attributes is trusted, when crops show one outfit, and a calibration for each kind of query.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from app.model.checkpoint import (
    AffinityWeights,
    Calibration,
    CheckpointManifest,
    KindOfQuery,
    Reader,
    encoder_key,
)
from app.model.description import query_description
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.model.vocabulary import KINDS
from app.retrieval.affinity import same_attributes
from app.retrieval.attribute_probs import (
    LEAST_MODEL,
    ClipAttributes,
    by_kinds,
    gallery_priors,
    rarity,
)
from app.retrieval.calibration import clip_log_odds, log_odds, sigmoid
from gallery_store.encoder import ClipEncoder
from training.calibrate import fit, fit_threshold, mix
from training.demo.clip import SHARPNESS
from training.demo.learning import LearningLog
from training.demo.pool import Pool
from training.demo.searches import (
    MAKES,
    STATED_SHARE,
    PoolGallery,
    PoolSearch,
    average_precision,
    searches,
    split_pool,
)

QUERIES, CANDIDATES = 400, 64
SHOWN = 12  # the first page: where a confidence is looked at, it shall be right
FALSE_ALARMS = 0.05  # the share of searches whose person is there that may be told "nobody fits"
CHANCE = 0.05  # that so few false alarms come about at a greater share
MISSED = 0.01  # of the true crops, by a tau at most this high
HOPELESS = 0.001  # a chance of a match, by CLIP alone: below it a crop is not worth asking about
PRESENT_SHARE = 0.5  # of the families: the gallery; searches for the others are searches for the absent
YES_SHARES = np.linspace(0, 1, 21)
# Not 1: the weight of the attribute scores is a multiple of that of "Yes".
SCORE_SHARES = np.append(YES_SHARES[:-1], 0.99)
PRIOR = 2e-3  # pulls towards CLIP alone: keeps the weights finite where everything is read rightly


@dataclass(frozen=True)
class Pairs:
    """What was found for one kind of query: arrays (queries, CANDIDATES), and CLIP's over the whole gallery.

    yes_logits: logit("Yes") - logit("No"). attribute_scores: how well the attributes fit that the model reads.
    similarities: CLIP's; fused: with what the model reads, and with the same outfit's other crops. rarity: of the
    attributes that a query names, the same for all of its candidates. same, unsure: bool. true_similarities: of all
    right crops.
    """

    yes_logits: np.ndarray
    attribute_scores: np.ndarray
    similarities: np.ndarray
    fused: np.ndarray
    rarity: np.ndarray
    same: np.ndarray
    unsure: np.ndarray
    true_similarities: np.ndarray
    mAP: dict[str, float]


def fit_demo(folder: Path, clip: Path, pool: Pool, log: LearningLog) -> dict[str, Any]:
    """Fits each kind of query and the readers, writes them into the folder's manifest, and returns the figures.

    The readers are fitted on people whom no search that is calibrated on can find.
    """
    encoder, model = ClipEncoder.load(clip), ReidModel.load(folder)
    vectors = encoder.encode_images([Image.fromarray(picture) for picture in pool.large])
    pictures = pool.for_model()
    model_probs = model.attribute_probs(pictures)
    gallery, away = split_pool(pool, PRESENT_SHARE)
    attributes = ClipAttributes(encoder, SHARPNESS)
    fusion_weights = fit_fusion_weights(
        lambda kind: attributes.vectors(kind) @ vectors[away].T, model_probs[away], pool.visible[away]
    )
    priors = gallery_priors(attributes.probs(lambda texts: texts @ vectors[gallery].T))
    searched = PoolGallery(encoder, attributes, vectors, gallery, priors, model_probs, fusion_weights)
    searched = replace(searched, affinity_weights=_affinity_weights(searched, pool.clothes[gallery]))
    rng = np.random.default_rng(0)
    fitted: dict[KindOfQuery, Calibration] = {}
    figures: dict[str, Any] = {"gallery": len(gallery)}
    for kind, make in MAKES.items():
        present = searches(make, pool, gallery, gallery, rng, QUERIES)
        absent = searches(make, pool, away, gallery, rng, QUERIES // 2)
        shares = _shares(kind, searched, present)
        there = _ask(model, searched, pictures, present, shares)
        gone = _ask(model, searched, pictures, absent, shares)
        fitted[kind], figures[kind] = _fit_kind(there, gone, shares)
        log.write(stage="calibrate", kind=kind, **figures[kind])
    manifest = CheckpointManifest.read(folder)
    assert manifest is not None
    key = encoder_key(encoder.name, encoder.version)
    replace(
        manifest,
        calibrations={**manifest.calibrations, key: fitted},
        fusion_weights={**manifest.fusion_weights, key: fusion_weights},
        affinity={**manifest.affinity, key: searched.affinity_weights},
        attribute_sharpness={**manifest.attribute_sharpness, key: SHARPNESS},
        figures={**manifest.figures, "validation": figures},
    ).write(folder)
    return figures


def _shares(kind: str, gallery: PoolGallery, present: list[PoolSearch]) -> tuple[float, float]:
    """The share of the text, and that of the attributes in a picture's similarity, with which CLIP ranks best."""
    texts = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8) if kind == "image-plus-text" else (0.5,)
    attributes = (0.0,) if kind == "text" else (0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0)

    parts = [gallery.parts(search) for search in present]
    same, unsure = (np.stack(masks) for masks in zip(*((s.same, s.unsure) for s in present), strict=True))

    def mean_ap(shares: tuple[float, float]) -> float:
        similarities = np.stack([part.similarity(*shares) for part in parts])
        return float(np.nanmean(average_precision(similarities, same, unsure)))

    return max(product(texts, attributes), key=mean_ap)


def _ask(
    model: ReidModel,
    gallery: PoolGallery,
    pictures: list[Picture],
    asked: list[PoolSearch],
    shares: tuple[float, float],
) -> Pairs:
    columns: dict[str, list[np.ndarray]] = {
        name: []
        for name in ("yes_logits", "attribute_scores", "similarities", "fused", "rarity", "same", "unsure")
    }
    true, clip_ap = [], []
    for search in asked:
        similar = gallery.parts(search).similarity(*shares)
        clip_ap.append(search.ap(similar))
        true.append(similar[search.same])
        top = gallery.nearest(search, similar)[:CANDIDATES]
        rows = gallery.rows[top]
        references = [] if search.reference is None else [pictures[search.reference]]
        text = query_description(search.wanted) if search.wanted else ""
        columns["yes_logits"].append(
            model.yes_logits(
                text, references, [pictures[i] for i in rows], other_clothes=search.other_clothes
            )
        )
        columns["attribute_scores"].append(gallery.attribute_score(search, rows))
        columns["similarities"].append(similar[top])
        columns["fused"].append(gallery.parts(search, rows).similarity(*shares))
        columns["rarity"].append(np.full(len(top), rarity(gallery.priors, search.wanted, ())))
        columns["same"].append(search.same[top])
        columns["unsure"].append(search.unsure[top])
    return Pairs(
        **{name: np.stack(arrays) for name, arrays in columns.items()},
        true_similarities=np.concatenate(true),
        mAP={"clip_gallery_mAP": float(np.nanmean(clip_ap)) if np.isfinite(clip_ap).any() else 0.0},
    )


def _fit_kind(there: Pairs, gone: Pairs, shares: tuple[float, float]) -> tuple[Calibration, dict[str, float]]:
    """The calibration of one kind of query, and what it comes to. shares: of the text and of the attributes."""
    read = _best_share(there, there.attribute_scores, there.yes_logits, SCORE_SHARES)
    ratio = np.divide(*mix(there.attribute_scores, there.yes_logits, read))
    asked = there
    there, gone = (replace(p, yes_logits=p.yes_logits + ratio * p.attribute_scores) for p in (there, gone))
    parts = mix(there.yes_logits, there.fused, _best_share(there, there.yes_logits, there.fused, YES_SHARES))
    sure = ~there.unsure
    by_clip = fit(there.yes_logits[sure], there.similarities[sure], there.same[sure], parts=(0.0, 1.0))
    order = np.argsort(-(parts[0] * there.yes_logits + parts[1] * there.fused), axis=1, kind="stable")[
        :, :SHOWN
    ]
    logits, fused, rare, same, known = (
        np.take_along_axis(array, order, 1)
        for array in (there.yes_logits, there.fused, there.rarity, there.same, sure)
    )
    shown = fit(logits[known], fused[known], same[known], parts=parts, rarity=rare[known])
    calibration = replace(
        shown,
        clip_similarity=by_clip.clip_similarity,
        clip_bias=by_clip.clip_bias,
        tau=_worth_asking(by_clip, there.true_similarities),
        text_weight=shares[0],
        attribute_share=shares[1],
        attribute_score=float(ratio),
        stated_share=STATED_SHARE,
    )
    best_there, best_gone = _best(calibration, there), _best(calibration, gone)
    threshold = min(fit_threshold(best_there, best_gone), _least_alarming(best_there))
    return replace(calibration, threshold=threshold), {
        **_mean_ap(calibration, there),
        "pairwise_mAP": _within(asked, asked.yes_logits),
        "attribute_score_mAP": _within(asked, asked.attribute_scores),
        "false_alarms": float((best_there < threshold).mean()),
        "absent_found": float((best_gone < threshold).mean()),
    }


def _best_share(pairs: Pairs, first: np.ndarray, second: np.ndarray, shares: np.ndarray) -> float:
    """Of these shares of `first`, ascending from 0, the one that ranks the candidates best with the rest of `second`.

    0 where it does not clearly help: of twenty shares one is the best by chance alone, so its gain must be twice
    its standard error.
    """
    precisions = []
    for share in shares:
        one, other = mix(first, second, float(share))
        both = one * first + other * second
        precisions.append(average_precision(both, pairs.same, pairs.unsure))
    gains = np.array(precisions) - precisions[0]
    gains = gains[:, np.isfinite(gains[0])]
    best = int(gains.mean(1).argmax())
    error = gains[best].std() / max(1, gains.shape[1]) ** 0.5
    return float(shares[best]) if gains[best].mean() > 2 * error else 0.0


def _worth_asking(by_clip: Calibration, true_similarities: np.ndarray) -> float:
    """tau, -1..1: few true crops are missed, and none that CLIP gives a chance; those in infrared are few here, and
    the least similar."""
    hopeless = (math.log(HOPELESS / (1 - HOPELESS)) - by_clip.clip_bias) / max(by_clip.clip_similarity, 1e-9)
    tau = min(float(np.quantile(true_similarities, MISSED)), hopeless) - 1e-6
    return float(np.clip(tau, -1, 1))


def _least_alarming(best: np.ndarray) -> float:
    """The greatest threshold with so few searches below it that more than FALSE_ALARMS of all would be unlikely.

    best: the first candidate's probability of searches whose person is there. By the binomial distribution.
    """
    count, cumulated, allowed = len(best), 0.0, 0
    for below in range(count):
        cumulated += math.comb(count, below) * FALSE_ALARMS**below * (1 - FALSE_ALARMS) ** (count - below)
        if cumulated > CHANCE:
            break
        allowed = below
    return float(np.sort(best)[allowed])


def _best(calibration: Calibration, pairs: Pairs) -> np.ndarray:
    """The best candidate's probability of each search."""
    return sigmoid(log_odds(calibration, pairs.yes_logits, pairs.fused, pairs.rarity)).max(1)


def _mean_ap(calibration: Calibration, pairs: Pairs) -> dict[str, float]:
    """Mean AP within the candidates, by CLIP, by "Yes" with the attribute score, by both readers without it, and as the
    app ranks."""
    rows = {
        "clip": clip_log_odds(calibration, pairs.similarities),
        "model": pairs.yes_logits,
        "readers": pairs.fused,
        "fused": log_odds(calibration, pairs.yes_logits, pairs.fused),
    }
    return {f"{name}_mAP": _within(pairs, scores) for name, scores in rows.items()} | pairs.mAP


def _within(pairs: Pairs, scores: np.ndarray) -> float:
    """Mean AP within the candidates."""
    return float(np.nanmean(average_precision(scores, pairs.same, pairs.unsure)))


def fit_fusion_weights(
    cosines: Callable[[str], np.ndarray], rows: np.ndarray, visible: np.ndarray
) -> dict[str, tuple[float, float]]:
    """The weights of CLIP's cosine and of the model's log-share that make what is visible likeliest; 0 or more.

    Args:
        cosines: kind -> float (values, n), of n crops to each value's words. rows: float (n, all values), the
            model's shares. visible: int (n, kinds), the value that each crop shows, -1 for none.
    """
    by_kind, weights = by_kinds(rows), {}
    for column, kind in enumerate(KINDS):
        known = visible[:, column] >= 0
        truth = torch.from_numpy(visible[known, column].astype(np.int64))
        clip = torch.from_numpy(cosines(kind).T[known].astype(np.float64))
        model = torch.from_numpy(np.log(np.clip(by_kind[kind].T[known].astype(np.float64), LEAST_MODEL, 1)))
        weights[kind] = _fit(clip, model, truth) if len(truth) else (SHARPNESS, 0.0)
    return weights


def _fit(clip: torch.Tensor, model: torch.Tensor, truth: torch.Tensor) -> tuple[float, float]:
    roots = torch.tensor([1.0, 0.5], dtype=torch.float64, requires_grad=True)  # squares are never negative
    optimizer = torch.optim.LBFGS([roots], max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        one, other = roots[0] ** 2, roots[1] ** 2
        loss = F.cross_entropy(SHARPNESS * one * clip + other * model, truth)
        loss = loss + PRIOR * ((one - 1) ** 2 + other**2)
        loss.backward()
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    one, other = (roots.detach() ** 2).tolist()
    return SHARPNESS * one, other


def _affinity_weights(gallery: PoolGallery, clothes: np.ndarray) -> dict[Reader, AffinityWeights]:
    """When the gallery's crops show one outfit, by both readers and by the model alone."""
    both = gallery.appearance(gallery.rows, True)
    assert gallery.model_probs is not None
    model = by_kinds(gallery.model_probs[gallery.rows])
    return {
        "both": fit_affinity(
            both.vectors @ both.vectors.T,
            same_attributes(both.probs, both.probs, gallery.priors),
            clothes,
            CANDIDATES,
        ),
        "model": fit_affinity(
            np.zeros(()), same_attributes(model, model, gallery.priors), clothes, CANDIDATES
        ),
    }


def fit_affinity(
    cosines: np.ndarray, alike: np.ndarray, clothes: np.ndarray, nearest: int
) -> AffinityWeights:
    """When two crops show one person in the same clothes.

    Args:
        cosines, alike: float (n, n) between crops of a gallery; a plain 0 for cosines leaves them out.
        clothes: int (n,), one number for a person in an outfit. nearest: crops that each is paired with, as among
            the candidates of a search.
    """
    count = len(clothes)
    cosines = np.broadcast_to(cosines, alike.shape)
    summed = np.where(np.eye(count, dtype=bool), -np.inf, cosines + alike)
    near = np.argsort(-summed, axis=1, kind="stable")[:, : min(nearest, count - 1)]
    pairs = [np.take_along_axis(figures, near, 1).ravel() for figures in (cosines, alike)]
    same = clothes[near] == clothes[:, None]
    fitted = fit(pairs[1], pairs[0], same.ravel())
    return AffinityWeights(cosine=fitted.similarity, attributes=fitted.yes_logit, bias=fitted.bias)
