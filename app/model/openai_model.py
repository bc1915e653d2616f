"""A model behind an OpenAI-compatible server, such as vLLM or SGLang: Yes or No by the log-probabilities of a word.

The query comes first in each question and the candidate's picture last, so that the server's prefix cache serves all
candidates of a search. What such a server cannot give (attributes with their probabilities, the best choice of a list)
is absent.
"""

from __future__ import annotations

import base64
import io
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
from PIL import Image

from app.model.checkpoint import CheckpointManifest, ModelError
from app.model.pictures import RUN_TIME, ImageRule, Picture, apply_rule, is_colourless
from app.model.prompts import NO, YES, MayDiffer, pair_prompt
from app.model.reid_model import GREY, Stop, never
from app.model.vocabulary import KINDS_OF_VERSION, VOCABULARY_VERSION, Kinds
from app.settings import OPENAI
from gallery_store.console import Progress
from gallery_store.errors import first_line
from gallery_store.pace import Pace

if TYPE_CHECKING:
    from app.model.answers import AttributeReading
    from app.model.generation import WrittenAnswer
    from app.model.prompts import Message

KEY = "OPENAI_API_KEY"  # in the environment, where the server asks for one
AT_ONCE = 16  # questions that the server has at a time: it batches them
_MOST = 64  # candidates between two looks at Stop
TOP = 20  # log-probabilities, as many as these servers give
_SECONDS = httpx.Timeout(120.0, connect=5.0, pool=None)
_PAUSES = (0.5, 2.0, 5.0)  # seconds before another try, where the server is busy or does not answer
_BUSY = (408, 425, 429, 500, 502, 503, 504)


