"""Small pictures and a small encoder without torch, for tests of the gallery."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gallery_store.crops import Crop, Filters
from gallery_store.location import is_url
from gallery_store.store import GalleryStore


class PixelEncoder:
    """A fixed random projection of the picture at 4 x 8 pixels: alike pictures get alike vectors."""

    def __init__(self, name: str = "pixels", version: str = "1", dim: int = 24, seed: int = 0) -> None:
        self.name, self.version, self.dim = name, version, dim
        self._map = np.random.default_rng(seed).normal(size=(4 * 8 * 3, dim)).astype(np.float32)

    def fit(self, image: Image.Image) -> Image.Image:
        return image.convert("RGB").resize((4, 8), Image.Resampling.BOX)

    def encode_images(self, images: Sequence[Image.Image], batch_size: int = 64) -> np.ndarray:
        pixels = np.stack([np.asarray(self.fit(image), np.float32).ravel() for image in images]) - 127.5
        vectors = pixels @ self._map
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def picture(seed: int, width: int = 32, height: int = 64) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)


def write_pictures(folder: Path, names: Iterable[str], first_seed: int = 0) -> Path:
    """One picture a name, all different; the suffix chooses the format."""
    for seed, name in enumerate(names, first_seed):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(file)
    return folder


def write_manifest(file: Path, header: str, *lines: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join([header, *lines]) + "\n", "utf-8")
    return file


# What PostgreSQL wants in place of a BLOB. It refuses vectors that are cut off, or not finite.
_HALFVEC = {
    "zeroblob(48)": "array_fill(0::real, ARRAY[24])::halfvec",
    "x'003c'": "'[1]'::halfvec",
    "x'0000'": "'[0]'::halfvec",
}


def run_sql(store: GalleryStore, statement: str) -> None:
    """Run one statement of SQLite's, or its like, behind the store's back."""
    if is_url(store.location):
        for blob, vector in _HALFVEC.items():
            statement = statement.replace(blob, vector)
    with store.database.writing() as connection:
        connection.exec_driver_sql(statement)


def all_crops(store: GalleryStore) -> list[Crop]:
    """Every crop of the gallery, ids ascending."""
    return store.crops(store.matching(Filters()).tolist())
