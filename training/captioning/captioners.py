"""Captions and attributes for pictures, by any Qwen2-VL, here, or by a server that speaks as OpenAI's does (in
GPT-4o's place).

Each picture is asked about twice: the paper's caption question, and Figure 4's annotation question, to which a
list of the vocabulary is added for models that were never taught its format. Answers are read by
app.model.answers, so that whatever is not in the vocabulary is passed over. Captions are written as they come: a
killed run goes on behind its last whole line.
"""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx
from PIL import Image

from app.model.answers import entries_of, parse_annotation
from app.model.pictures import STAGE_1, ImageRule
from app.model.prompts import Message, annotate_prompt, caption_prompt
from app.model.vocabulary import KINDS_OF_VERSION, VOCABULARY_VERSION
from gallery_store.console import Progress
from gallery_store.decoding import PictureError
from training.captioning.side_files import append_lines, json_lines, open_for_lines, path_key
from training.datasets.record import Record

CAPTION_TOKENS, ANNOTATION_TOKENS = 256, 160
HOPELESS = 8  # pictures refused one after the other, none described yet: it is not the pictures
AGAIN = (408, 409, 429, 500, 502, 503, 504, 529)  # answers of a server that may be better next time


class CaptionerError(RuntimeError):
    """What went wrong, and what to do. `picture`: it is this picture's fault, and others may go well."""

    def __init__(self, text: str, *, picture: bool = False) -> None:
        super().__init__(text)
        self.picture = picture


@dataclass(frozen=True)
class PictureDescription:
    """caption: one line of plain words. attributes: kind -> value of the vocabulary, those that were recognised."""

    caption: str
    attributes: dict[str, str]


class Captioner(Protocol):
    """batch: how many pictures it likes to be given at once."""

    batch: int

    def describe(self, pictures: Sequence[Image.Image]) -> list[PictureDescription | CaptionerError]:
        """One answer for each RGB picture. Raises CaptionerError where no picture could go well."""
        ...


def annotation_question() -> list[Message]:
    """Figure 4's question, with the entries and their words for models that do not know them."""
    message = annotate_prompt()[0]
    values = KINDS_OF_VERSION[VOCABULARY_VERSION]
    lines = [
        f"{entry}: {' '.join('|'.join(values[kind]) for kind in kinds)}"
        for entry, kinds in entries_of(VOCABULARY_VERSION).items()
    ]
    form = (
        '\nAnswer in one line of this form, with one word out of each group, and "unseen" where the picture does'
        " not show it:\n" + "; ".join(lines)
    )
    content = [*message["content"], {"type": "text", "text": form}]
    return [{**message, "content": content}]


