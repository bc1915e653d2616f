"""Whether a picture file is all there: what decoders let pass, as of a download that stopped.

Where a copy is cut short, file systems and downloaders leave zeros for what is missing, and decoders take those for
pixels.
"""

from __future__ import annotations

import struct
import zlib

_ZEROS = 64  # at the end of a file: more than any compressed picture has by itself
_JPEG_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def missing_part(data: bytes, kind: str) -> str | None:
    """What is wrong with a picture that a decoder might accept. kind: a format of Pillow. None for nothing."""
    if kind == "PNG":
        return _png_fault(data)
    if kind in ("JPEG", "MPO") and data.endswith(bytes(_ZEROS)):
        scan = _jpeg_scan(data)
        return "it ends in zeros" if scan is not None and data.find(b"\xff\xd9", scan) < 0 else None
    if kind == "WEBP" and data.endswith(bytes(_ZEROS)):
        return "it ends in zeros" if _last_webp_chunk(data) in (b"VP8 ", b"VP8L", b"ANMF") else None
    if kind in ("AVIF", "HEIF") and data.endswith(bytes(_ZEROS)):
        return "it ends in zeros" if _last_box(data) not in (b"free", b"skip") else None
    return None


def _png_fault(data: bytes) -> str | None:
    """A checksum of its pixels that is wrong, or a part that is none. What follows IEND does not count."""
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if not kind.isalpha():
            return "a part of it is missing"
        if kind in (b"IHDR", b"PLTE", b"IDAT"):
            body = memoryview(data)[at + 4 : at + 8 + length]
            if at + 12 + length > len(data):
                return "its end is missing"
            if zlib.crc32(body) != struct.unpack_from(">I", data, at + 8 + length)[0]:
                return "a checksum is wrong"
        if kind == b"IEND":
            return None
        at += 12 + length
    return None


def _jpeg_scan(data: bytes) -> int | None:
    """Where the first scan begins; earlier marks may belong to a thumbnail."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xDA:
            return at
        if marker == 0xFF:
            at += 1
        elif marker in _JPEG_WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _last_webp_chunk(data: bytes) -> bytes:
    at, kind = 12, b""
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, at)
        at += 8 + length + length % 2
    return kind


def _last_box(data: bytes) -> bytes:
    """Of an AVIF or HEIC; zeros for what is no box."""
    at, kind = 0, b""
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        if length == 1 and at + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, at + 8)
        if length < 8:  # to the end
            break
        at += length
    return kind
