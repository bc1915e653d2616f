"""What an operator's message says: deterministic, over the attribute vocabulary, with typing errors
mended.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.chat import intents
from app.chat.ages import read_ages
from app.chat.apply import absence
from app.chat.binding import bind
from app.chat.cameras import camera_words, read_cameras
from app.chat.collect import Collected, collect
from app.chat.days import read_days
from app.chat.leftovers import Leftovers, leftovers
from app.chat.lexicon import Item, correct_tokens, items_of
from app.chat.modes import assign_modes
from app.chat.outfits import read_outfits
from app.chat.taking import Taking
from app.chat.times import read_times
from app.chat.tokens import MAX_CHARACTERS, tokenise
from app.chat.values import GalleryFacts, Known, Understood
from app.model.vocabulary import KINDS, Attribute
from gallery_store.crops import Filters


def understand(
    text: str, known: Known, gallery: GalleryFacts, *, asked: str | None = None, with_photo: bool = False
) -> Understood:
    """Read one message in the light of what is known. Never raises, whatever the text.

    asked: the kind of attribute that the assistant asked about last, so that "no" or "black" can answer.
    with_photo: the message comes with a picture, and is a search whatever it says.
    """
    notes: list[str] = []
    if len(text) > MAX_CHARACTERS:
        notes.append(f"Your message is long: I read its first {MAX_CHARACTERS:,} characters.")
    tokens, corrections = correct_tokens(tokenise(text), protect=camera_words(gallery.cameras))
    said = intents.plain(items_of(tokens))
    if not with_photo:
        quick = _without_search(said, known, asked)
        if quick is not None:
            return quick

    taking = Taking(list(tokens))
    ages = read_ages(taking)
    filters = read_cameras(taking, known.filters, gallery)
    filters = read_days(taking, filters, gallery)
    filters = read_times(taking, filters, gallery)
    other_clothes = read_outfits(taking)
    items = items_of(taking.rest())
    assign_modes(items)
    bound = bind(items, known, asked)
    found = collect(items, bound, known)
    for age in ages:
        found.wanted.setdefault("age", age)
    left = leftovers(items)
    notes += [*taking.notes, *bound.notes]
    about_identity = intents.asks_identity(said) or bool(left.names)
    if about_identity:
        notes.append("I show candidates that look alike; who somebody is I never tell.")
        if found.by_pronoun:
            found.wanted.pop("gender", None)
    notes += [note for attribute, note in bound.only_colours if attribute in found.unwanted]
    notes += _notes_on(left, found, known)
    if other_clothes and not (known.references or with_photo):
        notes.append("Once there is a picture of the person, I compare in it only what outlasts clothes.")
    changed = filters != known.filters or (any(taking.taken) and not taking.notes)
    intent = _intent(said, found, left, changed, items, about_identity, with_photo)
    if intent == "off-topic":
        return Understood(intent=intent, filters=known.filters)
    if intent not in ("search", "nothing"):
        return Understood(intent=intent, filters=known.filters, corrections=corrections, notes=tuple(notes))
    return Understood(
        intent=intent,
        wanted=tuple(found.wanted.values()),
        unwanted=tuple(found.unwanted),
        dropped=_once(found.dropped),
        dropped_values=_once(found.dropped_values),
        dropped_text=_once(left.dropped),
        freed=_once(found.freed),
        text=_once([*found.extra, *left.text]),
        filters=filters,
        filters_changed=filters != known.filters,
        refers_back=any(item.role == "back" for item in items) or intents.speaks_of_change(said),
        other_clothes=other_clothes,
        adds_photos=with_photo and bool({"also", "another", "too", "second", "more"} & set(said.split())),
        unused=_once([*left.unjudged, *left.origins, *bound.unused, *left.names, *left.numbers, *left.text]),
        corrections=corrections,
        notes=_once(notes),
        question=found.question,
    )


def _without_search(said: str, known: Known, asked: str | None) -> Understood | None:
    """Commands, greetings, and the "yes" or "no" that answers a question."""
    command = intents.command(said)
    if command is not None:
        return Understood(intent=command, filters=Filters() if command == "reset" else known.filters)
    talk = intents.small_talk(said)
    if talk in ("yes", "no") and asked is not None and "none" in KINDS.get(asked, ()):
        values = [value for value in KINDS[asked] if value != "none"]
        if talk == "no":
            return Understood(unwanted=absence(asked), filters=known.filters)
        if len(values) == 1:
            return Understood(wanted=(Attribute(asked, values[0]),), filters=known.filters)
        question = f"Which one: {', '.join(values[:-1])} or {values[-1]}?"
        return Understood(intent="yes", filters=known.filters, question=question)
    return None if talk is None else Understood(intent=talk, filters=known.filters)


def _intent(
    said: str,
    found: Collected,
    left: Leftovers,
    any_filter: bool,
    items: list[Item],
    about_identity: bool,
    with_photo: bool,
) -> str:
    firm = bool(
        found.unwanted or found.dropped or found.dropped_values or found.freed or left.dropped or found.extra
    ) or any(kind != "gender" or not found.by_pronoun for kind in found.wanted)
    if with_photo or firm:
        return "search"
    if intents.asks_help(said) and not any_filter:
        return "help"
    if about_identity and not any_filter:
        return "identity"
    if any_filter:
        return "search"
    if intents.is_question(said):
        return "nothing" if left.unjudged or left.origins else "off-topic"
    if found.wanted or left.text or any(item.role == "back" for item in items):
        return "search"
    return "nothing"


def _notes_on(left: Leftovers, found: Collected, known: Known) -> list[str]:
    notes = []
    if left.unjudged:
        notes.append(f"{_quoted(left.unjudged)} cannot be judged from a crop, so I left it out.")
    if left.origins:
        notes.append("I do not search by skin colour or origin.")
    if left.numbers:
        notes.append(f"I could make nothing of {_quoted(left.numbers)}.")
    excluded = [phrase for phrase in left.text if phrase.startswith("no ")]
    passed = [phrase for phrase in left.text if not phrase.startswith("no ")]
    if passed:
        notes.append(f"{_quoted(passed)} {_is_not(passed)} in my vocabulary; I passed it on as free words.")
    if excluded:
        notes.append(f"{_quoted(excluded)} went along as free words, which can hardly exclude anything.")
    missing = [a.value for a in found.dropped_values if a not in (*known.wanted, *known.unwanted)]
    if missing and not found.wanted:
        notes.append(f"I was not looking for {' or '.join(missing)} anyway.")
    return notes


def _is_not(words: list[str]) -> str:
    return "is not" if len(words) == 1 else "are not"


def _quoted(words: Iterable[str]) -> str:
    quoted = [f"“{word}”" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _once(values: Iterable) -> tuple:  # type: ignore[type-arg]
    return tuple(dict.fromkeys(values))
