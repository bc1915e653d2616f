"""`python -m training evaluate`: a score file, a benchmark, or the synthetic one."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.evaluation.results import Result
    from training.evaluation.searchers import Models

HELP = "measure: a benchmark by the path that operators use, or a file of scores from anywhere"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--benchmark", metavar="NAME", help="market1501, sysu-mm01, csv:FILE, ... or synthetic")
    what.add_argument(
        "--scores",
        type=Path,
        metavar="FILE.npz",
        help="arrays scores (Q, G; higher is better), query_ids, gallery_ids, query_cameras, gallery_cameras",
    )
    from training.commands import evaluate_drawn

    evaluate_drawn.add_arguments(what, parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object of unrounded fractions")
    parser.add_argument(
        "--max-rank", type=_positive, default=10, metavar="N", help="how far --scores prints the CMC curve"
    )
    data = parser.add_argument_group("the data")
    data.add_argument("--root", type=Path, metavar="DIR", help="folder below which the benchmarks lie")
    data.add_argument("--variant", default="", help='such as "detected" of cuhk03, or a trial of regdb')
    data.add_argument(
        "--protocol", default="", help="instead of the benchmark's own; such as attributes, image-plus-text"
    )
    data.add_argument("--trials", type=_positive, default=10, help="of protocols that draw galleries")
    data.add_argument("--max-queries", type=_positive, metavar="N", help="of each setting, evenly spread")
    data.add_argument("--seed", type=_whole, default=0, help="of all that is drawn")
    models = parser.add_argument_group("the models, by default the shipped ones and the app's settings")
    models.add_argument(
        "--model", default="demo", help='checkpoint, hub name, "demo", or "none" for CLIP alone'
    )
    models.add_argument("--clip", default="demo", help='CLIP folder, open_clip name, or "demo"')
    models.add_argument("--k", type=_positive, help="most candidates that the model reads in a search")
    models.add_argument("--tau", type=float, help="CLIP cosine below which a crop is not read")
    models.add_argument("--four-bit", action="store_true", help="load the model in 4 bit (NF4)")
    models.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto")
    run = parser.add_argument_group("the run")
    run.add_argument(
        "--rankers", metavar="A,B", help="of clip, pairwise, best-choice, combined, k-reciprocal"
    )
    run.add_argument("--k-reciprocal", action="store_true", help="k-reciprocal re-ranking of CLIP as well")
    run.add_argument(
        "--best-choice",
        type=_whole,
        metavar="N",
        help="queries of each setting that the slow best choice is asked for; 0 for all (default: 100; drawn "
        "people: 20)",
    )
    run.add_argument("--workers", type=_positive, default=1, help="processes that search")
    run.add_argument("--out", type=Path, metavar="DIR", help="keep the result there, for the report")
    run.add_argument("--work", type=Path, metavar="DIR", help="where a run resumes (default: OUT/work)")


def run(chosen: argparse.Namespace) -> int:
    from training.commands import evaluate_drawn

    if evaluate_drawn.wants(chosen):
        return evaluate_drawn.run(chosen)
    return _run_scores(chosen) if chosen.scores else _run_benchmark(chosen)


def _run_scores(chosen: argparse.Namespace) -> int:
    from dataclasses import asdict

    from training.evaluation.scores_file import ScoresError, evaluate_file

    try:
        ranks = evaluate_file(chosen.scores)
    except ScoresError as error:
        return refused(error)
    metrics = ranks.metrics()
    if chosen.json:
        print(json.dumps(asdict(metrics)))
        return 0
    print(f"{metrics}  mINP {metrics.mINP:.3f}")
    print(f"{metrics.queries} queries, {metrics.queries_without_match} of them without a match and left out")
    print(
        "CMC  "
        + "  ".join(f"{rank}: {share:.4f}" for rank, share in enumerate(ranks.cmc(chosen.max_rank), 1))
    )
    return 0


def _run_benchmark(chosen: argparse.Namespace) -> int:
    from training.evaluation.benchmark_run import (
        BEST_CHOICE_QUERIES,
        K_RECIPROCAL,
        RANKERS,
        Plan,
        run_benchmark,
    )
    from training.evaluation.benchmarks import Benchmark
    from training.evaluation.searchers import Searchers

    rankers = tuple(chosen.rankers.split(",")) if chosen.rankers else RANKERS
    if chosen.k_reciprocal and K_RECIPROCAL not in rankers:
        rankers = (*rankers, K_RECIPROCAL)
    benchmark = Benchmark(
        chosen.benchmark,
        chosen.root,
        chosen.variant,
        chosen.protocol,
        chosen.trials,
        chosen.max_queries or 0,
        chosen.seed,
    )
    best_choice = BEST_CHOICE_QUERIES if chosen.best_choice is None else chosen.best_choice
    try:
        plan = Plan(benchmark, rankers, best_choice)
        with Searchers(models_of(chosen), chosen.workers) as searchers, work_folder(chosen) as work:
            result = run_benchmark(plan, searchers, work=Path(work), out=chosen.out)
    except errors() as error:
        return refused(error)
    show(result, as_json=chosen.json)
    return 0


def models_of(chosen: argparse.Namespace) -> Models:
    """Which models the command line names. Raises SettingsError for what the app would refuse too."""
    from app.settings import Settings
    from training.evaluation.searchers import Models

    given = {name: getattr(chosen, name) for name in ("k", "tau", "device", "four_bit")}
    given |= {name: getattr(chosen, name) for name in ("model", "clip") if getattr(chosen, name) != "demo"}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    return Models(
        clip=settings.clip,
        model=None if settings.model == "none" else settings.model,
        k=settings.k,
        tau=settings.tau,
        device=settings.device,
        four_bit=settings.four_bit,
    )


def work_folder(chosen: argparse.Namespace) -> Any:
    """A context manager that gives the folder to work in: --work, OUT/work, or one that is thrown away."""
    kept = chosen.work or (chosen.out / "work" if chosen.out else None)
    return nullcontext(kept) if kept else tempfile.TemporaryDirectory(prefix="chatreid-evaluate-")


def show(result: Result, *, as_json: bool) -> None:
    """The result on standard output."""
    if as_json:
        print(json.dumps(result.to_json(), ensure_ascii=False, allow_nan=False))
        return
    print(f"{'setting':20} {'ranker':12}    mAP  rank-1  rank-5 rank-10   mINP  recall@K  queries")
    for setting, rankers in result.settings.items():
        for ranker, of in rankers.items():
            shares = "  ".join(f"{100 * of[k]:6.2f}" for k in ("mAP", "rank1", "rank5", "rank10", "mINP"))
            recall = f"{100 * of['prefilter_recall']:8.2f}" if "prefilter_recall" in of else " " * 8
            print(f"{setting:20} {ranker:12} {shares}  {recall}  {of['queries']:7}")
    print("  ".join(f"{part} {seconds:.3f} s" for part, seconds in result.seconds.items()))
    for note in result.notes:
        print(note)


def errors() -> tuple[type[Exception], ...]:
    """What an evaluation refuses in one sentence."""
    from app.model.checkpoint import ModelError
    from app.retrieval.query import RetrievalError
    from app.settings import SettingsError
    from gallery_store.encoder import EncoderError
    from gallery_store.errors import GalleryError
    from training.datasets.errors import DataSetError
    from training.evaluation.harness import HarnessError
    from training.evaluation.protocols import ProtocolError

    of_data = (DataSetError, ProtocolError, HarnessError)
    return (*of_data, SettingsError, ModelError, EncoderError, RetrievalError, GalleryError)


def refused(error: Exception) -> int:
    """One sentence on standard error; the exit code."""
    print(error, file=sys.stderr)
    return 2


def _positive(text: str) -> int:
    if (value := _whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return value


def _whole(text: str) -> int:
    if not text.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 0 or more")
    return int(text)
