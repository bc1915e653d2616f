"""Evaluation by the path that operators use: a gallery_store, the app's engine, and every ranker off one pass.

A work folder holds everything (training.evaluation.work_folder), and a killed run goes on in it:

    plan.json         what is evaluated
    pictures/         crops and queries that have no file of their own (drawn ones)
    gallery.db        the gallery, indexed by CLIP
    blocks/N.npz      the hits of the N-th block of queries, written as it goes
"""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.model.checkpoint import KINDS_OF_QUERY, Calibration
from app.model.vocabulary import Attribute
from app.retrieval.query import Query, Reference
from app.retrieval.reid import prefilter_encoder
from gallery_store.console import StepProgress, remark, step_progress
from gallery_store.files import write_file
from training.datasets.record import DrawnPicture, Record
from training.evaluation.hits import (
    BEST_CHOICE,
    BY_NAME,
    FUSED,
    RANKERS,
    Hits,
    QueryHits,
    pairs_in,
    write_block,
)
from training.evaluation.work_folder import HarnessError, begin
from training.evaluation.workers import OpenedModels, Workers

if TYPE_CHECKING:
    from app.retrieval.engine import Engine

BLOCKS_VERSION = 6  # of what a block holds, and of what the model was asked for it
BLOCK = 32  # queries that are searched between two writes


@dataclass(frozen=True)
class EvalQuery:
    """One query: a picture of the person, words about them, or both.

    image: a file, or a drawn crop. wanted, unwanted, text, other_clothes: as app.retrieval.query.Query has them.
    """

    image: Path | DrawnPicture | None = None
    wanted: tuple[Attribute, ...] = ()
    unwanted: tuple[Attribute, ...] = ()
    text: str = ""
    other_clothes: bool = False

    def __post_init__(self) -> None:
        if self.image is None and not (self.wanted or self.unwanted or self.text.strip()):
            raise ValueError("a query needs a picture or words")


@dataclass(frozen=True)
class _Block:
    """A task: queries of one block over one gallery, to be written to a file."""

    gallery: Path
    queries: tuple[Query, ...]
    choose: tuple[bool, ...]
    rankers: tuple[str, ...]
    file: Path


def search_all(
    queries: Sequence[EvalQuery],
    gallery: Sequence[Record],
    workers: Workers,
    *,
    work: Path,
    rankers: Sequence[str] = RANKERS,
    best_choice: int | np.ndarray = 0,
    block: int = BLOCK,
    progress: StepProgress | None = None,
    indexed: Callable[[Path, np.ndarray], None] | None = None,
) -> Hits:
    """Index the gallery (once), search it for every query (those not done yet), and return the hits.

    A shard does its own blocks; those of others may not be there when it returns (work_folder.require_all).

    Args:
        queries: Q queries. gallery: G crops; one that cannot be read stays in it and is never found.
        work: the folder, made where it is not there. rankers: to be asked, of hits.RANKERS; others are passed over.
        best_choice: ask the multi-turn best choice for this
            many queries, spread evenly over all, or for those of a bool mask (Q,); it costs many times a
            pairwise pass.
        block: queries between two writes; changes no score. progress: default writes to stderr; counts the pairs
            that the model read, of about how many.
        indexed: called with the gallery file and each record's crop (as Hits.ids) before anything is searched.

    Raises:
        HarnessError: no queries, no crops, or the folder holds another evaluation. EncoderError, ModelError:
            the models cannot be had. RetrievalError: a query's picture cannot be read.
    """
    if not queries or not gallery:
        raise HarnessError(f"nothing to evaluate: {len(queries)} queries over {len(gallery)} crops")
    show = progress or step_progress()
    chosen = (
        spread(len(queries), best_choice) if isinstance(best_choice, int) else np.asarray(best_choice, bool)
    )
    asked = tuple(ranker for ranker in RANKERS if ranker in rankers)
    if workers.models.model is None or BEST_CHOICE not in asked:
        chosen = np.zeros(len(queries), bool)
    _agree(work, queries, gallery, workers, asked, chosen, block)
    database = workers.shard.gallery(work)
    ids = index_gallery(gallery, workers.opened, work, database, show)
    unique = np.unique(ids[ids >= 0])
    if not len(unique):
        raise HarnessError("no crop of the gallery can be read")
    if indexed is not None:
        indexed(database, ids)
    put = [_query(query, number, work) for number, query in enumerate(queries)]
    starts = range(0, len(queries), block)
    files = {start: work / "blocks" / f"{start // block:05d}.npz" for start in starts}
    own = {start: min(block, len(queries) - start) for start in workers.shard.own(starts)}
    done = [start for start in own if files[start].is_file()]
    tasks = [
        _Block(
            database,
            tuple(put[start : start + block]),
            tuple(bool(c) for c in chosen[start : start + block]),
            asked,
            files[start],
        )
        for start in own
        if start not in done
    ]
    read = sum(pairs_in(files[start]) for start in done)
    answered, all_own = sum(own[start] for start in done), sum(own.values())
    most = min(workers.models.k, len(unique))
    _tell_pairs(show, read, answered, all_own, most)
    for task, pairs in workers.run(_search_block, tasks):
        read, answered = read + pairs, answered + len(task.queries)
        _tell_pairs(show, read, answered, all_own, most)
    opened = workers.opened
    manifest = opened.model.manifest if opened.model else None
    calibrations: dict[str, Calibration | None] = {
        kind: manifest.calibration(by.name, by.version, kind) if manifest else None
        for kind in KINDS_OF_QUERY
        for by in [prefilter_encoder(kind, opened.encoder, opened.reid)]
    }
    return Hits(len(queries), ids, unique, tuple(files.values()), calibrations, asked)