class LocalCaptioner:
    """A Qwen2-VL folder or hub name, loaded as the app loads it: safetensors only, no remote code.

    known: whether it was taught the annotation's format, so that it is asked in the plain words of the app.
    """

    def __init__(
        self, spec: str | Path, *, device: str = "cpu", batch: int = 8, known: bool | None = None
    ) -> None:
        from app.model.checkpoint import CheckpointManifest
        from app.model.loading import find_checkpoint, load_model
        from app.model.scoring import LanguageModel, PromptTokens

        checkpoint = find_checkpoint(spec)
        manifest = CheckpointManifest.read(checkpoint.folder) if checkpoint.folder else None
        self.rule: ImageRule = manifest.image_rule if manifest else STAGE_1
        self.batch = batch
        self._model, self._processor = load_model(checkpoint, device=device)
        self._language = LanguageModel(self._model)
        taught = manifest is not None if known is None else known
        question = annotate_prompt() if taught else annotation_question()
        self._version = manifest.vocabulary_version if manifest else VOCABULARY_VERSION
        self._caption = PromptTokens(self._processor, caption_prompt())
        self._annotate = PromptTokens(self._processor, question)

    def describe(self, pictures: Sequence[Image.Image]) -> list[PictureDescription | CaptionerError]:
        captions = self.captions(pictures)
        annotations = self._answers(self._annotate, pictures, ANNOTATION_TOKENS)
        answers = zip(captions, annotations, strict=True)
        return [read_answers(caption, words, self._version) for caption, words in answers]

    def captions(self, pictures: Sequence[Image.Image]) -> list[str]:
        """The caption alone of each RGB picture, at most `batch` of one size."""
        return self._answers(self._caption, pictures, CAPTION_TOKENS)

    def _answers(self, question: Any, pictures: Sequence[Image.Image], limit: int) -> list[str]:
        import torch

        from app.model.generation import generate
        from app.model.pictures import BoundedCache, Picture
        from app.model.vision import VisionReader

        answers = [""] * len(pictures)
        with torch.inference_mode():
            reader = VisionReader(self._model.model.visual, self.rule, BoundedCache(0))
            seen = reader.see([Picture(n, lambda p=picture: p) for n, picture in enumerate(pictures)])  # type: ignore[misc]
            for grid in dict.fromkeys(one.grid for one in seen if one):
                group = [(place, one) for place, one in enumerate(seen) if one and one.grid == grid]
                generated = generate(
                    self._language, question, [one for _, one in group], batch=self.batch, limit=limit
                )
                for (place, _), answer in zip(group, generated, strict=True):
                    answers[place] = self._processor.tokenizer.decode(answer.ids)
        return answers


class RemoteCaptioner:
    """A server at ADDRESS/chat/completions.

    key: sent as a bearer token; never written anywhere. A proxy is taken from the environment as urllib takes it
    (HTTP_PROXY, HTTPS_PROXY, NO_PROXY). tries, wait: how often, and after how many seconds
    (doubled each time), an answer that may be better next time is asked for again. timeout: seconds without a byte.
    """

    def __init__(
        self,
        address: str,
        model: str,
        key: str = "",
        *,
        batch: int = 4,
        tries: int = 6,
        wait: float = 1.0,
        timeout: float = 120.0,
    ) -> None:
        if not address.startswith(("http://", "https://")):
            raise CaptionerError(f"{address!r} is no address; it begins with http:// or https://")
        self.url = address.rstrip("/") + "/chat/completions"
        self.model, self.batch = model, batch
        self.tries, self.wait = tries, wait
        key = key.strip()
        if not (key.isascii() and key.isprintable()):
            raise CaptionerError("the key has characters that no request can carry; set it again")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        try:
            # The machine's own certificates, not those of a package.
            self._client = httpx.Client(
                timeout=timeout,
                verify=ssl.create_default_context(),
                proxy=_proxy(address),
                trust_env=False,
            )
        except (ImportError, ValueError, httpx.InvalidURL) as problem:
            raise CaptionerError(f"the proxy of this environment cannot be used: {problem}") from None

    def describe(self, pictures: Sequence[Image.Image]) -> list[PictureDescription | CaptionerError]:
        """Pictures are asked about side by side."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max(1, len(pictures))) as threads:
            answers = list(threads.map(self._one, pictures))
        for answer in answers:
            if isinstance(answer, CaptionerError) and not answer.picture:
                raise answer
        return answers

    def _one(self, picture: Image.Image) -> PictureDescription | CaptionerError:
        try:
            caption = self._ask(caption_prompt(), picture, CAPTION_TOKENS)
            return read_answers(caption, self._ask(annotation_question(), picture, ANNOTATION_TOKENS))
        except CaptionerError as problem:
            return problem

    def _ask(self, messages: list[Message], picture: Image.Image, limit: int) -> str:
        body = {
            "model": self.model,
            "messages": [{"role": m["role"], "content": _parts(m, picture)} for m in messages],
            "max_tokens": limit,
            "temperature": 0,
        }
        for attempt in range(self.tries):
            try:
                reply = self._client.post(self.url, json=body, headers=self._headers)
                if reply.is_success:
                    return _text(reply.json())
                reason = f"{reply.status_code} {reply.reason_phrase}"
                if reply.status_code not in AGAIN:
                    text = f"{self.url} answers {reason}: {_first_words(reply)}"
                    raise CaptionerError(text, picture=reply.status_code in (400, 413, 422))
            except (KeyError, IndexError, TypeError, ValueError):
                reason = "its answer is not a chat completion"
            except (httpx.HTTPError, httpx.InvalidURL) as problem:
                reason = str(problem) or type(problem).__name__
            if attempt + 1 < self.tries:
                time.sleep(self.wait * 2**attempt)
        raise CaptionerError(
            f"{self.url} did not answer in {self.tries} tries ({reason}); run again to go on"
        )


def read_answers(caption: str, annotation: str, version: int = VOCABULARY_VERSION) -> PictureDescription:
    """The two answers, read. version: of the vocabulary that whoever answers knows."""
    attributes = {attribute.kind: attribute.value for attribute in parse_annotation(annotation, version)}
    return PictureDescription(" ".join(caption.split()), attributes)


def _proxy(address: str) -> str | None:
    """The environment's proxy for an address; None where it has none, or excepts the host."""
    url = urlsplit(address)
    proxy = getproxies().get(url.scheme)
    if not proxy or proxy_bypass(url.netloc.rpartition("@")[2]):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _parts(message: Message, picture: Image.Image) -> list[dict[str, Any]]:
    data = BytesIO()
    picture.save(data, "JPEG", quality=92)
    url = "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()
    image = {"type": "image_url", "image_url": {"url": url}}
    return [image if part["type"] == "image" else dict(part) for part in message["content"]]


