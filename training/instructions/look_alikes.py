"""Crops that could be mistaken for each other: outfits with the most attributes in common, or the nearest vectors.

Vectors are CLIP's of the training pictures, stored beside them, for pictures whose attributes nobody annotated.
FILE.npz holds encoder (text: name and version), paths (as in training.captioning.side_files.path_key) and vectors
(float16, unit length). It is replaced as a whole, every SAVED pictures and at the end: a killed run goes on.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from app.model.vocabulary import ALL_KINDS
from gallery_store.console import Progress
from gallery_store.decoding import PictureError
from gallery_store.files import replacing
from training.captioning.side_files import path_key
from training.datasets.faults import DataSetError
from training.datasets.record import Record
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
    one_hot, by_clothes = _one_hot(columns, outfits), _by_clothes(columns, outfits)
    mean_vectors = None if vectors is None else _mean(vectors, columns.outfit, outfits)
    table = np.full((outfits, KEPT), -1, np.int32)
    for number in range(len(columns.names)):
        in_set = data_set == number
        if mean_vectors is not None and mean_vectors[in_set].any():
            features = mean_vectors
            order = _main_direction(mean_vectors) if in_set.sum() > BLOCK else np.arange(outfits)
        else:
            features, order = one_hot, by_clothes
        order = order[in_set[order] & features[order].any(1)]
        for start in range(0, len(order), BLOCK):
            block = order[start : start + BLOCK]
            table[block] = _nearest(features[block], person[block], block)
    return table


def _nearest(features: np.ndarray, person: np.ndarray, block: np.ndarray) -> np.ndarray:
    """int32 (outfits of the block, KEPT)."""
    similarity = features @ features.T
    similarity[person[:, None] == person[None]] = -np.inf
    kept = min(KEPT, len(block))
    nearest = np.argpartition(-similarity, kept - 1, axis=1)[:, :kept]
    score = np.take_along_axis(similarity, nearest, 1)
    best = np.lexsort((nearest, -score), axis=1)  # a stable order among equals: by place in the block
    nearest, score = np.take_along_axis(nearest, best, 1), np.take_along_axis(score, best, 1)
    table = np.full((len(block), KEPT), -1, np.int32)
    table[:, :kept] = np.where(score > 0, block[nearest], -1)
    return table


def _one_hot(columns: Columns, outfits: int) -> np.ndarray:
    """float32 (outfits, values of all kinds): what any crop of the outfit shows; rarer things do not count more."""
    parts = []
    for number, values in enumerate(ALL_KINDS.values()):
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
    top = np.full((outfits, len(ALL_KINDS)), -1, np.int8)
    np.maximum.at(top, columns.outfit, columns.attributes)
    kinds = list(ALL_KINDS)
    return np.lexsort([top[:, kinds.index(kind)] for kind in reversed(_CLOTHES)])


def _main_direction(features: np.ndarray) -> np.ndarray:
    direction = np.linalg.svd(features[:: max(1, len(features) // 2000)], full_matrices=False)[2][0]
    return np.argsort(features @ direction, kind="stable")


BATCH = 64  # pictures encoded at once
SAVED = 20_000  # pictures between two writings of the file


class Encoder(Protocol):
    """What is needed of gallery_store.encoder.ClipEncoder."""

    name: str
    version: str
    dim: int

    def encode_images(self, images: Sequence[Image.Image], batch_size: int = 64) -> np.ndarray: ...


def store_vectors(
    records: Sequence[Record],
    root: Path | None,
    encoder: Encoder,
    file: Path,
    *,
    progress: Progress | None = None,
) -> tuple[int, list[tuple[str, str]]]:
    """Encodes the pictures that the file does not have yet -> how many, and those that cannot be read, with why.

    Raises DataSetError for a file of another encoder or one that cannot be read.
    """
    label = f"{encoder.name}@{encoder.version}"
    stored: dict[str, np.ndarray] = {}
    if file.exists():
        made_by, paths, vectors = _read_file(file)
        if made_by != label:
            raise DataSetError(f"{file} has vectors of {made_by}, not of {label}; name another file")
        stored = dict(zip(paths, vectors, strict=True))
    pictures = {path_key(r.image, root): r for r in records if isinstance(r.image, Path)}
    left = [key for key in pictures if key not in stored]
    unreadable: list[tuple[str, str]] = []
    fresh = 0
    for start in range(0, len(left), BATCH):
        opened = []
        for key in left[start : start + BATCH]:
            try:
                opened.append((key, pictures[key].picture()))
            except PictureError as problem:
                unreadable.append((key, problem.reason))
        vectors = encoder.encode_images([picture for _, picture in opened])
        stored.update(zip((key for key, _ in opened), vectors.astype(np.float16), strict=True))
        fresh += len(opened)
        done = min(start + BATCH, len(left))
        if done == len(left) or done // SAVED > start // SAVED:
            _write_file(file, label, stored)
        if progress is not None:
            progress(done, len(left))
    return fresh, unreadable


def read_vectors(file: Path, records: Sequence[Record], root: Path | None) -> np.ndarray:
    """float32 (records, d), in the records' order; zeros where the file has none. Raises DataSetError.

    Data sets without any vector have their look-alikes found by attributes.
    """
    _, paths, vectors = _read_file(file)
    number_of = {path: number for number, path in enumerate(paths)}
    in_order = np.zeros((len(records), vectors.shape[1]), np.float32)
    for row, record in enumerate(records):
        if isinstance(record.image, Path):
            number = number_of.get(path_key(record.image, root))
            if number is not None:
                in_order[row] = vectors[number]
    if not in_order.any():
        raise DataSetError(
            f"{file} has no vector of any of these {len(records)} pictures; is --root the same?"
        )
    return in_order


def _read_file(file: Path) -> tuple[str, list[str], np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as held:
            made_by, paths, vectors = str(held["encoder"]), held["paths"].tolist(), held["vectors"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as problem:
        raise DataSetError(f"{file} is no file of vectors ({problem})") from None
    if vectors.ndim != 2 or len(vectors) != len(paths):
        raise DataSetError(f"{file} is no file of vectors (its paths and vectors do not go together)")
    return made_by, paths, vectors


def _write_file(file: Path, label: str, stored: dict[str, np.ndarray]) -> None:
    with replacing(file) as partial, partial.open("wb") as out:
        np.savez(out, encoder=label, paths=np.array(list(stored)), vectors=np.stack(list(stored.values())))
