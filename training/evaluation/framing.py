"""The two rankers that frame the synthetic benchmark's tables: the floor and the ceiling.

`histogram`: colour histograms of horizontal stripes; it cannot read, so settings by words alone have none, and a
world in which it does well is too easy. `truth`: the attributes that each crop shows, compared without error: the
most that a perfect reader of attributes could do. What the vocabulary has no word for (a shade, a gait, a face) may
lead beyond it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image

from app.model.vocabulary import ALL_KINDS, LASTING
from training.evaluation.synthetic import DrawnSetting
from training.evaluation.trials import Trial

HISTOGRAM, TRUTH = FRAMING = ("histogram", "truth")
STRIPES, HUES, SATURATIONS, VALUES = 8, 12, 4, 4
_CONTRADICTION = 1000.0  # nats: more than all agreements together can outweigh


def framing_scores(trial: Trial, setting: DrawnSetting, ranker: str) -> np.ndarray | None:
    """float32 (q, G) of the setting's queries, by one of FRAMING; None where it cannot be asked."""
    return histogram_scores(trial, setting) if ranker == HISTOGRAM else truth_scores(trial, setting)


def histogram_scores(trial: Trial, setting: DrawnSetting) -> np.ndarray | None:
    """float32 (q, G), or None where a query shows no picture."""
    if any(trial.queries[row].image is None for row in setting.rows):
        return None
    queries = histograms([trial.subjects[row].picture() for row in setting.rows])
    gallery = histograms([record.picture() for record in trial.gallery])
    return queries @ gallery.T


def truth_scores(trial: Trial, setting: DrawnSetting) -> np.ndarray:
    """float32 (q, G): log-likelihood ratio of "the person asked for", from visible attributes alone.

    Words: each attribute told counts for a crop that shows it and against one that shows another. Pictures:
    each attribute that both crops show counts by how rare it is in the gallery, or against; where clothes may
    have changed, those of the body alone, glasses only where neither wears sunglasses.
    """
    gallery = [record.attributes for record in trial.gallery]  # as they show
    rarity = _rarity(gallery)
    kinds = tuple(ALL_KINDS) if setting.stays else LASTING
    rows = []
    for row, stated in zip(setting.rows, setting.statements, strict=True):
        pictured = trial.subjects[row].attributes if trial.queries[row].image is not None else {}
        pictured = {kind: value for kind, value in pictured.items() if kind in kinds}
        rows.append(
            [
                _agreement(stated, visible, rarity, False)
                + _agreement(pictured, visible, rarity, not setting.stays)
                for visible in gallery
            ]
        )
    return np.array(rows, np.float32)


def _agreement(
    one: Mapping[str, str], other: Mapping[str, str], rarity: Mapping[tuple[str, str], float], changed: bool
) -> float:
    total = 0.0
    for kind, value in one.items():
        shown = other.get(kind)
        if shown is None or (changed and kind == "glasses" and "sunglasses" in (value, shown)):
            continue
        total += rarity[kind, value] if shown == value else -_CONTRADICTION
    return total


def _rarity(gallery: Sequence[Mapping[str, str]]) -> Mapping[tuple[str, str], float]:
    """-log of each value's share among the crops that show the kind; at least one crop is assumed."""
    counts = Counter((kind, value) for visible in gallery for kind, value in visible.items())
    totals = Counter(kind for visible in gallery for kind in visible)
    return {
        (kind, value): float(-np.log(max(1, counts[kind, value]) / max(1, totals[kind])))
        for kind, values in ALL_KINDS.items()
        for value in values
    }


def histograms(pictures: Sequence[Image.Image]) -> np.ndarray:
    """float32 (n, STRIPES * (HUES + SATURATIONS + VALUES)): square roots of HSV stripe histograms, unit rows.

    Their product is the Bhattacharyya coefficient, as in the classical baselines of person re-identification.
    """
    rows = []
    for picture in pictures:
        hsv = np.asarray(picture.convert("HSV").resize((64, 128), Image.Resampling.BILINEAR))
        hsv = hsv[:, 20:44]  # the person stands in the middle; the rest is the place
        parts = []
        for stripe in np.split(hsv, STRIPES, axis=0):
            for channel, bins in enumerate((HUES, SATURATIONS, VALUES)):
                parts.append(
                    np.bincount(stripe[..., channel].ravel().astype(int) * bins // 256, minlength=bins)
                )
        row = np.sqrt(np.concatenate(parts).astype(np.float32))
        rows.append(row / np.linalg.norm(row))
    return np.stack(rows)
