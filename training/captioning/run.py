"""Captions for many pictures, written as they come: a killed run goes on behind its last whole line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from gallery_store.decoding import PictureError
from training.captioning.captioners import Captioner, CaptionerError
from training.captioning.stored import is_row, json_lines, path_key
from training.datasets.record import Record

Progress = Callable[[int, int], None]
HOPELESS = 8  # pictures refused one after the other, none told yet: it is not the pictures


@dataclass(frozen=True)
class Outcome:
    """told: newly; before: already in the file; refused, unreadable: pictures with the reason; drawn: without a
    file, left out."""

    told: int
    before: int
    refused: tuple[tuple[str, str], ...]
    unreadable: tuple[tuple[str, str], ...]
    drawn: int


def tell_all(
    records: Sequence[Record],
    root: Path | None,
    captioner: Captioner,
    file: Path,
    *,
    progress: Progress | None = None,
) -> Outcome:
    """Appends a line for each picture that the file does not tell of yet. Raises CaptionerError, DataSetError."""
    pictures = {path_key(r.image, root): r for r in records if isinstance(r.image, Path)}
    drawn = sum(not isinstance(record.image, Path) for record in records)
    file.parent.mkdir(parents=True, exist_ok=True)
    have = {row["path"] for row in json_lines(file)} if file.exists() else set()
    left = [key for key in pictures if key not in have]
    refused: list[tuple[str, str]] = []
    unreadable: list[tuple[str, str]] = []
    done = 0
    with open_for_lines(file) as out:
        for keys in _batches(left, captioner.batch):
            opened = []
            for key in keys:
                try:
                    opened.append((key, pictures[key].picture()))
                except PictureError as problem:
                    unreadable.append((key, problem.reason))
            answers = captioner.tell([picture for _, picture in opened]) if opened else []
            lines = []
            for (key, _), answer in zip(opened, answers, strict=True):
                if isinstance(answer, CaptionerError):
                    refused.append((key, str(answer)))
                else:
                    lines.append({"path": key, "caption": answer.caption, "attributes": answer.attributes})
            append_lines(out, lines)
            done += len(lines)
            if not done and len(refused) >= HOPELESS:
                raise CaptionerError(f"the first {len(refused)} pictures were all refused; {refused[0][1]}")
            if progress is not None:
                progress(done + len(refused) + len(unreadable), len(left))
    return Outcome(done, len(pictures) - len(left), tuple(refused), tuple(unreadable), drawn)


def open_for_lines(file: Path) -> IO[bytes]:
    """Opens a file of lines to append to; a line that a kill cut off is taken away first.

    A last line that is whole but for its newline counts (as for training.captioning.stored.json_lines) and gets it.
    """
    out = file.open("ab+")
    end = start = out.seek(0, os.SEEK_END)
    tail = b""
    while start > 0 and b"\n" not in tail:  # back to the last newline, by blocks
        start = max(0, end - len(tail) - 4096)
        out.seek(start)
        tail = out.read(end - start - len(tail)) + tail
    tail = tail.rpartition(b"\n")[2]
    if tail and is_row(tail):
        out.write(b"\n")
    else:
        out.truncate(end - len(tail))
    out.seek(0, os.SEEK_END)
    return out


def append_lines(out: IO[bytes], rows: Sequence[dict[str, Any]]) -> None:
    """Writes rows whole and brings them to the disk."""
    if rows:
        out.write("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode())
        out.flush()
        os.fsync(out.fileno())


def _batches(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