def index_gallery(
    gallery: Sequence[Record],
    opened: OpenedModels,
    work: Path,
    database: Path,
    progress: StepProgress | None = None,
) -> np.ndarray:
    """Import the records into a gallery file in `work`; goes on where a killed import stopped.

    Files stay where they are; drawn crops are drawn into work/pictures.

    Returns:
        int64 (G,): the crop's id of each record, -1 where its picture cannot be read. Records that are one
        picture by one camera share an id.
    """
    from gallery_store.crops import camera_key
    from gallery_store.importer import import_crops
    from gallery_store.store import GalleryStore

    show = progress or step_progress()
    files = [_file(record.image, work / "pictures" / f"g{row:06d}.jpg") for row, record in enumerate(gallery)]
    rows = [("path", "camera", "person", "clothes", "tags")]
    for file, record in zip(files, gallery, strict=True):
        tag = "infrared" if record.infrared else ""
        rows.append((str(file), record.camera, record.person, record.clothes, tag))
    manifest = database.with_suffix(".csv")
    with manifest.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(rows)
    with GalleryStore.open(database) as store:
        report = import_crops(
            store,
            opened.encoder,
            manifest,
            reid=opened.reid,
            link=True,
            progress=lambda done, total: show("index", done, total),
        )
        for rejected in report.rejected:
            remark(f"not in the gallery: {rejected.path}: {rejected.reason}")
        by_path = store.ids_by_path([str(file) for file in files])
        ids = np.array([by_path.get(str(file), [-1])[0] for file in files], np.int64)
        lost = np.flatnonzero(ids < 0)
        if len(lost):  # unreadable, or the same picture by the same camera as another record
            known = {
                (crop.sha256, camera_key(crop.camera or "")): crop.id
                for crop in store.crops(sorted({found[0] for found in by_path.values()}))
            }
            for row in lost.tolist():
                if files[row].is_file():
                    sha = hashlib.sha256(files[row].read_bytes()).hexdigest()
                    ids[row] = known.get((sha, camera_key(gallery[row].camera)), -1)
    return ids


def _tell_pairs(show: StepProgress, read: int, answered: int, queries: int, most: int) -> None:
    """Progress in pairs of query and candidate: `read` in the `answered` queries, of about how many in all `queries`.

    most: pairs of one query, while none has been answered.
    """
    each = read / answered if answered else most
    show("search, pairs", read, read if answered == queries else max(read + 1, round(each * queries)))


def _search_block(opened: OpenedModels, task: _Block) -> int:
    """Returns how many pairs the model read."""
    engine = opened.engine(task.gallery)
    hits = [
        _search(engine, query, task.rankers, choose)
        for query, choose in zip(task.queries, task.choose, strict=True)
    ]
    write_block(task.file, hits)
    return sum(one.asked for one in hits)


def _search(engine: Engine, query: Query, rankers: Sequence[str], choose_too: bool) -> QueryHits:
    found = engine.find_candidates(query)
    ids = engine.store.matching(query.filters)
    similarities = np.full(len(ids), np.nan, np.float32)
    prefiltered, candidates = found.prefiltered, found.candidates
    similarities[np.searchsorted(ids, prefiltered.ids)] = prefiltered.similarities
    began = time.perf_counter()
    for ranker in rankers:  # each asks what it needs, and nothing is asked twice
        if ranker != BEST_CHOICE:
            BY_NAME[ranker](found.query, candidates)
    asked = time.perf_counter()
    if choose_too:
        BY_NAME[BEST_CHOICE](found.query, candidates)
    chosen = time.perf_counter()
    return QueryHits(
        ids,
        similarities,
        prefiltered.asked,
        candidates.known("yes_logits"),
        candidates.known("attribute_score"),
        candidates.fused.similarity if FUSED in rankers else np.full(prefiltered.asked, np.nan),
        candidates.known("choice_scores"),
        found.query.rarity,
        prefiltered.passed,
        choose_too,
        query.kind,
        np.array([*found.seconds, asked - began, chosen - asked]),
    )


def _query(query: EvalQuery, number: int, work: Path) -> Query:
    references: tuple[Reference, ...] = ()
    if query.image is not None:
        references = (Reference(file=_file(query.image, work / "pictures" / f"q{number:06d}.jpg")),)
    return Query(query.wanted, query.unwanted, query.text, references, other_clothes=query.other_clothes)


def _file(image: Path | DrawnPicture, where: Path) -> Path:
    """The picture's own file, or a JPEG of a drawn one."""
    if isinstance(image, Path):
        return image.absolute()
    if not where.is_file():
        from training.synthetic.render import encode

        write_file(where, encode(image.picture()))
    return where.absolute()


def spread(count: int, wanted: int) -> np.ndarray:
    """bool (count,): `wanted` of them, evenly spread, the first among them."""
    chosen = np.zeros(count, bool)
    wanted = min(wanted, count)
    if wanted:
        chosen[(np.arange(wanted) * count) // wanted] = True
    return chosen


def _agree(
    work: Path,
    queries: Sequence[EvalQuery],
    gallery: Sequence[Record],
    workers: Workers,
    rankers: Sequence[str],
    chosen: np.ndarray,
    block: int,
) -> None:
    digest = hashlib.sha256()
    for item in (*queries, *gallery):
        digest.update(repr(item).encode())
    plan = {
        "blocks": BLOCKS_VERSION,
        "models": workers.models.fingerprint(),
        "queries": len(queries),
        "crops": len(gallery),
        "content": digest.hexdigest(),
        "rankers": list(rankers),
        "best_choice": np.flatnonzero(chosen).tolist(),
        "block": block,
    }
    begin(work, plan)
