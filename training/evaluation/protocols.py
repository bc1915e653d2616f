"""Protocols: which queries over which gallery, what is right and what is junk; and which one is a benchmark's.

Each takes a data set and says what has to be searched (Trial). Image to image, text to image and visible to infrared
follow their papers. Attribute-based and adaptive multi-modal retrieval are written down after the paper's outline
(section 4.2), which leaves them to an unpublished supplement; docs/evaluation.md has ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import numpy as np

from app.model.vocabulary import ALL_KINDS, Attribute
from training.datasets.load import load, parse_name
from training.datasets.record import DISTRACTOR, DataSet, Record
from training.datasets.specs import SPECS
from training.evaluation.harness import EvalQuery
from training.evaluation.metrics import Relevance
from training.evaluation.trials import Setting, Trial, all_rows, labels, people

TRIALS = 10
GALLERY = 1000  # N of the paper: images sampled at random from an attribute-annotated set
MOST_TOLD = 3  # attributes of a query
ATTRIBUTE_SPLITS = ("query", "gallery", "test")
ALL_SEARCH, INDOOR_SEARCH = ("1", "2", "4", "5"), ("1", "2")  # visible cameras of the gallery
ONE_PLACE = ("3", "2")  # an infrared camera and the visible one that hangs beside it
MULTI_SHOT = 10  # pictures of a person by a camera

Loader = Callable[[str], DataSet]  # variant -> data set


class ProtocolError(ValueError):
    """A data set that a protocol cannot be run on; the message names what it lacks."""


@dataclass(frozen=True)
class Benchmark:
    """What is to be measured.

    name: as training.datasets.load takes it (market1501, csv:FILE, synthetic:seed=3). protocol: "" for the
    benchmark's own. variant: "" for the usual one; of RegDB for all ten trials. trials: of protocols that draw
    galleries. queries: at most so many of each setting, evenly spread; 0 for all. seed: of what is drawn by
    our own protocols (attributes, image-plus-text).
    """

    name: str
    root: Path | None = None
    variant: str = ""
    protocol: str = ""
    trials: int = TRIALS
    queries: int = 0
    seed: int = 0


def trials_of(benchmark: Benchmark) -> tuple[Trial, ...]:
    """Load the data and lay out its trials.

    Raises:
        DataSetError: no such data set, or a broken one. ProtocolError: no such protocol, or the data lack
        what it needs.
    """
    if benchmark.trials < 1:
        raise ProtocolError(f"at least one trial is needed, not {benchmark.trials}")

    def loaded(variant: str) -> DataSet:
        return load(benchmark.name, benchmark.root, variant=variant)

    protocol = benchmark.protocol or protocol_of(benchmark.name, loaded)
    if protocol not in PROTOCOLS:
        raise ProtocolError(f"there is no protocol {protocol!r}; there are {', '.join(PROTOCOLS)}")
    trials = PROTOCOLS[protocol](loaded, benchmark)
    return tuple(trial.head(benchmark.queries) for trial in trials) if benchmark.queries else trials


def protocol_of(name: str, loaded: Loader) -> str:
    """A benchmark's own protocol; of other data, what their annotations allow (clothes, captions, cameras)."""
    base = parse_name(name).name
    if base in SPECS:
        return base if base in OWN else BY_SETTING.get(SPECS[base].setting, "cross-camera")
    data = loaded("")
    if "query" in data.splits:
        return "ltcc" if data.setting == "clothes-changing" else "cross-camera"
    return BY_SETTING.get(data.setting, "cross-camera")


def cross_camera(data: DataSet) -> tuple[Trial, ...]:
    """Market-1501, MSMT17 and CUHK03: every query over the whole gallery.

    Right: the query's person by another camera. Junk: the person by the query's own camera, and false
    detections (-1), which are left out of the gallery. Distractors (0000) stay and are never right. AP counts
    every match (Zheng et al., ICCV 2015; MSMT17: Wei et al., CVPR 2018). CUHK03 by its new protocol of 767 and
    700 identities with fixed queries (Zhong et al., CVPR 2017).
    """
    queries, gallery = people(split(data, "query")), people(split(data, "gallery"), distractors=True)
    relevance = Relevance.by_identity(*_persons(queries, gallery), *cameras(queries, gallery))
    setting = Setting("standard", all_rows(len(queries)), relevance)
    return (Trial("standard", pictures(queries), queries, gallery, (setting,)),)


