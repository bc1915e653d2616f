"""Whom a person could be taken for: outfits with the most attributes in common, or the nearest vectors."""

from __future__ import annotations

import numpy as np

from app.model.vocabulary import KINDS
from training.instructions.columns import Columns

KEPT = 12  # look-alikes of an outfit
BLOCK = 4096  # outfits compared with one another at once; 64 MB of float32
_CLOTHES = ("gender", "upper", "upper_colour", "lower", "lower_colour", "bag", "hair")


def look_alikes(columns: Columns, vectors: np.ndarray | None = None) -> np.ndarray:
    """int32 (outfits, KEPT): other people's outfits within the data set that look most like each, best first.

    -1 where there are none: nothing is known of an outfit, or nobody has anything in common with it.

    Data sets of more than BLOCK outfits are cut into blocks of similar outfits (sorted by clothes, or along
    the vectors' main direction), and look-alikes are sought inside a block.

    Args:
        vectors: float (n, d), one per row, e.g. of CLIP; where a data set has some, they decide, and zeros
            stand for none. Otherwise attributes do.
    """
    outfits = int(columns.outfit.max()) + 1
    first = np.unique(columns.outfit, return_index=True)[1]
    person, data_set = columns.person[first], columns.data_set[first]
    shown, by_clothes = _one_hot(columns, outfits), _by_clothes(columns, outfits)
    seen = None if vectors is None else _mean(vectors, columns.outfit, outfits)
    table = np.full((outfits, KEPT), -1, np.int32)
    for number in range(len(columns.names)):
        own = data_set == number
        if seen is not None and seen[own].any():
            features = seen
            order = _main_direction(seen) if own.sum() > BLOCK else np.arange(outfits)
        else:
            features, order = shown, by_clothes
        order = order[own[order] & features[order].any(1)]
        for start in range(0, len(order), BLOCK):
            block = order[start : start + BLOCK]
            table[block] = _nearest(features[block], person[block], block)
    return table


def _nearest(features: np.ndarray, person: np.ndarray, block: np.ndarray) -> np.ndarray:
    """int32 (outfits of the block, KEPT)."""
    alike = features @ features.T
    alike[person[:, None] == person[None]] = -np.inf
    kept = min(KEPT, len(block))
    near = np.argpartition(-alike, kept - 1, axis=1)[:, :kept]
    score = np.take_along_axis(alike, near, 1)
    best = np.lexsort((near, -score), axis=1)  # a stable order among equals: by place in the block
    near, score = np.take_along_axis(near, best, 1), np.take_along_axis(score, best, 1)
    found = np.full((len(block), KEPT), -1, np.int32)
    found[:, :kept] = np.where(score > 0, block[near], -1)
    return found


def _one_hot(columns: Columns, outfits: int) -> np.ndarray:
    """float32 (outfits, values of all kinds): what any crop of the outfit shows; rarer things do not count more."""
    parts = []
    for number, values in enumerate(KINDS.values()):
        part = np.zeros((outfits, len(values)), np.float32)
        shown = columns.attributes[:, number] >= 0
        part[columns.outfit[shown], columns.attributes[shown, number]] = 1
        parts.append(part)
    return np.concatenate(parts, 1)


def _mean(vectors: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    total = np.zeros((groups, vectors.shape[1]), np.float32)
    np.add.at(total, group, vectors.astype(np.float32))
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def _by_clothes(columns: Columns, outfits: int) -> np.ndarray:
    top = np.full((outfits, len(KINDS)), -1, np.int8)
    np.maximum.at(top, columns.outfit, columns.attributes)
    kinds = list(KINDS)
    return np.lexsort([top[:, kinds.index(kind)] for kind in reversed(_CLOTHES)])


def _main_direction(features: np.ndarray) -> np.ndarray:
    direction = np.linalg.svd(features[:: max(1, len(features) // 2000)], full_matrices=False)[2][0]
    return np.argsort(features @ direction, kind="stable")