def _text(reply: Any) -> str:
    text = reply["choices"][0]["message"]["content"]
    if not isinstance(text, str):
        raise TypeError
    return text


def _first_words(reply: httpx.Response) -> str:
    return " ".join(reply.content[:400].decode("utf-8", "replace").split())[:200]


@dataclass(frozen=True)
class Outcome:
    """described: pictures described now; before: already in the file; refused, unreadable: with the reason; drawn:
    without a file, left out."""

    described: int
    before: int
    refused: tuple[tuple[str, str], ...]
    unreadable: tuple[tuple[str, str], ...]
    drawn: int


def caption_all(
    records: Sequence[Record],
    root: Path | None,
    captioner: Captioner,
    file: Path,
    *,
    progress: Progress | None = None,
) -> Outcome:
    """Appends a line for each picture that the file does not describe yet. Raises CaptionerError, DataSetError."""
    pictures = {path_key(r.image, root): r for r in records if isinstance(r.image, Path)}
    drawn = sum(not isinstance(record.image, Path) for record in records)
    file.parent.mkdir(parents=True, exist_ok=True)
    have = {row["path"] for row in json_lines(file)} if file.exists() else set()
    left = [key for key in pictures if key not in have]
    refused: list[tuple[str, str]] = []
    unreadable: list[tuple[str, str]] = []
    done = 0
    with open_for_lines(file) as out:
        for keys in _batches(left, captioner.batch):
            opened = []
            for key in keys:
                try:
                    opened.append((key, pictures[key].picture()))
                except PictureError as problem:
                    unreadable.append((key, problem.reason))
            answers = captioner.describe([picture for _, picture in opened]) if opened else []
            lines = []
            for (key, _), answer in zip(opened, answers, strict=True):
                if isinstance(answer, CaptionerError):
                    refused.append((key, str(answer)))
                else:
                    lines.append({"path": key, "caption": answer.caption, "attributes": answer.attributes})
            append_lines(out, lines)
            done += len(lines)
            if not done and len(refused) >= HOPELESS:
                raise CaptionerError(f"the first {len(refused)} pictures were all refused; {refused[0][1]}")
            if progress is not None:
                progress(done + len(refused) + len(unreadable), len(left))
    return Outcome(done, len(pictures) - len(left), tuple(refused), tuple(unreadable), drawn)


def _batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
