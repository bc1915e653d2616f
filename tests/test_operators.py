"""Many conversations at once: each sees what it sees alone, and whoever stops or goes away frees its place."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.in_line import STAGE, STOPPED_WAITING
from app.in_order import InOrder
from app.model.reid_model import ReidModel
from app.refused import Refused
from app.retrieval.engine import Engine
from app.service import ChatService
from app.session import ChatSession
from app.ui.edge import in_order
from app.ui.view import progress_words
from tests.operators import others_compute
from tests.test_model_line import wait_for
from tests.tiny_qwen import tiny_folder
from tests.toy_engine import toy_engine

OPERATORS = 20
COLOURS = ("red", "blue", "green", "black", "white")  # of what they say, operator by operator


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with toy_engine(tmp_path_factory.mktemp("operators"), 6) as engine:
        yield engine


def anew(engine: Engine) -> ChatService:
    """Over the same gallery, with a model that remembers nothing."""
    return ChatService(Engine(engine.store, engine.encoder, ReidModel.load(tiny_folder())), audited=False)


Seen = tuple[list[int], list[float], str]


def converse(session: ChatSession, number: int) -> list[Seen]:
    """A conversation about one colour; what each step shows: candidates, figures and words."""
    steps: list[Callable[[], Any]] = [
        lambda: session.say(f"a man in a {COLOURS[number]} coat"),
        lambda: session.search_with(session.cards[number].image_id),
        lambda: session.reject(session.cards[0].image_id),
    ]
    seen: list[Seen] = []
    for step in steps:
        answer = step()
        ranking = session.ranking
        assert ranking is not None
        scores = [one.p_yes for one in ranking.candidates if one.p_yes is not None]
        seen.append(([c.image_id for c in ranking.candidates], scores, answer.reply))
    return seen


def test_twenty_conversations_at_once_are_what_each_is_alone(engine: Engine) -> None:
    together, service, problems = {}, anew(engine), []
    begin = threading.Barrier(OPERATORS)

    def operate(number: int) -> None:
        session = service.get(f"operator {number % 4}", f"tab {number}")
        begin.wait(60)
        try:
            together[number] = converse(session, number % len(COLOURS))
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=operate, args=(number,)) for number in range(OPERATORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    assert not problems and len(service.engine.line) == 0
    alone = anew(engine)
    expected = [converse(alone.get("one", f"{number}"), number) for number in range(len(COLOURS))]
    for number in range(OPERATORS):
        for mine, own in zip(together[number], expected[number % len(COLOURS)], strict=True):
            assert (mine[0], mine[2]) == (own[0], own[2])
            assert mine[1] == pytest.approx(own[1], abs=1e-4)


@pytest.fixture
def waiting(engine: Engine) -> Iterator[tuple[ChatSession, list[Any], threading.Thread]]:
    """A session whose search waits while another computes; what it reported, and what came of it in the end."""
    service, heard = ChatService(engine), []
    session = service.get("ann", "tab")

    def say() -> None:
        try:
            session.say("a man in a red coat", progress=lambda *told: heard.append(told))
        except Refused as problem:
            heard.append(str(problem))

    with others_compute(engine.line):
        thread = threading.Thread(target=say, daemon=True)
        thread.start()
        wait_for(lambda: (STAGE, 1, 0) in heard)
        yield session, heard, thread
    thread.join(60)
    with engine.line.turn():
        assert len(engine.line) == 1  # nobody else is left


def test_whoever_waits_is_told_and_stop_frees_the_place_at_once(waiting: Any) -> None:
    session, heard, thread = waiting
    assert len(session.service.engine.line) == 2
    session.stop.set()
    thread.join(60)
    assert heard[-1] == STOPPED_WAITING and len(session.service.engine.line) == 1
    assert not session.conversation.turns and not session.stop.is_set()


def test_a_session_that_is_forgotten_frees_its_place(waiting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    session, heard, thread = waiting
    monkeypatch.setattr("app.open_sessions.MOST_OF_ONE", 1)
    assert session.service.get("ann", "another tab") is not session
    thread.join(60)
    assert heard[-1] == STOPPED_WAITING and len(session.service.engine.line) == 1


def test_a_reset_frees_the_place_of_what_waits(waiting: Any) -> None:
    """As the API's /reset does it."""
    session, heard, thread = waiting
    session.abandon()
    thread.join(60)
    assert heard[-1] == STOPPED_WAITING and len(session.service.engine.line) == 1
    assert not session.stop.is_set() and not session.conversation.turns


def test_the_screen_says_how_many_searches_come_before() -> None:
    def words(ahead: int) -> str:
        return progress_words(SimpleNamespace(stage=STAGE, done=ahead, total=0))  # type: ignore[arg-type]

    assert [words(2), words(1), words(0)] == [
        "2 searches before yours…",
        "1 search before yours…",
        "Searching…",
    ]


def test_steps_of_one_conversation_are_done_in_the_order_in_which_they_were_asked_for() -> None:
    lock, done, threads = InOrder(), [], []

    def step(number: int) -> None:
        with lock, lock:  # a step may take it again
            done.append(number)

    with lock:
        assert lock.acquire(blocking=False)
        lock.release()
        for number in range(8):
            threads.append(threading.Thread(target=step, args=(number,)))
            threads[-1].start()
            wait_for(lambda number=number: len(lock._line) == number + 1)
        assert done == []
    for thread in threads:
        thread.join(60)
    assert done == list(range(8)) and lock.acquire(blocking=False)


@pytest.mark.parametrize("is_dropped", [False, True])
def test_events_of_one_page_follow_each_other_and_other_pages_do_not_wait(
    engine: Engine, is_dropped: bool
) -> None:
    service, done = ChatService(engine, audited=False), []

    def request(tab: str) -> gr.Request:
        return gr.Request(username="ann", session_hash=tab, query_params={})

    def steps(name: str, _: gr.Request) -> Iterator[str]:
        done.append(f"{name} begins")
        yield "working"
        yield "done"
        done.append(f"{name} ends")

    def at_once(name: str, _: gr.Request) -> str:
        done.append(name)
        return "done"

    first = in_order(service, steps)("first", request("tab"))
    assert next(first) == "working"
    second = threading.Thread(target=lambda: list(in_order(service, at_once)("second", request("tab"))))
    second.start()
    wait_for(lambda: service.get("ann", "tab").events._line)
    assert list(in_order(service, steps)("other", request("another tab"))) == ["working", "done"]
    assert done == ["first begins", "other begins", "other ends"]
    if is_dropped:  # its page is gone
        first.close()
    else:
        assert list(first) == ["done"]
    second.join(60)
    assert done[3:] == ([] if is_dropped else ["first ends"]) + ["second"]


def test_pictures_that_two_wait_for_are_read_once(engine: Engine, tmp_path: Path) -> None:
    model, looked = ReidModel.load(tiny_folder()), []
    see = (model.warm_up(), model._loaded)[1].reader.see  # type: ignore[union-attr]
    from tests.tiny_qwen import picture

    def counted(pictures: Any, **more: Any) -> Any:
        looked.extend(one.key for one in pictures)
        return see(pictures, **more)

    model._loaded.reader.see = counted  # type: ignore[union-attr, method-assign]
    pictures, rows = [picture(number) for number in range(3)], []
    with others_compute(model.line) as go_on:
        threads = [
            threading.Thread(target=lambda: rows.append(model.attribute_probs(pictures))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(model.line._waiting) == 2)
        go_on.set()
        for thread in threads:
            thread.join(60)
    assert sorted(map(str, looked)) == sorted(str(one.key) for one in pictures)
    assert (rows[0] == rows[1]).all()
