"""The synthetic benchmark's settings: who asks for whom, over which gallery, and what is a right answer.

All people are drawn from the split that no training and no tuning uses. A description's right answers are
the crops of which all that it says is true and shows (`training.demo.sampling.satisfies`); crops of which it
is true but does not show are junk: neither right nor wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from app.chat.conversation import Conversation, say, to_query
from app.chat.search_state import GalleryFacts
from app.model.vocabulary import COLOUR_OF, KINDS, Attribute
from training.demo.lists import TOLD_CHANGES
from training.demo.pool import value_indices
from training.demo.sampling import satisfies
from training.evaluation import synthetic_people as drawn
from training.evaluation.harness import Ask
from training.evaluation.relevance import Relevance
from training.evaluation.synthetic_people import World
from training.synthetic.captions import caption, fragment
from training.synthetic.world import Crop

TOLD = (4, 8)  # attributes of a description
FRAGMENTS = (3, 3)
MOST_CHANGES = 3


@dataclass(frozen=True)
class Setting:
    """Q queries over a world's gallery.

    asked: per query, the crop that it shows or describes. said: per query, the attributes told in words.
    stays: whether the person sought wears what the query shows; False after a change of clothes.
    """

    name: str
    world: World
    asks: tuple[Ask, ...]
    asked: tuple[Crop, ...]
    said: tuple[Mapping[str, str], ...]
    relevance: Relevance
    stays: bool = True


def standard(seed: int, identities: int) -> Setting:
    """Random people; the query is one crop, the gallery three of each person by other cameras.

    Right: the person's crops (Market-1501's cross-camera protocol; no camera repeats, so nothing is junk).
    """
    return _by_picture("standard", drawn.strangers(seed, identities))


def look_alikes(seed: int, identities: int) -> Setting:
    """As standard, over families of three who look alike and wear nearly the same."""
    return _by_picture("look-alikes", drawn.look_alikes(seed, identities))


def clothes_changing(seed: int, identities: int) -> Setting:
    """The query wears the first outfit. Right: the person in the second outfit, by another camera; the
    person in the query's clothes, or by its camera, is junk (LTCC's clothes-changing protocol). The query says that
    clothes may be others, as the paper's prompt for such people does.
    """
    world = drawn.two_outfits(seed, identities)
    same = _same(world)
    clothes = np.array([[q.clothes == g.clothes for g in world.gallery] for q in world.queries])
    camera = np.array([[q.camera_id == g.camera_id for g in world.gallery] for q in world.queries])
    junk = same & (clothes | camera)
    setting = _setting("clothes-changing", world, same & ~junk, junk, stays=False)
    return replace(setting, asks=tuple(replace(ask, other_clothes=True) for ask in setting.asks))


def visible_infrared(seed: int, identities: int) -> Setting:
    """The query is infrared, the gallery visible, by other cameras (SYSU-MM01, all search, whole gallery)."""
    return _by_picture("visible-infrared", drawn.day_and_night(seed, identities))


def text_to_image(seed: int, identities: int) -> Setting:
    """Four to eight visible attributes of one crop of each person, in varied wording and as the chat reads it, over
    all crops. A colour of a hat, a bag or shoes is told with the thing. Right: every crop that fits.
    """
    rng = np.random.default_rng((seed, 71))
    return _by_words("text-to-image", drawn.one_outfit(seed, identities), rng, TOLD, _spoken)


def attributes(seed: int, identities: int) -> Setting:
    """Three visible attributes of one crop of each person, over N = 4 x identities crops drawn at random: the
    paper's attribute-based retrieval. Right: every crop that shows all three.
    """
    rng = np.random.default_rng((seed, 73))
    return _by_words("attributes", drawn.one_outfit(seed, identities), rng, FRAGMENTS, _stated)


def image_plus_text(seed: int, identities: int) -> Setting:
    """A crop in the first outfit, and one to three things that the second outfit has another way, in words:
    the paper's adaptive multi-modal retrieval. Right: the person's crops that show what was told.
    """
    return _changed("image-plus-text", seed, identities, picture=True, words=True)


def image_only(seed: int, identities: int) -> Setting:
    """The queries and right answers of image-plus-text, by the picture alone."""
    return _changed("image-only", seed, identities, picture=True, words=False)


def text_only(seed: int, identities: int) -> Setting:
    """The queries and right answers of image-plus-text, by the words alone."""
    return _changed("text-only", seed, identities, picture=False, words=True)


SETTINGS: dict[str, Callable[[int, int], Setting]] = {
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


def _by_picture(name: str, world: World) -> Setting:
    same = _same(world)
    return _setting(name, world, same, np.zeros_like(same))


def _setting(name: str, world: World, right: np.ndarray, junk: np.ndarray, stays: bool = True) -> Setting:
    asks = tuple(Ask(image=crop) for crop in world.queries)
    nothing: tuple[Mapping[str, str], ...] = ({},) * len(asks)
    return Setting(name, world, asks, world.queries, nothing, Relevance.by_masks(right, junk), stays)


def _by_words(
    name: str,
    world: World,
    rng: np.random.Generator,
    count: tuple[int, int],
    worded: Callable[[Mapping[str, str], np.random.Generator], Ask],
) -> Setting:
    by_person: dict[str, list[Crop]] = {}
    for crop in world.gallery:
        by_person.setdefault(crop.person_id, []).append(crop)
    asks, asked, said, right, junk = [], [], [], [], []
    for crops in by_person.values():
        seen = [crop for crop in crops if not crop.shot.infrared] or crops
        crop = seen[int(rng.integers(len(seen)))]
        told = fragment(crop.visible, rng, int(rng.integers(count[0], count[1] + 1)))
        if worded is _spoken:
            told = _with_things(told, crop.visible)
        fits, unsure = fit(told, world.gallery)
        asks.append(worded(told, rng))
        asked.append(crop)
        said.append(told)
        right.append(fits & ~unsure)
        junk.append(unsure)
    relevance = Relevance.by_masks(np.stack(right), np.stack(junk))
    return Setting(name, world, tuple(asks), tuple(asked), tuple(said), relevance)


def _changed(name: str, seed: int, identities: int, *, picture: bool, words: bool) -> Setting:
    world = drawn.two_outfits(seed, identities)
    rng = np.random.default_rng((seed, 79))
    asks, asked, said, right, junk = [], [], [], [], []
    for query, same in zip(world.queries, _same(world), strict=True):
        later = [crop for crop, own in zip(world.gallery, same, strict=True) if own and crop.clothes == 1]
        after = later[int(rng.integers(len(later)))].visible
        changed = [k for k in TOLD_CHANGES if k in after and after[k] != query.visible.get(k)]
        kinds = set(rng.permutation(changed)[: int(rng.integers(1, MOST_CHANGES + 1))].tolist())
        if not kinds:
            continue
        told = {kind: after[kind] for kind in TOLD_CHANGES if kind in kinds}
        fits, unsure = fit(told, world.gallery)
        wanted = _wanted(told) if words else ()
        asks.append(Ask(image=query if picture else None, wanted=wanted))
        asked.append(query)
        said.append(told if words else {})
        right.append(same & fits & ~unsure)
        junk.append(same & unsure)
    relevance = Relevance.by_masks(np.stack(right), np.stack(junk))
    return Setting(name, world, tuple(asks), tuple(asked), tuple(said), relevance, stays=False)


def _same(world: World) -> np.ndarray:
    """bool (Q, G)."""
    people = np.array([crop.person_id for crop in world.gallery])
    return np.array([people == query.person_id for query in world.queries])


def fit(told: Mapping[str, str], gallery: Sequence[Crop]) -> tuple[np.ndarray, np.ndarray]:
    """(fits, unsure), bool (G,) each, as training.demo.sampling.satisfies has them."""
    true = np.stack([value_indices(crop.attributes) for crop in gallery])
    shown = np.stack([value_indices(crop.visible) for crop in gallery])
    fits, unsure = satisfies(value_indices(dict(told))[None], true, shown)
    return fits[:, 0], unsure[:, 0]


def _wanted(told: Mapping[str, str]) -> tuple[Attribute, ...]:
    return tuple(Attribute(kind, value) for kind, value in told.items())


def _with_things(told: Mapping[str, str], visible: Mapping[str, str]) -> dict[str, str]:
    """ "A red hat" alone may be a cap: the thing is told with its colour."""
    things = {thing for thing in ("shoes", "hat", "bag") if COLOUR_OF[thing] in told}
    return {kind: visible[kind] for kind in KINDS if kind in told or kind in things & visible.keys()}


def _stated(told: Mapping[str, str], rng: np.random.Generator) -> Ask:
    return Ask(wanted=_wanted(told))


def _spoken(told: Mapping[str, str], rng: np.random.Generator) -> Ask:
    """The words of an operator, as the chat understands them."""
    query = to_query(
        say(Conversation(), caption(told, rng, canonical=0.0), GalleryFacts(today=date(2026, 5, 12)))
    )
    if not query.has_text:
        return Ask(wanted=_wanted(told))
    return Ask(wanted=query.wanted, unwanted=query.unwanted, text=query.text)
