"""Answers to questions about all the candidates, or about the search, from what is there."""

from __future__ import annotations

from collections.abc import Sequence

from app.chat.asked_things import Asked
from app.chat.labels import filters_in_words, shown_label, things_in, with_article
from app.chat.list_questions import ListQuestion
from app.chat.reply import sought
from app.chat.search_state import ParsedMessage, SearchState, ShownCandidate
from app.model.vocabulary import COLOUR_OF, absence_words, and_list, is_absent, phrase, thing_of

_ASKABLE = ("gender", "age", "upper", "lower", "shoes", "hair", "hat", "bag", "glasses")


def list_answer(
    question: ListQuestion,
    asked: Asked,
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
    if not asked.states:
        if (asked.beyond and not where) or (not where and question.kind != "count"):
            told = "" if asked.beyond else " ".join(asked.notes)
            return (
                told
                or "That I cannot answer: I know what the model reads in a candidate, its camera and its time."
            )
        answer = _passing(question, listed, passing, where, [place for place, _ in shown])
        return " ".join([answer, *asked.notes, *_beyond(asked)])
    what = and_list([_labels(asked, choice) for choice in asked.choices], "or")
    alike = next(filter(None, (asked.not_told_apart(one) for _, one in shown)), "")
    fits = [(place, asked.fits(one)) for place, one in shown]
    fitting = [place for place, fit in fits if fit is True]
    unclear = sum(fit is None for _, fit in fits)
    place = f" {where}" if where else ""
    answer = f"As the model reads the {len(shown):,} on the screen{place}, "
    if fitting:
        answer += f"{_candidates(fitting)} {'shows' if len(fitting) == 1 else 'show'} {what}"
    else:
        answer += f"none shows {what}"
    answer += f"; of {unclear:,} it cannot tell." if unclear else "."
    if fitting and question.kind == "count":
        answer += f" That is {len(fitting):,} of {len(shown):,}."
    if alike:
        answer += f" It tells no {alike}."
    return " ".join([answer, *asked.notes, *_beyond(asked)])


def _beyond(asked: Asked) -> list[str]:
    return [f"{and_list([f'“{words}”' for words in asked.beyond])} it does not read."] if asked.beyond else []


def known_answer(state: SearchState, *, everywhere: bool = False) -> str:
    """Markdown: who is looked for, and where; everywhere: said also where no camera, day or time is asked for."""
    where = filters_in_words(state.filters) or ("on all cameras, at any time" if everywhere else "")
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


def _labels(asked: Asked, choice: ParsedMessage) -> str:
    """One of the choices, in words."""
    labels = [shown_label(thing, found) for thing, found in things_in(choice.wanted)]
    things = {thing_of(attribute.kind) for attribute in choice.wanted}
    labels += [
        with_article(kind) for kind in asked.kinds(choice) if kind in choice.freed and kind not in things
    ]
    for kind in dict.fromkeys(attribute.kind for attribute in choice.unwanted):
        values = [attribute for attribute in choice.unwanted if attribute.kind == kind]
        labels += (
            [absence_words(kind)] if is_absent(kind, values) else [f"no {phrase(one)}" for one in values]
        )
    return and_list(labels)


def _candidates(places: Sequence[int]) -> str:
    return f"candidate{'s' if len(places) > 1 else ''} {and_list([str(place) for place in places])}"
