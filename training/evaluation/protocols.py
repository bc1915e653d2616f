"""Protocols of image-to-image and text-to-image search: which queries, which gallery, what is right and junk.

Each takes a data set and says what has to be searched (Search); `protocol_of` knows which one is a benchmark's.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from training.datasets.record import DISTRACTOR, DataSet, Record
from training.evaluation.harness import Ask
from training.evaluation.relevance import Relevance
from training.evaluation.search import Reading, Search, all_rows, labels, people

TRIALS = 10


class ProtocolError(ValueError):
    """A data set that a protocol cannot be run on; the message names what it lacks."""


def cross_camera(data: DataSet) -> tuple[Search, ...]:
    """Market-1501, MSMT17 and CUHK03: every query over the whole gallery.

    Right: the query's person by another camera. Junk: the person by the query's own camera, and false
    detections (-1), which are left out of the gallery. Distractors (0000) stay and are never right. AP counts
    every match (Zheng et al., ICCV 2015; MSMT17: Wei et al., CVPR 2018). CUHK03 by its new protocol of 767 and
    700 identities with fixed queries (Zhong et al., CVPR 2017).
    """
    queries, gallery = people(split(data, "query")), people(split(data, "gallery"), distractors=True)
    relevance = Relevance.by_identity(*_persons(queries, gallery), *cameras(queries, gallery))
    reading = Reading("standard", all_rows(len(queries)), relevance)
    return (Search("standard", pictures(queries), queries, gallery, (reading,)),)


def ltcc(data: DataSet) -> tuple[Search, ...]:
    """LTCC (Qian et al., ACCV 2020, section 5.1), as CAL (Gu et al., CVPR 2022) evaluates it.

    `standard`: right is the person by another camera, in whatever clothes; the same camera is junk.
    `clothes-changing`: the person in the query's own clothes is junk as well; queries whose person changes
    nothing in the gallery have no match and are left out.
    """
    queries, gallery = people(split(data, "query")), people(split(data, "gallery"), distractors=True)
    standard = Relevance.by_identity(*_persons(queries, gallery), *cameras(queries, gallery))
    changing = standard.with_junk_where_equal(labels(queries, "clothes"), labels(gallery, "clothes"))
    rows = all_rows(len(queries))
    readings = (Reading("clothes-changing", rows, changing), Reading("standard", rows, standard))
    return (Search("ltcc", pictures(queries), queries, gallery, readings),)


def prcc(data: DataSet, trials: int = TRIALS) -> tuple[Search, ...]:
    """PRCC (Yang et al., TPAMI 2019, section 5): single shot, mean of ten trials.

    The gallery of a trial is one picture of each person by camera A, drawn at random; queries are all of
    camera C (`clothes-changing`) or B (`same-clothes`). No two cameras meet, so nothing is junk.
    """
    changed, same = people(split(data, "query-changed")), people(split(data, "query-same"))
    queries = changed + same
    found = []
    for trial in range(trials):
        gallery = _one_each(people(split(data, "gallery")), Random(trial))
        relevance = Relevance.by_identity(*_persons(queries, gallery))
        rows = np.split(all_rows(len(queries)), [len(changed)])
        readings = tuple(
            Reading(setting, mine, relevance.take(mine))
            for setting, mine in zip(("clothes-changing", "same-clothes"), rows, strict=True)
        )
        found.append(Search(f"trial-{trial + 1:02d}", pictures(queries), queries, gallery, readings))
    return tuple(found)


def text_to_image(data: DataSet) -> tuple[Search, ...]:
    """CUHK-PEDES (Li et al., CVPR 2017), ICFG-PEDES (Ding et al., 2021), RSTPReid (Zhu et al., ACM MM 2021).

    Every caption of the test split is a query, every picture of it is the gallery. Right: all pictures of the
    captioned person, the captioned picture too. There is no junk.
    """
    gallery = people(split(data, "query", "gallery", "test"), distractors=True)
    described = [(r, text) for r in gallery for text in r.captions if r.person != DISTRACTOR]
    if not described:
        raise ProtocolError(f"{data.name} has no captions to search by")
    queries = tuple(record for record, _ in described)
    relevance = Relevance.by_identity(*_persons(queries, gallery))
    asks = tuple(Ask(text=text) for _, text in described)
    reading = Reading("text-to-image", all_rows(len(queries)), relevance)
    return (Search("text-to-image", asks, queries, gallery, (reading,)),)


def split(data: DataSet, *names: str) -> tuple[Record, ...]:
    """The records of these splits, those of them that are there. ProtocolError where none has any."""
    found = tuple(record for name in names for record in data.splits.get(name, ()))
    if not found:
        raise ProtocolError(
            f"{data.name} has no {' or '.join(names)} split to evaluate; it has {', '.join(data.splits)}"
        )
    return found


def pictures(records: Sequence[Record]) -> tuple[Ask, ...]:
    """Queries by picture alone."""
    return tuple(Ask(image=record.image) for record in records)


def _persons(queries: Sequence[Record], gallery: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    return labels(queries, "person"), labels(gallery, "person")


def cameras(queries: Sequence[Record], gallery: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """str (Q,) and (G,); a record without a camera shares it with nobody, so that nothing is junk by it."""
    of_queries, of_gallery = labels(queries, "camera"), labels(gallery, "camera")
    of_queries[of_queries == ""] = "?"
    return of_queries, of_gallery


def _one_each(records: Sequence[Record], rng: Random) -> tuple[Record, ...]:
    """One record of each person, people in order of their names."""
    by_person: dict[str, list[Record]] = {}
    for record in records:
        by_person.setdefault(record.person, []).append(record)
    return tuple(rng.choice(by_person[person]) for person in sorted(by_person))
