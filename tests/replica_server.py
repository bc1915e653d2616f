"""Replicas of the models without a Ray: what Ray Serve's proxy does, for tests of the app's side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Semaphore, Thread

from app.model.checkpoint import ModelError
from app.model.reid_model import ReidModel
from app.model.served.answering import about_model, answer_questions, version_of_model
from app.model.served.messages import SESSION, WRONG, Question, pack_answer, unpack_question


@dataclass
class Replicas:
    """Some models that take turns by the session's number.

    looks: how often somebody has to ask about a replica before it answers a question; looked: how often it was.
    moved: that of the first one's process. lose: how many questions from now on are lost. version: what they say their
    weights are; "" for the truth. wrong: what they refuse with. asked: each question, with the replica that it went to.
    """

    spec: str
    models: list[ReidModel]
    buckets: int = 4
    moved: int = 0
    lose: int = 0
    looks: int = 0
    looked: Semaphore = field(default_factory=lambda: Semaphore(0))
    version: str = ""
    wrong: str = ""
    asked: list[tuple[int, Question]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)
    loaded: str = field(init=False)  # the version that the models are of

    def __post_init__(self) -> None:
        self.loaded = version_of_model(self.models[0], self.spec)

    def answer(self, path: str, session: str, body: bytes) -> tuple[int, bytes]:
        if path == "/reid/about":
            self.looked.release()
        elif not all(self.looked.acquire(timeout=60) for _ in range(self.looks)):
            return 500, b"nobody looked"
        with self.lock:
            number = int(session or 0) % len(self.models)
            model = self.models[number]
            version = self.loaded
            if self.wrong:
                return WRONG, self.wrong.encode()
            if path == "/reid/about":
                about = about_model(model, self.spec, 1, version) | {"buckets": self.buckets}
                return 200, json.dumps(about).encode()
            if path != "/reid/ask":
                return 404, b"no such path"
            if self.lose:
                self.lose -= 1
                return 500, b"Internal Server Error"
            question = unpack_question(body)
            self.asked.append((number, question))
            try:
                answer = answer_questions(model, self.version or version, [question])[0]
                return 200, pack_answer(replace(answer, process=f"process {number + self.moved}"))
            except ModelError as error:
                return WRONG, str(error).encode()


@contextmanager
def replica_server(spec: Path, count: int = 2) -> Iterator[tuple[str, Replicas]]:
    """The address, ray://127.0.0.1:PORT, and its replicas."""
    replicas = Replicas(str(spec), [ReidModel.load(spec) for _ in range(count)])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, content = replicas.answer(self.path, self.headers.get(SESSION, ""), body)
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"ray://127.0.0.1:{server.server_address[1]}", replicas
        server.shutdown()
