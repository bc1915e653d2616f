"""A search whose vectors stay in PostgreSQL, against the same search in memory."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from app.model.vocabulary import Attribute
from app.retrieval import near as crops_near
from app.retrieval.engine import Engine
from app.retrieval.query import Query, Reference
from app.settings import Settings
from app.startup import StartError, open_engine
from gallery_store import followed_index, near
from gallery_store.__main__ import main
from gallery_store.copying import copy_gallery
from gallery_store.crops import Filters
from gallery_store.errors import GalleryError
from gallery_store.search_index import make_search_index, make_where_wanted, measure_recall
from gallery_store.store import GalleryStore
from tests.benchmarks.scale import fill
from tests.gallery_tools import write_pictures
from tests.test_gallery_kill import ROOT
from tests.test_gallery_postgres import WRITER
from tests.test_retrieval_engine import (  # fixtures
    COUNT,
    RED_JACKET,
    encoder,
    full,
    ids_of,
    tuned,
)

__all__ = ["encoder", "full", "tuned"]

pytestmark = pytest.mark.postgres

QUERIES = {
    "words": Query(wanted=RED_JACKET, unwanted=(Attribute("hat", "cap"),)),
    "crop": Query(references=(Reference(image_id=5),), rejected=frozenset({3})),
    "crop and words": Query(wanted=RED_JACKET[1:], references=(Reference(image_id=9),)),
    "filters": Query(wanted=RED_JACKET, filters=Filters(cameras=("c2",))),
}


def quiet(*_: object) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def moved(postgres, full, tmp_path_factory):
    """The same small gallery on PostgreSQL."""
    with postgres.database(tmp_path_factory.mktemp("moved")) as url:
        with GalleryStore.open(url, as_copy=True) as target:
            assert not copy_gallery(full, target, quiet).problems
        yield url


@pytest.fixture(scope="module")
def large(postgres, tmp_path_factory):
    """3,000 crops of 24 numbers in groups, a twentieth of them on the camera "seventh"."""
    with postgres.database(tmp_path_factory.mktemp("large")) as url:
        fill(url, 3000, 24)
        yield url


@pytest.fixture
def by_index(monkeypatch):
    """Small galleries are searched as large ones are."""
    monkeypatch.setattr(near, "EXACT_BELOW", 50)
    monkeypatch.setattr(near, "EXACT_SHARE", 0.1)
    monkeypatch.setattr(followed_index, "MOST_READ", 8)
    monkeypatch.setattr(crops_near, "HEAD", 12)
    monkeypatch.setattr(crops_near, "MOST_COMPARED", 12)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_a_small_gallery_gives_the_ranking_of_memory(moved, full, encoder, tuned, query):
    in_memory = Engine(full, encoder, tuned, k=10).search(query)
    for place in ("memory", "database"):
        with GalleryStore.open(moved, index=place) as store:
            assert store.index.keeps_vectors == (place == "memory")
            found = Engine(store, encoder, tuned, k=10).search(query)
        assert ids_of(found) == ids_of(in_memory)
        assert (found.searched, found.scored, found.total) == (in_memory.searched, in_memory.scored, COUNT)
        for one, other in zip(found.candidates, in_memory.candidates, strict=True):
            # Attributes are kept in half precision, which rounds what differs in its last digit.
            assert one.similarity == pytest.approx(other.similarity, abs=3e-4)
            assert one.probability == pytest.approx(other.probability, abs=3e-4)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
def test_of_a_large_one_the_best_are_found_and_all_are_counted(
    moved, full, encoder, tuned, query, by_index, monkeypatch
):
    monkeypatch.setattr(near, "EXACT_BELOW", 1000)  # so that which are found is no matter of luck
    in_memory = Engine(full, encoder, tuned, k=5).search(query)
    with GalleryStore.open(moved, index="database") as store:
        engine = Engine(store, encoder, tuned, k=5)
        found, trace = engine.search(query), engine.trace(query)
    compared = len(trace.prefiltered.ids)
    assert found.searched == in_memory.searched == compared + trace.prefiltered.left_out
    assert compared <= 24 and (query.filters.cameras or trace.prefiltered.left_out > 0)
    assert ids_of(found)[:5] == ids_of(in_memory)[:5]


def test_the_tangent_grows_as_the_likeness_does(full, encoder, tuned):
    """Where it is laid: a small step of the vector changes both alike."""
    engine = Engine(full, encoder, tuned)
    query = QUERIES["words"]
    opened, _ = engine._open(query, full.matching(Filters()))
    vector = full.vectors([4])[0].astype(np.float64)

    def likeness(one: np.ndarray) -> float:
        crops = engine.clip_attributes.appearance(one[None])
        return float(
            crops_near.query_similarity(query, opened.vector, None, crops, opened.calibration, opened.priors)[
                0
            ]
        )

    at = {kind: probs[:, 0] for kind, probs in engine.clip_attributes.appearance(vector[None]).probs.items()}
    slope = crops_near.tangent(opened, None, engine.clip_attributes, at).astype(np.float64)
    steps = np.random.default_rng(0).normal(size=(8, len(vector)))
    steps /= 100 * np.linalg.norm(steps, axis=1, keepdims=True)
    for step in steps:
        change = (likeness(vector + step) - likeness(vector - step)) / 2
        assert change == pytest.approx(float(slope @ step), rel=0.05, abs=2e-5)


def test_the_index_is_made_once_and_finds_what_exact_search_finds(large, by_index, monkeypatch, capsys):
    with GalleryStore.open(large, index="database") as store:
        ids, (row,) = store.matching(Filters()), store.vectors([7])
        exact = store.nearest(row, ids, 200)
        assert not store.vectors_in_database()[0].is_indexed()
        assert make_search_index(store, quiet) and not make_search_index(store, quiet)
        with GalleryStore.open(large) as in_memory:
            assert not np.setxor1d(in_memory.nearest(row, ids, 200), exact).size > 4  # by rounding
        for filters in (Filters(), Filters(not_cameras=("seventh",)), Filters(cameras=("seventh",))):
            passing = store.matching(filters)
            found = store.nearest(row, passing, 100)
            assert np.isin(found, passing).all() and (np.diff(found) > 0).all() and len(found) == 100
            wanted = store.nearest(row, passing, 100, exact=True)
            assert len(np.intersect1d(found, wanted)) >= 97
        assert measure_recall(store, 5).recall >= 0.998
        assert not make_where_wanted(store, quiet)  # so few crops are searched in memory
        # The planner does go by it: where it does not go on it shows few, and all are compared in their place.
        vectors = store._in_database(store.index, "clip")
        monkeypatch.setattr(near, "_ITERATIVE", "off")
        monkeypatch.setattr(near, "_EF_SEARCH", 40)
        with store.database.reading() as connection:
            assert len(vectors._by_index(connection, str(row.tolist()), ids, len(ids), 300)) == 40
        assert np.array_equal(store.nearest(row, ids, 300), store.nearest(row, ids, 300, exact=True))
    assert main(["search-index", "--gallery", large, "--searches", "3", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["made"] is False and told["crops"] == 3000 and told["recall"] >= 0.99


def test_a_broken_index_and_one_of_another_encoder_are_replaced(large):
    with GalleryStore.open(large, index="database") as store:
        (vectors,) = store.vectors_in_database()
        make_search_index(store, quiet)
        stranger = f"{near._PREFIX}0123456789ab"
        with store.database.writing() as connection:
            connection.exec_driver_sql(
                f"CREATE INDEX {stranger} ON vectors USING hnsw ((data::halfvec(24)) halfvec_ip_ops)"
            )
            mark = (
                f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{vectors.index_name}'::regclass"
            )
            connection.exec_driver_sql(mark)  # as a killed process leaves it
        assert not vectors.is_indexed()
        assert make_search_index(store, quiet) and vectors.is_indexed()
        with store.database.reading() as connection:
            there = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'vectors'::regclass"
            names = connection.exec_driver_sql(there).scalars().all()
        assert stranger not in names and vectors.index_name in names


def test_what_another_process_writes_is_found_on_the_next_turn(postgres, tmp_path, by_index):
    with postgres.database(tmp_path) as url, GalleryStore.open(url, index="database") as store:
        assert store.matching(Filters()).tolist() == [] and not store.refresh()
        source = write_pictures(tmp_path / "in", [f"{n}.png" for n in range(30)])
        command = [sys.executable, "-c", WRITER, url, str(source)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        assert store.refresh() and not store.refresh()
        ids = store.matching(Filters())
        (row,) = store.vectors(ids[:1])
        assert len(ids) == 30 and ids[0] in store.nearest(row, ids, 3) and not store.index.keeps_vectors
        with GalleryStore.open(url) as other:
            other.delete([int(ids[0])])
        assert store.refresh() and ids[0] not in store.matching(Filters())
        with pytest.raises(KeyError, match=f"crop {ids[0]}"):
            store.vectors(ids[:1])
        assert ids[0] not in store.nearest(row, store.matching(Filters()), 3)


def test_a_damaged_vector_is_set_aside_in_the_database_too(postgres, tmp_path):
    with postgres.database(tmp_path) as url:
        fill(url, 20, 24)
        with GalleryStore.open(url) as store, store.database.writing() as connection:
            connection.exec_driver_sql(
                "UPDATE vectors SET data = array_fill(0::real, ARRAY[24])::halfvec WHERE crop_id = 4"
            )
        for place in ("memory", "database"):
            with GalleryStore.open(url, index=place) as store:
                assert store.set_aside() == (4,) and 4 not in store.matching(Filters())
                with pytest.raises(KeyError, match="crop 4"):
                    store.vectors([4])
                row = np.eye(1, 24, dtype=np.float32)[0]
                assert 4 not in store.nearest(row, store.matching(Filters()), 15)


def test_auto_is_the_database_for_a_large_gallery_alone(large, monkeypatch, tmp_path):
    with GalleryStore.open(large, index="auto") as store:
        assert not store.leaves_vectors and store.index.keeps_vectors
    monkeypatch.setattr(followed_index, "AUTO_DATABASE", 2999)
    with GalleryStore.open(large, index="auto") as store:
        assert store.leaves_vectors and not store.index.keeps_vectors
    with GalleryStore.open(tmp_path / "g.db", index="auto") as store:
        assert not store.leaves_vectors


def test_a_file_has_no_such_search(tmp_path):
    with pytest.raises(
        GalleryError, match=r"g\.db is a file, and a search inside the database needs Postgre"
    ):
        GalleryStore.open(tmp_path / "g.db", index="database")
    chosen = Settings(data=str(tmp_path / "data"), index="database", model="none")
    (tmp_path / "data").mkdir()
    with pytest.raises(StartError, match="needs PostgreSQL: leave --index out"):
        open_engine(chosen)
