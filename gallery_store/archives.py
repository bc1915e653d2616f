"""Members of a zip: their names in one spelling, what is refused unread, and their bytes."""

from __future__ import annotations

import re
import unicodedata
import zipfile
from pathlib import PurePosixPath

from gallery_store.decoding import MAX_BYTES, PICTURE_SUFFIXES, PictureError, read_bounded

MOST_NAME = 1000  # characters, of a picture's path; a zip may have names of 65,535


def is_picture_name(name: str) -> bool:
    """By its suffix; hidden files (as macOS leaves beside pictures) do not count."""
    pure = PurePosixPath(name)
    return pure.suffix.lower() in PICTURE_SUFFIXES and not pure.name.startswith(".") and not is_of_macos(name)


def is_of_macos(name: str) -> bool:
    """Whether a zip made on macOS has it beside its files."""
    return name.startswith("__MACOSX/")


def plain_name(name: str) -> str:
    """A name in one spelling: "/" between folders (Windows' zips have "\\"), no "./", composed letters (macOS takes
    them apart).
    """
    return PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/"))).as_posix()


def members_of(archive: zipfile.ZipFile) -> tuple[dict[str, zipfile.ZipInfo], tuple[str, ...]]:
    """Plain name -> its member, the last of several; and names of those left out therefore."""
    members: dict[str, zipfile.ZipInfo] = {}
    twice = []
    for info in archive.infolist():
        name = _member_name(info)
        if info.is_dir() or name.endswith("/"):
            continue
        is_odd = len(name) > MOST_NAME or _leads_outside(name)
        plain = info.filename if is_odd else plain_name(name)
        if plain in members and not is_of_macos(plain):
            twice.append(plain)
        members[plain] = info
    return members, tuple(twice)


def _member_name(info: zipfile.ZipInfo) -> str:
    """macOS writes UTF-8 and does not say so."""
    name = info.filename
    if not info.flag_bits & 0x800:
        try:
            return name.encode("cp437").decode("utf-8").replace("\\", "/")
        except UnicodeError:
            pass
    return name.replace("\\", "/")


def _leads_outside(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return name.startswith(("/", "\\")) or ".." in parts or bool(re.match(r"[A-Za-z]:", name))


def zip_problem(info: zipfile.ZipInfo) -> str | None:
    """Why a member is refused unread. Nothing is ever extracted by name; the rule keeps odd names out."""
    if _leads_outside(info.filename):
        return "its name leads outside the archive"
    if info.flag_bits & 0x1:
        return "it is encrypted"
    if info.file_size > MAX_BYTES:
        return f"it is larger than {MAX_BYTES >> 20} MB"
    return None


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, max_bytes: int = MAX_BYTES) -> bytes:
    """The member's bytes. Raises PictureError, also where there are more than `max_bytes`, whatever the header says."""
    try:
        with archive.open(info) as stream:
            return read_bounded(stream, max_bytes=max_bytes)  # type: ignore[arg-type]
    except PictureError:
        raise
    except Exception as problem:  # bad CRC, unknown compression, damaged stream
        raise PictureError(f"it cannot be unpacked ({problem})") from None
