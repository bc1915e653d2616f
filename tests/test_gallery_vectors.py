"""Vectors kept as float16 against the same in plain NumPy, and what follows them against what was handed out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gallery_store import vectors
from gallery_store.vectors import SomeVectors, Vectors, lengths_of


def stored(count: int, dim: int = 12, seed: int = 0) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def unit(halves: np.ndarray) -> np.ndarray:
    rows = halves.astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(
    st.lists(st.integers(0, 9), max_size=5),
    st.integers(1, 4),
    st.sampled_from([0, 7, 100]),
    st.integers(1, 3),
)
def test_blocks_places_and_parts_compute_what_numpy_does(parts, block, room, asked):
    before, vectors._BLOCK = vectors._BLOCK, 12 * block  # so that there are many
    try:
        halves, kept = stored(sum(parts)), Vectors.absent(12)
        rows, query = unit(halves), unit(stored(asked, seed=1))
        for end, part in zip(np.cumsum(parts), parts, strict=True):
            kept = kept.extended(halves[end - part : end], room)
            np.testing.assert_allclose(kept.cosines(query), query @ rows[:end].T, atol=1e-6)
        assert len(kept) == len(halves) and kept.dim == 12 and np.array_equal(kept.halves, halves)
        assert np.array_equal(kept.rows(slice(None)), rows)
        assert kept.cosines(query).dtype == np.float32
        np.testing.assert_allclose(kept.cosines(query), query @ rows.T, atol=1e-6)
        places = np.random.default_rng(2).permutation(len(halves))[: len(halves) // 2]
        some = SomeVectors(kept, places)
        np.testing.assert_allclose(some.cosines(query), query @ rows[places].T, atol=1e-6)
        assert np.array_equal(some.some(np.arange(len(places))[::2]).rows(), rows[places[::2]])
    finally:
        vectors._BLOCK = before


def test_two_that_follow_one_do_not_meet(monkeypatch):
    """What was handed out stays as it was, whichever of its followers came first, and is compared with its own."""
    monkeypatch.setattr(vectors, "_BLOCK", 12)
    monkeypatch.setattr(vectors, "_BLOCKS", 1)  # no part of a block: all go by the blocks that are remembered
    halves, others, query = stored(9), stored(9, seed=1), unit(stored(1, seed=2))
    first = Vectors.absent(12).extended(halves[:5], room=50)
    first.cosines(query)
    one, other = first.extended(halves[5:]), first.extended(others)
    longer = one.extended(others[:2])
    assert np.array_equal(first.rows(slice(None)), unit(halves[:5]))
    assert np.array_equal(one.rows(slice(None)), unit(halves))
    assert np.array_equal(other.rows(slice(None)), unit(np.concatenate([halves[:5], others])))
    assert np.array_equal(longer.rows(slice(None)), unit(np.concatenate([halves, others[:2]])))
    assert np.array_equal(Vectors(others).rows(np.array([3])), unit(others[3:4]))
    for kept in (longer, other, one, first):
        np.testing.assert_allclose(kept.cosines(query), query @ kept.rows(slice(None)).T, atol=1e-6)


def test_the_last_blocks_are_not_full_and_few_are_compared_at_once(monkeypatch):
    """Two blocks of three vectors at once: each count leaves another rest behind, where older numbers stand."""
    monkeypatch.setattr(vectors, "_BLOCK", 36)
    monkeypatch.setattr(vectors, "_BLOCKS", 2)
    query = unit(stored(3, seed=1))
    for count in range(15):
        halves = stored(count)
        places = np.arange(count)[::-2]
        np.testing.assert_allclose(Vectors(halves).cosines(query), query @ unit(halves).T, atol=1e-6)
        found = Vectors(halves).cosines(query[:1], places)
        np.testing.assert_allclose(found, query[:1] @ unit(halves[places]).T, atol=1e-6)


def test_lengths_are_those_of_numpy_and_of_damaged_vectors_no_number(monkeypatch):
    monkeypatch.setattr(vectors, "_MEASURED", 4)
    halves = stored(11)
    halves[2, 3], halves[7, 0], halves[9] = np.inf, np.nan, 6e4
    with np.errstate(all="ignore"):
        wanted = np.linalg.norm(halves.astype(np.float32), axis=1)
    found = lengths_of(halves)
    assert found.dtype == np.float32 and np.isinf(found[2]) and np.isnan(found[7])
    np.testing.assert_array_equal(found, wanted)
    assert len(lengths_of(halves[:0])) == 0


def test_it_takes_half_of_what_float32_would():
    kept = Vectors.absent(512).extended(stored(1000, 512))
    assert kept.halves.nbytes == 0.5 * 1000 * 512 * 4


def test_rows_of_another_shape_are_refused():
    some = SomeVectors(Vectors(stored(3)))
    with pytest.raises(ValueError, match="5 numbers, the gallery 12"):
        some.cosines(np.ones((1, 5), np.float32))
    with pytest.raises(ValueError, match="q, dim"):
        some.cosines(np.ones(12, np.float32))
    assert SomeVectors(Vectors.absent(0)).cosines(np.ones((2, 8), np.float32)).shape == (2, 0)
