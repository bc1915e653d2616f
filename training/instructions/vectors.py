"""CLIP vectors of training pictures, stored beside them: by these look-alikes are found where nobody annotated
attributes.

FILE.npz holds encoder (text: name and version), paths (as in training.captioning.stored.path_key) and vectors
(float16, unit length). It is replaced as a whole, every SAVED pictures and at the end: a killed run goes on.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from gallery_store.decoding import PictureError
from training.captioning.stored import path_key
from training.datasets.errors import DataSetError
from training.datasets.record import Record

BATCH, SAVED = 64, 20_000
Progress = Callable[[int, int], None]


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
        made_by, paths, vectors = _read(file)
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
            _write(file, label, stored)
        if progress is not None:
            progress(done, len(left))
    return fresh, unreadable


def read_vectors(file: Path, records: Sequence[Record], root: Path | None) -> np.ndarray:
    """float32 (records, d), in the records' order; zeros where the file has none. Raises DataSetError.

    Data sets without any vector have their look-alikes found by attributes.
    """
    _, paths, vectors = _read(file)
    place = {path: number for number, path in enumerate(paths)}
    found = np.zeros((len(records), vectors.shape[1]), np.float32)
    for row, record in enumerate(records):
        if isinstance(record.image, Path):
            number = place.get(path_key(record.image, root))
            if number is not None:
                found[row] = vectors[number]
    if not found.any():
        raise DataSetError(
            f"{file} has no vector of any of these {len(records)} pictures; is --root the same?"
        )
    return found


def _read(file: Path) -> tuple[str, list[str], np.ndarray]:
    try:
        with np.load(file, allow_pickle=False) as held:
            made_by, paths, vectors = str(held["encoder"]), held["paths"].tolist(), held["vectors"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as problem:
        raise DataSetError(f"{file} is no file of vectors ({problem})") from None
    if vectors.ndim != 2 or len(vectors) != len(paths):
        raise DataSetError(f"{file} is no file of vectors (its paths and vectors do not go together)")
    return made_by, paths, vectors


def _write(file: Path, label: str, stored: dict[str, np.ndarray]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    with partial.open("wb") as out:
        np.savez(out, encoder=label, paths=np.array(list(stored)), vectors=np.stack(list(stored.values())))
    partial.replace(file)
