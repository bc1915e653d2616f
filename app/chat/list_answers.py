"""Answers to questions about all the candidates, or about the search, from what is there."""

from __future__ import annotations

from collections.abc import Sequence

from app.chat.labels import filters_in_words, things_in, with_article
from app.chat.list_questions import ListQuestion
from app.chat.reply import labels_of, sought
from app.chat.search_state import ParsedMessage, SearchState, ShownCandidate
from app.model.vocabulary import COLOUR_OF, Attribute, and_list, is_absent

_ASKABLE = ("gender", "age", "upper", "lower", "shoes", "hair", "hat", "bag", "glasses")


def list_answer(
    question: ListQuestion,
    asked: ParsedMessage,
    listed: int,
    passing: int,
    shown: Sequence[tuple[int, ShownCandidate]],
) -> str:
    """Markdown: what is known of the candidates that the question asks for.

    Args:
        asked: how `question.about` is understood. listed: candidates of the last search. passing: those of them that
            pass the filters asked for. shown: (number on the screen, candidate) of those on the screen that pass.
    """
    where = filters_in_words(asked.filters)
    if not asked.wanted and not asked.unwanted:
        beyond = [*asked.unused, *asked.text]
        if not where and (beyond or question.kind != "count"):
            told = "" if beyond else " ".join(asked.notes)
            return (
                told
                or "That I cannot answer: I know what the model reads in a candidate, its camera and its time."
            )
        return _passing(question, listed, passing, where, [place for place, _ in shown])
    what = and_list([with_article(label) for label in _labels(asked)])
    fitting = [place for place, one in shown if _fits(asked, one) is True]
    unclear = sum(_fits(asked, one) is None for _, one in shown)
    place = f" {where}" if where else ""
    answer = f"As the model reads the {len(shown):,} on the screen{place}, "
    if fitting:
        answer += f"{_candidates(fitting)} {'shows' if len(fitting) == 1 else 'show'} {what}"
    else:
        answer += f"none shows {what}"
    answer += f"; of {unclear:,} it cannot tell." if unclear else "."
    if asked.text:
        answer += f" {and_list([f'“{words}”' for words in asked.text])} it does not read."
    return answer


def known_answer(state: SearchState) -> str:
    """Markdown: who is looked for, and where."""
    where = filters_in_words(state.filters)
    return f"I look for **{sought(state) or 'anybody'}**{f' {where}' if where else ''}."


def helps_answer(state: SearchState) -> str:
    """Markdown: what has not been said yet of the person."""
    excluded = {attribute.kind for attribute in state.unwanted}
    names = {"upper": "top", "lower": "trousers or skirt"}
    unknown = [
        names.get(thing, thing)
        for thing in _ASKABLE
        if state.value(thing) is None
        and state.value(COLOUR_OF.get(thing, thing)) is None
        and thing not in excluded
    ]
    photo = "" if state.references else "A photo of the person would help most. "
    if not unknown:
        return f"{photo}Cameras, days and times narrow the search as well."
    return f"{photo}Nothing is said yet of the {and_list(unknown, 'or')}."


def _passing(question: ListQuestion, listed: int, passing: int, where: str, places: Sequence[int]) -> str:
    if question.kind == "which":
        are = "is" if len(places) == 1 else "are"
        return (
            f"{_candidates(places).capitalize()} {are} {where}."
            if places
            else f"None on the screen is {where}."
        )
    is_are = "is" if passing == 1 else "are"
    if not where:
        return f"{listed:,} candidates are listed."
    count = f"{passing:,} of the {listed:,} candidates listed {is_are} {where}."
    return count if question.kind == "count" else f"{'Yes' if passing else 'No'}: {count}"


def _labels(asked: ParsedMessage) -> list[str]:
    labels = labels_of(asked.wanted)
    for kind in dict.fromkeys(attribute.kind for attribute in asked.unwanted):
        values = [attribute for attribute in asked.unwanted if attribute.kind == kind]
        labels += [f"no {kind}"] if is_absent(kind, values) else [f"no {one.value}" for one in values]
    return labels


def _fits(asked: ParsedMessage, shown: ShownCandidate) -> bool | None:
    """Whether a candidate shows all that is asked for; None where the model does not make it out."""
    answers: list[bool | None] = []
    for _, attributes in things_in(asked.wanted):
        answers += [_shows(attribute, shown) for attribute in attributes]
    for kind in dict.fromkeys(attribute.kind for attribute in asked.unwanted):
        seen = shown.read(kind)
        answers.append(None if seen is None else seen not in asked.unwanted)
    if False in answers:
        return False
    return None if None in answers else True


def _shows(attribute: Attribute, shown: ShownCandidate) -> bool | None:
    seen = shown.read(attribute.kind)
    return None if seen is None else seen == attribute


def _candidates(places: Sequence[int]) -> str:
    return f"candidate{'s' if len(places) > 1 else ''} {and_list([str(place) for place in places])}"
