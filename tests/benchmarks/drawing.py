"""How fast the world is drawn, and how hard it is: `python -m tests.benchmarks.drawing [--world 2]`."""

import argparse
import time

import numpy as np

from training.evaluation.framing import histograms
from training.evaluation.metrics import evaluate
from training.synthetic.people import WORLD_VERSION, WORLDS, people
from training.synthetic.site import cameras
from training.synthetic.world import crops_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--world", type=int, choices=tuple(WORLDS), default=WORLD_VERSION)
    world = parser.parse_args().world
    print(f"world version {world}")
    for name, families, members, look_alikes in (
        ("random people", 100, 1, False),
        ("look-alikes", 34, 3, True),
    ):
        site = cameras(101)
        drawn = list(people(77, "test", families, members, look_alikes=look_alikes, world=world))
        crops = [crop for person in drawn for crop in crops_of(person, site, 4, 9)]
        for camera in site:
            crops_of(drawn[0], (camera,), 1, 9).__next__().picture()  # each place is drawn once
        started = time.process_time()
        pictures = [crop.picture() for crop in crops]
        rate = len(pictures) / (time.process_time() - started)
        rows = histograms(pictures)
        ids, seen_by = np.array([c.person_id for c in crops]), np.array([c.camera_id for c in crops])
        query = np.arange(len(ids)) % 4 == 0
        found = evaluate(
            rows[query] @ rows[~query].T, ids[query], ids[~query], seen_by[query], seen_by[~query]
        )
        print(f"{name:14s} {rate:5.0f} pictures of 128x256 px a second of one core; histogram floor: {found}")


if __name__ == "__main__":
    main()
