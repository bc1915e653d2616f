"""Whether best choice knows whom it chooses: `python -m tests.benchmarks.best_choice`.

Lists of drawn people of the test split, one of them the right one, its place drawn, by picture and by words: how often
the right one is chosen, and how often each place, with and without what the tournament does about the liking for places
(app/retrieval/tournament.py). Chance is one in eight of both in a list of eight. Then the same among 64 people.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

from app.model.description import query_description
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.retrieval.tournament import LIST_LENGTH, Ask, Shown, tournament
from app.settings import DEMO_MODEL
from training.evaluation.synthetic_people import one_outfit, world_of
from training.synthetic.captions import fragment

MANY = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=str(DEMO_MODEL))
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--lists", type=int, default=50)
    chosen = parser.parse_args()
    model = ReidModel.load(chosen.model)
    crops = one_outfit(chosen.seed, MANY + LIST_LENGTH, world_of(model.manifest)).gallery
    people = sorted({crop.person_id for crop in crops})
    by_person = {p: [n for n, crop in enumerate(crops) if crop.person_id == p] for p in people}
    pictures = [Picture(n, crop.picture) for n, crop in enumerate(crops)]

    for kind in ("picture", "words"):
        for length, lists in ((LIST_LENGTH, chosen.lists), (MANY, max(1, chosen.lists // 10))):
            rng = np.random.default_rng(chosen.seed)
            ways: dict[str, list[tuple[int, int]]] = {"one question": [], "tournament": []}
            asked = [0, 0]
            began = time.perf_counter()
            for _ in range(lists):
                listed = rng.choice(people, length, replace=False).tolist()
                place = int(rng.integers(length))
                query, match = rng.choice(by_person[listed[place]], 2, replace=False).tolist()
                shown = [match if n == place else int(rng.choice(by_person[p])) for n, p in enumerate(listed)]
                said = fragment(crops[match].visible, rng, 6)
                text = (
                    "" if kind == "picture" else query_description([Attribute(k, v) for k, v in said.items()])
                )
                own = [pictures[query]] if kind == "picture" else []
                ask = asking(model, text, own, [pictures[n] for n in shown], asked)
                if length <= LIST_LENGTH:
                    first = int(ask([tuple(range(length))])[0].argmax())
                    ways["one question"].append((place, first))
                    asked[0] = 0
                ways["tournament"].append((place, int(np.argmax(tournament(length, ask)))))
                asked[1] += asked[0]
                asked[0] = 0
            seconds = (time.perf_counter() - began) / lists
            for way, found in ways.items():
                if found:
                    _tell(kind, length, way, np.array(found))
            print(f"           {asked[1] / lists:.0f} questions in the tournament, {seconds:.2f} s for all")


def asking(model: ReidModel, text: str, own: list[Picture], shown: list[Picture], asked: list[int]) -> Ask:
    """The questions of one search, counted in asked[0]."""

    def ask(lists: Sequence[Shown]) -> np.ndarray:
        asked[0] += len(lists)
        return model.choice_logits(text, own, [[shown[one] for one in places] for places in lists])

    return ask


def _tell(kind: str, length: int, way: str, found: np.ndarray) -> None:
    """found: int (lists, 2), the right place and the one that was chosen."""
    right, chosen = found.T
    shares = np.bincount(chosen * LIST_LENGTH // length, minlength=LIST_LENGTH) / len(found)
    eighths = "places" if length == LIST_LENGTH else "eighths of the list"
    print(
        f"by {kind:7} of {length:2}, {way:12} right {(right == chosen).mean():4.0%} of {len(found)}; {eighths}: "
        + " ".join(f"{share:.0%}" for share in shares)
    )


if __name__ == "__main__":
    main()
