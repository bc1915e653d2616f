"""Protocols of visible-infrared search: SYSU-MM01 and RegDB."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

from training.datasets.record import DataSet, Record
from training.evaluation.protocols import TRIALS, pictures, split
from training.evaluation.relevance import Relevance
from training.evaluation.search import Reading, Search, all_rows, labels, people

ALL_SEARCH, INDOOR_SEARCH = ("1", "2", "4", "5"), ("1", "2")  # visible cameras of the gallery
ONE_PLACE = ("3", "2")  # an infrared camera and the visible one that hangs beside it
MULTI_SHOT = 10  # pictures of a person by a camera


def sysu_mm01(
    data: DataSet, trials: int = TRIALS, settings: Sequence[str] | None = None
) -> tuple[Search, ...]:
    """SYSU-MM01 (Wu et al., ICCV 2017, section 5), mean of ten trials.

    Queries: all infrared pictures (cameras 3 and 6) of the test people. Gallery of a trial: of each person by
    each visible camera one picture drawn at random (single shot) or ten (multi shot); cameras 1, 2, 4, 5 for
    `all search`, 1 and 2 for `indoor search`. Cameras 2 and 3 are one place: for a query by camera 3 all
    crops by camera 2 are taken out. The CMC counts identities, each at its best crop; mAP counts crops. Draws
    are those of the usual Python evaluation (random.seed(trial), people and cameras in order), so that a
    trial's single-shot gallery is the one of published results.

    settings: some of "all-single", "indoor-single", "all-multi", "indoor-multi"; None for all.
    """
    test = people(split(data, "test"))
    queries = tuple(record for record in test if record.infrared)
    found = []
    for setting, cameras, shots in (
        ("all-single", ALL_SEARCH, 1),
        ("indoor-single", INDOOR_SEARCH, 1),
        ("all-multi", ALL_SEARCH, MULTI_SHOT),
        ("indoor-multi", INDOOR_SEARCH, MULTI_SHOT),
    ):
        if settings is not None and setting not in settings:
            continue
        for trial in range(trials):
            gallery = drawn_gallery(test, cameras, shots, Random(trial))
            same = labels(queries, "person")[:, None] == labels(gallery, "person")
            beside = (labels(queries, "camera") == ONE_PLACE[0])[:, None] & (
                labels(gallery, "camera") == ONE_PLACE[1]
            )
            reading = Reading(
                setting, all_rows(len(queries)), Relevance.by_masks(same & ~beside, beside), by_identity=True
            )
            name = f"{setting}-{trial + 1:02d}"
            found.append(Search(name, pictures(queries), queries, gallery, (reading,)))
    return tuple(found)


def drawn_gallery(
    test: Sequence[Record], cameras: Sequence[str], shots: int, rng: Random
) -> tuple[Record, ...]:
    """Of each person by each of these cameras so many pictures at random, or all where there are fewer."""
    seen: dict[tuple[str, str], list[Record]] = {}
    for record in sorted(test, key=lambda r: str(r.image)):
        if not record.infrared:
            seen.setdefault((record.person, record.camera), []).append(record)
    gallery: list[Record] = []
    for person in sorted({person for person, _ in seen}, key=lambda name: (len(name), name)):
        for camera in cameras:
            if there := seen.get((person, camera)):
                gallery += [rng.choice(there)] if shots == 1 else rng.sample(there, min(shots, len(there)))
    return tuple(gallery)


def regdb(trials: Sequence[DataSet]) -> tuple[Search, ...]:
    """RegDB (Nguyen et al., Sensors 2017; ten splits of Ye et al., AAAI 2018): each trial in both directions.

    trials: the data set once for each of its splits. All pictures of one camera over all of the other; there
    are two cameras, so nothing is junk. A model has to have been trained without the trial's test people: one
    that learnt from one split is to be measured on that split alone.
    """
    found = []
    for number, data in enumerate(trials, 1):
        visible, thermal = people(split(data, "test-visible")), people(split(data, "test-thermal"))
        for setting, queries, gallery in (
            ("visible-to-thermal", visible, thermal),
            ("thermal-to-visible", thermal, visible),
        ):
            relevance = Relevance.by_identity(labels(queries, "person"), labels(gallery, "person"))
            reading = Reading(setting, np.arange(len(queries)), relevance)
            found.append(Search(f"{setting}-{number:02d}", pictures(queries), queries, gallery, (reading,)))
    return tuple(found)
