"""Where Gradio's requests meet the session: whose they are, and how a refusal reaches the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from inspect import isgeneratorfunction
from typing import Any

import gradio as gr

from app.refused import Refused
from app.service import ChatService
from app.session import ChatSession

LOCAL_USER = "local"

# An event of the page, which programs do not see.
PRIVATE: dict[str, Any] = {"api_visibility": "private", "api_name": "page", "show_progress": "hidden"}


def session_of(service: ChatService, request: gr.Request) -> ChatSession:
    """The conversation of the tab or client that sends this request. Where the app was started anew since, it goes on
    with the case that the page's address names.
    """
    case = str(request.query_params.get("case", ""))
    return service.get(user_of(request), request.session_hash or "", case)


def user_of(request: gr.Request) -> str:
    return request.username or LOCAL_USER


@contextmanager
def events_of(session: ChatSession) -> Iterator[None]:
    """The turn of one of its page's events. A generator that Gradio drops leaves the block, in whatever thread."""
    session.events.acquire(owner=object())
    try:
        yield
    finally:
        session.events.release()


def in_order(service: ChatService, handler: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
    """The handler of an event, for pages that run side by side: those of one page come one after the other.

    The next begins when Gradio has sent all that this one shows: what is older never overwrites it.
    """

    @wraps(handler)
    def one_by_one(*given: Any) -> Iterator[Any]:
        request = next(one for one in given if isinstance(one, gr.Request))
        with events_of(session_of(service, request)):
            if isgeneratorfunction(handler):
                yield from handler(*given)
            else:
                yield handler(*given)

    return one_by_one


@contextmanager
def refusal_as_error() -> Iterator[None]:
    """Around a block or a function: Refused becomes Gradio's error, of the same one sentence."""
    try:
        yield
    except Refused as problem:
        raise gr.Error(str(problem), print_exception=False, title="Not done") from problem
