"""What it gains to judge candidates of one outfit together: `python -m tests.benchmarks.affinity`.

The synthetic benchmark on the shipped weights twice, with the manifest as it is and without its affinity: mAP of what
the app ships, beside CLIP alone. Ten minutes on 2 cores.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from app.model.checkpoint import CheckpointManifest
from app.settings import DEMO_CLIP, DEMO_MODEL
from training.evaluation.plans import SyntheticPlan
from training.evaluation.runner import evaluate_plan
from training.evaluation.workers import Models, Workers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=7001)
    parser.add_argument("--identities", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    chosen = parser.parse_args()
    plan = SyntheticPlan(
        chosen.seed, chosen.identities, rankers=("clip", "fused"), drawn_world=Models().world()
    )
    with tempfile.TemporaryDirectory() as place:
        alone = Path(shutil.copytree(DEMO_MODEL, Path(place) / "alone"))
        manifest = CheckpointManifest.read(alone)
        assert manifest is not None
        replace(manifest, affinity={}).write(alone)
        figures = {}
        for name, folder in (("each alone", alone), ("together", DEMO_MODEL)):
            models = Models(clip=str(DEMO_CLIP), model=str(folder))
            with Workers(models, chosen.workers) as workers:
                figures[name] = evaluate_plan(plan, workers, work=Path(place) / name).settings
    first, second = figures.values()
    print(f"mAP of {chosen.identities} people, seed {chosen.seed}")
    print(f"{'':18}{'CLIP alone':>12}{'each alone':>12}{'together':>12}{'gain':>8}")
    for setting in first:
        row = [first[setting]["clip"], first[setting]["fused"], second[setting]["fused"]]
        clip, before, after = (100 * one["mAP"] for one in row)
        print(f"{setting:18}{clip:12.1f}{before:12.1f}{after:12.1f}{after - before:+8.1f}")


if __name__ == "__main__":
    main()