def ltcc(data: DataSet) -> tuple[Trial, ...]:
    """LTCC (Qian et al., ACCV 2020, section 5.1), as CAL (Gu et al., CVPR 2022) evaluates it.

    `standard`: right is the person by another camera, in whatever clothes; the same camera is junk.
    `clothes-changing`: the person in the query's own clothes is junk as well; queries whose person changes
    nothing in the gallery have no match and are left out.
    Both settings share one search, whose queries say that clothes may be others: that is true of both.
    """
    queries, gallery = people(split(data, "query")), people(split(data, "gallery"), distractors=True)
    standard = Relevance.by_identity(*_persons(queries, gallery), *cameras(queries, gallery))
    changing = standard.with_junk_where_equal(labels(queries, "clothes"), labels(gallery, "clothes"))
    rows = all_rows(len(queries))
    settings = (Setting("clothes-changing", rows, changing), Setting("standard", rows, standard))
    return (Trial("ltcc", pictures(queries, other_clothes=True), queries, gallery, settings),)


def prcc(data: DataSet, trials: int = TRIALS) -> tuple[Trial, ...]:
    """PRCC (Yang et al., TPAMI 2019, section 5): single shot, mean of ten trials.

    The gallery of a trial is one picture of each person by camera A, drawn at random; queries are all of
    camera C (`clothes-changing`; they say that clothes may be others) or B (`same-clothes`). No two cameras meet, so
    nothing is junk.
    """
    changed, same = people(split(data, "query-changed")), people(split(data, "query-same"))
    queries = changed + same
    drawn = []
    for trial in range(trials):
        gallery = _one_each(people(split(data, "gallery")), Random(trial))
        relevance = Relevance.by_identity(*_persons(queries, gallery))
        rows = np.split(all_rows(len(queries)), [len(changed)])
        settings = tuple(
            Setting(name, mine, relevance.take(mine))
            for name, mine in zip(("clothes-changing", "same-clothes"), rows, strict=True)
        )
        asked = (*pictures(changed, other_clothes=True), *pictures(same))
        drawn.append(Trial(f"trial-{trial + 1:02d}", asked, queries, gallery, settings))
    return tuple(drawn)


def sysu_mm01(
    data: DataSet, trials: int = TRIALS, settings: Sequence[str] | None = None
) -> tuple[Trial, ...]:
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
    drawn = []
    for name, visible, shots in (
        ("all-single", ALL_SEARCH, 1),
        ("indoor-single", INDOOR_SEARCH, 1),
        ("all-multi", ALL_SEARCH, MULTI_SHOT),
        ("indoor-multi", INDOOR_SEARCH, MULTI_SHOT),
    ):
        if settings is not None and name not in settings:
            continue
        for trial in range(trials):
            gallery = drawn_gallery(test, visible, shots, Random(trial))
            same = labels(queries, "person")[:, None] == labels(gallery, "person")
            beside = (labels(queries, "camera") == ONE_PLACE[0])[:, None] & (
                labels(gallery, "camera") == ONE_PLACE[1]
            )
            setting = Setting(
                name, all_rows(len(queries)), Relevance.by_masks(same & ~beside, beside), by_identity=True
            )
            drawn.append(Trial(f"{name}-{trial + 1:02d}", pictures(queries), queries, gallery, (setting,)))
    return tuple(drawn)


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


def regdb(trials: Sequence[DataSet]) -> tuple[Trial, ...]:
    """RegDB (Nguyen et al., Sensors 2017; ten splits of Ye et al., AAAI 2018): each trial in both directions.

    trials: the data set once for each of its splits. All pictures of one camera over all of the other; there
    are two cameras, so nothing is junk. A model has to have been trained without the trial's test people: one
    that learnt from one split is to be measured on that split alone.
    """
    directions = []
    for number, data in enumerate(trials, 1):
        visible, thermal = people(split(data, "test-visible")), people(split(data, "test-thermal"))
        for name, queries, gallery in (
            ("visible-to-thermal", visible, thermal),
            ("thermal-to-visible", thermal, visible),
        ):
            relevance = Relevance.by_identity(labels(queries, "person"), labels(gallery, "person"))
            setting = Setting(name, all_rows(len(queries)), relevance)
            directions.append(Trial(f"{name}-{number:02d}", pictures(queries), queries, gallery, (setting,)))
    return tuple(directions)


