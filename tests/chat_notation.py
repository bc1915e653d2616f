"""One line for what a message was understood to say, so that tests can list many."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from app.chat.search_state import GalleryFacts, ParsedMessage, SearchState
from app.model.vocabulary import Attribute, is_absent

_SENTENCES = Path(__file__).parent / "chat_sentences.txt"
GALLERY = GalleryFacts(
    cameras=("1", "2", "3", "4", "5", "6"),
    days=(date(2026, 5, 11), date(2026, 5, 12)),
    today=date(2026, 5, 12),
)
RED_JACKET = SearchState(
    wanted=(
        Attribute("gender", "woman"),
        Attribute("upper", "jacket"),
        Attribute("bag", "backpack"),
        Attribute("upper_colour", "red"),
    )
)


def notation(said: ParsedMessage) -> set[str]:
    """upper=jacket wanted, -bag=backpack excluded, -hat every hat excluded, x:hat and x:bag=backpack taken
    back, 'tattoo' free words, ?tall unused, @3 and @!3 cameras, @14:00- and @-09:00 times, @2026-05-12 days,
    "with: his mother" kept apart,
    bakpack>backpack mended, BACK refers back, OTHER-CLOTHES than in the pictures, SAME-CLOTHES, !help an intent without
    a search.
    """
    parts = set() if said.intent == "search" else {f"!{said.intent}"}
    parts |= {f"{a.kind}={a.value}" for a in said.wanted}
    for kind in {a.kind for a in said.unwanted}:
        values = [a for a in said.unwanted if a.kind == kind]
        parts |= {f"-{kind}"} if is_absent(kind, values) else {f"-{kind}={a.value}" for a in values}
    parts |= {f"x:{kind}" for kind in said.dropped} | {f"x:{a.kind}={a.value}" for a in said.dropped_values}
    parts |= {f"'{words}'" for words in said.text} | {f"?{word}" for word in said.unused}
    parts |= {f"{one.relation}: {one.in_words}" for one in said.companions}
    parts |= {f"{typed}>{read}" for typed, read in said.corrections}
    filters = said.filters
    parts |= {f"@{camera}" for camera in filters.cameras} | {f"@!{camera}" for camera in filters.not_cameras}
    parts |= {f"@{day.isoformat()}" for day in filters.days}
    if filters.after is not None or filters.before is not None:
        after = f"{filters.after:%H:%M}" if filters.after is not None else ""
        before = f"{filters.before:%H:%M}" if filters.before is not None else ""
        parts.add(f"@{after}-{before}")
    parts |= (
        set() if said.other_clothes is None else {"OTHER-CLOTHES" if said.other_clothes else "SAME-CLOTHES"}
    )
    return parts | ({"BACK"} if said.refers_back else set())


def rows() -> list[tuple[str, str, str]]:
    """(section, sentence, what is expected) of each line of tests/chat_sentences.txt."""
    found, section = [], ""
    for line in _SENTENCES.read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            sentence, _, expected = line.partition("  ->")
            found.append((section, sentence, expected.strip()))
    return found
