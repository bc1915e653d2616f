"""Runs an evaluation: its trials through the app's engine, every ranker's figures, into one Result.

What is evaluated is a plan (training.evaluation.plans): a benchmark of photographs, or the synthetic one.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gallery_store.console import StepProgress, step_progress
from training.datasets.record import Record
from training.evaluation.framing import FRAMING, framing_scores
from training.evaluation.harness import EvalQuery, search_all, spread
from training.evaluation.hits import BEST_CHOICE, Hits
from training.evaluation.k_reciprocal import k_reciprocal
from training.evaluation.metrics import Ranks, order_of
from training.evaluation.results import Result, Side, rankings, write_shown
from training.evaluation.synthetic import DrawnSetting
from training.evaluation.trials import Setting, Trial, labels, ranks_in
from training.evaluation.work_folder import NothingToMeasure, require_all
from training.evaluation.workers import Models, Workers
from training.synthetic.world import DrawnCrop

K_RECIPROCAL = "k-reciprocal"


class EvaluationPlan(ABC):
    """What is evaluated.

    best_choice: queries of each setting that the slow multi-turn best choice is asked for, evenly spread; 0 for all.
    """

    best_choice: int

    @abstractmethod
    def rankers_with(self, models: Models) -> tuple[str, ...]:
        """The rankers to compare, in the order of the result. Raises HarnessError where these models have none."""

    @abstractmethod
    def trials(self, workers: Workers) -> Sequence[Trial]:
        """What is searched. Raises DataSetError, ProtocolError; EncoderError, ModelError where models are opened."""

    @abstractmethod
    def result(self, measured: Measured, workers: Workers, seconds: float) -> Result:
        """What is told of it; seconds: of the whole run. Raises HarnessError where nothing was measured."""


@dataclass
class Measured:
    """What is gathered while trials are done, by (setting, ranker) or setting: one entry a trial.

    queries: by setting, those asked. samples: by setting, int64 (q,), which of its queries best choice was asked for,
    where not for all. seconds: of a query, by part.
    """

    ranks: dict[tuple[str, str], list[Ranks]] = field(default_factory=dict)
    queries: dict[str, list[tuple[EvalQuery, ...]]] = field(default_factory=dict)
    samples: dict[str, np.ndarray] = field(default_factory=dict)
    recall: dict[str, list[float]] = field(default_factory=dict)
    seconds: list[dict[str, float]] = field(default_factory=list)
    unreadable: int = 0

    def seconds_per_query(self) -> dict[str, float]:
        """ "PART per query": the mean over the trials."""
        parts = self.seconds[0] if self.seconds else {}
        return {f"{part} per query": float(np.mean([of[part] for of in self.seconds])) for part in parts}


def evaluate_plan(
    plan: EvaluationPlan,
    workers: Workers,
    *,
    work: Path,
    out: Path | None = None,
    progress: StepProgress | None = None,
) -> Result:
    """All trials of the plan, those not done yet; resumes in `work`, a folder for each trial.

    Args:
        out: also write result.json, rankings and thumbnails there, for `python -m training report`.

    Raises:
        DataSetError, ProtocolError: data that are not there, or lack what the protocol needs. HarnessError:
        `work` holds another evaluation. EncoderError, ModelError: models that cannot be had. Unfinished: other shards
        have not done their part. NothingToMeasure: no query has a true match.
    """
    began = time.perf_counter()
    measured = measure_plan(plan, workers, work=work, out=out, progress=progress)
    result = plan.result(measured, workers, time.perf_counter() - began)
    if out is not None:
        result.write(out)
    return result


def measure_plan(
    plan: EvaluationPlan,
    workers: Workers,
    *,
    work: Path,
    out: Path | None = None,
    progress: StepProgress | None = None,
) -> Measured:
    """How each query of all trials fared, before it is put into a Result. Arguments and errors as `evaluate_plan`."""
    rankers = plan.rankers_with(workers.models)
    trials = plan.trials(workers)
    _require_matches(trials)
    searched = _search_trials(plan, trials, rankers, workers, work, progress or step_progress())
    measured = Measured()
    for trial, hits in zip(trials, searched, strict=True):
        if hits is not None:
            measured.seconds.append(hits.seconds())
            measured.unreadable += hits.unreadable
        for setting in trial.settings:
            first_trial = not any(name == setting.name for name, _ in measured.ranks)
            asked_here = tuple(trial.queries[row] for row in setting.rows)
            measured.queries.setdefault(setting.name, []).append(asked_here)
            if hits is not None:
                among = setting.relevance.among(setting.rows, len(trial.queries))
                measured.recall.setdefault(setting.name, []).append(hits.recall(among))
            for ranker in rankers:
                ranked = _ranked(trial, setting, ranker, hits, workers, work)
                if ranked is None:
                    continue
                asked, orders = ranked
                ranks = ranks_in(trial, setting, orders(), asked)
                measured.ranks.setdefault((setting.name, ranker), []).append(ranks)
                if len(asked) < len(setting.rows):
                    measured.samples[setting.name] = np.searchsorted(setting.rows, asked)
                elif out is not None and first_trial and ranker not in FRAMING:
                    _keep(out, trial, setting, ranker, orders(), ranks)
    return measured


def _require_matches(trials: Sequence[Trial]) -> None:
    """Raises NothingToMeasure, before anything is searched, where no query of any setting has a true match."""
    settings = [setting for trial in trials for setting in trial.settings]
    if any(setting.relevance.can_measure for setting in settings):
        return
    junk = any(len(setting.relevance.columns) for setting in settings)
    why = (
        "every gallery picture of a query's person is by the query's own camera, or in its own clothes, which the "
        "protocol leaves out: give pictures by other cameras, or leave the camera column out where cameras do not "
        "matter"
        if junk
        else "no query's person is in the gallery: check the persons of the two splits"
    )
    count = sum(len(setting.rows) for setting in settings)
    raise NothingToMeasure(f"none of the {count} queries could be measured: {why}")


def _search_trials(
    plan: EvaluationPlan,
    trials: Sequence[Trial],
    rankers: Sequence[str],
    workers: Workers,
    work: Path,
    show: StepProgress,
) -> list[Hits | None]:
    """The hits of each trial; None where no ranker needs any. Raises Unfinished where a shard has not all of them."""
    if all(ranker in FRAMING for ranker in rankers):
        return [None] * len(trials)
    found = []
    for number, trial in enumerate(trials, 1):
        label = f"[{number}/{len(trials)}] {trial.name} " if len(trials) > 1 else ""
        hits = search_all(
            trial.queries,
            trial.gallery,
            workers,
            work=work / trial.name,
            rankers=rankers,
            best_choice=_asked(trial, plan.best_choice) if BEST_CHOICE in rankers else 0,
            progress=_labelled(show, label),
        )
        found.append(hits)
    require_all((file for hits in found for file in hits.files), workers.shard)
    return list(found)


def _asked(trial: Trial, best_choice: int) -> np.ndarray:
    """bool (Q,): the queries that best choice is asked for."""
    asked = np.zeros(len(trial.queries), bool)
    for setting in trial.settings:
        asked[setting.rows[spread(len(setting.rows), best_choice or len(setting.rows))]] = True
    return asked


Orders = Callable[[], Iterable[np.ndarray]]  # for each query int (G,): the gallery's rows, best first


def _ranked(
    trial: Trial, setting: Setting, ranker: str, hits: Hits | None, workers: Workers, work: Path
) -> tuple[np.ndarray, Orders] | None:
    """The queries of the trial that the ranker was asked for this setting, int64 (q,), and their orders.

    None where it cannot be asked: k-reciprocal needs a picture, and no words, in every query; histograms a picture; the
    attribute score a calibration that gives it a weight.
    """
    if isinstance(setting, DrawnSetting) and ranker in FRAMING:
        scores = framing_scores(trial, setting, ranker)
        return None if scores is None else (setting.rows, lambda: map(order_of, scores))
    assert hits is not None
    if ranker == K_RECIPROCAL:
        if not _by_pictures(trial, setting):
            return None
        reranked = list(_reranked(trial, setting, hits, workers, work))
        return setting.rows, lambda: reranked
    asked = hits.answered(ranker)
    mine = np.isin(asked, setting.rows)
    if not mine.any() or (ranker != BEST_CHOICE and mine.sum() < len(setting.rows)):
        return None
    return asked[mine], lambda: (order for order, own in zip(hits.orders(ranker), mine, strict=True) if own)


def _by_pictures(trial: Trial, setting: Setting) -> bool:
    queries = [trial.queries[row] for row in setting.rows]
    return all(q.image is not None and not (q.text or q.wanted or q.unwanted) for q in queries)


def _reranked(
    trial: Trial, setting: Setting, hits: Hits, workers: Workers, work: Path
) -> Iterator[np.ndarray]:
    """int32 (G,) for each query: k-reciprocal re-ranking of CLIP's vectors, or of a re-ID encoder's; unreadable crops
    come last."""
    opened = workers.opened
    engine = opened.engine(workers.shard.gallery(work / trial.name))
    encoder = opened.reid or opened.encoder
    gallery = engine.store.vectors(hits.unique, "reid" if opened.reid else "clip")
    subjects = [trial.subjects[row] for row in setting.rows]
    queries = np.concatenate(
        [
            encoder.encode_images([record.picture() for record in subjects[start : start + 64]])
            for start in range(0, len(subjects), 64)
        ]
    )
    readable = hits.ids >= 0
    columns = np.searchsorted(hits.unique, hits.ids[readable])
    for block in k_reciprocal(queries, gallery):
        scores = np.full((len(block), len(hits.ids)), float(block.min()) - 1, np.float32)
        scores[:, readable] = block[:, columns]
        yield from (order_of(row).astype(np.int32) for row in scores)


def _keep(
    out: Path, trial: Trial, setting: Setting, ranker: str, orders: Iterable[np.ndarray], ranks: Ranks
) -> None:
    """The first places and their pictures, for the report."""
    queries = [trial.queries[row] for row in setting.rows]
    subjects = [trial.subjects[row] for row in setting.rows]
    texts = [query.text or ", ".join(f"{a.kind} {a.value}" for a in query.wanted) for query in queries]
    kept = rankings(orders, setting.relevance, ranks, _side(subjects, texts), _side(trial.gallery))
    kept.write(out, setting.name, ranker)
    write_shown(
        out,
        setting.name,
        kept,
        lambda row: subjects[row].picture() if queries[row].image is not None else None,
        lambda row: trial.gallery[row].picture(),
    )


def _side(records: Sequence[Record], texts: Sequence[str] | None = None) -> Side:
    names = [_name(record) for record in records]
    return Side.of(names, labels(records, "person").tolist(), labels(records, "camera").tolist(), texts)


def _name(record: Record) -> str:
    """A file's, or the person's; of a drawn person with the outfit and the camera."""
    if isinstance(record.image, Path):
        return record.image.name
    if isinstance(record.image, DrawnCrop):
        return f"{record.person}-{record.image.clothes}-{record.camera}"
    return record.person


def _labelled(show: StepProgress, label: str) -> StepProgress:
    return lambda step, done, total: show(label + step, done, total)
