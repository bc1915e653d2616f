"""How long it takes to read a data set of MSMT17's size: python -m tests.benchmarks.datasets"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
        rows: dict[str, list[tuple[float, float]]] = {"read and checked": [], "training records taken": []}
        for _ in range(chosen.times):
            with _timed(rows["read and checked"]):
                dataset = load("msmt17", Path(place))
            with _timed(rows["training records taken"]):
                training_records([dataset])
    print(f"{pictures:,} pictures; medians of {chosen.times}")
    print(f"{'':<28}{'s':>8}{'s of CPU':>12}")
    for what, times in rows.items():
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        print(f"{what:<28}{wall:>8.2f}{cpu:>12.2f}")


@contextmanager
def _timed(into: list[tuple[float, float]]) -> Iterator[None]:
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    into.append((time.perf_counter() - wall, time.process_time() - cpu))


if __name__ == "__main__":
    main()
