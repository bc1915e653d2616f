"""Fits what turns the model's "Yes" and CLIP's cosine into a probability, on people of the validation split:
how far each reader of attributes is trusted, when crops show one outfit, and a calibration for each kind of query.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
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
from app.model.vocabulary import KINDS, Kinds
from app.retrieval.affinity import same_attributes
from app.retrieval.attribute_probs import (
    LEAST_MODEL,
    ClipAttributes,
    by_kinds,
    gallery_priors,
    measured_confusion,
    rarity,
)
from gallery_store.console import remark
from gallery_store.encoder import ClipEncoder
from training.calibration.by_kind import Pairs, average_precision, fit_kind
from training.calibration.fit import OneSided, fit
from training.demo.clip import SHARPNESS
from training.demo.learning import LearningLog
from training.demo.pool import Pool
from training.demo.searches import MAKES, STATED_SHARE, PoolGallery, PoolSearch, searches, split_pool

QUERIES, CANDIDATES = 800, 64
READ_FIRST = 64  # crops, by which it is judged how many there is time to read
READING = 0.4  # of the time, what goes to that
TRIAL = 8  # searches that are made first of a kind of query, to judge how many there is time for
PLANNED = 0.8  # of that time, what is planned
WORTHWHILE = 1.5  # times as many searches as before, for which it is fitted again
PRESENT_SHARE = 0.5  # of the families: the gallery; searches for the others are searches for the absent
PRIOR = 2e-3  # pulls towards CLIP alone: keeps the weights finite where everything is read rightly


def fit_demo(
    folder: Path,
    clip: Path,
    pool: Pool,
    log: LearningLog,
    *,
    device: str = "cpu",
    most: int = QUERIES,
    ends: float | None = None,
) -> dict[str, Any]:
    """Fits each kind of query and the readers, writes them into the folder's manifest, and returns the figures.

    device: that models compute on, in float32. most: searches of each kind at most; half as many for the absent. ends:
    by time.monotonic, when all is to be done: people and searches are fewer where more would take longer, and where
    there is no time for a kind of query at all, it stays uncalibrated, which is said. The readers are fitted on people
    whom no search that is calibrated on can find. The manifest is written after each kind.

    Raises:
        ValueError: the model knows another version of the vocabulary than the pool.
        OneSided: without `ends`, the searches of a kind find right ones or wrong ones alone.
    """
    encoder, model = ClipEncoder.load(clip, device), ReidModel.load(folder, device=device, float32=True)
    if model.kinds != pool.kinds:
        raise ValueError(
            f"{folder} does not know vocabulary {pool.vocabulary}, that of the people it is to be calibrated on"
        )
    if ends is not None:
        pool = pool.head(readable(encoder, model, pool, ends))
    vectors = encoder.encode_images([Image.fromarray(picture) for picture in pool.large])
    pictures = pool.for_model()
    model_probs = model.attribute_probs(pictures)
    gallery, away = split_pool(pool, PRESENT_SHARE)
    attributes = ClipAttributes(encoder, SHARPNESS, kinds=pool.kinds)
    fusion_weights = fit_fusion_weights(
        lambda kind: attributes.vectors(kind) @ vectors[away].T,
        model_probs[away],
        pool.visible[away],
        pool.kinds,
    )
    seen = attributes.appearance(vectors[away], model_probs[away], fusion_weights)
    confusion = measured_confusion(seen.probs, pool.visible[away])
    attributes = ClipAttributes(encoder, SHARPNESS, confusion, pool.kinds)
    priors = gallery_priors(attributes.probs(lambda texts: texts @ vectors[gallery].T))
    searched = PoolGallery(encoder, attributes, vectors, gallery, priors, model_probs, fusion_weights)
    searched = replace(searched, affinity_weights=_affinity_weights(searched, pool.clothes[gallery]))
    rng = np.random.default_rng(0)
    fitted: dict[KindOfQuery, Calibration] = {}
    figures: dict[str, Any] = {"gallery": len(gallery)}
    manifest = CheckpointManifest.read(folder)
    assert manifest is not None
    key = encoder_key(encoder.name, encoder.version)
    manifest = replace(
        manifest,
        fusion_weights={**manifest.fusion_weights, key: fusion_weights},
        affinity={**manifest.affinity, key: searched.affinity_weights},
        attribute_sharpness={**manifest.attribute_sharpness, key: SHARPNESS},
        confusion={**manifest.confusion, key: confusion},
    )
    in_time = None if ends is None else FitInTime(ends, len(MAKES))
    for kind, make in MAKES.items():
        present = searches(make, pool, gallery, gallery, rng, most)
        absent = searches(make, pool, away, gallery, rng, most // 2)

        def fit_to(count: int, kind: str = kind, present: Any = present, absent: Any = absent) -> _Fitted:
            few, fewer = present[:count], absent[: count // 2]
            shares = _shares(kind, searched, few)
            there, gone = (_ask(model, searched, pictures, some, shares) for some in (few, fewer))
            return fit_kind(there, gone, shares)

        if in_time is None:
            calibration, figures[kind] = fit_to(most)
        else:
            found = in_time.fit(fit_to, len(present) if absent else 0)
            if isinstance(found, str):
                remark(f"searches by {kind} stay uncalibrated: {found}")
                log.write(stage="calibrate", kind=kind, uncalibrated=found)
                continue
            calibration, figures[kind] = found
        fitted[kind] = replace(calibration, stated_share=STATED_SHARE, crops=len(gallery))
        log.write(stage="calibrate", kind=kind, **figures[kind])
        _write(manifest, key, fitted, figures, folder)
    _write(manifest, key, fitted, figures, folder)
    return figures


def readable(encoder: ClipEncoder, model: ReidModel, pool: Pool, ends: float) -> int:
    """How many of a pool's crops there is time for that both read, by the pace of the second READ_FIRST of them.

    ends: by time.monotonic, of all that calibration does.
    """
    if len(pool) < 2 * READ_FIRST:
        return len(pool)
    pictures, began = pool.for_model(), 0.0
    for part in (slice(0, READ_FIRST), slice(READ_FIRST, 2 * READ_FIRST)):  # the first ones warm up
        began = time.monotonic()
        encoder.encode_images([Image.fromarray(picture) for picture in pool.large[part]])
        model.attribute_probs(pictures[part])
    pace = max(1e-9, time.monotonic() - began) / READ_FIRST
    return min(len(pool), int(READING * max(0.0, ends - time.monotonic()) / pace))


_Fitted = tuple[Calibration, dict[str, float]]


class FitInTime:
    """Fits one kind of query after another, each to as many searches as its part of the time allows.

    ends: by time.monotonic. kinds: how many there are.
    """

    def __init__(self, ends: float, kinds: int) -> None:
        self.ends, self.kinds, self._longest = ends, kinds, 0.0

    def fit(self, fit_to: Callable[[int], _Fitted], most: int) -> _Fitted | str:
        """The next kind, or why there is nothing. fit_to: takes how many searches, 2 to `most`; may raise OneSided."""
        began = time.monotonic()
        given = (self.ends - began) / max(1, self.kinds)
        self.kinds -= 1
        if given <= 0 or began + self._longest > self.ends:
            return "there was no time left for them"
        if most < 2:
            return "nobody here can be searched for so"
        found: _Fitted | str = ""
        count = min(TRIAL, most)
        while True:
            before = time.monotonic()
            try:
                found = fit_to(count)
            except OneSided as error:
                found = found or str(error)
            took = time.monotonic() - before
            if count <= TRIAL:
                self._longest = max(self._longest, took)
            left = given - (time.monotonic() - began)
            more = min(most, int(PLANNED * count * left / max(1e-9, took)))
            if more < WORTHWHILE * count:
                return found
            count = more


def _write(
    manifest: CheckpointManifest,
    key: str,
    fitted: Mapping[KindOfQuery, Calibration],
    figures: Mapping[str, Any],
    folder: Path,
) -> None:
    """What is fitted by now, for the encoder of this key, into the folder's manifest."""
    others = {other: known for other, known in manifest.calibrations.items() if other != key}
    replace(
        manifest,
        calibrations=others | ({key: dict(fitted)} if fitted else {}),
        figures={**manifest.figures, "validation": dict(figures)},
    ).write(folder)


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


def fit_fusion_weights(
    cosines: Callable[[str], np.ndarray], rows: np.ndarray, visible: np.ndarray, kinds: Kinds = KINDS
) -> dict[str, tuple[float, float]]:
    """The weights of CLIP's cosine and of the model's log-share that make what is visible likeliest; 0 or more.

    Args:
        cosines: kind -> float (values, n), of n crops to each value's words. rows: float (n, all values), the
            model's shares. visible: int (n, kinds), the value that each crop shows, -1 for none. kinds: of the
            vocabulary that both read.
    """
    by_kind, weights = by_kinds(rows, kinds), {}
    for column, kind in enumerate(kinds):
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
    model = by_kinds(gallery.model_probs[gallery.rows], gallery.clip.kinds)
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
