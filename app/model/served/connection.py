"""The app's way to replicas on Ray Serve: HTTP, with another try where a replica was lost."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from app.model.checkpoint import ModelError
from app.model.served.messages import CONTENT_TYPE, PROTOCOL, SESSION, WRONG

SCHEME = "ray://"
PORT = 8000  # Ray Serve's own
AT_ONCE = 64  # requests of one app
_SECONDS = httpx.Timeout(120.0, connect=5.0, pool=None)  # an answer takes about half a second
_GONE = 15.0  # seconds without any answer after which the whole Ray counts as gone
_PATIENCE = 120.0  # seconds of answers that say a replica was lost
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between tries; the last again and again
_LOST = (500, 502, 503, 504)  # what Serve answers where the replica is lost, or none is ready

Stop = Callable[[], bool]


class StoppedWaiting(Exception):
    """The operator stopped the search while a lost replica was waited for."""


class Connection:
    """To one application of a Ray Serve. Thread-safe.

    address: HOST or HOST:PORT, with or without ray:// before it. route: of the application, such as "/reid".
    lost: how often a question had to be asked again, for its replica was lost, so far.
    """

    def __init__(self, address: str, route: str) -> None:
        host = address.removeprefix(SCHEME).rstrip("/")
        self.shown = f"{SCHEME}{host}"
        self.lost = 0
        has_port = host.rpartition("]")[2].count(":") == 1
        self._base = f"http://{host if has_port else f'{host}:{PORT}'}{route}"
        limits = httpx.Limits(max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE)
        # The environment's proxies are for the internet.
        try:
            self._http = httpx.Client(timeout=_SECONDS, limits=limits, trust_env=False)
            httpx.URL(self._base)
        except httpx.InvalidURL as error:
            raise ModelError(f"{self.shown} is no address ({error}); give ray://HOST:PORT") from None
        self._lock = threading.Lock()
        self.workers = ThreadPoolExecutor(AT_ONCE, "ray")

    def about(self, session: str = "") -> dict[str, Any]:
        """What the replica that the session leads to says about itself. Raises ModelError: no Ray, no application, or
        not ours.
        """
        try:
            about = json.loads(self.ask("about", b"", session=session, gone=0.0))
        except ValueError as error:
            if isinstance(error, ModelError):
                raise
            about = None
        if not isinstance(about, dict) or "protocol" not in about:
            raise ModelError(f"{self.shown} is no ChatReID on Ray Serve; see docs/deployment.md")
        if about["protocol"] != PROTOCOL:
            raise ModelError(
                f"{self.shown} is served by another ChatReID (messages {about['protocol']}, here {PROTOCOL}); "
                "put the same one on both"
            )
        return about

    def ask(
        self, path: str, body: bytes, *, session: str, stop: Stop | None = None, gone: float | None = None
    ) -> bytes:
        """Post to the replica that the session leads to, once more as often as one is lost.

        gone: seconds without any answer after which the Ray counts as gone; None for a quarter of a minute.

        Raises:
            ModelError: the model refuses, or nobody answers any more. StoppedWaiting.
        """
        tries = self.tries(stop, gone)
        while True:
            try:
                answer = self._http.post(f"{self._base}/{path}", content=body, headers=_headers(session))
                if answer.status_code not in _LOST:
                    return self._content(answer)
                tries.lost(f"it answers {answer.status_code}", answered=True)
            except httpx.TransportError as error:
                tries.lost(str(error) or type(error).__name__)

    @contextmanager
    def lines(self, path: str, body: bytes, *, session: str) -> Iterator[Iterator[dict[str, Any]]]:
        """As `ask`, line by line as JSON objects while they come, and without another try.

        Raises:
            ModelError. httpx.TransportError: the replica was lost before its last line, or is not there.
        """
        url = f"{self._base}/{path}"
        with self._http.stream("POST", url, content=body, headers=_headers(session)) as answer:
            if answer.status_code in _LOST:
                raise httpx.RemoteProtocolError(f"it answers {answer.status_code}")
            if answer.status_code != 200:
                answer.read()
                self._content(answer)
            yield (json.loads(line) for line in answer.iter_lines() if line)

    def tries(self, stop: Stop | None = None, gone: float | None = None) -> Tries:
        """To be told of each loss of one question."""
        return Tries(self, stop, gone)

    def count_lost(self) -> None:
        with self._lock:
            self.lost += 1

    def _content(self, answer: httpx.Response) -> bytes:
        if answer.status_code == WRONG:
            raise ModelError(answer.text)
        if answer.status_code != 200:
            raise ModelError(
                f"the Ray at {self.shown} serves no model of ChatReID's (it answers {answer.status_code}); "
                "put it there with `python -m app.model.served`"
            )
        return answer.content


class Tries:
    """How often one question was lost, and for how long nobody answered."""

    def __init__(self, connection: Connection, stop: Stop | None, gone: float | None) -> None:
        self._connection, self._stop = connection, stop
        self._gone = _GONE if gone is None else gone
        self._began = self._answered = time.monotonic()
        self._number = 0

    def lost(self, why: str, *, answered: bool = False) -> None:
        """Count it and wait a little. answered: Serve itself answered, and has no replica.

        Raises:
            ModelError: that is enough. StoppedWaiting.
        """
        now = time.monotonic()
        if answered:
            self._answered = now
        if now - self._answered >= self._gone or now - self._began > _PATIENCE:
            raise ModelError(
                f"the Ray at {self._connection.shown} does not answer ({why}); start it, or give the address of another"
            )
        if self._stop is not None and self._stop():
            raise StoppedWaiting
        self._connection.count_lost()
        time.sleep(_PAUSES[min(self._number, len(_PAUSES) - 1)])
        self._number += 1


def _headers(session: str) -> dict[str, str]:
    return {"content-type": CONTENT_TYPE, **({SESSION: session} if session else {})}
