"""How often drawings are taken for photographs and photographs for drawings:
`python -m tests.benchmarks.photographs [FOLDER] [--fit]`.

Drawn people of both worlds, of the test split and of the demo galleries, without the mark that our files carry, by
their looks alone: as they are and, those of the test split, saved again (64 to 300 px high, JPEG 50 to 95). FOLDER: of
photographs, from which pieces of a person's shape are cut, twelve each; a subfolder is of pieces that are cut already,
by one camera. They are seen as they are and worn (smaller, blurred, cast, noisy, coded). --fit fits the weights on them
and on drawn people of the train split, says how many it notices of photographs that it was not fitted on (a quarter of
the files left out, or a subfolder), and writes gallery_store/photograph_weights.py.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from scipy.optimize import minimize

from gallery_store import photograph_weights
from gallery_store.photographs import differences, looks_photographic
from tests.drawn_and_photographed import photographed
from training.demo.gallery import demo_crops
from training.synthetic.people import WORLDS, people
from training.synthetic.site import cameras
from training.synthetic.world import crops_of

PIECES, LARGEST = 12, 1600  # cut from a photograph; px, its longer side
FALSE_ALARMS = 0.05  # of world 2's pictures that lost their mark: where --fit draws the line
FADED = 1e-3  # weight decay
MOST = 120  # pictures: more of one camera count as so many
GRAIN = tuple(
    product(range(8), (64, 128, 256, 900), (15.0, 25.0, 40.0))
)  # of noise: seeds, heights, textures
KINDS = ("light", "tint", "colour", "second light", "second tint", "mixed light")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--people", type=int, default=150)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    groups = dict(_photographs(chosen.folder, np.random.default_rng(1))) if chosen.folder else {}
    if chosen.fit:
        fit(groups)
        return
    print(f"{'':44}pictures  taken for photographs")
    for world in WORLDS:
        test = drawn(world, chosen.seed, "test", chosen.people)
        _tell(f"world {world}, seed {chosen.seed}", test)
        _tell(f"world {world}, saved again", [_again(picture, rng) for picture in test])
        _tell(f"world {world}, the demo gallery", [crop.picture() for crop in demo_crops(world)])
    for name, pieces in _by_kind(groups).items():
        _tell(name, pieces)
        _tell(f"{name}, worn", [_worn(piece, rng) for piece in pieces])


def drawn(world: int, seed: int, split: str, count: int) -> list[Image.Image]:
    """Four pictures each of so many people, a tenth of them in infrared."""
    site = cameras(seed)
    return [
        crop.picture()
        for person in people(seed, split, count, members=1, world=world)
        for crop in crops_of(person, site, 4, seed, outfits=(0,), infrared_share=0.1)
    ]


def _tell(name: str, pictures: Sequence[Image.Image]) -> None:
    taken = sum(map(looks_photographic, pictures))
    print(f"{name:44}{len(pictures):8}{taken:8}  {taken / len(pictures):6.1%}")


def _photographs(folder: Path, rng: np.random.Generator) -> Iterator[tuple[str, list[Image.Image]]]:
    """The pieces of each photograph, and those of each subfolder."""
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield f"{path.name}/", [Image.open(file).convert("RGB") for file in sorted(path.iterdir())]
        else:
            yield path.name, list(_pieces(Image.open(path).convert("RGB"), rng))


def _pieces(image: Image.Image, rng: np.random.Generator) -> Iterator[Image.Image]:
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    most = min(image.height, 2 * image.width, 800)
    for _ in range(PIECES):
        height = int(rng.uniform(min(150, most), most + 1))
        left = int(rng.integers(0, image.width - height // 2 + 1))
        top = int(rng.integers(0, image.height - height + 1))
        yield image.crop((left, top, left + height // 2, top + height))


def _by_kind(groups: dict[str, list[Image.Image]]) -> dict[str, list[Image.Image]]:
    """The subfolders' pieces by their names, and all others as one."""
    kinds: dict[str, list[Image.Image]] = {}
    for name, pieces in groups.items():
        kinds.setdefault(name if name.endswith("/") else "pieces of photographs", []).extend(pieces)
    return kinds


