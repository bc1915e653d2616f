"""The CLIP encoder where it runs on Ray Serve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from app.model.checkpoint import ModelError
from app.model.served.connection import Connection
from app.model.served.messages import pack, unpack
from gallery_store.encoder import EncoderError, squashed

ROUTE = "/clip"
ANY_REPLICA = ""  # no session: they share the work by chance


class ServedClip:
    """A CLIP encoder on replicas, which encode what many operators ask together. Thread-safe.

    name, version, dim, size, logit_scale: as ClipEncoder has them.
    """

    def __init__(self, connection: Connection, about: Mapping[str, Any]) -> None:
        """about: as the replicas say it."""
        self._connection = connection
        self.name, self.version, self.dim = str(about["name"]), str(about["version"]), int(about["dim"])
        self.size: tuple[int, int] = (int(about["size"][0]), int(about["size"][1]))
        self.logit_scale = float(about["logit_scale"])
        self._resample = Image.Resampling(int(about["resample"]))

    @property
    def lost(self) -> int:
        return self._connection.lost

    @classmethod
    def connect(cls, address: str) -> ServedClip:
        """The encoder that a Ray Serve has. address: ray://HOST:PORT. Raises EncoderError."""
        try:
            connection = Connection(address, ROUTE)
            return cls(connection, connection.about())
        except ModelError as error:
            raise EncoderError(str(error)) from None

    def fit(self, image: Image.Image) -> Image.Image:
        """As ClipEncoder.fit."""
        return squashed(image, self.size, self._resample)

    def encode_images(self, images: Sequence[Image.Image], batch_size: int = 64) -> np.ndarray:
        """-> float32 (n, dim), rows of length 1. Any size and mode of picture. Raises EncoderError."""
        rows = []
        for start in range(0, len(images), batch_size):
            pixels = np.stack([np.asarray(self.fit(image)) for image in images[start : start + batch_size]])
            rows.append(self._ask("images", pack({}, {"pixels": pixels}), len(pixels)))
        return np.concatenate(rows) if rows else np.zeros((0, self.dim), np.float32)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """-> float32 (n, dim), rows of length 1. Raises EncoderError."""
        if not texts:
            return np.zeros((0, self.dim), np.float32)
        return self._ask("texts", pack({"texts": list(texts)}), len(texts))

    def _ask(self, path: str, body: bytes, count: int) -> np.ndarray:
        try:
            header, arrays = unpack(self._connection.ask(path, body, session=ANY_REPLICA))
            vectors = arrays["vectors"]
        except (ModelError, ValueError, KeyError) as error:
            raise EncoderError(str(error)) from None
        if header.get("version") != self.version or vectors.shape != (count, self.dim):
            raise EncoderError(
                f"the CLIP at {self._connection.shown} has other weights than at the start; start the app again"
            )
        return vectors
