"""What runs on Ray Serve: replicas of the Re-ID model and of the CLIP encoder. Imports ray; imported by nobody but
app.model.served.deploying.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from PIL import Image
from ray import serve
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.model.checkpoint import ModelError
from app.model.reid_model import ReidModel
from app.model.served.answering import (
    SentPictures,
    about_model,
    answer_questions,
    version_of_model,
)
from app.model.served.messages import (
    CONTENT_TYPE,
    PROTOCOL,
    WRONG,
    Answer,
    Question,
    arrays_to_pictures,
    pack,
    pack_answer,
    unpack,
    unpack_question,
)
from app.model.token_budget import BY_SHARE, TokenBudget
from gallery_store.encoder import ClipEncoder, EncoderError, resolve_device
from gallery_store.errors import first_line

MOST_TOGETHER = 32  # questions, of however many operators, that are answered as one
WAIT = 0.005  # seconds for others to come
Result = TypeVar("Result")


class Computing:
    """What both kinds of replica have: a loaded model or why there is none, and work that keeps its event loop
    free to say that it is well.
    """

    def __init__(self) -> None:
        self.fault = ""  # a sentence: why it cannot be loaded, for whoever asks
        self._broken = ""

    def check_health(self) -> None:
        """Serve puts another replica in the place of one that raises here."""
        if self._broken:
            raise RuntimeError(self._broken)

    async def compute(self, work: Callable[[], Result]) -> Result:
        """Run it beside the event loop. A device that failed once is not asked again."""
        try:
            return await asyncio.to_thread(work)
        except RuntimeError as error:
            self._broken = first_line(error)
            raise


def refusal(sentence: str) -> Response:
    return Response(sentence, WRONG, media_type="text/plain")


class ReidReplica(Computing):
    """One copy of the Re-ID model. Each answer carries the version of its weights."""

    def __init__(self, spec: str, device: str, four_bit: bool, token_bytes: int | None, buckets: int) -> None:
        super().__init__()
        try:
            tokens = TokenBudget(token_bytes) if token_bytes is not None else BY_SHARE
            self._model = ReidModel.load(
                spec, device=resolve_device(device), four_bit=four_bit, tokens=tokens
            )
            kept = self._model.warm_up()
            self._version = version_of_model(self._model, spec)
            self._about = about_model(self._model, spec, kept, self._version) | {"buckets": buckets}
        except ModelError as error:
            self.fault = str(error)

    async def __call__(self, request: Request) -> Response:
        if self.fault:
            return refusal(self.fault)
        what, body = request.url.path.rpartition("/")[2], await request.body()
        if what == "about":
            return Response(json.dumps(self._about), media_type="application/json")
        try:
            if what == "write":
                return StreamingResponse(self._write(*unpack(body)), media_type="application/jsonl")
            answer = await self._answer(unpack_question(body))
        except ValueError as error:  # ModelError among them
            return refusal(str(error))
        return Response(pack_answer(answer), media_type=CONTENT_TYPE)

    @serve.batch(max_batch_size=MOST_TOGETHER, batch_wait_timeout_s=WAIT)
    async def _answer(self, questions: list[Question]) -> Sequence[Answer]:
        return await self.compute(lambda: answer_questions(self._model, self._version, questions))

    async def _write(self, header: dict[str, Any], arrays: dict[str, np.ndarray]) -> AsyncIterator[bytes]:
        """JSON lines: {"text"} as it grows, then {"text", "ended"}, or {"wrong"}."""
        loop, lines = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any] | None]()
        gone = threading.Event()

        def put(line: dict[str, Any] | None) -> None:
            loop.call_soon_threadsafe(lines.put_nowait, line)

        def write() -> None:
            try:
                done = self._model.write(
                    header["messages"],
                    SentPictures(arrays_to_pictures(arrays))(header["pictures"]),
                    limit=int(header["limit"]),
                    said=lambda text: put({"text": text}),
                    stop=gone.is_set,
                    schema=header.get("schema"),
                )
                put({"text": done.text, "ended": done.ended})
            except Exception as error:  # the app says it
                put({"wrong": first_line(error)})
            put(None)

        writing = asyncio.create_task(self.compute(write))
        try:
            while (line := await lines.get()) is not None:
                yield json.dumps(line).encode() + b"\n"
        finally:  # or the app went away
            gone.set()
            await asyncio.shield(writing)


class ClipReplica(Computing):
    """One copy of the CLIP encoder."""

    def __init__(self, spec: str, device: str) -> None:
        super().__init__()
        try:
            self._encoder = ClipEncoder.load(spec, resolve_device(device))
        except EncoderError as error:
            self.fault = str(error)

    async def __call__(self, request: Request) -> Response:
        if self.fault:
            return refusal(self.fault)
        what, body = request.url.path.rpartition("/")[2], await request.body()
        if what == "about":
            return Response(json.dumps(self._about()), media_type="application/json")
        try:
            header, arrays = unpack(body)
            vectors = await (
                self._texts(header["texts"]) if what == "texts" else self._images(arrays["pixels"])
            )
        except (KeyError, ValueError) as error:
            return refusal(str(error))
        return Response(
            pack({"version": self._encoder.version}, {"vectors": vectors}), media_type=CONTENT_TYPE
        )

    def _about(self) -> dict[str, Any]:
        own = self._encoder
        named = {"name": own.name, "version": own.version, "dim": own.dim, "size": own.size}
        return {"protocol": PROTOCOL, "resample": int(own.resample), "logit_scale": own.logit_scale, **named}

    @serve.batch(max_batch_size=MOST_TOGETHER, batch_wait_timeout_s=WAIT)
    async def _images(self, asked: list[np.ndarray]) -> Sequence[np.ndarray]:
        pictures = [Image.fromarray(pixels) for some in asked for pixels in some]
        return split(await self.compute(lambda: self._encoder.encode_images(pictures)), asked)

    @serve.batch(max_batch_size=MOST_TOGETHER, batch_wait_timeout_s=WAIT)
    async def _texts(self, asked: list[list[str]]) -> Sequence[np.ndarray]:
        texts = [text for some in asked for text in some]
        return split(await self.compute(lambda: self._encoder.encode_texts(texts)), asked)


def split(rows: np.ndarray, asked: Sequence[Any]) -> list[np.ndarray]:
    """Each question's own rows."""
    return np.split(rows, np.cumsum([len(one) for one in asked])[:-1])
