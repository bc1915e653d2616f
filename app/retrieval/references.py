"""A query made ready to be searched with: its pictures opened, its words and pictures encoded."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from app.model.checkpoint import Calibration
from app.model.pictures import Picture
from app.retrieval.attribute_probs import Priors, rarity
from app.retrieval.query import Query, Reference, RetrievalError
from gallery_store.crops import Crop
from gallery_store.decoding import PictureError, open_picture
from gallery_store.encoder import WordEncoder
from gallery_store.shown import picture_bytes
from gallery_store.store import GalleryStore

MOST_REFERENCES = 3  # that the model is asked with; the latest ones


@dataclass(frozen=True)
class OpenReference:
    """A reference ready to be searched with. vector: float32 (dim,), unit; sha256 of the picture's file."""

    picture: Picture
    vector: np.ndarray
    sha256: str
    image_id: int | None


@dataclass(frozen=True)
class OpenQuery:
    """A query made ready to be compared: words and pictures encoded.

    description: one line of plain words, "" without any; vector: its unit row float32 (dim,), None without any.
    references: as the query has them, opened. calibration: of this kind of query; None for a model without one.
    priors: how common each attribute value is in the gallery. rarity: of what the words say, in nats; 0 where the
    calibration gives it no weight. by_reid: whether the re-ID encoder prefilters. copies: ids of the crops that
    pass the filters and are the very file that was brought; they are shown, and not compared.
    """

    query: Query
    description: str
    vector: np.ndarray | None
    references: tuple[OpenReference, ...]
    calibration: Calibration | None
    priors: Priors
    by_reid: bool = False
    copies: tuple[int, ...] = ()

    @cached_property
    def rarity(self) -> float:
        weighed = self.calibration is not None and self.calibration.rarity
        return rarity(self.priors, self.query.wanted, self.query.unwanted) if weighed else 0.0


def crop_picture(crop: Crop, store: GalleryStore) -> Picture:
    """A crop of the gallery as the model takes it; opened when it is needed, which raises PictureError."""
    return Picture(crop.sha256, lambda: open_picture(picture_bytes(crop), max_pixels=store.max_pixels))


def reference_crops(references: Sequence[Reference], store: GalleryStore) -> dict[int, Crop]:
    """Those of the references that are crops of the gallery, by id, in one look.

    Raises:
        RetrievalError: one of them is not in the gallery any more.
    """
    ids = [reference.image_id for reference in references if reference.image_id is not None]
    try:
        return dict(zip(ids, store.crops(ids), strict=True)) if ids else {}
    except KeyError:
        raise RetrievalError(
            "a picture that is searched with is not in the gallery any more: take its chip away"
        ) from None


def reference_picture(reference: Reference, crops: Mapping[int, Crop], store: GalleryStore) -> Picture:
    """A reference as the model takes it. crops: see `reference_crops`.

    Raises:
        RetrievalError: the file cannot be read.
    """
    if reference.image_id is not None:
        return crop_picture(crops[reference.image_id], store)
    return _file(reference, store)


def open_reference(
    reference: Reference, crops: Mapping[int, Crop], store: GalleryStore, encoder: WordEncoder
) -> OpenReference:
    """As reference_picture, with its vector: a crop's from the gallery, a file's computed."""
    if reference.image_id is not None:
        crop = crops[reference.image_id]
        if crop.id in store.set_aside():
            raise RetrievalError(
                f"crop {crop.id} cannot be searched with, for its vector is damaged or missing: choose another "
                f"picture, or make the vector anew by `python -m gallery_store reindex --gallery {store.location}`"
            )
        return OpenReference(crop_picture(crop, store), store.vectors([crop.id])[0], crop.sha256, crop.id)
    picture = _file(reference, store)
    vector = encoder.encode_images([picture.load()])[0]
    return OpenReference(picture, vector, str(picture.key), None)


def copies_of(references: Sequence[OpenReference], ids: np.ndarray, store: GalleryStore) -> tuple[int, ...]:
    """Those of `ids` that are the very file which the operator brought, in their order: that it is like itself would
    say nothing of the person.
    """
    brought = {reference.sha256 for reference in references if reference.image_id is None}
    same = store.ids_of_pictures(brought) if brought and len(ids) else []
    return tuple(ids[np.isin(ids, same)].tolist())


def _file(reference: Reference, store: GalleryStore) -> Picture:
    assert reference.file is not None
    try:
        data = reference.file.read_bytes()
        image = open_picture(data, max_pixels=store.max_pixels)
    except PictureError as error:
        raise RetrievalError(f"{reference.file.name} cannot be used: {error.reason}") from None
    except OSError:
        raise RetrievalError(f"{reference.file.name} is not there any more; add the picture again") from None
    return Picture(hashlib.sha256(data).hexdigest(), lambda: image)


def rows_of(references: Sequence[OpenReference]) -> np.ndarray:
    """float32 (n, dim): the unit rows of one reference or more."""
    return np.stack([reference.vector for reference in references]).astype(np.float32)
