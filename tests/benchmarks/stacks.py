"""How far the stacks of "Group by person" hold one person each: `python -m tests.benchmarks.stacks`.

The demo gallery, 40 descriptions and 40 clicks (as tests.benchmarks.find_people has them), the first 24 candidates of
each. precision: of the candidates that lie below another one, how many show the same person as that one. found: of
those that could lie below a better one of their person, how many do. Three minutes on 2 cores.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np

from app.chat.conversation import Conversation, say, to_query
from app.chat.search_state import GalleryFacts
from app.model.reid_model import ReidModel
from app.retrieval import stacks
from app.retrieval.engine import Engine
from app.retrieval.query import Query, Reference
from app.retrieval.ranking import Ranking, SearchTrace, rank_candidates
from tests.benchmarks.find_people import ASSETS, SEED, clicks, descriptions, open_demo, sentence

COUNT, SHOWN = 40, 24
AFFINITIES = (0.5, 0.6, 0.7, 0.8, 0.9)
SAME_CAMERA_SECONDS, SAME_LOOK = (
    60,
    (0.7, 0.8, 0.9),
)  # what was tried beside affinity: one camera, soon after, alike


@dataclass
class Tally:
    """Sums over the searches of one rule."""

    below: int = 0
    right: int = 0
    could: int = 0
    stacks: int = 0
    people: int = 0
    searches: int = 0

    def add(self, people: list[str], leads: dict[int, int]) -> None:
        """people: who is shown, best first. leads: place -> place of the candidate that it lies below."""
        self.below += len(leads)
        self.right += sum(people[one] == people[lead] for one, lead in leads.items())
        self.could += len(people) - len(set(people))
        self.stacks += len(people) - len(leads)
        self.people += len(set(people))
        self.searches += 1

    def row(self, name: str) -> str:
        precision = f"{100 * self.right / self.below:.0f} %" if self.below else "-"
        return (
            f"{name:44}{self.below:6}{precision:>10}{100 * self.right / self.could:8.0f} %"
            f"{self.stacks / self.searches:8.1f}{self.people / self.searches:8.1f}"
        )


def by_affinity(trace: SearchTrace, least: float) -> tuple[list[int], dict[int, int]]:
    """The first candidates' ids, and who lies below whom, as the app has it with this threshold."""
    with patch.object(stacks, "ONE_PERSON", least):
        ranking: Ranking = rank_candidates(trace, SHOWN)
    ids = [one.image_id for one in ranking.candidates]
    return ids, {ids.index(one.image_id): ids.index(one.lead) for one in ranking.candidates if one.lead}


def by_time_and_look(engine: Engine, ids: list[int], least: float) -> dict[int, int]:
    """Who lies below whom where one camera saw both within a minute, and their vectors are alike."""
    crops, vectors = engine.store.crops(ids), engine.store.vectors(ids)
    times = np.array([crop.time.timestamp() if crop.time else np.nan for crop in crops])
    cameras = np.array([crop.camera or "" for crop in crops])
    soon = np.abs(times[:, None] - times) <= SAME_CAMERA_SECONDS
    alike = soon & (cameras[:, None] == cameras) & (vectors @ vectors.T >= least)
    return stacks.stack_leads(alike.astype(float), range(len(ids)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=SEED)
    chosen = parser.parse_args()
    tallies: dict[str, Tally] = {}
    with TemporaryDirectory() as folder:
        store, encoder, rows = open_demo(Path(folder))
        engine = Engine(store, encoder, ReidModel.load(ASSETS / "demo_qwen2vl"))
        facts = GalleryFacts(tuple(store.cameras()), tuple(store.days()), store.days()[-1])
        told = descriptions(list(rows.values()), COUNT, chosen.seed)
        queries = [to_query(say(Conversation(), sentence(said), facts)) for said in told]
        queries += [Query(references=(Reference(image_id=one),)) for one in clicks(rows, COUNT, chosen.seed)]
        for query in queries:
            trace = engine.trace(query)
            for least in AFFINITIES:
                ids, leads = by_affinity(trace, least)
                people = [rows[one].person for one in ids]
                tallies.setdefault(f"affinity from {least}", Tally()).add(people, leads)
            for least in SAME_LOOK:
                name = f"one camera within {SAME_CAMERA_SECONDS} s, cosine from {least}"
                tallies.setdefault(name, Tally()).add(people, by_time_and_look(engine, ids, least))
        store.close()
    print(f"{'rule':44}{'below':>6}{'precision':>10}{'found':>10}{'stacks':>8}{'people':>8}")
    for name, tally in tallies.items():
        print(tally.row(name))


if __name__ == "__main__":
    main()
