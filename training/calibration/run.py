"""Calibrates a checkpoint: searches by the engine for half of the people, the fit, searches for the others, the
manifest.

A work folder beside the checkpoint, CHECKPOINT.calibration, has what came out (result.json, reliability.png) and, until
it is done, `running`, in which a killed run goes on:

    plan.json         what is calibrated; another one in the same folder is refused
    fit/, measure/    searches in blocks, as training.evaluation.harness keeps them
    audit/            what operators judged, in blocks too
    finished/         the new manifest, until it stands in the checkpoint
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, cast

from app.model.checkpoint import (
    FILE_NAME,
    KINDS_OF_QUERY,
    CheckpointManifest,
    KindOfQuery,
)
from app.model.digests import weight_files
from gallery_store.console import StepProgress, remark, step_progress
from gallery_store.files import write_file, write_json
from training.calibration.audit import JudgedInApp
from training.calibration.card import note_in_card
from training.calibration.checkpoint_folder import checkpoint_folder
from training.calibration.draft_searches import DraftSearches
from training.calibration.found import measured, weighed
from training.calibration.plot import reliability_plot
from training.calibration.searches import CalibrationError, Searches, check, halves, searches
from training.datasets.record import Record
from training.evaluation.work_folder import WHOLE, HarnessError, begin, hold
from training.evaluation.workers import Models, Workers

FEWEST_SEARCHES = 10  # of a kind, in each half
RESULT, PLOT = "result.json", "reliability.png"


@dataclass(frozen=True)
class CalibrationPlan:
    """models: which ones, and how a search is cut. records: the people. source: what they are called in the manifest.

    share: of the people to fit on, the others are measured on. queries: searches of each kind in each half, at most.
    checkpoint: the folder of a model that is served elsewhere, as checkpoint_folder has it.
    """

    models: Models
    records: tuple[Record, ...]
    source: str
    share: float = 0.5
    queries: int = 200
    checkpoint: Path | None = None

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise CalibrationError(f"--share-for-fit lies between 0 and 1, not at {self.share}")
        if self.queries < FEWEST_SEARCHES:
            raise CalibrationError(f"--queries is {FEWEST_SEARCHES} or more, not {self.queries}")
        check(self.records)
        for half, what in zip(halves(self.records, self.share), ("fit", "measure"), strict=True):
            if len({record.person for record in half}) < 2:
                raise CalibrationError(
                    f"--share-for-fit {self.share} leaves nobody, or one person, to {what} on: give one nearer to 0.5"
                )

    @cached_property
    def folder(self) -> Path:
        """The checkpoint's own. Raises CalibrationError, ModelError: see checkpoint_folder."""
        return checkpoint_folder(self.models.model or "", self.checkpoint)

    @property
    def work(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.calibration")

    def to_json(self) -> dict[str, Any]:
        people = hashlib.sha256("\n".join(map(repr, self.records)).encode()).hexdigest()
        models = asdict(self.models) | {"model": str(self.folder)}
        return {**models, "people": people, "share": self.share, "queries": self.queries}


def calibrate(
    plan: CalibrationPlan,
    *,
    resume: bool = False,
    judged: JudgedInApp | None = None,
    progress: StepProgress | None = None,
) -> dict[str, Any]:
    """Fit, measure, and write the checkpoint's manifest, in one step.

    Args:
        resume: go on with what was killed, if anything was. judged: pairs that operators judged, to fit on too.

    Returns:
        As result.json has it: kinds (by kind of query, training.calibration.found.Measured, and its encoder), people,
        queries (searches), unreadable (searches that were left out, since their picture cannot be read), judged_pairs
        (that were fitted on), source.

    Raises:
        CalibrationError, HarnessError, ModelError, EncoderError, DataSetError: one sentence each.
    """
    with _alone(plan):
        running, asked = (
            plan.work / "running",
            plan.to_json() | {"judged": judged.fingerprint if judged else ""},
        )
        begun = running.is_dir() and any(running.iterdir())
        if begun and not resume:
            raise CalibrationError(
                f"a calibration has begun in {running}; go on with it by --resume, or remove that folder"
            )
        if begun:
            _begin(running, asked)
        finished = running / "finished"
        if (finished / FILE_NAME).is_file():
            result = json.loads((plan.work / RESULT).read_text("utf-8"))
        else:
            begin_it = partial(_begin, running, asked)
            result = _calibrated(plan, running, finished, judged, progress or step_progress(), begin_it)
        manifest = CheckpointManifest.read(finished)
        assert manifest is not None
        manifest = replace(manifest, weights=manifest.weights or weight_files(plan.folder))
        manifest.write(plan.folder)
        note_in_card(plan.folder / "README.md", manifest)
        shutil.rmtree(running)
    return cast("dict[str, Any]", result)


@contextmanager
def _alone(plan: CalibrationPlan) -> Iterator[None]:
    """Be the only calibration of the checkpoint, which can be written. Raises CalibrationError."""
    for folder in (plan.folder, plan.work):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise CalibrationError(
                f"{folder} cannot be written ({error.strerror}), and a calibration is kept there: allow it, or copy "
                f"{plan.folder} to where you may write and calibrate the copy"
            ) from None
    with ExitStack() as held:
        try:
            held.enter_context(hold(plan.work, WHOLE))
        except HarnessError:
            raise CalibrationError(
                f"{plan.folder} is being calibrated by another process: wait until it ends, or stop it and go on with "
                "it by --resume"
            ) from None
        yield


def _begin(running: Path, asked: dict[str, Any]) -> None:
    """Raises CalibrationError where another calibration has begun there."""
    try:
        begin(running, asked)
    except HarnessError:
        raise CalibrationError(
            f"{running} holds another calibration (other people, judgements, models or options): go on with that one "
            "by its own options, or remove that folder"
        ) from None


def _calibrated(
    plan: CalibrationPlan,
    running: Path,
    finished: Path,
    judged: JudgedInApp | None,
    progress: StepProgress,
    begin_it: Callable[[], None],
) -> dict[str, Any]:
    """All but the last step. The new manifest is written last.

    begin_it: called when nothing of what was asked for can be refused any more but for what the searches find.
    """
    fit_on, measure_on = halves(plan.records, plan.share)
    asked = (searches(records, plan.queries).readable() for records in (fit_on, measure_on))
    (to_fit, unread), (to_measure, unread_too) = asked
    kinds = _kinds(to_fit, to_measure)
    with Workers(plan.models) as workers:
        drafts = DraftSearches(plan.folder, plan.records, workers, running, kinds, progress)
        begin_it()
        of_fit = drafts.ask_to_fit(to_fit)
        of_judged = {kind: drafts.ask_judged(kind, judged) for kind in kinds}
        used = sum(len(pairs.same) for pairs in of_judged.values() if pairs is not None)
        if judged is not None:
            remark(
                f"{used} of {judged.count} judged pairs are fitted on; others are of kinds of query that are not "
                "calibrated, or of crops that are not among the candidates that the model reads (--k)"
            )
        try:
            fitted = {kind: drafts.fitted(kind, of_fit[kind], of_judged[kind]) for kind in kinds}
        except CalibrationError:
            # Other options are needed, and these searches serve none but their own.
            shutil.rmtree(running, ignore_errors=True)
            raise
        of_measure = drafts.ask("measure", to_measure, drafts.asking(fitted))
        figures = {
            kind: measured([weighed(one, fitted[kind]) for one in of_measure[kind]], fitted[kind])
            for kind in kinds
        }
        keys = {kind: drafts.keys[kind] for kind in kinds}
        after = drafts.with_calibrations(fitted)
    result = {
        "kinds": {kind: {"encoder": keys[kind], **of.to_json()} for kind, of in figures.items()},
        "people": len({record.person for record in plan.records}),
        "queries": len(to_fit.queries) + len(to_measure.queries),
        "unreadable": unread + unread_too,
        "source": plan.source,
        "share_for_fit": plan.share,
        "judged_pairs": used,
    }
    write_file(
        plan.work / PLOT, reliability_plot({kind: (of.before, of.after) for kind, of in figures.items()})
    )
    write_json(plan.work / RESULT, result)
    figures_before = cast("Mapping[str, Any]", after.figures.get("calibration", {}))
    told = cast("Mapping[KindOfQuery, Any]", result["kinds"])
    by_encoder = {
        key: {**result, "kinds": {kind: of for kind, of in told.items() if keys[kind] == key}}
        for key in keys.values()
    }
    replace(after, figures={**after.figures, "calibration": {**figures_before, **by_encoder}}).write(finished)
    return result


def _kinds(*halves: Searches) -> tuple[KindOfQuery, ...]:
    """Those that both halves have enough searches of; says which are left as they are. Raises CalibrationError."""
    enough = tuple(
        kind for kind in KINDS_OF_QUERY if min(len(half.rows_of(kind)) for half in halves) >= FEWEST_SEARCHES
    )
    if not enough:
        raise CalibrationError(
            f"no kind of query has {FEWEST_SEARCHES} searches in each half of the people: more of them, seen by two "
            "cameras or described in words, are needed"
        )
    for kind in KINDS_OF_QUERY:
        if kind not in enough:
            remark(
                f"{kind}: these people allow fewer than {FEWEST_SEARCHES} searches in each half; not calibrated"
            )
    return enough
