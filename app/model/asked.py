"""What a search asks of a Re-ID model, wherever it runs: in this process, on Ray Serve, or behind somebody's server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from app.model.checkpoint import CheckpointManifest
from app.model.pictures import Picture
from app.model.vocabulary import Kinds
from gallery_store.console import Progress

if TYPE_CHECKING:
    from app.model.answers import AttributeReading
    from app.model.generation import WrittenAnswer
    from app.model.prompts import Message

Stop = Callable[[], bool]


class AskedModel(Protocol):
    """Thread-safe. What each method takes, gives and raises stands in app.model.reid_model.ReidModel.

    name: what the screen calls it. manifest: what it knows about itself; None for a plain Qwen2-VL. lost: how often so
    far something had to be asked again, for who computed it was lost.
    """

    name: str
    manifest: CheckpointManifest | None
    kinds: Kinds

    @property
    def talks_freely(self) -> bool: ...

    @property
    def lost(self) -> int: ...

    def warm_up(self) -> int: ...

    def yes_logits(
        self,
        description: str,
        references: Sequence[Picture],
        candidates: Sequence[Picture],
        *,
        other_clothes: bool = False,
        stop: Stop | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray: ...

    def choice_logits(
        self,
        description: str,
        references: Sequence[Picture],
        lists: Sequence[Sequence[Picture]],
        *,
        other_clothes: bool = False,
    ) -> np.ndarray: ...

    def can_open(self, pictures: Sequence[Picture], *, stop: Stop | None = None) -> np.ndarray: ...

    def attribute_probs(
        self, pictures: Sequence[Picture], *, stop: Stop | None = None, progress: Progress | None = None
    ) -> np.ndarray: ...

    def annotate(
        self, pictures: Sequence[Picture], *, stop: Stop | None = None
    ) -> list[tuple[AttributeReading, ...]]: ...

    def write(
        self,
        messages: list[Message],
        pictures: Sequence[Picture],
        *,
        limit: int,
        said: Callable[[str], None] = lambda _: None,
        stop: Stop | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> WrittenAnswer: ...
