"""Open set: queries whose person is absent. Does the answer "nobody here fits" come when it should?

Protocol. Two sets of drawn people over one site, mixed as in text-to-image; the first are in the gallery, the
second are not. By picture, by three to six attributes in words, and by both (a change of clothes told), as
many searches for people who are there as for people who are not. A description counts as absent only where
no crop of the gallery fits it, shown or not. The gallery can be filled up with the crops of any number of other people
(distractors): whoever is searched for is as easy to see as before, and stands among more who look alike.

Figures, per kind of query, of the first candidate's confidence, the belief that somebody fits. AUROC: that a
present person's search is more confident than an absent one's (ties count half). far_at_90: the share of present
searches that are told "nobody fits" at the threshold where 90 % of the absent ones are. At the threshold that
the model ships: detected (absent told so) and false_alarms (present told so). Calibration is of the
confidences of the first 12 candidates of every search for a present person, as the screen shows them.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np

from app.model.checkpoint import Calibration
from app.retrieval.ranking import SearchTrace, rank_candidates
from app.settings import FUSED
from gallery_store.console import StepProgress
from gallery_store.files import write_file
from training.evaluation.calibration_error import Reliability, reliability, reliability_svg
from training.evaluation.harness import EvalQuery, search_all
from training.evaluation.hits import QueryHits
from training.evaluation.results import Result
from training.evaluation.synthetic import MOST_CHANGES, fit, wanted
from training.evaluation.synthetic_people import VIEWS, mixed, record_of
from training.evaluation.work_folder import HarnessError, require_all
from training.evaluation.workers import Workers
from training.synthetic.captions import fragment
from training.synthetic.people import WORLD_VERSION
from training.synthetic.site import cameras
from training.synthetic.truth import TOLD_CHANGES
from training.synthetic.world import DrawnCrop, crops_of

SHOWN = 12  # candidates on the first page
TOLD = (3, 6)
DETECTION = 0.9
KINDS = ("image", "text", "image-plus-text")
ALL = "all"  # kinds together
PLOT = "reliability.svg"
UNCALIBRATED = (
    "the open set measures confidences, and this model has none with this CLIP: name a checkpoint whose manifest "
    "has a calibration for it"
)


@dataclass(frozen=True)
class OpenWorld:
    """gallery: G crops of people who are there. queries: Q of them; kinds: of each; present: bool (Q,), whether
    anybody fits. right, junk: bool (Q, G); junk is left out of the calibration.
    """

    gallery: tuple[DrawnCrop, ...]
    queries: tuple[EvalQuery, ...]
    kinds: tuple[str, ...]
    present: np.ndarray
    right: np.ndarray
    junk: np.ndarray


def open_world(seed: int, identities: int, version: int = WORLD_VERSION, distractors: int = 0) -> OpenWorld:
    """identities people who are there and as many who are not; one query of each kind for each of them. distractors:
    further people who are there, whom nobody searches for; their crops stand behind the others'."""
    site_seed = seed * 10 + 9
    site, rng = cameras(site_seed), np.random.default_rng((seed, 89))
    inside = {p.person_id: p for p in mixed(seed + 1_000_000, 7, identities, version)}
    outside = {p.person_id: p for p in mixed(seed + 2_000_000, 7, identities, version)}
    gallery, pairs = [], []
    for person in [*inside.values(), *outside.values()]:
        crops = list(crops_of(person, site, VIEWS // 2, site_seed, outfits=(0, 1)))
        pairs.append((crops[0], crops[-1]))
        if person.person_id in inside:
            gallery += crops[1:]
    for person in mixed(seed + 3_000_000, 7, distractors, version) if distractors else ():
        gallery += list(crops_of(person, site, VIEWS // 2, site_seed, outfits=(0, 1)))[1:]
    queries, kinds, present, right, junk = [], [], [], [], []

    def add(kind: str, query: EvalQuery, fits: np.ndarray, unsure: np.ndarray) -> None:
        true = fits & ~unsure
        if fits.any() and not true.any():
            return  # somebody may fit, but no crop shows it: neither present nor absent
        queries.append(query)
        kinds.append(kind)
        present.append(bool(true.any()))
        right.append(true)
        junk.append(unsure & fits)

    for earlier, later in pairs:
        same = np.array([crop.person_id == earlier.person_id for crop in gallery])
        add("image", EvalQuery(image=earlier), same, np.zeros_like(same))
        told = fragment(earlier.visible, rng, int(rng.integers(TOLD[0], TOLD[1] + 1)))
        add("text", EvalQuery(wanted=wanted(told)), *fit(told, gallery))
        after = later.visible
        changed = [k for k in TOLD_CHANGES if k in after and after[k] != earlier.visible.get(k)]
        if changed:
            kept = rng.permutation(changed)[: int(rng.integers(1, MOST_CHANGES + 1))].tolist()
            said = {kind: after[kind] for kind in TOLD_CHANGES if kind in kept}
            fits, unsure = fit(said, gallery)
            add("image-plus-text", EvalQuery(image=earlier, wanted=wanted(said)), same & fits, same & unsure)
    return OpenWorld(
        tuple(gallery),
        tuple(queries),
        tuple(kinds),
        np.array(present),
        np.stack(right),
        np.stack(junk),
    )


@dataclass(frozen=True)
class OpenSetAnswer:
    """What one search came to: the first candidate's confidence 0..1, whether "nobody fits" was said, and of
    the candidates shown, best first, the columns int64 in the gallery and their confidences float64.
    """

    confidence: float
    no_match: bool
    shown: np.ndarray
    confidences: np.ndarray


def answer(hits: QueryHits, calibration: Calibration) -> OpenSetAnswer:
    """As the app answers: the same function orders and judges the candidates."""
    prefiltered, _ = hits.prefiltered()
    trace = SearchTrace(prefiltered, hits.scores(FUSED, calibration), FUSED, calibration, hits.yes_logits)
    ranked = rank_candidates(trace, SHOWN)
    shown = np.searchsorted(hits.ids, [c.image_id for c in ranked.candidates])
    confidences = np.array([c.probability for c in ranked.candidates])
    # Where nothing passes tau the app says "nobody" whatever the confidence: less than any other.
    confidence = float(confidences[0]) if hits.passed and len(confidences) else 0.0
    return OpenSetAnswer(confidence, ranked.no_match, shown, confidences)


def auroc(present: np.ndarray, absent: np.ndarray) -> float:
    """P(a present search is more confident than an absent one), ties half: Mann-Whitney's U over n * m.

    Raises:
        ValueError: either is empty.
    """
    if not len(present) or not len(absent):
        raise ValueError("AUROC needs searches whose person is there and searches whose person is not")
    ascending = np.sort(absent)
    below = np.searchsorted(ascending, present, side="left")
    level = np.searchsorted(ascending, present, side="right")
    return float((below + level).mean() / 2 / len(absent))


def false_alarms_at(present: np.ndarray, absent: np.ndarray, detection: float = DETECTION) -> float:
    """The least share of present searches told "nobody fits" by a threshold (confidence below it) that tells at
    least `detection` of the absent ones so.
    """
    if not len(present) or not len(absent):
        raise ValueError("false alarms need searches whose person is there and searches whose person is not")
    needed = int(np.ceil(detection * len(absent) - 1e-9))
    threshold = np.nextafter(np.sort(absent)[needed - 1], np.inf) if needed else -np.inf
    return float((present < threshold).mean())


def figures_of_kind(answers: list[OpenSetAnswer], present: np.ndarray) -> Mapping[str, float]:
    """AUROC and its company for one kind of query. present: bool (n,)."""
    confidence = np.array([one.confidence for one in answers])
    no_match = np.array([one.no_match for one in answers])
    there, gone = confidence[present], confidence[~present]
    return {
        "auroc": auroc(there, gone),
        "far_at_90": false_alarms_at(there, gone),
        "detected": float(no_match[~present].mean()),
        "false_alarms": float(no_match[present].mean()),
        "present": float(len(there)),
        "absent": float(len(gone)),
    }


def run_open_set(
    seed: int,
    identities: int,
    workers: Workers,
    *,
    work: Path,
    out: Path | None = None,
    progress: StepProgress | None = None,
    version: int = WORLD_VERSION,
    distractors: int = 0,
) -> Result:
    """`identities` people who are there and as many who are not, and `distractors` others who are there.

    Raises:
        HarnessError: too few people, or `work` holds another evaluation. EncoderError, ModelError. Unfinished: other
        shards have not done their part.
    """
    if identities < 6 or seed < 0 or distractors < 0:
        raise HarnessError(
            "the open set needs 6 identities or more, a seed of 0 or more and 0 distractors or more, not "
            f"{identities}, {seed} and {distractors}"
        )
    began = time.perf_counter()
    workers.opened  # noqa: B018 (models that cannot be had are refused before anything is drawn)
    world = open_world(seed, identities, version, distractors)
    records = [record_of(crop) for crop in world.gallery]
    hits = search_all(world.queries, records, workers, work=work, rankers=(FUSED,), progress=progress)
    require_all(hits.files, workers.shard)
    columns = np.searchsorted(hits.unique, hits.ids)
    row_of = {int(unique): row for row, unique in enumerate(columns)}
    answers = []
    for one in hits.by_query():
        if (calibration := hits.calibrations[one.kind]) is None:
            raise HarnessError(UNCALIBRATED)
        answers.append(answer(one, calibration))
    figures: dict[str, dict[str, dict[str, float]]] = {}
    curves = {}
    for kind in (*KINDS, ALL):
        mine = np.array([kind in (own, ALL) for own in world.kinds])
        curves[kind] = _reliability(world, answers, mine, row_of)
        of_kind = figures_of_kind(list(compress(answers, mine)), world.present[mine])
        figures[kind] = {FUSED: {**of_kind, "ece": curves[kind].ece}}
    plot = reliability_svg(curves)
    result = Result(
        kind="open-set",
        benchmark="synthetic",
        settings=figures,
        model=workers.opened.described(),
        world={
            "version": version,
            "seed": seed,
            "identities": identities,
            "distractors": distractors,
            "crops": len(world.gallery),
        },
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
        write_file(out / PLOT, plot)
        result.write(out)
    return result


def open_set_table(result: Result) -> str:
    """A row per kind of query, as Markdown, percent but for AUROC and ECE."""
    lines = [
        "| query           | AUROC | false alarms at 90 % | detected | false alarms |   ECE | searches |",
        "| --------------- | ----: | -------------------: | -------: | -----------: | ----: | -------: |",
    ]
    for kind, rankers in result.settings.items():
        of = rankers[FUSED]
        searches = f"{of['present']:.0f}+{of['absent']:.0f}"
        lines.append(
            f"| {kind:15} | {of['auroc']:.3f} | {100 * of['far_at_90']:20.1f} | {100 * of['detected']:8.1f} "
            f"| {100 * of['false_alarms']:12.1f} | {of['ece']:.3f} | {searches:>8} |"
        )
    world = result.world
    lines += [
        "",
        f"World version {world['version']}, seed {world['seed']}, {world['identities']} identities there and as "
        f"many absent, {world['distractors']} distractors, {world['crops']} crops; {result.seconds['total']:.0f} s.",
        *result.notes,
    ]
    return "\n".join(lines)


def _reliability(
    world: OpenWorld, answers: list[OpenSetAnswer], mine: np.ndarray, row_of: dict[int, int]
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
