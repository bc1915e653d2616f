"""Answers to questions about the candidates on the screen, from what was read in them, and never a guess."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from app.chat.labels import camera_label, read_label, things_in, with_article
from app.chat.lexicon import spans_of
from app.chat.message_tokens import tokenise
from app.chat.reply import fit_of
from app.chat.search_state import GalleryFacts, SearchState, ShownCandidate
from app.chat.understanding import understand
from app.model.known import known_value
from app.model.vocabulary import Attribute, and_list, kinds_of

_WHERE = re.compile(r"\b(?:camera|where)\b")
_WHEN = re.compile(r"\b(?:when|what time|which time|what day|which day|date)\b")
_WHY = re.compile(r"\bwhy\b")
_HOW_SURE = re.compile(r"\b(?:how (?:sure|certain|likely|confident|well)|confidence|probability)\b")
_CARRIES = re.compile(r"\b(?:carry|carrying|carries|hold|holding|holds)\b")
_LOOKS = re.compile(r"\b(?:describe|look|looks|looking|wear|wearing|wears|tell|dressed|see|read)\b")
_PRONOUNS = re.compile(r"\b(?:he|she|they|his|her|their|him)\b")  # who is asked about, not what
_NAMED = {"old": "age", "age": "age", "gender": "gender", "sex": "gender", "build": "build"}
_CARRIED = ("bag", "umbrella")
_UNANSWERED, _NOT_MADE_OUT = "That I cannot answer", "The model does not make"


def answer_about(
    place: int, shown: ShownCandidate, question: str, state: SearchState, *, seen: str, facts: GalleryFacts
) -> str:
    """Markdown: what is known of one candidate.

    Args:
        place: its number on the screen, from 1. question: the words around its name. seen: where and when, in words.
    """
    who = f"Candidate {place}"
    if _WHY.search(question):
        return _why(place, shown, state)
    if _HOW_SURE.search(question):
        return f"{who}: {_sureness(shown)}."
    asked = understand(_PRONOUNS.sub("", question), SearchState(), facts)
    stated = asked.wanted or asked.unwanted
    if re.match(r"(?:is|are|was|does|do|did|has|have|can|could)\b", question) and stated:
        return " ".join(_whether(who, attributes, shown) for _, attributes in things_in(stated))
    things = {span.thing for span in spans_of(tokenise(question)) if span.thing is not None}
    if things:
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
    if everything and _LOOKS.search(question):
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


def _whether(who: str, wanted: Sequence[Attribute], shown: ShownCandidate) -> str:
    """Yes, no, or what is seen in its place; said as a reading."""
    thing, attributes = things_in(wanted)[0]
    known = [known_value(attribute, shown.kinds) for attribute in attributes]
    read = [(one, shown.read(attribute.kind)) for one, attribute in zip(known, attributes, strict=True)]
    name = who[0].lower() + who[1:]
    if None in known or any(seen is None for _, seen in read):
        return f"{_NOT_MADE_OUT} that out in {name}."
    seen = [found for _, found in read if found is not None]
    answer = "yes" if all(found == attribute for attribute, found in read) else "no"
    shows = f"{with_article(read_label(thing, seen))}{_percent(shown, seen)}"
    return f"As the model reads it, {answer}: {name} shows {shows}."


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
