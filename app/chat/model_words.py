"""How the model's own words are shown: quoted, marked as its own, and held against what it reads in the picture."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.chat.model_questions import ModelTask
from app.chat.search_state import ShownCandidate
from app.model.answers import parse_annotation
from app.model.known import known_value
from app.model.vocabulary import ALL_KINDS, NEWEST_VERSION, Kinds, and_list

CANNOT_TALK = "This model cannot talk freely."
READ_ABOVE = "This model cannot talk freely; above stands what it reads in the picture."
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&])")
_MOST_NAMED = 200  # characters of an answer that says nothing


def heading(task: ModelTask) -> str:
    """What stands above the model's words."""
    who = f"candidate{'s' if len(task.places) > 1 else ''} {and_list([str(place) for place in task.places])}"
    return f"**The model's own words on {who}**, unchecked and no part of the search:"


def model_words(
    task: ModelTask,
    text: str,
    *,
    ended: bool = True,
    stopped: bool = False,
    shown: Sequence[ShownCandidate] = (),
    above: bool = False,
    kinds: Kinds = ALL_KINDS,
) -> str:
    """Markdown of what the model wrote.

    Args:
        text: as it wrote it; none of it is taken for markup. ended: it came to its end. stopped: by the operator.
        shown: what was read in the candidates, which a description is held against. above: what is read stands above.
        kinds: that the model knows; what else its words say is not held against what it reads.
    """
    cannot = READ_ABOVE if above else CANNOT_TALK
    parts = [cannot] if task.instead else []
    said = parse_annotation(text, NEWEST_VERSION) if task.kind != "ask" else ()
    stated = [own for one in said if (own := known_value(one, kinds)) is not None]
    if ended and task.kind != "ask" and not stated:
        if task.instead:
            return cannot
        asked = "description" if task.kind == "describe" else "comparison"
        wrote = f"writes “{unmarked(text)[:_MOST_NAMED]}”" if text.strip() else "writes nothing"
        return " ".join(
            [*parts, f"Asked for a {asked}, the model {wrote}, which says nothing of what is worn."]
        )
    if not text.strip():
        return " ".join(
            [*parts, "Stopped before the model wrote anything." if stopped else "The model wrote nothing."]
        )
    end = "" if ended else " …"
    parts.append(f"{heading(task)}\n\n> {unmarked(text)}{end}")
    if stopped:
        parts.append("Stopped.")
    elif not ended:
        parts.append("It is cut here: the answer was too long.")
    if task.kind == "describe" and len(shown) == 1 and stated:
        read = [(attribute, shown[0].read(attribute.kind)) for attribute in stated]
        known = [pair for pair in read if pair[1] is not None]
        agree = sum(worn == seen for worn, seen in known)
        if known:
            parts.append(f"Of {len(known)} details that can be held against what it reads, {agree} agree.")
    return "\n\n".join(parts)


def unmarked(text: str) -> str:
    """One line, shown as it stands: no link, picture or markup of it works."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
