"""`python -m training evaluate`: a score file, a benchmark, or drawn people (synthetic, dialogue, open set)."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gallery_store.console import remark

if TYPE_CHECKING:
    from training.evaluation.results import Result
    from training.evaluation.runner import EvaluationPlan
    from training.evaluation.work_folder import Shard
    from training.evaluation.workers import Models, Workers

NOTHING_TO_MEASURE = 3  # exit code
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
    what.add_argument(
        "--dialogue", action="store_true", help="a simulated operator talks to the chat; figures by round"
    )
    what.add_argument(
        "--open-set", action="store_true", help="queries whose person is absent, and the confidences shown"
    )
    drawn = parser.add_argument_group("drawn people: --benchmark synthetic, --dialogue, --open-set")
    drawn.add_argument("--identities", type=int, default=100, metavar="M", help="people in each setting")
    drawn.add_argument(
        "--distractors",
        type=_whole,
        default=0,
        metavar="N",
        help="other people in the gallery of the open set, three crops of each",
    )
    drawn.add_argument(
        "--world",
        type=int,
        choices=(1, 2),
        help="version of the drawn world (default: the one whose vocabulary the model knows)",
    )
    drawn.add_argument("--settings", metavar="A,B", help="of the synthetic benchmark (default: all)")
    drawn.add_argument("--rounds", type=int, default=5, help="answers of the simulated operator")
    drawn.add_argument("--wrong", type=float, default=0.05, help="share of answers that are wrong")
    drawn.add_argument("--worlds", type=_positive, default=3, help="of the dialogue, of seeds from --seed on")
    drawn.add_argument(
        "--split", choices=("test", "validation"), default="test", help="which people a dialogue is about"
    )
    drawn.add_argument(
        "--worth-asking", type=float, metavar="BITS", help="from which the chat asks (default: its own)"
    )
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
        "--model",
        default="demo",
        help='checkpoint, hub name, ray://HOST:PORT, "demo", or "none" for CLIP alone',
    )
    models.add_argument(
        "--clip", default="demo", help='CLIP folder, open_clip name, ray://HOST:PORT, or "demo"'
    )
    models.add_argument(
        "--reid", metavar="NAME", help="re-ID encoder that prefilters queries by picture, as the app's --reid"
    )
    models.add_argument("--k", type=_positive, help="most candidates that the model reads in a search")
    models.add_argument("--tau", type=float, help="CLIP cosine below which a crop is not read")
    models.add_argument(
        "--token-cache",
        metavar="SIZE",
        help="memory in which each process keeps what the model saw of pictures, such as 8GB or 500MB (default: a "
        "share of what is free); changes no figure",
    )
    models.add_argument("--four-bit", action="store_true", help="load the model in 4 bit (NF4)")
    models.add_argument("--device", default="auto", help="cpu, cuda, cuda:N or auto")
    run = parser.add_argument_group("the run")
    run.add_argument(
        "--rankers",
        metavar="A,B",
        help="of clip, pairwise, attribute-score, best-choice, fused, k-reciprocal",
    )
    run.add_argument("--k-reciprocal", action="store_true", help="k-reciprocal re-ranking of CLIP as well")
    run.add_argument(
        "--best-choice",
        type=_whole,
        metavar="N",
        help="queries of each setting that the slow best choice is asked for; 0 for all (default: 100; drawn "
        "people: 20)",
    )
    run.add_argument(
        "--workers", type=_positive, default=1, help="processes that search, spread over the visible GPUs"
    )
    run.add_argument(
        "--shard",
        type=_shard,
        default="1/1",
        metavar="I/N",
        help="do the I-th of N parts in the work folder that N such commands share, also on several machines; the "
        "last to end gives the figures",
    )
    run.add_argument("--out", type=Path, metavar="DIR", help="keep the result there, for the report")
    run.add_argument("--work", type=Path, metavar="DIR", help="where a run resumes (default: OUT/work)")


def run(chosen: argparse.Namespace) -> int:
    """Raises nothing that its user can mend: that is one sentence and exit code 2, or 3 where nothing can be
    measured."""
    if chosen.scores:
        return _run_scores(chosen)
    from training.evaluation.work_folder import NothingToMeasure, Unfinished
    from training.evaluation.workers import Workers

    if chosen.shard.count > 1 and not (chosen.work or chosen.out):
        remark("--shard needs --work DIR or --out DIR: the folder that all shards write to")
        return 2
    if chosen.dialogue:
        evaluate = _dialogue
    elif chosen.open_set:
        evaluate = _open_set
    elif chosen.benchmark == "synthetic":
        evaluate = _synthetic
    else:
        evaluate = _benchmark
    try:
        with _work_folder(chosen) as work, Workers(_models(chosen), chosen.workers, chosen.shard) as workers:
            result, text = evaluate(chosen, workers, work)
    except Unfinished as told:
        remark(str(told))
        return 0
    except NothingToMeasure as error:
        remark(f"{chosen.benchmark or 'evaluate'}: {error}")
        return NOTHING_TO_MEASURE
    except _errors() as error:
        return _refused(error)
    print(json.dumps(result.to_json(), ensure_ascii=False, allow_nan=False) if chosen.json else text)
    return 0


def _run_scores(chosen: argparse.Namespace) -> int:
    from dataclasses import asdict

    from training.evaluation.scores_file import ScoresError, evaluate_file
    from training.evaluation.work_folder import NothingToMeasure

    try:
        ranks = evaluate_file(chosen.scores)
    except NothingToMeasure as error:
        remark(str(error))
        return NOTHING_TO_MEASURE
    except ScoresError as error:
        return _refused(error)
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


def _benchmark(chosen: argparse.Namespace, workers: Workers, work: Path) -> tuple[Result, str]:
    from training.evaluation.hits import RANKERS
    from training.evaluation.plans import BENCHMARK_BEST_CHOICE, K_RECIPROCAL, BenchmarkPlan
    from training.evaluation.printing import benchmark_table
    from training.evaluation.protocols import Benchmark

    rankers = _names(chosen.rankers) or RANKERS
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
    best_choice = BENCHMARK_BEST_CHOICE if chosen.best_choice is None else chosen.best_choice
    result = _measured(BenchmarkPlan(benchmark, rankers, best_choice), chosen, workers, work)
    return result, benchmark_table(result)


def _synthetic(chosen: argparse.Namespace, workers: Workers, work: Path) -> tuple[Result, str]:
    from training.evaluation.plans import SYNTHETIC_BEST_CHOICE, SYNTHETIC_RANKERS, SyntheticPlan
    from training.evaluation.printing import synthetic_table
    from training.evaluation.synthetic import SETTINGS

    plan = SyntheticPlan(
        chosen.seed,
        chosen.identities,
        _names(chosen.settings) or tuple(SETTINGS),
        _names(chosen.rankers) or SYNTHETIC_RANKERS,
        # 0 asks for all of them
        SYNTHETIC_BEST_CHOICE if chosen.best_choice is None else chosen.best_choice or chosen.identities,
        chosen.world or workers.models.world(),
    )
    result = _measured(plan, chosen, workers, work)
    return result, synthetic_table(result)


def _measured(plan: EvaluationPlan, chosen: argparse.Namespace, workers: Workers, work: Path) -> Result:
    from training.evaluation.runner import evaluate_plan

    return evaluate_plan(plan, workers, work=work, out=chosen.out)


def _dialogue(chosen: argparse.Namespace, workers: Workers, work: Path) -> tuple[Result, str]:
    from app.chat.questions import WORTH_ASKING
    from training.evaluation.dialogue import DialoguePlan, run_dialogue
    from training.evaluation.dialogue_figures import dialogue_table
    from training.evaluation.witness import Operator

    plan = DialoguePlan(
        tuple(range(chosen.seed, chosen.seed + chosen.worlds)),
        chosen.identities,
        chosen.rounds,
        Operator(chosen.wrong),
        chosen.split,
        WORTH_ASKING if chosen.worth_asking is None else chosen.worth_asking,
        chosen.world or workers.models.world(),
    )
    result = run_dialogue(plan, workers, work=work, out=chosen.out)
    return result, dialogue_table(result)


def _open_set(chosen: argparse.Namespace, workers: Workers, work: Path) -> tuple[Result, str]:
    from training.evaluation.open_set import open_set_table, run_open_set

    version = chosen.world or workers.models.world()
    result = run_open_set(
        chosen.seed,
        chosen.identities,
        workers,
        work=work,
        out=chosen.out,
        version=version,
        distractors=chosen.distractors,
    )
    return result, open_set_table(result)


def _models(chosen: argparse.Namespace) -> Models:
    """Which models the command line names. Raises SettingsError for what the app would refuse too."""
    from app.model.token_budget import TokenBudget
    from app.settings import Settings
    from training.evaluation.workers import Models

    given = {
        name: getattr(chosen, name) for name in ("k", "tau", "device", "four_bit", "token_cache", "reid")
    }
    given |= {name: getattr(chosen, name) for name in ("model", "clip") if getattr(chosen, name) != "demo"}
    settings = Settings(**{name: value for name, value in given.items() if value is not None})
    return Models(
        clip=settings.clip,
        model=None if settings.model == "none" else settings.model,
        k=settings.k,
        tau=settings.tau,
        device=settings.device,
        four_bit=settings.four_bit,
        tokens=TokenBudget(settings.token_cache_bytes),
        reid=settings.reid,
    )


@contextmanager
def _work_folder(chosen: argparse.Namespace) -> Iterator[Path]:
    """The folder to work in, while nobody else does: --work, OUT/work, or one that is thrown away."""
    from training.evaluation.work_folder import hold

    if kept := chosen.work or (chosen.out / "work" if chosen.out else None):
        with hold(kept, chosen.shard):
            yield kept
    else:
        with tempfile.TemporaryDirectory(prefix="chatreid-evaluate-") as thrown_away:
            yield Path(thrown_away)


def _errors() -> tuple[type[Exception], ...]:
    """What an evaluation refuses in one sentence."""
    from app.model.checkpoint import ModelError
    from app.retrieval.query import RetrievalError
    from app.settings import SettingsError
    from gallery_store.encoder import EncoderError
    from gallery_store.errors import GalleryError
    from training.datasets.faults import DataSetError
    from training.evaluation.protocols import ProtocolError
    from training.evaluation.work_folder import HarnessError

    of_data = (DataSetError, ProtocolError, HarnessError)
    return (*of_data, SettingsError, ModelError, EncoderError, RetrievalError, GalleryError)


def _refused(error: Exception) -> int:
    """One sentence on standard error; the exit code."""
    remark(str(error))
    return 2


def _names(given: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in (given or "").split(",") if name.strip())


def _positive(text: str) -> int:
    if (value := _whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 1 or more")
    return value


def _whole(text: str) -> int:
    if not text.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of 0 or more")
    return int(text)


def _shard(text: str) -> Shard:
    from training.evaluation.work_folder import Shard

    try:
        return Shard.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
