"""Runs a benchmark: its searches through the app's engine, every ranker's figures, into one Result."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from training.datasets.record import Record
from training.evaluation.benchmarks import Benchmark, searches
from training.evaluation.harness import HarnessError, Progress, search_all, show_progress, spread
from training.evaluation.k_reciprocal import k_reciprocal
from training.evaluation.metrics import Metrics, Ranks
from training.evaluation.rankers import BEST_CHOICE, CLIP, RANKERS
from training.evaluation.rankings import Side, rankings, write_shown
from training.evaluation.results import Result, figures_of
from training.evaluation.search import Reading, Search, labels, mean_of, picked, read
from training.evaluation.searched import Searched
from training.evaluation.searchers import Searchers

K_RECIPROCAL = "k-reciprocal"
ALL_RANKERS = (*RANKERS, K_RECIPROCAL)
BEST_CHOICE_QUERIES = 100


@dataclass(frozen=True)
class Plan:
    """A benchmark and the rankers to compare.

    best_choice: queries of each setting that the slow multi-turn best choice is asked for, evenly spread; 0
    for all.
    """

    benchmark: Benchmark
    rankers: tuple[str, ...] = RANKERS
    best_choice: int = BEST_CHOICE_QUERIES

    def __post_init__(self) -> None:
        if unknown := [ranker for ranker in self.rankers if ranker not in ALL_RANKERS]:
            raise HarnessError(f"there is no ranker {unknown[0]!r}; there are {', '.join(ALL_RANKERS)}")


@dataclass
class _Tally:
    """Trials gathered while searches are done: (setting, ranker) -> one entry a trial."""

    metrics: dict[tuple[str, str], list[Metrics]] = field(default_factory=dict)
    recall: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[dict[str, float]] = field(default_factory=list)
    unreadable: int = 0


def run_benchmark(
    plan: Plan, searchers: Searchers, *, work: Path, out: Path | None = None, progress: Progress | None = None
) -> Result:
    """All searches of the benchmark, those not done yet; resumes in `work`, a folder for each search.

    Args:
        out: also write result.json, rankings and thumbnails there, for `python -m training report`.

    Raises:
        DataSetError, ProtocolError: data that are not there, or lack what the protocol needs. HarnessError:
        `work` holds another evaluation. EncoderError, ModelError: models that cannot be had.
    """
    began = time.perf_counter()
    told = progress or show_progress
    tally = _Tally()
    kept: set[str] = set()
    rankers = [r for r in plan.rankers if searchers.models.model or r in (CLIP, K_RECIPROCAL)]
    if not rankers:
        raise HarnessError(f"without a model there are the rankers {CLIP} and {K_RECIPROCAL} only")
    planned = searches(plan.benchmark)
    for number, search in enumerate(planned, 1):
        label = f"[{number}/{len(planned)}] {search.name} " if len(planned) > 1 else ""
        found = search_all(
            search.asks,
            search.gallery,
            searchers,
            work=work / search.name,
            best_choice=_best_choice(search, plan) if BEST_CHOICE in rankers else 0,
            progress=_labelled(told, label),
        )
        tally.seconds.append(found.seconds())
        tally.unreadable += found.unreadable
        for reading in search.readings:
            among = reading.relevance.among(reading.rows, len(search.asks))
            tally.recall.setdefault(reading.setting, []).append(found.recall(among))
            for ranker in rankers:
                scored = _scored(search, reading, found, ranker, searchers, work)
                if scored is None:
                    continue
                rows, blocks = scored
                ranks = read(search, reading, blocks(), rows)
                tally.metrics.setdefault((reading.setting, ranker), []).append(ranks.metrics())
                if out is not None and reading.setting not in kept and len(rows) == len(reading.rows):
                    _keep(out, search, reading, ranker, blocks(), ranks)
            kept.add(reading.setting)
    if not tally.metrics:
        raise HarnessError(f"{K_RECIPROCAL} needs queries by pictures alone; name another ranker too")
    result = _result(plan, searchers, tally, time.perf_counter() - began)
    if out is not None:
        result.write(out)
    return result


def _result(plan: Plan, searchers: Searchers, tally: _Tally, seconds: float) -> Result:
    settings: dict[str, dict[str, dict[str, float]]] = {}
    for (setting, ranker), trials in tally.metrics.items():
        more = {"prefilter_recall": float(np.mean(tally.recall[setting])), "trials": len(trials)}
        settings.setdefault(setting, {})[ranker] = figures_of(mean_of(trials), **more)
    spent = {part: float(np.mean([s[part] for s in tally.seconds])) for part in tally.seconds[0]}
    return Result(
        kind="benchmark",
        benchmark=plan.benchmark.name,
        variant=plan.benchmark.variant,
        settings=settings,
        model=searchers.opened.described(),
        seconds={"total": seconds, **{f"{part} per query": value for part, value in spent.items()}},
        notes=tuple(_notes(plan, searchers, tally)),
    )


def _notes(plan: Plan, searchers: Searchers, tally: _Tally) -> Iterable[str]:
    trials = max(len(found) for found in tally.metrics.values())
    if trials > 1:
        yield f"Figures are means over {trials} trials."
    if plan.benchmark.queries:
        yield f"At most {plan.benchmark.queries} queries of each setting, evenly spread."
    if BEST_CHOICE in plan.rankers and plan.best_choice and searchers.models.model:
        yield f"best-choice is asked for at most {plan.best_choice} queries of each setting, evenly spread."
    if tally.unreadable:
        yield f"{tally.unreadable} pictures of the gallery could not be read and were never found."


def _best_choice(search: Search, plan: Plan) -> np.ndarray:
    """bool (Q,): the queries that best choice is asked for."""
    asked = np.zeros(len(search.asks), bool)
    for reading in search.readings:
        asked[reading.rows[spread(len(reading.rows), plan.best_choice or len(reading.rows))]] = True
    return asked


Blocks = Callable[[], Iterable[np.ndarray]]


def _scored(
    search: Search, reading: Reading, found: Searched, ranker: str, searchers: Searchers, work: Path
) -> tuple[np.ndarray, Blocks] | None:
    """The queries of the search that the ranker was asked for this setting, int64 (q,), and their scores (q, G).

    None where it cannot be asked: k-reciprocal needs a picture, and no words, in every query.
    """
    if ranker == K_RECIPROCAL:
        if not _by_pictures(search, reading):
            return None
        held = list(_reranked(search, reading, found, searchers, work))
        return reading.rows, lambda: held
    asked = found.chosen() if ranker == BEST_CHOICE else np.arange(len(search.asks))
    mine = np.isin(asked, reading.rows)
    return (asked[mine], lambda: picked(found.blocks(ranker), mine)) if mine.any() else None


def _by_pictures(search: Search, reading: Reading) -> bool:
    asks = [search.asks[row] for row in reading.rows]
    return all(ask.image is not None and not (ask.text or ask.wanted or ask.unwanted) for ask in asks)


def _reranked(
    search: Search, reading: Reading, found: Searched, searchers: Searchers, work: Path
) -> Iterable[np.ndarray]:
    """k-reciprocal re-ranking of CLIP's vectors; unreadable crops come last."""
    opened = searchers.opened
    store = opened.engine(work / search.name / "gallery.db").store
    gallery = store.vectors(found.unique)
    asked = [search.queries[row] for row in reading.rows]
    queries = np.concatenate(
        [
            opened.encoder.encode_images([record.picture() for record in asked[start : start + 64]])
            for start in range(0, len(asked), 64)
        ]
    )
    readable = found.ids >= 0
    places = np.searchsorted(found.unique, found.ids[readable])
    for block in k_reciprocal(queries, gallery):
        whole = np.full((len(block), len(found.ids)), float(block.min()) - 1, np.float32)
        whole[:, readable] = block[:, places]
        yield whole


def _keep(
    out: Path, search: Search, reading: Reading, ranker: str, scores: Iterable[np.ndarray], ranks: Ranks
) -> None:
    asked = [search.queries[row] for row in reading.rows]
    asks = [search.asks[row] for row in reading.rows]
    texts = [ask.text or ", ".join(f"{a.kind} {a.value}" for a in ask.wanted) for ask in asks]
    kept = rankings(scores, reading.relevance, ranks, _side(asked, texts), _side(search.gallery))
    kept.write(out, reading.setting, ranker)
    write_shown(
        out,
        reading.setting,
        kept,
        lambda row: asked[row].picture() if asks[row].image is not None else None,
        lambda row: search.gallery[row].picture(),
    )


def _side(records: Sequence[Record], texts: Sequence[str] | None = None) -> Side:
    names = [r.image.name if isinstance(r.image, Path) else r.person for r in records]
    return Side.of(names, labels(records, "person").tolist(), labels(records, "camera").tolist(), texts)


def _labelled(told: Progress, label: str) -> Callable[[str, int, int], None]:
    return lambda step, done, total: told(label + step, done, total)
