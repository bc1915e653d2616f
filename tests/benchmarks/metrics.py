"""How fast the metrics are at MSMT17's size, beside the similarity product and the usual Python loop.

    python -m tests.benchmarks.metrics [--queries 11659] [--gallery 82161] [--repeats 5] [--loop 32]

Scores are made for 1,024 queries at a time and ranked as they come, so that 3.8 GB of them never stand whole; the
two are timed in turn in the same run, so that a busy machine slows both. The vectors are random, which is the worst
case: a person's crops lie all over the ranking. Where they lie near the top, ranking costs a fraction of this.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Iterator
from statistics import median

import numpy as np

from training.evaluation.metrics import BLOCK, rank, rank_blocks
from training.evaluation.relevance import Relevance

DIMENSIONS, IDENTITIES, CAMERAS = 512, 3060, 15
TOGETHER = 8  # blocks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=11_659)
    parser.add_argument("--gallery", type=int, default=82_161)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loop", type=int, default=32, help="queries that the plain loop is timed on")
    chosen = parser.parse_args()
    rng = np.random.default_rng(0)
    queries, gallery = _unit(rng, chosen.queries), _unit(rng, chosen.gallery)
    labels = [rng.integers(0, IDENTITIES, n) for n in (chosen.queries, chosen.gallery)]
    labels += [rng.integers(0, CAMERAS, n) for n in (chosen.queries, chosen.gallery)]

    products, ours = [], []
    for _ in range(chosen.repeats):
        spent = [0.0]
        began = time.perf_counter()
        rank_blocks(_timed_products(queries, gallery, spent), Relevance.by_identity(*labels)).metrics()
        products.append(spent[0])
        ours.append(time.perf_counter() - began - spent[0])
    ratios = [mine / product for mine, product in zip(ours, products, strict=True)]
    print(f"{chosen.queries} queries x {chosen.gallery} crops, median of {chosen.repeats}")
    print(f"product of {DIMENSIONS} dimensions   {median(products):8.2f} s")
    print(
        f"metrics                    {median(ours):8.2f} s, {median(ratios):.2f} of the product (goal: 0.50)"
    )
    print(f"memory beyond the scores   {_peak_memory(queries, gallery, labels) / 2**20:8.0f} MB (goal: 1024)")

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
    mine = median(ours) / chosen.queries
    print(
        f"the usual loop             {loop * 1e3:8.2f} ms a query, {loop / mine:.0f} times ours (goal: 100)"
    )


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


def _unit(rng: np.random.Generator, count: int) -> np.ndarray:
    rows = rng.standard_normal((count, DIMENSIONS), dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()
