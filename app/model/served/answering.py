"""How a replica answers: the questions of many operators at once, with the model that it has."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.model.digests import weight_files
from app.model.loading import find_checkpoint
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.model.served.messages import PROTOCOL, Answer, Question

PROCESS = f"{socket.gethostname()}:{os.getpid()}"


class UnseenPicture(OSError):
    """A picture that was not sent along, and that nothing is remembered of."""


class SentPictures:
    """The pictures that came with some questions; the others are asked for where the model wants to open them."""

    def __init__(self, sent: dict[str, np.ndarray]) -> None:
        self._sent = sent
        self.missing: dict[str, None] = {}

    def __call__(self, keys: Sequence[str]) -> list[Picture]:
        return [Picture(key, partial(self._open, key)) for key in keys]

    def _open(self, key: str) -> Image.Image:
        if key not in self._sent:
            self.missing[key] = None
            raise UnseenPicture(key)
        return Image.fromarray(self._sent[key])


def answer_questions(model: ReidModel, version: str, questions: Sequence[Question]) -> list[Answer]:
    """One answer each, in their order. Questions that differ in their candidates alone are answered as one, and the
    pictures of all are seen together.

    Raises:
        ModelError: the model cannot answer. RuntimeError: its device failed.
    """
    sent: dict[str, np.ndarray] = {}
    for question in questions:
        sent.update(question.pictures)
    pictures = SentPictures(sent)
    groups: dict[tuple[Any, ...], list[Question]] = {}
    for question in questions:
        groups.setdefault(question.asked, []).append(question)
    looked_at = {key: None for q in questions if q.kind in ("yes", "choice") for key in q.keys}
    if len(groups) > 1 and looked_at:
        model.can_open(pictures(list(looked_at)))
    answers: dict[int, Answer] = {}
    for group in groups.values():
        for question, answer in zip(group, _answer(model, version, group, pictures), strict=True):
            answers[id(question)] = answer
    return [answers[id(question)] for question in questions]


def _answer(
    model: ReidModel, version: str, group: Sequence[Question], pictures: SentPictures
) -> list[Answer]:
    """Of questions that share all but their candidates."""
    first = group[0]
    keys = tuple(dict.fromkeys(key for question in group for key in question.candidates))
    row = {key: place for place, key in enumerate(keys)}
    values, readings = np.zeros(0, np.float32), None
    try:
        if first.kind == "yes":
            values = model.yes_logits(
                first.description,
                pictures(first.references),
                pictures(keys),
                other_clothes=first.other_clothes,
            )
        elif first.kind == "choice":
            values = model.choice_logits(
                first.description,
                pictures(first.references),
                [pictures(shown) for shown in first.lists],
                other_clothes=first.other_clothes,
            )
        elif first.kind == "attributes":
            values = model.attribute_probs(pictures(keys))
        else:
            readings = model.annotate(pictures(keys))
    except UnseenPicture:  # of those that all need
        return [Answer(version, missing=question.keys, process=PROCESS) for question in group]
    answers = []
    for question in group:
        if missing := tuple(key for key in question.keys if key in pictures.missing):
            answers.append(Answer(version, missing=missing, process=PROCESS))
            continue
        rows = [row[key] for key in question.candidates]
        if readings is not None:
            read = [readings[place] for place in rows]
            own = tuple(
                tuple((r.attribute.kind, r.attribute.value, r.confidence) for r in one) for one in read
            )
            answers.append(Answer(version, readings=own, process=PROCESS))
        else:
            answers.append(
                Answer(version, values if first.kind == "choice" else values[rows], process=PROCESS)
            )
    return answers


def about_model(model: ReidModel, spec: str, tokens: int, version: str) -> dict[str, Any]:
    """What the app asks first: which model it is, with its whole manifest. tokens: bytes for vision tokens."""
    manifest = asdict(model.manifest) if model.manifest else None
    about = {"protocol": PROTOCOL, "spec": spec, "version": version, "tokens": tokens, "process": PROCESS}
    return {**about, "manifest": manifest}


def version_of_model(model: ReidModel, spec: str) -> str:
    """12 hex digits of its manifest and its weights, wherever they lie: other ones answer otherwise."""
    checkpoint = find_checkpoint(spec)
    named = "" if checkpoint.folder else spec
    digest = hashlib.sha256(json.dumps(asdict(model.manifest) if model.manifest else named).encode())
    for folder in filter(None, (checkpoint.adapter, Path(checkpoint.base))):
        if folder.is_dir():
            digest.update(json.dumps({n: f.sha256 for n, f in weight_files(folder).items()}).encode())
    return digest.hexdigest()[:12]
