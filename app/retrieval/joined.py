"""What searches of several operators compute together, where they wait for it at the same time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from app.model.line import Line
from gallery_store.encoder import ClipEncoder, PictureEncoder

MOST_JOINED = 64  # texts or pictures of all who wait


class EncoderInLine:
    """An encoder of this process whose work takes its turn in a line. Raises LeftLine.

    Off the CPU, texts and pictures of all who wait are encoded as one batch. On a CPU that gains 2 of the 400
    milliseconds of a search, and would change the last bits of a vector by who else searches.
    """

    def __init__(self, encoder: PictureEncoder, line: Line) -> None:
        self._encoder, self._line = encoder, line
        self.name, self.version, self.dim = encoder.name, encoder.version, encoder.dim
        self._joins = not encoder.device.startswith("cpu")

    def encode_images(self, images: Sequence[Image.Image], batch_size: int = 64) -> np.ndarray:
        """-> float32 (n, dim), rows of length 1."""
        fitted = [self._encoder.fit(image) for image in images]
        return self._rows("images", fitted, lambda some: self._encoder.encode_images(some, batch_size))

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """-> float32 (n, dim), rows of length 1. Of a CLIP alone."""
        assert isinstance(self._encoder, ClipEncoder)
        return self._rows("texts", texts, self._encoder.encode_texts)

    def _rows(self, what: str, items: Sequence[Any], encode: Callable[[list[Any]], Any]) -> np.ndarray:
        key = (what, self.name, self.version) if self._joins else None
        rows: list[np.ndarray] = self._line.joined(key, items, encode, most=MOST_JOINED)
        return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)


def in_line(encoder: Any, line: Line) -> Any:
    """The encoder with its turns in this line, if it computes in this process; else as it is."""
    return EncoderInLine(encoder, line) if isinstance(encoder, PictureEncoder) else encoder
