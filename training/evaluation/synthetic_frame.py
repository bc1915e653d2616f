"""The two rankers that frame the synthetic benchmark's tables: the floor and the ceiling.

`histogram`: striped colour histograms; it cannot read, so settings by words alone have none. `truth`: the
attributes that each crop shows, compared without error: the most that a perfect reader of attributes could
do. What the vocabulary has no word for (a shade, a gait, a face) may lead beyond it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from app.model.vocabulary import KINDS, LASTING
from training.evaluation.histogram import histograms
from training.evaluation.synthetic import Setting
from training.synthetic.world import Crop

HISTOGRAM, TRUTH = "histogram", "truth"
_CONTRADICTION = 1000.0  # nats: more than all agreements together can outweigh


def histogram_scores(setting: Setting) -> np.ndarray | None:
    """float32 (Q, G), or None where no query shows a picture."""
    if any(ask.image is None for ask in setting.asks):
        return None
    queries = histograms([crop.picture() for crop in setting.asked])
    gallery = histograms([crop.picture() for crop in setting.world.gallery])
    return queries @ gallery.T


def truth_scores(setting: Setting) -> np.ndarray:
    """float32 (Q, G): log-likelihood ratio of "the person asked for", from visible attributes alone.

    Words: each attribute told counts for a crop that shows it and against one that shows another. Pictures:
    each attribute that both crops show counts by how rare it is in the gallery, or against; where clothes may
    have changed, those of the body alone, glasses only where neither wears sunglasses.
    """
    gallery = setting.world.gallery
    rarity = _rarity(gallery)
    kinds = tuple(KINDS) if setting.stays else LASTING
    rows = []
    for ask, asked, said in zip(setting.asks, setting.asked, setting.said, strict=True):
        shown = {k: v for k, v in asked.visible.items() if k in kinds} if ask.image is not None else {}
        rows.append(
            [
                _agreement(said, crop.visible, rarity, False)
                + _agreement(shown, crop.visible, rarity, not setting.stays)
                for crop in gallery
            ]
        )
    return np.array(rows, np.float32)


def _agreement(
    one: Mapping[str, str], other: Mapping[str, str], rarity: Mapping[tuple[str, str], float], changed: bool
) -> float:
    total = 0.0
    for kind, value in one.items():
        seen = other.get(kind)
        if seen is None or (changed and kind == "glasses" and "sunglasses" in (value, seen)):
            continue
        total += rarity[kind, value] if seen == value else -_CONTRADICTION
    return total


def _rarity(gallery: Sequence[Crop]) -> Mapping[tuple[str, str], float]:
    """-log of each value's share among the crops that show the kind; at least one crop is assumed."""
    counts = Counter((kind, value) for crop in gallery for kind, value in crop.visible.items())
    totals = Counter(kind for crop in gallery for kind in crop.visible)
    return {
        (kind, value): float(-np.log(max(1, counts[kind, value]) / max(1, totals[kind])))
        for kind, values in KINDS.items()
        for value in values
    }
