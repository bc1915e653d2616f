"""Attribute-based and adaptive multi-modal retrieval, written down after the paper's outline (section 4.2).

The paper names both and leaves their protocols to an unpublished supplement; docs/evaluation.md has ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from app.model.vocabulary import KINDS, Attribute
from training.datasets.record import DataSet, Record
from training.evaluation.harness import Ask
from training.evaluation.protocols import ProtocolError, cameras, split
from training.evaluation.relevance import Relevance
from training.evaluation.search import Reading, Search, all_rows, labels, people

GALLERY = 1000  # N of the paper: images sampled at random from an attribute-annotated set
MOST_TOLD = 3  # attributes of a query
ATTRIBUTE_SPLITS = ("query", "gallery", "test")


def attribute_based(
    data: DataSet, *, seed: int = 0, sample: int = GALLERY, most_told: int = MOST_TOLD
) -> tuple[Search, ...]:
    """Attribute-based retrieval: "images that matched specified attributes, such as clothing or accessories".

    Gallery: `sample` annotated pictures of the test splits, drawn at random (all, where there are fewer).
    Queries: for each of them one to `most_told` of its attributes, drawn at random; equal ones once. Right:
    every crop whose annotation has all that is told. Junk: crops that contradict nothing told but lack the
    annotation of part of it. Identities play no part.
    """
    if sample < 1 or most_told < 1:
        raise ValueError(f"a sample of {sample} and {most_told} attributes is nothing to evaluate")
    rng = np.random.default_rng((seed, 101))
    annotated = [record for record in people(split(data, *ATTRIBUTE_SPLITS)) if record.attributes]
    if not annotated:
        raise ProtocolError(f"{data.name} has no attributes to search by: name a CSV with columns of them")
    drawn = np.sort(rng.permutation(len(annotated))[:sample])
    gallery = tuple(annotated[row] for row in drawn)
    told: dict[tuple[tuple[str, str], ...], Record] = {}
    for record in gallery:
        kinds = [kind for kind in KINDS if kind in record.attributes]
        count = int(rng.integers(1, min(most_told, len(kinds)) + 1))
        chosen = sorted(rng.permutation(len(kinds))[:count].tolist())
        told.setdefault(tuple((kinds[k], record.attributes[kinds[k]]) for k in chosen), record)
    matches, junk = zip(*(fit(dict(said), gallery) for said in told), strict=True)
    asks = tuple(Ask(wanted=tuple(Attribute(*pair) for pair in said)) for said in told)
    relevance = Relevance.by_masks(np.stack(matches), np.stack(junk))
    reading = Reading("attributes", all_rows(len(asks)), relevance)
    return (Search("attributes", asks, tuple(told.values()), gallery, (reading,)),)


def fit(told: Mapping[str, str], gallery: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """(right, unsure), bool (G,): crops whose annotation has all that is told; those that lack part of it."""
    seen = [[record.attributes.get(kind) for kind in told] for record in gallery]
    wanted = list(told.values())
    possible = np.array([all(s in (None, w) for s, w in zip(row, wanted, strict=True)) for row in seen])
    known = np.array([None not in row for row in seen])
    return possible & known, possible & ~known


def image_plus_text(data: DataSet, *, seed: int = 0) -> tuple[Search, ...]:
    """Adaptive multi-modal retrieval: "additional textual information as auxiliary input for image-image
    retrieval", against the picture alone and the text alone.

    Queries: those of the query split (or all pictures of the test split) whose person has a captioned crop in
    the gallery, by another camera and in other clothes where such are noted and there; the words are one
    caption of such a crop, drawn at random, as an operator would add what a witness saw. Right: the person by
    another camera. Junk: the person by the query's own camera (where cameras are noted), the query's own
    picture, and the crop whose caption was taken. Settings over the same queries, gallery and truth:
    `image-plus-text`, `image-only`, `text-only`.
    """
    rng = np.random.default_rng((seed, 103))
    gallery = people(split(data, "gallery", "test"), distractors=True)
    of_person: dict[str, list[int]] = {}
    for row, record in enumerate(gallery):
        of_person.setdefault(record.person, []).append(row)
    queries, texts, sources = [], [], []
    for record in people(split(data, "query", "test")):
        told_by = _witnesses(
            record, [g for g in of_person.get(record.person, ()) if gallery[g].captions], gallery
        )
        if told_by:
            source = told_by[int(rng.integers(len(told_by)))]
            captions = gallery[source].captions
            queries.append(record)
            texts.append(captions[int(rng.integers(len(captions)))])
            sources.append(source)
    if not queries:
        raise ProtocolError(
            f"{data.name} has no query whose person is captioned in another crop: there are no words to add"
        )
    relevance = _without(queries, gallery, sources)
    pictures = [Ask(image=record.image) for record in queries]
    words = [Ask(text=text) for text in texts]
    both = [Ask(image=record.image, text=text) for record, text in zip(queries, texts, strict=True)]
    rows = np.split(all_rows(3 * len(queries)), 3)
    readings = tuple(
        Reading(setting, mine, relevance)
        for setting, mine in zip(("image-plus-text", "image-only", "text-only"), rows, strict=True)
    )
    return (Search("multi-modal", (*both, *pictures, *words), tuple(queries) * 3, gallery, readings),)


def _witnesses(query: Record, captioned: Sequence[int], gallery: Sequence[Record]) -> list[int]:
    """Gallery rows whose caption may be told: another picture; another camera; other clothes if there are."""
    others = [row for row in captioned if gallery[row].image != query.image]
    if query.camera:
        others = [row for row in others if gallery[row].camera != query.camera]
    changed = [row for row in others if gallery[row].clothes != query.clothes]
    return changed or others


def _without(queries: Sequence[Record], gallery: Sequence[Record], sources: Sequence[int]) -> Relevance:
    """Who is right and what is junk; sources: the gallery rows whose captions were told."""
    persons = labels(queries, "person"), labels(gallery, "person")
    relevance = Relevance.by_identity(*persons, *cameras(queries, gallery))
    rows = np.repeat(np.arange(len(queries)), np.diff(relevance.offsets))
    told = relevance.columns == np.asarray(sources)[rows]
    own = [
        gallery[column].image == queries[row].image
        for row, column in zip(rows.tolist(), relevance.columns.tolist(), strict=True)
    ]
    return replace(relevance, junk=relevance.junk | told | np.array(own, bool))