class OpenAiModel:
    """One model of one server. Thread-safe.

    name: the server's for it. manifest: of the checkpoint's folder, if the name is one that lies here too, without its
    calibration, which needs what the server cannot give; else None. kinds: that it would know. lost: how often a
    question had to be asked again.
    """

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        folder = Path(name)
        own = CheckpointManifest.read(folder) if folder.is_dir() else None
        bare: dict[str, Any] = {"calibrations": {}, "fusion_weights": {}, "affinity": {}}
        self.manifest = replace(own, **bare) if own else None
        self.rule: ImageRule = own.image_rule if own else RUN_TIME
        self.kinds: Kinds = KINDS_OF_VERSION[own.vocabulary_version if own else VOCABULARY_VERSION]
        self.lost = 0
        self._url = url.rstrip("/")
        key = os.environ.get(KEY)
        self._http = httpx.Client(
            timeout=_SECONDS,
            limits=httpx.Limits(max_connections=AT_ONCE),
            headers={"authorization": f"Bearer {key}"} if key else {},
        )
        self._workers = ThreadPoolExecutor(AT_ONCE, "openai")

    @classmethod
    def connect(cls, spec: str) -> OpenAiModel:
        """spec: openai:URL#NAME, with the URL under which /chat/completions lies, such as http://box:8000/v1.

        Raises ModelError: it is no such thing, nobody answers there, or the server has no model of that name.
        """
        url, _, name = spec.removeprefix(OPENAI).partition("#")
        if not url.startswith(("http://", "https://")) or not name:
            raise ModelError(f"{spec} names no model; give one such as {OPENAI}http://127.0.0.1:8000/v1#NAME")
        try:
            model = cls(url, name)
            if model.manifest and model.manifest.reads_aloud(0):
                raise ModelError(
                    f"{name} is asked with what it reads off a picture (prompts of version "
                    f"{model.manifest.prompt_version}), which such a server does not take; load it here: --model {name}"
                )
            answer = model._send("GET", "/models", None, never)
        except httpx.InvalidURL as error:
            raise ModelError(f"{url} is no address ({error})") from None
        if answer.status_code == 200:
            there = [str(one.get("id")) for one in _json(answer, url).get("data", ())]
            if there and name not in there:
                raise ModelError(f"{url} has no model {name}; it has {', '.join(there)}")
        elif answer.status_code != 404:  # a server may have no list
            raise ModelError(_refused(url, answer))
        return model

    @property
    def talks_freely(self) -> bool:
        return self.manifest is None or self.manifest.talks_freely

    def warm_up(self) -> int:
        """Ask one question; 0, for what the server keeps is its own. Raises ModelError."""
        self.yes_logits("", [GREY], [GREY])
        return 0

    def yes_logits(
        self,
        description: str,
        references: Sequence[Picture],
        candidates: Sequence[Picture],
        *,
        other_clothes: bool = False,
        stop: Stop | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """As ReidModel.yes_logits; a word that is not among the server's TOP likeliest counts as the last of them."""
        scores, stopped = np.full(len(candidates), np.nan, np.float32), stop or never
        queries = [self._opened(picture) for picture in references]
        query_urls = [_data_url(image) for image in queries]
        infrared = [is_colourless(image) for image in queries]

        def ask(picture: Picture) -> float:
            try:
                image = self._opened(picture)
            except (OSError, ValueError):
                return float("nan")
            differs: MayDiffer | None = None
            if self.manifest is None or self.manifest.prompt_version > 1:
                own = is_colourless(image)
                light = any(one != own for one in infrared)
                differs = MayDiffer(other_clothes and bool(queries), light)
            behind = self.manifest is not None and self.manifest.words_behind(len(queries))
            prompt = pair_prompt(description, len(queries), differs, words_behind=behind)
            return self._yes_logit(_with_pictures(prompt.messages, [*query_urls, _data_url(image)]), stopped)

        pace, start = Pace(_MOST, first=AT_ONCE), 0
        while start < len(candidates) and not stopped():
            some = slice(start, min(start + pace.size, len(candidates)))
            began = time.perf_counter()
            scores[some] = list(self._workers.map(ask, candidates[some]))
            pace.took(some.stop - start, time.perf_counter() - began)
            start = some.stop
            if progress is not None:
                progress(start, len(candidates))
        return scores

    def choice_logits(
        self,
        description: str,
        references: Sequence[Picture],
        lists: Sequence[Sequence[Picture]],
        *,
        other_clothes: bool = False,
    ) -> np.ndarray:
        """Raises ModelError: a server tells no more than the first word."""
        raise ModelError(f"{self.name} behind {self._url} gives no best choice; choose another --ranker")

    def can_open(self, pictures: Sequence[Picture], *, stop: Stop | None = None) -> np.ndarray:
        """As ReidModel.can_open."""
        can = np.zeros(len(pictures), bool)
        for place, picture in enumerate(pictures):
            if (stop or never)():
                break
            try:
                picture.load()
                can[place] = True
            except (OSError, ValueError):
                continue
        return can

    def attribute_probs(
        self, pictures: Sequence[Picture], *, stop: Stop | None = None, progress: Progress | None = None
    ) -> np.ndarray:
        """NaN, float32 (n, all values): nothing is read."""
        return np.full((len(pictures), sum(map(len, self.kinds.values()))), np.nan, np.float32)

    def annotate(
        self, pictures: Sequence[Picture], *, stop: Stop | None = None
    ) -> list[tuple[AttributeReading, ...]]:
        """Nothing is read in any."""
        return [() for _ in pictures]

    def write(
        self,
        messages: list[Message],
        pictures: Sequence[Picture],
        *,
        limit: int,
        said: Callable[[str], None] = lambda _: None,
        stop: Stop | None = None,
        schema: Mapping[str, Any] | None = None,
    ) -> WrittenAnswer:
        """As ReidModel.write, word by word as the server sends them."""
        from app.model.generation import WrittenAnswer

        urls = [_data_url(self._opened(picture)) for picture in pictures]
        body: dict[str, Any] = self._body(_with_pictures(messages, urls), limit) | {"stream": True}
        if schema is not None:
            form = {"name": "answer", "schema": dict(schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        text, ended = "", False
        try:
            with self._http.stream("POST", f"{self._url}/chat/completions", json=body) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise ModelError(_refused(self._url, answer))
                for choice in _streamed(answer):
                    if more := (choice.get("delta") or {}).get("content"):
                        text += more
                        said(text)
                    ended = choice.get("finish_reason") == "stop" or ended
                    if (stop or never)():
                        return WrittenAnswer(text, False)
        except (httpx.TransportError, ValueError, AttributeError) as error:
            if isinstance(error, ModelError):
                raise
            raise ModelError(f"{self.name} could not answer ({first_line(error)}); ask again") from error
        return WrittenAnswer(text, ended)

    def _yes_logit(self, messages: list[Message], stop: Stop) -> float:
        """logit("Yes") - logit("No"); NaN where it was stopped meanwhile."""
        body = self._body(messages, 1) | {"logprobs": True, "top_logprobs": TOP}
        try:
            answer = self._send("POST", "/chat/completions", body, stop)
        except InterruptedError:
            return float("nan")
        if answer.status_code != 200:
            raise ModelError(_refused(self._url, answer))
        try:
            top = _json(answer, self._url)["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
            found = {str(one["token"]): float(one["logprob"]) for one in reversed(top)}
        except (KeyError, IndexError, TypeError):
            raise ModelError(
                f"{self.name} behind {self._url} gives no log-probabilities; serve it by what does, such as vLLM"
            ) from None
        if YES not in found and NO not in found:
            said = ", ".join(map(repr, list(found)[::-1][:3]))
            raise ModelError(
                f"{self.name} behind {self._url} answers neither {YES} nor {NO} (but {said}); take a Qwen2-VL, "
                "or one that was tuned for this question"
            )
        last = min(found.values())
        return found.get(YES, last) - found.get(NO, last)

    def _body(self, messages: list[Message], tokens: int) -> dict[str, Any]:
        return {"model": self.name, "messages": messages, "max_tokens": tokens, "temperature": 0}

    def _opened(self, picture: Picture) -> Image.Image:
        return apply_rule(self.rule, picture.load())

    def _send(self, method: str, path: str, body: Any, stop: Stop) -> httpx.Response:
        """Once more, a few times, where the server is busy or does not answer. Raises ModelError; InterruptedError."""
        ask = partial(self._http.request, method, f"{self._url}{path}", json=body)
        why = ""
        for pause in (*_PAUSES, None):
            try:
                answer = ask()
                if answer.status_code not in _BUSY or pause is None:
                    return answer
                self.lost += 1
            except httpx.TransportError as error:
                why = str(error) or type(error).__name__
                if isinstance(error, httpx.ConnectError) and method == "GET":
                    break  # at the start, nobody is there
            if stop():
                raise InterruptedError
            if pause is not None:
                time.sleep(pause)
        raise ModelError(
            f"the model server {self._url} does not answer ({why}); start it, or give another --model"
        )


def _with_pictures(messages: Sequence[Message], urls: Sequence[str]) -> list[Message]:
    """The messages as these servers take them, with a picture in each place for one."""
    waiting = iter(urls)
    return [
        {
            **message,
            "content": [
                {"type": "image_url", "image_url": {"url": next(waiting)}}
                if part["type"] == "image"
                else part
                for part in message["content"]
            ],
        }
        for message in messages
    ]


def _data_url(image: Image.Image) -> str:
    """PNG: the server sees the very pixels."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=1)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def _streamed(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    """The first choice of each event. Raises ValueError for what is no JSON."""
    for line in answer.iter_lines():
        data = line.removeprefix("data:").strip()
        if line.startswith("data:") and data != "[DONE]":
            yield from json.loads(data).get("choices", ())[:1]


def _json(answer: httpx.Response, url: str) -> dict[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ModelError(f"{url} is no OpenAI-compatible server; its URL mostly ends in /v1")
    return found


def _refused(url: str, answer: httpx.Response) -> str:
    said = " ".join(answer.text.split())[:200]
    hint = f"; its key belongs in {KEY}" if answer.status_code in (401, 403) else ""
    return f"the model server {url} refuses with {answer.status_code} ({said}){hint}"
