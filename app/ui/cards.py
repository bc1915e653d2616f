"""The candidates on the screen: one card per crop, and the grid that they stand in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any
from zoneinfo import ZoneInfo

from app.retrieval.ranking import Candidate, Ranking
from gallery_store.crops import Crop, camera_key


@dataclass(frozen=True)
class Card:
    """One candidate as it is shown. `time` is in the gallery's zone; `thumbnail` is relative to the page."""

    image_id: int
    path: str
    camera: str | None
    time: datetime | None
    similarity: float  # CLIP cosine, -1..1
    probability: float  # 0..1
    weak: bool
    thumbnail: str

    @property
    def place(self) -> str:
        """Where and when, in a few words: "camera 3, 14:05:20"."""
        parts = [camera_name(self.camera), f"{self.time:%H:%M:%S}" if self.time else ""]
        return ", ".join(part for part in parts if part) or "no camera or time"

    def as_json(self) -> dict[str, Any]:
        """The card as the API returns it; `time` is ISO 8601 with the gallery's offset."""
        return {
            "image_id": self.image_id,
            "path": self.path,
            "camera": self.camera,
            "time": self.time.isoformat() if self.time else None,
            "similarity": round(self.similarity, 4),
            "probability": round(self.probability, 4),
        }


def make_cards(candidates: Sequence[Candidate], crops: Sequence[Crop], zone: ZoneInfo) -> tuple[Card, ...]:
    """Cards in the order of the candidates; `crops` are the same crops in the same order."""
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
        )
        for candidate, crop in zip(candidates, crops, strict=True)
    )


def thumbnail_url(crop: Crop) -> str:
    """Where the page fetches a crop's thumbnail; the digest lets browsers keep it."""
    return f"crops/{crop.id}.jpg?v={crop.sha256[:12]}"


def camera_name(camera: str | None) -> str:
    """ "camera 3" for "3", "c3" or "Camera 03"; other names as they are; "" for none."""
    if not camera:
        return ""
    key = camera_key(camera)
    return f"camera {key}" if key.isdigit() else camera


def percent(probability: float) -> str:
    """A confidence as people read it; never "100%" and never "0%", for it is neither."""
    return f"{min(99, max(1, round(probability * 100)))}%"


def grid_html(cards: Sequence[Card], ranking: Ranking | None, selected: int | None, more: int) -> str:
    """The grid of candidates. `more`: how many further candidates could be shown."""
    if ranking is None:
        return _empty("Candidates appear here", "Describe the person in the chat, or drop a photo there.")
    if not cards:
        return _empty("No candidates", "No crop passes the filters. Remove one of them above.")
    head = _head(cards, ranking)
    body = "".join(_card_html(card, rank, card.image_id == selected) for rank, card in enumerate(cards, 1))
    button = (
        f'<button class="cr-more" type="button" data-more="1">Show {min(more, 12)} more</button>'
        if more
        else ""
    )
    return f'{head}<ol class="cr-grid" aria-label="Candidates, best first">{body}</ol>{button}'


def _head(cards: Sequence[Card], ranking: Ranking) -> str:
    searched = f"{ranking.searched:,} crops searched"
    scored = f"{ranking.scored:,} read by the model" if ranking.scored else "listed by time"
    notes = [searched, scored, f"{ranking.timings.total:.1f} s"]
    if not ranking.calibrated and ranking.scored:
        notes.append("uncalibrated")
    if ranking.stopped:
        notes.append("stopped early")
    line = f'<p class="cr-count">{" · ".join(notes)}</p>'
    if ranking.no_match:
        line += '<p class="cr-nobody">Nobody here seems to fit. What follows is weak.</p>'
    return line


def _card_html(card: Card, rank: int, is_selected: bool) -> str:
    time = f'{card.time:%H:%M}<span class="cr-seconds">{card.time::%S}</span>' if card.time else "no time"
    camera = camera_name(card.camera).capitalize() or "No camera"
    weak = '<span class="cr-weak">weak</span>' if card.weak else ""
    label = f"Candidate {rank}: {card.place}, confidence {percent(card.probability)}{', weak' if card.weak else ''}"
    classes = "cr-card" + (" is-weak" if card.weak else "") + (" is-selected" if is_selected else "")
    return (
        f'<li><button type="button" class="{classes}" data-id="{card.image_id}" '
        f'aria-pressed="{str(is_selected).lower()}" aria-label="{escape(label)}">'
        f'<span class="cr-shot"><img src="{escape(card.thumbnail)}" alt="" loading="lazy">{weak}</span>'
        f'<span class="cr-bar" style="--p:{card.probability:.3f}"><i></i></span>'
        f'<span class="cr-line"><b>{percent(card.probability)}</b><span>{time}</span></span>'
        f'<span class="cr-line cr-place">{escape(camera)}</span></button></li>'
    )


def _empty(title: str, text: str) -> str:
    return f'<div class="cr-empty"><p><b>{escape(title)}</b></p><p>{escape(text)}</p></div>'
