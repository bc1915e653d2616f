"""Writes MATLAB 5 files for tests, as MATLAB itself does: one compressed variable after the other."""

import struct
import zlib
from pathlib import Path

import numpy as np

KINDS = {"f8": (6, 9), "u1": (9, 2), "u2": (11, 4), "i4": (12, 5)}  # class, type


def write_mat5(file: Path, variables: dict, *, packed: bool = True, order: str = "<") -> None:
    """Arrays become column vectors, lists cells, texts character arrays."""
    body = b""
    for name, value in variables.items():
        element = _matrix(name, value, order)
        if packed:
            squeezed = zlib.compress(element)
            element = struct.pack(order + "II", 15, len(squeezed)) + squeezed
        body += element
    head = b"MATLAB 5.0 MAT-file, for a test".ljust(124)
    file.write_bytes(head + struct.pack(order + "H", 0x0100) + (b"IM" if order == "<" else b"MI") + body)


def _element(kind: int, data: bytes, order: str) -> bytes:
    if 0 < len(data) <= 4:
        return struct.pack(order + "I", len(data) << 16 | kind) + data.ljust(4, b"\0")
    return struct.pack(order + "II", kind, len(data)) + data + b"\0" * (-len(data) % 8)


def _matrix(name: str, value, order: str) -> bytes:
    if isinstance(value, list):
        number, content = 1, b"".join(_matrix("", inner, order) for inner in value)
    elif isinstance(value, str):
        code = "utf-16-le" if order == "<" else "utf-16-be"
        number, content = 4, _element(4, value.encode(code), order)
    else:
        number, kind = KINDS[value.dtype.str[1:]]
        content = _element(kind, value.astype(order + value.dtype.str[1:]).tobytes(), order)
    size = len(value) if isinstance(value, list | str) else value.size
    parts = [
        _element(6, struct.pack(order + "II", number, 0), order),
        _element(5, struct.pack(order + "ii", size, 1), order),
        _element(1, name.encode(), order),
        content,
    ]
    inside = b"".join(parts)
    return struct.pack(order + "II", 14, len(inside)) + inside


def numbers(*values: int, kind: str = "f8") -> np.ndarray:
    return np.array(values, kind)
