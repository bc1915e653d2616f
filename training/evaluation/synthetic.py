"""The synthetic benchmark's settings: who asks for whom, over which gallery, and what is a right answer.

All people are drawn from the split that no training and no tuning uses. A description's right answers are
the crops of which all that it says is true and shows (`training.synthetic.truth.satisfies`); crops of which it
is true but does not show are junk: neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from app.chat.conversation import Conversation, say, to_query
from app.chat.search_state import GalleryFacts
from app.model.vocabulary import ALL_KINDS, COLOUR_OF, Attribute
from training.datasets.record import Record
from training.evaluation import synthetic_people as drawn
from training.evaluation.harness import EvalQuery
from training.evaluation.metrics import Relevance
from training.evaluation.synthetic_people import SyntheticWorld, record_of
from training.evaluation.trials import Setting, Trial, all_rows
from training.synthetic.captions import caption, fragment
from training.synthetic.people import WORLD_VERSION
from training.synthetic.truth import TOLD_CHANGES, satisfies, value_indices
from training.synthetic.world import DrawnCrop

TOLD = (4, 8)  # attributes of a description
FRAGMENTS = (3, 3)
MOST_CHANGES = 3


@dataclass(frozen=True)
class DrawnSetting(Setting):
    """A setting whose people are drawn, so that all about them is known.

    statements: per query, the attributes told in words. stays: whether the person sought wears what the query shows;
    False after a change of clothes.
    """

    statements: tuple[Mapping[str, str], ...] = ()
    stays: bool = True


def by_world(trials: Iterable[Trial]) -> tuple[Trial, ...]:
    """Trials over one world of people as one trial with the settings of all, so that it is searched in one pass."""
    parts_of: dict[str, list[Trial]] = {}
    for trial in trials:
        parts_of.setdefault(trial.name, []).append(trial)
    joined = []
    for name, parts in parts_of.items():
        queries: list[EvalQuery] = []
        subjects: list[Record] = []
        settings: list[Setting] = []
        for part in parts:
            settings += [replace(setting, rows=setting.rows + len(queries)) for setting in part.settings]
            queries += part.queries
            subjects += part.subjects
        joined.append(Trial(name, tuple(queries), tuple(subjects), parts[0].gallery, tuple(settings)))
    return tuple(joined)


def standard(seed: int, identities: int, world: int = WORLD_VERSION) -> Trial:
    """Random people; the query is one crop, the gallery three of each person by other cameras.

    Right: the person's crops (Market-1501's cross-camera protocol; no camera repeats, so nothing is junk).
    """
    return _by_picture("standard", drawn.strangers(seed, identities, world))


def look_alikes(seed: int, identities: int, world: int = WORLD_VERSION) -> Trial:
    """As standard, over families of three who look alike and wear nearly the same."""
    return _by_picture("look-alikes", drawn.look_alikes(seed, identities, world))


def clothes_changing(seed: int, identities: int, world: int = WORLD_VERSION) -> Trial:
    """The query wears the first outfit. Right: the person in the second outfit, by another camera; the
    person in the query's clothes, or by its camera, is junk (LTCC's clothes-changing protocol). The query says that
    clothes may be others, as the paper's prompt for such people does.
    """
    people = drawn.two_outfits(seed, identities, world)
    same = _same(people)
    clothes = np.array([[q.clothes == g.clothes for g in people.gallery] for q in people.queries])
    camera = np.array([[q.camera_id == g.camera_id for g in people.gallery] for q in people.queries])
    junk = same & (clothes | camera)
    trial = _pictures("clothes-changing", people, same & ~junk, junk, stays=False)
    return replace(trial, queries=tuple(replace(query, other_clothes=True) for query in trial.queries))


def visible_infrared(seed: int, identities: int, world: int = WORLD_VERSION) -> Trial:
    """The query is infrared, the gallery visible, by other cameras (SYSU-MM01, all search, whole gallery)."""
    return _by_picture("visible-infrared", drawn.day_and_night(seed, identities, world))


def text_to_image(seed: int, identities: int, world: int = WORLD_VERSION) -> Trial:
    """Four to eight visible attributes of one crop of each person, in varied wording and as the chat reads it, over
    all crops. A colour of a hat, a bag or shoes is told with the thing. Right: every crop that fits.
    """
    rng = np.random.default_rng((seed, 71))
    return _by_words("text-to-image", drawn.one_outfit(seed, identities, world), rng, TOLD, _spoken, world)


def attributes(seed: int, identities: int, world: int = WORLD_VERSION) -> Trial:
    """Three visible attributes of one crop of each person, over N = 4 x identities crops drawn at random: the
    paper's attribute-based retrieval. Right: every crop that shows all three.
    """
    rng = np.random.default_rng((seed, 73))
    return _by_words("attributes", drawn.one_outfit(seed, identities, world), rng, FRAGMENTS, _by_form, world)


def image_plus_text(seed: int, identities: int, world: int = WORLD_VERSION) -> Trial:
    """A crop in the first outfit, and one to three things that the second outfit has another way, in words:
    the paper's adaptive multi-modal retrieval. Right: the person's crops that show what was told.
    """
    return _changed(
        "image-plus-text", drawn.two_outfits(seed, identities, world), seed, picture=True, words=True
    )


def image_only(seed: int, identities: int, world: int = WORLD_VERSION) -> Trial:
    """The queries and right answers of image-plus-text, by the picture alone."""
    return _changed("image-only", drawn.two_outfits(seed, identities, world), seed, picture=True, words=False)


def text_only(seed: int, identities: int, world: int = WORLD_VERSION) -> Trial:
    """The queries and right answers of image-plus-text, by the words alone."""
    return _changed("text-only", drawn.two_outfits(seed, identities, world), seed, picture=False, words=True)


SETTINGS: dict[str, Callable[[int, int, int], Trial]] = {
    "standard": standard,
    "look-alikes": look_alikes,
    "clothes-changing": clothes_changing,
    "visible-infrared": visible_infrared,
    "text-to-image": text_to_image,
    "attributes": attributes,
    "image-plus-text": image_plus_text,
    "image-only": image_only,
    "text-only": text_only,
}


def _by_picture(name: str, world: SyntheticWorld) -> Trial:
    same = _same(world)
    return _pictures(name, world, same, np.zeros_like(same))


def _pictures(
    name: str, world: SyntheticWorld, right: np.ndarray, junk: np.ndarray, stays: bool = True
) -> Trial:
    queries = [EvalQuery(image=crop) for crop in world.queries]
    return _trial(name, world, queries, world.queries, [{}] * len(queries), right, junk, stays)


def _trial(
    name: str,
    world: SyntheticWorld,
    queries: Sequence[EvalQuery],
    subjects: Sequence[DrawnCrop],
    statements: Sequence[Mapping[str, str]],
    right: np.ndarray,
    junk: np.ndarray,
    stays: bool = True,
) -> Trial:
    """One setting over its world. subjects: the crop that each query shows or describes; right, junk: bool (Q, G)."""
    relevance = Relevance.by_masks(right, junk)
    setting = DrawnSetting(name, all_rows(len(queries)), relevance, statements=tuple(statements), stays=stays)
    people, gallery = (tuple(record_of(crop) for crop in crops) for crops in (subjects, world.gallery))
    return Trial(world.name, tuple(queries), people, gallery, (setting,))


def _by_words(
    name: str,
    world: SyntheticWorld,
    rng: np.random.Generator,
    count: tuple[int, int],
    worded: Callable[[Mapping[str, str], np.random.Generator, int], EvalQuery],
    version: int,
) -> Trial:
    """version: of the world, and of the vocabulary that its people are described in."""
    by_person: dict[str, list[DrawnCrop]] = {}
    for crop in world.gallery:
        by_person.setdefault(crop.person_id, []).append(crop)
    queries, subjects, statements, right, junk = [], [], [], [], []
    for crops in by_person.values():
        in_colour = [crop for crop in crops if not crop.shot.infrared] or crops
        crop = in_colour[int(rng.integers(len(in_colour)))]
        stated = fragment(crop.visible, rng, int(rng.integers(count[0], count[1] + 1)))
        if worded is _spoken:
            stated = _with_things(stated, crop.visible)
        fits, unsure = fit(stated, world.gallery)
        queries.append(worded(stated, rng, version))
        subjects.append(crop)
        statements.append(stated)
        right.append(fits & ~unsure)
        junk.append(unsure)
    return _trial(name, world, queries, subjects, statements, np.stack(right), np.stack(junk))


def _changed(name: str, world: SyntheticWorld, seed: int, *, picture: bool, words: bool) -> Trial:
    rng = np.random.default_rng((seed, 79))
    queries, subjects, statements, right, junk = [], [], [], [], []
    for query, same in zip(world.queries, _same(world), strict=True):
        later = [
            crop for crop, is_same in zip(world.gallery, same, strict=True) if is_same and crop.clothes == 1
        ]
        after = later[int(rng.integers(len(later)))].visible
        changed = [k for k in TOLD_CHANGES if k in after and after[k] != query.visible.get(k)]
        kinds = set(rng.permutation(changed)[: int(rng.integers(1, MOST_CHANGES + 1))].tolist())
        if not kinds:
            continue
        stated = {kind: after[kind] for kind in TOLD_CHANGES if kind in kinds}
        fits, unsure = fit(stated, world.gallery)
        attributes_wanted = wanted(stated) if words else ()
        queries.append(EvalQuery(image=query if picture else None, wanted=attributes_wanted))
        subjects.append(query)
        statements.append(stated if words else {})
        right.append(same & fits & ~unsure)
        junk.append(same & unsure)
    return _trial(name, world, queries, subjects, statements, np.stack(right), np.stack(junk), stays=False)


def _same(world: SyntheticWorld) -> np.ndarray:
    """bool (Q, G)."""
    people = np.array([crop.person_id for crop in world.gallery])
    return np.array([people == query.person_id for query in world.queries])


def fit(stated: Mapping[str, str], gallery: Sequence[DrawnCrop]) -> tuple[np.ndarray, np.ndarray]:
    """(fits, unsure), bool (G,) each, as training.synthetic.truth.satisfies has them."""
    true = np.stack([value_indices(crop.attributes, ALL_KINDS) for crop in gallery])
    shown = np.stack([value_indices(crop.visible, ALL_KINDS) for crop in gallery])
    fits, unsure = satisfies(value_indices(dict(stated), ALL_KINDS)[None], true, shown)
    return fits[:, 0], unsure[:, 0]


def wanted(stated: Mapping[str, str]) -> tuple[Attribute, ...]:
    """As a query has them."""
    return tuple(Attribute(kind, value) for kind, value in stated.items())


def _with_things(stated: Mapping[str, str], visible: Mapping[str, str]) -> dict[str, str]:
    """ "A red hat" alone may be a cap: the thing is told with its colour."""
    things = {thing for thing in ("shoes", "hat", "bag") if COLOUR_OF[thing] in stated}
    return {kind: visible[kind] for kind in ALL_KINDS if kind in stated or kind in things & visible.keys()}


def _by_form(stated: Mapping[str, str], rng: np.random.Generator, version: int) -> EvalQuery:
    return EvalQuery(wanted=wanted(stated))


def _spoken(stated: Mapping[str, str], rng: np.random.Generator, version: int) -> EvalQuery:
    """The words of an operator, as the chat understands them."""
    query = to_query(
        say(Conversation(), caption(stated, rng, 0.0, version), GalleryFacts(today=date(2026, 5, 12)))
    )
    if not query.has_text:
        return EvalQuery(wanted=wanted(stated))
    return EvalQuery(wanted=query.wanted, unwanted=query.unwanted, text=query.text)
