"""Answers to questions about the candidates on the screen, from what was read in them, and never a guess."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from app.chat.asked_things import Asked, is_of_kin, read_asked
from app.chat.labels import camera_label, read_label, shown_label, things_in
from app.chat.lexicon import spans_of
from app.chat.message_tokens import tokenise
from app.chat.reply import fit_of
from app.chat.search_state import GalleryFacts, SearchState, ShownCandidate
from app.model.vocabulary import Attribute, and_list, kinds_of
from gallery_store.crops import Filters

_WHERE = re.compile(r"\bwhere\b|(?<!\bat the )(?<!\bat )(?<!\bat a )\bcameras?\b")
_WHEN = re.compile(r"\b(?:when|(?<!this )time|what day|which day|date)\b")
_YES_NO = re.compile(r"(?:is|are|was|were|does|do|did|has|have|can|could|might|may|would|wears|carries)\b")
_WHY = re.compile(r"\bwhy\b")
_HOW_SURE = re.compile(r"\b(?:how (?:sure|certain|likely|confident|well)|confidence|probability)\b")
_CARRIES = re.compile(r"\b(?:carry|carrying|carries|hold|holding|holds)\b")
_LOOKS = re.compile(r"\b(?:describe|look|looks|looking|wear|wearing|wears|tell|dressed|see|read)\b")
_PRONOUNS = re.compile(r"\b(?:he|she|they|his|her|their|him)\b")  # who is asked about, not what
_SUBJECT = re.compile(
    r"^(\w+) (?:the|this|that) (?:man|woman|person|suspect|boy|girl|guy|lady|child|kid)\b(?! (?:in|with|who)\b)"
)
_NAMED = {"old": "age", "age": "age", "gender": "gender", "sex": "gender", "build": "build"}
_CARRIED = ("bag", "umbrella")
READ_AS = "the model reads it"  # in every answer that says what is read
_UNANSWERED, _NOT_MADE_OUT = "That I cannot answer", "The model does not make"


def answer_about(
    place: int,
    shown: ShownCandidate,
    question: str,
    state: SearchState,
    *,
    seen: str,
    facts: GalleryFacts,
    passes: Callable[[Filters], bool] | None = None,
) -> str:
    """Markdown: what is known of one candidate.

    Args:
        place: its number on the screen, from 1. question: the words around its name. seen: where and when, in words.
        passes: whether its crop passes filters.
    """
    who = f"Candidate {place}"
    if _WHY.search(question):
        return _why(place, shown, state)
    if _HOW_SURE.search(question):
        return f"{who}: {_sureness(shown)}."
    yes_no = _YES_NO.match(question) is not None
    if yes_no:
        asked = read_asked(_subject_less(question), facts)
        if asked.states:
            return _whether(who, asked, shown)
        if not asked.filters.is_empty:
            return _was_there(place, asked, shown, seen, passes)
    things = {span.thing for span in spans_of(tokenise(question)) if span.thing is not None}
    if things and not (yes_no and asked.beyond):
        kinds = [kind for thing in things for kind in kinds_of(thing)]
        return _read(who, shown, kinds) or f"{_NOT_MADE_OUT} that out in candidate {place}."
    named = [kind for word, kind in _NAMED.items() if word in question.split()]
    if named:
        return _read(who, shown, named) or f"{_NOT_MADE_OUT} that out in candidate {place}."
    if _CARRIES.search(question):
        kinds = [kind for thing in _CARRIED for kind in kinds_of(thing)]
        return _read(who, shown, kinds) or f"{_NOT_MADE_OUT} out what candidate {place} carries."
    if _WHERE.search(question) or _WHEN.search(question):
        return (
            f"{who} was seen {seen}." if seen else f"Of candidate {place} neither camera nor time is known."
        )
    everything = _read(who, shown, None)
    if everything and _LOOKS.search(question) and not yes_no:
        return everything
    if everything:
        return f"{_UNANSWERED}. {everything}"
    return f"{_UNANSWERED}: the model read nothing in candidate {place}."


def is_unanswered(answer: str) -> bool:
    """Whether an answer says that there is none."""
    return answer.startswith((_UNANSWERED, _NOT_MADE_OUT))


def differences(places: tuple[int, int], shown: tuple[ShownCandidate, ShownCandidate]) -> str:
    """Markdown: in what two candidates differ, and what they share, by what was read in them.

    places: their numbers on the screen.
    """
    (first, second), (one, other) = places, shown
    if first == second:
        return f"That is candidate {first} twice: name two, such as “compare {first} and {first + 1}”."
    shared, apart = [], []
    for thing, attributes in things_in(list(dict.fromkeys([*one.sure, *other.sure]))):
        of_each = [[a for a in each.sure if a.kind in {x.kind for x in attributes}] for each in (one, other)]
        labels = [read_label(thing, found) if found else "" for found in of_each]
        if labels[0] == labels[1]:
            shared.append(labels[0])
        elif all(labels):
            apart.append(f"{labels[0]} in {first}, {labels[1]} in {second}")
    if not shared and not apart:
        return f"The model read nothing that tells candidates {first} and {second} apart or together."
    lines = []
    if apart:
        lines.append(f"**Candidates {first} and {second} differ:** {'; '.join(apart)}.")
    else:
        lines.append(
            f"The model reads no difference between candidates {first} and {second}; "
            "that is no proof that it is the same person."
        )
    if shared:
        lines.append(f"**Both:** {', '.join(shared)}.")
    return "  \n".join(lines)


def count_answer(listed: int, fitting: int | None, by_camera: Mapping[str, int], camera: str) -> str:
    """Markdown: how many candidates there are.

    Args:
        listed: of the last search. fitting: those that are not weak; None where nothing was judged. by_camera: how many
            are listed, by the camera's name, "" for none. camera: the one that is asked about; "" for all.
    """
    fit = "" if fitting is None else f", of which {fitting:,} {'fits' if fitting == 1 else 'fit'}"
    if camera:
        count = by_camera.get(camera, 0)
        there = "is" if count == 1 else "are"
        return f"{count:,} of the {listed:,} candidates listed {there} on {camera_label(camera)}."
    most = sorted(((n, name) for name, n in by_camera.items() if name), key=lambda row: (-row[0], row[1]))
    where = and_list([f"{n:,} on {camera_label(name)}" for n, name in most[:6]])
    return f"{listed:,} candidates are listed{fit}.{f' By camera: {where}.' if where else ''}"


def _why(place: int, shown: ShownCandidate, state: SearchState) -> str:
    who = f"Candidate {place} stands there"
    fit = fit_of(state, shown)
    sure = _sureness(shown)
    if fit.text and (state.wanted or state.unwanted):
        return f"{who} because the model reads: {fit.text}. {sure[0].upper()}{sure[1:]}."
    return f"{who} for how much it looks like what you search. {sure[0].upper()}{sure[1:]}."


def _sureness(shown: ShownCandidate) -> str:
    chance = shown.candidate.probability
    if chance is None:
        return "there is no confidence for this search, only the order"
    return f"{min(99, max(1, round(100 * chance)))} in 100 that it is who you search, by the model's own calibration"


def _whether(who: str, asked: Asked, shown: ShownCandidate) -> str:
    """Yes, no, or what is seen in its place; said as a reading."""
    name, seen = who[0].lower() + who[1:], asked.seen(shown)
    alike = asked.not_told_apart(shown)
    if asked.beyond or alike:
        why = f"the model tells no {alike}" if alike else f"the model does not read {_quoted(asked.beyond)}"
        return f"{_UNANSWERED}: {why}. {_read(who, shown, [one.kind for one in seen])}".rstrip()
    fits = asked.fits(shown)
    if fits is None:
        return f"{_NOT_MADE_OUT} that out in {name}."
    things = things_in(seen)
    shows = and_list([f"{shown_label(thing, found)}{_percent(shown, found)}" for thing, found in things])
    answer = "no: " if not fits else "" if len(asked.choices) > 1 else "yes: "
    return f"As the model reads it, {answer}{name} shows {shows}."


def _was_there(
    place: int, asked: Asked, shown: ShownCandidate, seen: str, passes: Callable[[Filters], bool] | None
) -> str:
    """Whether a candidate was seen on the cameras and at the time that are asked for."""
    filters, crop = asked.filters, shown.crop
    on_camera = bool(filters.cameras or filters.not_cameras)
    dated = replace(filters, cameras=(), not_cameras=()) != Filters()
    if not seen or passes is None or (on_camera and crop.camera is None) or (dated and crop.time is None):
        known = f"; it was seen {seen}" if seen else ""
        return f"{_UNANSWERED}: of candidate {place} that is not known{known}."
    if asked.beyond:
        why = f"the model does not read {_quoted(asked.beyond)}"
        return f"{_UNANSWERED}: {why}. Candidate {place} was seen {seen}."
    answer = "Yes" if passes(filters) else "No"
    return " ".join([f"{answer}: candidate {place} was seen {seen}.", *asked.notes])


def _subject_less(question: str) -> str:
    """A question of one person without the words that say who: "does the man have a hat" -> "does have a hat"."""
    if is_of_kin(question):
        return question
    return " ".join(_PRONOUNS.sub("", _SUBJECT.sub(r"\1 ", question)).split())


def _quoted(words: Sequence[str]) -> str:
    return and_list([f"“{word}”" for word in words], "or")


def _read(who: str, shown: ShownCandidate, kinds: Sequence[str] | None) -> str:
    """What is read of these kinds, or of all; "" where nothing is."""
    read = [a for a in shown.sure if kinds is None or a.kind in kinds]
    absent = {a.kind for a in read if a.value == "none"}
    read = [a for a in read if a.kind in absent or not any(a.kind in kinds_of(kind) for kind in absent)]
    things = things_in(read)
    if not things:
        return ""
    named = [f"{read_label(thing, found)}{_percent(shown, found)}" for thing, found in things]
    return f"{who}, as the model reads it: {', '.join(named)}."


def _percent(shown: ShownCandidate, attributes: Sequence[Attribute]) -> str:
    """How surely the least sure of them is read: " (84%)"."""
    confidences = [reading.confidence for reading in shown.readings if reading.attribute in attributes]
    return f" ({min(99, round(100 * min(confidences)))}%)" if confidences else ""
