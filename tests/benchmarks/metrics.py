"""How fast the metrics are at Market-1501's size, beside the similarity product and the usual Python loop.

    python -m tests.benchmarks.metrics [--queries 3368] [--gallery 19732] [--repeats 5] [--loop 32]

MSMT17's size is 11659 and 82161.

Scores are made for 2,048 queries at a time and ranked as they come, so that they never stand whole; the
two are timed in turn in the same run, so that a busy machine slows both. Vectors of people are ranked as a
model's would be; with random ones a person's crops are all over the ranking.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Iterator
from statistics import median

import numpy as np

from training.evaluation.metrics import Relevance, rank, rank_blocks

BLOCK = 128  # queries whose scores come together
DIMENSIONS, IDENTITIES, CAMERAS = 512, 3060, 15
TOGETHER = 16  # blocks
PART, NOISE = (
    64,
    0.95,
)  # of people's vectors; for an mAP of about 0.78, the best published for MSMT17 being higher


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=3_368)
    parser.add_argument("--gallery", type=int, default=19_732)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loop", type=int, default=32, help="queries that the plain loop is timed on")
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    labels = [rng.integers(0, IDENTITIES, n) for n in (chosen.queries, chosen.gallery)]
    labels += [rng.integers(0, CAMERAS, n) for n in (chosen.queries, chosen.gallery)]
    print(
        f"{chosen.queries} queries x {chosen.gallery} crops, {DIMENSIONS} dimensions, median of {chosen.repeats}"
    )
    _, _, mine = _measure(
        "random vectors", [_unit(rng, n) for n in (chosen.queries, chosen.gallery)], labels, chosen
    )
    queries, gallery, _ = _measure("people", _people(rng, labels[:2]), labels, chosen)
    print(f"memory beyond the scores   {_peak_memory(queries, gallery, labels) / 2**20:8.0f} MB (goal: 64)")

    sample = queries[: chosen.loop] @ gallery.T
    few = [labels[0][: chosen.loop], labels[1], labels[2][: chosen.loop], labels[3]]
    began = time.perf_counter()
    slow = usual_loop(sample, *few)
    loop = (time.perf_counter() - began) / chosen.loop
    times = []
    for _ in range(chosen.repeats):
        began = time.perf_counter()
        fast = rank(sample, Relevance.by_identity(*few)).metrics().mAP
        times.append((time.perf_counter() - began) / chosen.loop)
    assert abs(slow - fast) < 1e-9, (slow, fast)
    print(
        f"the usual loop             {loop * 1e3:8.2f} ms a query, {loop / mine:.0f} times ours on random vectors "
        "(goal: 20)"
    )


def _measure(
    name: str, vectors: list[np.ndarray], labels: list[np.ndarray], chosen: argparse.Namespace
) -> tuple[np.ndarray, np.ndarray, float]:
    """Prints how the metrics compare with the product on these vectors; returns them and seconds a query."""
    queries, gallery = vectors
    products, ours = [], []
    for _ in range(chosen.repeats):
        spent = [0.0]
        began = time.perf_counter()
        blocks = _timed_products(queries, gallery, spent)
        found = rank_blocks(blocks, Relevance.by_identity(*labels)).metrics()
        products.append(spent[0])
        ours.append(time.perf_counter() - began - spent[0])
    ratio = median(mine / product for mine, product in zip(ours, products, strict=True))
    print(
        f"{name:15} mAP {found.mAP:5.3f}  product {median(products):7.2f} s  metrics {median(ours):7.2f} s, "
        f"{ratio:.2f} of it"
    )
    return queries, gallery, median(ours) / len(queries)


def _timed_products(queries: np.ndarray, gallery: np.ndarray, spent: list[float]) -> Iterator[np.ndarray]:
    """Blocks of scores; adds the seconds that their products took to spent[0].

    A few blocks are made at a time: right after a product, its threads still turn and would slow what comes.
    """
    room = np.empty((min(len(queries), TOGETHER * BLOCK), len(gallery)), np.float32)
    for start in range(0, len(queries), len(room)):
        part = queries[start : start + len(room)]
        began = time.perf_counter()
        made = np.matmul(part, gallery.T, out=room[: len(part)])
        spent[0] += time.perf_counter() - began
        yield from (made[first : first + BLOCK] for first in range(0, len(made), BLOCK))


def _peak_memory(queries: np.ndarray, gallery: np.ndarray, labels: list[np.ndarray]) -> int:
    """Bytes that ranking all queries takes beyond the scores; the same block stands for each."""
    block = next(iter(_timed_products(queries, gallery, [0.0])))
    sizes = [min(BLOCK, len(queries) - start) for start in range(0, len(queries), BLOCK)]
    tracemalloc.start()
    rank_blocks((block[:size] for size in sizes), Relevance.by_identity(*labels)).metrics()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def usual_loop(
    scores: np.ndarray,
    query_ids: np.ndarray,
    gallery_ids: np.ndarray,
    query_cameras: np.ndarray,
    gallery_cameras: np.ndarray,
) -> float:
    """mAP as published re-ID code computes it: sort all indices, then per query masks and cumulative sums."""
    indices = np.argsort(-scores, axis=1, kind="stable")
    matches = (gallery_ids[indices] == query_ids[:, None]).astype(np.int32)
    found = []
    for q in range(len(scores)):
        order = indices[q]
        remove = (gallery_ids[order] == query_ids[q]) & (gallery_cameras[order] == query_cameras[q])
        raw = matches[q][~remove]
        if not raw.any():
            continue
        cmc = raw.cumsum()
        cmc[cmc > 1] = 1
        running = raw.cumsum()
        precision = [right / (place + 1.0) for place, right in enumerate(running)]
        found.append((np.asarray(precision) * raw).sum() / raw.sum())
    return float(np.mean(found))


def _people(rng: np.random.Generator, labels: list[np.ndarray]) -> list[np.ndarray]:
    """Vectors as a model makes them: a person's lie together, and all lie in a part of the space."""
    space = rng.standard_normal((PART, DIMENSIONS), dtype=np.float32)
    centres = rng.standard_normal((IDENTITIES, PART), dtype=np.float32)
    made = []
    for ids in labels:
        rows = (centres[ids] + NOISE * rng.standard_normal((len(ids), PART), dtype=np.float32)) @ space
        made.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return made


def _unit(rng: np.random.Generator, count: int) -> np.ndarray:
    rows = rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
