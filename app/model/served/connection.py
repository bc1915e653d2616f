"""The app's way to replicas on Ray Serve: HTTP, with another try where a replica was lost, and patience with one that
works.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import httpx

from app.model.checkpoint import ModelError
from app.model.served.messages import CONTENT_TYPE, PROTOCOL, SESSION, WRONG

SCHEME = "ray://"
PORT = 8000  # Ray Serve's own
AT_ONCE = 64  # requests of one app
_SECONDS = httpx.Timeout(120.0, connect=5.0, pool=None)  # of what a replica says about itself
# An answer takes half a second on a GPU, and minutes on a CPU.
_WORK = httpx.Timeout(3600.0, connect=5.0, pool=None)
_LOOK = 5.0  # seconds of work after which, again and again, the replica is asked whether it is there
_GONE = 15.0  # seconds of failing without any answer after which the whole Ray counts as gone
_PATIENCE = 120.0  # seconds of answers that say a replica was lost, or of a replica that hangs
# A machine that went away without a word ends the connections to it in half a minute.
_ALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 4))
        if hasattr(socket, name)
    ),
)
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between tries; the last again and again
_LOST = (500, 502, 503, 504)  # what Serve answers where the replica is lost, or none is ready

Stop = Callable[[], bool]
Given = TypeVar("Given")


class StoppedWaiting(Exception):
    """The operator stopped the search while a lost or slow replica was waited for."""


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
            way = httpx.HTTPTransport(limits=limits, trust_env=False, socket_options=_ALIVE)
            self._http = httpx.Client(timeout=_WORK, transport=way, trust_env=False)
            # A way of its own, and a new one each time: a look waits for no work, and sees whether Ray still listens.
            alone = httpx.Limits(max_keepalive_connections=0)
            self._looks = httpx.Client(timeout=_LOOK, limits=alone, trust_env=False)
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
            about = json.loads(self._ask_about(session))
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

    def _ask_about(self, session: str) -> bytes:
        tries = self.tries(gone=0.0)
        while True:
            try:
                url = f"{self._base}/about"
                answer = self._http.post(url, content=b"", headers=_headers(session), timeout=_SECONDS)
                if answer.status_code not in _LOST:
                    return self._content(answer)
                tries.lost(f"it answers {answer.status_code}", answered=True)
            except httpx.TransportError as error:
                tries.lost(_why(error))

    def ask(self, path: str, body: bytes, *, session: str, stop: Stop | None = None) -> bytes:
        """Post to the replica that the session leads to, once more as often as one is lost. However long it takes, it
        is waited for while it says that it is there.

        Raises:
            ModelError: the model refuses, or nobody answers any more. StoppedWaiting.
        """
        tries, url = self.tries(stop), f"{self._base}/{path}"

        def post() -> Generator[httpx.Response]:
            yield self._http.post(url, content=body, headers=_headers(session))

        while True:
            try:
                with closing(self._coming(post, session, tries)) as coming:
                    answer = next(coming)
                if answer.status_code not in _LOST:
                    return self._content(answer)
                tries.lost(f"it answers {answer.status_code}", answered=True)
            except httpx.TransportError as error:
                tries.lost(_why(error))

    @contextmanager
    def lines(
        self, path: str, body: bytes, *, session: str, tries: Tries
    ) -> Iterator[Iterator[dict[str, Any]]]:
        """As `ask`, line by line as JSON objects while they come, and without another try.

        Raises:
            ModelError, StoppedWaiting. httpx.TransportError: the replica was lost before its last line, or is not
            there.
        """
        url = f"{self._base}/{path}"

        def read() -> Generator[dict[str, Any]]:
            with self._http.stream("POST", url, content=body, headers=_headers(session)) as answer:
                if answer.status_code in _LOST:
                    raise httpx.RemoteProtocolError(f"it answers {answer.status_code}")
                if answer.status_code != 200:
                    answer.read()
                    self._content(answer)
                yield from (json.loads(line) for line in answer.iter_lines() if line)

        with closing(self._coming(read, session, tries)) as coming:
            yield coming

    def _coming(self, give: Callable[[], Generator[Given]], session: str, tries: Tries) -> Generator[Given]:
        """What `give` gives, and raises, in a thread of its own, so that a Ray that went away without a
        word is not waited for."""
        came: SimpleQueue[tuple[Given | None, BaseException | None]] = SimpleQueue()
        left = threading.Event()

        def work() -> None:
            try:
                with closing(give()) as giving:
                    for one in giving:
                        came.put((one, None))
                        if left.is_set():
                            return
                came.put((None, None))
            except BaseException as error:
                came.put((None, error))

        threading.Thread(target=work, name="ray-answer", daemon=True).start()
        try:
            while True:
                try:
                    one, problem = came.get(timeout=_LOOK)
                except Empty:
                    self._look(session, tries)
                    continue
                if problem is not None:
                    raise problem
                if one is None:
                    return
                yield one
        finally:
            left.set()

    def _look(self, session: str, tries: Tries) -> None:
        """Whether the replica that has been working for long is there. Raises ModelError, StoppedWaiting."""
        try:
            url = f"{self._base}/about"
            answer = self._looks.post(url, content=b"", headers=_headers(session))
            if answer.status_code in _LOST:
                tries.silent(f"it answers {answer.status_code}", _PATIENCE)
            else:
                tries.at_work()
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            tries.silent(_why(error))
        except httpx.TransportError as error:  # Ray puts another one in the place of a replica that hangs
            tries.silent(_why(error), _PATIENCE)

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
    """How often one question was lost, and for how long nobody answers.

    gone: seconds of failing without any answer after which the Ray counts as gone; None for a quarter of a minute.
    """

    def __init__(self, connection: Connection, stop: Stop | None, gone: float | None) -> None:
        self._connection, self._stop = connection, stop
        self._gone = _GONE if gone is None else gone
        self._lost: float | None = None  # when it was lost first
        self._silent: float | None = None  # since when nobody answers
        self._number = 0

    def lost(self, why: str, *, answered: bool = False) -> None:
        """Count it and wait a little. answered: Serve itself answered, and has no replica.

        Raises:
            ModelError: that is enough. StoppedWaiting.
        """
        now = time.monotonic()
        self._lost = now if self._lost is None else self._lost
        if now - self._lost > _PATIENCE:
            raise self._too_long(why)
        if answered:
            self.at_work()
        else:
            self.silent(why)
        self._connection.count_lost()
        time.sleep(_PAUSES[min(self._number, len(_PAUSES) - 1)])
        self._number += 1

    def at_work(self) -> None:
        """Somebody answers: whatever takes long is slow, and not gone. Raises StoppedWaiting."""
        self._silent = None
        self._heed_stop()

    def silent(self, why: str, most: float | None = None) -> None:
        """Nobody answers. most: seconds of it that are borne; None for those after which the Ray counts as gone.

        Raises:
            ModelError: that is enough. StoppedWaiting.
        """
        now = time.monotonic()
        self._silent = now if self._silent is None else self._silent
        if now - self._silent >= (self._gone if most is None else most):
            raise self._too_long(why)
        self._heed_stop()

    def _heed_stop(self) -> None:
        if self._stop is not None and self._stop():
            raise StoppedWaiting

    def _too_long(self, why: str) -> ModelError:
        return ModelError(
            f"the Ray at {self._connection.shown} does not answer ({why}); start it, or give the address of another"
        )


def _why(error: httpx.TransportError) -> str:
    return str(error) or type(error).__name__


def _headers(session: str) -> dict[str, str]:
    return {"content-type": CONTENT_TYPE, **({SESSION: session} if session else {})}
