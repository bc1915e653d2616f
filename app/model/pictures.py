"""Pictures as the model takes them: how large, and what it remembers of them.

The paper has a size rule for each stage (section 3.3). A checkpoint carries the rule of its last stage, and
`apply_rule` makes the picture by it in training and at run time alike. All sizes are (height, width) in pixels and
come out as multiples of 28 (two 14-pixel patches merged into one token), so that the image processor has nothing left
to resize.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from PIL import Image, ImageChops

Value = TypeVar("Value")


@dataclass(frozen=True)
class Picture:
    """One picture: a key that stands for its content (e.g. its SHA-256), and how to open it (RGB)."""

    key: Hashable
    load: Callable[[], Image.Image]


class BoundedCache(Generic[Value]):
    """The most recently used values, within a budget of bytes. Thread-safe.

    A value larger than the whole budget is not kept.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self._lock = threading.Lock()
        self._rows: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                return None
            self._rows.move_to_end(key)
            return row[0]

    def put(self, key: Hashable, value: Value, size: int) -> None:
        with self._lock:
            if key in self._rows:
                self.used -= self._rows.pop(key)[1]
            if size > self.budget:
                return
            self._rows[key] = (value, size)
            self.used += size
            while self.used > self.budget:
                _, (_, dropped) = self._rows.popitem(last=False)
                self.used -= dropped

    def __len__(self) -> int:
        return len(self._rows)


GREY = 8  # of 255: pixels whose channels differ by no more are grey
COLOURED = 0.01  # of the pixels of a colourless picture, those that may not be
UNIT = 28  # pixels of one token's side
MIN_PIXELS = 2 * UNIT * 2 * UNIT
MAX_PIXELS = 1280 * UNIT * UNIT

Size = tuple[int, int]


@dataclass(frozen=True)
class ImageRule:
    """One way of sizing pictures. Sizes are (height, width) in pixels.

    fixed: every picture gets exactly this size (multiples of 28), whatever its shape.
    at_least: a picture with fewer pixels than this is brought to exactly this size.
    at_most: a picture with more pixels than this is brought to exactly this size.
    Other pictures keep their size, rounded to multiples of 28 within max_pixels.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012 (read by app.model.checkpoint)

    name: str
    fixed: Size | None = None
    at_least: Size | None = None
    at_most: Size | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        if self.fixed and (min(self.fixed) < UNIT or any(side % UNIT for side in self.fixed)):
            raise ValueError(
                f"image rule {self.name!r}: fixed sizes are multiples of {UNIT}, not {self.fixed}"
            )
        if self.max_pixels < MIN_PIXELS:
            raise ValueError(f"image rule {self.name!r}: max_pixels under {MIN_PIXELS}")

    def size(self, height: int, width: int) -> Size:
        """The (height, width) that a picture of this size gets; multiples of 28."""
        if self.fixed:
            return self.fixed
        pixels = height * width
        if self.at_least and pixels < self.at_least[0] * self.at_least[1]:
            height, width = self.at_least
        elif self.at_most and pixels > self.at_most[0] * self.at_most[1]:
            height, width = self.at_most
        return _rounded(height, width, self.max_pixels)

    def within(self, max_pixels: int | None) -> ImageRule:
        """The same rule with no picture larger than max_pixels; None leaves it as it is."""
        if max_pixels is None:
            return self
        most = min(max_pixels, self.max_pixels)
        return replace(self, fixed=self.fixed and _rounded(*self.fixed, most), max_pixels=most)

    def __str__(self) -> str:
        """In words, for a card or a line of progress."""
        if self.fixed:
            return f"every picture at {_px(self.fixed)}"
        said = []
        if self.at_least:
            said.append(f"under {_px(self.at_least)} brought to that")
        if self.at_most:
            said.append(f"over {_px(self.at_most)} brought to that")
        return f"{', '.join(said) or 'as they are'}, at most {self.max_pixels // UNIT**2:,} tokens each"


# Section 3.3 of the paper.
STAGE_1 = ImageRule("stage-1", at_least=(256, 128))
STAGE_2 = ImageRule("stage-2", at_most=(384, 192))
STAGE_3 = ImageRule("stage-3")
# For a checkpoint that does not say how it was taught: one size for all crops, 45 tokens each.
RUN_TIME = ImageRule("run-time", fixed=(252, 140))
# The small demo model's: 18 tokens each. A manifest of the demo has its own size.
DEMO = ImageRule("demo", fixed=(168, 84))


def apply_rule(rule: ImageRule, image: Image.Image) -> Image.Image:
    """The picture at the rule's size, RGB; the same object where nothing has to change."""
    image = image if image.mode == "RGB" else image.convert("RGB")
    height, width = rule.size(image.height, image.width)
    if (image.height, image.width) == (height, width):
        return image
    return image.resize((width, height), Image.Resampling.BICUBIC)


def is_colourless(image: Image.Image) -> bool:
    """Whether a picture (RGB) has no colour at all, as an infrared camera's: its three channels are one, but for what
    saving it as a JPEG may change. A tinted picture counts as one in visible light.
    """
    red, green, blue = image.split()
    brightest = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    darkest = ImageChops.darker(ImageChops.darker(red, green), blue)
    counts = ImageChops.subtract(brightest, darkest).histogram()
    return sum(counts[GREY + 1 :]) <= COLOURED * sum(counts)


def _px(size: Size) -> str:
    return f"{size[0]} x {size[1]} px"


def _rounded(height: int, width: int, max_pixels: int) -> Size:
    """Multiples of 28 near the size, shape kept, between MIN_PIXELS and max_pixels."""
    # A strip of 1 x 5000 pixels is legal input; nothing longer than 100 : 1 reaches the model.
    height, width = max(height, math.ceil(width / 100)), max(width, math.ceil(height / 100))
    rows, columns = max(1, round(height / UNIT)), max(1, round(width / UNIT))
    if rows * columns * UNIT * UNIT > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        # A side that fits exactly may come out a hair below a whole number.
        rows = max(1, math.floor(height / shrink / UNIT + 1e-9))
        columns = max(1, math.floor(width / shrink / UNIT + 1e-9))
        while rows * columns * UNIT * UNIT > max_pixels:
            rows, columns = (rows - 1, columns) if rows >= columns else (rows, columns - 1)
    elif rows * columns * UNIT * UNIT < MIN_PIXELS:
        grow = math.sqrt(MIN_PIXELS / (height * width))
        rows, columns = math.ceil(height * grow / UNIT), math.ceil(width * grow / UNIT)
    return rows * UNIT, columns * UNIT
