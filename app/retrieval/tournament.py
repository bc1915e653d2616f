"""The multi-turn best choice of section 3.3 over more candidates than one list holds, freed of the liking for places.

A model that is asked "which of these?" likes some places in a list better than others, whoever stands there. So each
list is shown in several orders, and what is answered is taken apart: the log-probability of a name is the worth of the
candidate, plus the liking for the place, plus what all in the question share (the choice model of Luce, 1959). Worths
and likings are fitted to all answers of a search together, by least squares.

The best of each list meet in the next round, until one list is left: so the worths of different lists are on one scale.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from app.model.line import LeftLine
from gallery_store.console import Progress
from gallery_store.pace import Pace

LIST_LENGTH = 8  # candidates shown in one question
ORDERS = 4  # in which a list is shown
GO_ON = 4  # one of so many of a list goes on to the next round, and one at least
AT_ONCE = 8  # questions between two looks at `stop`, at the most

Clock = Callable[[], float]  # seconds
Shown = tuple[int, ...]  # candidates in the order of their places
Ask = Callable[
    [Sequence[Shown]], np.ndarray
]  # lists of one length -> their log-probabilities (lists, length)


def tournament(
    count: int,
    ask: Ask,
    *,
    list_length: int = LIST_LENGTH,
    stop: Callable[[], bool] | None = None,
    progress: Progress | None = None,
    clock: Clock = time.perf_counter,
) -> np.ndarray:
    """float64 (count,): the worth of each candidate, in nats, higher is better; NaN where none has been shown.

    Args:
        ask: of each list, how likely the model names each place, up to a constant; NaN is not understood.
        list_length: 2 or more. stop: asked between questions; the rounds that were finished count.
        progress: called with (questions done, all of them). clock: seconds, for how many questions are asked at once.
    """
    if count < 2:
        return np.zeros(count)
    total = question_count(count, list_length)
    questions: list[Shown] = []
    answers: list[np.ndarray] = []
    left = np.arange(count)
    worth = np.full(count, np.nan)
    pace = Pace(AT_ONCE, first=1)
    while True:
        lists = deal(left, list_length)
        asked = [order for shown in lists for order in orders(shown)]
        said: dict[Shown, np.ndarray] = {}
        for length in sorted({len(shown) for shown in lists}, reverse=True):
            same = [shown for shown in asked if len(shown) == length]
            while same:
                if stop is not None and stop():
                    return worth
                some, same = same[: pace.size], same[pace.size :]
                began = clock()
                try:
                    said |= dict(zip(some, ask(some), strict=True))
                except LeftLine:  # stopped while others computed
                    if stop is not None:
                        stop()  # so that it knows, if it remembers
                    return worth
                pace.took(len(some), clock() - began)
                if progress is not None:
                    progress(len(questions) + len(said), total)
        questions += asked
        answers += [said[shown] for shown in asked]
        worth = worths(count, questions, answers)
        if len(lists) == 1:
            return worth
        best = [sorted(shown, key=lambda one: -worth[one])[: _going_on(len(shown))] for shown in lists]
        left = np.array(sorted((one for some in best for one in some), key=lambda one: -worth[one]))


def question_count(count: int, list_length: int = LIST_LENGTH) -> int:
    """How many questions a tournament of `count` candidates asks."""
    return sum(min(length, ORDERS) for lists in _lengths(count, list_length) for length in lists)


def deal(candidates: np.ndarray, list_length: int) -> list[Shown]:
    """Lists of nearly one length, each as strong as the others where the candidates come best first."""
    count = -(-len(candidates) // list_length)
    return [tuple(candidates[number::count].tolist()) for number in range(count)]


def orders(shown: Shown) -> list[Shown]:
    """The list turned to several beginnings: each candidate stands at as many places, and each place sees as many."""
    length = len(shown)
    turns = range(length) if length <= ORDERS else (*range(ORDERS - 1), length // 2 + 1)
    return [shown[turn:] + shown[:turn] for turn in turns]


def worths(count: int, questions: Sequence[Shown], answers: Sequence[np.ndarray]) -> np.ndarray:
    """float64 (count,): the candidates' part of the answers, by least squares; see the module.

    The liking for a place is that in lists of one length. Candidates that never met, not even through others, are
    compared as if their lists were equally strong.
    """
    likings = {
        key: count + number
        for number, key in enumerate(
            dict.fromkeys((len(q), place) for q in questions for place in range(len(q)))
        )
    }
    rows = np.zeros((sum(map(len, questions)), count + len(likings)))
    row = 0
    for question in questions:
        last = row + len(question)
        rows[np.arange(row, last), question] = 1
        rows[np.arange(row, last), [likings[len(question), place] for place in range(len(question))]] = 1
        rows[row:last] -= rows[row:last].mean(0)  # what all in the question share is nobody's
        row = last
    said = np.concatenate([answer - np.mean(answer) for answer in answers])
    return np.linalg.lstsq(rows, said, rcond=None)[0][:count]


def _going_on(length: int) -> int:
    return max(1, length // GO_ON)


def _lengths(count: int, list_length: int) -> list[list[int]]:
    """The lengths of the lists, round by round."""
    rounds = []
    while True:
        lists = [len(shown) for shown in deal(np.arange(count), list_length)]
        rounds.append(lists)
        if len(lists) == 1:
            return rounds
        count = sum(map(_going_on, lists))
