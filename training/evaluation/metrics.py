"""Rank-k, mAP and mINP by the cross-camera protocol."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Metrics:
    """Fractions 0..1 over the queries that have a true match; `without_match` counts those left out."""

    mAP: float
    rank1: float
    rank5: float
    rank10: float
    mINP: float
    queries: int
    without_match: int

    def __str__(self) -> str:
        return (
            f"mAP {self.mAP:.3f}  rank-1 {self.rank1:.3f}  rank-5 {self.rank5:.3f}  rank-10 {self.rank10:.3f}"
        )


def evaluate(
    scores: np.ndarray,
    query_ids: np.ndarray,
    gallery_ids: np.ndarray,
    query_cameras: np.ndarray | None = None,
    gallery_cameras: np.ndarray | None = None,
) -> Metrics:
    """Ranks the gallery for each query and averages.

    Args:
        scores: float (Q, G), higher is better; ties go by gallery order.
        query_ids, gallery_ids: identities, (Q,) and (G,).
        query_cameras, gallery_cameras: with both, crops of the query's person by the query's own camera
            are junk: taken out of the ranking, neither right nor wrong (Zheng et al., Market-1501, ICCV 2015).

    AP is the mean of precision at each true match; INP is matches / rank of the last one (Ye et al., AGW).

    Raises:
        ValueError: shapes that do not fit, an empty set, or scores that are not finite.
    """
    if scores.ndim != 2 or scores.shape != (len(query_ids), len(gallery_ids)) or 0 in scores.shape:
        raise ValueError(
            f"scores of shape {scores.shape} do not fit {len(query_ids)} queries x {len(gallery_ids)} crops"
        )
    if not np.isfinite(scores).all():
        raise ValueError("scores hold NaN or infinity")
    average, inverse, first = [], [], []
    for q in range(len(query_ids)):
        match = gallery_ids == query_ids[q]
        kept = np.ones(len(match), bool)
        if query_cameras is not None and gallery_cameras is not None:
            kept = ~(match & (gallery_cameras == query_cameras[q]))
        hits = match[kept][np.argsort(-scores[q, kept], kind="stable")]
        ranks = np.flatnonzero(hits) + 1
        if len(ranks) == 0:
            continue
        average.append(float(np.mean(np.arange(1, len(ranks) + 1) / ranks)))
        inverse.append(len(ranks) / float(ranks[-1]))
        first.append(int(ranks[0]))
    places = np.array(first)
    if not first:
        return Metrics(0.0, 0.0, 0.0, 0.0, 0.0, len(query_ids), len(query_ids))
    rank1, rank5, rank10 = (float(np.mean(places <= k)) for k in (1, 5, 10))
    return Metrics(
        mAP=float(np.mean(average)),
        rank1=rank1,
        rank5=rank5,
        rank10=rank10,
        mINP=float(np.mean(inverse)),
        queries=len(query_ids),
        without_match=len(query_ids) - len(first),
    )
