"""The words that no attribute covers: free words for CLIP and the model, or words that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.chat.lexicon import Item
from app.chat.tables import listed

MAX_PHRASES = 8
MAX_LENGTH = 60  # characters of one phrase
_GLUE = frozenset(listed("of on in a an the his her their with to for at and"))
_HEIGHT = re.compile(r"\d+([.:]\d+)?(m|cm|ft|in|kg)(\d+)?")
_SHORT = frozenset({"short", "smaller", "bigger"})


@dataclass
class Leftovers:
    text: list[str] = field(default_factory=list)  # free words; "no tattoo" for excluded ones
    dropped: list[str] = field(default_factory=list)  # words of free phrases that are taken back
    unjudged: list[str] = field(default_factory=list)  # what a crop cannot tell
    origins: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)


def leftovers(items: Sequence[Item]) -> Leftovers:
    """Sort what is left after the attributes. Function words are nobody's loss and are not named."""
    found = Leftovers()
    run: list[Item] = []
    glue: list[Item] = []
    for place, item in enumerate(items):
        kind = _kind(items, place)
        if kind == "word" and (not run or run[-1].mode == item.mode):
            run += glue if run else []
            run.append(item)
            glue = []
            continue
        if run and kind == "glue" and len(glue) < 2:
            glue.append(item)
            continue
        _close(run, found)
        run, glue = ([item] if kind == "word" else []), []
        if kind == "unjudged":
            found.unjudged.append(item.raw)
        elif kind == "origin":
            found.origins.append(item.raw)
        elif kind == "number":
            found.numbers.append(item.raw)
    _close(run, found)
    del found.text[MAX_PHRASES:]
    return found


def _kind(items: Sequence[Item], place: int) -> str:
    item = items[place]
    if item.used:
        return "other"
    if item.role == "word":
        if item.text in _SHORT and not _describes_thing(items, place):
            return "unjudged"
        return "word"
    if item.role == "shade":
        return "word" if _describes_thing(items, place) else "other"
    if item.role in ("unjudged", "origin"):
        return item.role
    if item.role == "number":
        if _HEIGHT.fullmatch(item.text):
            return "unjudged"
        beside = [items[at] for at in (place - 1, place + 1) if 0 <= at < len(items)]
        return "word" if any(other.role == "word" and not other.used for other in beside) else "number"
    return "glue" if item.text in _GLUE else "other"


def _describes_thing(items: Sequence[Item], place: int) -> bool:
    for item in items[place + 1 :]:
        if item.thing is not None or item.role == "word":
            return True
        if item.role not in ("colour", "shade", "attribute"):
            return False
    return False


def _close(run: list[Item], found: Leftovers) -> None:
    if not run:
        return
    if _is_name(run):
        found.names.append(" ".join(item.raw for item in run))
        return
    words = " ".join(item.raw for item in run)[:MAX_LENGTH].strip()
    if run[0].mode == "x":
        found.dropped.extend(item.text for item in run if item.role == "word")
    else:
        phrase = f"no {words}" if run[0].mode == "-" else words
        if phrase not in found.text:
            found.text.append(phrase)


def _is_name(run: Sequence[Item]) -> bool:
    """Two or more unknown words in a row that begin with a capital: "John Smith"."""
    return len(run) >= 2 and all(
        item.role == "word" and len(item.raw) > 1 and item.raw[0].isupper() and item.raw[1:].islower()
        for item in run
    )
