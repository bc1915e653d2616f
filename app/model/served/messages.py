"""What goes between the app and a replica: a JSON header and arrays, in one safetensors message that runs no code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

PROTOCOL = 1  # of these messages: an app and replicas of two ChatReIDs refuse each other
CONTENT_TYPE = "application/octet-stream"
SESSION = "x-session-id"  # what Ray Serve's consistent hashing goes by; its default
WRONG = 422  # the status of an answer that is a sentence: what the model refuses, and why

_HEADER, _PICTURE = "header", "picture:"

Kind = Literal["yes", "choice", "attributes", "annotations"]


@dataclass(frozen=True)
class Question:
    """One question about pictures, which are named by their keys.

    kind: "yes": as ReidModel.yes_logits; "choice": choice_logits, with `lists`; "attributes": attribute_probs;
    "annotations": annotate. pictures: key -> uint8 (height, width, 3) at the model's own size; of those that the
    replica is thought to have seen, none.
    """

    kind: Kind
    candidates: tuple[str, ...] = ()
    description: str = ""
    references: tuple[str, ...] = ()
    lists: tuple[tuple[str, ...], ...] = ()
    other_clothes: bool = False
    pictures: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def keys(self) -> tuple[str, ...]:
        """Of all pictures that it is about, once each."""
        listed = (key for shown in self.lists for key in shown)
        return tuple(dict.fromkeys((*self.references, *self.candidates, *listed)))

    @property
    def asked(self) -> tuple[Any, ...]:
        """What questions share that can be answered together."""
        if self.kind == "yes":
            return (self.kind, self.description, self.references, self.other_clothes)
        return (self.kind, self.description, self.references, self.lists, self.other_clothes)


@dataclass(frozen=True)
class Answer:
    """version: of the weights that answered. process: that did, and on which machine.

    values: float, by the question's kind; a row for each candidate or list.
    readings: of annotations, for each candidate (kind, value, confidence). missing: keys of pictures that the replica
    has not seen; then nothing else counts.
    """

    version: str
    values: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    readings: tuple[tuple[tuple[str, str, float], ...], ...] = ()
    missing: tuple[str, ...] = ()
    process: str = ""


def pack(header: Mapping[str, Any], arrays: Mapping[str, np.ndarray] | None = None) -> bytes:
    """header: of JSON values. arrays: of numbers, by any names but "header"."""
    text = np.frombuffer(json.dumps(header).encode(), np.uint8)
    found = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
    return save({**found, _HEADER: text})


def unpack(message: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """As it was packed. Raises ValueError for what is no such message."""
    try:
        arrays = load(message)
        header = json.loads(arrays.pop(_HEADER).tobytes())
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"this is no message of ChatReID's ({error})") from None
    if not isinstance(header, dict):
        raise ValueError("this is no message of ChatReID's (its header is no object)")
    return header, arrays


def pack_question(question: Question) -> bytes:
    header = {
        name: getattr(question, name)
        for name in ("kind", "candidates", "description", "references", "lists", "other_clothes")
    }
    return pack(header, pictures_to_arrays(question.pictures))


def unpack_question(message: bytes) -> Question:
    """Raises ValueError for what is no question."""
    header, arrays = unpack(message)
    for name in ("candidates", "references", "lists"):
        header[name] = tuple(tuple(one) if isinstance(one, list) else one for one in header.get(name, ()))
    try:
        return Question(**header, pictures=arrays_to_pictures(arrays))
    except TypeError as error:
        raise ValueError(f"this is no question of ChatReID's ({error})") from None


def pack_answer(answer: Answer) -> bytes:
    header = {name: getattr(answer, name) for name in ("version", "readings", "missing", "process")}
    return pack(header, {"values": answer.values})


def unpack_answer(message: bytes) -> Answer:
    """Raises ValueError for what is no answer."""
    header, arrays = unpack(message)
    try:
        readings = tuple(
            tuple((kind, value, sure) for kind, value, sure in one) for one in header["readings"]
        )
        missing = tuple(header["missing"])
        return Answer(header["version"], arrays["values"], readings, missing, header["process"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"this is no answer of ChatReID's ({error})") from None


def pictures_to_arrays(pictures: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {_PICTURE + key: array for key, array in pictures.items()}


def arrays_to_pictures(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(_PICTURE): array for name, array in arrays.items() if name.startswith(_PICTURE)}
