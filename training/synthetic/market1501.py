"""Drawn people laid out as Market-1501 is, so that every command for real people can be tried without a download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gallery_store.console import Progress
from gallery_store.files import replacing_folder
from training.synthetic.people import WORLD_VERSION, people
from training.synthetic.render import encode
from training.synthetic.site import cameras
from training.synthetic.world import DrawnCrop, crops_of

FOLDER = "Market-1501-v15.09.15"
SIZE = (64, 128)  # px, width and height: Market-1501's own
VIEWS = 4  # of a person, by as many of the six cameras
MEMBERS = 3  # people who look alike, in each family
HOURS = (8, 17)  # daylight, as there


def write_market1501(
    root: Path, count: int, seed: int, progress: Progress | None = None, world: int = WORLD_VERSION
) -> Path:
    """Draw `count` people to learn from and as many to test on, every third of them a new one among look-alikes.

    No identity is in both halves, or in those of another seed. A set that is there already is replaced.

    Args:
        root: what --root takes. count: 3 or more; brought to families of MEMBERS. progress: called with crops.
        world: its version.

    Returns:
        The set's folder, below root.
    """
    if count < MEMBERS:
        raise ValueError(f"{count} people are fewer than one family of {MEMBERS} look-alikes")
    if seed < 0:
        raise ValueError(f"a seed is 0 or more, not {seed}")
    files = list(_files(count // MEMBERS, seed, world))
    folder = root / FOLDER
    root.mkdir(parents=True, exist_ok=True)
    with replacing_folder(folder) as partial:
        for number, (name, crop) in enumerate(files, 1):
            file = partial / name
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(encode(crop.picture(SIZE)))
            if progress is not None:
                progress(number, len(files))
    return folder


def _files(families: int, seed: int, world: int) -> Iterator[tuple[str, DrawnCrop]]:
    """(name below the set's folder, crop): to learn from, and of the others one to ask with and the rest to search."""
    site, number = cameras(seed), 0
    for split in ("train", "test"):
        for person in people(seed, split, families, MEMBERS, outfits=1, world=world):
            number += 1
            for view, crop in enumerate(crops_of(person, site, VIEWS, seed, hours=HOURS)):
                half = "bounding_box_train" if split == "train" else "bounding_box_test" if view else "query"
                yield f"{half}/{number:04d}_c{crop.camera_id}s1_{view:06d}_00.jpg", crop
