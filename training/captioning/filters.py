"""Which pictures are too poor to learn from: section 3.2's filters by quality and by attributes.

By quality: "we filter images based on size and resolution to address blurriness". Size in pixels, and
blurriness as the variance of the picture's Laplacian, which falls as edges are smoothed away.

By attributes: where a captioner looked at a picture and recognised no clothing, the person counts as occluded, and
the picture is left out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from gallery_store.console import Progress
from gallery_store.decoding import PictureError, open_picture
from gallery_store.files import replacing
from training.captioning.contact_sheet import SHOWN, DroppedPicture, write_contact_sheet
from training.captioning.side_files import Captioned, append_lines, json_lines, open_for_lines, path_key
from training.datasets.record import Record

CLOTHING = ("upper", "upper_colour", "lower", "lower_colour")
REASONS = ("unreadable", "small", "blurred", "occluded")


@dataclass(frozen=True)
class Limits:
    """height, width: px, the least that is kept. blur: the least variance of the Laplacian, in squared grey levels.

    The defaults take out only what shows next to nothing: the benchmarks' own pictures (Market-1501 is 128 x 64
    throughout) must pass. The paper states no numbers.
    """

    height: int = 64
    width: int = 24
    blur: float = 15.0

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 1 or not self.blur >= 0:
            raise ValueError(
                "the least height and width are 1 px or more, and the least blur value 0 or more"
            )


@dataclass(frozen=True)
class Quality:
    """Of one picture. height, width: px, 0 where it cannot be read. blur: see Limits. reason: why it cannot be read."""

    height: int
    width: int
    blur: float
    reason: str = ""


def measure(picture: Image.Image) -> Quality:
    """Of an RGB picture of any size."""
    return Quality(picture.height, picture.width, laplacian_variance(np.asarray(picture.convert("L"))))


def laplacian_variance(grey: np.ndarray) -> float:
    """The variance of 4 g(y, x) minus its four neighbours, over the pixels that have four; 0 where none has.

    grey: uint8 (h, w).
    """
    if min(grey.shape) < 3:
        return 0.0
    g = grey.astype(np.float32)
    edges = 4 * g[1:-1, 1:-1] - g[:-2, 1:-1] - g[2:, 1:-1] - g[1:-1, :-2] - g[1:-1, 2:]
    return float(edges.var(dtype=np.float64))


def why_dropped(quality: Quality, attributes: Mapping[str, str] | None, limits: Limits) -> str:
    """One of REASONS, or "" for a picture that is kept.

    attributes: what was recognised in the picture; None where nobody looked.
    """
    if quality.reason:
        return "unreadable"
    if quality.height < limits.height or quality.width < limits.width:
        return "small"
    if quality.blur < limits.blur:
        return "blurred"
    if attributes is not None and not any(kind in attributes for kind in CLOTHING):
        return "occluded"
    return ""


BATCH = 256  # pictures measured before they are written down


@dataclass(frozen=True)
class FilterCounts:
    """counts: pictures by reason; "" for those that are kept. drawn: without a file, not looked at."""

    counts: Mapping[str, int]
    drawn: int


def filter_pictures(
    records: Sequence[Record],
    root: Path | None,
    limits: Limits,
    file: Path,
    *,
    captioned: Mapping[str, Captioned] | None = None,
    sheet: Path | None = None,
    threads: int = 2,
    progress: Progress | None = None,
) -> FilterCounts:
    """Writes FILE, a line for each picture: {"path", "dropped", "why", "height", "width", "blur"}.

    Measurements are kept in FILE.measured as they come, so that a killed run goes on, and other limits cost no
    second look. A file of that name is replaced when all pictures are decided. captioned: what captioners recognised,
    by path. sheet: where to put a contact sheet of what is dropped. Raises DataSetError, OSError.
    """
    pictures = {path_key(r.image, root): r for r in records if isinstance(r.image, Path)}
    measured = _measured(pictures, file.with_name(file.name + ".measured"), threads, progress)
    counts: Counter[str] = Counter()
    dropped: dict[str, list[DroppedPicture]] = {}
    with replacing(file) as partial, partial.open("w", encoding="utf-8") as out:
        for key, record in pictures.items():
            quality = measured[key]
            attributes = _recognised(record, (captioned or {}).get(key))
            why = why_dropped(quality, attributes, limits)
            counts[why] += 1
            row = {"path": key, "dropped": bool(why), "why": why, **asdict(quality)}
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
            if why and len(dropped.setdefault(why, [])) < SHOWN:
                size = f"{quality.width}x{quality.height} blur {quality.blur:.0f}"
                dropped[why].append((key, quality.reason or size, record.picture))
    if sheet is not None:
        groups = {why: (counts[why], dropped[why]) for why in REASONS if why in dropped}
        write_contact_sheet(groups, sheet)
    return FilterCounts(dict(counts), sum(not isinstance(record.image, Path) for record in records))


def _recognised(record: Record, captioned: Captioned | None) -> Mapping[str, str] | None:
    """What is known to show; None where nobody looked."""
    if record.attributes:
        return record.attributes
    return None if captioned is None else captioned.attributes


def _measured(
    pictures: Mapping[str, Record], file: Path, threads: int, progress: Progress | None
) -> dict[str, Quality]:
    file.parent.mkdir(parents=True, exist_ok=True)
    measured = {}
    for row in json_lines(file) if file.exists() else ():
        measured[row["path"]] = Quality(row["height"], row["width"], row["blur"], row.get("reason", ""))
    left = [key for key in pictures if key not in measured]
    with open_for_lines(file) as out, ThreadPoolExecutor(max(1, threads)) as pool:
        for start in range(0, len(left), BATCH):
            keys = left[start : start + BATCH]
            new = list(pool.map(_measure_file, [pictures[key] for key in keys]))
            append_lines(
                out, [{"path": key, **asdict(quality)} for key, quality in zip(keys, new, strict=True)]
            )
            measured.update(zip(keys, new, strict=True))
            if progress is not None:
                progress(start + len(keys), len(left))
    return measured


def _measure_file(record: Record) -> Quality:
    assert isinstance(record.image, Path)
    try:
        return measure(open_picture(record.image))
    except PictureError as problem:
        return Quality(0, 0, 0.0, problem.reason)
