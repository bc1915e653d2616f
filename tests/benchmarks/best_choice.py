"""Whether best choice knows whom it chooses: `python -m tests.benchmarks.best_choice`.

Lists of eight drawn people of the test split, one of them the right one, its place drawn: how often it is chosen
first, by picture and by words, and how often the commonest place is. Chance is one in eight of both.
"""

from __future__ import annotations

import argparse
from collections import Counter

import numpy as np

from app.model.description import query_description
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.settings import DEMO_MODEL
from training.evaluation.synthetic_people import one_outfit
from training.synthetic.captions import fragment

LENGTH = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--lists", type=int, default=50)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    crops = one_outfit(chosen.seed, 3 * LENGTH).gallery
    people = sorted({crop.person_id for crop in crops})
    by_person = {p: [n for n, crop in enumerate(crops) if crop.person_id == p] for p in people}
    pictures = [Picture(n, crop.picture) for n, crop in enumerate(crops)]
    model = ReidModel.load(DEMO_MODEL)
    for kind in ("picture", "words"):
        places, right = [], 0
        for _ in range(chosen.lists):
            listed = rng.choice(people, LENGTH, replace=False).tolist()
            place = int(rng.integers(LENGTH))
            query, match = rng.choice(by_person[listed[place]], 2, replace=False).tolist()
            shown = [match if n == place else int(rng.choice(by_person[p])) for n, p in enumerate(listed)]
            said = fragment(crops[match].visible, rng, 6)
            text = "" if kind == "picture" else query_description([Attribute(k, v) for k, v in said.items()])
            own = [pictures[query]] if kind == "picture" else []
            first = model.best_choice(text, own, [pictures[n] for n in shown]).order[0]
            places.append(first)
            right += first == place
        often = Counter(places).most_common(1)[0]
        print(
            f"by {kind:8} right {right:3} of {chosen.lists}; place {often[0] + 1} was chosen {often[1]} times"
        )


if __name__ == "__main__":
    main()
