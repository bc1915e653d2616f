"""Which of the crops that pass the filters a query is compared with.

All of them, where their vectors are in memory or few: else those that the database finds nearest, and many more of
them than are shown. A description alone finds too little, for what a query says of attributes counts as logarithms of
probabilities: in its place stands a tangent, the row whose products with the crops' vectors grow as the likeness does.
The first is laid at what is common in the gallery, the second at the best crops that the first found. Measured by
`python -m tests.benchmarks.scale`.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from app.model.vocabulary import ALL_KINDS
from app.retrieval.attribute_columns import AttributeColumns, GalleryAppearance
from app.retrieval.attribute_probs import ClipAttributes, LazyProbs, PictureAppearance
from app.retrieval.fusion import MOST_COMPARED, TEXT_WEIGHT, query_similarity
from app.retrieval.references import OpenQuery
from gallery_store.search_index import HEAD
from gallery_store.store import GalleryStore

SAMPLED = 1024  # crops that tell how common a value is
BEST = 64  # of them tell where the second is laid


def spread(ids: np.ndarray) -> np.ndarray:
    """At most SAMPLED of `ids`, evenly spread."""
    if len(ids) <= SAMPLED:
        return ids
    return ids[np.linspace(0, len(ids) - 1, SAMPLED).astype(np.int64)]


def crops_to_compare(
    opened: OpenQuery,
    own: PictureAppearance | None,
    reid_rows: np.ndarray | None,
    ids: np.ndarray,
    columns: AttributeColumns,
    clip: ClipAttributes,
    store: GalleryStore,
) -> GalleryAppearance:
    """Those of `ids`, int64 (n,), ascending, that may be among the best.

    own: the query's pictures by CLIP. reid_rows: by the re-ID encoder, unit rows, where it compares pictures.
    """
    if store.compares_all(ids):
        return GalleryAppearance(store, ids, columns)
    crops = GalleryAppearance(store, ids[:0], columns)
    if reid_rows is not None:
        crops = crops.joined(store.nearest(reid_rows.mean(axis=0), ids, MOST_COMPARED, "reid"))
    elif own is not None:
        crops = crops.joined(store.nearest(own.vectors.mean(axis=0), ids, MOST_COMPARED))
    beside = own if reid_rows is None else None
    at: Mapping[str, np.ndarray] = opened.priors
    for last in (False, True) if opened.vector is not None else ():
        crops = crops.joined(store.nearest(tangent(opened, beside, clip, at), ids, HEAD))
        if last:
            break
        alike = query_similarity(
            opened.query, opened.vector, beside, crops, opened.calibration, opened.priors
        )
        at = _mean(crops.some(np.argsort(-alike, kind="stable")[:BEST]), clip)
    return crops


def tangent(
    opened: OpenQuery, own: PictureAppearance | None, clip: ClipAttributes, at: Mapping[str, np.ndarray]
) -> np.ndarray:
    """float32 (dim,): how a crop's similarity to the words grows with its vector, where its attributes are `at`, kind
    -> (values,); and to the pictures by their cosine.
    """
    assert opened.vector is not None
    query, calibration = opened.query, opened.calibration
    share = calibration.stated_share if calibration else 0.0
    row = opened.vector.astype(np.float64)
    for attribute in (*query.wanted, *dict.fromkeys(query.unwanted)) if share else ():
        values, of_kind = ALL_KINDS[attribute.kind], at[attribute.kind]
        counts = np.zeros(len(of_kind))
        counts[values.index(attribute.value)] = 1
        if attribute in query.wanted:
            near = clip.confusion.get(attribute.kind, {}).get(attribute.value, {})
            counts[[values.index(value) for value in near]] = list(near.values())
        else:
            counts = 1 - counts
        row += share * clip.slope(attribute.kind, counts, of_kind)
    if own is not None:
        weight = calibration.text_weight if calibration else TEXT_WEIGHT
        mean = own.vectors.mean(axis=0)
        by_cosine = 1 - (calibration.attribute_share if calibration else 0.0)
        row = weight * row + (1 - weight) * by_cosine * mean / max(float(np.linalg.norm(mean)), 1e-12)
    return row.astype(np.float32)


def _mean(crops: GalleryAppearance, clip: ClipAttributes) -> LazyProbs:
    return LazyProbs(lambda kind: crops.probs[kind].mean(1, dtype=np.float64), clip.kinds)
