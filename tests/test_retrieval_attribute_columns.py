"""What is read off a whole gallery once, against what is read off the same crops on demand."""

import re
import sys
import threading

import numpy as np
import pytest

from app.model.vocabulary import KINDS
from app.retrieval import attribute_columns
from app.retrieval.attribute_columns import AttributeColumns
from app.retrieval.attribute_probs import ClipAttributes
from gallery_store.encoder import ClipEncoder
from gallery_store.importer import import_crops
from gallery_store.store import GalleryStore
from gallery_store.vectors import Vectors
from tests.benchmarks import prefilter
from tests.clip_folder import make_clip_folder
from tests.tiny_qwen import noise_picture

SHARPNESS = 12.0


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return ClipEncoder.load(make_clip_folder(tmp_path_factory.mktemp("clip")))


def add(store, encoder, folder, numbers):
    folder.mkdir()
    for number in numbers:
        noise_picture(number, 60, 30).save(folder / f"{number}.png")
    assert import_crops(store, encoder, folder).added == len(numbers)


@pytest.fixture
def gallery(tmp_path, encoder):
    with GalleryStore.open(tmp_path / "gallery.db") as store:
        add(store, encoder, tmp_path / "first", range(7))
        yield store


class Counting(ClipAttributes):
    """Counts the crops that each kind is read off."""

    def __init__(self, encoder):
        super().__init__(encoder, SHARPNESS)
        self.read = 0

    def of_values(self, cosines):
        self.read += cosines.shape[1]
        return super().of_values(cosines)


def check(store, encoder, columns, ids):
    """The same as reading on demand, but for what half a float's digits leave out."""
    fresh = ClipAttributes(encoder, SHARPNESS).probs(lambda rows: store.similarities(rows, ids))
    for kind in KINDS:
        np.testing.assert_allclose(columns.probs(ids)[kind], fresh[kind], rtol=1e-3, atol=1e-7)


def test_the_same_as_reading_on_demand_for_all_and_for_some(gallery, encoder, monkeypatch):
    monkeypatch.setattr(attribute_columns, "AT_ONCE", 3)  # the last block is smaller
    columns = AttributeColumns(gallery, ClipAttributes(encoder, SHARPNESS))
    for ids in (gallery.index.ids, np.array([6, 2, 3]), np.array([], np.int64), np.arange(1, 8)):
        check(gallery, encoder, columns, ids)
    with pytest.raises(KeyError, match="99"):
        columns.probs(np.array([1, 99]))["hat"]


def test_each_crop_is_read_once_and_new_ones_when_they_come(gallery, encoder, tmp_path):
    clip = Counting(encoder)
    columns = AttributeColumns(gallery, clip)
    for _ in range(2):
        columns.probs(gallery.index.ids)["hat"]
        columns.probs(np.array([2]))["hat"]
    assert clip.read == 7
    columns.prepare()
    assert clip.read == 7 * len(KINDS)
    before = columns.probs(gallery.index.ids)["hat"]
    add(gallery, encoder, tmp_path / "second", range(20, 23))
    check(gallery, encoder, columns, gallery.index.ids)
    assert clip.read == 10 * len(KINDS)
    assert before.shape[1] == 7  # what was handed out stays as it was
    with pytest.raises(ValueError, match="read-only"):
        before[0, 0] = 1


def test_all_kinds_are_read_in_one_pass_and_what_is_known_is_not_read_again(
    gallery, encoder, tmp_path, monkeypatch
):
    """To make the vectors float32 once for each kind took most of a start."""
    monkeypatch.setattr(attribute_columns, "AT_ONCE", 4)
    passed, cosines = [], Vectors.cosines

    def counting(self, rows, places=None):
        found = cosines(self, rows, places)
        passed.append(found.shape[1])
        return found

    monkeypatch.setattr(Vectors, "cosines", counting)
    clip = Counting(encoder)
    columns = AttributeColumns(gallery, clip)
    columns.probs(gallery.index.ids)["hat"]
    assert passed == [4, 3]
    add(gallery, encoder, tmp_path / "second", range(20, 23))
    columns.prepare()
    assert sorted(passed[2:]) == [2, 3, 4, 4] and clip.read == 10 * len(
        KINDS
    )  # of the three new, and of all ten
    columns.prepare()
    assert len(passed) == 6
    check(gallery, encoder, columns, gallery.index.ids)


def test_after_a_deletion_and_in_an_empty_gallery(gallery, encoder):
    columns = AttributeColumns(gallery, ClipAttributes(encoder, SHARPNESS))
    columns.prepare()
    gallery.delete([1, 4])
    assert gallery.index.ids.tolist() == [2, 3, 5, 6, 7]
    check(gallery, encoder, columns, gallery.index.ids)
    with pytest.raises(KeyError, match="4"):
        columns.probs(np.array([4]))["hat"]
    gallery.delete([2, 3, 5, 6, 7])
    assert columns.probs(gallery.index.ids)["hat"].shape == (len(KINDS["hat"]), 0)


def test_many_threads_read_the_same(gallery, encoder, tmp_path):
    columns = AttributeColumns(gallery, ClipAttributes(encoder, SHARPNESS))
    add(gallery, encoder, tmp_path / "more", range(30, 60))
    found = []

    def ask():
        for kind in KINDS:
            found.append(columns.probs(gallery.index.ids)[kind])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 * len(KINDS) and {one.shape[1] for one in found} == {37}
    check(gallery, encoder, columns, gallery.index.ids)


def test_the_benchmark_finds_what_exact_arithmetic_finds(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["prefilter", "--crops", "3000", "--dim", "64", "--repeats", "1"])
    prefilter.main()
    rows = re.findall(r"^by .*?(\d\.\d{3})$", capsys.readouterr().out, re.MULTILINE)
    assert len(rows) == 4 and all(float(recall) >= 0.98 for recall in rows)
