"""The words of a message that no attribute covers: free words for CLIP and the model, or words that cannot be used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import wrap

from app.chat.lexicon import Span
from app.chat.words import listed

MAX_PHRASES = 8
MAX_LENGTH = 60  # characters of one phrase
_GLUE = frozenset(listed("of on in a an the his her their with to for at and or"))
_HEIGHT = re.compile(r"\d+([.:]\d+)?(m|cm|ft|in|kg)(\d+)?")
_SHORT = frozenset({"short", "smaller", "bigger"})


@dataclass
class Leftovers:
    """The words of a message that no attribute covers."""

    text: list[str] = field(default_factory=list)  # free words; "no tattoo" for excluded ones
    dropped: list[str] = field(default_factory=list)  # words of free phrases that are taken back
    unjudged: list[str] = field(default_factory=list)  # what a crop cannot tell
    origins: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)  # free words beyond what one message may have


def leftovers(spans: Sequence[Span]) -> Leftovers:
    """Sort what is left after the attributes; function words say nothing of the person and are left out."""
    left = Leftovers()
    run: list[Span] = []
    glue: list[Span] = []
    for position, span in enumerate(spans):
        sort = _sort_of(spans, position)
        if sort == "word" and (not run or run[-1].mode == span.mode):
            run += glue if run else []
            run.append(span)
            glue = []
            continue
        if run and sort == "glue" and len(glue) < 2:
            glue.append(span)
            continue
        _close(run, left)
        run, glue = ([span] if sort == "word" else []), []
        if sort == "unjudged":
            left.unjudged.append(span.raw)
        elif sort == "origin":
            left.origins.append(span.raw)
        elif sort == "number":
            left.numbers.append(span.raw)
    _close(run, left)
    left.cut += left.text[MAX_PHRASES:]
    del left.text[MAX_PHRASES:]
    return left


def _sort_of(spans: Sequence[Span], position: int) -> str:
    """ "word", "glue" (joins two words of a phrase), "unjudged", "origin", "number" or "other"."""
    span = spans[position]
    if span.used:
        return "other"
    if span.role == "word":
        if span.text in _SHORT and not _describes_thing(spans, position):
            return "unjudged"
        return "word"
    if span.role == "shade":
        return "word" if _describes_thing(spans, position) else "unjudged"  # "tall, dark and handsome"
    if span.role in ("unjudged", "origin"):
        return span.role
    if span.role == "number":
        if _HEIGHT.fullmatch(span.text):
            return "unjudged"
        beside = [spans[at] for at in (position - 1, position + 1) if 0 <= at < len(spans)]
        return "word" if any(other.role == "word" and not other.used for other in beside) else "number"
    return "glue" if span.text in _GLUE else "other"


def _describes_thing(spans: Sequence[Span], position: int) -> bool:
    """True for an adjective with a thing or an unknown word after it: "a short scarf"."""
    for span in spans[position + 1 :]:
        if span.thing is not None or span.role == "word":
            return True
        if span.role not in ("colour", "shade", "attribute"):
            return False
    return False


def _close(run: list[Span], left: Leftovers) -> None:
    """File a run of unknown words: a name, words that are taken back, or a free phrase."""
    if not run:
        return
    if _is_name(run):
        left.names.append(" ".join(span.raw for span in run))
        return
    if run[0].mode == "x":
        left.dropped.extend(span.text for span in run if span.role == "word")
        return
    for words in wrap(" ".join(span.raw for span in run), MAX_LENGTH, break_long_words=False):
        if len(words) > MAX_LENGTH:
            left.cut.append(words[MAX_LENGTH:])
        phrase = f"no {words[:MAX_LENGTH]}" if run[0].mode == "-" else words[:MAX_LENGTH]
        if phrase not in left.text:
            left.text.append(phrase)


def _is_name(run: Sequence[Span]) -> bool:
    """Two or more unknown words in a row that begin with a capital: "John Smith"."""
    return len(run) >= 2 and all(
        span.role == "word" and len(span.raw) > 1 and span.raw[0].isupper() and span.raw[1:].islower()
        for span in run
    )