def _coded(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def _again(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    height = int(rng.uniform(64, 300))
    smaller = image.resize((height // 2, height), Image.Resampling.BICUBIC)
    return _coded(smaller, int(rng.integers(50, 95)))


def _worn(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    if rng.random() < 0.6:
        height = int(rng.uniform(64, 256))
        image = image.resize((height // 2, height), Image.Resampling.BICUBIC)
    if rng.random() < 0.3:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.5) * image.height / 256))
    values: np.ndarray = np.asarray(image, np.float32)
    if rng.random() < 0.5:
        values = values * (1 + rng.normal(0, 0.08, 3)) * np.exp(rng.normal(0, 0.2))
    if rng.random() < 0.4:
        channels = 3 if rng.random() < 0.5 else 1
        values = values + rng.normal(size=(*values.shape[:2], channels)) * rng.uniform(1, 8)
    image = Image.fromarray(values.clip(0, 255).astype(np.uint8))
    if rng.random() < 0.1:
        image = image.convert("L").convert("RGB")
    return _coded(image, int(rng.integers(30, 95))) if rng.random() < 0.7 else image


def fit(groups: dict[str, list[Image.Image]]) -> None:
    """Writes the weights; prints what those are worth that are fitted without the photographs they are asked about."""
    rng = np.random.default_rng(2)
    rows, weights = [], []
    for world, count, share in ((1, 100, 0.25), (2, 400, 0.75)):
        pictures = drawn(world, 6, "train", count)
        both = _rows([*pictures, *(_again(picture, rng) for picture in pictures[::2])])
        rows.append(both)
        weights.append(np.full(len(both), share / len(both)))
    drawings, each = np.concatenate(rows), np.concatenate(weights)
    line = np.concatenate(
        [_rows(drawn(2, 8, "validation", 150)), _rows([crop.picture() for crop in demo_crops(2)])]
    )
    plain = {name: _rows(pieces) for name, pieces in groups.items()}
    worn = {name: _rows([_worn(piece, rng) for piece in pieces]) for name, pieces in groups.items()}
    grain = _rows([photographed(seed, height, texture) for seed, height, texture in GRAIN])
    files = [name for name in groups if not name.endswith("/")]
    folds = [
        [n for n in groups if n.endswith("/")],
        *(list(part) for part in np.array_split(rng.permutation(files), 4)),
    ]

    def taught(left_out: Sequence[str]) -> tuple[np.ndarray, float]:
        names = [name for name in groups if name not in left_out]
        pieces = np.concatenate([grain, *(side[name] for name in names for side in (plain, worn))])
        counts = [len(grain), *(2 * len(plain[name]) for name in names)]
        share = np.concatenate([np.full(count, min(1.0, MOST / count)) for count in counts])
        weight = _logistic(drawings, each, pieces, share / share.sum())
        return weight, float(np.quantile(line @ weight, 1 - FALSE_ALARMS))

    print(f"{'photographs that it was not fitted on':44}pieces    noticed    worn")
    for fold in folds:
        if not fold:
            continue
        weight, bar = taught(fold)
        seen, after = (np.concatenate([side[name] for name in fold]) for side in (plain, worn))
        said = fold[0] if len(fold) == 1 else f"{len(fold)} photographs"
        print(
            f"{said:44}{len(seen):6}{(seen @ weight > bar).mean():11.1%}{(after @ weight > bar).mean():8.1%}"
        )
    weight, bar = taught(())
    _write(weight, bar)


def _rows(pictures: Sequence[Image.Image]) -> np.ndarray:
    return np.stack([differences(picture) for picture in pictures])


def _logistic(drawings: np.ndarray, each: np.ndarray, pieces: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The weights; each and share: how much each row counts, of sum 1."""
    rows = np.concatenate([drawings, pieces]).astype(np.float64)
    sign = np.repeat([-1.0, 1.0], [len(drawings), len(pieces)])
    counts = np.concatenate([each, share]) / 2
    mean, scale = rows.mean(0), rows.std(0) + 1e-6
    even = (rows - mean) / scale

    def loss(at: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (even @ at[:-1] + at[-1])
        pull = -counts * sign / (1 + np.exp(np.minimum(margin, 50)))
        value = (counts * np.logaddexp(0, -margin)).sum() + FADED / 2 * (at[:-1] ** 2).sum()
        return value, np.append(even.T @ pull + FADED * at[:-1], pull.sum())

    found = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 400})
    return np.asarray(found.x[:-1] / scale)


def _write(weight: np.ndarray, bar: float) -> None:
    rows = "\n".join(
        f"    ({', '.join(f'{value:.2f}' for value in row)}),  # scale {number // 6}, {KINDS[number % 6]}"
        for number, row in enumerate(weight.reshape(-1, 7))
    )
    head = '"""What tells photographs from drawings: by `python -m tests.benchmarks.photographs FOLDER --fit`."""'
    text = f"{head}\n\nBIAS = {-bar:.2f}\nWEIGHTS = (\n{rows}\n)\n"
    Path(photograph_weights.__file__).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
