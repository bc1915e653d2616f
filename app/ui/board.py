"""The board below the desk: the sightings of the case in the order of time, and what was ruled out."""

from __future__ import annotations

from dataclasses import dataclass

from app.cards import moment_words, original_url, thumbnail_sizes, thumbnail_url
from app.chat.board import MOST_NOTE
from app.session import ChatSession
from app.timeline import Stop, by_day, still_there, timeline
from app.ui.html import render
from gallery_store.crops import camera_key
from gallery_store.errors import GalleryError


@dataclass(frozen=True)
class Shown:
    """A sighting as the page shows it. number: its place on the timeline, from 1; 0 of what was ruled out."""

    number: int
    stop: Stop

    @property
    def name(self) -> str:
        """What it is called: "Sighting 2", "Ruled out"."""
        return f"Sighting {self.number}" if self.number else "Ruled out"

    @property
    def place(self) -> str:
        """ "Camera 3, 14:05:20"."""
        time = self.stop.time
        return f"{self.stop.camera}, {time:%H:%M:%S}" if time else f"{self.stop.camera}, no time"

    @property
    def thumbnail(self) -> str:
        """ "" where the crop was deleted."""
        return thumbnail_url(self.stop.crop) if self.stop.crop else ""

    @property
    def larger(self) -> str:
        """The thumbnails for `srcset`, as a card's."""
        return thumbnail_sizes(self.stop.crop) if self.stop.crop else ""

    @property
    def original(self) -> str:
        """ "" where the crop was deleted."""
        return original_url(self.stop.crop) if self.stop.crop else ""

    @property
    def moment(self) -> str:
        """ "12 May 2026, 14:05:20"; "no time"."""
        return moment_words(self.stop.time)


def board_html(session: ChatSession) -> str:
    """The board; nothing while nobody was confirmed or ruled out."""
    board, store = session.board, session.service.store
    try:
        crops = still_there(store, (*board.confirmed, *board.rejected))
    except GalleryError:  # it cannot be read now, as the step that was done says
        crops = {}
    stops = timeline(board.confirmed, crops, store.zone)
    number = {stop.image_id: place for place, stop in enumerate(stops, start=1)}
    days = [(day, [Shown(number[stop.image_id], stop) for stop in some]) for day, some in by_day(stops)]
    rejected = [Shown(0, timeline([one], crops, store.zone)[0]) for one in reversed(board.rejected)]
    return (
        render("board", days=days, rejected=rejected, summary=_summary(stops), most_note=MOST_NOTE)
        if stops or rejected
        else ""
    )


def _summary(stops: tuple[Stop, ...]) -> str:
    """ "4 on 2 cameras"; "none confirmed yet"."""
    if not stops:
        return "none confirmed yet"
    cameras = {camera_key(stop.crop.camera) for stop in stops if stop.crop and stop.crop.camera}
    if not cameras:
        return f"{len(stops)}"
    return f"{len(stops)} on {len(cameras)} {'camera' if len(cameras) == 1 else 'cameras'}"
