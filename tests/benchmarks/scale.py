"""What a large gallery costs, before a model is asked: start, memory, and searches, in memory and inside PostgreSQL.

    CHATREID_TEST_POSTGRES=1 python -m tests.benchmarks.scale --crops 100000

1 takes the packaged server, a URL a server of yours; without the variable PostgreSQL is left out. Crops are rows
without pictures. A crop's vector is the sum of the words for what one person wears, of that person, and of noise, so
that there are groups of all sizes; 5 % of the crops are on one camera, 0.1 % on another. Each way runs in a process of
its own. Ready: opened, the index and the attributes read. Memory: what the process grew by until then, and at most, as
a multiple of the float16 vectors alone. Searches, medians: what is prefiltered for three attributes in words, and for a
picture, in scans by NumPy (one float32 vector against all of them, timed beside each search). Recall: of the 64
first by arithmetic over all crops. FAISS: IndexFlatIP for one vector, where faiss is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from app.model.checkpoint import Calibration
from app.model.vocabulary import KINDS, Attribute, describe
from app.retrieval.attribute_columns import AttributeColumns
from app.retrieval.attribute_probs import ClipAttributes, PictureAppearance, gallery_priors
from app.retrieval.fusion import query_similarity
from app.retrieval.near import crops_to_compare, spread
from app.retrieval.prefilter import prefilter
from app.retrieval.query import Query
from app.retrieval.references import OpenQuery
from gallery_store.crops import Filters
from gallery_store.followed_index import IndexPlace
from gallery_store.search_index import make_search_index
from gallery_store.store import GalleryStore
from tests import postgres_server
from tests.benchmarks import gallery_databases
from tests.benchmarks.prefilter import RandomWords

SHARPNESS, FIRST, ASKED, _PAGE = 30.0, 64, 4, 5000
FITTED = Calibration(1, 4, -1, 5, -2, tau=-1, threshold=0.3, attribute_share=0.5, stated_share=1 / 12)
FILTERS = {"": Filters(), ", 5 %": Filters(cameras=("seventh",)), ", 0.1 %": Filters(cameras=("eighth",))}


def camera(crop_id: int) -> str:
    if crop_id % 1000 == 1:
        return "eighth"
    return "seventh" if crop_id % 20 == 2 else f"c{crop_id % 6}"


def words_of(dim: int) -> dict[str, np.ndarray]:
    """kind -> float32 (values, dim), unit rows."""
    encoder = RandomWords(dim)
    return {
        kind: encoder.encode_texts([describe((Attribute(kind, value),)) for value in values])
        for kind, values in KINDS.items()
    }


def vectors_of(count: int, dim: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Blocks of unit vectors, float32 (n, dim): of twelve crops a person in the mean."""
    words, people = words_of(dim), max(1, count // 12)
    rng = np.random.default_rng(seed)
    # Some values are common and some are rare.
    wears = {
        kind: rng.choice(len(rows), people, p=rng.dirichlet(np.full(len(rows), 0.7)))
        for kind, rows in words.items()
    }
    for start in range(0, count, _PAGE):
        whom = rng.integers(people, size=min(_PAGE, count - start))
        found = sum(rows[wears[kind][whom]] for kind, rows in words.items())
        own = np.stack([np.random.default_rng([seed, person]).standard_normal(dim) for person in whom])
        found = found + (2 * own + 1.5 * rng.standard_normal((len(whom), dim))) / np.sqrt(dim)
        yield (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def fill(place: Path | str, count: int, dim: int) -> None:
    gallery_databases.fill(place, vectors_of(count, dim), camera)


class Asked:
    """One query, by words or by a picture: what it says, its text's row and its picture's."""

    def __init__(self, number: int, dim: int, by_words: bool) -> None:
        rng = np.random.default_rng([number, by_words])
        words = words_of(dim)
        shown = {kind: int(rng.integers(len(rows))) for kind, rows in words.items()}
        said = sorted(rng.choice(list(KINDS), 3, replace=False)) if by_words else list(KINDS)
        row = sum(words[kind][shown[kind]] for kind in said) + rng.standard_normal(dim) / np.sqrt(dim)
        self.row = (row / np.linalg.norm(row)).astype(np.float32)
        wanted = tuple(Attribute(str(kind), KINDS[kind][shown[kind]]) for kind in said) if by_words else ()
        self.query, self.by_words = Query(wanted=wanted), by_words

    def opened(self, priors: Any) -> OpenQuery:
        vector = self.row if self.by_words else None
        return OpenQuery(self.query, "", vector, (), FITTED, priors)

    def own(self, clip: ClipAttributes) -> PictureAppearance | None:
        return None if self.by_words else clip.appearance(self.row[None])


def queries(dim: int) -> dict[str, list[Asked]]:
    return {
        name: [Asked(number, dim, by_words) for number in range(ASKED)]
        for name, by_words in (("by words", True), ("by picture", False))
    }


def first_of(
    store: GalleryStore, clip: ClipAttributes, columns: AttributeColumns, asked: Asked, filters: Filters
) -> np.ndarray:
    """Ids of the first, as the engine finds them."""
    ids = store.matching(filters)
    opened, own = asked.opened(gallery_priors(columns.probs(spread(ids)))), asked.own(clip)
    crops = crops_to_compare(opened, own, None, ids, columns, clip, store)
    found = query_similarity(asked.query, opened.vector, own, crops, FITTED, opened.priors)
    return prefilter(crops.ids, found, tau=-1.0, k=FIRST).ids[:FIRST]


def exact_first(vectors: np.ndarray, dim: int) -> dict[str, list[list[int]]]:
    """ "by words, 5 %" -> for each query the ids of the first, every crop compared by its vector and attributes."""
    clip = ClipAttributes(RandomWords(dim), SHARPNESS)  # type: ignore[arg-type]
    crops = clip.appearance(vectors)
    every = np.arange(1, len(vectors) + 1)
    cameras = np.array([camera(int(n)) for n in every])
    found: dict[str, list[list[int]]] = {}
    for name, some in queries(dim).items():
        for asked in some:
            for part, filters in FILTERS.items():
                ids = every[np.isin(cameras, filters.cameras)] if filters.cameras else every
                priors = gallery_priors(clip.appearance(vectors[spread(ids) - 1]).probs)
                here = crops if len(ids) == len(every) else clip.appearance(vectors[ids - 1])
                alike = query_similarity(
                    asked.query, asked.opened(priors).vector, asked.own(clip), here, FITTED, priors
                )
                first = ids[np.argsort(-alike, kind="stable")[:FIRST]]
                found.setdefault(name + part, []).append(first.tolist())
    return found


def measure(place: str, index: IndexPlace, dim: int, repeats: int, exact: Path) -> dict[str, Any]:
    """Of this process, which has done nothing else yet."""
    clip = ClipAttributes(RandomWords(dim), SHARPNESS)  # type: ignore[arg-type]
    for kind in KINDS:
        clip.vectors(kind) @ np.zeros((dim, 1), np.float32)
    import torch

    torch.zeros(9) @ torch.zeros(9)
    before, began = memory("VmRSS"), time.perf_counter()
    with GalleryStore.open(place, index=index) as store:
        columns = AttributeColumns(store, clip)
        columns.prepare()
        store.matching(Filters())
        figures: dict[str, Any] = {"ready, s": time.perf_counter() - began}
        halves = 2 * dim * store.count() / 2**20
        figures["memory, MB"] = memory("VmRSS") - before
        figures["times the vectors"] = figures["memory, MB"] / halves
        best = json.loads(exact.read_text())
        steps = {
            name + part: [partial(first_of, store, clip, columns, asked, filters) for asked in some]
            for name, some in queries(dim).items()
            for part, filters in FILTERS.items()
        }
        recalls = {
            name: np.mean([np.isin(want, step()).mean() for want, step in zip(best[name], some, strict=True)])
            for name, some in steps.items()
        }
        figures["at most, times the vectors"] = (memory("VmHWM") - before) / halves
        # A scan stands beside each search: how busy the machine is changes.
        every, row = np.ones((store.count(), dim), np.float32), np.ones((1, dim), np.float32)
        scans = []
        for name, some in steps.items():
            took = [
                (seconds(partial(np.matmul, row, every.T), repeats), seconds(step, repeats)) for step in some
            ]
            scan, search = (statistics.median(times) for times in zip(*took, strict=True))
            scans.append(scan)
            figures[name] = search / scan, 1000 * search, float(recalls[name])
        figures["a scan, ms"] = 1000 * statistics.median(scans)
    return figures


def memory(what: str) -> float:
    """MB of this process: VmRSS now, VmHWM at most."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{what}:")[2].split()[0]) / 1024


def seconds(step: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def faiss_scan(vectors: np.ndarray, row: np.ndarray, repeats: int) -> float | None:
    try:
        import faiss
    except ImportError:
        return None
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return seconds(lambda: index.search(row, FIRST), repeats + 1)


def in_a_process(*arguments: object) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.scale", "--measure", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=dict(os.environ))
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--measure", nargs=5, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        place, index, dim, repeats, exact = chosen.measure
        print(json.dumps(measure(place, index, int(dim), int(repeats), Path(exact))))
        return
    count, dim, repeats = chosen.crops, chosen.dim, chosen.repeats
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        vectors = np.concatenate(list(vectors_of(count, dim)))
        exact = folder / "exact.json"
        exact.write_text(json.dumps(exact_first(vectors.astype(np.float16).astype(np.float32), dim)))
        row = queries(dim)["by picture"][0].row[None]
        scan = seconds(partial(np.matmul, row, vectors.T), 2 * repeats + 1)
        flat = faiss_scan(vectors, row, 2 * repeats)
        del vectors
        fill(folder / "g.db", count, dim)
        found = {"SQLite, memory": in_a_process(folder / "g.db", "memory", dim, repeats, exact)}
        said = ""
        if postgres_server.WANTED:
            url = stack.enter_context(stack.enter_context(postgres_server.server()).database(folder))
            fill(url, count, dim)
            found["PostgreSQL, memory"] = in_a_process(url, "memory", dim, repeats, exact)
            with GalleryStore.open(url) as store:
                began = time.perf_counter()
                make_search_index(store, lambda done, total: None)
                said = f"; the index in PostgreSQL made in {time.perf_counter() - began:.0f} s"
            found["PostgreSQL, database"] = in_a_process(url, "database", dim, repeats, exact)
    report(count, dim, scan, flat, said, found)


def report(
    count: int, dim: int, scan: float, flat: float | None, said: str, found: dict[str, dict[str, Any]]
) -> None:
    faiss = f"FAISS Flat {1000 * flat:.1f} ms" if flat is not None else "FAISS is not installed"
    print(f"{count:,} crops of {dim} numbers: a scan by NumPy {1000 * scan:.1f} ms, {faiss}{said}\n")
    print(f"| {' | '.join(['', *found])} |\n|{'---|' * (1 + len(found))}")
    for key, value in next(iter(found.values())).items():
        cells = [
            "{:.2f} scans, {:.0f} ms, recall {:.4f}".format(*figures[key])
            if isinstance(value, list)
            else f"{figures[key]:.3g}"
            for figures in found.values()
        ]
        print(f"| {' | '.join([key, *cells])} |")


if __name__ == "__main__":
    main()