def text_to_image(data: DataSet) -> tuple[Trial, ...]:
    """CUHK-PEDES (Li et al., CVPR 2017), ICFG-PEDES (Ding et al., 2021), RSTPReid (Zhu et al., ACM MM 2021).

    Every caption of the test split is a query, every picture of it is the gallery. Right: all pictures of the
    captioned person, the captioned picture too. There is no junk.
    """
    gallery = people(split(data, "query", "gallery", "test"), distractors=True)
    described = [(r, text) for r in gallery for text in r.captions if r.person != DISTRACTOR]
    if not described:
        raise ProtocolError(f"{data.name} has no captions to search by")
    subjects = tuple(record for record, _ in described)
    relevance = Relevance.by_identity(*_persons(subjects, gallery))
    queries = tuple(EvalQuery(text=text) for _, text in described)
    setting = Setting("text-to-image", all_rows(len(queries)), relevance)
    return (Trial("text-to-image", queries, subjects, gallery, (setting,)),)


def attribute_based(
    data: DataSet, *, seed: int = 0, sample: int = GALLERY, most_told: int = MOST_TOLD
) -> tuple[Trial, ...]:
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
        kinds = [kind for kind in ALL_KINDS if kind in record.attributes]
        count = int(rng.integers(1, min(most_told, len(kinds)) + 1))
        chosen = sorted(rng.permutation(len(kinds))[:count].tolist())
        told.setdefault(tuple((kinds[k], record.attributes[kinds[k]]) for k in chosen), record)
    matches, junk = zip(*(fit(dict(said), gallery) for said in told), strict=True)
    queries = tuple(EvalQuery(wanted=tuple(Attribute(*pair) for pair in said)) for said in told)
    relevance = Relevance.by_masks(np.stack(matches), np.stack(junk))
    setting = Setting("attributes", all_rows(len(queries)), relevance)
    return (Trial("attributes", queries, tuple(told.values()), gallery, (setting,)),)


def fit(told: Mapping[str, str], gallery: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """(right, unsure), bool (G,): crops whose annotation has all that is told; those that lack part of it."""
    seen = [[record.attributes.get(kind) for kind in told] for record in gallery]
    wanted = list(told.values())
    possible = np.array([all(s in (None, w) for s, w in zip(row, wanted, strict=True)) for row in seen])
    known = np.array([None not in row for row in seen])
    return possible & known, possible & ~known


def image_plus_text(data: DataSet, *, seed: int = 0) -> tuple[Trial, ...]:
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
    pictures = [EvalQuery(image=record.image) for record in queries]
    words = [EvalQuery(text=text) for text in texts]
    both = [EvalQuery(image=record.image, text=text) for record, text in zip(queries, texts, strict=True)]
    rows = np.split(all_rows(3 * len(queries)), 3)
    settings = tuple(
        Setting(name, mine, relevance)
        for name, mine in zip(("image-plus-text", "image-only", "text-only"), rows, strict=True)
    )
    return (Trial("multi-modal", (*both, *pictures, *words), tuple(queries) * 3, gallery, settings),)


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


def split(data: DataSet, *names: str) -> tuple[Record, ...]:
    """The records of these splits, those of them that are there. ProtocolError where none has any."""
    records = tuple(record for name in names for record in data.splits.get(name, ()))
    if not records:
        raise ProtocolError(
            f"{data.name} has no {' or '.join(names)} split to evaluate; it has {', '.join(data.splits)}"
        )
    return records


def pictures(records: Sequence[Record], *, other_clothes: bool = False) -> tuple[EvalQuery, ...]:
    """Queries by picture alone. other_clothes: they say that the person may wear others."""
    return tuple(EvalQuery(image=record.image, other_clothes=other_clothes) for record in records)


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


PROTOCOLS: Mapping[str, Callable[[Loader, Benchmark], tuple[Trial, ...]]] = {
    "cross-camera": lambda load_, b: cross_camera(load_(b.variant)),
    "ltcc": lambda load_, b: ltcc(load_(b.variant)),
    "prcc": lambda load_, b: prcc(load_(b.variant), b.trials),
    "sysu-mm01": lambda load_, b: sysu_mm01(load_(b.variant), b.trials),
    "regdb": lambda load_, b: regdb(
        [load_(v) for v in ([b.variant] if b.variant else map(str, range(1, b.trials + 1)))]
    ),
    "text-to-image": lambda load_, b: text_to_image(load_(b.variant)),
    "attributes": lambda load_, b: attribute_based(load_(b.variant), seed=b.seed),
    "image-plus-text": lambda load_, b: image_plus_text(load_(b.variant), seed=b.seed),
}
OWN = ("ltcc", "prcc", "sysu-mm01", "regdb")  # benchmarks that are a protocol of their own
BY_SETTING = {"clothes-changing": "ltcc", "text-to-image": "text-to-image"}
