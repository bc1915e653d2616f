"""`python -m training compare`: a base and what was tuned from it, side by side on the same queries."""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gallery_store.console import quiet, remark

HELP = "two checkpoints side by side on a benchmark: mAP and rank-1 by P(yes), and whether the difference is chance"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--base", required=True, metavar="MODEL", help="a checkpoint, such as what was tuned from"
    )
    parser.add_argument(
        "--model", required=True, metavar="MODEL", help="the other one, such as what was tuned"
    )
    parser.add_argument("--benchmark", required=True, metavar="NAME", help="market1501, csv:FILE, ...")
    parser.add_argument("--root", type=Path, metavar="DIR", help="folder below which the benchmarks lie")
    parser.add_argument("--clip", default="", help="the prefilter of both (default: the shipped one)")
    parser.add_argument(
        "--k", type=int, default=64, help="candidates that the models read in a search (default: 64)"
    )
    parser.add_argument("--max-queries", type=int, default=0, metavar="N", help="of each setting; 0 for all")
    parser.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto")
    parser.add_argument("--json", action="store_true", help="print one JSON object of unrounded fractions")


def run(chosen: argparse.Namespace) -> int:
    """Raises nothing that its user can mend: that is one sentence and exit code 2."""
    from app.model.checkpoint import ModelError
    from app.retrieval.query import RetrievalError
    from app.settings import Settings, SettingsError
    from gallery_store.encoder import EncoderError
    from gallery_store.errors import GalleryError
    from training.datasets.faults import DataSetError
    from training.evaluation.harness import HarnessError
    from training.evaluation.protocols import ProtocolError

    quiet()
    try:
        Settings(device=chosen.device)  # refuses what the app would refuse too
        compared = _compared(chosen)
    except (
        *(DataSetError, ProtocolError, HarnessError, SettingsError),
        *(ModelError, EncoderError, RetrievalError, GalleryError),
    ) as error:
        remark(str(error))
        return 2
    print(json.dumps(compared, allow_nan=False) if chosen.json else comparison_table(compared))
    return 0


def _compared(chosen: argparse.Namespace) -> dict[str, Any]:
    """base, model: what they are called. settings: by name, of each checkpoint mAP and rank1 by CLIP and by P(yes), and
    the difference in AP between the two by P(yes)."""
    import numpy as np

    from app.model.reid_model import ReidModel
    from training.evaluation.harness import HarnessError
    from training.evaluation.hits import CLIP, PAIRWISE
    from training.evaluation.metrics import paired_difference
    from training.evaluation.plans import BenchmarkPlan
    from training.evaluation.protocols import Benchmark
    from training.evaluation.runner import measure_plan
    from training.evaluation.workers import Models, Workers

    if chosen.max_queries < 0:
        raise HarnessError(f"--max-queries is 0 or more, 0 for all, not {chosen.max_queries}")
    if chosen.k < 1:
        raise HarnessError(f"--k is 1 or more, not {chosen.k}")
    for name in ("base", "model"):  # now, not after the other's searches
        ReidModel.load(getattr(chosen, name))
    clip = {"clip": chosen.clip} if chosen.clip else {}
    plan = BenchmarkPlan(
        Benchmark(chosen.benchmark, chosen.root, queries=chosen.max_queries), (CLIP, PAIRWISE), 0
    )
    settings: dict[str, Any] = {}
    precisions: dict[str, list[Any]] = {}
    asked: dict[str, list[str]] = {}
    with tempfile.TemporaryDirectory(prefix="chatreid-compare-") as folder:
        for name in ("base", "model"):
            models = Models(
                model=getattr(chosen, name),
                k=chosen.k,
                tau=-1.0,  # both are asked about as many candidates,
                calibrated=False,  # and about the same ones
                device=chosen.device,
                **clip,
            )
            with Workers(models) as workers:
                measured = measure_plan(plan, workers, work=Path(folder) / name)
                result = plan.result(measured, workers, 0.0)
            for setting, rankers in result.settings.items():
                of = settings.setdefault(setting, {})
                of["queries"] = rankers[PAIRWISE]["queries"]
                of[name] = {r: {key: rankers[r][key] for key in ("mAP", "rank1")} for r in (CLIP, PAIRWISE)}
                every = [ranks.ap for ranks in measured.ranks[setting, PAIRWISE]]
                precisions.setdefault(setting, []).append(np.concatenate(every))
                asked[setting] = [repr(query) for trial in measured.queries[setting] for query in trial]
    for setting, (base, tuned) in precisions.items():
        settings[setting]["difference"] = asdict(paired_difference(tuned, base, queries=asked[setting]))
    return {"base": chosen.base, "model": chosen.model, "settings": settings}


def comparison_table(compared: dict[str, Any]) -> str:
    """Markdown: mAP / rank-1 in percent, and the difference in mAP with its 95 % interval."""
    from training.evaluation.printing import markdown_table

    rows = [["setting (mAP / rank-1)", "CLIP", "base, P(yes)", "tuned, P(yes)", "tuned - base", "queries"]]
    for setting, of in compared["settings"].items():
        difference = of["difference"]
        low, high = (100 * difference[end] for end in ("low", "high"))
        rows.append(
            [
                setting,
                _share(of["model"]["clip"]),
                _share(of["base"]["pairwise"]),
                _share(of["model"]["pairwise"]),
                f"{100 * difference['mean']:+.1f} [{low:+.1f}, {high:+.1f}]",
                str(of["queries"]),
            ]
        )
    return "\n".join(
        [
            *markdown_table(rows),
            "",
            f"base: {compared['base']}; tuned: {compared['model']}. In brackets the 95 % interval over the queries.",
            "Both read the nearest by CLIP's plain cosine, whatever their calibrations.",
        ]
    )


def _share(of: dict[str, float]) -> str:
    return f"{100 * of['mAP']:.1f} / {100 * of['rank1']:.1f}"
