"""The index by which a PostgreSQL finds the nearest vectors: made where wanted, and measured against exact search."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np

from gallery_store.console import Progress
from gallery_store.crops import Filters
from gallery_store.followed_index import AUTO_DATABASE
from gallery_store.postgres import PostgresDatabase
from gallery_store.store import GalleryStore

FIRST = 64  # crops that a search asks the model about
HEAD = 3000  # crops that one look into the database finds, to be among; of 2000 a few of the best by words were missed


@dataclass(frozen=True)
class Recall:
    """crops: in the gallery. recall: share of the FIRST nearest that are found, the mean of so many searches with crops
    of the gallery. by_index, exact: seconds of a search, medians.
    """

    crops: int
    searches: int
    recall: float
    by_index: float
    exact: float


def make_search_index(store: GalleryStore, progress: Progress) -> bool:
    """Make the index of each encoder's vectors that has none; -> whether any was made. Imports and searches go on.

    Raises GalleryError, also where the gallery is a file.
    """
    made = [vectors.make_index(progress) for vectors in store.vectors_in_database()]
    return any(made)


def make_where_wanted(store: GalleryStore, progress: Progress) -> bool:
    """As make_search_index, where the gallery lies in PostgreSQL and a search is made there by default."""
    is_large = isinstance(store.database, PostgresDatabase) and store.count() > AUTO_DATABASE
    return is_large and make_search_index(store, progress)


def measure_recall(store: GalleryStore, searches: int = 20, seed: int = 0) -> Recall:
    """Compare searches by the index with exact ones. store: opened to be searched in the database, and not empty."""
    ids = store.matching(Filters())
    chosen = np.random.default_rng(seed).choice(ids, min(searches, len(ids)), replace=False)
    shares, seconds = [], {False: [0.0] * 0, True: [0.0] * 0}
    for row in store.vectors(chosen):
        found = {}
        for exact in (False, True):
            began = time.perf_counter()
            found[exact] = store.nearest(row, ids, HEAD, exact=exact)
            seconds[exact].append(time.perf_counter() - began)
        cosines = store.similarities(row[None], found[True])[0]
        first = found[True][np.argsort(-cosines, kind="stable")[:FIRST]]
        shares.append(float(np.isin(first, found[False]).mean()))
    by_index, exactly = (statistics.median(seconds[exact]) for exact in (False, True))
    return Recall(len(ids), len(shares), float(np.mean(shares)), by_index, exactly)
