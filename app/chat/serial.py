"""A conversation as JSON and back, whole: for a restart, a case file, or another machine."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, time
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from app.chat.conversation import Conversation

SCHEMA = 1


def to_json(conversation: Conversation) -> str:
    """The whole conversation as JSON text; `from_json` gives it back, equal."""
    return json.dumps({"chatreid_conversation": SCHEMA, **_plain(conversation)}, ensure_ascii=False)


def from_json(text: str) -> Conversation:
    """The conversation that `to_json` wrote. ValueError with one sentence for anything else."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"this is no saved conversation: it is not JSON ({error})") from None
    if not isinstance(data, dict) or "chatreid_conversation" not in data:
        raise ValueError("this is no saved conversation: `chatreid_conversation` is missing")
    schema = data.pop("chatreid_conversation")
    if schema != SCHEMA:
        raise ValueError(
            f"this conversation has schema {schema}, and this version reads {SCHEMA}: update ChatReID"
        )
    try:
        return _typed(data, Conversation)
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"this saved conversation is damaged: {error}") from None


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: _plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, (date, time)):
        return value.isoformat()
    return str(value) if isinstance(value, Path) else value


T = TypeVar("T")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _typed(value: Any, kind: Any) -> Any:
    """A JSON value as a value of `kind`: dataclasses, tuples, optionals, dates, times, paths and plain
    values.
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        some = next(each for each in get_args(kind) if each is not type(None))
        return None if value is None else _typed(value, some)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"a list was expected, not {value!r}")
        inner = get_args(kind)
        if len(inner) == 2 and inner[1] is Ellipsis:
            return tuple(_typed(item, inner[0]) for item in value)
        return tuple(_typed(item, each) for item, each in zip(value, inner, strict=True))
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise TypeError(f"a {kind.__name__} was expected, not {value!r}")
        hints = _hints(kind)
        return kind(**{name: _typed(item, hints[name]) for name, item in value.items()})
    if kind is Path:
        return Path(value)
    if kind in (date, time):
        return kind.fromisoformat(value)
    if kind in (str, int, bool) and type(value) is not kind:
        raise TypeError(f"a {kind.__name__} was expected, not {value!r}")
    return value
