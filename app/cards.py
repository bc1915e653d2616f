"""A candidate as it is shown, on the page and by the API: data, no markup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from app.chat.labels import day_label
from app.retrieval.ranking import Candidate
from gallery_store.crops import Crop, camera_key
from gallery_store.shown import LARGE_THUMBNAIL, THUMBNAIL, width_within


@dataclass(frozen=True)
class Card:
    """One candidate as it is shown. `time` is in the gallery's zone.

    thumbnail, original: addresses relative to the page. larger: the thumbnails as `srcset` of an image lists them.
    """

    image_id: int
    path: str
    camera: str | None
    time: datetime | None
    similarity: float  # CLIP cosine, -1..1
    probability: float | None  # 0..1; None where nothing was judged, or nobody calibrated it
    weak: bool
    thumbnail: str
    caution: str = "not judged"  # stands where the confidence would, if there is none
    day: str = ""  # "12 May 2026"; "" without a time, and in a gallery of one day
    original: str = ""
    larger: str = ""  # "" where the thumbnail has all that the picture has

    @property
    def place(self) -> str:
        """Where and when, in a few words: "camera 3, 14:05:20", "camera 3, 12 May 2026, 14:05:20"."""
        parts = [camera_name(self.camera), self.day, f"{self.time:%H:%M:%S}" if self.time else ""]
        return ", ".join(part for part in parts if part) or "no camera or time"

    @property
    def moment(self) -> str:
        """The day and the time: "12 May 2026, 14:05:20"; "no time"."""
        return moment_words(self.time)

    @property
    def seen(self) -> str:
        """Where and when, for a sentence: "on camera 3, 12 May 2026 at 14:05:20"; "" where nothing is known."""
        where = f"on {camera_name(self.camera)}" if self.camera else ""
        when = f"{day_label(self.time.date())} at {self.time:%H:%M:%S}" if self.time else ""
        return ", ".join(part for part in (where, when) if part)

    @property
    def percent(self) -> str:
        """The confidence as people read it; "" where there is none, and the place in the ranking says all."""
        return "" if self.probability is None else percent(self.probability)

    def as_json(self) -> dict[str, Any]:
        """The card as the API returns it; `time` is ISO 8601 with the gallery's offset."""
        return {
            "image_id": self.image_id,
            "path": self.path,
            "camera": self.camera,
            "time": self.time.isoformat() if self.time else None,
            "similarity": round(self.similarity, 4),
            "probability": None if self.probability is None else round(self.probability, 4),
            "caution": self.caution if self.probability is None else "",
        }


def make_cards(
    candidates: Sequence[Candidate], crops: Sequence[Crop], zone: ZoneInfo, *, with_day: bool = False
) -> tuple[Card, ...]:
    """Cards in the order of the candidates; `crops` are the same crops in the same order. with_day: they say it."""
    return tuple(
        Card(
            image_id=candidate.image_id,
            path=crop.path,
            camera=crop.camera or None,
            time=crop.time.astimezone(zone) if crop.time else None,
            similarity=candidate.similarity,
            probability=candidate.probability,
            weak=candidate.weak,
            thumbnail=thumbnail_url(crop),
            caution=candidate.caution,
            day=day_label(crop.time.astimezone(zone).date()) if crop.time and with_day else "",
            original=original_url(crop),
            larger=thumbnail_sizes(crop),
        )
        for candidate, crop in zip(candidates, crops, strict=True)
    )


def thumbnail_url(crop: Crop) -> str:
    """Where the page fetches a crop's thumbnail; the digest lets browsers keep it."""
    return f"crops/{crop.id}.jpg?v={crop.sha256[:12]}"


def original_url(crop: Crop) -> str:
    """Where the page fetches the picture as it was imported."""
    return f"originals/{crop.id}?v={crop.sha256[:12]}"


def thumbnail_sizes(crop: Crop) -> str:
    """The thumbnails, each with its width, for `srcset`; "" where there is no larger one."""
    small, large = width_within(crop, THUMBNAIL), width_within(crop, LARGE_THUMBNAIL)
    if small == large:
        return ""
    return f"{thumbnail_url(crop)} {small}w, crops/{crop.id}-large.jpg?v={crop.sha256[:12]} {large}w"


def camera_name(camera: str | None) -> str:
    """ "camera 3" for "3", "c3" or "Camera 03"; other names as they are; "" for none."""
    if not camera:
        return ""
    key = camera_key(camera)
    return f"camera {key}" if key.isdigit() else camera


def moment_words(time: datetime | None) -> str:
    """ "12 May 2026, 14:05:20"; "no time" for None."""
    return f"{day_label(time.date())}, {time:%H:%M:%S}" if time else "no time"


def percent(probability: float) -> str:
    """A confidence as people read it; never "100%" and never "0%", for it is neither."""
    return f"{min(99, max(1, round(probability * 100)))}%"


def shown_name(name: str) -> str:
    """A model's name without the folders above it: those are nobody's business."""
    return Path(name).name if Path(name).is_absolute() else name
