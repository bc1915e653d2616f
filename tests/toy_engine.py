"""A real engine over a small gallery with toy models, for tests of whole steps of a conversation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.model.reid_model import ReidModel
from app.retrieval.engine import Engine
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import noise_picture, tiny_folder


@contextmanager
def toy_engine(folder: Path, crops: int) -> Iterator[Engine]:
    """So many crops of noise on three cameras; random weights of CLIP and of Qwen2-VL."""
    pictures = folder / "pictures"
    pictures.mkdir()
    for number in range(crops):
        noise_picture(number).save(pictures / f"{number:04d}_c{number % 3 + 1}s1_{number:06d}_00.png")
    encoder = ClipEncoder.load(make_clip_folder(folder / "clip"))
    with GalleryStore.open(folder / "gallery.db") as store:
        import_crops(store, encoder, pictures)
        yield Engine(store, encoder, ReidModel.load(tiny_folder()))
