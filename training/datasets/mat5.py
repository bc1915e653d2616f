"""Reads the few kinds of MATLAB 5 variables that split files are made of: numbers, texts, and cells of them.

After MathWorks' "MAT-File Format", level 5. What is not needed (structures, sparse and complex arrays) is refused.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16"}
_MATRIX, _COMPRESSED = 14, 15
_CELL, _CHAR, _FIRST_NUMBER, _LAST_NUMBER = 1, 4, 6, 15
_HEADER = 128
_MAX_BYTES = 64 << 20


class Mat5Error(ValueError):
    """A file that is no such file, or holds what this reader does not know."""


def read_mat5(file: Path) -> dict[str, Any]:
    """Variables by name: arrays of numbers flattened as MATLAB counts them (column by column), texts as str,
    cells as lists. Raises Mat5Error, OSError."""
    data = file.read_bytes()
    mark = data[126:128]
    if len(data) < _HEADER or mark not in (b"IM", b"MI"):
        raise Mat5Error("it is no MATLAB 5 file (a version 7.3 file is HDF5 and cannot be read)")
    order = "<" if mark == b"IM" else ">"
    try:
        found = {}
        for kind, body in _elements(data[_HEADER:], order):
            if kind == _COMPRESSED:
                unpacker = zlib.decompressobj()
                body = unpacker.decompress(body, _MAX_BYTES)
                if unpacker.unconsumed_tail:
                    raise Mat5Error("a variable is larger than 64 MB")
                kind, body = next(_elements(body, order))
            if kind == _MATRIX:
                name, value = _matrix(body, order)
                found[name] = value
        return found
    except (struct.error, zlib.error, StopIteration, ValueError) as problem:
        if isinstance(problem, Mat5Error):
            raise
        raise Mat5Error("it is damaged or cut off") from None


def _elements(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """(type, bytes) of each element; small ones hold their bytes in the place of their length."""
    at = 0
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(order + "II", data, at)
        if kind >> 16:
            yield kind & 0xFFFF, data[at + 4 : at + 4 + (kind >> 16)]
            at += 8
            continue
        if at + 8 + size > len(data):
            raise Mat5Error("it is damaged or cut off")
        yield kind, data[at + 8 : at + 8 + size]
        at += 8 + size + (0 if kind == _COMPRESSED else -size % 8)


def _matrix(body: bytes, order: str) -> tuple[str, Any]:
    parts = _elements(body, order)
    flags = struct.unpack_from(order + "I", next(parts)[1])[0]
    next(parts)  # the shape: everything is flattened
    name = next(parts)[1].decode("latin-1").rstrip("\0")
    kind = flags & 0xFF
    if flags & 0x0800:
        raise Mat5Error(f"{name} is complex")
    if kind == _CELL:
        return name, [_matrix(inner, order)[1] for of, inner in parts if of == _MATRIX]
    stored, values = next(parts, (1, b""))
    if kind == _CHAR:
        codec = _TEXTS[stored] + ("" if stored in (1, 2, 16) else "-le" if order == "<" else "-be")
        return name, values.decode(codec)
    if _FIRST_NUMBER <= kind <= _LAST_NUMBER and stored in _NUMBERS:
        return name, np.frombuffer(values, order + _NUMBERS[stored])
    raise Mat5Error(f"{name} is neither numbers nor text nor cells")
