"""A contact sheet: what was dropped and why, on one picture, for a person to look over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from gallery_store.decoding import PictureError

CELL, LABEL, HEADING, COLUMNS = (96, 160), 26, 34, 10  # px; cells in a line
SHOWN = 30  # of each reason
INK, DIM, GROUND, EMPTY = (27, 31, 36), (110, 118, 130), (255, 255, 255), (226, 229, 234)

# (name, two short lines, how to open it)
Item = tuple[str, str, Callable[[], Image.Image]]


def contact_sheet(groups: Mapping[str, tuple[int, Sequence[Item]]], file: Path) -> None:
    """Writes a PNG. groups: heading -> (how many there are, the first of them)."""
    rows = {heading: -(-len(items[:SHOWN]) // COLUMNS) for heading, (_, items) in groups.items()}
    height = sum(HEADING + lines * (CELL[1] + LABEL) for lines in rows.values()) + 16
    sheet = Image.new("RGB", (COLUMNS * (CELL[0] + 8) + 16, max(height, 60)), GROUND)
    pen, small, large = ImageDraw.Draw(sheet), ImageFont.load_default(10), ImageFont.load_default(17)
    top = 8
    for heading, (count, items) in groups.items():
        shown = f"{heading}: {count:,}" + (f", {SHOWN} of them" if count > SHOWN else "")
        pen.text((8, top + 6), shown, INK, font=large)
        top += HEADING
        for number, (name, line, load) in enumerate(items[:SHOWN]):
            left = 8 + number % COLUMNS * (CELL[0] + 8)
            place = top + number // COLUMNS * (CELL[1] + LABEL)
            _paste(sheet, pen, left, place, load)
            pen.text((left, place + CELL[1]), _shortened(name), DIM, font=small)
            pen.text((left, place + CELL[1] + 11), line[:18], DIM, font=small)
        top += rows[heading] * (CELL[1] + LABEL)
    if not groups:
        pen.text((8, 14), "Nothing was dropped.", INK, font=large)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    sheet.save(partial, "PNG")
    partial.replace(file)


def _paste(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, left: int, top: int, load: Callable[[], Image.Image]
) -> None:
    box = (CELL[0], CELL[1] - 4)
    pen.rectangle((left, top, left + box[0], top + box[1]), EMPTY)
    try:
        picture = load().copy()
    except PictureError:
        pen.line((left, top, left + box[0], top + box[1]), DIM)
        pen.line((left, top + box[1], left + box[0], top), DIM)
        return
    scale = min(box[0] / picture.width, box[1] / picture.height)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    sheet.paste(picture.resize(size), (left + (box[0] - size[0]) // 2, top + (box[1] - size[1]) // 2))


def _shortened(name: str, most: int = 18) -> str:
    name = name.rsplit("/", 1)[-1]
    return name if len(name) <= most else name[: most // 2] + "…" + name[-(most // 2 - 1) :]
