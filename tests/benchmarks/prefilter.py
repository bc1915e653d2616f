"""What a search costs before the model is asked: `python -m tests.benchmarks.prefilter`.

Galleries of random unit vectors in memory, six cameras and five per cent of the crops on a seventh. For a description
with three attributes and for a picture, without a filter and on the seventh camera: what the prefilter takes, in scans
of the gallery by NumPy (one float32 vector against all). "Kept" is the app's way; "on demand" multiplies the words for
each value with every crop in each search. Recall: the share of the first 64 by exact arithmetic in float64 that are
among the first 64. Memory: the process's peak.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from app.model.checkpoint import Calibration
from app.model.vocabulary import KINDS, Attribute
from app.retrieval.attribute_columns import AttributeColumns, GalleryAppearance
from app.retrieval.attribute_probs import ClipAttributes, PictureAppearance, Probs, gallery_priors
from app.retrieval.fusion import query_similarity
from app.retrieval.near import SAMPLED
from app.retrieval.prefilter import prefilter
from app.retrieval.query import Query, Reference
from gallery_store.crops import Filters
from gallery_store.index import Index
from gallery_store.store import GalleryStore
from gallery_store.vectors import Vectors

SHARPNESS, FIRST, SEVENTH = 30.0, 64, 0.05
WORDS = (Attribute("gender", "woman"), Attribute("upper", "jacket"), Attribute("upper_colour", "red"))
FITTED = Calibration(1, 4, -1, 5, -2, tau=-1, threshold=0.3, attribute_share=0.5, stated_share=1 / 12)


class RandomWords:
    """Each text a fixed random unit row of `dim` numbers."""

    logit_scale = SHARPNESS

    def __init__(self, dim: int) -> None:
        self.dim = dim

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        seeds = [[*text.encode()] for text in texts]
        return _unit(
            np.stack([np.random.default_rng(s).standard_normal(self.dim, np.float32) for s in seeds])
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--crops", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    for count in chosen.crops:
        with tempfile.TemporaryDirectory() as place, GalleryStore.open(Path(place) / "gallery.db") as store:
            store._index = _index(count, chosen.dim)
            _measure(store, ClipAttributes(RandomWords(chosen.dim)), chosen.repeats)  # type: ignore[arg-type]


def _measure(store: GalleryStore, clip: ClipAttributes, repeats: int) -> None:
    every = store.index.ids
    kept_vectors, count = store.index.vectors, len(every)
    vectors = kept_vectors.rows(slice(None))  # for NumPy
    one = clip._encoder.encode_texts(["a woman in a red jacket"])
    scan = _seconds(lambda: one @ vectors.T, repeats)
    columns = AttributeColumns(store, clip)
    began = time.perf_counter()
    columns.prepare()
    prepared = time.perf_counter() - began
    kept, beside = sum(columns.probs(every)[kind].nbytes for kind in KINDS), kept_vectors.halves.nbytes
    print(
        f"{count:,} crops of {vectors.shape[1]} numbers: a scan {1000 * scan:.1f} ms; attributes of all crops "
        f"computed in {prepared:.1f} s, {kept / 2**20:.0f} MB beside {beside / 2**20:.0f} MB of vectors"
    )
    print(f"{'':30}{'on demand':>12}{'kept':>12}   scans of the gallery{'recall':>10}")
    for name, asked in (
        ("by words", _Asked(Query(wanted=WORDS), one[0], None)),
        (
            "by picture",
            _Asked(Query(references=(Reference(image_id=1),)), None, clip.appearance(vectors[:1])),
        ),
    ):
        for filtered, filters in (("", Filters()), (", 5 % of the crops", Filters(cameras=("seventh",)))):
            ways = [partial(_search, store, filters, asked, way) for way in (_OnDemand(store, clip), columns)]
            before, now = (_seconds(way, repeats) for way in ways)
            ids, first = ways[1]()
            exact = _exact(asked, vectors[store.index.rows_of(ids)], clip)
            best = ids[np.argsort(-exact, kind="stable")[:FIRST]]
            recall = len(np.intersect1d(first, best)) / FIRST
            print(f"{name + filtered:30}{before / scan:12.2f}{now / scan:12.2f}{'':24}{recall:10.3f}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak:.2f} GB\n")


@dataclass(frozen=True)
class _Asked:
    """A query, its text's unit row (dim,), and its pictures."""

    query: Query
    text: np.ndarray | None
    own: PictureAppearance | None


def _search(
    store: GalleryStore, filters: Filters, asked: _Asked, columns: AttributeColumns | _OnDemand
) -> tuple[np.ndarray, np.ndarray]:
    """Ids that pass the filters, and the first of them, as the engine finds them."""
    ids = store.matching(filters)
    priors = gallery_priors(columns.probs(ids[np.linspace(0, len(ids) - 1, SAMPLED).astype(np.int64)]))
    crops = GalleryAppearance(store, ids, columns)  # type: ignore[arg-type]
    found = query_similarity(asked.query, asked.text, asked.own, crops, FITTED, priors)
    return ids, prefilter(ids, found, tau=-1.0, k=FIRST, encoder="").ids[:FIRST]


class _OnDemand:
    """As AttributeColumns, but that nothing is kept."""

    def __init__(self, store: GalleryStore, clip: ClipAttributes) -> None:
        self.store, self.clip, self.confusion = store, clip, clip.confusion

    def probs(self, ids: np.ndarray, _compared: object = None) -> Probs:
        return self.clip.probs(lambda rows: self.store.similarities(rows, ids))


def _exact(asked: _Asked, vectors: np.ndarray, clip: ClipAttributes) -> np.ndarray:
    """The same similarity in float64, and every crop compared by its attributes."""
    exact = vectors.astype(np.float64)
    crops = PictureAppearance(exact, clip.probs(lambda rows: rows.astype(np.float64) @ exact.T))
    sample = vectors[np.linspace(0, len(vectors) - 1, SAMPLED).astype(np.int64)]
    priors = gallery_priors(clip.appearance(sample).probs)
    return query_similarity(asked.query, asked.text, asked.own, crops, FITTED, priors)


def _index(count: int, dim: int) -> Index:
    rng = np.random.default_rng(0)
    vectors = np.empty((count, dim), np.float16)
    for start in range(0, count, 10_000):
        stop = min(count, start + 10_000)
        vectors[start:stop] = _unit(rng.standard_normal((stop - start, dim), np.float32))
    cameras = rng.integers(0, 6, count).astype(np.int32)
    cameras[rng.permutation(count)[: round(SEVENTH * count)]] = 6
    names = {str(number): (number, str(number)) for number in range(6)} | {"seventh": (6, "seventh")}
    return replace(
        Index.empty(),
        ids=np.arange(1, count + 1),
        vectors=Vectors(vectors),
        cameras=cameras,
        times=np.full(count, np.datetime64("NaT"), "datetime64[us]"),
        days=np.full(count, -1, np.int32),
        clocks=np.full(count, -1, np.int64),
        camera_names=names,
    )


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _seconds(step: Callable[[], object], repeats: int) -> float:
    """Median, after one that does not count."""
    step()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


if __name__ == "__main__":
    main()
