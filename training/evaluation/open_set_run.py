"""Runs the open-set benchmark (see training.evaluation.open_set) into one Result; resumes in its work folder."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from training.evaluation.calibration_error import Reliability, reliability, reliability_svg
from training.evaluation.harness import HarnessError, Progress, search_all
from training.evaluation.open_set import KINDS, Answer, OpenWorld, answer, figures_of_kind, open_world
from training.evaluation.results import Result, write_bytes
from training.evaluation.searchers import Searchers
from training.evaluation.synthetic_people import record_of
from training.synthetic.people import WORLD_VERSION

PLOT = "reliability.svg"


def run_open_set(
    seed: int,
    identities: int,
    searchers: Searchers,
    *,
    work: Path,
    out: Path | None = None,
    progress: Progress | None = None,
) -> Result:
    """`identities` people who are there and as many who are not.

    Raises:
        HarnessError: too few people, or `work` holds another evaluation. EncoderError, ModelError.
    """
    if identities < 6 or seed < 0:
        raise HarnessError(
            f"the open set needs 6 identities or more and a seed of 0 or more, not {identities} and {seed}"
        )
    began = time.perf_counter()
    searchers.opened  # noqa: B018 (models that cannot be had are refused before anything is drawn)
    world = open_world(seed, identities)
    records = [record_of(crop) for crop in world.gallery]
    found = search_all(world.asks, records, searchers, work=work, progress=progress)
    columns = np.searchsorted(found.unique, found.ids)
    row_of = {int(unique): row for row, unique in enumerate(columns)}
    answers = [answer(one, found.calibrations[one.kind]) for one in found.found()]
    figures, curves = {}, {}
    for kind in KINDS:
        mine = np.array([k == kind for k in world.kinds])
        of_kind = [one for one, own in zip(answers, mine, strict=True) if own]
        figures[kind] = {"combined": dict(figures_of_kind(of_kind, world.present[mine]))}
        curves[kind] = _reliability(world, answers, mine, row_of)
        figures[kind]["combined"]["ece"] = curves[kind].ece
    everything = np.ones(len(world.kinds), bool)
    figures["all"] = {"combined": dict(figures_of_kind(answers, world.present))}
    curves["all"] = _reliability(world, answers, everything, row_of)
    figures["all"]["combined"]["ece"] = curves["all"].ece
    plot = reliability_svg(curves)
    result = Result(
        kind="open-set",
        benchmark="synthetic",
        settings=figures,
        model=searchers.opened.described(),
        world={"version": WORLD_VERSION, "seed": seed, "identities": identities},
        seconds={"total": time.perf_counter() - began},
        notes=(
            "auroc: of the first candidate's confidence, present against absent; far_at_90: present searches "
            "told that nobody fits, where 90 % of the absent ones are.",
            "detected, false_alarms: absent and present searches told so at the model's own threshold.",
            "ece: of the confidences of the first 12 candidates of searches for people who are there.",
        ),
        extra={
            "reliability": {name: curve.to_json() for name, curve in curves.items()},
            "reliability_svg": plot,
        },
    )
    if out is not None:
        write_bytes(out / PLOT, plot.encode())
        result.write(out)
    return result


def open_set_table(result: Result) -> str:
    """A row per kind of query, as Markdown, percent but for AUROC and ECE."""
    lines = [
        "| query           | AUROC | false alarms at 90 % | detected | false alarms |   ECE | searches |",
        "| --------------- | ----: | -------------------: | -------: | -----------: | ----: | -------: |",
    ]
    for kind, rankers in result.settings.items():
        of = rankers["combined"]
        searches = f"{of['present']:.0f}+{of['absent']:.0f}"
        lines.append(
            f"| {kind:15} | {of['auroc']:.3f} | {100 * of['far_at_90']:20.1f} | {100 * of['detected']:8.1f} "
            f"| {100 * of['false_alarms']:12.1f} | {of['ece']:.3f} | {searches:>8} |"
        )
    world = result.world
    lines += [
        "",
        f"World version {world['version']}, seed {world['seed']}, {world['identities']} identities there and as "
        f"many absent; {result.seconds['total']:.0f} s.",
        *result.notes,
    ]
    return "\n".join(lines)


def _reliability(
    world: OpenWorld, answers: list[Answer], mine: np.ndarray, row_of: dict[int, int]
) -> Reliability:
    """Of all candidates shown for present people; crops that nobody can judge are left out."""
    confidences, right = [], []
    for number in np.flatnonzero(mine & world.present).tolist():
        for column, confidence in zip(answers[number].shown, answers[number].confidences, strict=True):
            row = row_of[int(column)]
            if not world.junk[number, row]:
                confidences.append(confidence)
                right.append(world.right[number, row])
    return reliability(np.array(confidences), np.array(right))
