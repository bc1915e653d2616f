"""Looks at every training picture once, and writes down which to leave out."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from gallery_store.decoding import PictureError, open_picture
from training.captioning.filters import REASONS, Limits, Quality, measure, why_dropped
from training.captioning.run import append_lines, open_for_lines
from training.captioning.sheet import SHOWN, Item, contact_sheet
from training.captioning.stored import Captioned, json_lines, path_key
from training.datasets.record import Record

BATCH = 256
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Sifted:
    """counts: pictures by reason; "" for those that are kept. drawn: without a file, not looked at."""

    counts: Mapping[str, int]
    drawn: int


def sift(
    records: Sequence[Record],
    root: Path | None,
    limits: Limits,
    file: Path,
    *,
    told: Mapping[str, Captioned] | None = None,
    sheet: Path | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> Sifted:
    """Writes FILE, a line for each picture: {"path", "dropped", "why", "height", "width", "blur"}.

    Measurements are kept in FILE.measured as they come, so that a killed run goes on, and other limits cost no
    second look. A file of that name is replaced when all pictures are decided. told: what captioners recognised,
    by path. sheet: where to put a contact sheet of what is dropped. Raises DataSetError, OSError.
    """
    pictures = {path_key(r.image, root): r for r in records if isinstance(r.image, Path)}
    measured = _measured(pictures, file.with_name(file.name + ".measured"), threads, progress)
    counts: Counter[str] = Counter()
    dropped: dict[str, list[Item]] = {}
    partial = file.with_name(file.name + ".partial")
    with partial.open("w", encoding="utf-8") as out:
        for key, record in pictures.items():
            quality = measured[key]
            attributes = _recognised(record, (told or {}).get(key))
            why = why_dropped(quality, attributes, limits)
            counts[why] += 1
            row = {"path": key, "dropped": bool(why), "why": why, **asdict(quality)}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            if why and len(dropped.setdefault(why, [])) < SHOWN:
                size = f"{quality.width}x{quality.height} blur {quality.blur:.0f}"
                dropped[why].append((key, quality.reason or size, record.picture))
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)
    if sheet is not None:
        groups = {why: (counts[why], dropped[why]) for why in REASONS if why in dropped}
        contact_sheet(groups, sheet)
    return Sifted(dict(counts), sum(not isinstance(record.image, Path) for record in records))


def _recognised(record: Record, told: Captioned | None) -> Mapping[str, str] | None:
    """What is known to show; None where nobody looked."""
    if record.attributes:
        return record.attributes
    return None if told is None else told.attributes


def _measured(
    pictures: Mapping[str, Record], file: Path, threads: int, progress: Progress | None
) -> dict[str, Quality]:
    file.parent.mkdir(parents=True, exist_ok=True)
    found = {}
    for row in json_lines(file) if file.exists() else ():
        found[row["path"]] = Quality(row["height"], row["width"], row["blur"], row.get("reason", ""))
    left = [key for key in pictures if key not in found]
    with open_for_lines(file) as out, ThreadPoolExecutor(max(1, threads)) as pool:
        for start in range(0, len(left), BATCH):
            keys = left[start : start + BATCH]
            new = list(pool.map(_look, [pictures[key] for key in keys]))
            append_lines(
                out, [{"path": key, **asdict(quality)} for key, quality in zip(keys, new, strict=True)]
            )
            found.update(zip(keys, new, strict=True))
            if progress is not None:
                progress(start + len(keys), len(left))
    return found


def _look(record: Record) -> Quality:
    assert isinstance(record.image, Path)
    try:
        return measure(open_picture(record.image))
    except PictureError as problem:
        return Quality(0, 0, 0.0, problem.reason)
