"""The folder that an evaluation works in: which evaluation it holds, and which of several processes does what there.

    plan.json        what is evaluated; another plan in the same folder is refused
    gallery.db       the gallery of a run, or of its first shard; gallery-2.db is the second shard's, and so on
    .lock, .lock-2   held by the run, or the shard, that is at work; the system frees them when it ends, however it ends

Shards share nothing but finished pieces of work, which are written whole or not at all: no machine relies on another's
locks or opens another's database, so that they may share a network folder.
"""

from __future__ import annotations

import errno
import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock, Timeout

from gallery_store.console import remark
from gallery_store.files import write_json

Piece = TypeVar("Piece")


class HarnessError(ValueError):
    """An evaluation that cannot be run; one sentence that names the thing and the mend."""


class NothingToMeasure(HarnessError):
    """No query has a true match, so that there are no figures. One sentence that says why, and the mend."""


class Unfinished(Exception):
    """A shard has done its part, and others have not: no figures yet. One sentence that says what is left."""


@dataclass(frozen=True)
class Shard:
    """One of `count` processes that share an evaluation. index: 1..count."""

    index: int = 1
    count: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.index <= self.count:
            raise ValueError(f"shards are numbered 1/{self.count} to {self.count}/{self.count}, not {self}")

    @classmethod
    def parse(cls, text: str) -> Shard:
        """ "2/4": the second of four. Raises ValueError."""
        index, slash, count = text.partition("/")
        if not (slash and index.strip().isdecimal() and count.strip().isdecimal()):
            raise ValueError(f"{text!r} is not a shard such as 2/4, the second of four")
        return cls(int(index), int(count))

    def own(self, pieces: Sequence[Piece]) -> Sequence[Piece]:
        """Its part of the work: every count-th piece."""
        return pieces[self.index - 1 :: self.count]

    def gallery(self, work: Path) -> Path:
        """The gallery file that this shard makes and searches."""
        return work / f"gallery{self._suffix}.db"

    def lock(self, work: Path) -> Path:
        return work / f".lock{self._suffix}"

    @property
    def _suffix(self) -> str:
        return f"-{self.index}" if self.index > 1 else ""

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


WHOLE = Shard()


@contextmanager
def hold(work: Path, shard: Shard) -> Iterator[None]:
    """Be the only one at work in the folder, or, of several shards, the only one of this index. Makes the folder.

    Raises:
        HarnessError: another process is at work here, or the folder cannot be written.
    """
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"{work} cannot be made ({error.strerror}): choose another folder") from None
    if shard.count == 1:  # it would do again what shards are doing
        for other in sorted(work.glob(".lock-*")):
            with _held(other, f"{work} is being worked in by shard {other.name.removeprefix('.lock-')}"):
                pass
    with _held(shard.lock(work), f"{work} is being worked in by another run"):
        yield


@contextmanager
def _held(file: Path, refusal: str, *, wait: float = 0) -> Iterator[None]:
    """Hold a lock of the system's. wait: seconds for another to free it. Raises HarnessError."""
    lock = FileLock(file, timeout=wait, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout:
        who = ""
        with suppress(OSError):  # Windows lets nobody read a locked file
            who = file.read_text("utf-8").strip()
        raise HarnessError(
            f"{refusal}{f' ({who})' if who else ''}: wait until it ends, stop it, choose another folder, or share the "
            "work by --shard 1/2, 2/2, ..., each index once"
        ) from None
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise HarnessError(f"{file} cannot be locked ({error.strerror}): choose another folder") from None
        remark(f"the file system of {file.parent} has no locks: see to it that no other run works there")
        yield
        return
    try:
        with suppress(OSError):
            file.write_text(f"process {os.getpid()} on {platform.node()}\n", "utf-8")
        yield
    finally:
        lock.release()


def begin(work: Path, plan: dict[str, Any]) -> None:
    """Begin a plan (JSON) in the folder, or go on with the same one. Raises HarnessError for another."""
    file = work / "plan.json"
    # Hidden: locks, and what another shard is writing at this moment. A plan comes before anything else.
    if work.is_dir() and any(not inside.name.startswith(".") for inside in work.iterdir()):
        if not file.is_file():
            raise HarnessError(f"{work} is not empty and holds no evaluation: choose another folder")
    else:
        work.mkdir(parents=True, exist_ok=True)
        with _held(work / ".begin", f"{work} is being begun by another run", wait=60):
            if not file.is_file():
                write_json(file, plan)
    try:
        before = json.loads(file.read_text("utf-8"))
    except ValueError:
        before = None
    if before != json.loads(json.dumps(plan)):
        raise HarnessError(
            f"{work} holds another evaluation (other queries, crops, models or options): "
            "choose another folder, or remove this one"
        )


def require_all(files: Iterable[Path], shard: Shard) -> None:
    """Raises Unfinished where pieces of other shards are not there yet."""
    there = [file.is_file() for file in files]
    if not all(there):
        raise Unfinished(
            f"shard {shard} has done its part; left to other shards: {there.count(False)} of {len(there)} pieces. The "
            "last shard to end gives the figures, or the same command without --shard, which does what is left"
        )
