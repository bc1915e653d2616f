"""What a checkpoint is calibrated on: searches for people whose truth is known, of every kind that the data allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from app.model.checkpoint import KINDS_OF_QUERY, KindOfQuery
from app.model.vocabulary import Attribute
from gallery_store.console import remark
from gallery_store.decoding import PictureError, open_picture
from training.datasets.load import CSV, load
from training.datasets.record import Record
from training.evaluation.harness import EvalQuery
from training.evaluation.protocols import fit
from training.evaluation.trials import labels, people
from training.synthetic.captions import fragment
from training.synthetic.truth import TOLD_CHANGES

FEWEST_PEOPLE = 40
SPLITS = ("train", "val")
TOLD = (2, 6)  # attributes of a description
CHANGES = (1, 3)  # things that are said to have changed


class CalibrationError(ValueError):
    """What stands in the way of a calibration; one sentence that names it and the mend."""


@dataclass(frozen=True)
class Searches:
    """Q searches over a gallery of G crops, with their truth.

    queries, kinds: (Q,). subjects: int64 (Q,), the row of the crop that each is about. right, unsure, own: bool
    (Q, G): crops that are sought; crops that are neither right nor wrong; all that are taken away where the person
    is to be absent.
    """

    gallery: tuple[Record, ...]
    queries: tuple[EvalQuery, ...]
    kinds: tuple[KindOfQuery, ...]
    subjects: np.ndarray
    right: np.ndarray
    unsure: np.ndarray
    own: np.ndarray

    def rows_of(self, kind: str) -> np.ndarray:
        """int64: the queries of this kind."""
        return np.flatnonzero([own == kind for own in self.kinds])

    def readable(self) -> tuple[Searches, int]:
        """The searches without those by a picture that cannot be read, each told; and how many those are."""
        reasons: dict[Path, str] = {}
        for picture in {query.image for query in self.queries if isinstance(query.image, Path)}:
            try:
                open_picture(picture)
            except PictureError as error:
                reasons[picture] = error.reason
        for picture in sorted(reasons):
            remark(f"nobody is searched for by {picture}: {reasons[picture]}")
        kept = [
            row
            for row, query in enumerate(self.queries)
            if not isinstance(query.image, Path) or query.image not in reasons
        ]
        return replace(
            self,
            queries=tuple(self.queries[row] for row in kept),
            kinds=tuple(self.kinds[row] for row in kept),
            **{name: getattr(self, name)[kept] for name in ("subjects", "right", "unsure", "own")},
        ), len(self.queries) - len(kept)


def records_of_data(name: str, root: Path | None) -> tuple[Record, ...]:
    """The people of a data set that a checkpoint may be calibrated on: its "val" split, or its "train" split.

    A name may end in one of them ("market1501:train" stands for the split where there is no such variant).

    Raises:
        CalibrationError: a split for tests. DataSetError: as training.datasets.load.load.
    """
    head, asked = _split_of(name)
    if asked.startswith(("test", "query", "gallery")):
        raise CalibrationError(
            f"{name} are people for tests, and a checkpoint that is calibrated on them has seen its examination: "
            f"name {head} alone, or {head}:train"
        )
    data = load(head if asked in SPLITS else name, root)
    wanted = (asked,) if asked in SPLITS else SPLITS[::-1]
    for split in wanted:
        if found := people(data.splits.get(split, ())):
            return found
    raise CalibrationError(f"{data.name} has no pictures in {' or '.join(wanted)} to calibrate on")


def _split_of(name: str) -> tuple[str, str]:
    """(what stands before the last colon, what stands after it, which may be a split)."""
    head, _, last = name.rpartition(":")
    return head, last.casefold() if head not in ("", CSV) else ""


def may_know(sets: Sequence[str], name: str) -> bool:
    """Whether who learnt from these data sets may know people of this one; all as the command line names them.

    Variants of one set share people; a CSV is known by its file.
    """
    head, asked = _split_of(name)
    own = _people_of(head if asked in SPLITS else name)
    return any(_people_of(one) == own for one in sets)


def _people_of(name: str) -> tuple[str, str]:
    kind, _, variant = name.strip().partition(":")
    if kind == CSV:
        return kind, str(Path(variant).expanduser().resolve())
    return kind.casefold(), ""


def records_of_gallery(gallery: str | Path) -> tuple[Record, ...]:
    """The crops of an imported gallery that say whom they show.

    Raises:
        CalibrationError: nobody in it has a name. GalleryError: it cannot be opened, or is not there.
    """
    from gallery_store.crops import Filters
    from gallery_store.location import location_shown
    from gallery_store.store import GalleryStore

    with GalleryStore.open(gallery, must_exist=True) as store:
        crops = [crop for crop in store.crops(store.matching(Filters()).tolist()) if crop.person]
        store.absent(crops)  # of a storage, brought many at a time
        files = [crop.file if isinstance(crop.file, Path) else crop.file.local() for crop in crops]
    records = tuple(
        Record(file, crop.person, crop.camera or "", "infrared" in crop.tags, crop.clothes or "")
        for crop, file in zip(crops, files, strict=True)
        if crop.person
    )
    if not records:
        raise CalibrationError(
            f"no crop of {location_shown(gallery)} says whom it shows: import a manifest with a `person` column, or "
            "files named as Market-1501's are"
        )
    return people(records)


def check(records: Sequence[Record]) -> None:
    """Raises CalibrationError where there are too few people, or nothing to tell right from wrong by."""
    count = len({record.person for record in records})
    if count < FEWEST_PEOPLE:
        raise CalibrationError(
            f"there are {count} people, and at least {FEWEST_PEOPLE} are needed: half of them to fit on and half to "
            "measure on"
        )
    if not _seen_twice(records) and not any(record.captions or record.attributes for record in records):
        seen = {record.camera for record in records if record.camera}
        raise CalibrationError(
            f"all crops are by {'one camera' if seen else 'cameras without a name'}, and a picture finds its "
            "neighbours of one camera too easily: people seen by two cameras are needed"
        )


def halves(
    records: Sequence[Record], share: float, seed: int = 0
) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """(to fit on, to measure on): this share of the people and the others; no person is in both."""
    everybody = sorted({record.person for record in records})
    order = np.random.default_rng((seed, 107)).permutation(len(everybody))
    fitted = {everybody[place] for place in order[: round(share * len(everybody))]}
    chosen = tuple(record for record in records if record.person in fitted)
    return chosen, tuple(record for record in records if record.person not in fitted)


def searches(records: Sequence[Record], count: int, seed: int = 0) -> Searches:
    """At most `count` searches of each kind that the records allow, spread evenly over their people.

    By picture: right is the person by another camera, in the same clothes where clothes are noted;
    `image-other-clothes` seeks them in others. By words: where a crop's attributes are noted, a few of them, and right
    is every crop that shows them; else a caption, and right are the person's other crops. By both: a picture, and words
    about another crop of the person, by another camera and in other clothes where there are such. What is not known to
    be right or wrong is left out: the query's own crop, the person by the query's own camera, crops that do not show
    all that is told.

    Raises:
        CalibrationError: no kind of search has any.
    """
    gallery = tuple(records)
    truth = _Truth(gallery)
    rng = np.random.default_rng((seed, 109))
    made: list[_Search] = []
    for kind in KINDS_OF_QUERY:
        found = 0
        for row in _by_turns(truth.person, rng):
            search = _MAKES[kind](truth, row, rng)
            if search is not None and search.right.any():
                made.append(replace(search, kind=kind))
                found += 1
            if found == count:
                break
    if not made:
        raise CalibrationError(
            "nobody can be searched for: no person is seen by two cameras, and no crop has words"
        )
    return Searches(
        gallery,
        tuple(search.query for search in made),
        tuple(search.kind for search in made),
        np.array([search.row for search in made], np.int64),
        np.stack([search.right for search in made]),
        np.stack([search.unsure for search in made]),
        np.stack([search.own for search in made]),
    )


class _Truth:
    """What is noted of a gallery, column by column, str (G,)."""

    def __init__(self, gallery: tuple[Record, ...]) -> None:
        self.gallery = gallery
        self.person, self.camera, self.clothes = (
            labels(gallery, what) for what in ("person", "camera", "clothes")
        )

    def same(self, row: int) -> np.ndarray:
        return self.person == self.person[row]

    def elsewhere(self, row: int) -> np.ndarray:
        """By another camera; never where either has no name."""
        return (self.camera != self.camera[row]) & (self.camera != "") & bool(self.camera[row])

    def dressed_alike(self, row: int) -> np.ndarray:
        """In the same clothes, or nobody noted them."""
        if not self.clothes[row]:
            return np.ones(len(self.clothes), bool)
        return (self.clothes == self.clothes[row]) | (self.clothes == "")

    def dressed_otherwise(self, row: int) -> np.ndarray:
        return (self.clothes != self.clothes[row]) & (self.clothes != "") & bool(self.clothes[row])


@dataclass(frozen=True)
class _Search:
    row: int
    query: EvalQuery
    right: np.ndarray
    unsure: np.ndarray
    own: np.ndarray
    kind: KindOfQuery = "image"


def _by_image(truth: _Truth, row: int, rng: np.random.Generator) -> _Search | None:
    same = truth.same(row)
    right = same & truth.elsewhere(row) & truth.dressed_alike(row)
    return _Search(row, EvalQuery(image=truth.gallery[row].image), right, same & ~right, same)


def _in_other_clothes(truth: _Truth, row: int, rng: np.random.Generator) -> _Search | None:
    same = truth.same(row)
    right = same & truth.elsewhere(row) & truth.dressed_otherwise(row)
    query = EvalQuery(image=truth.gallery[row].image, other_clothes=True)
    return _Search(row, query, right, same & ~right, same)


def _by_text(truth: _Truth, row: int, rng: np.random.Generator) -> _Search | None:
    record, itself = truth.gallery[row], np.arange(len(truth.gallery)) == row
    if record.attributes:
        told = fragment(record.attributes, rng, int(rng.integers(TOLD[0], TOLD[1] + 1)))
        right, unsure = fit(told, truth.gallery)
        return _Search(
            row, EvalQuery(wanted=_wanted(told)), right & ~itself, unsure | itself, right | unsure | itself
        )
    if not record.captions:
        return None
    same = truth.same(row)
    right = same & truth.dressed_alike(row) & ~itself
    return _Search(row, EvalQuery(text=_one(record.captions, rng)), right, same & ~right, same)


def _by_both(truth: _Truth, row: int, rng: np.random.Generator) -> _Search | None:
    record, same = truth.gallery[row], truth.same(row)
    others = same & truth.elsewhere(row)
    changed = others & truth.dressed_otherwise(row)
    witnesses = np.flatnonzero(changed if changed.any() else others)
    if not len(witnesses):
        return None
    witness = int(rng.choice(witnesses))
    seen = truth.gallery[witness]
    right = others & truth.dressed_alike(witness)
    if seen.attributes and record.attributes:
        news = [
            k for k in TOLD_CHANGES if k in seen.attributes and seen.attributes[k] != record.attributes.get(k)
        ]
        if not news:
            return None
        most = int(rng.integers(CHANGES[0], CHANGES[1] + 1))
        told = {k: seen.attributes[k] for k in rng.permutation(news)[:most].tolist()}
        fits, _ = fit(told, truth.gallery)
        right = same & truth.elsewhere(row) & fits
        query = EvalQuery(image=record.image, wanted=_wanted(told))
    elif seen.captions:
        right[witness] = False  # the words were written for this very crop
        query = EvalQuery(image=record.image, text=_one(seen.captions, rng))
    else:
        return None
    return _Search(row, query, right, same & ~right, same)


_MAKES: dict[KindOfQuery, Callable[[_Truth, int, np.random.Generator], _Search | None]] = {
    "text": _by_text,
    "image": _by_image,
    "image-plus-text": _by_both,
    "image-other-clothes": _in_other_clothes,
}


def _by_turns(person: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Rows at random, one of each person, then a second one of each, and so on."""
    order = rng.permutation(len(person))
    turns, seen = np.empty(len(person), np.int64), Counter[str]()
    for place, name in enumerate(person[order].tolist()):
        turns[place] = seen[name]
        seen[name] += 1
    yield from order[np.argsort(turns, kind="stable")].tolist()


def _seen_twice(records: Sequence[Record]) -> bool:
    """Whether two cameras are named."""
    return len({record.camera for record in records if record.camera}) > 1


def _wanted(told: dict[str, str]) -> tuple[Attribute, ...]:
    return tuple(Attribute(kind, value) for kind, value in told.items())


def _one(captions: Sequence[str], rng: np.random.Generator) -> str:
    return captions[int(rng.integers(len(captions)))]
