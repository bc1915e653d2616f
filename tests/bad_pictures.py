"""Files that a careless or hostile user may send as photos."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

from PIL import Image


def make_bad_pictures(folder: Path) -> dict[str, Path]:
    """name -> file: a text named .jpg, a torn JPEG, a decompression bomb, an empty file, a wrong type."""
    folder.mkdir(parents=True, exist_ok=True)
    buffer = BytesIO()
    Image.effect_noise((200, 400), 80).convert("RGB").save(buffer, "JPEG", quality=90)
    contents = {
        "letter.jpg": b"Dear operator, this is no picture.\n" * 20,
        "torn.jpg": buffer.getvalue()[: len(buffer.getvalue()) // 2],
        "bomb.png": bomb(20_000, 20_000),
        "empty.png": b"",
        "notes.txt": b"a list of names",
        "page.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    }
    files = {}
    for name, content in contents.items():
        files[name] = folder / name
        files[name].write_bytes(content)
    return files


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few hundred kilobytes that claims, and holds, width x height black pixels."""
    packer = zlib.compressobj(9)
    row = b"\0" * (1 + width // 8)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", data), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
