"""Open set: queries whose person is absent. Does the answer "nobody here fits" come when it should?

Protocol. Two sets of drawn people over one site, mixed as in text-to-image; the first are in the gallery, the
second are not. By picture, by three to six attributes in words, and by both (a change of clothes told), as
many searches for people who are there as for people who are not. A description counts as absent only where
no crop of the gallery fits it, shown or not.

Figures, per kind of query. The belief that somebody fits is the first candidate's confidence. AUROC: that a
present person's search believes more than an absent one's (ties count half). far_at_90: the share of present
searches that are told "nobody fits" at the threshold where 90 % of the absent ones are. At the threshold that
the model ships: detected (absent told so) and false_alarms (present told so). Calibration is of the
confidences of the first 12 candidates of every search for a present person, as the screen shows them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from app.model.checkpoint import Calibration
from app.model.vocabulary import Attribute
from app.retrieval.ranking import rerank
from training.demo.lists import TOLD_CHANGES
from training.evaluation.harness import Ask
from training.evaluation.rankers import Found
from training.evaluation.synthetic import MOST_CHANGES, fit
from training.evaluation.synthetic_people import VIEWS, mixed
from training.synthetic.cameras import cameras
from training.synthetic.captions import fragment
from training.synthetic.world import Crop, crops_of

SHOWN = 12  # candidates on the first page
TOLD = (3, 6)
DETECTION = 0.9
KINDS = ("image", "text", "image-plus-text")


@dataclass(frozen=True)
class OpenWorld:
    """gallery: G crops of people who are there. asks: Q queries; kinds: of each; present: bool (Q,), whether
    anybody fits. right, junk: bool (Q, G); junk is left out of the calibration.
    """

    gallery: tuple[Crop, ...]
    asks: tuple[Ask, ...]
    kinds: tuple[str, ...]
    present: np.ndarray
    right: np.ndarray
    junk: np.ndarray


def open_world(seed: int, identities: int) -> OpenWorld:
    """identities people who are there and as many who are not; one query of each kind for each of them."""
    own = seed * 10 + 9
    site, rng = cameras(own), np.random.default_rng((seed, 89))
    inside = {p.person_id: p for p in mixed(seed + 1_000_000, 7, identities)}
    outside = {p.person_id: p for p in mixed(seed + 2_000_000, 7, identities)}
    gallery, asked = [], []
    for person in [*inside.values(), *outside.values()]:
        crops = list(crops_of(person, site, VIEWS // 2, own, outfits=(0, 1)))
        asked.append((crops[0], crops[-1]))
        if person.person_id in inside:
            gallery += crops[1:]
    asks, kinds, present, right, junk = [], [], [], [], []

    def add(kind: str, ask: Ask, fits: np.ndarray, unsure: np.ndarray) -> None:
        true = fits & ~unsure
        if fits.any() and not true.any():
            return  # somebody may fit, but no crop shows it: neither present nor absent
        asks.append(ask)
        kinds.append(kind)
        present.append(bool(true.any()))
        right.append(true)
        junk.append(unsure & fits)

    for query, later in asked:
        same = np.array([crop.person_id == query.person_id for crop in gallery])
        add("image", Ask(image=query), same, np.zeros_like(same))
        told = fragment(query.visible, rng, int(rng.integers(TOLD[0], TOLD[1] + 1)))
        add("text", Ask(wanted=_wanted(told)), *fit(told, gallery))
        after = later.visible
        changed = [k for k in TOLD_CHANGES if k in after and after[k] != query.visible.get(k)]
        if changed:
            kept = rng.permutation(changed)[: int(rng.integers(1, MOST_CHANGES + 1))].tolist()
            said = {kind: after[kind] for kind in TOLD_CHANGES if kind in kept}
            fits, unsure = fit(said, gallery)
            add("image-plus-text", Ask(image=query, wanted=_wanted(said)), same & fits, same & unsure)
    return OpenWorld(
        tuple(gallery),
        tuple(asks),
        tuple(kinds),
        np.array(present),
        np.stack(right),
        np.stack(junk),
    )


@dataclass(frozen=True)
class Answer:
    """What one search came to: the first candidate's confidence 0..1, whether "nobody fits" was said, and of
    the candidates shown, best first, the columns int64 in the gallery and their confidences float64.
    """

    belief: float
    nobody: bool
    shown: np.ndarray
    confidences: np.ndarray


def answer(found: Found, calibration: Calibration | None) -> Answer:
    """As the app answers: the same function orders and judges the candidates."""
    candidates, _ = found.prefiltered()
    ranked = rerank(candidates, found.words, calibration, limit=SHOWN, near=found.near, rarity=found.rarity)
    shown = np.searchsorted(found.ids, [c.image_id for c in ranked.candidates])
    confidences = np.array([c.probability for c in ranked.candidates])
    # Where nothing passes tau the app says "nobody" whatever the confidence: less belief than any other.
    belief = float(confidences[0]) if found.passed and len(confidences) else 0.0
    return Answer(belief, ranked.no_match, shown, confidences)


def auroc(present: np.ndarray, absent: np.ndarray) -> float:
    """P(a present search believes more than an absent one), ties half: Mann-Whitney's U over n * m.

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
    """The least share of present searches told "nobody fits" by a threshold (belief below it) that tells at
    least `detection` of the absent ones so.
    """
    if not len(present) or not len(absent):
        raise ValueError("false alarms need searches whose person is there and searches whose person is not")
    needed = int(np.ceil(detection * len(absent) - 1e-9))
    threshold = np.nextafter(np.sort(absent)[needed - 1], np.inf) if needed else -np.inf
    return float((present < threshold).mean())


def figures_of_kind(answers: list[Answer], present: np.ndarray) -> Mapping[str, float]:
    """AUROC and its company for one kind of query. present: bool (n,)."""
    belief = np.array([one.belief for one in answers])
    nobody = np.array([one.nobody for one in answers])
    there, gone = belief[present], belief[~present]
    return {
        "auroc": auroc(there, gone),
        "far_at_90": false_alarms_at(there, gone),
        "detected": float(nobody[~present].mean()),
        "false_alarms": float(nobody[present].mean()),
        "present": float(len(there)),
        "absent": float(len(gone)),
    }


def _wanted(told: Mapping[str, str]) -> tuple[Attribute, ...]:
    return tuple(Attribute(kind, value) for kind, value in told.items())
