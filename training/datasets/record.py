"""What a data set tells of its crops: the one form in which all of them reach training and evaluation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from PIL import Image

from gallery_store.decoding import open_picture

SETTINGS = ("standard", "clothes-changing", "visible-infrared", "text-to-image")


class DrawnPicture(Protocol):
    """A crop that is drawn when it is looked at (training.synthetic.world.DrawnCrop)."""

    def picture(self) -> Image.Image: ...


@dataclass(frozen=True, slots=True)
class Record:
    """One crop and what is known of it.

    image: its file, or the drawn crop. person, camera: as the data set names them, unique within it;
    JUNK and DISTRACTOR are no people. clothes: one outfit of a person, "" where nobody noted it.
    captions: written by people. attributes: those that show, by kind of app.model.vocabulary; empty where
    nobody annotated them.
    """

    image: Path | DrawnPicture
    person: str
    camera: str = ""
    infrared: bool = False
    clothes: str = ""
    captions: tuple[str, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)

    def picture(self) -> Image.Image:
        """RGB, upright. Raises gallery_store.decoding.PictureError for a file that cannot be read."""
        return open_picture(self.image) if isinstance(self.image, Path) else self.image.picture()


JUNK = "-1"  # a false detection: neither right nor wrong
DISTRACTOR = "0000"  # never right


@dataclass(frozen=True)
class DataSet:
    """A benchmark, read. splits: "train" always; the others as its protocol names them.

    "val"; "query" and "gallery"; of PRCC "query-same", "query-changed" and "gallery"; of RegDB "test-visible" and
    "test-thermal"; "test" of SYSU-MM01 (all cameras) and of sets with captions (each caption is a query).
    Only `train` is for learning: training.datasets.training_records takes nothing else.
    """

    name: str
    setting: str  # of SETTINGS
    splits: Mapping[str, tuple[Record, ...]]

    @property
    def train(self) -> tuple[Record, ...]:
        return self.splits["train"]
