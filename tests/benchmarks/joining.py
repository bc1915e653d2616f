"""What it gains to compute for several operators at once: `OMP_NUM_THREADS=1 python -m tests.benchmarks.joining`.

Prints the processor's milliseconds for each pair question, text and picture, by how many are computed together, with
the demo models. Where more at once cost no less each, searches that take turns lose nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from app.model.pictures import Picture
from app.model.reid_model import BATCH, ReidModel
from app.settings import DEMO_CLIP, DEMO_GALLERY, DEMO_MODEL
from gallery_store.decoding import MAX_PIXELS, open_picture
from gallery_store.encoder import ClipEncoder
from gallery_store.pace import Pace

TIMES = 3
CANDIDATES = 64


class _Fixed(Pace):
    """Always so many."""

    def took(self, count: int, seconds: float) -> None:
        pass


def show(name: str, count: int, do: Callable[[], object]) -> None:
    spent = []
    for _ in range(TIMES):
        began = time.process_time()
        do()
        spent.append(time.process_time() - began)
    print(f"{name:32} {1000 * float(np.median(spent)) / count:6.2f} ms each", flush=True)


def main() -> None:
    model, encoder = ReidModel.load(DEMO_MODEL), ClipEncoder.load(DEMO_CLIP)
    files = sorted(DEMO_GALLERY.rglob("*.jpg"))[:CANDIDATES]
    pictures = [Picture(file, lambda file=file: open_picture(file, max_pixels=MAX_PIXELS)) for file in files]
    model.can_open(pictures)  # their vision tokens are remembered from here on
    for size in (4, 8, 16, BATCH):
        model._paces["pairs"] = _Fixed(size, first=size)
        ask = lambda: model.yes_logits("a man in a red coat", [], pictures)  # noqa: E731
        show(f"pair questions, {size} at once", CANDIDATES, ask)
    texts = [
        f"a man in a {colour} coat, number {number}" for colour in ("red", "blue") for number in range(8)
    ]
    images = [picture.load() for picture in pictures[:16]]
    show("texts, one at once", 16, lambda: [encoder.encode_texts([text]) for text in texts])
    show("texts, 16 at once", 16, lambda: encoder.encode_texts(texts))
    show("pictures, one at once", 16, lambda: [encoder.encode_images([image]) for image in images])
    show("pictures, 16 at once", 16, lambda: encoder.encode_images(images))


if __name__ == "__main__":
    main()
