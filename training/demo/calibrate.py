"""Fits what turns the model's word and CLIP's cosine into a probability, on people of the validation split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from app.model.description import query_description
from app.model.manifest import Calibration, CheckpointManifest, encoder_key
from app.model.pictures import Picture
from app.model.reid_model import ReidModel
from app.model.vocabulary import Attribute
from app.retrieval.calibration import clip_log_odds, fit, fit_threshold, log_odds, mix, sigmoid
from app.retrieval.evidence import AttributeEvidence, picture_similarity, text_similarity
from app.retrieval.shares import comparable, reading
from gallery_store.encoder import ClipEncoder
from training.demo.lists import TOLD_CHANGES
from training.demo.pool import Pool, value_indices
from training.demo.progress import Log
from training.demo.sampling import satisfies
from training.synthetic.captions import fragment

QUERIES, CANDIDATES = 200, 64
FALSE_ALARMS = 0.05  # the share of searches whose person is there that may be told "nobody fits"
PRESENT_SHARE = 0.5  # of the people: the gallery; searches for the others are searches for the absent
WORD_SHARES = np.linspace(0, 1, 21)
READING_SHARES = np.append(WORD_SHARES[:-1], 0.99)  # a trace of "Yes" stays, to be weighed against
VIEWS = 2  # of an outfit in the gallery: a person who is there is often seen once or twice, not four times


@dataclass(frozen=True)
class Search:
    """One query: what CLIP and the model are asked, and the truth over the gallery's rows.

    wanted, reference: as far as there are; same, unsure: bool (gallery,). changed: bool (gallery,), where a
    picture's person wears other clothes than in it; None where that makes no difference. other_clothes: the query says
    that clothes may be others.
    """

    wanted: tuple[Attribute, ...]
    reference: int | None
    same: np.ndarray
    unsure: np.ndarray
    changed: np.ndarray | None = None
    other_clothes: bool = False

    def ap(self, scores: np.ndarray) -> float:
        """Average precision over the gallery; that in the same clothes and that in others count alike, however
        many crops there are of each."""
        if self.changed is None:
            return _ap(scores, self.same, self.unsure)
        parts = (self.same & self.changed, self.same & ~self.changed)
        found = [_ap(scores, part, self.unsure | (self.same & ~part)) for part in parts]
        return float(np.mean([ap for ap in found if np.isfinite(ap)] or [np.nan]))


@dataclass(frozen=True)
class Pairs:
    """What was found for one kind of query: arrays (queries, CANDIDATES), and CLIP's over the whole gallery.

    words: log-odds of "Yes". readings: how well the attributes fit that the model reads.
    """

    words: np.ndarray
    readings: np.ndarray
    similarities: np.ndarray
    same: np.ndarray
    unsure: np.ndarray
    true_similarities: np.ndarray
    mAP: dict[str, float]


def calibrate(folder: Path, clip: Path, pool: Pool, log: Log) -> dict[str, Any]:
    """Fits the three kinds of query, writes them into the folder's manifest, and returns the figures."""
    encoder, model = ClipEncoder.load(clip), ReidModel.load(folder)
    images = [Image.fromarray(picture) for picture in pool.pictures]
    vectors = encoder.encode_images([Image.fromarray(picture) for picture in pool.large])
    pictures = [Picture(("pool", i), partial(images.__getitem__, i)) for i in range(len(pool))]
    people = np.unique(pool.family)
    inside = np.isin(pool.family, people[: int(len(people) * PRESENT_SHARE)])
    view = np.arange(len(pool)) - np.searchsorted(pool.clothes, pool.clothes)  # crops come outfit by outfit
    gallery = np.flatnonzero(inside & (view < VIEWS))
    searched = Gallery(encoder, AttributeEvidence(encoder), vectors, gallery)
    rng = np.random.default_rng(0)
    fitted: dict[str, Calibration] = {}
    figures: dict[str, Any] = {"gallery": len(gallery)}
    for kind, make in MAKES.items():
        present = _searches(make, pool, gallery, gallery, rng, QUERIES)
        absent = _searches(make, pool, np.flatnonzero(~inside), gallery, rng, QUERIES // 2)
        shares = _shares(kind, searched, present)
        there = _ask(model, searched, pictures, present, shares)
        gone = _ask(model, searched, pictures, absent, shares)
        read = _best_share(there, there.readings, there.words, READING_SHARES)
        ratio = np.divide(*mix(there.readings, there.words, read))
        there, gone = (replace(p, words=p.words + ratio * p.readings) for p in (there, gone))
        sure = ~there.unsure
        found = fit(
            there.words[sure],
            there.similarities[sure],
            there.same[sure],
            text_weight=shares[0],
            word_share=_best_share(there, there.words, there.similarities, WORD_SHARES),
        )
        tau = float(np.quantile(there.true_similarities, 0.01)) - 1e-6
        best_there = _best(found, there)
        threshold = min(
            fit_threshold(best_there, _best(found, gone)), float(np.quantile(best_there, FALSE_ALARMS))
        )
        fitted[kind] = replace(
            found, tau=max(-1.0, tau), threshold=threshold, attributes=shares[1], reading=float(ratio)
        )
        figures[kind] = {
            **_mean_ap(found, there),
            "false_alarms": float((best_there < threshold).mean()),
            "absent_found": float((_best(found, gone) < threshold).mean()),
        }
        log.write(stage="calibrate", kind=kind, **figures[kind])
    manifest = CheckpointManifest.read(folder)
    assert manifest is not None
    calibrations = {**manifest.calibrations, encoder_key(encoder.name, encoder.version): fitted}
    replace(manifest, calibrations=calibrations, figures={**manifest.figures, "validation": figures}).write(
        folder
    )
    return figures


Make = Callable[[Pool, int, np.ndarray, np.random.Generator], "Search | None"]


def _searches(
    make: Make, pool: Pool, about: np.ndarray, gallery: np.ndarray, rng: np.random.Generator, count: int
) -> list[Search]:
    """Queries about rows of `about`; over the gallery itself each has a match, over others it has none."""
    searches: list[Search] = []
    wanted = about is gallery
    for row in rng.permutation(about):
        search = make(pool, int(row), gallery, rng)
        if search is not None and bool(search.same.any()) == wanted:
            searches.append(search)
        if len(searches) == count:
            break
    return searches


def _by_text(pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator) -> Search:
    said = fragment(pool.seen(row), rng, int(rng.integers(2, 7)))
    fits, unsure = satisfies(value_indices(said)[None], pool.attributes[gallery], pool.visible[gallery])
    return Search(_attributes(said), None, fits[:, 0], unsure[:, 0])


def _by_image(pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator) -> Search:
    own = gallery == row
    same = (pool.person[gallery] == pool.person[row]) & ~own
    return Search((), row, same, own, pool.clothes[gallery] != pool.clothes[row])


def _by_picture_in_other_clothes(
    pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator
) -> Search:
    person, clothes = pool.person[gallery] == pool.person[row], pool.clothes[gallery] == pool.clothes[row]
    return Search((), row, person & ~clothes, (person & clothes) | (gallery == row), other_clothes=True)


def _by_both(pool: Pool, row: int, gallery: np.ndarray, rng: np.random.Generator) -> Search | None:
    person = np.flatnonzero((pool.person == pool.person[row]) & (pool.clothes != pool.clothes[row]))
    before, after = pool.seen(row), pool.seen(int(rng.choice(person)))
    changed = [k for k in TOLD_CHANGES if k in after and after[k] != before.get(k)]
    if not changed:
        return None
    said = {k: after[k] for k in rng.permutation(changed)[: int(rng.integers(1, 4))]}
    fits, unsure = satisfies(value_indices(said)[None], pool.attributes[gallery], pool.visible[gallery])
    same = pool.person[gallery] == pool.person[row]
    return Search(_attributes(said), row, same & fits[:, 0], (same & unsure[:, 0]) | (gallery == row))


MAKES: dict[str, Make] = {
    "text": _by_text,
    "image": _by_image,
    "image-plus-text": _by_both,
    "image-other-clothes": _by_picture_in_other_clothes,
}


def _attributes(said: dict[str, str]) -> tuple[Attribute, ...]:
    return tuple(Attribute(kind, value) for kind, value in said.items())


@dataclass(frozen=True)
class Gallery:
    """rows of the pool that are searched, with every row's CLIP vector."""

    encoder: ClipEncoder
    evidence: AttributeEvidence
    vectors: np.ndarray
    rows: np.ndarray

    def cosines(self, queries: np.ndarray) -> np.ndarray:
        return queries @ self.vectors[self.rows].T

    def parts(self, search: Search) -> Parts:
        """What the engine's similarity is made of."""
        words = cosine = alike = None
        if search.wanted:
            told = self.encoder.encode_texts([query_description(search.wanted)])[0]
            words = text_similarity(self.evidence, self.cosines, told, search.wanted, ())
        if search.reference is not None:
            own = self.vectors[search.reference][None]
            kinds = comparable(search.wanted, search.other_clothes)
            cosine, alike = (
                picture_similarity(self.evidence, self.cosines, own, share, kinds=kinds) for share in (0, 1)
            )
        return Parts(words, cosine, alike)


@dataclass(frozen=True)
class Parts:
    """Float (gallery,) each, None where the search has no words or no picture."""

    words: np.ndarray | None
    cosine: np.ndarray | None
    alike: np.ndarray | None

    def similarity(self, text: float, attributes: float) -> np.ndarray:
        """As the engine's: by the words, by the picture, or a share of each."""
        if self.cosine is None or self.alike is None:
            assert self.words is not None
            return self.words
        picture = (1 - attributes) * self.cosine + attributes * self.alike
        return picture if self.words is None else text * self.words + (1 - text) * picture


def _shares(kind: str, gallery: Gallery, searches: list[Search]) -> tuple[float, float]:
    """The share of the text, and that of the attributes in a picture's similarity, with which CLIP ranks best."""
    texts = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8) if kind == "image-plus-text" else (0.5,)
    attributes = (0.0,) if kind == "text" else (0.0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

    parts = [gallery.parts(search) for search in searches]

    def mean_ap(shares: tuple[float, float]) -> float:
        return float(np.nanmean([s.ap(p.similarity(*shares)) for p, s in zip(parts, searches, strict=True)]))

    return max(product(texts, attributes), key=mean_ap)


def _best_share(pairs: Pairs, first: np.ndarray, second: np.ndarray, shares: np.ndarray) -> float:
    """Of these shares of `first`, ascending from 0, the one that ranks the candidates best with the rest of `second`.

    0 where it does not clearly help: of twenty shares one is the best by chance alone, so its gain must be twice
    its standard error.
    """
    found = []
    for share in shares:
        one, other = mix(first, second, float(share))
        both = one * first + other * second
        found.append([_ap(s, t, u) for s, t, u in zip(both, pairs.same, pairs.unsure, strict=True)])
    gains = np.array(found) - found[0]
    gains = gains[:, np.isfinite(gains[0])]
    best = int(gains.mean(1).argmax())
    error = gains[best].std() / max(1, gains.shape[1]) ** 0.5
    return float(shares[best]) if gains[best].mean() > 2 * error else 0.0


def _ask(
    model: ReidModel,
    gallery: Gallery,
    pictures: list[Picture],
    searches: list[Search],
    shares: tuple[float, float],
) -> Pairs:
    words, read, near, same, unsure, true = [], [], [], [], [], []
    clip_ap = []
    for search in searches:
        similar = gallery.parts(search).similarity(*shares)
        clip_ap.append(_ap(similar, search.same, search.unsure))
        true.append(similar[search.same])
        own = -1 if search.reference is None else search.reference
        top = np.argsort(-np.where(gallery.rows == own, -2, similar), kind="stable")[:CANDIDATES]
        references = [] if search.reference is None else [pictures[search.reference]]
        text = query_description(search.wanted) if search.wanted else ""
        asked = [pictures[i] for i in gallery.rows[top]]
        words.append(model.words(text, references, asked))
        told = model.shares(references) if references else None
        read.append(reading(model.shares(asked), told, search.wanted, (), search.other_clothes))
        near.append(similar[top])
        same.append(search.same[top])
        unsure.append(search.unsure[top])
    return Pairs(
        np.stack(words),
        np.stack(read),
        np.stack(near),
        np.stack(same),
        np.stack(unsure),
        np.concatenate(true),
        {"clip_gallery_mAP": float(np.nanmean(clip_ap)) if np.isfinite(clip_ap).any() else 0.0},
    )


def _best(calibration: Calibration, pairs: Pairs) -> np.ndarray:
    """The best candidate's probability of each search."""
    return (
        sigmoid(log_odds(calibration, pairs.words.ravel(), pairs.similarities.ravel()))
        .reshape(pairs.words.shape)
        .max(1)
    )


def _mean_ap(calibration: Calibration, pairs: Pairs) -> dict[str, float]:
    """Mean AP within the candidates, by CLIP, by the word and by both together."""
    both = log_odds(calibration, pairs.words.ravel(), pairs.similarities.ravel()).reshape(pairs.words.shape)
    clip = clip_log_odds(calibration, pairs.similarities)
    rows = {"clip": clip, "word": pairs.words, "combined": both}
    return {
        f"{name}_mAP": float(
            np.nanmean([_ap(s, t, u) for s, t, u in zip(scores, pairs.same, pairs.unsure, strict=True)])
        )
        for name, scores in rows.items()
    } | pairs.mAP


def _ap(scores: np.ndarray, same: np.ndarray, unsure: np.ndarray) -> float:
    """Average precision without the unsure; NaN where nothing matches."""
    hits = same[~unsure][np.argsort(-scores[~unsure], kind="stable")]
    ranks = np.flatnonzero(hits) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else float("nan")
