"""Answers that need no search: greetings, help, and what this system will not do."""

from __future__ import annotations

from app.chat.cameras import listed_cameras
from app.chat.days import listed_days
from app.chat.values import GalleryFacts, Known, Understood

_EXAMPLE = "*“a woman in a red jacket with a backpack”*"


def direct_answer_to(understood: Understood, after: Known, gallery: GalleryFacts) -> str | None:
    """Markdown for a message that is answered without a search; None for one that is to be searched."""
    intent = understood.intent
    mended = "".join(f" I read “{typed}” as “{read}”." for typed, read in understood.corrections)
    if intent == "search":
        return None
    if intent == "reset":
        return f"Started over. Describe the next person, such as {_EXAMPLE}, or drop a photo."
    if intent == "empty":
        return f"Your message is empty. Describe the person, such as {_EXAMPLE}, or drop a photo."
    if intent == "greeting":
        return (
            f"Hello. Tell me whom you are looking for, such as {_EXAMPLE}, or drop a photo. "
            "I show candidates from the gallery; who they are I never tell."
        )
    if intent == "thanks":
        return "You are welcome. Add words, click a candidate, or say “start over” for somebody else."
    if intent in ("yes", "no"):
        return understood.question or (
            "Tell me what to change, such as *“no, the jacket is orange”* or *“only camera 3”*."
        )
    if intent == "not-this-one":
        return "Select the candidate and press **Not this one**: it goes, and the next takes its place."
    if intent == "identity":
        return (
            "I never tell who somebody is: I show candidates that look alike, and the judgement is yours. "
            "Describe what the person wears or carries, or drop a photo."
        )
    if intent == "help":
        return _help(gallery)
    if intent == "off-topic":
        return f"I can only look for people among the crops of the gallery. Describe one, such as {_EXAMPLE}."
    return _nothing(understood, after) + mended


def _nothing(understood: Understood, after: Known) -> str:
    notes = " ".join(understood.notes)
    if not notes:
        notes = "I found nothing in that to search by."
    if after.is_empty:
        return f"{notes} Describe what the person wears or carries, such as {_EXAMPLE}, or drop a photo."
    return f"{notes} The search stays as it was."


def _help(gallery: GalleryFacts) -> str:
    where = []
    if gallery.cameras:
        where.append(listed_cameras(gallery.cameras))
    if gallery.days:
        where.append(listed_days(gallery.days))
    has = f" This gallery has {', '.join(where)}." if where else ""
    return (
        "I look for a person among camera crops. Describe them by gender, age, build, hair, clothes and "
        "their "
        f"colours, shoes, hat, bag, glasses, beard or umbrella: {_EXAMPLE}. Then go on: *“she has long "
        f"hair”*, "
        "*“no, the jacket is orange”*, *“without a hat”*, *“forget the backpack”*, *“only camera 3 after "
        "14:00”*. Drop a photo, or select a candidate and search with it: *“the same person, but now in a "
        "green coat”*, or *“they may have changed clothes”*."
        f"{has} Every result is a candidate with a confidence, never an identity."
    )
