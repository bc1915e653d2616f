"""A contact sheet: which pictures were dropped and why, on one page, for a person to look over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from gallery_store.decoding import PictureError
from gallery_store.files import write_file
from training.pages import filled, picture_url

SHOWN = 30  # of each reason
MOST = (192, 312)  # px of a picture, width and height; it is shown at half of it, for fine screens

# (name, what was measured, how to open it)
DroppedPicture = tuple[str, str, Callable[[], Image.Image]]


@dataclass(frozen=True)
class SheetCrop:
    """url: "" for a picture that cannot be read."""

    name: str
    fact: str
    url: str


@dataclass(frozen=True)
class SheetGroup:
    """count: how many were dropped for the reason; crops: the first of them."""

    reason: str
    count: int
    crops: tuple[SheetCrop, ...]


def write_contact_sheet(groups: Mapping[str, tuple[int, Sequence[DroppedPicture]]], file: Path) -> None:
    """Writes one HTML file that needs nothing beside it.

    groups: reason -> (how many there are, the first of them). ValueError for a name that does not end in .html.
    """
    if file.suffix != ".html":
        raise ValueError(
            f"the contact sheet is a page: name it {file.with_suffix('.html').name}, not {file.name}"
        )
    shown = [
        SheetGroup(reason, count, tuple(_crop(*dropped) for dropped in first[:SHOWN]))
        for reason, (count, first) in groups.items()
    ]
    lead = "Pictures that training leaves out, by reason, with their size in px and how sharp they are."
    write_file(file, filled("contact_sheet.html", title="Dropped pictures", lead=lead, groups=shown))


def _crop(name: str, fact: str, load: Callable[[], Image.Image]) -> SheetCrop:
    try:
        return SheetCrop(name, fact, picture_url(load(), MOST))
    except PictureError:
        return SheetCrop(name, fact, "")
