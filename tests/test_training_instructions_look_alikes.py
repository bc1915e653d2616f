"""CLIP vectors of training pictures: stored, gone on with, and used to find look-alikes."""

from dataclasses import replace

import numpy as np
import pytest

from gallery_store.encoder import ClipEncoder
from tests.clip_folder import make_clip_folder
from tests.instruction_columns import made_up
from tests.tiny_qwen import noise_picture
from training.__main__ import main
from training.datasets.faults import DataSetError
from training.datasets.record import DataSet, Record
from training.datasets.training_records import training_records
from training.instructions.look_alikes import look_alikes, read_vectors, store_vectors
from training.instructions.mixtures import STAGE2
from training.instructions.stage_samples import Samples


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return ClipEncoder.load(make_clip_folder(tmp_path_factory.mktemp("clip") / "clip"))


@pytest.fixture
def records(tmp_path):
    """Six people, two pictures each; people 0 and 1, 2 and 3, 4 and 5 are nearly the same to the eye."""
    rows = []
    for person in range(6):
        for view in range(2):
            file = tmp_path / f"{person}_{view}.png"
            picture = noise_picture(person // 2)
            picture.putpixel((person, view), (view * 90, 9, 9))
            picture.save(file)
            rows.append(Record(file, str(person), str(view)))
    return rows


def test_vectors_are_stored_once_and_come_back_in_order(records, encoder, tmp_path):
    file = tmp_path / "v.npz"
    assert store_vectors(records[:4], tmp_path, encoder, file) == (4, [])
    assert store_vectors(records, tmp_path, encoder, file) == (8, [])
    assert store_vectors(records, tmp_path, encoder, file) == (0, [])
    found = read_vectors(file, records[::-1], tmp_path)
    alone = encoder.encode_images([record.picture() for record in records[::-1]])
    assert np.abs(found - alone).max() < 2e-3
    stranger = Record(tmp_path / "new.png", "9")
    assert not read_vectors(file, [records[0], stranger], tmp_path)[1].any()
    assert not list(tmp_path.glob("*.partial"))


def test_what_is_wrong_with_a_file_is_said(records, encoder, tmp_path):
    file = tmp_path / "v.npz"
    records[3].image.write_bytes(b"torn")
    fresh, unreadable = store_vectors(records, tmp_path, encoder, file)
    assert fresh == 11
    assert [name for name, _ in unreadable] == ["1_1.png"]
    other = ClipEncoder.load(make_clip_folder(tmp_path / "other", seed=1))
    with pytest.raises(DataSetError, match=r"has vectors of .*, not of .*; name another file"):
        store_vectors(records, tmp_path, other, file)
    with pytest.raises(DataSetError, match="no vector of any of these 12 pictures; is --root the same"):
        read_vectors(file, records, tmp_path / "elsewhere")
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataSetError, match="is no file of vectors"):
        read_vectors(file, records, tmp_path)


def test_look_alikes_come_from_vectors_where_nobody_annotated_attributes(records, encoder, tmp_path):
    file = tmp_path / "v.npz"
    store_vectors(records, tmp_path, encoder, file)
    trained = training_records([DataSet("d", "standard", {"train": tuple(records)})])
    rules = replace(STAGE2, shares={"image-one-to-one": 1.0}, hard=1.0)
    blind = Samples(rules, trained, 0, 10)
    assert "d: neither attributes nor CLIP vectors" in blind.plan.report()[-1]
    seeing = Samples(rules, trained, 0, 10, read_vectors(file, trained.records, tmp_path))
    assert not seeing.plan.report()
    table = look_alikes(seeing.stream.columns, seeing.vectors)
    assert table[:, 0].tolist() == [1, 0, 3, 2, 5, 4]
    with pytest.raises(ValueError, match="12 records need as many vectors, got 3"):
        Samples(rules, trained, 0, 10, np.zeros((3, 4)))


def test_look_alikes_by_attributes_match_a_slow_count():
    columns = made_up(40, (1, 4), sets=2, unknown=0.3)
    fast = look_alikes(columns)
    outfits = range(columns.outfit.max() + 1)
    shows = [
        {
            (k, v)
            for r in np.flatnonzero(columns.outfit == o)
            for k, v in enumerate(columns.attributes[r])
            if v >= 0
        }
        for o in outfits
    ]
    row = [int(np.flatnonzero(columns.outfit == o)[0]) for o in outfits]
    for outfit in outfits:
        scores = {
            other: len(shows[outfit] & shows[other])
            for other in outfits
            if columns.person[row[other]] != columns.person[row[outfit]]
            and columns.data_set[row[other]] == columns.data_set[row[outfit]]
        }
        best = sorted((score for score in scores.values() if score), reverse=True)[: fast.shape[1]]
        assert [scores[int(other)] for other in fast[outfit] if other >= 0] == best


def test_look_alikes_by_vectors_are_the_nearest():
    columns = made_up(30, (1, 1))
    vectors = np.random.default_rng(0).normal(size=(30, 8))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -2)
    rows = np.argsort(columns.outfit)
    nearest = columns.outfit[cosines.argmax(1)]
    assert (look_alikes(columns, vectors)[:, 0] == nearest[rows]).all()


def test_a_set_without_vectors_keeps_to_attributes():
    columns = made_up(20, (2, 3), sets=2)
    vectors = np.random.default_rng(0).normal(size=(len(columns), 8))
    vectors[columns.data_set == 1] = 0
    mixed, plain = look_alikes(columns, vectors), look_alikes(columns)
    second = np.unique(columns.outfit[columns.data_set == 1])
    first = np.unique(columns.outfit[columns.data_set == 0])
    assert (mixed[second] == plain[second]).all()
    assert (mixed[first] != plain[first]).any()


def test_large_sets_are_cut_into_blocks_of_similar_outfits(monkeypatch):
    monkeypatch.setattr("training.instructions.look_alikes.BLOCK", 16)
    columns = made_up(60, (1, 2), unknown=0)
    person = columns.person[np.unique(columns.outfit, return_index=True)[1]]
    for vectors in (None, np.random.default_rng(0).normal(size=(len(columns), 4))):
        table = look_alikes(columns, vectors)
        assert (table[:, 0] >= 0).all()
        for outfit, row in enumerate(table):
            others = row[row >= 0]
            assert len(set(others.tolist())) == len(others)
            assert (person[others] != person[outfit]).all()


def test_the_command_stores_vectors_that_build_takes(records, encoder, tmp_path, capsys):
    lines = ["path,person,camera,split", *(f"{r.image.name},{r.person},{r.camera},train" for r in records)]
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    clip, file = make_clip_folder(tmp_path / "clip"), tmp_path / "v.npz"
    data = ["--data", "csv:d.csv", "--root", str(tmp_path)]
    assert main(["vectors", *data, "--clip", str(clip), "--out", str(file)]) == 0
    assert "12 of 12 pictures encoded now" in capsys.readouterr().out
    assert main(["build", "--stage", "2", *data, "--vectors", str(file)]) == 0
    assert "neither attributes" not in capsys.readouterr().out
    assert main(["build", "--stage", "2", *data, "--vectors", str(tmp_path / "none.npz")]) == 2
    assert "is no file of vectors" in capsys.readouterr().err
