"""A zip whose manifest names every file with its SHA-256, signed where there is a key; and how it is checked.

manifest.json lists the files; manifest.sig, where there is one, is an HMAC-SHA256 of manifest.json, byte for byte.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from gallery_store.decoding import PictureError
from gallery_store.errors import GalleryError
from gallery_store.pictures import PictureFile

FORMAT, FORMAT_VERSION = "chatreid-export", 1
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
ALGORITHM = "HMAC-SHA256"
LEAST_KEY = 32  # bytes
_MOST_MANIFEST = 64 << 20  # bytes
_AT_ONCE = 1 << 20  # bytes
_STORED = (".jpg", ".jpeg", ".png", ".webp", ".pdf", ".heic", ".heif", ".avif")  # smaller they do not get


class UnreadableSource(GalleryError):
    """A file that was to go into the zip cannot be read; the rest goes on."""


def read_key(file: str | Path) -> bytes:
    """The key in a file, without white space around it. Raises GalleryError where there is none, or a short one."""
    try:
        key = Path(file).read_bytes().strip()
    except OSError as problem:
        raise GalleryError(f"the key file {file} cannot be read ({problem.strerror})") from None
    if len(key) < LEAST_KEY:
        raise GalleryError(
            f"the key in {file} has {len(key)} bytes and needs {LEAST_KEY} or more: make one with "
            '`python -c "import secrets; print(secrets.token_hex(32))"`'
        )
    return key


def key_id(key: bytes) -> str:
    """What tells keys apart and does not give them away: 16 hex digits."""
    return _mac(key, b"chatreid-export key")[:16]


class SealedZip:
    """Writes such a zip; each name once. Files go through in blocks, and none is held in memory."""

    def __init__(self, file: Path, made: datetime) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        self._made = made
        self._files: dict[str, tuple[int, str]] = {}

    @contextmanager
    def writing(self, name: str) -> Iterator[_Hashed]:
        """A file to write bytes to; it is in the manifest when the block ends."""
        if name in self._files or name in (MANIFEST, SIGNATURE):
            raise ValueError(f"{name} is in the zip already")
        with self._member(name) as stream:
            hashed = _Hashed(stream)
            try:
                yield hashed
            finally:  # half a file is in the zip too, and cannot be taken out again
                self._files[name] = (hashed.size, hashed.sha256)

    def add(self, name: str, source: PictureFile | bytes) -> str:
        """A file whole, -> its SHA-256. Raises UnreadableSource; OSError where the zip cannot be written."""
        if isinstance(source, bytes):
            with self.writing(name) as target:
                target.write(source)
        else:
            with _opened(source) as stream, self.writing(name) as target:
                while block := _read(stream):
                    target.write(block)
        return self._files[name][1]

    def seal(self, facts: Mapping[str, Any], key: bytes | None) -> str:
        """Write the manifest and its signature, and close; -> the manifest's SHA-256. facts: JSON-ready."""
        files = [
            {"name": name, "bytes": size, "sha256": digest}
            for name, (size, digest) in sorted(self._files.items())
        ]
        manifest = {"format": FORMAT, "version": FORMAT_VERSION, **facts, "files": files}
        data = (json.dumps(manifest, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "replace")
        with self._member(MANIFEST) as stream:
            stream.write(data)
        if key is not None:
            signature = {"algorithm": ALGORITHM, "key": key_id(key), "signature": _mac(key, data)}
            with self._member(SIGNATURE) as stream:
                stream.write((json.dumps(signature, indent=2) + "\n").encode())
        self._zip.close()
        return hashlib.sha256(data).hexdigest()

    def close(self) -> None:
        """Let go of the file, sealed or not."""
        self._zip.close()

    def _member(self, name: str) -> IO[bytes]:
        info = zipfile.ZipInfo(name, self._made.timetuple()[:6])
        info.compress_type = zipfile.ZIP_STORED if name.endswith(_STORED) else zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        return self._zip.open(info, "w", force_zip64=True)


class _Hashed(io.RawIOBase):
    """size: bytes so far. sha256: of them, hex."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self._hash, self.size = stream, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._hash.update(data)
        self.size += len(data)
        return self._stream.write(data)

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def _opened(source: PictureFile) -> IO[bytes]:
    try:
        return source.open("rb") if isinstance(source, Path) else io.BytesIO(source.read())
    except PictureError as problem:
        raise UnreadableSource(problem.reason) from problem
    except OSError as problem:
        raise UnreadableSource(str(problem.strerror)) from problem


def _read(stream: IO[bytes]) -> bytes:
    try:
        return stream.read(_AT_ONCE)
    except OSError as problem:
        raise UnreadableSource(str(problem.strerror)) from problem


@dataclass(frozen=True)
class CheckedZip:
    """files: in the manifest. problems: one sentence each. signature: what is to be said of it, whatever it is."""

    files: int
    problems: tuple[str, ...]
    signature: str
    facts: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        return not self.problems


def check_zip(file: Path, key: bytes | None = None) -> CheckedZip:
    """Compare a zip with its manifest, and its signature with the key. Nothing is unpacked to disk.

    With a key an unsigned zip is a problem; without one a signature is not checked, and that is said.
    Raises GalleryError where it is no such zip.
    """
    try:
        archive = zipfile.ZipFile(file)
    except OSError as problem:
        raise GalleryError(f"{file} cannot be read ({problem.strerror})") from None
    except zipfile.BadZipFile:
        raise GalleryError(f"{file} is no zip, or not all of it is there") from None
    with archive:
        members: dict[str, zipfile.ZipInfo] = {}
        problems = []
        for info in archive.infolist():
            if info.filename in members:
                problems.append(f"{_shown(info.filename)} is in the zip more than once")
            members[info.filename] = info
        data = _bounded(archive, members.get(MANIFEST))
        if data is None:
            raise GalleryError(f"{file} has no {MANIFEST} that can be read: it is no export of a case")
        listed, facts = _listed(file, data)
        signature, wrong = _signature(_bounded(archive, members.get(SIGNATURE)), data, key)
        problems += wrong
        for name, (size, digest) in listed.items():
            if name not in members:
                problems.append(f"{_shown(name)} is missing")
            elif not _is_same(archive, members[name], size, digest):
                problems.append(f"{_shown(name)} was changed")
        others = sorted(set(members) - set(listed) - {MANIFEST, SIGNATURE})
        problems += [f"{_shown(name)} is not in the manifest" for name in others]
    return CheckedZip(len(listed), tuple(problems), signature, facts)


def _listed(file: Path, data: bytes) -> tuple[dict[str, tuple[int, str]], dict[str, Any]]:
    try:
        facts = json.loads(data)
        if facts["format"] != FORMAT:
            raise ValueError
        if facts["version"] != FORMAT_VERSION:
            raise GalleryError(
                f"{file} is an export of version {_shown(str(facts['version']))}: update ChatReID"
            )
        rows = facts.pop("files")
        listed = {str(row["name"]): (int(row["bytes"]), str(row["sha256"])) for row in rows}
    except (ValueError, OverflowError, KeyError, TypeError, AttributeError, RecursionError):
        raise GalleryError(f"{file} has a {MANIFEST} of another program: it is no export of a case") from None
    return listed, facts


def _signature(given: bytes | None, manifest: bytes, key: bytes | None) -> tuple[str, list[str]]:
    """What is said of the signature, and what is wrong with it."""
    if given is None:
        return "not signed", [f"{SIGNATURE} is missing: it was not signed"] if key is not None else []
    if key is None:
        return "signed; not checked, for no key was given", []
    try:
        said = json.loads(given)
        algorithm, signed_by, signature = (str(said[name]) for name in ("algorithm", "key", "signature"))
    except (ValueError, KeyError, TypeError, RecursionError):
        return "not readable", [f"{SIGNATURE} cannot be read"]
    if algorithm != ALGORITHM:
        return "not checked", [f"{SIGNATURE} is of an unknown kind ({_shown(algorithm[:40])})"]
    if hmac.compare_digest(signature.encode("utf-8", "replace"), _mac(key, manifest).encode()):
        return f"signed with the key {key_id(key)}", []
    if signed_by != key_id(key):
        return "signed with another key", [f"{MANIFEST} was signed with another key than the one given"]
    return "wrong", [f"{MANIFEST} was changed: its signature is wrong"]


def _is_same(archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int, digest: str) -> bool:
    seen, hashed = 0, hashlib.sha256()
    try:
        with archive.open(info) as stream:
            while seen <= size and (block := stream.read(_AT_ONCE)):
                seen += len(block)
                hashed.update(block)
    except Exception:  # a wrong CRC, a damaged stream, an unknown compression, encryption
        return False
    return seen == size and hashed.hexdigest() == digest


def _bounded(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None) -> bytes | None:
    if info is None:
        return None
    try:
        with archive.open(info) as stream:
            data = stream.read(_MOST_MANIFEST + 1)
    except Exception:  # as above
        return None
    return data if len(data) <= _MOST_MANIFEST else None


def _mac(key: bytes, data: bytes) -> str:
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def _shown(name: str) -> str:
    """A name from elsewhere, without what a terminal would act on."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in name)[:300]
