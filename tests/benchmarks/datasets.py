"""How long it takes to read a data set of MSMT17's size: python -m tests.benchmarks.datasets"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from PIL import Image

from training.datasets.load import load
from training.datasets.training_records import training_records

# split -> half, people, pictures: as published.
PARTS = {
    "train": ("mask_train_v2", 1041, 30248),
    "val": ("mask_train_v2", 1041, 2373),
    "query": ("mask_test_v2", 3060, 11659),
    "gallery": ("mask_test_v2", 3060, 82161),
}


def lay_out(folder: Path) -> int:
    """The folders and lists, every picture a hard link to one. Returns the number of pictures."""
    folder.mkdir(parents=True)
    one = folder / "one.jpg"
    Image.new("RGB", (64, 128)).save(one)
    made, linked = set(), 0
    for number, (split, (half, people, pictures)) in enumerate(PARTS.items()):
        lines = []
        for picture in range(pictures):
            person = picture % people
            name = (
                f"{person:04d}/{person:04d}_{number}{picture:05d}_{picture % 15 + 1:02d}_0303noon_0000_0.jpg"
            )
            place = folder / half / name
            if place.parent not in made:
                place.parent.mkdir(parents=True, exist_ok=True)
                made.add(place.parent)
            if linked % 50_000 == 49_999:  # file systems bound the links of one file
                one = folder / f"one{linked}.jpg"
                Image.new("RGB", (64, 128)).save(one)
            os.link(one, place)
            linked += 1
            lines.append(f"{name} {person}")
        (folder / f"list_{split}.txt").write_text("\n".join(lines))
    return linked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=3)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        pictures = lay_out(Path(place) / "MSMT17_V2")
        reading, taking = [], []
        for _ in range(chosen.times):
            start = time.perf_counter()
            dataset = load("msmt17", Path(place))
            reading.append(time.perf_counter() - start)
            start = time.perf_counter()
            training_records([dataset])
            taking.append(time.perf_counter() - start)
    print(f"{'pictures':<44}{pictures:>10,}")
    print(
        f"{'read and checked, s (median of ' + str(chosen.times) + ')':<44}{statistics.median(reading):>10.2f}"
    )
    print(f"{'training records taken, s':<44}{statistics.median(taking):>10.2f}")


if __name__ == "__main__":
    main()
