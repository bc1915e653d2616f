"""The same person a little earlier or later than a sighting, on other cameras."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from app.chat.conversation import Conversation, Turn, searched_with, with_turn
from gallery_store.crops import Filters

Direction = Literal["before", "after"]
MOST_MINUTES = 7 * 24 * 60


def around(
    conversation: Conversation,
    image_id: int,
    camera: str | None,
    moment: datetime,
    direction: Direction,
    minutes: int,
    place: str = "",
) -> Conversation:
    """The conversation that looks for the person of this crop within so many minutes before or after it.

    Its filters take the place of those of the last question: a span of time and every other camera, each a chip like
    any other. The crop stands for the person, as in `search_with`. moment: of the crop, naive, in the gallery's zone.
    minutes: 1 to MOST_MINUTES. place: as Reference has it.
    """
    span = timedelta(minutes=minutes)
    since, until = (moment - span, moment) if direction == "before" else (moment, moment + span)
    filters = Filters(since=since, until=until, not_cameras=(camera,) if camera else ())
    after = replace(searched_with(conversation.known, [image_id], place), filters=filters)
    count = "1 minute" if minutes == 1 else f"{minutes} minutes"
    words = f"The same person, up to {count} {direction}{', on other cameras' if camera else ''}"
    return with_turn(conversation, Turn(direction, after, text=words, image_id=image_id))
