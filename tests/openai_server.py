"""A small OpenAI-compatible server over a checkpoint: its answers are transformers' own, for tests of what asks one."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from PIL import Image

from app.model.loading import find_checkpoint, load_model


@dataclass
class ModelServer:
    """name: of its model. busy: how many questions from now on it turns away with 429. top: log-probabilities that it
    gives at most; 0 for a server without. says: what it puts in the place of the answer's words, by word. asked: each
    question's body, with its key.
    """

    name: str
    model: Any
    processor: Any
    busy: int = 0
    top: int = 20
    says: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[dict[str, Any], str]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def inputs(self, messages: list[dict[str, Any]]) -> Any:
        images, plain = [], []
        for message in messages:
            parts = []
            for part in message["content"]:
                if part["type"] == "image_url":
                    data = part["image_url"]["url"].removeprefix("data:image/png;base64,")
                    images.append(Image.open(io.BytesIO(base64.b64decode(data))))
                    parts.append({"type": "image"})
                else:
                    parts.append(part)
            plain.append({**message, "content": parts})
        text = self.processor.apply_chat_template(plain, tokenize=False, add_generation_prompt=True)
        return self.processor(text=[text], images=images or None, return_tensors="pt")

    def first_word(self, body: dict[str, Any]) -> dict[str, Any]:
        import torch

        with torch.inference_mode():
            odds = self.model(**self.inputs(body["messages"])).logits[0, -1].float().log_softmax(-1)
        best = odds.topk(max(1, min(self.top, body.get("top_logprobs", 0))))
        words = [self.processor.tokenizer.decode([token]) for token in best.indices.tolist()]
        words = [self.says.get(word, word) for word in words]
        top = [{"token": word, "logprob": odd} for word, odd in zip(words, best.values.tolist(), strict=True)]
        first = {"token": words[0], "logprob": top[0]["logprob"], "top_logprobs": top}
        logprobs = {"content": [first]} if self.top and body.get("logprobs") else None
        return {"message": {"role": "assistant", "content": words[0]}, "logprobs": logprobs, "index": 0}

    def words(self, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        import torch

        inputs = self.inputs(body["messages"])
        with torch.inference_mode():
            out = self.model.generate(**inputs, max_new_tokens=body["max_tokens"], do_sample=False)
        written, said = out[0, inputs["input_ids"].shape[1] :].tolist(), ""
        for count in range(1, len(written) + 1):
            text = self.processor.tokenizer.decode(written[:count], skip_special_tokens=True)
            yield {"delta": {"content": text[len(said) :]}, "finish_reason": None}
            said = text
        yield {"delta": {}, "finish_reason": "length" if len(written) == body["max_tokens"] else "stop"}


@contextmanager
def openai_server(spec: Path) -> Iterator[tuple[str, ModelServer]]:
    """Its URL and itself; the model's name is the folder."""
    server = ModelServer(str(spec), *load_model(find_checkpoint(spec)))

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_GET(self) -> None:
            there = {"object": "list", "data": [{"id": server.name, "object": "model"}]}
            self.answer(*((200, json.dumps(there).encode()) if self.path == "/v1/models" else (404, b"{}")))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with server.lock:
                server.asked.append((body, self.headers.get("authorization", "")))
                if server.busy:
                    server.busy -= 1
                    return self.answer(429, b'{"error": "busy"}')
                if body["model"] != server.name:
                    return self.answer(404, b'{"error": "no such model"}')
                if body.get("stream"):
                    events = [f"data: {json.dumps({'choices': [one]})}\n\n" for one in server.words(body)]
                    return self.answer(200, "".join([*events, "data: [DONE]\n\n"]).encode())
                self.answer(200, json.dumps({"choices": [server.first_word(body)]}).encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}/v1", server
        http.shutdown()
